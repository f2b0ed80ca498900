"""A power cut at any moment: nothing that was acknowledged is lost, nothing is damaged.

A VFS between SQLite and the disk writes down every write, truncation and sync. For a
cut at a random moment each file is put together again as a disk could hold it: all up
to its last sync, and of what came after a random part, sometimes in another order,
sometimes torn at a sector. Then the product opens what is left.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest
from sqlalchemy import event

from dunes.buffer import engine
from dunes.buffer.appender import Appender
from dunes.buffer.query import Query, query
from dunes.buffer.store import Buffer
from dunes.buffer.verify import Checks, check
from dunes.crypto.signing import SigningKey
from dunes.errors import DunesError
from dunes.model import Priority, Reading

TABLE = "lunar_telemetry"
IMAGES = int(os.environ.get("DUNES_POWER_CUTS", "120"))
SECTOR = 512


@dataclass
class Log:
    """What happened, in order: (what, file, ...)."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def image(self, cut: int, dice: Random) -> dict[str, bytearray]:
        """Give the files as a disk could hold them when the power fails at event `cut`."""
        files: dict[str, list[tuple[Any, ...]]] = {}
        for what in self.events[:cut]:
            if what[0] in {"write", "truncate", "sync"}:
                files.setdefault(what[1], []).append(what)
            elif what[0] == "delete":
                files.pop(what[1], None)
        images = {}
        for name, done in files.items():
            synced = max((i for i, x in enumerate(done) if x[0] == "sync"), default=-1) + 1
            late = [x for x in done[synced:] if dice.random() < dice.choice([0.1, 0.5, 0.9])]
            if dice.random() < 0.5:
                dice.shuffle(late)
            content = bytearray()
            for what in done[:synced]:
                apply(content, what)
            for what in late:
                apply(content, torn(what, dice))
            images[name] = content
        return images


def apply(content: bytearray, what: tuple[Any, ...]) -> None:
    if what[0] == "write":
        _, _, offset, data = what
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data
    elif what[0] == "truncate":
        del content[what[2] :]


def torn(what: tuple[Any, ...], dice: Random) -> tuple[Any, ...]:
    if what[0] != "write" or dice.random() > 0.2:
        return what
    _, name, offset, data = what
    sectors = max(1, len(data) // SECTOR)
    return ("write", name, offset, data[: SECTOR * dice.randrange(sectors + 1)])


class RecordingFile(apsw.VFSFile):
    def __init__(self, base: str, filename: Any, flags: list[int], log: Log) -> None:
        path = filename.filename() if isinstance(filename, apsw.URIFilename) else filename
        self.name = Path(path or "").name
        self.log = log
        super().__init__(base, filename, flags)

    def xWrite(self, data, offset):  # noqa: N802 - apsw's name
        self.log.events.append(("write", self.name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size):  # noqa: N802
        self.log.events.append(("truncate", self.name, size))
        super().xTruncate(size)

    def xSync(self, flags):  # noqa: N802
        super().xSync(flags)
        self.log.events.append(("sync", self.name))


class RecordingDisk(apsw.VFS):
    def __init__(self, log: Log) -> None:
        self.base, self.log = apsw.vfs_names()[0], log
        super().__init__("recording", self.base, makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802
        return RecordingFile(self.base, name, flags, self.log)

    def xDelete(self, name, syncdir):  # noqa: N802
        super().xDelete(name, syncdir)
        self.log.events.append(("delete", Path(name).name))


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


def reading(seq: int, priority: int) -> Reading:
    return Reading("d-1", "note", f"{seq} " * 40, "", 1_000_000 + seq, Priority(priority), seq)


def work(folder: Path, log: Log, key: SigningKey) -> None:
    """Write readings in 150 commits, through checkpoints, some dropped or refused by the quota.

    Acknowledged is what `commit` says is stored, by its number in the lane.
    """
    buffer = Buffer.open(f"sqlite:///{folder}/b.db", "gw-1", cap_bytes=250_000)

    @event.listens_for(buffer.engine, "connect")
    def small_log(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA wal_autocheckpoint=30").fetchall()

    buffer.engine.dispose()
    appender = Appender(buffer, TABLE, signer=key)
    made, done = {0: 0, 2: 0}, {0: 0, 2: 0}
    for i in range(150):
        lane = 0 if i % 10 == 3 else 2
        for _ in range(1 if lane == 0 else 15):
            appender.add(reading(made[lane], lane))
            made[lane] += 1
        for stored in appender.commit():
            done[stored.lane] = stored.first_msg + stored.n - 1
        log.events.append(("ack", dict(done)))
    assert made[0] == done[0], "no alert is refused"
    assert made[2] == done[2] + appender.totals.refused[2]
    appender.close()
    buffer.close()


def record(folder: Path, key: SigningKey) -> Log:
    log = Log()
    disk = RecordingDisk(log)
    try:
        folder.mkdir()
        work(folder, log, key)
    finally:
        disk.unregister()
    return log


def judge(folder: Path, acked: dict[int, int], key: SigningKey) -> str:
    """Say what is wrong with what is left; empty: nothing."""
    try:
        with Buffer.open(f"sqlite:///{folder}/b.db", "gw-1") as buffer:
            if not buffer.streams():
                return "nothing is left" if any(acked.values()) else ""
            wrong = examine(buffer, acked, key)
            # and it goes on from there
            appender = Appender(buffer, TABLE)
            appender.add(reading(0, 2))
            appender.commit()
            return wrong
    except DunesError as e:
        return e.message


def examine(buffer: Buffer, acked: dict[int, int], key: SigningKey) -> str:
    report = check(buffer, TABLE, Checks(deep=True, keys={key.kid: key.public}))
    if report.findings:
        return str(report.findings[0])
    with buffer.reading() as connection:
        lanes = buffer.lanes(connection, buffer.streams()[0])
    found = query(buffer, TABLE, Query(priority=Priority.ALERT), lambda _: None)
    seqs = [x.reading.seq for x in found.readings]
    if lanes[0].dropped_msgs or seqs != list(range(lanes[0].last_msg)):
        return f"alerts were lost: {seqs}"
    for lane, n in acked.items():
        if lanes[lane].last_msg < n:
            return f"lane {lane}: {n} acknowledged, {lanes[lane].last_msg} there"
    return ""


def cuts(log: Log, tmp_path: Path, key: SigningKey, n: int) -> Iterator[str]:
    dice = Random(7)
    for i in range(n):
        cut = dice.randrange(1, len(log.events) + 1)
        acked = {0: 0, 2: 0}
        for what in log.events[:cut]:
            if what[0] == "ack":
                acked = what[1]
        folder = tmp_path / f"image-{i}"
        folder.mkdir()
        for name, content in log.image(cut, dice).items():
            if not name.endswith("-shm"):
                (folder / name).write_bytes(content)
        yield judge(folder, acked, key)


def test_no_power_cut_loses_or_damages_what_was_acknowledged(tmp_path, key):
    log = record(tmp_path / "work", key)
    assert sum(what[0] == "sync" for what in log.events) > 150
    assert any(what[0] == "write" and what[1] == "b.db" for what in log.events)
    wrong = [text for text in cuts(log, tmp_path, key, IMAGES) if text]
    assert [] == wrong


def test_the_simulator_does_find_a_store_that_does_not_sync(tmp_path, key, monkeypatch):
    original = engine._set_pragmas

    def careless(connection, max_bytes):
        original(connection, max_bytes)
        connection.execute("PRAGMA synchronous=OFF").fetchall()

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_set_pragmas", careless)
        log = record(tmp_path / "work", key)
    wrong = [text for text in cuts(log, tmp_path, key, 30) if text]
    assert len(wrong) > 20
