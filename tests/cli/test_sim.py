"""`dunes sim` as people and scripts type it."""

import json

import jsonschema
import pytest


@pytest.fixture
def sim(typed):
    """Run `dunes sim …`; whatever a test leaves up is ended."""
    yield lambda *argv: typed("dunes", "sim", *argv)
    typed("dunes", "sim", "down")


def test_a_site_goes_up_tells_how_it_is_and_goes_down(sim, home):
    up = sim("up", "--site", "lunar", "--speed", "60")
    assert (0, "") == (up.returncode, up.stderr)
    assert up.stdout.startswith("simulated site lunar is up (process ")
    assert "192.168.100.1:9200     → 127.0.0.1:" in up.stdout
    assert "ground       earth-gs, 1.32 s away, 20 Mbit/s" in up.stdout

    again = sim("up")
    assert 0 == again.returncode
    assert again.stdout.startswith("it was up before\nsimulated site lunar is up")
    assert "speed 60" in again.stdout

    status = sim("status", "--json")
    report = json.loads(status.stdout)
    assert 0 == status.returncode
    assert ("dunes.sim-status/1", True, "open") == (
        report["schema"],
        report["up"],
        report["sky"],
    )
    assert report["tables"]["lunar_telemetry"]["readings"] > 0
    assert report["simulated"]
    jsonschema.validate(report, json.loads(sim("status", "--schema").stdout))
    assert "token" not in status.stdout

    profile = json.loads((home / "dunes" / "profile.json").read_text())
    assert {"simulated": "lunar"} == profile["site"]

    down = sim("down")
    assert (0, "the simulated site has ended\n") == (down.returncode, down.stdout)
    assert "site" not in json.loads((home / "dunes" / "profile.json").read_text())


def test_without_a_site_status_says_no_and_down_does_nothing(sim):
    status = sim("status")
    assert (1, "no simulated site is up\n") == (status.returncode, status.stdout)

    down = sim("down", "--json")
    assert 0 == down.returncode
    assert not json.loads(down.stdout)["changed"]


@pytest.mark.parametrize(
    ("argv", "exit_", "said"),
    [
        (["up", "--site", "venus"], 66, "there is lunar, mars"),
        (["up", "--speed", "0"], 2, "speed 0 is not above 0"),
        (["up", "--speed", "1e9"], 2, "at most 3600"),
        (["up", "--speed", "nan"], 2, "speed nan"),
        (["up", "--speed", "fast"], 2, "fast"),
    ],
)
def test_what_cannot_be_started_is_refused(sim, argv, exit_, said):
    done = sim(*argv)

    assert exit_ == done.returncode
    assert said in done.stderr
    assert "" == done.stdout


def test_mars_has_rovers(sim):
    assert "speed 1)" in sim("up", "--site", "mars").stdout

    refused = sim("up", "--site", "lunar")
    assert 2 == refused.returncode
    assert "hint: dunes sim down && dunes sim up --site lunar" in refused.stderr
    assert "mars_telemetry" in json.loads(sim("status", "--json").stdout)["tables"]


def test_the_mesh_has_as_many_nodes_as_were_asked_for_and_lists_them(sim):
    up = sim("up", "--nodes", "4")
    assert "  mesh         4 nodes; the gateway's radio is hci:tcp-client:127.0.0.1:" in up.stdout

    listed = sim("nodes")
    assert 0 == listed.returncode
    assert "4 simulated nodes, 0 provisioned; radio hci:tcp-client:127.0.0.1:" in listed.stdout

    report = json.loads(sim("nodes", "--json").stdout)
    assert {"hab-sensor-001", "hab-sensor-002", "crew-001", "relay-001"} == set(report["nodes"])
    assert report["simulated"]
    jsonschema.validate(report, json.loads(sim("nodes", "--schema").stdout))

    again = sim("up", "--nodes", "5")
    assert 2 == again.returncode
    assert (
        "the site lunar is up with 4 nodes\nhint: dunes sim down && dunes sim up" in again.stderr
    )


def test_faults_are_ordered_and_ended(sim):
    sim("up", "--nodes", "3")
    ordered = sim("fault", "relay-001", "drop-segments", "--json")
    assert ["drop-segments"] == json.loads(ordered.stdout)["nodes"]["relay-001"]["faults"]
    ended = sim("fault", "relay-001", "--clear", "--json")
    assert [] == json.loads(ended.stdout)["nodes"]["relay-001"]["faults"]

    unknown = sim("fault", "relay-7", "late")
    assert 2 == unknown.returncode
    assert "no node 'relay-7' in the mesh; there is relay-001" in unknown.stderr
    neither = sim("fault", "relay-001")
    assert 2 == neither.returncode
    assert "name a fault, or --clear" in neither.stderr


def test_without_a_site_there_are_no_nodes(sim):
    for argv in (("nodes",), ("fault", "relay-001", "late")):
        done = sim(*argv)
        assert (66, "dunes: no simulated site is up\nhint: dunes sim up\n") == (
            done.returncode,
            done.stderr,
        )


def test_the_named_faults_are_those_that_there_are():
    from typing import get_args

    from dunes.commands.sim_mesh import KINDS, Kind
    from dunes.sim.air.faults import Fault

    assert {*Fault} == set(get_args(Kind))
    assert all(f" {each}," in KINDS or f" {each}." in KINDS for each in Fault)
