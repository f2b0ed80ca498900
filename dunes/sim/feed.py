"""The growing files that simulated sensors write, and the account of what was made.

A file is rotated by renaming (`x.jsonl` → `x.jsonl.1` → …), as logrotate does it.
The account survives kill -9: it is saved with the place in the file up to which it
counts, and what was written after that is counted again at the next start.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from dunes.clock import US_PER_S, rfc3339
from dunes.errors import StorageError
from dunes.model import Priority, Reading

ROTATE_BYTES = 64_000_000
KEEP_FILES = 3
"""Rotated files beside the growing one; the oldest is deleted."""

SCAN_BYTES = 1 << 20


@dataclass(slots=True)
class Made:
    """What the sensors of one table have made, since ever.

    Attributes:
        devices: the last running number by device; each counts 1, 2, 3, ….
        alerts: readings that were alerts.
        last_us: site time of the last reading.
    """

    devices: dict[str, int] = field(default_factory=dict)
    alerts: int = 0
    last_us: int = 0

    @property
    def readings(self) -> int:
        """How many readings in all."""
        return sum(self.devices.values())

    def count(self, readings: Iterable[Reading]) -> None:
        """Count readings that were written."""
        for reading in readings:
            if reading.seq is not None:
                self.devices[reading.device] = reading.seq
            self.alerts += reading.priority is Priority.ALERT
            self.last_us = max(self.last_us, reading.ts_us)


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    return rfc3339(second * US_PER_S)[:-1]


def encode_line(reading: Reading) -> bytes:
    """Write a reading as sensors of the site do: one JSON object, one line."""
    ms = reading.ts_us // 1000 % 1000
    row: dict[str, Any] = {
        "device": reading.device,
        "kind": reading.kind,
        "value": reading.value,
        "unit": reading.unit,
        "time": f"{_second(reading.ts_us // US_PER_S)}.{ms:03d}Z",
        "seq": reading.seq,
    }
    if reading.priority is not Priority.ROUTINE:
        row["priority"] = reading.priority.name.lower()
    row["simulated"] = True
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


class Feed:
    """One growing JSON Lines file.

    Args:
        path: the file; a last line that a crash cut off is removed.
        rotate_bytes: the size at which a new file is begun.
        keep: how many old ones stay.
    """

    def __init__(
        self, path: Path, *, rotate_bytes: int = ROTATE_BYTES, keep: int = KEEP_FILES
    ) -> None:
        self.path = path
        self.rotate_bytes = rotate_bytes
        self.keep = keep
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._mend()

    def append(self, data: bytes) -> None:
        """Add whole lines."""
        if self._file.tell() and self._file.tell() + len(data) > self.rotate_bytes:
            self._rotate()
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def position(self) -> tuple[int, int]:
        """Say which file grows now (its inode) and how long it is."""
        status = self.path.stat()
        return status.st_ino, status.st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def since(self, inode: int, offset: int) -> Iterator[bytes]:
        """Give the lines after a place, over rotated files too.

        A place that is gone (rotated away) gives all that there is.
        """
        rotated = [self.path.with_name(f"{self.path.name}.{n}") for n in range(self.keep, 0, -1)]
        files = [path for path in [*rotated, self.path] if path.exists()]
        begin = next((i for i, path in enumerate(files) if path.stat().st_ino == inode), 0)
        for number, path in enumerate(files[begin:]):
            with path.open("rb") as file:
                if number == 0 and path.stat().st_ino == inode:
                    file.seek(offset)
                yield from file

    def _mend(self) -> None:
        size = self._file.tell()
        with self.path.open("rb") as file:
            place = size
            while place > 0:
                begin = max(0, place - SCAN_BYTES)
                file.seek(begin)
                end = file.read(place - begin).rfind(b"\n")
                if end >= 0:
                    place = begin + end + 1
                    break
                place = begin
        if place < size:
            self._file.truncate(place)
            self._file.seek(0, 2)

    def _rotate(self) -> None:
        self._file.close()
        for number in range(self.keep, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = (
                self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
            )
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)
        self._file = self.path.open("ab", buffering=0)


def account(feeds: Mapping[str, Feed], made: Mapping[str, Made]) -> bytes:
    """Write down what was made, and up to which place in the files that counts."""
    content = {}
    for table, count in made.items():
        inode, offset = feeds[table].position()
        content[table] = {
            "devices": count.devices,
            "alerts": count.alerts,
            "last_us": count.last_us,
            "inode": inode,
            "offset": offset,
        }
    return json.dumps(content).encode()


def load_account(path: Path, feeds: Mapping[str, Feed]) -> dict[str, Made]:
    """Read what was made, adding what the files hold beyond the saved account.

    Raises:
        StorageError: the saved account, or a line, cannot be read.
    """
    try:
        saved = json.loads(path.read_bytes())
    except FileNotFoundError:
        saved = {}
    except ValueError as e:
        raise StorageError(f"{path}: {e}", hint=f"remove {path.parent} and start anew") from e
    made = {}
    for table, feed in feeds.items():
        entry = saved.get(table, {})
        count = Made(
            dict(entry.get("devices", {})), entry.get("alerts", 0), entry.get("last_us", 0)
        )
        try:
            for line in feed.since(entry.get("inode", 0), entry.get("offset", 0)):
                _count_line(count, line)
        except (ValueError, KeyError, TypeError) as e:
            raise StorageError(
                f"{feed.path} holds a line that the site did not write: {e}",
                hint=f"remove {path.parent} and start anew",
            ) from e
        made[table] = count
    return made


def _count_line(count: Made, line: bytes) -> None:
    from datetime import datetime

    from dunes.clock import to_us

    row = json.loads(line)
    if row["seq"] <= count.devices.get(row["device"], 0):
        return
    count.devices[row["device"]] = row["seq"]
    count.alerts += row.get("priority") == "alert"
    count.last_us = max(count.last_us, to_us(datetime.fromisoformat(row["time"])))
