"""Which nodes are flashed, which are passed over, which are refused."""

import asyncio

import pytest
from firmware_boards import KEY, MemoryTransport, board, image

from dunes.ble.errors import ServiceMissing
from dunes.crypto.identity import create_identity
from dunes.firmware import session
from dunes.firmware.catalogue import Folder, add
from dunes.firmware.errors import Reason, Refused
from dunes.firmware.flash import Flasher
from dunes.firmware.image import parse_image
from dunes.firmware.manifest import Wanted, manifest_of
from dunes.firmware.reach import Reached
from dunes.firmware.shelf import open_shelf
from dunes.firmware.smp import SmpNode
from dunes.firmware.target import Way
from dunes.paths import find_paths
from dunes.sim.mcuboot import Board
from dunes.sim.smp_server import SmpServer

REAL = "nrf52840dk"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("SETTLE_S", "RETRY_S", "CALM_S"):
        monkeypatch.setattr(session, name, 0.0)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Firmware 1.2.0 for simulated nodes and for a real board, both signed here."""
    home = tmp_path_factory.mktemp("home")
    paths = find_paths({"DUNES_HOME": str(home)})
    own = create_identity(paths)
    for name in ("simulated", f"{REAL}/nrf52840"):
        data = image(board=name)
        manifest = manifest_of(parse_image(data), "ble-mesh", name, "")
        add(Folder.at(paths), manifest, data, own.signing)
    return open_shelf(paths, 0)


def server(name, *, on="simulated", version="1.1.0"):
    made = board(version) if on == "simulated" else None
    if made is None:
        made = Board(on, KEY.public_key(), image(version, on))
    return SmpServer(made, name)


def reached(found, *, named, transport=MemoryTransport):
    node = SmpNode(found.name, lambda: transport(found), "memory")
    return Reached(node, Way.BLE, simulated=False, named=named)


def flash(shelf, nodes, **more):
    variants = shelf.named(Wanted.parse("ble-mesh-v1.2"))
    given = {"force": None, "dry_run": False, "keep": True, "timeout_s": 1.0} | more
    flasher = Flasher(shelf, variants, **given)
    flasher.check_variants()
    return {row.node: row for row in asyncio.run(flasher.flash_all(nodes, 4))}


class NoService(MemoryTransport):
    async def connect(self, _address, _timeout_s):
        raise ServiceMissing("it has no service for that")


class Deaf(MemoryTransport):
    async def send(self, _data):
        self._answer = None


def test_of_all_nodes_in_reach_only_older_ones_of_its_boards_are_flashed(shelf):
    found = [
        server("old"),
        server("real", on=REAL),
        server("same", version="1.2.0"),
        server("newer", version="1.3.0"),
        server("alien", on="esp32"),
    ]
    nodes = [reached(each, named=False) for each in found]
    nodes += [
        reached(server("mute"), named=False, transport=NoService),
        reached(server("deaf"), named=False, transport=Deaf),
    ]
    rows = flash(shelf, nodes)
    assert {
        "old": "updated",
        "real": "updated",
        "same": "up-to-date",
        "newer": "not-older",
        "alien": "other-board",
        "mute": "no-smp",
        "deaf": "no-smp",
    } == {name: row.result for name, row in rows.items()}
    assert (True, False) == (rows["old"].simulated, rows["real"].simulated)


def test_a_node_that_was_named_is_flashed_or_refused_not_passed_over(shelf):
    rows = flash(
        shelf,
        [
            reached(server("newer", version="1.3.0"), named=True),
            reached(server("alien", on="esp32"), named=True),
            reached(server("mute"), named=True, transport=NoService),
            reached(server("deaf"), named=True, transport=Deaf),
        ],
    )
    assert {
        "newer": ("refused", "firmware-downgrade", 77),
        "alien": ("refused", "firmware-other-board", 77),
        "mute": ("failed", "no-mesh-service", 76),
        "deaf": ("failed", "node-silent", 69),
    } == {name: (row.result, row.code, row.exit) for name, row in rows.items()}


def test_force_lets_one_reason_pass_and_the_node_judges_itself(shelf):
    found = server("newer", version="1.3.0")
    rows = flash(shelf, [reached(found, named=True)], force=Reason.DOWNGRADE)
    assert ("updated", "1.2.0") == (rows["newer"].result, str(found.board.running.version))


def test_a_board_that_is_forced_is_one_that_was_chosen(shelf):
    alien = server("alien", on="esp32")
    forced = flash(shelf, [reached(alien, named=True)], force=Reason.OTHER_BOARD, dry_run=True)
    assert "would-update" == forced["alien"].result  # one is real, the other is simulated
    variants = [*shelf.named(Wanted.parse("ble-mesh-v1.2"), board=REAL)] * 2
    both = Flasher(shelf, variants, Reason.OTHER_BOARD, True, True, 1.0)
    row = asyncio.run(both.flash(reached(alien, named=True)))
    assert ("failed", "usage", 2) == (row.result, row.code, row.exit)
    assert "--board" in row.hint


def test_a_dry_run_changes_no_node(shelf):
    found = server("old")
    rows = flash(shelf, [reached(found, named=False)], dry_run=True)
    assert ("would-update", 0) == (rows["old"].result, found.board.starts)
    assert not found.board.slots[1].data


def test_each_board_gets_the_image_that_was_built_for_it(shelf):
    found = server("real", on=REAL)
    flash(shelf, [reached(found, named=True)])
    assert f"{REAL}/nrf52840" == found.board.running.board


def test_firmware_that_may_not_be_flashed_is_refused_before_any_node_is_asked(shelf, tmp_path):
    stranger = find_paths({"DUNES_HOME": str(tmp_path)})
    folder = Folder.at(find_paths({"DUNES_HOME": str(tmp_path / "x")}))
    data = image(board=REAL)
    manifest = manifest_of(parse_image(data), "ble-mesh", REAL, "")
    add(folder, manifest, data, create_identity(stranger).signing)
    other = open_shelf(find_paths({"DUNES_HOME": str(tmp_path / "y")}), 0, more=[folder])
    with pytest.raises(Refused) as refused:
        flash(other, [])
    assert Reason.STRANGER == refused.value.reason
    assert {} == flash(other, [], force=Reason.STRANGER)
