"""`mcp sync --watch`: what comes goes on, through outages, until somebody ends it."""

import json
import signal
import subprocess
import sys
import time

import pytest

from dunes.errors import TryLater
from dunes.model import Priority
from dunes.uplink.hold import LONGEST_US, clear_hold, held, hold_path, set_hold
from dunes.uplink.synclock import sync_lock

SYNC = "import sys; from dunes_mcp.cli import main; sys.exit(main())"


def now_us():
    return time.time_ns() // 1000


def wait_for(wanted, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def watching(gateway, ground):
    gateway.write(frames=1)
    process = subprocess.Popen(
        [sys.executable, "-c", SYNC, "sync", "--buffer", "lunar-data", "--watch", "--json"],
        env={**gateway.environ, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: len(ground.seqs()) == 3)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_it_delivers_what_comes_obeys_a_hold_and_ends_on_sigterm(watching, gateway, ground):
    gateway.write(frames=2)
    wait_for(lambda: len(ground.seqs()) == 9)
    set_hold(gateway.paths, now_us(), now_us() + 60_000_000, "a rehearsal")
    time.sleep(0.5)
    gateway.write(frames=1)
    gateway.write(frames=1, readings=1, lane=Priority.ALERT)
    time.sleep(1.0)
    assert (9, 0) == (len(ground.seqs()), len(ground.seqs(Priority.ALERT)))
    clear_hold(gateway.paths)
    wait_for(lambda: len(ground.seqs()) == 12 and ground.seqs(Priority.ALERT) == [1])
    began = time.monotonic()
    gateway.write(frames=1, readings=1, lane=Priority.ALERT)
    wait_for(lambda: ground.seqs(Priority.ALERT) == [1, 2])
    assert time.monotonic() - began < 5.0
    wait_for(lambda: gateway.stored_frames() == 0)  # its receipt is here, too
    watching.send_signal(signal.SIGTERM)
    out, err = watching.communicate(timeout=15)
    assert 0 == watching.returncode, err
    last = json.loads(out.splitlines()[-1])
    assert ("dunes.mcp-sync/1", 14) == (last["schema"], last["readings"])
    assert list(range(1, 13)) == ground.seqs()


def test_a_ground_station_that_goes_away_and_comes_back_is_waited_for(watching, gateway, ground):
    ground.stop()
    gateway.write(frames=2)
    time.sleep(1.0)
    assert watching.poll() is None
    ground.start()
    wait_for(lambda: len(ground.seqs()) == 9)


def test_one_sync_of_a_table_to_a_destination_at_a_time(gateway):
    gateway.write()
    with (
        sync_lock(gateway.paths, "lunar_telemetry", "earth-gs"),
        pytest.raises(TryLater, match=r"another sync of lunar_telemetry to earth-gs .*process \d"),
    ):
        gateway.sync()
    assert gateway.sync().complete


def test_a_hold_ends_by_itself_and_does_not_outlast_a_clock_that_goes_back(gateway):
    assert held(gateway.paths, 5) is None
    set_hold(gateway.paths, 100, 200, "trial")
    assert "trial" == held(gateway.paths, 150).reason
    assert [None, None] == [held(gateway.paths, at) for at in (99, 200)]
    assert 100 + LONGEST_US == set_hold(gateway.paths, 100, 2**62, "for ever").until_us
    assert [True, False] == [clear_hold(gateway.paths) for _ in range(2)]
    assert not hold_path(gateway.paths).exists()
