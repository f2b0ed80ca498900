"""`dunes simulate-disconnect` on a gateway with a real ground station: the uplink is held."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from dunes.clock import SYSTEM_CLOCK, rfc3339
from dunes.paths import find_paths
from dunes.uplink.hold import held

DUNES = [sys.executable, "-m", "dunes"]


class Station:
    """A gateway, a ground station, and a sensor that is read through a pipe."""

    def __init__(self, folder):
        self.folder = folder
        self.paths = find_paths({"DUNES_HOME": str(folder / "dunes")})
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DUNES_HOME": str(folder / "dunes"),
            "LC_ALL": "C.UTF-8",
        }

    def start(self, *argv, **how):
        return subprocess.Popen([*DUNES, *argv], env=self.env, cwd=self.folder, text=True, **how)

    def run(self, *argv):
        return subprocess.run(
            [*DUNES, *argv],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def measure(pipe, stop):
    """Write what a sensor measures, 50 times a second."""
    seq = 0
    while not stop.wait(0.02):
        seq += 1
        row = {
            "device": "hab-sensor-001",
            "kind": "co2",
            "value": 2400 + seq % 7,
            "unit": "ppm",
            "time": rfc3339(SYSTEM_CLOCK.unix_us()),
            "seq": seq,
        }
        pipe.write(json.dumps(row) + "\n")
        pipe.flush()


@pytest.fixture
def station(tmp_path):
    station = Station(tmp_path)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        ended(
            station.start(
                "mcp", "ground-station", "serve", "--data", "ground",
                "--listen", "127.0.0.1:0", "--json",
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
        ) as serving,
    ):  # fmt: skip
        where = json.loads(serving.stdout.readline())
        init = station.run(
            "mcp", "init", "--mesh-id", "lunar-ble-001", "--gateway-id", "gw-habitat",
            "--destination", f"earth-gs={where['url']}", "--tls-sha256", where["tls_sha256"],
            "--ground-key", "ground/station.pub.pem",
        )  # fmt: skip
        assert 0 == init.returncode, init.stderr
        enrolled = station.run(
            "mcp", "ground-station", "enroll", "gw-habitat", "--data", "ground",
            "--key", "dunes/gateway.pub.pem", "--api-key-file", "dunes/keys/api-key.secret",
        )  # fmt: skip
        assert 0 == enrolled.returncode, enrolled.stderr
        command = ("ingest", "--table", "lunar-data", "-")
        with ended(station.start(*command, stdin=subprocess.PIPE, **quiet)) as ingest:
            stop = threading.Event()
            sensor = threading.Thread(target=measure, args=(ingest.stdin, stop))
            sensor.start()
            while station.run("query", "--table", "lunar-data", "--limit", "1").returncode:
                time.sleep(0.1)
            yield station
            stop.set()
            sensor.join()


@contextlib.contextmanager
def ended(process):
    """End a process with the block."""
    with process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def test_the_uplink_of_a_real_gateway_is_held_and_judged_by_receipts(station):
    done = station.run("simulate-disconnect", "--duration", "3s", "--json")

    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert ("hold", False, "uplink") == (report["how"], report["simulated"], report["interface"])
    assert report["passed"]
    assert report["made"] >= 3 * 50 * 0.5
    assert report["buffered"] >= 3 * 50 * 0.5
    assert 0 == report["lost"]
    # what was made after the drain may still be on its way
    assert report["made"] == report["delivered"] + report["late"]
    assert 0 <= report["drain_s"] < 30
    assert report["duplicated"] is None
    assert held(station.paths, SYSTEM_CLOCK.unix_us()) is None
    assert "the uplink to earth-gs is held for 3 s" in done.stderr


def test_ctrl_c_releases_the_uplink(station):
    with station.start(
        "simulate-disconnect",
        "--duration",
        "1h",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as trial:
        deadline_s = time.monotonic() + 30
        while held(station.paths, SYSTEM_CLOCK.unix_us()) is None:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        trial.send_signal(signal.SIGINT)
        output, _ = trial.communicate(timeout=30)

    assert 130 == trial.returncode
    assert output.splitlines()[-1].startswith("INTERRUPTED")
    assert held(station.paths, SYSTEM_CLOCK.unix_us()) is None


def test_time_on_a_real_gateway_has_one_speed(station):
    done = station.run("simulate-disconnect", "--duration", "1m", "--speed", "60")

    assert 2 == done.returncode
    assert "one speed" in done.stderr
