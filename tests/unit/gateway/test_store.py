"""The state of a mesh in the database: what goes in comes out, and only its writer writes."""

import os
import shutil
import threading
from dataclasses import replace
from random import Random

import pytest
import states
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunes.clock import Clock
from dunes.crypto.errors import NotARecipient
from dunes.errors import (
    ConfigError,
    DataError,
    LocalError,
    NotFound,
    StorageFull,
    UsageError,
)
from dunes.gateway import saving
from dunes.gateway.lock import MeshBusy
from dunes.gateway.mark import read_mark
from dunes.gateway.opening import MeshExists
from dunes.gateway.store import MeshLost, MeshMoved, MeshStore
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone, Progress
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, Store
from dunes.settings import load

T0_US = 1_800_000_000_000_000
MESH_ID = states.MESH_ID


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.us = T0_US
        self.clock = Clock(lambda: self.us / 1e6, lambda: self.us)


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def home(tmp_path):
    return load({"DUNES_HOME": str(tmp_path)}, folder=tmp_path)


@pytest.fixture
def opened(home, time):
    """Open and make meshes; close them all at the end."""
    known = []

    def do(state=None, mesh_id=MESH_ID, **options):
        options = {"identity": states.identity(), "clock": time.clock} | options
        if state is None:
            store = MeshStore.open(home, mesh_id, **options)
        else:
            store = MeshStore.create(home, mesh_id, state, **options)
        known.append(store)
        return store

    yield do
    for store in known:
        store.close()


def test_what_was_made_is_read_back(opened):
    made = opened(states.state())
    assert states.state() == made.load()
    made.close()
    assert states.state() == opened().load()


@given(states.STATES)
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_state_comes_back_as_it_was(opened, state):
    store = opened(state, replace_it=True, uuid=os.urandom(16))
    try:
        assert state == store.load()
    finally:
        store.close()


CHANGES = st.one_of(
    st.builds(SeqRecord, st.just(0xFFFFFFFF), st.integers(0, 1 << 24)),
    states.IVS,
    states.KEYS,
    states.ENTRIES,
    states.NODES,
    states.GONE,
)


@given(states.STATES, st.lists(st.lists(CHANGES, min_size=1, max_size=4), max_size=4))
@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_changes_do_to_the_database_what_they_do_to_the_state(opened, state, batches):
    store = opened(state, replace_it=True, uuid=os.urandom(16))
    try:
        highest = state.stack.seq
        for ticket, batch in enumerate(batches, 1):
            changes = []
            for change in batch:
                rises = isinstance(change, SeqRecord)
                if rises and (change.iv_index, change.limit) < (highest.iv_index, highest.limit):
                    continue
                highest = change if rises else highest
                changes.append(change)
            event = Store(ticket, tuple(changes), before_sending=False)
            store.apply(event)
            state = state.updated(event)
            assert states.normal(state) == store.load()
    finally:
        store.close()


def test_ages_grow_while_nobody_looks(opened, time):
    iv = IvRecord(6, updating=True, age_s=10.0, recovered_age_s=100.0)
    state = states.state()
    store = opened(replace(state, stack=replace(state.stack, iv=iv)))
    time.us += 5_500_000
    assert IvRecord(6, True, 15.5, 105.5) == store.load().stack.iv


def test_a_clock_that_went_back_makes_nothing_younger(opened, time):
    store = opened(states.state())
    time.us -= 3_600_000_000
    assert states.state().stack.iv == store.load().stack.iv


def test_a_manager_goes_on_behind_every_number_that_was_reserved(opened):
    rng = Random(1)
    store = opened(ManagerState.new(rng))
    used = set()
    for round_ in range(5):
        manager = Manager.start(store.load(), rng, now_s=0.0, block=100)
        for _ in range(60):
            event = manager.next_event()
            if isinstance(event, Store):
                store.apply(event)
                manager.stored(event.ticket, 0.0)
            number = manager.stack.sequence.take()
            assert number is not None
            assert number not in used
            used.add(number)
            manager.stack.outbox.reserve()
        assert (round_ + 1) * 60 == len(used)
        store.close()
        store = opened()


def test_seq_never_goes_back(opened):
    store = opened(states.state())
    with pytest.raises(LocalError, match="may not go back"):
        store.apply(Store(1, (SeqRecord(6, 2999),), before_sending=False))
    with pytest.raises(LocalError, match="may not go back"):
        store.apply(Store(1, (SeqRecord(5, 9999),), before_sending=False))
    assert SeqRecord(6, 3000) == store.load().stack.seq


def test_a_store_that_fails_changes_nothing(opened):
    store = opened(states.state())
    bad = (KnownNode(b"w" * 16, 9, 1, b"f" * 16), SeqRecord(0, 0))
    with pytest.raises(LocalError):
        store.apply(Store(1, bad, before_sending=True))
    assert states.state() == store.load()
    assert "node-0009" == store.name_of(9)


def test_what_a_gateway_does_not_store_is_our_bug(opened):
    with pytest.raises(LocalError, match="stores no int"):
        opened(states.state()).apply(Store(1, (5,), before_sending=False))


def test_what_is_applied_is_synced_and_not_bound_by_the_buffers_cap(opened):
    store = opened(states.state())
    with store.buffer.reading() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS]
    assert ["wal", 2] == found[:2]
    assert found[2] * found[3] > 10**13


PRAGMAS = ("journal_mode", "synchronous", "max_page_count", "page_size")


def test_on_a_full_disk_nothing_is_promised_and_the_same_may_be_tried_again(opened):
    store = opened(states.state())
    mark = read_mark(store.mark_path)
    big = replace(states.state().nodes[0], composition=bytes(300_000))
    event = Store(1, (SeqRecord(6, 4000), big), before_sending=True)
    with store.buffer.engine.connect() as kept:  # the pool's connection: keep its setting
        pages = kept.exec_driver_sql("PRAGMA page_count").scalar()
        kept.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        kept.rollback()
    with pytest.raises(StorageFull):
        store.apply(event)
    assert (states.state(), mark) == (store.load(), read_mark(store.mark_path))
    with store.buffer.engine.connect() as kept:
        kept.exec_driver_sql(f"PRAGMA max_page_count={1 << 30}")
        kept.rollback()
    store.apply(event)
    assert SeqRecord(6, 4000) == store.load().stack.seq
    assert 4000 == read_mark(store.mark_path).limit


# ---------------------------------------------------------------- one writer


def test_the_newest_alerts_are_remembered_and_the_oldest_forgotten(opened, monkeypatch):
    monkeypatch.setattr(saving, "ALERTS_KEPT", 3)
    store = opened(states.state())
    tell = store.fingerprinter()
    said = [tell(bytes([n])) for n in range(5)]
    for some in (said[:2], said[2:]):
        with store.buffer.writing() as connection:
            store.save_alerts_on(connection, some)
    assert said[2:] == store.alerts()
    store.close()
    again = opened()
    assert (said, said[2:]) == (
        [again.fingerprinter()(bytes([n])) for n in range(5)],
        again.alerts(),
    )


def test_the_second_writer_learns_who_has_the_mesh(opened):
    opened(states.state(), holder="dunes mesh-listen")
    with pytest.raises(
        MeshBusy, match=r"in use by dunes mesh-listen \(process \d+, since 20"
    ) as e:
        opened()
    assert (75, "mesh-busy") == (e.value.exit, e.value.code)
    assert "kill" in e.value.hint


def test_others_may_look_while_somebody_writes(opened):
    store = opened(states.state(), holder="dunes mesh-listen")
    looking = opened(write=False)
    assert states.state() == looking.load()
    assert looking.written_by.startswith("dunes mesh-listen (process ")
    with pytest.raises(LocalError, match="look only"):
        looking.apply(Store(1, (SeqRecord(6, 4000),), before_sending=False))
    with pytest.raises(LocalError, match="look only"):
        looking.set_group(0xC000, "sensors")
    store.close()
    assert looking.written_by is None


def test_whoever_was_taken_over_sends_nothing_more(opened, home):
    first = opened(states.state())
    first.lock_path.unlink()  # as on another machine that uses the same server
    second = opened()
    with pytest.raises(MeshLost, match="took mesh lunar-ble-001 over"):
        first.apply(Store(1, (SeqRecord(6, 4000),), before_sending=False))
    with pytest.raises(MeshLost):
        first.set_group(0xC000, "sensors")
    second.apply(Store(1, (SeqRecord(6, 4000),), before_sending=False))
    assert SeqRecord(6, 4000) == second.load().stack.seq


def test_a_mesh_is_made_once(opened):
    opened(states.state()).close()
    with pytest.raises(MeshExists, match="lunar-ble-001"):
        opened(states.state())
    assert states.state() == opened().load()


def test_a_mesh_that_was_given_away_is_not_written(opened):
    store = opened(states.state())
    store.move_away()
    store.close()
    with pytest.raises(MeshMoved, match="another gateway") as caught:
        opened()
    assert "mesh-import" in caught.value.hint
    assert states.state() == opened(write=False).load()


def test_apply_may_be_called_in_another_thread(opened):
    store = opened(states.state())
    failures = []

    def write():
        try:
            for n in range(1, 50):
                store.apply(Store(n, (SeqRecord(6, 3000 + n),), before_sending=False))
        except Exception as e:  # noqa: BLE001 - shown below
            failures.append(e)

    thread = threading.Thread(target=write)
    thread.start()
    while thread.is_alive():
        store.note_seen(2, T0_US)
        assert "hab-1.1" == store.name_of(3)
    thread.join()
    assert [] == failures
    assert SeqRecord(6, 3049) == store.load().stack.seq


# ---------------------------------------------------------------- which mesh


def test_the_only_mesh_needs_no_name(opened, home):
    opened(states.state()).close()
    assert MESH_ID == opened(mesh_id="").mesh_id


def test_of_several_meshes_one_must_be_named(opened):
    opened(states.state()).close()
    opened(states.state(), mesh_id="mars-ble-001").close()
    with pytest.raises(ConfigError, match="lunar-ble-001, mars-ble-001") as caught:
        opened(mesh_id="")
    assert "--mesh-id lunar-ble-001" == caught.value.hint


def test_the_settings_name_the_mesh(tmp_path, opened):
    opened(states.state()).close()
    opened(states.state(), mesh_id="mars-ble-001").close()
    env = {"DUNES_HOME": str(tmp_path), "DUNES_MESH_ID": "mars-ble-001"}
    with MeshStore.open(load(env, folder=tmp_path), identity=states.identity()) as store:
        assert ("mars-ble-001", "mars_telemetry") == (store.mesh_id, store.table)


def test_a_mesh_that_is_not_here_is_said_with_those_that_are(opened):
    with pytest.raises(NotFound, match="no mesh lunar-ble-001 here") as caught:
        opened()
    assert "mesh-init" in caught.value.hint
    opened(states.state()).close()
    with pytest.raises(NotFound, match="no mesh lunar-ble-002") as caught:
        opened(mesh_id="lunar-ble-002")
    assert "--mesh-id lunar-ble-001" in caught.value.hint


@pytest.mark.parametrize("name", ["", "Lunar", "a b", "../x", "1-ble-001", "x" * 65])
def test_a_name_that_cannot_be_is_refused_before_anything_is_made(opened, home, name):
    with pytest.raises(DataError):
        opened(states.state(), mesh_id=name)
    assert not (home.paths.data / "buffer.db").exists()


# ---------------------------------------------------------------- names


def test_a_node_is_found_by_what_people_call_it(opened):
    store = opened(states.state())
    uuid = "76" * 16
    for text in ("0x0005", "0X5", "node-0005", uuid, f"{uuid[:8]}-7676-7676-7676-{uuid[:12]}"):
        assert 5 == store.find(text)[1]
    for text, address in (("hab-1", 2), ("hab-1.1", 3), ("hab-1.2", 4), ("0x0004", 4)):
        node, found = store.find(text)
        assert ("hab-1", address) == (node.name, found)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("hab-2", "did you mean hab-1"),
        ("hab-1.3", "hab-1"),
        ("0x0007", "node-0005"),
        ("", "hab-1"),
    ],
)
def test_a_miss_names_the_nearest(opened, text, hint):
    with pytest.raises(NotFound) as caught:
        opened(states.state()).find(text)
    assert hint in caught.value.hint


def test_a_name_of_two_nodes_is_asked_back(opened):
    twins = [KnownNode(bytes([n]) * 16, n, 1, b"k" * 16, name="twin") for n in (2, 3)]
    store = opened(states.state(nodes=tuple(twins)))
    with pytest.raises(UsageError, match="several nodes are called twin") as caught:
        store.find("twin")
    assert "0x0002 or 0x0003" == caught.value.hint


def test_new_names_are_seen_at_once(opened):
    store = opened(states.state())
    assert "node-0009" == store.name_of(9)
    node = KnownNode(b"w" * 16, 8, 2, b"f" * 16, name="suit-1")
    store.apply(Store(1, (node,), before_sending=True))
    assert ("suit-1.1", 9) == (store.name_of(9), store.find("suit-1.1")[1])
    store.apply(Store(2, (NodeGone(8, 2, 6),), before_sending=True))
    assert "node-0009" == store.name_of(9)


def test_a_view_shows_everything_but_the_key(opened, time):
    store = opened(states.state())
    store.note_seen(2, T0_US + 5)
    store.note_seen(2, T0_US + 3)
    store.set_settings(2, {"defaultTTL": 5})
    time.us += 1_000_000
    node = replace(states.state().nodes[0], step=10)
    store.apply(Store(1, (node,), before_sending=False))
    seen = store.views()[0]
    assert (2, 3, b"u" * 16, "hab-1") == (seen.unicast, seen.elements, seen.uuid, seen.name)
    assert (3, 10, b"\x01\x02", 0) == (
        seen.progress,
        seen.step,
        seen.composition,
        seen.net_index,
    )
    assert ({"defaultTTL": 5}, T0_US, T0_US + 5) == (
        seen.settings,
        seen.added_us,
        seen.seen_us,
    )
    assert store.views()[1].seen_us is None


def test_what_was_heard_last_is_written_at_the_end(opened):
    store = opened(states.state())
    store.note_seen(5, T0_US)
    store.close()
    assert T0_US == opened(write=False).views()[1].seen_us


def test_groups_and_labels_have_names(opened):
    store = opened(states.state())
    store.set_group(0xC001, "sensors")
    store.set_group(0xC001, "all sensors", 0xC000)
    store.set_label(b"l" * 16, 0x8123, "alarms")
    assert ({0xC001: "all sensors"}, {b"l" * 16: "alarms"}) == (store.groups(), store.labels())


# ---------------------------------------------------------------- secrets


def test_no_key_lies_in_clear_anywhere(opened, home):
    keys = KeysRecord(
        (NetKeyRecord(0, b"NETKEY-0123456-A", b"NETKEY-0123456-B", Phase.DISTRIBUTION),),
        (AppKeyRecord(0, 0, b"APPKEY-0123456-A", b"APPKEY-0123456-B"),),
    )
    node = KnownNode(b"u" * 16, 2, 3, b"DEVKEY-0123456-A", Progress.CONFIGURED, name="hab-1")
    state = states.state(nodes=(node,))
    store = opened(replace(state, stack=replace(state.stack, keys=keys)))
    store.apply(Store(1, (keys, node), before_sending=True))
    assert keys == store.load().stack.keys
    shown = repr(store) + repr(store.load()) + repr(store._scribe()) + repr(store.views())
    store.close()
    for word in ("NETKEY-", "APPKEY-", "DEVKEY-"):
        assert word not in shown
        for path in home.paths.data.parent.rglob("*"):
            assert not path.is_file() or word.encode() not in path.read_bytes()


def test_every_file_is_for_its_owner_alone(opened, home):
    opened(states.state())
    for path in home.paths.data.parent.rglob("*"):
        if path.is_file():
            assert 0 == path.stat().st_mode & 0o077, path


def test_a_rotated_identity_still_opens_it_and_takes_it_over(opened):
    opened(states.state()).close()
    old, new = states.identity(), states.identity(8)
    pair = type("Pair", (), {"recipient": old.recipient, "signing": old.signing, "kid": old.kid})
    opened(identity=replace(new, retired=(pair,))).close()
    assert states.state() == opened(identity=new).load()


def test_a_strangers_identity_opens_nothing(opened):
    opened(states.state()).close()
    with pytest.raises(NotARecipient, match="sealed for"):
        opened(identity=states.identity(9))
    assert states.state() == opened().load()


def test_the_mark_is_as_far_as_the_database(opened):
    store = opened(states.state())
    store.apply(Store(1, (SeqRecord(6, 4000), ReplayEntry(2, 6, 10)), before_sending=False))
    mark = read_mark(store.mark_path)
    assert (6, 4000, ((2, 7),), store.uuid) == (mark.iv_index, mark.limit, mark.given, mark.mesh)
    store.apply(Store(2, (ReplayEntry(2, 6, 11),), before_sending=False))
    assert mark == read_mark(store.mark_path)
    store.apply(
        Store(3, (IvRecord(7, updating=True), store.load().stack.keys), before_sending=True)
    )
    after = read_mark(store.mark_path)
    assert (7, True, mark.keys_generation + 1) == (
        after.network_iv,
        after.updating,
        after.keys_generation,
    )


# ---------------------------------------------------------------- copies


def test_a_database_that_was_copied_back_goes_on_behind_what_was_used(opened, home, tmp_path):
    store = opened(states.state())
    store.close()
    shutil.copy(home.paths.data / "buffer.db", tmp_path / "copy.db")
    store = opened()
    new = KnownNode(b"w" * 16, 8, 4, b"f" * 16)
    store.apply(Store(1, (SeqRecord(6, 9000), new), before_sending=True))
    store.close()
    shutil.copy(tmp_path / "copy.db", home.paths.data / "buffer.db")
    store = opened()
    state = store.load()
    assert SeqRecord(6, 9000) == state.stack.seq
    assert NodeGone(8, 4, 6) == state.gone[-1]
    assert "set back to an older copy" in store.notes[0]
    assert "6000 numbers" in store.notes[0]
    assert "4 addresses" in store.notes[1]
    store.close()
    assert [] == opened().notes
