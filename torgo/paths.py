"""Disjoint paths: Menger's theorem, constructively.

Augmenting paths in the split graph, where each vertex may carry one path. All
sets of vertices are bit sets (`torgo.bits`).
"""

from collections import deque
from dataclasses import dataclass

from torgo.bits import members


@dataclass(frozen=True, slots=True)
class Fan:
    """Paths from one vertex that share nothing but their start.

    Attributes:
        paths: each from the source to its sink, ends included.
        cut: if there are fewer than asked for: the vertices, as many as there are
            paths, whose loss parts the source from every sink not among them.
    """

    paths: list[list[int]]
    cut: int | None


class _Flow:
    """A set of disjoint paths that grows by one at each augmentation."""

    def __init__(self, masks: list[int], active: int, source: int, sinks: int) -> None:
        self.masks = masks
        self.active = active & ~(1 << source)
        self.source = source
        self.single = sinks.bit_count() == 1
        self.open = sinks
        self.before: dict[int, int] = {}
        self.after: dict[int, int] = {}
        self.starts = 0
        self.direct = 0  # the sink, once the path of one step to it is taken
        self.blocked = 0

    def grow(self, horizon: int) -> bool:
        """Find one path more; if there is none, leave the cut in `blocked`."""
        masks, active, source = self.masks, self.active, self.source
        before = self.before
        seen_in, seen_out = 0, 1 << source
        came_in: dict[int, int] = {}  # entered from that vertex; itself: back through it
        came_out: dict[int, int] = {}  # itself: through it; else undoing the arc to that one
        todo = deque([source])

        def undo(w: int) -> None:
            nonlocal seen_out
            u = before[w]
            if u != source and not seen_out >> u & 1:
                seen_out |= 1 << u
                came_out[u] = w
                todo.append(u)

        while todo and horizon:
            horizon -= 1
            v = todo.popleft()
            fresh = masks[v] & active & ~seen_in
            if v == source:
                fresh &= ~self.direct
            elif v in before and not seen_in >> v & 1:
                seen_in |= 1 << v
                came_in[v] = v
                undo(v)
            reached = fresh & self.open
            if reached:
                end = (reached & -reached).bit_length() - 1
                came_in[end] = v
                self._take(end, came_in, came_out)
                return True
            seen_in |= fresh
            for w in members(fresh):
                came_in[w] = v
                if w in before:
                    undo(w)
                elif not seen_out >> w & 1:
                    seen_out |= 1 << w
                    came_out[w] = w
                    todo.append(w)
        self.blocked = seen_in & ~seen_out
        return False

    def _take(  # noqa: C901 - undo, then add; each arc once
        self, end: int, came_in: dict[int, int], came_out: dict[int, int]
    ) -> None:
        add: list[tuple[int, int]] = []
        drop: list[tuple[int, int]] = []
        w = end
        while True:
            v = came_in[w]
            if v != w:
                add.append((v, w))
                if v == self.source:
                    break
            step = came_out[v]
            if step != v:
                drop.append((v, step))
            w = step
        for a, b in drop:
            del self.before[b]
            del self.after[a]
        for a, b in add:
            if a == self.source:
                self.starts |= 1 << b
                if self.single and b == end:
                    self.direct = 1 << b
            else:
                self.after[a] = b
            if not (self.single and b == end):
                self.before[b] = a
        if not self.single:
            self.open &= ~(1 << end)

    def paths(self) -> list[list[int]]:
        """Read the paths back, shortest first."""
        found = []
        for first in members(self.starts):
            path = [self.source, first]
            while path[-1] in self.after:
                path.append(self.after[path[-1]])
            found.append(path)
        return sorted(found, key=len)


def fan(masks: list[int], active: int, source: int, sinks: int, wanted: int) -> Fan:
    """Find up to `wanted` paths that share nothing but `source`.

    With one sink they share that too, and are the internally disjoint paths to it;
    else they end at sinks all different, and no sink is passed on the way.

    Args:
        masks: neighbours of each vertex.
        active: the vertices that paths may use; the sinks among them.
        source: where they start; not a sink.
        sinks: where they end.
        wanted: how many are enough.
    """
    flow = _Flow(masks, active | sinks, source, sinks)
    for _ in range(wanted):
        if not flow.grow(-1):
            return Fan(flow.paths(), flow.blocked)
    return Fan(flow.paths(), None)


def has_fan(
    masks: list[int], active: int, source: int, sinks: int, wanted: int, horizon: int = -1
) -> Fan | None:
    """Give None if there are `wanted` paths, else a fan with the cut.

    Args:
        masks: as in `fan`.
        active: as in `fan`.
        source: as in `fan`.
        sinks: as in `fan`.
        wanted: as in `fan`.
        horizon: after so many vertices the search for a path is given up as if there
            were none (then the cut means nothing); negative: never.
    """
    flow = _Flow(masks, active | sinks, source, sinks)
    for _ in range(wanted):
        if not flow.grow(horizon):
            return Fan([], flow.blocked)
    return None
