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
