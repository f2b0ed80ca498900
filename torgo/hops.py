"""How far messages go: hops to a gateway, with all well and after losses; TTL."""

from collections.abc import Sequence
from dataclasses import dataclass

from torgo.bits import members
from torgo.graph import Graph, hops_from
from torgo.paths import fan

PROVEN_LIMIT = 500
"""Up to so many nodes each one's disjoint paths are found; above, the farthest ones'."""
SAMPLE = 30
"""How many of the farthest nodes stand for a large site."""
TTL_MAX = 127
"""Mesh Protocol 1.1, 3.4.4.4."""


@dataclass(frozen=True, slots=True)
class Hops:
    """Distances to the gateways.

    Attributes:
        now: with everything up; -1 where none is reached.
        worst: a bound on them after any redundancy - 1 losses that leave a gateway.
        proven: whether `worst` is from every node's own paths, not from a sample.
    """

    now: list[int]
    worst: list[int]
    proven: bool


def relay_flags(size: int, relays: int) -> bytearray:
    """Turn a bit set of relays into one flag a node."""
    flags = bytearray(size)
    for v in members(relays):
        flags[v] = 1
    return flags


def measure_hops(graph: Graph, relays: int, gateways: Sequence[int], redundancy: int) -> Hops:
    """Measure the hops of every node to its gateways."""
    flags = relay_flags(graph.size, relays)
    now = hops_from(graph.near, gateways, flags)
    near = [(door, hops_from(graph.near, [door], flags)) for door in gateways]
    proven = graph.size <= PROVEN_LIMIT
    order = sorted(range(graph.size), key=lambda v: -now[v])
    chosen = range(graph.size) if proven else order[:SAMPLE]
    worst = list(now)
    stretch = 0
    for v in chosen:
        if now[v] <= 0:
            continue
        worst[v] = max(now[v], _worst(graph, relays, near, v, redundancy))
        stretch = max(stretch, worst[v] - now[v])
    if not proven:
        worst = [hop + stretch if hop > 0 else hop for hop in now]
    return Hops(now, worst, proven)


def gateway_paths(
    graph: Graph, relays: int, to_gateway: Sequence[int], gateway: int, v: int, wanted: int
) -> list[list[int]]:
    """Find short paths over relays from a node to a gateway that share only their ends.

    Only relays on ways of at most so many hops are looked at, one more each time, until
    there are enough of them: paths without long detours come first.

    Args:
        graph: the link graph.
        relays: relays and gateways.
        to_gateway: hops from each node to that gateway.
        gateway: where the paths end.
        v: where they start.
        wanted: how many.
    """
    if v == gateway or to_gateway[v] < 0:
        return []
    flags = relay_flags(graph.size, relays)
    from_v = hops_from(graph.near, [v], flags)
    on_a_way: dict[int, int] = {}
    for u in members(relays):
        if from_v[u] >= 0 and to_gateway[u] >= 0:
            length = from_v[u] + to_gateway[u]
            on_a_way[length] = on_a_way.get(length, 0) | 1 << u
    allowed = 0
    for length in sorted(on_a_way):
        allowed |= on_a_way[length]
        found = fan(graph.masks, allowed, v, 1 << gateway, wanted)
        if found.cut is None:
            return found.paths
    return fan(graph.masks, relays, v, 1 << gateway, wanted).paths


def _worst(
    graph: Graph, relays: int, near: Sequence[tuple[int, list[int]]], v: int, redundancy: int
) -> int:
    """Bound the hops from a node to a gateway that is left after redundancy - 1 losses.

    For each gateway: of r disjoint paths one survives, and it is no longer than the
    longest. So many losses leave one of any r gateways.
    """
    lengths = []
    for gateway, hops in sorted(near, key=lambda row: row[1][v])[:redundancy]:
        paths = gateway_paths(graph, relays, hops, gateway, v, redundancy)
        lengths.append(max((len(path) - 1 for path in paths), default=0))
    return max(lengths, default=0)


def choose_ttl(worst_hops: int, hops_max: int) -> int:
    """Choose the TTL that carries a message over the worst way, and one hop in reserve.

    A TTL of n reaches n hops; 1 is not allowed for publishing, 2 is the least that is
    relayed at all.
    """
    return max(2, min(worst_hops + 1, hops_max, TTL_MAX))
