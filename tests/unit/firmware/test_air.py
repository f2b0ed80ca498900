"""Flashing through the air of the simulated site, when the air is bad: real GATT over real HCI."""

import asyncio
import shutil
from collections import Counter

import pytest

from dunes.ble.hci import open_hci
from dunes.clock import SYSTEM_CLOCK
from dunes.errors import NotFound
from dunes.firmware import reach, session
from dunes.firmware.flash import Flasher
from dunes.firmware.manifest import Wanted
from dunes.firmware.session import Stage
from dunes.firmware.shelf import open_shelf
from dunes.firmware.target import parse_target
from dunes.paths import find_paths
from dunes.sim.air import fleet as fleets
from dunes.sim.air.faults import Fault
from dunes.sim.air.firmware import fit_firmware
from dunes.sim.air.fleet import Fleet
from dunes.sim.definition import load_definition
from dunes.sim.sitefirmware import prepare_firmware
from dunes.site import Site

LINK_LOST = 0x08


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fleets, "OFF_S", 0.3)
    monkeypatch.setattr(reach, "QUIET_S", 1.5)
    monkeypatch.setattr(session, "SETTLE_S", 0.5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return prepare_firmware(tmp_path_factory.mktemp("site") / "firmware")


@pytest.fixture
def firmware(made, tmp_path):
    """The site's firmware, with boards that are new."""
    return str(shutil.copytree(made, tmp_path / "firmware"))


@pytest.fixture
def flashed(tmp_path, firmware):
    """Flash nodes of a small fleet; `meddle(fleet)` gives what is told the progress."""

    async def run(meddle, nodes, targets, listen_s, **more):
        now_us = SYSTEM_CLOCK.unix_us
        fleet = Fleet.make(
            load_definition("mars"), tmp_path / "air", start_us=now_us(), site_us=now_us,
            nodes=nodes,
        )  # fmt: skip
        servers = fit_firmware(fleet, type(tmp_path)(firmware))
        port = await fleet.start()
        site = Site("mars", firmware=firmware)
        home = find_paths({"DUNES_HOME": str(tmp_path / "home")})
        shelf = open_shelf(home, now_us(), site=site)
        variants = shelf.named(Wanted.parse("ble-mesh-v1.2"))
        given = {"force": None, "dry_run": False, "keep": True, "timeout_s": 30.0} | more
        flasher = Flasher(shelf, variants, **given, tell=meddle(fleet))
        radio = await open_hci(f"tcp-client:127.0.0.1:{port}", simulated=True)
        try:
            wanted = [parse_target(text) for text in targets]
            found, missing = await reach.by_radio(radio, wanted, listen_s)
            rows = await flasher.flash_all(found, 8)
            return rows, missing, servers
        finally:
            await radio.close()
            await fleet.stop()

    return lambda meddle, *, nodes=2, targets=(), listen_s=10.0, **more: asyncio.run(
        run(meddle, nodes, targets, listen_s, **more)
    )


def nothing(_fleet):
    return lambda _node, _stage, _done, _total: None


def once(act, *, at_bytes):
    """Make a meddler that acts once per node, when an upload has come so far."""

    def meddle(fleet):
        done_to = set()

        def tell(node, stage, done, _total):
            if stage is Stage.UPLOAD and done > at_bytes and node not in done_to:
                done_to.add(node)
                act(fleet, node)

        return tell

    return meddle


def test_all_nodes_in_reach_are_flashed_over_fewer_links_than_nodes(flashed):
    rows, missing, servers = flashed(nothing, nodes=6)
    assert {"updated": 6} == Counter(row.result for row in rows)
    assert [] == missing
    assert {("1.2.0", True)} == {
        (str(s.board.running.version), s.board.confirmed) for s in servers.values()
    }
    assert all(row.simulated and row.board == "simulated" for row in rows)


def test_a_link_that_drops_in_mid_upload_is_taken_up_again(flashed):
    drop = once(
        lambda fleet, node: fleet.nodes[node].peripheral.hang_up(LINK_LOST), at_bytes=20000
    )
    rows, _, _ = flashed(drop, targets=["rover-001"])
    assert [("updated", 1)] == [(row.result, row.breaks) for row in rows]
    assert rows[0].sent_bytes < 1.2 * 60679


def test_a_node_that_loses_power_in_mid_upload_gets_it_from_the_start(flashed):
    reboot = once(lambda fleet, node: fleet.order(node, Fault.REBOOT), at_bytes=20000)
    rows, _, _ = flashed(reboot, targets=["rover-001"])
    assert ["updated"] == [row.result for row in rows]
    assert rows[0].sent_bytes > 60679 + 15000


def test_a_node_that_dies_is_reported_and_the_others_go_on(flashed):
    def kill(fleet, node):
        if node == "rover-001":
            fleet.order(node, Fault.DEAD)

    rows, _, servers = flashed(once(kill, at_bytes=20000), nodes=3, timeout_s=8.0)
    results = {row.node: row.result for row in rows}
    assert "failed" == results.pop("rover-001")
    assert {"updated"} == set(results.values())
    assert "1.1.0" == str(servers["rover-001"].board.running.version)
    failed = next(row for row in rows if row.result == "failed")
    assert ("upload-broken", 69) == (failed.code, failed.exit)


def test_a_node_that_is_not_there_is_missing(flashed):
    rows, missing, _ = flashed(
        nothing, targets=["rover-001", "rover-077"], listen_s=2.0, dry_run=True
    )
    assert ["would-update"] == [row.result for row in rows]
    assert ["rover-077"] == [target.address for target in missing]


def test_two_nodes_of_one_name_have_to_be_told_apart(flashed):
    def twins(fleet):
        for node in fleet.nodes.values():
            node.peripheral.name = "twin"
            node.peripheral._scan_response = b"\x05\x09twin"
        return nothing(fleet)

    with pytest.raises(NotFound) as told:
        flashed(twins, targets=["twin"])
    assert "name-twice" == told.value.code
    assert "--device ble:" in told.value.hint
