"""One node of a plan: what it does, why, and what hangs on it."""

from dataclasses import dataclass

from dunes.errors import NotFound
from torgo.bits import members
from torgo.graph import hops_from
from torgo.hops import gateway_paths, relay_flags
from torgo.plan import Plan


@dataclass(frozen=True, slots=True)
class Hearing:
    """A neighbour.

    Attributes:
        id: its name.
        role: gateway, relay or leaf.
        rssi_dbm: of the link.
        spare_db: above the threshold that is planned on.
    """

    id: str
    role: str
    rssi_dbm: float
    spare_db: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What there is to know about a node.

    Attributes:
        id: its name.
        kind: of node.
        role: gateway, relay or leaf.
        x_m: where it stands.
        y_m: where it stands.
        hops: to the nearest gateway.
        worst_hops: after redundancy - 1 losses.
        ttl: of its messages.
        publish_period_s: between them.
        friend: who keeps its messages.
        friend_of: low-power nodes for which it keeps them.
        load_events_per_s: what it sends.
        relay_neighbours: relays that it hears.
        redundancy: what was asked for.
        paths: disjoint ways to the nearest gateway, by name.
        depends_on_it: nodes that would hear fewer relays than asked for without it.
        cut_off_without_it: nodes that would have no way at all.
        why: sentences.
        neighbours: strongest first.
    """

    id: str
    kind: str
    role: str
    x_m: float
    y_m: float
    hops: int
    worst_hops: int
    ttl: int
    publish_period_s: float
    friend: str | None
    friend_of: list[str]
    load_events_per_s: float
    relay_neighbours: int
    redundancy: int
    paths: list[list[str]]
    depends_on_it: list[str]
    cut_off_without_it: list[str]
    why: list[str]
    neighbours: list[Hearing]


def find_node(plan: Plan, name: str) -> int:
    """Find a node by its name, in any case.

    Raises:
        NotFound: there is none; the message names similar ones.
    """
    if name in plan.index:
        return plan.index[name]
    from difflib import get_close_matches

    folded = {node.id.casefold(): i for i, node in enumerate(plan.nodes)}
    if name.casefold() in folded:
        return folded[name.casefold()]
    close = get_close_matches(name, plan.index, 3, 0.5)
    hint = f"do you mean {' or '.join(close)}?" if close else "torgo status lists the kinds"
    raise NotFound(f"the plan has no node {name[:60]!r}", hint=hint, code="no-such-node")


def disjoint_paths(plan: Plan, v: int) -> list[list[int]]:
    """Find the disjoint ways of a node to its nearest gateway."""
    graph, relays = plan.graph, plan.relay_mask
    flags = relay_flags(graph.size, relays)
    best: tuple[int, int, list[int]] | None = None
    for door in plan.gateways:
        hops = hops_from(graph.near, [door], flags)
        if hops[v] >= 0 and (best is None or hops[v] < best[0]):
            best = hops[v], door, hops
    if best is None or v in plan.gateways:
        return []
    return gateway_paths(graph, relays, best[2], best[1], v, plan.request.redundancy)


def explain(plan: Plan, name: str) -> Explanation:
    """Explain a node."""
    v = find_node(plan, name)
    node, graph, relays = plan.nodes[v], plan.graph, plan.relay_mask
    r = plan.request.redundancy
    strength = {(b if a == v else a): rssi for a, b, rssi in plan.links if v in (a, b)}
    without = relays & ~(1 << v)
    depends = [
        u
        for u in members(graph.masks[v])
        if (graph.masks[u] & without).bit_count() < r and relays >> v & 1
    ]
    hops = hops_from(
        [row if u != v else [] for u, row in enumerate(graph.near)],
        [door for door in plan.gateways if door != v],
        relay_flags(graph.size, without),
    )
    paths = disjoint_paths(plan, v)
    heard = sorted(
        (
            Hearing(plan.nodes[u].id, plan.nodes[u].role, rssi, round(rssi - plan.planned_dbm, 1))
            for u, rssi in strength.items()
        ),
        key=lambda hearing: -hearing.rssi_dbm,
    )
    cut_off = [u for u, hop in enumerate(hops) if hop < 0 and u != v]
    return Explanation(
        node.id,
        node.kind,
        node.role,
        node.x_m,
        node.y_m,
        node.hops,
        node.worst_hops,
        node.ttl,
        node.publish_period_s,
        node.friend,
        [other.id for other in plan.nodes if other.friend == node.id],
        node.load_events_per_s,
        node.relay_neighbours,
        r,
        [plan.names(path) for path in paths],
        plan.names(depends),
        plan.names(cut_off),
        list(_reasons(plan, v, len(paths), len(depends))),
        heard,
    )


def _reasons(plan: Plan, v: int, paths: int, depends: int) -> list[str]:
    node, r = plan.nodes[v], plan.request.redundancy
    reasons = []
    if node.role == "gateway":
        reasons.append("it has the way out; gateways always relay")
    elif node.role == "relay" and depends:
        reasons.append(
            f"it relays, as {depends} neighbours would hear fewer than {r} relays without it"
        )
    elif node.role == "relay":
        reasons.append(f"it relays, as {r - 1} losses could part the backbone without it")
    elif not node.may_relay:
        reasons.append(f"it never relays: a {node.kind} moves or sleeps")
    else:
        reasons.append("it does not relay: the backbone holds without it")
    if node.role != "gateway":
        reasons.append(
            f"{paths} ways to its nearest gateway share no relay, so any {max(0, paths - 1)} "
            "losses leave it one"
        )
    return reasons
