"""How much may be under way at once, from what the link was seen to carry. Pure.

The window is twice bandwidth x round trip, in requests: bandwidth is the best
delivery rate of late, the round trip the shortest seen. Twice, so that a link which
carries more than was asked of it shows it, and the window grows.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

WINDOW_MIN = 4
WINDOW_MAX = 64
GAIN = 2.0
SAMPLES = 64
"""How many delivery rates are remembered."""
RTT_MEMORY_S = 60.0
"""How long the shortest round trip counts; then the route may have changed."""


class Mark(NamedTuple):
    """What had been delivered when a request left."""

    at_s: float
    delivered_bytes: int


@dataclass(slots=True)
class Window:
    """The number of requests that may be under way.

    Attributes:
        rtt_s: the shortest round trip of late; None before the first.
        rate_bytes_s: the best delivery rate of late, bytes a second; 0 before the first.
    """

    rtt_s: float | None = None
    rate_bytes_s: float = 0.0
    _rtt_at_s: float = 0.0
    _delivered_bytes: int = 0
    _rates: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def seed(self, rate_bps: float | None, rtt_s: float | None, now_s: float) -> None:
        """Take what somebody who watches the link says about it."""
        if rate_bps:
            self._rates.append(rate_bps / 8)
            self.rate_bytes_s = max(self._rates)
        if rtt_s is not None:
            self.rtt_s, self._rtt_at_s = rtt_s, now_s

    def mark(self, now_s: float) -> Mark:
        """Remember the state as a request leaves."""
        return Mark(now_s, self._delivered_bytes)

    def delivered(self, mark: Mark, size_bytes: int, now_s: float) -> None:
        """Learn from a request that was answered."""
        took_s = max(now_s - mark.at_s, 1e-6)
        if self.rtt_s is None or took_s <= self.rtt_s or now_s - self._rtt_at_s > RTT_MEMORY_S:
            self.rtt_s, self._rtt_at_s = took_s, now_s
        self._delivered_bytes += size_bytes
        if size_bytes:
            self._rates.append((self._delivered_bytes - mark.delivered_bytes) / took_s)
            self.rate_bytes_s = max(self._rates)

    def limit(self, request_bytes: int) -> int:
        """Say how many requests of `request_bytes` may be under way."""
        if self.rtt_s is None or not self.rate_bytes_s:
            return WINDOW_MIN
        wanted = GAIN * self.rate_bytes_s * self.rtt_s / max(request_bytes, 1)
        return max(WINDOW_MIN, min(WINDOW_MAX, math.ceil(wanted)))
