"""The device's own memory: a ring of one sample a second, and the outages in it.

`current` counts samples since boot; sample k lies in slot `k mod length` and those
in `[current - min(current, length), current)` are there. Each answer holds the
whole ring (900 slots), so a poll every few minutes loses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import isnan, nan
from statistics import fmean, median
from typing import Any, NamedTuple

from dunes.starlink.gpstime import NS_PER_S, unix_from_gps_ns

LOST = 1.0
"""Drop rate of a second in which every ping was lost."""

SPOT_SLOTS = 5
"""How many seconds a single reading may stand for, where firmware gives no ring."""


class Sample(NamedTuple):
    """One second of the link.

    Attributes:
        counter: its number since the device's boot.
        drop: share of pings lost, 0 to 1; NaN where the device had none.
        latency_ms: round trip to the point of presence; NaN where not told.
    """

    counter: int
    drop: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Ring:
    """The ring as it came.

    Attributes:
        current: samples since boot.
        drop: one slot each, 0 to 1.
        latency_ms: parallel to `drop`; may be shorter.
        down_bps: received, parallel to `drop`; may be shorter.
        up_bps: sent, likewise.
    """

    current: int
    drop: Sequence[float]
    latency_ms: Sequence[float] = ()
    down_bps: Sequence[float] = ()
    up_bps: Sequence[float] = ()

    @property
    def oldest(self) -> int:
        """The counter of the oldest sample that is there."""
        return self.current - min(self.current, len(self.drop))

    def samples(self, since: int) -> list[Sample]:
        """Give the samples from counter `since` on, as far as they are there, oldest first."""
        size = len(self.drop)
        return [
            Sample(k, self.drop[k % size], at(self.latency_ms, k % size))
            for k in range(max(since, self.oldest), self.current)
        ]

    def last(self, count: int) -> list[Sample]:
        """Give the newest `count` samples, oldest first."""
        return self.samples(self.current - count)

    def after_last_run(self, length: int) -> int:
        """Give the counter after the newest run of `length` lost samples; the oldest if none."""
        lost = end = 0
        for sample in reversed(self.samples(0)):
            if sample.drop >= LOST:
                end = end if lost else sample.counter + 1
                lost += 1
                if lost == length:
                    return end
            elif not isnan(sample.drop):
                lost = 0
        return self.oldest

    def newest(self, series: Sequence[float]) -> float:
        """Give the newest value of one of the series; NaN where there is none."""
        if not self.current or not self.drop:
            return nan
        return at(series, (self.current - 1) % len(self.drop))


class Summary(NamedTuple):
    """A stretch of samples in two numbers; NaN where nothing was measured."""

    mean_drop: float
    median_latency_ms: float


class Outage(NamedTuple):
    """A stretch of time without service, as the device tells it.

    Attributes:
        cause: name of the cause, or its number where firmware is newer than we.
        start_unix_s: when it began, by the device's clock.
        duration_s: how long it lasted, or has lasted so far; 0 where not told.
    """

    cause: str
    start_unix_s: float
    duration_s: float


def at(series: Sequence[float], slot: int) -> float:
    """Give a slot of a series; NaN where the series is shorter."""
    return series[slot] if slot < len(series) else nan


def summary(samples: Sequence[Sample]) -> Summary:
    """Average the drop, and take the median latency of the seconds that had an answer."""
    drops = [s.drop for s in samples if not isnan(s.drop)]
    latencies = [s.latency_ms for s in samples if s.drop < LOST and s.latency_ms > 0]
    return Summary(
        fmean(drops) if drops else nan,
        median(latencies) if latencies else nan,
    )


def ring_of_dish(history: Any) -> Ring | None:
    """Read a `DishGetHistoryResponse`; None where it holds no samples."""
    return _ring(
        history.current,
        history.pop_ping_drop_rate,
        history.pop_ping_latency_ms,
        history.downlink_throughput_bps,
        history.uplink_throughput_bps,
    )


def ring_of_router(history: Any) -> Ring | None:
    """Read a `WifiGetHistoryResponse`; None where it holds no samples (much firmware)."""
    return _ring(history.current, history.ping_drop_rate, history.ping_latency_ms, (), ())


def _ring(
    current: int,
    drop: Sequence[float],
    latency_ms: Sequence[float],
    down_bps: Sequence[float],
    up_bps: Sequence[float],
) -> Ring | None:
    if not drop:
        return None
    return Ring(current, list(drop), list(latency_ms), list(down_bps), list(up_bps))


def spot_ring(uptime_s: int, drop: float, latency_ms: float = nan) -> Ring | None:
    """Make a ring of a single reading, counted by the device's uptime.

    For devices that give no history: the reading stands for the seconds since the
    last one, up to `SPOT_SLOTS`. None where the device does not tell its uptime.
    """
    if uptime_s <= 0:
        return None
    return Ring(uptime_s, [drop] * SPOT_SLOTS, [latency_ms] * SPOT_SLOTS)


def outage_of(message: Any, cause: str) -> Outage:
    """Read a `DishOutage` whose cause has been named."""
    return Outage(
        cause,
        unix_from_gps_ns(message.start_timestamp_ns),
        message.duration_ns / NS_PER_S,
    )


def recent(outages: Sequence[Outage], count: int) -> list[Outage]:
    """Give the newest `count` outages, newest first."""
    ordered = sorted(outages, key=lambda o: o.start_unix_s, reverse=True)
    return list(islice(ordered, count))
