"""The relay backbone: a set of relays that is kept valid while it changes.

Valid for r means: more than r relays, no r-1 losses part them, and every node, relay
or not, has r relays among its neighbours. By Menger's theorem any r-1 losses then
leave every survivor within reach of every other.
"""

from torgo.bits import lowest, members
from torgo.connectivity import Closure, Verdict, find_clique, is_k_connected, test_connectivity
from torgo.graph import Graph
from torgo.paths import has_fan

EXACT_LIMIT = 400
"""Up to so many nodes a relay stays only if it is truly needed."""
HORIZON = 300
"""Beyond, it also stays if a path around it is not found within so many relays."""


def short_of_relays(graph: Graph, relays: int, redundancy: int) -> list[int]:
    """List the nodes with fewer than `redundancy` relays among their neighbours."""
    masks = graph.masks
    return [v for v in range(graph.size) if (masks[v] & relays).bit_count() < redundancy]


def check_backbone(graph: Graph, relays: int, redundancy: int) -> tuple[Verdict, list[int]]:
    """Test a set of relays from scratch: connectivity, and the nodes that lack relays."""
    return test_connectivity(graph, relays, redundancy), short_of_relays(graph, relays, redundancy)


class Backbone:
    """A valid set of relays, one switch at a time.

    Args:
        graph: the link graph.
        redundancy: r, from 1 up.
        eligible: the nodes that may relay; as a set they must be a valid backbone.
        forced: the nodes that always relay (gateways).

    Attributes:
        on: the relays, as a bit set.
        size: how many.
    """

    def __init__(self, graph: Graph, redundancy: int, eligible: int, forced: int) -> None:
        self.graph = graph
        self.masks = graph.masks
        self.redundancy = redundancy
        self.eligible = eligible | forced
        self.forced = forced
        self.horizon = HORIZON if graph.size > EXACT_LIMIT else graph.size
        self.on = self.eligible
        self.size = self.on.bit_count()
        self.count = [(row & self.on).bit_count() for row in self.masks]
        self.tight = 0
        for v, count in enumerate(self.count):
            if count <= redundancy:
                self.tight |= 1 << v

    def switch_on(self, v: int) -> None:
        """Make `v` a relay; a valid set stays valid."""
        self.on |= 1 << v
        self.size += 1
        count, limit = self.count, self.redundancy + 1
        for u in self.graph.near[v]:
            count[u] += 1
            if count[u] == limit:
                self.tight &= ~(1 << u)

    def switch_off(self, v: int) -> None:
        """Make `v` no relay, whatever follows."""
        self.on &= ~(1 << v)
        self.size -= 1
        count, limit = self.count, self.redundancy
        for u in self.graph.near[v]:
            count[u] -= 1
            if count[u] == limit:
                self.tight |= 1 << u

    def removable(self, v: int) -> bool:
        """Say whether the set stays valid without its relay `v`."""
        if (
            self.masks[v] & self.tight
            or self.count[v] < self.redundancy
            or self.size <= self.redundancy + 1
            or self.forced >> v & 1
        ):
            return False
        return self._linked_without(v)

    def _linked_without(self, v: int) -> bool:
        """Say whether no r-1 losses part the relays around `v` once it is gone.

        That is all that matters: each part that a separator of the rest could leave
        would hold a neighbour of `v`, else the separator would part the set with `v`
        in it too. So a set is grown from a clique beside `v`, first from the relays
        within two hops, then, for a neighbour that is still outside, by a fan of r
        paths (Even), until all neighbours are in it or one is shown to be parted.
        """
        masks, r = self.masks, self.redundancy
        rest = self.on & ~(1 << v)
        around = masks[v] & rest
        ball = around
        for u in members(around):
            ball |= masks[u]
        ball &= rest
        clique = None
        for start in members(around):
            clique = find_clique(masks, ball, r, start)
            if clique is not None:
                break
        if clique is None:
            return self.graph.size <= EXACT_LIMIT and is_k_connected(self.graph, rest, r)
        closure = Closure(masks, ball, r, clique)
        while outside := around & ~closure.done:
            u = lowest(outside)
            if has_fan(masks, rest, u, closure.done, r, self.horizon) is not None:
                return False
            closure.take(1 << u)
        return True

    def prune(self, order: list[int]) -> list[int]:
        """Switch off, in that order, what the set can do without; give what went."""
        gone = []
        for v in order:
            if self.on >> v & 1 and self.removable(v):
                self.switch_off(v)
                gone.append(v)
        return gone
