"""The advertising bearer between nodes: who hears whom, how surely, and when. Pure.

A node sends a PDU some times; each neighbour takes the first copy that arrives, as its
message cache would drop the others. Nothing collides. A radio sends one PDU after another:
what a node says later also arrives later, and what is too much for its queue is dropped.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from random import Random
from typing import NamedTuple

from dunes.sim.air.pathloss import RadioSpec, arrival_chance, rssi_dbm

CHANCE_MIN = 0.01
"""A neighbour that hears less is none."""
CHANCE_SURE = 0.9999
"""One that hears more hears everything."""
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
DELAY_MIN_S, DELAY_MAX_S = 0.002, 0.02
"""From the order to send to the first copy: random, as 3.4.6.2 of Mesh Protocol 1.1 asks."""
ADVERTISEMENT_S = 0.005
"""One advertising event on three channels, and what lies between two of them."""
QUEUE_MAX_S = 2.0
"""A node drops what it could not begin to send within this."""


class Place(NamedTuple):
    """Where a node stands, in metres from the gateway."""

    x_m: float
    y_m: float


class Copy(NamedTuple):
    """One copy of a PDU, and who takes it.

    Attributes:
        after_s: when it arrives.
        receivers: names.
    """

    after_s: float
    receivers: set[str]


@dataclass(slots=True)
class Field:
    """Everybody's neighbours.

    Attributes:
        chances: by sender and receiver: that one copy arrives.
        rng: for loss and delay.
        loss: share of the copies that is lost on top.
        dropped: PDUs that found no room in their sender's queue.
    """

    chances: dict[str, dict[str, float]]
    rng: Random
    loss: float = 0.0
    dropped: int = 0
    _free_s: dict[str, float] = field(default_factory=dict)
    _sure: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, places: Mapping[str, Place], spec: RadioSpec, rng: Random) -> "Field":
        """Find the neighbours of nodes that stand somewhere."""
        made = cls({name: {} for name in places}, rng)
        for (a, here), (b, there) in combinations(places.items(), 2):
            rssi = rssi_dbm(spec, math.dist(here, there))
            chance = arrival_chance(rssi, spec.sensitivity_dbm)
            if chance >= CHANCE_MIN:
                made.chances[a][b] = made.chances[b][a] = chance
        return made

    def neighbours(self, name: str) -> set[str]:
        """Give the nodes that hear a node."""
        return set(self.chances[name])

    def cast(self, sender: str, sends: int, interval_s: float, now_s: float) -> list[Copy]:
        """Say which copies of a PDU reach whom.

        Args:
            sender: its name.
            sends: how often it is sent.
            interval_s: between two of them.
            now_s: seconds.
        """
        wait_s = max(self._free_s.get(sender, 0.0) - now_s, 0.0)
        if wait_s > QUEUE_MAX_S:
            self.dropped += 1
            return []
        first_s = wait_s + self.rng.uniform(DELAY_MIN_S, DELAY_MAX_S)
        last_s = first_s + (sends - 1) * interval_s
        self._free_s[sender] = now_s + last_s + ADVERTISEMENT_S
        rng, keep = self.rng, 1.0 - self.loss
        near = self._near(sender) if keep == 1.0 else set()
        copies: dict[int, set[str]] = {0: set(near)}
        for name, chance in self.chances[sender].items():
            if name in near:
                continue
            for number in range(sends):
                if rng.random() < chance * keep:
                    copies.setdefault(number, set()).add(name)
                    break
        return [
            Copy(first_s + number * interval_s, names)
            for number, names in sorted(copies.items())
            if names
        ]

    def _near(self, sender: str) -> set[str]:
        """Give those who are so near that no copy is lost."""
        if sender not in self._sure:
            found = {
                name for name, chance in self.chances[sender].items() if chance >= CHANCE_SURE
            }
            self._sure[sender] = found
        return self._sure[sender]


def spread(names: list[str], radius_m: float, rng: Random) -> dict[str, Place]:
    """Place nodes evenly over a disc around the gateway, none exactly where it was meant."""
    places = {}
    for number, name in enumerate(names):
        far_m = radius_m * math.sqrt((number + 0.5) / len(names)) * rng.uniform(0.95, 1.0)
        angle = number * GOLDEN_ANGLE + rng.uniform(-0.1, 0.1)
        places[name] = Place(far_m * math.cos(angle), far_m * math.sin(angle))
    return places
