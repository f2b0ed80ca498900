"""Which nodes hear each other: every near pair once, by the radio model.

A square grid with cells as wide as the farthest audible distance finds the near
pairs; the work grows with the number of pairs, not with the square of the nodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from torgo.errors import Impossible
from torgo.graph import Graph
from torgo.obstacles import Obstacle, obstacle_loss
from torgo.radio import Array, Propagation, Radio, farthest_m, path_loss

Indices = npt.NDArray[np.int64]

CHUNK = 1_000_000
"""Pairs that are looked at together; bounds the memory."""
MOST_LINKS = 6_000_000
"""More would be a site where everyone hears everyone, and no mesh."""


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of nodes that hear each other, each pair once.

    Attributes:
        size: number of nodes.
        a: the smaller number of each pair.
        b: the larger.
        rssi_dbm: median received power, the weaker direction.
        planned_dbm: from here up a link is planned on (sensitivity and margin).
    """

    size: int
    a: Indices
    b: Indices
    rssi_dbm: Array
    planned_dbm: float

    def graph(self, threshold_dbm: float | None = None) -> Graph:
        """Make the link graph of the pairs at or above a threshold (default: planned)."""
        limit = self.planned_dbm if threshold_dbm is None else threshold_dbm
        good = self.rssi_dbm >= limit
        source = np.concatenate((self.a[good], self.b[good]))
        target = np.concatenate((self.b[good], self.a[good]))
        order = np.lexsort((target, source))
        starts = np.searchsorted(source[order], np.arange(self.size + 1))
        flat = target[order].tolist()
        return Graph([flat[i:j] for i, j in pairwise(starts)])


def find_links(
    x_m: Array,
    y_m: Array,
    height_m: Array,
    radio: Radio,
    air: Propagation,
    obstacles: Sequence[Obstacle] = (),
    *,
    below_db: float | None = None,
) -> Links:
    """Compute the received power between all pairs that may hear each other.

    Args:
        x_m: positions.
        y_m: positions.
        height_m: of each antenna.
        radio: all nodes have the same.
        air: how the signal fades.
        obstacles: what stands in between.
        below_db: keep links so far below sensitivity too, as they are heard now and
            then, or disturb; by default only those that are planned on.

    Raises:
        Impossible: far too many nodes hear each other.
    """
    planned_dbm = radio.sensitivity_dbm + radio.margin_db
    limit_dbm = planned_dbm if below_db is None else radio.sensitivity_dbm - below_db
    eirp = radio.tx_power_dbm + 2 * radio.antenna_gain_dbi
    highest = float(height_m.max(initial=0.1))
    reach = farthest_m(radio, air, highest, eirp - limit_dbm)
    kept: list[tuple[Indices, Indices, Array]] = []
    total = 0
    for a, b in near_pairs(x_m, y_m, max(reach, 1.0)):
        distance = np.hypot(x_m[a] - x_m[b], y_m[a] - y_m[b])
        close = distance <= reach
        a, b, distance = a[close], b[close], distance[close]  # noqa: PLW2901 - the same pairs
        rssi = eirp - path_loss(radio, air, distance, height_m[a], height_m[b])
        heard = rssi >= limit_dbm
        a, b, rssi = a[heard], b[heard], rssi[heard]  # noqa: PLW2901 - the same pairs
        if obstacles:
            rssi = rssi - obstacle_loss(obstacles, x_m[a], y_m[a], x_m[b], y_m[b])
            heard = rssi >= limit_dbm
            a, b, rssi = a[heard], b[heard], rssi[heard]  # noqa: PLW2901 - the same pairs
        kept.append((a, b, rssi))
        total += len(a)
        if total > MOST_LINKS:
            raise Impossible(
                f"too dense: a node hears more than {2 * total // len(x_m)} others",
                hint="torgo scale --nodes N --range R chooses a lower transmit power",
                code="too-dense",
            )
    none = np.zeros(0, np.int64)
    a = np.concatenate([none, *(row[0] for row in kept)])
    b = np.concatenate([none, *(row[1] for row in kept)])
    rssi = np.concatenate([np.zeros(0), *(row[2] for row in kept)])
    order = np.lexsort((np.maximum(a, b), np.minimum(a, b)))
    return Links(
        len(x_m), np.minimum(a, b)[order], np.maximum(a, b)[order], rssi[order], planned_dbm
    )


def near_pairs(x_m: Array, y_m: Array, cell_m: float) -> Iterator[tuple[Indices, Indices]]:
    """Give every pair whose cells touch, once, in chunks."""
    if len(x_m) == 0:
        return
    column = np.floor((x_m - x_m.min()) / cell_m).astype(np.int64)
    row = np.floor((y_m - y_m.min()) / cell_m).astype(np.int64)
    width = int(column.max()) + 3
    key = (row + 1) * width + column + 1
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    for shift in (0, 1, width - 1, width, width + 1):
        first = np.searchsorted(ordered, ordered + shift, side="left")
        last = np.searchsorted(ordered, ordered + shift, side="right")
        if shift == 0:
            first = np.arange(len(ordered)) + 1
        yield from _expand(order, first, np.maximum(last, first))


def _expand(order: Indices, first: Indices, last: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Pair the i-th node with those from first[i] to last[i], a chunk at a time."""
    count = last - first
    ends = np.cumsum(count)
    start = 0
    while start < len(order):
        base = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, base + CHUNK, side="right")))
        rows = np.arange(start, stop)
        repeat = count[rows]
        total = int(repeat.sum())
        if total:
            a = np.repeat(rows, repeat)
            offset = np.arange(total) - np.repeat(np.cumsum(repeat) - repeat, repeat)
            yield order[a], order[first[a] + offset]
        start = stop
