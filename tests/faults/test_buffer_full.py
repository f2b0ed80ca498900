"""A full disk and a full quota: it is said, alerts are kept, and it mends itself."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from dunes.buffer.ack import AckedLane, apply_receipt
from dunes.buffer.appender import Appender, State
from dunes.buffer.store import Buffer
from dunes.buffer.verify import Checks, check
from dunes.clock import Clock
from dunes.errors import StorageFull
from dunes.model import Priority, Reading

TABLE = "lunar_telemetry"
DISK_BYTES = 24 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs mount(8)")
    if done.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill_up(path: Path, leave_bytes: int = 0) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except OSError:
        os.ftruncate(descriptor, max(0, os.fstat(descriptor).st_size - leave_bytes))
    finally:
        os.close(descriptor)


class Feeder:
    """Appends readings that do not compress, and counts them."""

    def __init__(self, buffer):
        self.states = []
        self.appender = Appender(
            buffer, TABLE, on_state=lambda state, text: self.states.append((state, text))
        )
        self.dice, self.made = Random(1), [0, 0, 0]

    def feed(self, n, priority, per_commit=100):
        for i in range(n):
            text = self.dice.randbytes(60).hex()
            self.appender.add(
                Reading("d-1", "note", text, "", self.made[priority], Priority(priority))
            )
            self.made[priority] += 1
            if i % per_commit == per_commit - 1:
                self.appender.commit()
        self.appender.commit()


def lanes(buffer):
    with buffer.reading() as connection:
        return buffer.lanes(connection, buffer.streams()[0])


def judge(buffer, feeder):
    """All alerts are there, and everything else is there or accounted for."""
    report = check(buffer, TABLE, Checks(deep=True))
    assert [] == report.findings
    found = lanes(buffer)
    assert (feeder.made[0], 0, 0) == (found[0].msgs, found[0].dropped_msgs, found[0].refused_msgs)
    routine = found[2]
    assert feeder.made[2] == routine.msgs + routine.dropped_msgs + routine.refused_msgs


def test_on_a_full_disk_the_oldest_routine_frames_give_way(disk):
    with Buffer.open(f"sqlite:///{disk}/b.db", "gw-1") as buffer:
        feeder = Feeder(buffer)
        assert (disk / "b.db.reserve").exists()
        feeder.feed(30_000, 2)
        fill_up(disk / "other")
        for _ in range(60):
            feeder.feed(500, 2)
            feeder.feed(1, 0)
        states = [state for state, _ in feeder.states]
        assert [State.EVICTING] == states
        assert "the disk is full" in feeder.states[0][1]
        assert lanes(buffer)[2].dropped_msgs > 0
        assert 60 == lanes(buffer)[0].msgs
        judge(buffer, feeder)


def test_on_a_full_disk_alerts_are_kept_and_it_mends_itself(disk):
    now = [1000.0]
    clock = Clock(lambda: now[0], lambda: round(now[0] * 1e6))
    with Buffer.open(f"sqlite:///{disk}/b.db", "gw-1", clock=clock) as buffer:
        feeder = Feeder(buffer)
        feeder.feed(5_000, 0)  # nothing that may give way
        fill_up(disk / "other")
        while State.DISK_FULL not in [state for state, _ in feeder.states]:
            feeder.feed(1000, 2, per_commit=1000)
            feeder.feed(1, 0)
        assert feeder.appender.totals.refused[2] > 0
        feeder.feed(20, 0, per_commit=1)  # the reserve has room for alerts
        (disk / "other").unlink()
        now[0] += 2
        feeder.feed(100, 2)
        now[0] += 20
        feeder.feed(100, 2)
        now[0] += 20
        feeder.feed(100, 2)
        assert State.OK is feeder.states[-1][0]
        assert (disk / "b.db.reserve").exists()
        judge(buffer, feeder)


def test_alerts_for_which_there_is_no_room_at_all_wait(disk):
    with Buffer.open(f"sqlite:///{disk}/b.db", "gw-1") as buffer:
        feeder = Feeder(buffer)
        (disk / "b.db.reserve").unlink()
        fill_up(disk / "other")
        with pytest.raises(StorageFull, match="no space left"):
            feeder.feed(100_000, 0)
        waiting = len(feeder.appender)
        assert waiting > 0
        (disk / "other").unlink()
        feeder.appender.commit()
        feeder.made[0] = lanes(buffer)[0].msgs
        assert 0 == len(feeder.appender)
        judge(buffer, feeder)


def test_a_file_size_limit_is_met_and_raised_under_a_running_ingest(tmp_path):
    """No root needed: the kernel's limit on file sizes stands in for a full disk."""
    environ = os.environ | {"DUNES_HOME": str(tmp_path / "home")}
    source = tmp_path / "in.jsonl"
    dice = Random(2)

    def write(n, priority):
        with source.open("a") as file:
            for i in range(n):
                row = {"device": "d-1", "kind": "note", "value": dice.randbytes(60).hex()}
                file.write(json.dumps(row | {"ts_us": i, "priority": priority}) + "\n")

    write(10, "alert")
    limit = 1_000_000

    def lower():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    command = [sys.executable, "-m", "dunes", "ingest", "--table", TABLE, "--follow"]
    process = subprocess.Popen(
        [*command, str(source)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lower,  # noqa: PLW1509 - no thread runs here
    )
    try:
        write(30_000, "alert")  # alerts: nothing may give way, nothing may be refused
        said = ""
        while "waiting for room" not in said:
            said += process.stderr.readline()
        assert "no space left" in said
        resource.prlimit(
            process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
        while "there is room again" not in said:
            said += process.stderr.readline()
        write(5, "alert")
        with Buffer.open(f"sqlite:///{tmp_path}/home/data/buffer.db") as buffer:
            until_s = time.monotonic() + 20
            while lanes(buffer)[0].msgs < 30_015 and time.monotonic() < until_s:
                time.sleep(0.05)
    finally:
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert (0, True) == (process.returncode, "30,015 readings" in out), out + err
    with Buffer.open(f"sqlite:///{tmp_path}/home/data/buffer.db") as buffer:
        assert 30_015 == lanes(buffer)[0].msgs
        assert check(buffer, TABLE, Checks(deep=True)).intact


def test_a_full_quota_is_said_and_mends_itself_when_the_ground_has_it(tmp_path):
    with Buffer.open(f"sqlite:///{tmp_path}/b.db", "gw-1", cap_bytes=1_000_000) as buffer:
        feeder = Feeder(buffer)
        feeder.feed(20_000, 2)
        feeder.feed(50, 0, per_commit=1)
        assert [State.EVICTING] == [state for state, _ in feeder.states]
        stream, found = buffer.streams()[0], lanes(buffer)
        acked = [AckedLane(no, lane.last_no, lane.head_hash) for no, lane in found.items()]
        judge(buffer, feeder)
        apply_receipt(buffer, stream, "gs", 1, acked, b"")
        before = lanes(buffer)[2].dropped_msgs
        feeder.feed(1_000, 2)
        assert before == lanes(buffer)[2].dropped_msgs
        assert (tmp_path / "b.db").stat().st_size <= 1_020_000
