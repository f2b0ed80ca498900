"""Publications: what is due when, period and repeats (Mesh Protocol 1.1, 3.7.6.1)."""

from dataclasses import dataclass, field
from typing import NamedTuple

from dunes.mesh.models.config import read_period_octet, read_publish_octet
from dunes.mesh.models.node_config import Publication
from dunes.mesh.wire import ModelId

REPEATS_MAX = 64
"""Repeats that wait; more are not sent."""


FASTEST_S = 0.1
"""The shortest period that can be configured; no pace makes a shorter one of a longer one."""


class ModelKey(NamedTuple):
    """One model of one element."""

    element: int
    model: ModelId


class Repeat(NamedTuple):
    """A publication to send again."""

    due_s: float
    key: ModelKey
    payload: bytes
    left: int
    interval_s: float


@dataclass(slots=True)
class Schedule:
    """When which model publishes next.

    Attributes:
        due_s: by model; those with a period only.
        repeats: publications that are sent again.
        pace: how many seconds of its periods pass in one; a simulation's clock may run ahead.
    """

    due_s: dict[ModelKey, float] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    pace: float = 1.0
    _periods: dict[ModelKey, int] = field(default_factory=dict)

    def follow(self, publications: dict[ModelKey, Publication], now_s: float) -> None:
        """Take what is configured; a new period begins now."""
        periods = {key: each.period for key, each in publications.items()}
        for key, period in periods.items():
            if period & 0x3F and self._periods.get(key) != period:
                self.due_s[key] = now_s + self._wait_s(period)
        for key in list(self.due_s):
            if not periods.get(key, 0) & 0x3F:
                del self.due_s[key]
        self._periods = periods
        self.repeats = [each for each in self.repeats if each.key in publications]

    def take_due(self, now_s: float, divisors: dict[ModelKey, int]) -> list[ModelKey]:
        """Give the models whose period is over, and begin the next one."""
        found = [key for key, due_s in self.due_s.items() if due_s <= now_s]
        for key in found:
            wait_s = self._wait_s(self._periods[key], divisors.get(key, 1))
            self.due_s[key] = max(self.due_s[key] + wait_s, now_s)
        return found

    def set_pace(self, pace: float, now_s: float) -> None:
        """Let periods pass faster or slower from now on, those that have begun too."""
        for key, due_s in self.due_s.items():
            self.due_s[key] = now_s + max(0.0, due_s - now_s) * self.pace / pace
        self.pace = pace

    def _wait_s(self, period: int, divisor: int = 1) -> float:
        own_s = read_period_octet(period) / divisor
        return own_s if self.pace == 1.0 else max(own_s / self.pace, min(own_s, FASTEST_S))

    def published(
        self, key: ModelKey, publication: Publication, payload: bytes, now_s: float
    ) -> None:
        """Note that a model published: it may have to be repeated."""
        sends, interval_s = read_publish_octet(publication.retransmit)
        if sends > 1 and len(self.repeats) < REPEATS_MAX:
            self.repeats.append(Repeat(now_s + interval_s, key, payload, sends - 1, interval_s))

    def take_repeats(self, now_s: float) -> list[Repeat]:
        """Give the publications to send again now."""
        found = [each for each in self.repeats if each.due_s <= now_s]
        self.repeats = [each for each in self.repeats if each.due_s > now_s]
        self.repeats += [
            each._replace(due_s=now_s + each.interval_s, left=each.left - 1)
            for each in found
            if each.left > 1
        ]
        return found

    def next_timer_s(self) -> float | None:
        """Say when something is due."""
        times = [*self.due_s.values(), *(each.due_s for each in self.repeats)]
        return min(times, default=None)
