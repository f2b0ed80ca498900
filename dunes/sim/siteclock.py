"""The site's clock: site time runs `speed` times as fast as ours.

Only sensors, sky schedule and outages live in site time; delay and rate of the
link, and every program under test, stay in ours. Each change of speed leaves an
anchor, so that a moment can be carried both ways afterwards.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

SPEED_MAX = 3600.0
"""An hour in a second is what sensors can be simulated at."""


class Anchor(NamedTuple):
    """From `real_us` on, site time starts at `site_us` and runs at `speed`."""

    real_us: int
    site_us: int
    speed: float


@dataclass(slots=True)
class SiteClock:
    """A clock that can be sped up, and never goes back.

    Attributes:
        anchors: in the order of time, at least one.
    """

    anchors: list[Anchor] = field(default_factory=list)

    @classmethod
    def start(cls, real_us: int, site_us: int, speed: float) -> "SiteClock":
        """Start a clock: at `real_us` of ours the site has `site_us`."""
        return cls([Anchor(real_us, site_us, speed)])

    @property
    def speed(self) -> float:
        """How many site seconds pass in one of ours, now."""
        return self.anchors[-1].speed

    def site_us(self, real_us: int) -> int:
        """Say what the site's clock shows at a moment of ours."""
        index = max(0, bisect_right(self.anchors, real_us, key=lambda a: a.real_us) - 1)
        anchor = self.anchors[index]
        return anchor.site_us + round((real_us - anchor.real_us) * anchor.speed)

    def real_us(self, site_us: int) -> int:
        """Say at what moment of ours the site's clock shows `site_us`."""
        index = max(0, bisect_right(self.anchors, site_us, key=lambda a: a.site_us) - 1)
        anchor = self.anchors[index]
        return anchor.real_us + round((site_us - anchor.site_us) / anchor.speed)

    def set_speed(self, speed: float, real_us: int) -> None:
        """Run at `speed` from `real_us` on.

        Raises:
            ValueError: a speed that is not above 0, or a moment before the last change.
        """
        if not speed > 0:
            raise ValueError(f"speed {speed} is not above 0")
        if real_us < self.anchors[-1].real_us:
            raise ValueError("the clock has gone back")
        self.anchors.append(Anchor(real_us, self.site_us(real_us), speed))
