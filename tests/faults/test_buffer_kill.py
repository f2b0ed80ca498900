"""kill -9 at random moments, and several writers at once: each reading exactly once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from dunes.buffer.findings import VerifyReport
from dunes.buffer.keyring import Keyring
from dunes.buffer.query import Found, Query, query
from dunes.buffer.store import Buffer
from dunes.buffer.verify import Checks, check
from dunes.settings import load

TABLE = "lunar_telemetry"
ROUNDS = int(os.environ.get("DUNES_KILLS", "8"))
INGEST = [sys.executable, "-m", "dunes", "ingest", "--table", TABLE]


def line(seq: int, device: str = "d-1", **other) -> str:
    row = {"device": device, "kind": "co2", "value": 600 + seq % 9, "unit": "ppm", "seq": seq}
    if seq % 97 == 13:
        row["priority"] = "alert"
    return json.dumps(row | {"ts_us": 1_000_000 + seq} | other) + "\n"


def environ(home: Path) -> dict[str, str]:
    return os.environ | {"DUNES_HOME": str(home)}


def open_buffer(home: Path) -> Buffer:
    return Buffer.open(f"sqlite:///{home}/data/buffer.db")


def readings(home: Path, buffer: Buffer, wanted: Query) -> Iterator[Found]:
    """Give readings of what ingest sealed to its own key."""
    keys = Keyring.load(load(environ(home)))
    return query(buffer, TABLE, wanted, keys.opener_for(buffer)).readings


def look(home: Path, buffer: Buffer) -> VerifyReport:
    keys = Keyring.load(load(environ(home)))
    opener_for = keys.opener_for(buffer)
    return check(buffer, TABLE, Checks(deep=True, opener_for=opener_for, keys=keys.verifiers()))


def seqs_by_lane(home: Path) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {0: [], 1: [], 2: []}
    with open_buffer(home) as buffer:
        assert [] == look(home, buffer).findings
        for each in readings(home, buffer, Query()):
            found[each.place.lane].append(each.reading.seq)
    return found


KEPT = 200


class Sensor:
    """Appends lines to a file until told to stop; rotates it, once that may begin."""

    def __init__(self, path: Path) -> None:
        self.path, self.made, self.stop = path, 0, threading.Event()
        self.may_rotate = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        dice = Random(3)
        while not self.stop.wait(0.005):
            with self.path.open("a") as file:
                for _ in range(dice.randrange(1, 12)):
                    file.write(line(self.made))
                    self.made += 1
            if self.may_rotate and self.path.stat().st_size > 50_000:
                for n in range(KEPT, 0, -1):
                    old = self.path.with_name(f"{self.path.name}.{n}")
                    if old.exists():
                        old.rename(self.path.with_name(f"{self.path.name}.{n + 1}"))
                self.path.rename(self.path.with_name(self.path.name + ".1"))


def test_a_followed_file_is_taken_in_exactly_once_through_kill_9(tmp_path):
    home, dice = tmp_path / "home", Random(5)
    sensor = Sensor(tmp_path / "feed.jsonl")
    command = [*INGEST, "--follow", str(sensor.path), "-v"]
    accepted = {"alert": 0, "routine": 0}
    try:
        for _ in range(ROUNDS):
            process = subprocess.Popen(
                command, env=environ(home), stderr=subprocess.PIPE, text=True
            )
            assert process.stderr is not None
            until_s = time.monotonic() + dice.uniform(0.0, 0.4)
            for text in process.stderr:  # from the first commit on, a little while
                if text.startswith("stored "):
                    lane, last = text.split()[1], int(text.rsplit(" ", 1)[1])
                    accepted[lane] = max(accepted[lane], last)
                    sensor.may_rotate = True
                    if time.monotonic() > until_s:
                        break
            process.kill()
            process.wait()
            process.stderr.close()
    finally:
        sensor.stop.set()
        sensor.thread.join()
    process = subprocess.Popen(command, env=environ(home), stderr=subprocess.DEVNULL)
    with open_buffer(home) as buffer:
        for _ in range(400):
            with buffer.reading() as connection:
                lanes = buffer.lanes(connection, buffer.streams()[0])
            if sum(lane.msgs for lane in lanes.values()) >= sensor.made:
                break
            time.sleep(0.05)
    time.sleep(0.3)  # for what should not come
    process.send_signal(signal.SIGTERM)
    assert 0 == process.wait(30)
    found = seqs_by_lane(home)
    alerts = [i for i in range(sensor.made) if i % 97 == 13]
    assert alerts == found[0]
    assert [i for i in range(sensor.made) if i % 97 != 13] == found[2]
    assert len(found[0]) >= accepted["alert"]
    assert len(found[2]) >= accepted["routine"]
    assert max(accepted.values()) > 0


def test_several_writers_share_a_table(tmp_path):
    home = tmp_path / "home"
    n = 3000
    processes = []
    for device in ("d-1", "d-2", "d-3"):
        path = tmp_path / f"{device}.jsonl"
        path.write_text("".join(line(i, device) for i in range(n)))
        processes.append(
            subprocess.Popen(
                [*INGEST, str(path)],
                env=environ(home),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert (0, True) == (process.returncode, f"{n:,} readings" in out), err
    with open_buffer(home) as buffer:
        assert [] == look(home, buffer).findings
        assert 1 == len(buffer.streams())
        for device in ("d-1", "d-2", "d-3"):
            found = readings(home, buffer, Query(device=device))
            assert list(range(n)) == sorted(x.reading.seq for x in found)


def test_a_pipe_is_committed_and_ended_in_order_by_a_signal(tmp_path):
    home = tmp_path / "home"
    process = subprocess.Popen(
        [*INGEST, "-", "--json"],
        env=environ(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("".join(line(i) for i in range(10)))
    process.stdin.flush()
    for _ in range(200):
        time.sleep(0.05)
        if (home / "data" / "buffer.db").exists():
            with open_buffer(home) as buffer:
                if buffer.tables():
                    break
    process.stdin.write(line(10))
    process.stdin.flush()
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    report = json.loads(out)
    assert 128 + signal.SIGTERM == process.returncode, err
    assert (True, 11) == (report["interrupted"], report["accepted"])
    assert 11 == sum(map(len, seqs_by_lane(home).values()))


def test_a_clock_that_jumps_back_loses_and_hides_nothing(tmp_path):
    home = tmp_path / "home"
    path = tmp_path / "a.jsonl"
    times = [2_000_000_000 + i for i in range(50)] + [1_000_000_000 + i for i in range(50)]
    path.write_text("".join(line(i, ts_us=t * 1_000_000) for i, t in enumerate(times)))
    done = subprocess.run(
        [*INGEST, str(path)], env=environ(home), capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    with open_buffer(home) as buffer:
        found = readings(home, buffer, Query(since_us=1_500_000_000_000_000))
        assert list(range(50)) == sorted(x.reading.seq for x in found)
        report = look(home, buffer)
    assert report.intact
    assert any("went back" in f.detail for f in report.findings)
