"""Ingest, sync, and the site with its receiver are killed at random; no reading may suffer.

Rounds: DUNES_KILL_ROUNDS (a few by default; the figure of 50 takes about two minutes).
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from dunes.paths import find_paths
from dunes.settings import load
from dunes.sim.control import LinkRequest, SiteControl
from dunes.sim.gatewayview import GatewayView
from dunes.sim.groundview import GroundView
from dunes.sim.judge import Judge
from dunes.sim.lifecycle import down, up
from dunes.sim.typed import Background, run_typed

ROUNDS = int(os.environ.get("DUNES_KILL_ROUNDS", "6"))
TABLE = "lunar_telemetry"
SPEED = 60.0


class Chain:
    """Sensors, ingest, sync and ground station, each a process that can be killed."""

    def __init__(self, folder):
        self.folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DUNES_HOME": str(folder / "dunes"),
        }
        self.paths = find_paths(self.environ)
        self.site = None
        self.raise_site()
        init = run_typed(
            "mcp init --starlink-router 192.168.1.1 --mesh-id lunar-ble-001",
            environ=self.environ,
            folder=folder,
            timeout_s=60,
        )
        assert 0 == init.exit, init.output
        self.ingest = Background(
            f"dunes ingest --table {TABLE} --follow {self.site.telemetry[TABLE]}",
            folder / "ingest.log",
        )
        self.sync = Background(
            "mcp sync --buffer lunar-data --destination earth-gs --watch", folder / "sync.log"
        )
        self.ingest.start(self.environ)
        gateway = GatewayView(load(self.environ, folder=folder), TABLE)
        while not gateway.count().written:
            assert self.ingest.exit is None, self.ingest.tail()
            time.sleep(0.05)
        gateway.close()
        self.sync.start(self.environ)

    def raise_site(self):
        self.site = up(self.paths, "lunar", SPEED).site
        self.control = SiteControl.of(self.site)
        self.control.request_link(LinkRequest(one_way_delay_s=0.02, jitter_s=0.0))

    def kill(self, victim):
        """Kill one of them and start it again at once."""
        if victim == "site":
            os.kill(self.site.pid, signal.SIGKILL)
            self.raise_site()
            return
        child = {"ingest": self.ingest, "sync": self.sync}[victim]
        child.kill()
        child.start(self.environ)

    def supervise(self):
        """Start what ended by itself, as systemd does: a sync begun while the site was down."""
        for child in (self.ingest, self.sync):
            if child.exit is not None:
                assert 69 == child.exit, child.tail()
                child.start(self.environ)

    def close(self):
        self.sync.stop()
        self.ingest.stop()
        down(self.paths)


@pytest.fixture
def chain(tmp_path):
    chain = Chain(tmp_path)
    yield chain
    chain.close()


def test_kills_at_random_lose_nothing_and_double_nothing(chain):
    dice = random.Random(1969)
    killed = []
    for _ in range(ROUNDS):
        time.sleep(dice.uniform(0.2, 1.5))
        killed.append(dice.choice(["ingest", "sync", "site"]))
        chain.supervise()
        chain.kill(killed[-1])

    made = chain.control.request_made().tables[TABLE]
    ground = GroundView.open(Path(chain.site.ground_data), TABLE)
    deadline_s = time.monotonic() + 90
    while True:
        chain.supervise()
        judge = Judge(dict.fromkeys(made, 0))
        for reading in ground.readings():
            judge.see(reading)
        if judge.newest_there(made) and not judge.missing(made):
            break
        assert time.monotonic() < deadline_s, (killed, judge.verdict(made))
        time.sleep(0.5)
    ground.close()

    verdict = judge.verdict(made)
    assert verdict.flawless, (killed, verdict)
    assert verdict.made > 1000
