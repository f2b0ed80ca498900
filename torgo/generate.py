"""Make the plan: relays, TTL, pacing, friends, and the proof, from a draft."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from torgo.backbone import check_backbone
from torgo.bits import mask_of, members
from torgo.bound import fewest_relays
from torgo.capacity import (
    CACHE_ENTRIES,
    Pace,
    disturbers,
    pace,
    reached_share,
)
from torgo.connectivity import cut_vertices, vertex_connectivity
from torgo.dice import dice
from torgo.flood import Stack
from torgo.graph import Graph, hops_from
from torgo.hops import Hops, choose_ttl, measure_hops, relay_flags
from torgo.plan import (
    SCHEMA,
    Assumption,
    Capacity,
    Node,
    Plan,
    Proof,
    Request,
    Search,
    Site,
    edges_of,
    roles_of,
    scenario_hash,
)
from torgo.radio import farthest_m, holes_m
from torgo.relaysearch import RelaySearch, Step
from torgo.wish import Draft

CEILING_CAP = 16
"""The site's own connectivity is measured up to here."""
FRIEND_LIMIT = 8
"""Low-power nodes that one friend takes on before another is preferred."""
NAMED = 12


@dataclass(frozen=True, slots=True)
class Labels:
    """What a plan is called.

    Attributes:
        command: the torgo command that made it.
        version: of torgo.
        name: of the plan.
        mesh_id: of the mesh that it is for, if known.
        options: dotted names of assumptions that an option set.
        obstacles: static or dynamic.
    """

    command: str
    version: str
    name: str
    mesh_id: str | None = None
    options: frozenset[str] = frozenset()
    dynamic: bool = False


class Generator:
    """The making of a plan, step by step, so that it can be stopped at any.

    Args:
        draft: one that `judge` finds possible.
        keep: relays of an earlier plan; few of them change.

    Attributes:
        iterations: done so far.
        interrupted: whether somebody stopped the search.
    """

    def __init__(self, draft: Draft, keep: int = 0) -> None:
        self.draft = draft
        wish = draft.wish
        self._search = RelaySearch(
            draft.graph,
            wish.redundancy,
            draft.eligible,
            draft.forced,
            dice(wish.seed, "relays"),
            keep=keep,
        )
        self.iterations = 0
        self.interrupted = False

    def search(self) -> Iterator[Step]:
        """Run the search; whoever stops taking steps stops it."""
        for step in self._search.run(self.draft.wish.iterations):
            self.iterations = step.iteration
            yield step

    def plan(self, labels: Labels) -> Plan:
        """Write up the best backbone so far."""
        draft = self.draft
        relays = shorten(draft, self._search.best)
        graph, wish = draft.graph, draft.wish
        at_least = fewest_relays(graph, draft.eligible, draft.forced, wish.redundancy)
        search = Search(
            self.iterations,
            self._search.first or relays.bit_count(),
            relays.bit_count(),
            at_least,
            self.interrupted,
        )
        return write_up(draft, relays, search, labels)


def shorten(draft: Draft, relays: int) -> int:
    """Add relays until no node is more than hops_max from a gateway; they only help."""
    graph, limit = draft.graph, draft.wish.hops_max
    hops = hops_from(graph.near, draft.gateways, relay_flags(graph.size, relays))
    late = [v for v in range(graph.size) if hops[v] > limit]
    if not late:
        return relays
    shortest = hops_from(graph.near, draft.gateways, relay_flags(graph.size, draft.eligible))
    for v in sorted(late, key=lambda v: -shortest[v]):
        at = v
        while shortest[at] > 1:
            nearer = [
                u
                for u in graph.near[at]
                if shortest[u] == shortest[at] - 1 and draft.eligible >> u & 1
            ]
            at = next((u for u in nearer if relays >> u & 1), nearer[0])
            relays |= 1 << at
    return relays


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


def pace_site(draft: Draft, relays: int, ttl: int, stack: Stack) -> Pace:
    """Ask the capacity model about a site."""
    numbers = list(members(relays))
    flags = relay_flags(draft.graph.size, relays)
    reached = reached_share(draft.graph, numbers, flags, ttl)
    if draft.wish.measured is None:
        env = draft.wish.env
        disturbing = disturbers(
            np.array([s.x_m for s in draft.stations]),
            np.array([s.y_m for s in draft.stations]),
            np.array([s.height_m for s in draft.stations]),
            numbers,
            env.radio,
            env.propagation,
            stack.sir_db,
        )
    else:
        heard = draft.links.graph(draft.links.planned_dbm - stack.sir_db)
        counts = [(row & relays).bit_count() for row in heard.masks]
        disturbing = sum(counts) / len(counts)
    return pace(draft.graph.size, len(numbers), disturbing, reached, stack)


def write_up(draft: Draft, relays: int, search: Search, labels: Labels) -> Plan:
    """Turn a backbone into a plan."""
    wish, graph = draft.wish, draft.graph
    env = wish.env
    stack = Stack(cache=CACHE_ENTRIES)
    hops = measure_hops(graph, relays, draft.gateways, wish.redundancy)
    ttl = choose_ttl(max(hops.worst, default=0), wish.hops_max)
    paced = pace_site(draft, relays, ttl, stack)
    friends = choose_friends(draft, relays)
    ids = [station.id for station in draft.stations]
    capacity = Capacity(
        knee_msg_per_s=paced.knee_msg_per_s,
        telemetry_msg_per_s=paced.telemetry_msg_per_s,
        publish_period_s=paced.publish_period_s,
        events_per_message=paced.events_per_message,
        knee_by="model",
        message_cache=CACHE_ENTRIES,
        friend_queue=max((friends.count(f) for f in set(friends) if f is not None), default=0),
    )
    nodes = _nodes(draft, relays, hops, ttl, stack, paced, friends)
    request = Request(
        labels.command,
        env.name,
        wish.redundancy,
        len(draft.stations),
        len(draft.gateways),
        env.area.radius_m,
        wish.hops_max,
        wish.iterations,
        wish.seed,
        "dynamic" if labels.dynamic else "static",
    )
    positions: Literal["placed", "given", "drawn"] = (
        "drawn" if wish.drawn else "placed" if wish.layout is None else "given"
    )
    return Plan(
        schema=SCHEMA,
        name=labels.name,
        torgo=labels.version,
        scenario=scenario_hash(request, env, draft.stations, wish.measured),
        request=request,
        site=Site(
            env.body,
            env.area.radius_m,
            env.area.latitude_deg,
            env.area.longitude_deg,
            positions,
        ),
        radio=env.radio,
        propagation=env.propagation,
        planned_dbm=draft.links.planned_dbm,
        measured=wish.measured is not None,
        obstacles=list(env.obstacles),
        dynamics=env.dynamics,
        availability=env.availability,
        stack=stack,
        assumptions=list(assumptions(draft, labels.options)),
        proof=prove_backbone(graph, relays, draft.eligible, wish.redundancy, ids, hops),
        capacity=capacity,
        search=search,
        nodes=nodes,
        links=edges_of(draft.links, planned_only=wish.measured is None),
        mesh_id=labels.mesh_id,
    )


def choose_friends(draft: Draft, relays: int) -> list[int | None]:
    """Give each low-power node the strongest relay that it hears as its friend.

    One that has `FRIEND_LIMIT` already is passed over while there is another.
    """
    sleepy = {kind.name for kind in draft.wish.env.kinds if kind.low_power}
    loudness: dict[int, list[tuple[float, int]]] = {
        i: [] for i, station in enumerate(draft.stations) if station.kind in sleepy
    }
    if not loudness:
        return [None] * len(draft.stations)
    links = draft.links
    rows = zip(links.a.tolist(), links.b.tolist(), links.rssi_dbm.tolist(), strict=True)
    for a, b, rssi in rows:
        for leaf, other in ((a, b), (b, a)):
            if leaf in loudness and relays >> other & 1 and rssi >= links.planned_dbm:
                loudness[leaf].append((-rssi, other))
    taken: dict[int, int] = {}
    chosen: list[int | None] = [None] * len(draft.stations)
    for leaf in sorted(loudness):
        choices = sorted(loudness[leaf])
        free = [other for _, other in choices if taken.get(other, 0) < FRIEND_LIMIT]
        friend = next(iter(free), choices[0][1] if choices else None)
        if friend is not None:
            taken[friend] = taken.get(friend, 0) + 1
            chosen[leaf] = friend
    return chosen


def _nodes(
    draft: Draft,
    relays: int,
    hops: Hops,
    ttl: int,
    stack: Stack,
    paced: Pace,
    friends: Sequence[int | None],
) -> list[Node]:
    size = draft.graph.size
    roles = roles_of(size, draft.gateways, relays)
    kinds = {kind.name: kind for kind in draft.wish.env.kinds}
    own = stack.network_transmissions / paced.publish_period_s
    passed = max(0.0, paced.events_per_message - stack.network_transmissions) / max(
        1, relays.bit_count()
    )
    nodes = []
    for i, station in enumerate(draft.stations):
        kind = kinds.get(station.kind)
        friend = friends[i]
        relaying = roles[i] != "leaf"
        load = (0.0 if roles[i] == "gateway" else own) + (
            passed * paced.telemetry_msg_per_s if relaying else 0.0
        )
        nodes.append(
            Node(
                id=station.id,
                kind=station.kind,
                role=roles[i],
                x_m=station.x_m,
                y_m=station.y_m,
                height_m=station.height_m,
                may_relay=bool(draft.eligible >> i & 1),
                low_power=kind is not None and kind.low_power,
                moves=kind is not None and kind.moves,
                friend=None if friend is None else draft.stations[friend].id,
                ttl=ttl,
                network_transmissions=stack.network_transmissions,
                relay_transmissions=stack.relay_transmissions if relaying else 0,
                publish_period_s=paced.publish_period_s,
                hops=max(0, hops.now[i]),
                worst_hops=max(0, hops.worst[i]),
                relay_neighbours=(draft.graph.masks[i] & relays).bit_count(),
                load_events_per_s=round(load, 3),
            )
        )
    return nodes


def assumptions(draft: Draft, options: frozenset[str]) -> Iterator[Assumption]:
    """List what the plan leans on, with the sources that the environment names."""
    env = draft.wish.env
    radio, air = env.radio, env.propagation

    def one(name: str, value: str, source: str) -> Assumption:
        chosen = name in options
        return Assumption(
            name,
            value,
            "given on the command line" if chosen else env.sources.get(source, "environment file"),
            "option" if chosen else "environment",
        )

    yield one("area.radius_m", f"{env.area.radius_m:g} m", "area")
    if draft.wish.layout is None:
        yield one("area.layout", f"{env.area.layout} spread", "area")
        yield one("nodes", f"{len(draft.stations)} nodes", "defaults")
    yield one("gateways", f"{len(draft.gateways)} gateways", "gateways")
    if draft.wish.measured is not None:
        yield one("radio.sensitivity_dbm", f"{radio.sensitivity_dbm:g} dBm", "radio")
        yield one("radio.margin_db", f"{radio.margin_db:g} dB margin", "radio")
        return
    for kind in env.kinds:
        yield one(
            f"kinds.{kind.name}",
            f"{kind.share:.0%} {kind.name}, antenna at {kind.antenna_height_m:g} m, "
            + ("may relay" if kind.relay else "never relays"),
            "kinds",
        )
    yield one("radio.tx_power_dbm", f"{radio.tx_power_dbm:+g} dBm", "radio")
    yield one("radio.sensitivity_dbm", f"{radio.sensitivity_dbm:g} dBm", "radio")
    yield one("radio.antenna_gain_dbi", f"{radio.antenna_gain_dbi:g} dBi at each end", "radio")
    yield one("radio.margin_db", f"{radio.margin_db:g} dB margin", "radio")
    if air.model == "two-ray":
        ground = f"two-ray, ground permittivity {air.permittivity:g}, loss {air.loss_tangent:g}"
        yield one("propagation", ground, "propagation")
    else:
        yield one("propagation", f"log-distance, exponent {air.exponent:g}", "propagation")
    if air.loss_db_per_km:
        yield one("propagation.loss_db_per_km", f"{air.loss_db_per_km:g} dB/km", "propagation")
    if env.obstacles:
        losses = ", ".join(f"{o.name} {o.loss_db:g} dB" for o in env.obstacles)
        yield one("obstacles", losses, "obstacles")
    height = max(kind.antenna_height_m for kind in env.kinds)
    reach = farthest_m(radio, air, height, radio.budget_db)
    holes = holes_m(radio, air, height, radio.budget_db)
    gaps = "".join(f", but not {a:.0f} to {b:.0f} m" for a, b in holes if b - a > 1)
    yield Assumption(
        "hop range",
        f"{reach:.0f} m between {height:g} m masts{gaps}",
        f"computed: budget {radio.budget_db:g} dB",
    )
    yield Assumption(
        "capture",
        f"{Stack().sir_db:g} dB",
        "data sheets give 8.7 (EFR32BG22) to 13 dB, the Bluetooth limit is 21 dB; the largest "
        "unknown of the capacity figures",
    )
    yield one("availability.node_down", f"{env.availability.node_down:.1%}", "availability")
    yield one("availability.gateway_down", f"{env.availability.gateway_down:.1%}", "availability")


def relay_names(plan: Plan) -> set[str]:
    """List the relays of a plan, gateways included."""
    return {node.id for node in plan.nodes if node.role != "leaf"}


def mask_of_names(plan: Plan, names: set[str]) -> int:
    """Turn names into a bit set of the plan's nodes; unknown ones are left out."""
    return mask_of(i for i, node in enumerate(plan.nodes) if node.id in names)
