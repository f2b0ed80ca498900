"""`dunes demo`: the guide's story from nothing, once."""

import json
import subprocess
from pathlib import Path

import jsonschema

from dunes.sim.demo import Step, thresholds
from dunes.sim.example import SENSOR_DATA, example_document, example_readings
from dunes.sim.speedtest import Transfer

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_types_the_story_and_keeps_every_promise(typed, home, environment):
    done = subprocess.run(
        ["dunes", "demo", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    report = json.loads(done.stdout)
    kept = {each["name"]: each["passed"] for each in report["thresholds"]}
    # the wall clock belongs to whoever shares this machine
    assert {True} == {passed for name, passed in kept.items() if name != "duration"}, done.stderr
    assert done.returncode == (0 if kept["duration"] else 1)
    assert report["simulated"]
    assert report["rehearsal"]["made"] == report["rehearsal"]["delivered"] > 30
    assert 6 == report["rehearsal"]["mesh"]["nodes"], "telemetry came over the mesh"
    typed_lines = [step["typed"] for step in report["steps"] if step["exit"] is not None]
    for line in typed_lines:
        assert f"$ {line}\n" in done.stderr
    assert "dunes sim up --site lunar --nodes 6" == typed_lines[0]
    assert "dunes flash-node --firmware ble-mesh-v1.2" in typed_lines
    assert "dunes sim down" == typed_lines[-1]
    assert "mcp sync --buffer lunar-data --destination earth-gs" in typed_lines
    jsonschema.validate(report, json.loads(typed("dunes", "demo", "--schema").stdout))
    # all of it was in a home of its own
    assert not (home / "dunes").exists()
    assert "" == report["home"]


def test_an_unknown_story_is_refused(typed):
    done = typed("dunes", "demo", "--site", "venus")

    assert (2, "") == (done.returncode, done.stdout)


def judged(**changes):
    rehearsal = {
        "made": 100, "delivered": 100, "lost": 0, "duplicated": 0, "accepted_percent": 100.0,
        "accepted_looks": 50, "alerts": {"delay_max_s": 2.0, "after_restore_max_s": 6.0},
    } | changes  # fmt: skip
    steps = [Step("dunes sim up", 0, 1.0), Step("dunes x", None, 0.0, "not in this release")]
    found = thresholds(rehearsal, steps, Transfer(64_000_000, 0.5), 42.0)
    return {each.name for each in found if not each.passed}


def test_each_broken_promise_is_told():
    assert set() == judged()
    assert {"retention", "lost"} == judged(lost=1)
    assert {"delivery"} == judged(delivered=94)
    assert {"duplicated"} == judged(duplicated=1)
    assert {"local uptime"} == judged(accepted_percent=99.9)
    assert {"alert delay, after the outage"} == judged(
        alerts={"delay_max_s": 1.0, "after_restore_max_s": 60.0}
    )


def test_what_was_not_measured_is_not_kept():
    found = {each.name: each for each in thresholds({}, [], None, 1.0)}

    assert {"commands that failed", "duration"} == {n for n, t in found.items() if t.passed}
    assert found["uplink rate, simulated link"].measured is None


def test_a_failed_command_is_a_broken_promise():
    (failed,) = (
        each
        for each in thresholds({}, [Step("mcp sync", 75, 1.0)], None, 1.0)
        if each.name == "commands that failed"
    )
    assert (1.0, False) == (failed.measured, failed.passed)


def test_the_example_is_what_the_simulated_sensors_write():
    assert (ROOT / "examples" / SENSOR_DATA).read_text() == example_document()
    kinds = {reading.kind for reading in example_readings()}
    assert {"co2", "o2", "temperature", "pressure", "humidity", "radiation"} == kinds
