"""Time as an argument: the one place that reads the clocks of this machine.

Cores take `now_s` (monotonic seconds) or `ts_us` (microseconds since 1970 UTC);
the programs at the edge get them here, so a test or the simulated site can give
its own.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks: one that never goes back, one that people read.

    Attributes:
        monotonic_s: seconds since some fixed moment; for intervals and deadlines.
        unix_us: microseconds since 1970-01-01 UTC; for records.
    """

    monotonic_s: Callable[[], float] = time.monotonic
    unix_us: Callable[[], int] = lambda: time.time_ns() // 1000

    def now(self) -> datetime:
        """Give the present as an aware UTC datetime."""
        return from_us(self.unix_us())


SYSTEM_CLOCK = Clock()


def from_us(ts_us: int) -> datetime:
    """Turn microseconds since 1970 into an aware UTC datetime, exactly."""
    seconds, us = divmod(ts_us, US_PER_S)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=us)


def to_us(at: datetime) -> int:
    """Turn an aware datetime into microseconds since 1970, exactly.

    Raises:
        ValueError: `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * US_PER_S + delta.microseconds


def rfc3339(ts_us: int) -> str:
    """Write a moment as RFC 3339 UTC, e.g. `2026-11-25T02:32:38.5Z`."""
    at = from_us(ts_us)
    text = at.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{at.microsecond:06d}".rstrip("0") + "Z" if at.microsecond else text + "Z"
