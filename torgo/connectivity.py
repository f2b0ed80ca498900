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

from torgo.bits import members
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


def close(masks: list[int], active: int, k: int, core: int) -> int:
    """Take into `core` every active vertex that comes to have k neighbours in it.

    Counts are kept bit-sliced: level[i] holds the vertices with more than i
    neighbours in the set so far.
    """
    levels = [0] * k
    top = k - 1
    done = core
    fresh = core
    while fresh:
        for v in members(fresh):
            row = masks[v]
            for i in range(top, 0, -1):
                levels[i] |= levels[i - 1] & row
            levels[0] |= row
        fresh = levels[top] & active & ~done
        done |= fresh
    return done


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
    done = close(masks, active, k, start)
    while done != active:
        v = _nearest(masks, active & ~done, done, k)
        short = has_fan(masks, active, v, done, k)
        if short is not None:
            return Verdict(False, tuple(members(short.cut or 0)))
        done = close(masks, active, k, done | 1 << v)
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


def _nearest(masks: list[int], rest: int, done: int, k: int) -> int:
    """Choose the vertex outside that has the most neighbours inside."""
    best, most = -1, -1
    for v in members(rest):
        inside = (masks[v] & done).bit_count()
        if inside > most:
            best, most = v, inside
            if inside == k - 1:
                break
    return best


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
