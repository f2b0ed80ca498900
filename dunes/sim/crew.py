"""What bio-sensors look at: the crew's bodies, at rest, at work, at sport."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from dunes.sim.habitat import activity


@dataclass(slots=True)
class Crew:
    """People with sensors on.

    Attributes:
        rng: for what differs between people.
        start_s: site time at which it starts.
    """

    rng: Random
    start_s: float

    def advance(self, at_s: float) -> None:
        """Do nothing: bodies are a function of the time here."""

    def trigger(self, kind: str, at_s: float) -> bool:
        """Say that nothing happens to bodies."""
        del kind, at_s
        return False

    def act(self, what: str, place: int, value: int) -> bool:
        """Say that nothing moves bodies."""
        del what, place, value
        return False

    def probe(self, kind: str, place: int) -> Callable[[float], float]:
        """Give the function that a sensor of `kind` on person `place` measures.

        Raises:
            KeyError: nobody measures that.
        """
        rest_bpm = self.rng.uniform(54, 68)
        phase = self.rng.uniform(0, math.tau)
        member = place - 1
        start_s = self.start_s

        def effort(at_s: float) -> float:
            # the body follows work over minutes: the mean of the last five
            return sum(activity(member, at_s - back_s) for back_s in (0, 75, 150, 225, 300)) / 5

        def wave(at_s: float, period_s: float) -> float:
            return math.sin(math.tau * (at_s - start_s) / period_s + phase)

        return {
            "heart_rate": lambda t: rest_bpm * (0.7 + 0.33 * effort(t)) + 2.5 * wave(t, 11.0),
            "respiration": lambda t: 9.0 + 5.0 * effort(t) + 0.8 * wave(t, 31.0),
            "spo2": lambda t: 97.8 - 0.4 * effort(t) + 0.3 * wave(t, 97.0),
            "skin_temperature": lambda t: 33.2 + 0.4 * effort(t) + 0.2 * wave(t, 1800.0),
        }[kind]
