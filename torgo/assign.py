"""Give the nodes of a plan their roles, and work out everything that follows from them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torgo.backbone import check_backbone
from torgo.bits import members
from torgo.capacity import CACHE_ENTRIES, Pace, disturbers, pace, reached_share
from torgo.connectivity import cut_vertices, vertex_connectivity
from torgo.graph import Graph
from torgo.hops import Hops, choose_ttl, measure_hops, relay_flags
from torgo.plan import Capacity, Node, Plan, Proof, Role, Search

CEILING_CAP = 16
"""The site's own connectivity is measured up to here."""
FRIEND_LIMIT = 8
"""Low-power nodes that one friend takes on before another is preferred."""
NAMED = 12


def assign(plan: Plan, relays: int, search: Search) -> Plan:
    """Make `relays` the relays of a plan: roles, TTL, pace, friends, loads, proof.

    Args:
        plan: a plan with its nodes and links; its roles are forgotten.
        relays: relays and gateways, as a bit set.
        search: how they were found.
    """
    graph = plan.graph
    doors = plan.gateways
    redundancy = plan.request.redundancy
    hops = measure_hops(graph, relays, doors, redundancy)
    ttl = choose_ttl(max(hops.worst, default=0), plan.request.hops_max)
    paced = pace_plan(plan, relays, ttl)
    friends = choose_friends(plan, relays)
    capacity = Capacity(
        knee_msg_per_s=paced.knee_msg_per_s,
        telemetry_msg_per_s=paced.telemetry_msg_per_s,
        publish_period_s=paced.publish_period_s,
        events_per_message=paced.events_per_message,
        knee_by="model",
        message_cache=CACHE_ENTRIES,
        friend_queue=max((friends.count(f) for f in set(friends) if f is not None), default=0),
    )
    ids = [node.id for node in plan.nodes]
    return replace(
        plan,
        nodes=list(_nodes(plan, relays, hops, ttl, paced, friends)),
        proof=prove_backbone(graph, relays, plan.eligible_mask, redundancy, ids, hops),
        capacity=capacity,
        search=replace(search, relays=relays.bit_count()),
    )


def prove_backbone(
    graph: Graph, relays: int, eligible: int, redundancy: int, ids: Sequence[str], hops: Hops
) -> Proof:
    """Prove, from scratch, what the relays withstand."""
    verdict, short = check_backbone(graph, relays, redundancy)
    kappa, cut = vertex_connectivity(graph, relays, redundancy + 1)
    counts = [(row & relays).bit_count() for row in graph.masks]
    fewest = min(counts, default=0)
    ceiling, _ = vertex_connectivity(graph, eligible, CEILING_CAP)
    return Proof(
        holds=verdict.holds and not short,
        redundancy=redundancy,
        relays=relays.bit_count(),
        relay_connectivity=kappa,
        fewest_relay_neighbours=fewest,
        tightest_nodes=[ids[v] for v, count in enumerate(counts) if count == fewest][:NAMED],
        cut=[ids[v] for v in cut],
        cut_vertices=[ids[v] for v in cut_vertices(graph, relays)],
        ceiling_connectivity=ceiling,
        worst_hops=max(hops.worst, default=0),
        hops_proven=hops.proven,
    )


def pace_plan(plan: Plan, relays: int, ttl: int) -> Pace:
    """Ask the capacity model about a plan."""
    numbers = list(members(relays))
    flags = relay_flags(len(plan.nodes), relays)
    reached = reached_share(plan.graph, numbers, flags, ttl)
    if plan.measured:
        heard = plan.planned.graph(plan.planned_dbm - plan.stack.sir_db)
        counts = [(row & relays).bit_count() for row in heard.masks]
        disturbing = sum(counts) / len(counts)
    else:
        disturbing = disturbers(
            plan.x_m,
            plan.y_m,
            plan.height_m,
            numbers,
            plan.radio,
            plan.propagation,
            plan.stack.sir_db,
        )
    return pace(len(plan.nodes), len(numbers), disturbing, reached, plan.stack)


def choose_friends(plan: Plan, relays: int) -> list[int | None]:
    """Give each low-power node the strongest relay that it hears as its friend.

    One that has `FRIEND_LIMIT` already is passed over while there is another.
    """
    heard: dict[int, list[tuple[float, int]]] = {
        i: [] for i, node in enumerate(plan.nodes) if node.low_power and not relays >> i & 1
    }
    for a, b, rssi in plan.links:
        for leaf, other in ((a, b), (b, a)):
            if leaf in heard and relays >> other & 1 and rssi >= plan.planned_dbm:
                heard[leaf].append((-rssi, other))
    taken: dict[int, int] = {}
    chosen: list[int | None] = [None] * len(plan.nodes)
    for leaf in sorted(heard):
        choices = sorted(heard[leaf])
        free = [other for _, other in choices if taken.get(other, 0) < FRIEND_LIMIT]
        friend = next(iter(free), choices[0][1] if choices else None)
        if friend is not None:
            taken[friend] = taken.get(friend, 0) + 1
            chosen[leaf] = friend
    return chosen


def _nodes(
    plan: Plan, relays: int, hops: Hops, ttl: int, paced: Pace, friends: Sequence[int | None]
) -> Iterator[Node]:
    stack = plan.stack
    roles = roles_of(len(plan.nodes), plan.gateways, relays)
    own = stack.network_transmissions / paced.publish_period_s
    passed = max(0.0, paced.events_per_message - stack.network_transmissions)
    share = passed / max(1, relays.bit_count()) * paced.telemetry_msg_per_s
    masks = plan.graph.masks
    for i, node in enumerate(plan.nodes):
        role, friend = roles[i], friends[i]
        load = (0.0 if role == "gateway" else own) + (0.0 if role == "leaf" else share)
        yield replace(
            node,
            role=role,
            friend=None if friend is None else plan.nodes[friend].id,
            ttl=ttl,
            network_transmissions=stack.network_transmissions,
            relay_transmissions=0 if role == "leaf" else stack.relay_transmissions,
            publish_period_s=paced.publish_period_s,
            hops=max(0, hops.now[i]),
            worst_hops=max(0, hops.worst[i]),
            relay_neighbours=(masks[i] & relays).bit_count(),
            load_events_per_s=round(load, 3),
        )


def roles_of(size: int, gateways: Sequence[int], relays: int) -> list[Role]:
    """Name the role of each node."""
    doors = set(gateways)
    return [
        "gateway" if i in doors else "relay" if relays >> i & 1 else "leaf" for i in range(size)
    ]
