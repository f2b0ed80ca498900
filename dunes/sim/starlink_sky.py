"""The virtual sky: what a dish would measure in any second, as a pure function.

State is computed from (time, planned outages, seed), never stepped: a test asks for
a second in the past or the future and gets the same numbers each time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

LATENCY_MS = 28.0
JITTER_MS = 9.0
HANDOVER_SHARE = 1 / 240
"""Share of seconds that a satellite handover takes away; ordinary, no outage."""

IDLE_DOWN_BPS = 4e6
IDLE_UP_BPS = 8e5
POWER_W = 62.0
NO_LINK_LATENCY_MS = 0.0
"""What a dish tells as the latency of a second in which nothing came back."""

MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Planned:
    """An outage, planned or made.

    Attributes:
        start_s: Unix seconds of the site's clock.
        duration_s: `inf` until it is restored.
        cause: a name of `DishOutage.Cause`.
    """

    start_s: float
    duration_s: float
    cause: str

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.start_s + self.duration_s


class Second(NamedTuple):
    """One sample, as a dish keeps it."""

    drop: float
    latency_ms: float
    down_bps: float
    up_bps: float
    power_w: float


@dataclass(frozen=True, slots=True)
class VirtualSky:
    """What lies above the dish. Changing it gives another one; nothing moves by itself.

    Attributes:
        plan: all outages, past and to come.
        seed: another seed gives other noise.
        handover_share: share of seconds lost to ordinary handovers.
    """

    plan: tuple[Planned, ...] = ()
    seed: int = 1
    handover_share: float = HANDOVER_SHARE

    def with_outage(self, outage: Planned) -> "VirtualSky":
        """Add an outage."""
        return replace(self, plan=(*self.plan, outage))

    def restored(self, at_s: float, causes: Iterable[str] | None = None) -> "VirtualSky":
        """End what is going on at `at_s`: all of it, or only these causes."""
        chosen = None if causes is None else set(causes)
        return replace(
            self,
            plan=tuple(
                replace(o, duration_s=at_s - o.start_s)
                if o.start_s <= at_s < o.end_s and (chosen is None or o.cause in chosen)
                else o
                for o in self.plan
            ),
        )

    def outage_at(self, at_s: float) -> Planned | None:
        """Give the outage that covers a moment: of several, the one that began first."""
        covering = [o for o in self.plan if o.start_s <= at_s < o.end_s]
        return min(covering, key=lambda o: o.start_s, default=None)

    def outages_between(self, begin_s: float, end_s: float) -> list[Planned]:
        """List the outages that began before `end_s` and ended after `begin_s`."""
        return [
            o
            for o in sorted(self.plan, key=lambda o: o.start_s)
            if o.start_s < end_s and o.end_s > begin_s and o.duration_s > 0
        ]

    def second(self, number: int) -> Second:
        """Measure the second that begins at Unix time `number`."""
        lost = self._lost_share(number)
        if lost >= 1.0 or noise(self.seed, number, 0) < self.handover_share:
            return Second(1.0, NO_LINK_LATENCY_MS, 0.0, 0.0, POWER_W)
        stray = 0.02 if noise(self.seed, number, 1) < 0.05 else 0.0  # noqa: PLR2004 - 1 s in 20
        jitter = noise(self.seed, number, 2) + noise(self.seed, number, 3)
        return Second(
            max(lost, stray),
            LATENCY_MS + JITTER_MS * jitter,
            IDLE_DOWN_BPS * (0.5 + noise(self.seed, number, 4)) * (1.0 - lost),
            IDLE_UP_BPS * (0.5 + noise(self.seed, number, 5)) * (1.0 - lost),
            POWER_W + 6.0 * noise(self.seed, number, 6),
        )

    def _lost_share(self, number: int) -> float:
        """Say what part of a second lies within outages."""
        lost = 0.0
        for outage in self.plan:
            overlap = min(outage.end_s, number + 1) - max(outage.start_s, number)
            lost += max(0.0, overlap)
        return min(lost, 1.0)


def noise(seed: int, second: int, channel: int) -> float:
    """Give a number in [0, 1) that only these three decide (the SplitMix64 finaliser)."""
    z = (seed * 0x9E3779B97F4A7C15 + second * 0xD1342543DE82EF95 + channel) & MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def planned(schedule: Iterable[Iterable[float | str]], begin_s: float) -> tuple[Planned, ...]:
    """Read a schedule `[[start_s, duration_s, cause], …]`, starts counted from `begin_s`."""
    found = []
    for start, duration, cause in schedule:
        found.append(Planned(begin_s + float(start), float(duration), str(cause)))
    return tuple(found)
