"""Clocks and waiting as one argument."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from dunes.clock import SYSTEM_CLOCK, US_PER_S, Clock


@dataclass(frozen=True, slots=True)
class Wait:
    """How time passes for a login.

    Attributes:
        clock: two clocks.
        sleep_s: wait for so many seconds.
    """

    clock: Clock = SYSTEM_CLOCK
    sleep_s: Callable[[float], None] = time.sleep

    def now_s(self) -> float:
        """Give monotonic seconds; for deadlines."""
        return self.clock.monotonic_s()

    def unix_s(self) -> int:
        """Give seconds since 1970 UTC; for tokens."""
        return self.clock.unix_us() // US_PER_S


SYSTEM_WAIT = Wait()
