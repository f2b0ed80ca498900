"""A mesh out of one gateway's database and into another's."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import states

from dunes.crypto.errors import KeyExists
from dunes.crypto.identity import ensure_identity
from dunes.errors import DataError, NotFound, StorageError, UsageError
from dunes.gateway.exporting import Wish, export_mesh
from dunes.gateway.importing import carry_out, fold_name, plan_import, read_export
from dunes.gateway.lock import MeshBusy
from dunes.gateway.opening import MeshExists
from dunes.gateway.recovery import SEQ_MARGIN
from dunes.gateway.store import MeshMoved, MeshStore
from dunes.mesh.ivindex import UNKNOWN, IvRecord
from dunes.mesh.managerstate import KnownNode, NodeGone
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import Store
from dunes.settings import load

ROOT = Path(__file__).parents[3]
APP = ROOT / "examples/app-mesh.json"
MESH_ID = states.MESH_ID


class Gateway:
    """A place with an identity and a database."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.settings = load({"DUNES_HOME": str(folder)}, folder=folder)
        self.identity = ensure_identity(self.settings.paths)

    def make(self, state=None):
        MeshStore.create(
            self.settings, MESH_ID, state or states.state(), identity=self.identity
        ).close()

    def open(self, mesh_id=MESH_ID, **options):
        return MeshStore.open(self.settings, mesh_id, identity=self.identity, **options)

    def out(self, *, write=False, name="gw-1", **wish):
        file = self.folder / "out.json"
        wanted = Wish(output=wish.pop("output", file), **wish)
        with self.open(write=write or wanted.move) as store:
            return *export_mesh(store, name, wanted), file

    def take(self, file, **options):
        plan = plan_import(read_export(file), self.settings, file, **options)
        carry_out(plan, self.settings, self.identity, holder="dunes mesh-import")
        return plan.report


@pytest.fixture
def old(tmp_path):
    gateway = Gateway(tmp_path / "old")
    gateway.make()
    return gateway


@pytest.fixture
def new(tmp_path):
    return Gateway(tmp_path / "new")


# ---------------------------------------------------------------- whole state


def test_a_replacement_goes_on_where_the_old_gateway_was(old, new):
    with old.open() as store:
        store.set_group(0xC001, "sensors", 0xC000)
        store.set_label(b"l" * 16, 0x8123, "alarms")
        store.set_settings(2, {"defaultTTL": 5})
        store.note_seen(2, 1_800_000_000_000_000)
    report, content, file = old.out(format="state")
    assert (content, 0o600) == (file.read_bytes(), file.stat().st_mode & 0o777)
    taken = new.take(file)
    assert (MESH_ID, 2, 1, 1, 2) == (
        taken.mesh_id,
        taken.nodes,
        taken.net_keys,
        taken.app_keys,
        taken.groups,
    )
    assert (report.mesh_uuid, 0, 6) == (taken.mesh_uuid, taken.seq, taken.iv_index)
    with old.open(write=False) as before, new.open() as after:
        was, now = before.load(), after.load()
        assert was.unicast != now.unicast
        assert SeqRecord() == now.stack.seq
        assert [] == after.notes
        stack = replace(was.stack, seq=now.stack.seq, iv=now.stack.iv)
        gone = (*was.gone, NodeGone(was.unicast, 1, 6))
        assert replace(was, unicast=now.unicast, stack=stack, gone=gone) == now
        assert before.views() == after.views()
        assert (before.all_groups(), before.all_labels(), before.uuid) == (
            after.all_groups(),
            after.all_labels(),
            after.uuid,
        )
    assert "sending goes on from" in taken.notes[0]
    assert "gw-1 must not be used any more" in taken.notes[1]


def test_a_mesh_that_is_given_away_is_not_used_any_more(old, new):
    report, _, file = old.out(format="state", move=True)
    assert report.moved
    with pytest.raises(MeshMoved):
        old.open()
    taken = new.take(file)
    assert "gave the mesh away" in taken.notes[0]
    assert ("0x0001", 3000 + SEQ_MARGIN) == (taken.unicast, taken.seq)
    # even so, the file can be had again, and the mesh taken back: from another address then
    again, _, file = old.out(format="state", force=True)
    assert again.moved
    assert "0x0001" != old.take(file, force=True).unicast
    old.open().close()


def test_a_file_that_cannot_be_written_gives_nothing_away(old, tmp_path):
    (tmp_path / "there").write_text("x")
    with pytest.raises(KeyExists):
        old.out(format="state", move=True, output=tmp_path / "there")
    with pytest.raises(NotFound):
        old.out(format="state", move=True, output=tmp_path / "no" / "x.json")
    old.open().close()
    assert "x" == (tmp_path / "there").read_text()


def changed_since(old):
    """Use the mesh after an export: numbers, an IV update, a new node."""
    with old.open() as store:
        node = KnownNode(b"w" * 16, 8, 4, b"f" * 16)
        changes = (SeqRecord(6, 999_000), IvRecord(7, updating=True), node)
        store.apply(Store(1, changes, before_sending=True))


def test_the_same_gateway_never_goes_back_by_an_import(old):
    """An old state over a newer mesh: numbers, IV index and addresses stay used."""
    _, _, file = old.out(format="state", move=True)
    content = file.read_bytes()
    old.take(file, force=True)
    changed_since(old)
    file.write_bytes(content)
    report = old.take(file, force=True)
    assert ("0x0001", 999_000, 7, True) == (
        report.unicast,
        report.seq,
        report.iv_index,
        report.replaced,
    )
    with old.open() as store:
        state = store.load()
        assert (SeqRecord(6, 999_000), 7, True) == (
            state.stack.seq,
            state.stack.iv.index,
            state.stack.iv.updating,
        )
        assert NodeGone(8, 4, 7) in state.gone
        assert [] == store.notes
    assert "not in the file, and no longer known here: node-0008" in report.notes


def test_not_even_when_the_database_is_an_old_copy_too(old, tmp_path):
    _, _, file = old.out(format="state", move=True)
    content = file.read_bytes()
    old.take(file, force=True)
    database = old.settings.paths.data / "buffer.db"
    shutil.copy(database, tmp_path / "copy.db")
    changed_since(old)
    shutil.copy(tmp_path / "copy.db", database)
    file.write_bytes(content)
    report = old.take(file, force=True)
    assert ("0x0001", 999_000, 7) == (report.unicast, report.seq, report.iv_index)


def test_addresses_that_we_sent_from_earlier_keep_their_numbers(old):
    """From one address to another and back: the first one's numbers are not forgotten."""
    _, _, file = old.out(format="state")
    given = read_export(file)
    plan = plan_import(given, old.settings, file, force=True)
    there = plan.state.unicast
    carry_out(plan, old.settings, old.identity, holder="dunes")
    with old.open() as store:
        store.apply(Store(1, (SeqRecord(6, 5000),), before_sending=False))
    _, _, file = old.out(format="state", force=True)
    given = replace(read_export(file), moved=True)
    given = replace(given, state=replace(given.state, unicast=1))
    plan = plan_import(given, old.settings, file, force=True)
    carry_out(plan, old.settings, old.identity, holder="dunes")
    with old.open() as store:
        assert 1 == store.load().unicast
        assert store.load().stack.seq.limit >= 3000
        assert SeqRecord(6, 5000) == store.sent_from(there)


def test_what_is_here_is_not_replaced_by_accident(old):
    _, _, file = old.out(format="state")
    with pytest.raises(MeshExists, match="already") as caught:
        plan_import(read_export(file), old.settings, file)
    assert "--force" in caught.value.hint
    report = old.take(file, mesh_id="lunar-ble-002")
    assert ("lunar-ble-002", False) == (report.mesh_id, report.replaced)


def test_a_mesh_in_use_is_not_replaced(old):
    _, _, file = old.out(format="state")
    with old.open(holder="dunes mesh-listen"), pytest.raises(MeshBusy, match="mesh-listen"):
        old.take(file, force=True)


def test_another_mesh_of_that_name_begins_anew(old, new):
    with old.open() as store:
        store.apply(Store(1, (SeqRecord(6, 999_000),), before_sending=False))
    new.make()
    _, _, file = new.out(format="state")
    assert 0 == old.take(file, force=True).seq
    with old.open() as store:
        assert SeqRecord() == store.load().stack.seq
        assert SeqRecord() == store.sent_from(1)


def test_a_running_gateway_can_be_exported_and_is_named(old):
    with old.open(holder="dunes mesh-listen"):
        report, _, _ = old.out(format="state")
    assert any("dunes mesh-listen (process " in note for note in report.notes)
    with old.open(holder="dunes mesh-listen"), pytest.raises(MeshBusy):
        old.out(format="state", move=True, force=True)


# ---------------------------------------------------------------- Configuration Database


def test_a_gateway_joins_the_mesh_of_an_app(new):
    report = new.take(APP)
    assert ["nrf-mesh-provisioner"] == report.other_provisioners
    assert ("farm-west", "cdb", 2, None, 0) == (
        report.mesh_id,
        report.format,
        report.nodes,
        report.iv_index,
        report.seq,
    )
    with new.open("farm-west") as store:
        state = store.load()
        assert UNKNOWN == state.stack.iv.index
        assert int(report.unicast, 16) == state.unicast
        assert ("soil-probe-1", 3) == (store.find("soil-probe-1.1")[0].name, 3)
        assert {0xC000: "Soil probes", 0xC001: "Valves"} == store.groups()
        assert ["Everybody"] == list(store.labels().values())
        assert "farm_west_telemetry" == store.table
        store.apply(Store(1, (IvRecord(44), SeqRecord(44, 1000)), before_sending=True))
    with new.open("farm-west") as store:
        assert 44 == store.load().stack.iv.index


def test_joining_again_keeps_numbers_that_were_used(new):
    new.take(APP)
    with new.open("farm-west") as store:
        unicast = store.load().unicast
        store.apply(Store(1, (IvRecord(44), SeqRecord(44, 1000)), before_sending=True))
    given = read_export(APP)
    seeds = (n for n in range(10**6) if given.join(Random(n))[0].unicast == unicast)
    plan = plan_import(given, new.settings, APP, force=True, rng=Random(next(seeds)))
    assert (f"{unicast:#06x}", 1000, 44) == (
        plan.report.unicast,
        plan.report.seq,
        plan.report.iv_index,
    )
    carry_out(plan, new.settings, new.identity, holder="dunes")
    with new.open("farm-west") as store:
        assert SeqRecord(44, 1000) == store.load().stack.seq


def test_an_export_of_ours_is_joined_by_another_gateway(old, new):
    report, _, file = old.out(format="cdb")
    assert (2, True, False) == (report.nodes, report.device_keys, report.moved)
    taken = new.take(file)
    assert (MESH_ID, 2, report.mesh_uuid) == (taken.mesh_id, taken.nodes, taken.mesh_uuid)
    assert ["gw-1"] == taken.other_provisioners
    with old.open(write=False) as theirs, new.open() as ours:
        a, b = theirs.load(), ours.load()
        assert a.stack.keys == b.stack.keys
        assert not a.low <= b.unicast <= a.high
        assert {"hab-1", "node-0005"} == {node.name for node in b.nodes}
        assert {"hab-1", "node-0005"} == {view.name for view in ours.views()}
        assert ("gw-1", 1) == (ours.name_of(1), ours.find("gw-1")[1])
        assert [1] == [other.unicast for other in ours.others()[1]]
    _, again, _ = old.out(format="cdb", force=True)
    assert json.loads(file.read_bytes())["nodes"] == json.loads(again)["nodes"]


def test_what_an_app_added_meanwhile_comes_back_and_we_stay_who_we_are(old):
    """Export, let an app add a node and a group, import again: the usual way to work together."""
    with old.open() as store:
        store.apply(Store(1, (SeqRecord(6, 5000), ReplayEntry(2, 6, 77)), before_sending=False))
        before = store.load()
    _, content, file = old.out(format="cdb")
    table = json.loads(content)
    phone = json.loads(APP.read_text())
    table["provisioners"] += phone["provisioners"]
    table["nodes"].append(phone["nodes"][2] | {"unicastAddress": "0100", "name": "valve-9"})
    table["groups"].append({"name": "Valves", "address": "C005", "parentAddress": "0000"})
    file.write_text(json.dumps(table))
    report = old.take(file, force=True)
    assert ("0x0001", 5000, 6, 3, []) == (
        report.unicast,
        report.seq,
        report.iv_index,
        report.nodes,
        report.other_provisioners,
    )
    with old.open() as store:
        after = store.load()
        assert (before.unicast, before.low, before.high) == (after.unicast, after.low, after.high)
        assert (before.stack.seq, before.stack.replay) == (after.stack.seq, after.stack.replay)
        assert before.stack.iv.index == after.stack.iv.index
        assert before.stack.keys == after.stack.keys
        assert ["hab-1", "node-0005", "valve-9"] == [node.name for node in after.nodes]
        assert {0xC005: "Valves"} == store.groups()
        assert [] == store.notes


def test_who_does_not_know_what_was_sent_takes_another_address(old):
    _, _, file = old.out(format="cdb")
    with old.open(write=False) as store:
        store.mark_path.unlink()
    report = old.take(file, force=True)
    assert "0x0001" != report.unicast
    assert ["gw-1"] == report.other_provisioners


@pytest.mark.parametrize("format_", ["cdb", "state"])
def test_other_provisioners_are_named_again_in_what_is_exported(new, format_):
    new.take(APP, mesh_id=MESH_ID)
    _, content, file = new.out(format=format_)
    given = read_export(file)
    assert "nrf-mesh-provisioner" in {other.name for other in given.others}
    ranges = json.loads(APP.read_text())["provisioners"][0]["allocatedUnicastRange"]
    assert json.dumps(ranges, sort_keys=True) in json.dumps(json.loads(content), sort_keys=True)


def test_nodes_without_device_keys_are_named(old, new):
    _, _, file = old.out(format="cdb", device_keys=False)
    taken = new.take(file)
    assert (0, ["gw-1", "hab-1", "node-0005"]) == (taken.nodes, taken.without_device_key)
    assert any("without a device key" in note for note in taken.notes)


def test_the_settings_name_the_mesh_of_a_database(tmp_path):
    env = {"DUNES_HOME": str(tmp_path), "DUNES_MESH_ID": "lunar-ble-001"}
    plan = plan_import(read_export(APP), load(env, folder=tmp_path), APP)
    assert "lunar-ble-001" == plan.report.mesh_id
    plan = plan_import(read_export(APP), load(env, folder=tmp_path), APP, mesh_id="farm")
    assert any("mcp init --mesh-id farm" in note for note in plan.report.notes)


@pytest.mark.parametrize(
    ("text", "name"),
    [("nRF Mesh Network", "nrf-mesh-network"), ("Höhle 7", "h-hle-7"), ("a" * 99, "a" * 64)],
)
def test_an_apps_name_becomes_one_of_ours(text, name):
    assert name == fold_name(text)


@pytest.mark.parametrize("text", ["", "小米9", "---", "9 lives"])
def test_a_name_that_cannot_become_ours_is_asked_for(text):
    with pytest.raises(UsageError) as caught:
        fold_name(text)
    assert "--mesh-id" in caught.value.hint


# ---------------------------------------------------------------- wishes and files


@pytest.mark.parametrize(
    "wish", [Wish("xml"), Wish("cdb", move=True), Wish("state", device_keys=False)]
)
def test_what_does_not_go_together_is_refused(wish):
    with pytest.raises(UsageError) as caught:
        wish.check()
    assert caught.value.hint


def test_a_dry_run_writes_nothing(old, new):
    report, content, file = old.out(format="state", dry_run=True, move=True)
    assert (True, False) == (report.dry_run, file.exists())
    old.open().close()
    file.write_bytes(content)
    plan_import(read_export(file), new.settings, file)
    assert not (new.settings.paths.data / "buffer.db").exists()


@pytest.mark.parametrize(
    ("content", "error", "word"),
    [
        (b"", DataError, "not JSON"),
        (b"{", DataError, "not JSON"),
        (b"\xff\xfe", DataError, "not JSON"),
        (b"[" * 100_000, DataError, "not JSON"),
        (b"{}", DataError, "neither"),
        (b"[]", DataError, "neither"),
        (b'{"meshNetwork": 5}', DataError, "neither"),
        (b'{"format": "dunes.mesh-state/9"}', DataError, "mesh-state/9"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path, content, error, word):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(error, match=word) as caught:
        read_export(file)
    assert caught.value.hint


def test_a_file_that_is_none_is_said(tmp_path):
    with pytest.raises(NotFound):
        read_export(tmp_path / "no.json")
    with pytest.raises(UsageError, match="directory"):
        read_export(tmp_path)
    with pytest.raises((UsageError, StorageError)):
        read_export(Path("/dev/null"))


def test_a_file_longer_than_any_mesh_is_not_read_to_its_end(tmp_path):
    file = tmp_path / "x.json"
    with file.open("wb") as opened:
        opened.truncate(65 * 1024 * 1024)
    with pytest.raises(DataError, match="larger than"):
        read_export(file)


def test_no_report_holds_a_key(old, new):
    report, content, file = old.out(format="state")
    plan = plan_import(read_export(file), new.settings, file)
    for word in ("64" * 16, "6E" * 16, "6e" * 16, "dddddddd", "nnnnnnnn"):
        assert word not in repr(report) + repr(plan)
    assert b"64" * 16 in content
