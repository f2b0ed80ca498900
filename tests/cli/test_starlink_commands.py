"""init-starlink and starlink-status as typed, against a simulated site that this test is."""

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from dunes.sim.starlink import VirtualStarlink
from dunes.sim.starlink_sky import Planned

KEY = "lunar-mission-uuid"
GUIDE = ("dunes", "init-starlink", "--router-ip", "192.168.1.1", "--api-key", KEY)


class Site:
    """A running site, as `dunes.site` sees one."""

    def __init__(self, home: Path, starlink: VirtualStarlink) -> None:
        self.starlink = starlink
        self.heard: list[bytes] = []
        for device in (starlink.dish, starlink.router):
            device.handle = self.listen_to(device.handle)
        folder = home / "dunes/state/sim"
        folder.mkdir(parents=True)
        self.lock = os.open(folder / "site.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        described = {"name": "lunar", "endpoints": starlink.start()}
        (folder / "site.json").write_text(json.dumps(described))

    def listen_to(self, handle):
        """Keep what a device is told."""

        def heard(raw: bytes) -> bytes:
            self.heard.append(raw)
            return handle(raw)

        return heard

    def stop(self) -> None:
        self.starlink.stop()
        os.close(self.lock)


@pytest.fixture
def site(typed, home) -> Iterator[Site]:
    made = Site(home, VirtualStarlink(handover_share=0.0))
    yield made
    made.stop()


@pytest.fixture
def bypassed_site(typed, home) -> Iterator[Site]:
    made = Site(home, VirtualStarlink(bypassed=True))
    yield made
    made.stop()


def stored_key(home: Path) -> Path:
    return home / "dunes/keys/api-key.secret"


def profile(home: Path) -> dict:
    return json.loads((home / "dunes/profile.json").read_text())


def everything_under(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


# ---------------------------------------------------------------- init-starlink


def test_the_guides_line_finds_both_devices_and_writes_the_profile(typed, home, site):
    done = typed(*GUIDE)
    assert 0 == done.returncode, done.stderr
    assert 4 == sum(" ok " in line for line in done.stdout.splitlines())
    assert "these devices are simulated" in done.stdout
    written = profile(home)
    assert "192.168.1.1" == written["starlink"]["router_ip"]
    assert {"dish", "router"} == set(written["starlink"]["devices"])
    assert {"simulated": "lunar"} == written["site"]


def test_the_marsian_line_finds_the_router_at_its_other_address(typed, home, site):
    done = typed("dunes", "init-starlink", "--router-ip", "192.168.2.1", "--api-key", "mars")
    assert 0 == done.returncode, done.stderr
    assert "192.168.2.1" == profile(home)["starlink"]["router_ip"]


def test_its_json_is_what_its_schema_says(typed, site):
    done = typed(*GUIDE, "--json")
    report = json.loads(done.stdout)
    jsonschema.validate(report, json.loads(typed("dunes", "init-starlink", "--schema").stdout))
    assert ("dunes.init-starlink/1", True, True, "stored") == (
        report["schema"],
        report["simulated"],
        report["found"],
        report["api_key"],
    )


def test_the_key_is_stored_privately_and_shown_nowhere(typed, home, site):
    done = [typed(*GUIDE), typed(*GUIDE, "--json", "-v"), typed(*GUIDE, "--log-format", "json")]
    assert not any(KEY in text for d in done for text in (d.stdout, d.stderr))
    path = stored_key(home)
    assert (KEY, 0o600) == (path.read_text().strip(), stat.S_IMODE(path.stat().st_mode))
    holding = [p for p, content in everything_under(home).items() if KEY.encode() in content]
    assert [path] == holding


def test_the_key_is_never_sent_to_a_device(typed, site):
    typed(*GUIDE)
    assert len(site.heard) >= 4
    assert not any(KEY.encode() in raw for raw in site.heard)


def test_a_key_on_the_command_line_is_warned_of(typed, site):
    assert "can be seen with ps" in typed(*GUIDE).stderr


@pytest.mark.parametrize("way", ["stdin", "file", "environment", "credential"])
def test_the_better_ways_to_give_a_key_are_taken_without_a_warning(typed, home, site, way):
    key_file = home / "api-key"
    key_file.write_text(KEY + "\n")
    key_file.chmod(0o600)
    line, given, env = ["dunes", "init-starlink"], "", {}
    if way == "stdin":
        line, given = [*line, "--api-key", "-"], KEY + "\n"
    elif way == "file":
        line = [*line, "--api-key-file", str(key_file)]
    elif way == "environment":
        env = {"DUNES_API_KEY": KEY}
    else:
        env = {"CREDENTIALS_DIRECTORY": str(home)}
    done = typed(*line, given=given, **env)
    assert (0, "") == (done.returncode, done.stderr)
    assert KEY == stored_key(home).read_text().strip()


def test_a_second_run_changes_nothing(typed, home, site):
    typed(*GUIDE)
    first = everything_under(home / "dunes")
    assert 0 == typed(*GUIDE).returncode
    assert first == everything_under(home / "dunes")


def test_a_dry_run_reports_and_writes_nothing(typed, home, site):
    before = everything_under(home)
    done = typed(*GUIDE, "--dry-run")
    assert 0 == done.returncode
    assert "nothing was written" in done.stdout
    assert before == everything_under(home)


@pytest.mark.parametrize("transport", ["grpc", "grpc-web"])
def test_one_transport_can_be_asked_for(typed, home, site, transport):
    done = typed("dunes", "init-starlink", "--transport", transport, "--json")
    verdicts = json.loads(done.stdout)["verdicts"]
    assert {transport} == {v["transport"] for v in verdicts}
    assert transport == profile(home)["starlink"]["devices"]["dish"]["transport"]


def test_a_router_in_bypass_mode_is_fine_and_explained(typed, bypassed_site):
    done = typed("dunes", "init-starlink", "--timeout", "500ms", "--json")
    report = json.loads(done.stdout)
    assert (0, True) == (done.returncode, report["bypassed"])
    assert any("bypass mode" in note for note in report["notes"])
    assert ["ok", "ok", "timeout", "timeout"] == [v["verdict"] for v in report["verdicts"]]


def test_an_address_where_nothing_lives_says_so_and_writes_nothing(typed, home):
    # 127.0.0.9 answers with refusals on every machine
    done = typed(
        "dunes", "init-starlink", "--router-ip", "127.0.0.9", "--dish-ip", "127.0.0.9",
        "--api-key", KEY, "--timeout", "1s",
    )  # fmt: skip
    assert 69 == done.returncode
    assert 4 == done.stdout.count(" refused ")
    assert "dunes sim up" in done.stdout
    assert [] == [p for p in (home / "dunes").rglob("*") if p.is_file()]


def test_no_verify_just_writes(typed, home):
    done = typed(*GUIDE, "--no-verify")
    assert 0 == done.returncode
    assert "192.168.1.1" == profile(home)["starlink"]["router_ip"]
    assert KEY == stored_key(home).read_text().strip()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--router-ip", "http://192.168.1.1"], 2),
        (["--router-ip", "192.168.1.1:9000"], 2),
        (["--router-ip", "192.168.1.300"], 2),
        (["--transport", "carrier-pigeon"], 2),
        (["--timeout", "4"], 2),
        (["--api-key", ""], 65),
        (["--api-key", "x", "--api-key-file", "y"], 2),
        (["--api-key-file", "/none/such"], 66),
    ],
)
def test_what_cannot_be_is_refused_with_a_hint(typed, arguments, status):
    done = typed("dunes", "init-starlink", *arguments, "--json")
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert (status, status) == (done.returncode, error["exit"])


# ---------------------------------------------------------------- starlink-status


def test_an_up_link_is_zero(typed, site):
    done = typed("dunes", "starlink-status")
    assert 0 == done.returncode, done.stderr
    assert "link         up for " in done.stdout
    assert "utSIMULATED-00000001" in done.stdout


def test_status_json_is_what_its_schema_says(typed, site):
    report = json.loads(typed("dunes", "starlink-status", "--json").stdout)
    schema = json.loads(typed("dunes", "starlink-status", "--schema").stdout)
    jsonschema.validate(report, schema)
    assert ("dunes.starlink-status/1", "up", True) == (
        report["schema"],
        report["state"],
        report["simulated"],
    )


def test_a_cut_sky_is_75_with_its_cause(typed, site):
    half_a_minute_old = Planned(time.time() - 30, 3600, "OBSTRUCTED")
    site.starlink.world.change(lambda c: replace(c, sky=c.sky.with_outage(half_a_minute_old)))
    done = typed("dunes", "starlink-status", "--json")
    report = json.loads(done.stdout)
    assert (75, "down", "OBSTRUCTED") == (done.returncode, report["state"], report["cause"])


def test_the_state_survives_between_runs(typed, home, site):
    typed("dunes", "starlink-status")
    assert (home / "dunes/state/starlink-link-simulated.json").exists()
    site.starlink.stop()
    still = json.loads(typed("dunes", "starlink-status", "--timeout", "500ms", "--json").stdout)
    assert "up" == still["state"], "one missed answer is not an outage"
    assert "the port is closed" in still["trouble"]


def test_a_dish_that_never_answered_is_69(typed):
    env = {"DUNES_STARLINK_DISH_IP": "127.0.0.9", "DUNES_STARLINK_ROUTER_IP": "127.0.0.9"}
    done = typed("dunes", "starlink-status", "--timeout", "1s", **env)
    assert 69 == done.returncode
    assert "unreachable" in done.stdout


def test_watching_gives_a_line_a_second(typed, site):
    done = typed("dunes", "starlink-status", "--watch", "--for", "2500ms", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (0, 3) == (done.returncode, len(lines))
    assert [1, 0, 0] == [len(line["changes"]) for line in lines]


def test_a_state_that_cannot_be_kept_is_a_warning(typed, home, site):
    (home / "dunes/state/starlink-link-simulated.json").mkdir()
    done = typed("dunes", "starlink-status")
    assert 0 == done.returncode
    assert "starts anew" in done.stderr
