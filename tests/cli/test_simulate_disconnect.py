"""`dunes simulate-disconnect` on the simulated site, with programs that fail on purpose."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from dunes.buffer.intake.lock import follow_lock
from dunes.paths import find_paths
from dunes.sim.control import LinkRequest, SiteControl
from dunes.sim.lifecycle import down, up
from dunes.site import running_site

DUNES = [sys.executable, "-m", "dunes"]


class World:
    """A home with a site that is up, and a gateway that its ground station knows."""

    def __init__(self, folder):
        self.folder = folder
        self.paths = find_paths({"DUNES_HOME": str(folder / "dunes")})
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DUNES_HOME": str(folder / "dunes"),
            "LC_ALL": "C.UTF-8",
        }

    def run(self, *argv, given=None, timeout_s=90):
        return subprocess.run(
            [*DUNES, *argv],
            env=self.env,
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *argv, **how):
        return subprocess.Popen([*DUNES, *argv], env=self.env, cwd=self.folder, text=True, **how)

    def outage(self, *more, duration="2m"):
        done = self.run(
            "simulate-disconnect", "--duration", duration, "--speed", "60", "--json", *more
        )
        return done, json.loads(done.stdout) if done.stdout else None

    @property
    def control(self):
        return SiteControl.of(running_site(self.paths))

    def wait_for_cut(self):
        deadline_s = time.monotonic() + 40
        while self.control.request_state().cut is None:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)

    def nobody_follows(self, file, table="lunar_telemetry"):
        """Say whether the follow lock of a file is free."""
        from dunes.errors import TryLater

        try:
            with follow_lock(self.paths, Path(file), table):
                return True
        except TryLater:
            return False


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("outage"))
    site = up(world.paths, "lunar").site
    SiteControl.of(site).request_link(LinkRequest(one_way_delay_s=0.02, jitter_s=0.0))
    done = world.run(
        "mcp", "init", "--starlink-router", "192.168.1.1", "--mesh-id", "lunar-ble-001"
    )
    assert 0 == done.returncode, done.stderr
    yield world
    down(world.paths)


def test_an_outage_harms_no_reading(world):
    done, report = world.outage(duration="10m")

    assert 0 == done.returncode, done.stderr
    assert report["passed"]
    assert report["made"] == report["delivered"]
    # ten minutes at some 76 readings a second, and what was made until the account closed
    assert 600 * 76 * 0.9 < report["made"]
    assert (0, 0, 0) == (report["lost"], report["duplicated"], report["late"])
    assert report["buffered"] > 0.8 * 600 * 76
    assert 10.0 == pytest.approx(report["outage_s"], abs=0.3)
    assert 0 < report["drain_s"] < 30
    assert report["longest_gap_s"] < 1.5
    assert report["alerts"]["hit_by_outage"] >= 2
    assert report["alerts"]["delay_max_s"] < 3
    assert report["alerts"]["after_restore_max_s"] <= report["drain_s"] + 2.0
    assert report["accepted_percent"] > 90
    assert [
        "dunes ingest --table lunar_telemetry --follow "
        + running_site(world.paths).telemetry["lunar_telemetry"],
        "mcp sync --buffer lunar-data --destination earth-gs --watch",
    ] == report["started"]
    assert "link down" in done.stderr
    jsonschema.validate(report, json.loads(world.run("simulate-disconnect", "--schema").stdout))
    state = world.control.request_state()
    assert (None, 1.0) == (state.cut, state.speed)
    assert world.nobody_follows(running_site(world.paths).telemetry["lunar_telemetry"])


def test_a_reset_outage_on_the_crew_says_so_in_words(world):
    done = world.run(
        "simulate-disconnect", "--duration", "1m", "--speed", "60", "--table", "vitals-data",
        "--mode", "reset", "--cause", "OBSTRUCTED",
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    said = done.stdout.splitlines()
    assert "outage of 1m 0s, sky cut: vitals_data → earth-gs (lunar, simulated)" == said[0]
    assert "  lost         0" in said
    assert "PASS: nothing lost, nothing twice" == said[-1]


def test_programs_that_run_already_are_used_and_left_alone(world):
    feed = running_site(world.paths).telemetry["lunar_telemetry"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with world.start("ingest", "--table", "lunar_telemetry", "--follow", feed, **quiet) as ingest:
        while world.nobody_follows(feed):
            time.sleep(0.05)
        try:
            done, report = world.outage(duration="1m")
            assert 0 == done.returncode, done.stderr
            assert ["mcp sync --buffer lunar-data --destination earth-gs --watch"] == report[
                "started"
            ]
            assert ingest.poll() is None
        finally:
            ingest.send_signal(signal.SIGINT)


def test_a_reading_that_ingest_loses_is_found(world):
    """Control: somebody else reads the sensors' file and drops one reading."""
    site = running_site(world.paths)
    feed = Path(site.telemetry["lunar_telemetry"])
    lost = {}

    with follow_lock(world.paths, feed, "lunar_telemetry"):
        piped = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
        }
        ingest = world.start("ingest", "--table", "lunar_telemetry", "-", **piped)
        trial = world.start(
            "simulate-disconnect", "--duration", "2m", "--speed", "60", "--json",
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        since = None
        with feed.open() as file:
            file.seek(0, os.SEEK_END)
            while trial.poll() is None:
                line = file.readline()
                if not line:
                    ingest.stdin.flush()
                    since = since or begin_of_cut(world)
                    time.sleep(0.02)
                    continue
                row = json.loads(line)
                if since is not None and not lost and row["time"] > since:
                    lost = {"device": row["device"], "seq": row["seq"]}
                    continue
                ingest.stdin.write(line)
        output = trial.stdout.read()
        trial.stdout.close()
        ingest.stdin.close()
        ingest.wait(20)

    report = json.loads(output)
    assert 1 == trial.returncode
    assert not report["passed"]
    assert (1, 0) == (report["lost"], report["duplicated"])
    assert report["delivered"] == report["made"] - 1
    assert [{"device": lost["device"], "first": lost["seq"], "last": lost["seq"]}] == report[
        "missing_runs"
    ]


def begin_of_cut(world):
    """Give the site time at which the sky was cut; None while it is open."""
    cut = world.control.request_state().cut
    return None if cut is None else cut.since


def test_readings_that_are_ingested_twice_are_found(world):
    """Control: the sensors' file is taken in a second time, as a plain file."""
    feed = running_site(world.paths).telemetry["lunar_telemetry"]
    with world.start(
        "simulate-disconnect", "--duration", "2m", "--speed", "60", "--json",
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as trial:  # fmt: skip
        world.wait_for_cut()
        time.sleep(0.5)
        tail = Path(feed).read_text().splitlines()[-20:]
        again = world.run(
            "ingest", "--table", "lunar_telemetry", "-", given="".join(f"{x}\n" for x in tail)
        )
        assert 0 == again.returncode, again.stderr
        output, _ = trial.communicate(timeout=90)

    report = json.loads(output)
    assert 1 == trial.returncode
    assert not report["passed"]
    assert (0, 20) == (report["lost"], report["duplicated"])


def test_ctrl_c_restores_the_sky_and_tells_what_is_so_far(world):
    with world.start(
        "simulate-disconnect", "--duration", "1h", "--speed", "60", "--json",
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as trial:  # fmt: skip
        world.wait_for_cut()
        time.sleep(1.0)
        trial.send_signal(signal.SIGINT)
        output, _ = trial.communicate(timeout=60)

    report = json.loads(output)
    assert 130 == trial.returncode
    assert (True, False) == (report["interrupted"], report["passed"])
    assert 0 == report["lost"]
    assert report["made"] == report["delivered"] + report["late"]
    state = world.control.request_state()
    assert (None, 1.0) == (state.cut, state.speed)
    assert world.nobody_follows(running_site(world.paths).telemetry["lunar_telemetry"])


def test_an_outage_whose_rehearsal_is_killed_ends_by_itself(world):
    feed = running_site(world.paths).telemetry["lunar_telemetry"]
    trial = world.start(
        "simulate-disconnect", "--duration", "3m", "--speed", "60",
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    world.wait_for_cut()
    begin_s = time.monotonic()
    trial.kill()
    trial.wait()
    while world.control.request_state().cut is not None:
        assert time.monotonic() < begin_s + 10
        time.sleep(0.05)
    world.control.request_speed(1.0)
    # ingest and sync, which it had started, have ended with it
    while not world.nobody_follows(feed):
        assert time.monotonic() < begin_s + 20
        time.sleep(0.05)


def test_a_site_that_dies_in_the_outage_is_an_error_not_a_verdict(world):
    with world.start(
        "simulate-disconnect", "--duration", "1h", "--speed", "60",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as trial:  # fmt: skip
        world.wait_for_cut()
        site = running_site(world.paths)
        os.kill(site.pid, signal.SIGKILL)
        output, said = trial.communicate(timeout=60)

    assert (69, "") == (trial.returncode, output)
    assert "the simulated site does not answer" in said
    assert world.nobody_follows(site.telemetry["lunar_telemetry"])
    # the story goes on where it broke off: nothing is lost, nothing comes twice
    up(world.paths, "lunar")
    world.control.request_link(LinkRequest(one_way_delay_s=0.02, jitter_s=0.0))
    done, report = world.outage(duration="1m")
    assert (0, True) == (done.returncode, report["passed"]), done.stderr


@pytest.mark.parametrize(
    ("argv", "exit_", "said"),
    [
        (["--duration", "0s"], 2, "an outage of 0s is none"),
        (["--duration", "10"], 2, "no unit"),
        (["--table", "mars_telemetry"], 2, "--table lunar_telemetry or vitals_data"),
        (["--destination", "mars-gs"], 66, "no destination"),
        (["--interface", "wifi", "--duration", "1s"], 2, "there is starlink"),
        (["--speed", "-1"], 2, "not above 0"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused(world, argv, exit_, said):
    done = world.run("simulate-disconnect", *argv)

    assert exit_ == done.returncode
    assert said in done.stderr
    assert world.control.request_state().cut is None


def test_a_gateway_that_the_ground_does_not_know_is_sent_to_init(tmp_path):
    world = World(tmp_path)
    up(world.paths, "mars")
    try:
        done = world.run("simulate-disconnect", "--duration", "1m", "--speed", "60")
    finally:
        down(world.paths)

    assert 78 == done.returncode
    assert "hint: mcp init --starlink-router 192.168.2.1 --mesh-id mars-ble-001" in done.stderr


def test_without_a_site_and_a_ground_station_there_is_nothing_to_cut(tmp_path):
    done = World(tmp_path).run("simulate-disconnect", "--duration", "10m")

    assert (69, "") == (done.returncode, done.stdout)
    assert "hint: dunes sim up" in done.stderr
