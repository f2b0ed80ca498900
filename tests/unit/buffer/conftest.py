"""A buffer in a temporary folder, with a clock that the test moves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dunes.buffer.appender import Appender
from dunes.buffer.store import Buffer
from dunes.clock import Clock
from dunes.crypto.signing import SigningKey
from dunes.model import Priority, Reading

T0_US = 1_764_000_000_000_000


@dataclass
class Time:
    """A clock that stands until it is moved."""

    now_s: float = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, lambda: T0_US + round(self.now_s * 1e6))


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def open_at(tmp_path: Path, time: Time) -> Iterator[Callable[..., Buffer]]:
    opened = []

    def open_it(name: str = "buffer.db", gateway: str = "gw-1", **options) -> Buffer:
        buffer = Buffer.open(
            f"sqlite:///{tmp_path / name}", gateway, **{"clock": time.clock} | options
        )
        opened.append(buffer)
        return buffer

    yield open_it
    for buffer in opened:
        buffer.close()


@pytest.fixture
def buffer(open_at) -> Buffer:
    return open_at()


@pytest.fixture
def appender(buffer) -> Appender:
    return Appender(buffer, "lunar_telemetry")


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def reading() -> Callable[..., Reading]:
    def make(i: int = 0, priority: Priority = Priority.ROUTINE, **other) -> Reading:
        given = {
            "device": f"hab-sensor-{i % 5:03d}",
            "kind": "co2",
            "value": 600.0 + i % 7,
            "unit": "ppm",
            "ts_us": T0_US + i * 100_000,
            "priority": priority,
            "seq": i,
        }
        return Reading(**given | other)

    return make


@pytest.fixture
def fill(reading) -> Callable[..., None]:
    def append(appender: Appender, n: int, per_frame: int = 10, start: int = 0, **other) -> None:
        """Append n readings, numbered from start, in frames of per_frame."""
        for first in range(start, start + n, per_frame):
            last = min(first + per_frame, start + n)
            appender.extend(reading(i, **other) for i in range(first, last))
            appender.commit()

    return append
