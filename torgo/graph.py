"""The link graph: who can hear whom well enough to plan on it."""

from collections import deque
from collections.abc import Iterable, Sequence
from functools import cached_property

from torgo.bits import mask_of


class Graph:
    """An undirected graph on vertices 0 .. size-1, without loops or double edges.

    Attributes:
        size: number of vertices.
        near: for each vertex its neighbours, ascending.
    """

    def __init__(self, near: Sequence[Sequence[int]]) -> None:
        self.size = len(near)
        self.near = near

    @classmethod
    def of(cls, size: int, edges: Iterable[tuple[int, int]]) -> "Graph":
        """Make the graph of `edges`; a loop is dropped, a repeated edge counts once."""
        near: list[set[int]] = [set() for _ in range(size)]
        for a, b in edges:
            if a != b:
                near[a].add(b)
                near[b].add(a)
        return cls([sorted(row) for row in near])

    @cached_property
    def masks(self) -> list[int]:
        """The neighbours of each vertex as a bit set."""
        return [mask_of(row) for row in self.near]

    @cached_property
    def everyone(self) -> int:
        """All vertices as a bit set."""
        return (1 << self.size) - 1

    @property
    def edges(self) -> int:
        """The number of edges."""
        return sum(map(len, self.near)) // 2

    @property
    def mean_degree(self) -> float:
        """The number of neighbours of an average vertex."""
        return 2 * self.edges / self.size if self.size else 0.0


def hops_from(
    near: Sequence[Sequence[int]], sources: Iterable[int], carries: Sequence[int] | bytearray
) -> list[int]:
    """Count the hops of a flood that starts at `sources`.

    Args:
        near: neighbours of each vertex.
        sources: where it starts, at 0 hops; they send whether they carry or not.
        carries: truthy for the vertices that pass a message on.

    Returns:
        hops to each vertex; -1 where the flood does not come.
    """
    hops = [-1] * len(near)
    todo = deque(sources)
    for v in todo:
        hops[v] = 0
    while todo:
        v = todo.popleft()
        if hops[v] and not carries[v]:
            continue
        after = hops[v] + 1
        for w in near[v]:
            if hops[w] < 0:
                hops[w] = after
                todo.append(w)
    return hops
