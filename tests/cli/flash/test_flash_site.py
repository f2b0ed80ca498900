"""`dunes flash-node` through the air of the simulated site, as the guide types it."""

import json

import pytest
from flash_typed import flash, only, udp


@pytest.fixture
def site(typed):
    """Mars with three nodes."""

    def up():
        done = typed("dunes", "sim", "up", "--site", "mars", "--nodes", "3")
        assert 0 == done.returncode, done.stderr

    up()
    yield up
    typed("dunes", "sim", "down")


def state(typed):
    done = typed("dunes", "flash-node", "--firmware", "ble-mesh-v1.2", "--dry-run", "--json")
    return {row["node"]: row["before"] for row in json.loads(done.stdout)["nodes"]}


def test_the_nodes_of_the_site_are_flashed_as_the_guide_types_it(typed, site):
    done = typed("dunes", "flash-node", "--firmware", "ble-mesh-v1.2", "--device", "rover-001")
    assert 0 == done.returncode, done.stderr
    assert "ble-mesh-v1.2: 1 of 1 updated, 0 failed (simulated nodes)\n" in done.stdout

    exit_, report, _ = flash(typed, "--firmware", "ble-mesh-v1.2")
    assert (0, 2, 0, True) == (
        exit_, report["updated"], report["failed"], report["simulated"],
    )  # fmt: skip
    results = {row["node"]: row["result"] for row in report["nodes"]}
    assert "up-to-date" == results.pop("rover-001")
    assert ["updated", "updated"] == list(results.values())
    assert {"1.2.0"} == set(state(typed).values())

    older = ("--firmware", "ble-mesh-v1.1")
    exit_, report, _ = flash(typed, *older)
    assert (0, {"newer"}) == (exit_, {row["result"] for row in report["nodes"]})
    exit_, report, _ = flash(typed, *older, "--device", "rover-001")
    assert (77, "firmware-downgrade") == (exit_, only(report)["code"])

    typed("dunes", "sim", "down")
    site()
    assert {"1.2.0"} == set(state(typed).values())


def test_a_node_is_part_of_its_mesh_still_after_an_update(typed, site):
    init = typed("dunes", "mesh-init", "--nodes", "3", "--range", "100m", "--power-mode", "low")
    assert 0 == init.returncode, init.stderr
    exit_, report, _ = flash(typed, "--firmware", "ble-mesh-v1.2", "--device", "rover-001")
    assert (0, "updated") == (exit_, only(report)["result"])
    sent = typed("dunes", "mesh-send", "--device", "rover-001", "--onoff", "on", "--json")
    assert 0 == sent.returncode, sent.stderr
    answer = json.loads(sent.stdout)
    assert (True, {"onoff": "on"}) == (answer["acknowledged"], answer["state"])


def test_a_trial_ends_when_the_node_loses_its_power(typed, site):
    argv = ("--firmware", "ble-mesh-v1.2", "--device", "rover-001")
    assert "on-trial" == only(flash(typed, *argv, "--no-confirm")[1])["result"]
    assert "1.2.0" == state(typed)["rover-001"]
    typed("dunes", "sim", "down")
    site()
    assert "1.1.0" == state(typed)["rover-001"]


def test_firmware_of_the_site_is_for_no_real_board_whatever_is_forced(typed, site, board):
    argv = ("--firmware", "ble-mesh-v1.2", "--device", udp(board()))
    for force in ((), ("--force", "other-board"), ("--force", "stranger")):
        exit_, report, _ = flash(typed, *argv, *force)
        assert (77, "firmware-simulated") == (exit_, only(report)["code"])


def test_firmware_of_the_site_is_a_strangers_when_the_site_is_gone(typed, site, home):
    listed = json.loads(typed("dunes", "firmware", "list", "--json").stdout)
    assert {True} == {row["believed"] for row in listed["firmware"]}
    folder = listed["firmware"][0]["source"]
    typed("dunes", "sim", "down")
    listed = typed("dunes", "firmware", "list", "--json", "--catalogue", folder)
    assert {False} == {row["believed"] for row in json.loads(listed.stdout)["firmware"]}


def test_a_node_that_is_not_there_is_not_heard(typed, site):
    argv = ("--firmware", "ble-mesh-v1.2", "--device", "rover-999", "--timeout", "2s")
    exit_, report, _ = flash(typed, *argv)
    assert (69, "node-not-heard") == (exit_, only(report)["code"])
