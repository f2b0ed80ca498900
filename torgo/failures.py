"""Losses: which nodes fail, and who is cut off when they do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torgo.adapt import serve
from torgo.dice import dice
from torgo.plan import Plan

Pattern = Literal["random", "busiest", "region"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What losses do to the ways, packets aside.

    Attributes:
        failed: nodes that are gone.
        served: share of the survivors with a way to a gateway.
        cut_off: survivors without one.
        ceiling: the share if every survivor that may relay did.
        farthest_hops: the longest way in use.
    """

    failed: list[str]
    served: float
    cut_off: list[str]
    ceiling: float
    farthest_hops: int


def failure_order(plan: Plan, pattern: Pattern, seed: int) -> list[int]:
    """Say in which order nodes fail; gateways never do.

    Args:
        plan: the network.
        pattern: `random`; `busiest`: those that relay most, as an enemy would; `region`:
            those around a random node, as a rockfall or a power line would.
        seed: of the dice.
    """
    order = [i for i, node in enumerate(plan.nodes) if node.role != "gateway"]
    rng = dice(seed, "failures", pattern)
    if pattern == "random":
        rng.shuffle(order)
    elif pattern == "busiest":
        order.sort(key=lambda i: (-plan.nodes[i].load_events_per_s, plan.nodes[i].id))
    elif order:
        x_m, y_m = plan.x_m, plan.y_m
        at = rng.choice(order)
        order.sort(key=lambda i: math.hypot(x_m[i] - x_m[at], y_m[i] - y_m[at]))
    return order


def outcome_of(plan: Plan, failed: Sequence[int]) -> Outcome:
    """Find out who is cut off."""
    alive = [True] * len(plan.nodes)
    for i in failed:
        alive[i] = False
    limit = plan.request.hops_max
    now = serve(plan.graph, alive, plan.relay_mask, plan.gateways, limit)
    best = serve(plan.graph, alive, plan.eligible_mask, plan.gateways, limit)
    return Outcome(
        plan.names(failed),
        round(now.served / max(1, now.live), 5),
        [node.id for i, node in enumerate(plan.nodes) if alive[i] and now.hops[i] < 0],
        round(best.served / max(1, best.live), 5),
        max(0, now.farthest),
    )
