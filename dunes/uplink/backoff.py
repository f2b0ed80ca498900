"""How long to wait after a failure: full jitter, and what the peer asked for. Pure."""

from dataclasses import dataclass
from random import Random

BASE_S = 0.5
CAP_S = 60.0


@dataclass(slots=True)
class Backoff:
    """Waits that double, each drawn evenly from zero to its limit.

    Full jitter keeps gateways that lost one link together from returning together.

    Attributes:
        rng: the dice.
        base_s: limit of the first wait.
        cap_s: limit of all waits.
        failures: how many in a row.
    """

    rng: Random
    base_s: float = BASE_S
    cap_s: float = CAP_S
    failures: int = 0

    def failed(self, retry_after_s: float | None = None) -> float:
        """Count a failure and say how long to wait.

        Args:
            retry_after_s: what the peer asked for; the wait is never shorter.
        """
        limit_s = min(self.cap_s, self.base_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return max(self.rng.uniform(0.0, limit_s), retry_after_s or 0.0)

    def worked(self) -> None:
        """Begin anew: something got through."""
        self.failures = 0
