"""Is a mesh still one mesh after any k-1 losses? Proof, or the vertices that part it.

The test grows a set that is k-connected by construction: it starts from k vertices
that are all neighbours of each other and takes in any vertex with k neighbours in
the set. In a radio network that mostly reaches every vertex, at a few bit-set
operations each. Where it gets stuck, Even's fan test decides: a vertex with k
disjoint paths to k vertices of the set belongs to it; one without shows a cut.

Source: S. Even, An algorithm for determining whether the connectivity of a graph
is at least k, SIAM J. Comput. 4 (1975).
"""

from dataclasses import dataclass
from itertools import combinations

from torgo.bits import lowest, members
from torgo.graph import Graph
from torgo.paths import has_fan

SEEDS = 6
"""From how many vertices a clique is sought before flows must make the start."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test of k-connectivity found.

    Attributes:
        holds: whether more than k vertices are there and no k-1 part them.
        cut: if it does not hold: vertices, fewer than k, whose loss parts the rest
            (or leaves nothing to part, where the graph is too small).
    """

    holds: bool
    cut: tuple[int, ...] = ()


def find_clique(masks: list[int], active: int, k: int, start: int) -> int | None:
    """Look greedily for k mutual neighbours that include `start`."""
    clique = 1 << start
    shared = masks[start] & active
    for _ in range(k - 1):
        best, best_shared = -1, -1
        for v in members(shared):
            count = (masks[v] & shared).bit_count()
            if count > best_shared:
                best, best_shared = v, count
                if count >= 2 * k:
                    break
        if best < 0:
            return None
        clique |= 1 << best
        shared &= masks[best]
    return clique


class Closure:
    """A set of vertices that grows by every one that comes to have k neighbours in it.

    Args:
        masks: neighbours of each vertex.
        active: the vertices that may be taken in.
        k: how many neighbours it takes.
        core: where it begins; taken in as it is.

    Attributes:
        done: the set.
    """

    __slots__ = ("_levels", "active", "done", "masks")

    def __init__(self, masks: list[int], active: int, k: int, core: int) -> None:
        self.masks = masks
        self.active = active
        self._levels = [0] * k  # bit-sliced: level i holds those with more than i neighbours
        self.done = 0
        self.take(core)

    def take(self, fresh: int) -> None:
        """Take vertices in, and all that follow from them."""
        masks, levels, outside = self.masks, self._levels, self.active & ~self.done
        top = len(levels) - 1
        done = self.done
        while fresh:
            done |= fresh
            outside &= ~fresh
            for v in members(fresh):
                row = masks[v]
                for i in range(top, 0, -1):
                    levels[i] |= levels[i - 1] & row
                levels[0] |= row
            fresh = levels[top] & outside
        self.done = done

    def nearest(self) -> int:
        """Give the vertex outside that has the most neighbours inside; any if none has one."""
        outside = self.active & ~self.done
        for level in reversed(self._levels):
            close = level & outside
            if close:
                return lowest(close)
        return lowest(outside)


def is_k_connected(graph: Graph, active: int, k: int) -> bool:
    """Say whether the subgraph of `active` survives the loss of any k-1 vertices."""
    return test_connectivity(graph, active, k).holds


def test_connectivity(graph: Graph, active: int, k: int) -> Verdict:
    """Prove that the subgraph induced by `active` is k-connected, or find a cut.

    Args:
        graph: the link graph.
        active: its vertices that count, as a bit set.
        k: at least 1.
    """
    masks = graph.masks
    count = active.bit_count()
    if count <= k:
        return Verdict(False, tuple(members(active))[: max(count - 1, 0)])
    start = _start(masks, active, k)
    if isinstance(start, Verdict):
        return start
    closure = Closure(masks, active, k, start)
    while closure.done != active:
        v = closure.nearest()
        short = has_fan(masks, active, v, closure.done, k)
        if short is not None:
            return Verdict(False, tuple(members(short.cut or 0)))
        closure.take(1 << v)
    return Verdict(True)


def _start(masks: list[int], active: int, k: int) -> int | Verdict:
    """Find k vertices that no k-1 others part, or a cut."""
    stride = max(1, active.bit_count() // SEEDS)
    for v in list(members(active))[::stride]:
        clique = find_clique(masks, active, k, v)
        if clique is not None:
            return clique
    for v in members(active):
        if (masks[v] & active).bit_count() < k:
            return Verdict(False, tuple(members(masks[v] & active)))
    first = _first_reached(masks, active, k)
    for a, b in combinations(members(first), 2):
        if masks[a] >> b & 1 or (masks[a] & masks[b] & active).bit_count() >= k:
            continue
        short = has_fan(masks, active, a, 1 << b, k)
        if short is not None:
            return Verdict(False, tuple(members(short.cut or 0)))
    return first


def _first_reached(masks: list[int], active: int, k: int) -> int:
    """Take k vertices close to each other, the first of a breadth-first walk."""
    root = max(members(active), key=lambda v: (masks[v] & active).bit_count())
    reached = 1 << root
    for v in members(masks[root] & active):
        if reached.bit_count() == k:
            return reached
        reached |= 1 << v
    for v in members(active & ~reached):
        if reached.bit_count() == k:
            break
        reached |= 1 << v
    return reached


def vertex_connectivity(graph: Graph, active: int, cap: int) -> tuple[int, tuple[int, ...]]:
    """Measure connectivity: how few losses part the subgraph of `active`.

    Args:
        graph: the link graph.
        active: its vertices that count.
        cap: where to stop; a larger connectivity is reported as `cap`.

    Returns:
        the connectivity, at most `cap`, and a smallest cut if it is below `cap`
        (for a complete graph of n vertices: n - 1, and no cut parts it).
    """
    for k in range(1, cap + 1):
        verdict = test_connectivity(graph, active, k)
        if not verdict.holds:
            return k - 1, verdict.cut
    return cap, ()


def cut_vertices(  # noqa: C901, PLR0912 - one walk, as in the paper
    graph: Graph, active: int
) -> list[int]:
    """Find every single vertex whose loss parts its component (articulation points).

    Source: J. Hopcroft and R. Tarjan, CACM 16 (1973), without recursion.
    """
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    found: set[int] = set()
    inside = bytearray(graph.size)
    for v in members(active):
        inside[v] = 1
    for root in members(active):
        if root in order:
            continue
        order[root] = low[root] = len(order)
        children = 0
        stack = [(root, -1, iter(graph.near[root]))]
        while stack:
            v, parent, row = stack[-1]
            for w in row:
                if not inside[w] or w == parent:
                    continue
                if w in order:
                    low[v] = min(low[v], order[w])
                else:
                    order[w] = low[w] = len(order)
                    stack.append((w, v, iter(graph.near[w])))
                    break
            else:
                stack.pop()
                if parent == root:
                    children += 1
                elif parent >= 0 and low[v] >= order[parent]:
                    found.add(parent)
                if parent >= 0:
                    low[parent] = min(low[parent], low[v])
        if children > 1:
            found.add(root)
    return sorted(found)
