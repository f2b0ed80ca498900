"""Trust and the mesh: nodes prove themselves by device keys; who is cut off is locked out."""

import json
import subprocess
import time

import pytest


@pytest.fixture
def mesh(typed):
    """A mesh of six simulated nodes, commissioned."""
    up = typed("dunes", "sim", "up", "--site", "lunar", "--nodes", "6")
    assert 0 == up.returncode, up.stderr
    made = typed("dunes", "mesh-init", "--nodes", "6", "--range", "300m")
    assert 0 == made.returncode, made.stderr
    yield
    typed("dunes", "sim", "down")


def test_nodes_prove_themselves_are_forbidden_and_locked_out(typed, mesh):
    proved = typed("sakina", "verify", "--scope", "telemetry", "--device", "relay-001", "--json")
    [verdict] = json.loads(proved.stdout)["devices"]
    assert (0, "mesh", True) == (proved.returncode, verdict["level"], verdict["simulated"]), (
        verdict
    )

    actuator = ("dunes", "mesh-send", "--device", "hab-sensor-001")
    assert 0 == typed("sakina", "restrict", "--device", "hab-sensor-001", "--action",
                      "actuator.command", "--reason", "being serviced").returncode  # fmt: skip
    refused = typed(*actuator, "--onoff", "on")
    assert (77, True) == (refused.returncode, "being serviced" in refused.stderr), refused.stderr
    assert 0 == typed(*actuator, "--get").returncode

    cut = typed("sakina", "quarantine", "relay-001", "--reason", "opened", "--force", "--json")
    report = json.loads(cut.stdout)
    assert (0, "locked-out", True) == (cut.returncode, report["mesh"], report["simulated"])
    nodes = json.loads(typed("dunes", "mesh-status", "--json").stdout)["nodes"]
    assert "relay-001" not in [node["name"] for node in nodes]
    gone = typed("sakina", "verify", "--scope", "telemetry", "--device", "relay-001", "--json")
    [verdict] = json.loads(gone.stdout)["devices"]
    wrong = [finding["text"] for finding in verdict["findings"] if not finding["ok"]]
    assert (1, True) == (gone.returncode, "it is in quarantine: opened" in wrong)


def test_a_look_at_the_counters_needs_a_listener_and_leaves_simulated_nodes_alone(
    typed, mesh, home, environment
):
    check = ("sakina", "reputation-check", "relay-001", "--gather", "--json")
    alone = typed(*check)
    assert (66, True) == (alone.returncode, "nobody listens to" in alone.stderr), alone.stderr
    listen = ("dunes", "mesh-listen", "--quiet")
    with subprocess.Popen(listen, env=environment, cwd=home) as listener:
        try:
            deadline_s = time.monotonic() + 30
            while (looked := typed(*check)).returncode and time.monotonic() < deadline_s:
                time.sleep(0.2)
        finally:
            listener.terminate()
    assert 0 == looked.returncode, looked.stderr
    assert "the mesh is simulated" in looked.stderr
    assert (0.5, 0) == tuple(json.loads(looked.stdout)["trust"][k] for k in ("score", "replays"))
