"""`dunes simulate-disconnect` while telemetry comes over the site's mesh."""

import json

import jsonschema
import pytest

NODES = 12


@pytest.fixture
def gateway(typed):
    """A gateway with a mesh of its own, known to the site's ground station."""
    for line in (
        f"dunes sim up --nodes {NODES}",
        "dunes init-starlink --router-ip 192.168.1.1 --api-key lunar-mission-uuid",
        f"dunes mesh-init --nodes {NODES} --range 1000m --power-mode low",
        "mcp init --starlink-router 192.168.1.1 --mesh-id lunar-ble-001",
    ):
        done = typed(*line.split())
        assert 0 == done.returncode, done.stderr
    yield typed
    typed("dunes", "sim", "down")


def outage(gateway, duration):
    done = gateway(
        "dunes", "simulate-disconnect", "--duration", duration, "--speed", "60", "--json"
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_an_outage_over_the_mesh_loses_nothing_that_was_heard(gateway):
    status, report = outage(gateway, "3m")
    schema = json.loads(gateway("dunes", "simulate-disconnect", "--schema").stdout)
    jsonschema.validate(report, schema)
    assert (0, True) == (status, report["passed"]), report
    assert (0, 0, 0) == (report["lost"], report["late"], report["duplicated"])
    assert report["made"] == report["delivered"] > 100
    mesh = report["mesh"]
    assert ("lunar-ble-001", NODES) == (mesh["mesh_id"], mesh["nodes"])
    assert mesh["heard_percent"] >= 95.0
    assert mesh["reports"] > 20
    assert report["alerts"]["delivered"] > 0, "the storm raises radiation"
    assert any(line.startswith("dunes mesh-listen") for line in report["started"])

    for name in json.loads(gateway("dunes", "sim", "nodes", "--json").stdout)["nodes"]:
        done = gateway("dunes", "sim", "fault", name, "drop-messages")
        assert 0 == done.returncode, done.stderr
    status, report = outage(gateway, "1m")
    assert (1, False) == (status, report["passed"]), "a mesh that loses reports is said to"
    assert report["mesh"]["heard_percent"] < 95.0
    assert (0, 0) == (report["lost"], report["duplicated"]), "what was heard is all there"
