"""kill -9 of ingest, sync and ground station at random moments: nothing lost, nothing twice.

Real programs over a link with a round trip of 40 ms. DUNES_FAULT_ROUNDS says how many
kills (default 6; 50 is the full trial, some two minutes).
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from random import Random

import pytest

from dunes.model import Priority
from dunes.secrets import load_secret
from dunes.settings import write_profile
from dunes.sim.line import Line
from dunes.sim.sky import Sky
from dunes.uplink.enroll import enroll
from dunes.uplink.grounddir import station_identity
from dunes.uplink.target import pin_key
from dunes.uplink.tls import find_certificate

ROUNDS = int(os.environ.get("DUNES_FAULT_ROUNDS", "6"))
RTT_S = 0.04
PATIENCE_S = 60.0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Programs:
    """The three programs under trial, each as a person would start it."""

    def __init__(self, gateway, ground_data, ground_port, feed):
        environ = {"PATH": os.environ["PATH"], **gateway.environ}
        mcp = [
            sys.executable,
            "-c",
            "import sys; from dunes_mcp.cli import main; sys.exit(main())",
        ]
        dunes = [sys.executable, "-m", "dunes"]
        self.environ = environ
        self.commands = {
            "ground": [
                *mcp, "ground-station", "serve",
                "--listen", f"127.0.0.1:{ground_port}", "--data", str(ground_data),
            ],
            "sync": [*mcp, "sync", "--buffer", "lunar-data", "--watch"],
            "ingest": [*dunes, "ingest", "--table", "lunar_telemetry", "--follow", str(feed)],
        }  # fmt: skip
        self.running = {}
        self.log = (feed.parent / "programs.log").open("wb")

    def start(self, name):
        self.running[name] = subprocess.Popen(
            self.commands[name],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def kill(self, name):
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def revive(self):
        """Start again what ended by itself, as a service manager does."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                self.start(name)

    def end(self):
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self.running.items():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"{name} did not end on SIGTERM") from None
            assert 0 == process.returncode, name
        self.log.close()


class Feed(threading.Thread):
    """Sensors that append to a file: routine readings, and an alert now and then."""

    def __init__(self, path):
        super().__init__()
        self.path, self.made, self.alerts, self.done = path, 0, 0, threading.Event()
        path.touch()

    def run(self):
        begin_us = 1_800_000_000_000_000
        with self.path.open("a") as file:
            while not self.done.wait(0.02):
                for _ in range(20):
                    self.made += 1
                    row = {"device": "hab-1", "kind": "co2", "value": 400.5, "unit": "ppm"}
                    row |= {"ts_us": begin_us + self.made * 1000, "seq": self.made}
                    row |= {"priority": "routine"}
                    file.write(json.dumps(row) + "\n")
                if self.made % 400 == 0:
                    self.alerts += 1
                    row = {"device": "hab-rad", "kind": "radiation", "value": 900.0}
                    row |= {"unit": "uSv/h", "ts_us": begin_us + self.made * 1000}
                    row |= {"seq": self.alerts, "priority": "alert"}
                    file.write(json.dumps(row) + "\n")
                file.flush()


@pytest.fixture
def link(loop):
    """Carry connections to a port over 20 ms each way."""
    skies = []

    async def up(port):
        sky = Sky(Line(delay_s=RTT_S / 2), Line(delay_s=RTT_S / 2))
        skies.append(sky)
        return await sky.listen("127.0.0.1", 0, ("127.0.0.1", port))

    yield lambda port: loop.run(up(port))
    for sky in skies:
        loop.run(sky.close())


def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(
    tmp_path, make_gateway, make_ground, link
):
    ground = make_ground()
    ground.stop()
    port = free_port()
    url = f"https://127.0.0.1:{link(port)}"
    gateway = make_gateway()
    station = station_identity(ground.data)
    enroll(
        ground.data,
        gateway.name,
        gateway.identity.signing.public.pem,
        load_secret(gateway.paths, "api-key"),
    )
    entry = {"url": url, "tls_sha256": find_certificate(ground.data, "127.0.0.1").sha256}
    write_profile(gateway.settings, {"uplink.destinations": {"earth-gs": entry}})
    pin_key(gateway.paths, "earth-gs", station.signing.public)
    feed = Feed(tmp_path / "feed.jsonl")
    programs = Programs(gateway, ground.data, port, feed.path)
    dice = Random(int(os.environ.get("DUNES_FAULT_SEED", "20")))
    feed.start()
    try:
        for name in programs.commands:
            programs.start(name)
        for _ in range(ROUNDS):
            time.sleep(dice.uniform(0.6, 2.0))
            name = dice.choice(list(programs.commands))
            programs.kill(name)
            programs.start(name)
            programs.revive()
        feed.done.set()
        feed.join()
        wanted = {Priority.ROUTINE: feed.made, Priority.ALERT: feed.alerts}
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and counts(ground) != wanted:
            time.sleep(0.3)
            programs.revive()
    finally:
        feed.done.set()
        feed.join()
        programs.end()
    said = (tmp_path / "programs.log").read_text(errors="replace")[-3000:]
    assert wanted == counts(ground), said
    assert list(range(1, feed.made + 1)) == ground.seqs(Priority.ROUTINE), said
    assert list(range(1, feed.alerts + 1)) == ground.seqs(Priority.ALERT), said
    with ground.buffer() as buffer:
        assert 1 == len(buffer.streams())


def counts(ground):
    with contextlib.suppress(Exception), ground.buffer() as buffer:
        total = dict.fromkeys((Priority.ROUTINE, Priority.ALERT), 0)
        for stream in buffer.streams():
            with buffer.reading() as connection:
                lanes = buffer.lanes(connection, stream)
            for lane in total:
                total[lane] += lanes[int(lane)].cum_msg
        return total
    return {}
