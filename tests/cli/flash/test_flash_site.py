"""`dunes flash-node` through the air of the simulated site, as the guide types it.

One site for all tests, and for each test nodes of its own.
"""

import json
import subprocess
import sysconfig

import pytest
from flash_typed import flash, only, udp

SCRIPTS = sysconfig.get_path("scripts")
MESH = "crew-001"
TRIAL = "relay-001"


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """Type in a home where Mars with four nodes is up."""
    home = tmp_path_factory.mktemp("mars")
    environment = {
        "PATH": f"{SCRIPTS}:/usr/bin:/bin",
        "HOME": str(home),
        "DUNES_HOME": str(home / "dunes"),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
    }

    def run(*argv):
        return subprocess.run(
            argv,
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    up = run("dunes", "sim", "up", "--site", "mars", "--nodes", "4")
    assert 0 == up.returncode, up.stderr
    yield run
    run("dunes", "sim", "down")


def dry(typed, firmware, *more):
    """Ask nodes what they run; gives that by node."""
    report = flash(typed, "--firmware", firmware, "--dry-run", *more)[1]
    return {row["node"]: row["before"] for row in report["nodes"]}


def test_all_nodes_in_reach_are_seen_and_nothing_is_changed_by_looking(typed):
    found = dry(typed, "ble-mesh-v1.2")
    assert {"rover-001", MESH, TRIAL} <= set(found)
    assert 4 == len(found)


def test_a_node_is_flashed_as_the_guide_types_it(typed):
    done = typed("dunes", "flash-node", "--firmware", "ble-mesh-v1.2", "--device", "rover-001")
    assert 0 == done.returncode, done.stderr
    assert "ble-mesh-v1.2: 1 of 1 updated, 0 failed (simulated nodes)\n" in done.stdout
    exit_, report, _ = flash(typed, "--firmware", "ble-mesh-v1.1", "--device", "rover-001")
    assert (77, "firmware-downgrade") == (exit_, only(report)["code"])


def test_a_node_is_part_of_its_mesh_still_after_an_update(typed):
    init = typed("dunes", "mesh-init", "--nodes", "4", "--range", "100m", "--power-mode", "low")
    assert 0 == init.returncode, init.stderr
    argv = ("--device", MESH, "--force", "downgrade")
    exit_, report, _ = flash(typed, "--firmware", "ble-mesh-v1.2", *argv)
    assert (0, "updated") == (exit_, only(report)["result"])
    sent = typed("dunes", "mesh-send", "--device", MESH, "--onoff", "on", "--json")
    assert 0 == sent.returncode, sent.stderr
    answer = json.loads(sent.stdout)
    assert (True, {"onoff": "on"}) == (answer["acknowledged"], answer["state"])


def test_a_trial_ends_when_the_node_loses_its_power(typed):
    argv = ("--firmware", "ble-mesh-v1.2", "--device", TRIAL)
    assert "on-trial" == only(flash(typed, *argv, "--no-confirm")[1])["result"]
    assert {TRIAL: "1.2.0"} == dry(typed, "ble-mesh-v1.2", "--device", TRIAL)
    fault = typed("dunes", "sim", "fault", TRIAL, "reboot")
    assert 0 == fault.returncode, fault.stderr
    assert {TRIAL: "1.1.0"} == dry(typed, "ble-mesh-v1.2", "--device", TRIAL)


def test_firmware_of_the_site_is_for_no_real_board_whatever_is_forced(typed, board):
    argv = ("--firmware", "ble-mesh-v1.2", "--device", udp(board()))
    for force in ((), ("--force", "other-board")):
        exit_, report, _ = flash(typed, *argv, *force)
        assert (77, "firmware-simulated") == (exit_, only(report)["code"])


def test_a_node_that_is_not_there_is_not_heard(typed):
    argv = ("--firmware", "ble-mesh-v1.2", "--device", "rover-999", "--timeout", "2s")
    exit_, report, _ = flash(typed, *argv)
    assert (69, "node-not-heard") == (exit_, only(report)["code"])


def test_what_the_nodes_run_outlives_the_site_and_its_firmware_is_a_strangers_without_it(typed):
    listed = json.loads(typed("dunes", "firmware", "list", "--json").stdout)
    assert {True} == {row["believed"] for row in listed["firmware"]}
    folder = listed["firmware"][0]["source"]
    before = dry(typed, "ble-mesh-v1.2", "--device", "rover-001")
    typed("dunes", "sim", "down")
    alone = typed("dunes", "firmware", "list", "--json", "--catalogue", folder)
    assert {False} == {row["believed"] for row in json.loads(alone.stdout)["firmware"]}
    typed("dunes", "sim", "up", "--site", "mars", "--nodes", "4")
    assert before == dry(typed, "ble-mesh-v1.2", "--device", "rover-001")
