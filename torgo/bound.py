"""How few relays could do: a bound from linear programming duality, no solver needed."""

import math

import numpy as np

from torgo.bits import members
from torgo.graph import Graph

ROUNDS = 400


def fewest_relays(graph: Graph, eligible: int, forced: int, redundancy: int) -> int:
    """Bound the number of relays from below.

    Every node, relay or not, needs r relays among its neighbours (a relay, as the
    backbone is r-connected). Any y >= 0 gives, by weak duality, the bound

        |forced| + sum r'_v y_v - sum_u max(0, sum_{v near u} y_v - 1)

    where r'_v is what the forced relays leave open and u runs over the other eligible
    nodes. Subgradient steps make it good; it is valid at every step.
    """
    size = graph.size
    free = np.zeros(size, np.bool_)
    free[list(members(eligible & ~forced))] = True
    need = np.maximum(
        0, redundancy - np.array([(row & forced).bit_count() for row in graph.masks])
    ).astype(np.float64)
    degree = np.array([len(row) for row in graph.near], np.int64)
    owner = np.repeat(np.arange(size), degree)
    other = np.fromiter((w for row in graph.near for w in row), np.int64, int(degree.sum()))
    y = need / np.maximum(1, redundancy) / np.maximum(1.0, degree.mean())
    best = 0.0
    for step in range(ROUNDS):
        price = np.bincount(owner, y[other], size)
        over = free & (price > 1)
        value = float(need @ y - (price[over] - 1).sum())
        best = max(best, value)
        slope = need - np.bincount(owner, over[other], size)
        length = float(slope @ slope)
        if length == 0:
            break
        target = best * 1.05 + 1
        y = np.maximum(0, y + (1 - step / ROUNDS) * (target - value) / length * slope)
    return max(redundancy + 1, forced.bit_count() + math.ceil(best - 1e-6))
