"""Choose few relays: greedy deletion, then local search; anytime and reproducible.

The effort is counted in iterations, never in seconds, so that a seed gives the same
plan on a slow machine as on a fast one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from torgo.backbone import Backbone
from torgo.bits import members
from torgo.graph import Graph

MAX_KICK = 8
"""The most nodes that one iteration switches on before it prunes again."""
STARTS = 4
"""Greedy passes from which the search takes the best (small sites)."""
STARTS_LIMIT = 400
"""Above so many nodes one greedy pass must do."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far the search has come.

    Attributes:
        iteration: 0 after the greedy passes, then counted up.
        relays: size of the best backbone so far.
    """

    iteration: int
    relays: int


class RelaySearch:
    """The search for a small valid backbone.

    Args:
        graph: the link graph.
        redundancy: r.
        eligible: nodes that may relay; valid as a whole (the caller has tested it).
        forced: nodes that always relay.
        rng: the dice.
        keep: relays of an earlier plan; they are given up last.

    Attributes:
        best: the smallest valid backbone so far, from the first moment on.
        first: its size after the greedy passes, 0 before.
    """

    def __init__(
        self,
        graph: Graph,
        redundancy: int,
        eligible: int,
        forced: int,
        rng: Random,
        *,
        keep: int = 0,
    ) -> None:
        self.graph = graph
        self.rng = rng
        self.best = eligible | forced
        self.first = 0
        self.keep = keep
        self._full = (redundancy, eligible, forced)

    def run(self, iterations: int) -> Iterator[Step]:
        """Search, yielding at each greedy pass and each iteration."""
        backbone = self._greedy()
        self.best, self.first = backbone.on, backbone.size
        yield Step(0, backbone.size)
        off = self._switchable(backbone)
        for iteration in range(1, iterations + 1):
            if off:
                self._kick(backbone)
                if backbone.size < self.best.bit_count():
                    self.best = backbone.on
            yield Step(iteration, self.best.bit_count())

    @staticmethod
    def _switchable(backbone: Backbone) -> bool:
        return bool(backbone.eligible & ~backbone.forced)

    def _greedy(self) -> Backbone:
        """Prune the full set in several orders; keep the smallest result."""
        passes = STARTS if self.graph.size <= STARTS_LIMIT else 1
        best: Backbone | None = None
        for _ in range(passes):
            backbone = Backbone(self.graph, *self._full)
            order = list(members(backbone.eligible))
            self.rng.shuffle(order)
            order.sort(key=lambda v: self.keep >> v & 1)
            backbone.prune(order)
            if best is None or backbone.size < best.size:
                best = backbone
                self.best = best.on
        if best is None:
            raise AssertionError
        return best

    def _kick(self, backbone: Backbone) -> None:
        """Switch on a few nodes of one place, prune around them; undo what made it larger."""
        rng, masks = self.rng, backbone.masks
        centre = rng.randrange(self.graph.size)
        ball = masks[centre] | 1 << centre
        if rng.random() < 0.5:  # noqa: PLR2004 - one or two hops, evenly
            for u in list(members(masks[centre])):
                ball |= masks[u]
        idle = list(members(ball & backbone.eligible & ~backbone.on))
        if not idle:
            return
        added = rng.sample(idle, min(len(idle), rng.randint(1, MAX_KICK)))
        before = backbone.size
        touched = 0
        for v in added:
            backbone.switch_on(v)
            touched |= masks[v]
        wider = touched
        for u in members(touched):
            wider |= masks[u]
        order = list(members(wider & backbone.on & ~sum(1 << v for v in added)))
        rng.shuffle(order)
        gone = backbone.prune(order + added)
        if backbone.size > before:
            for v in reversed(gone):
                backbone.switch_on(v)
            for v in added:
                backbone.switch_off(v)
