"""Make the plan: a draft, a search for relays, and what follows from them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from torgo.assign import assign
from torgo.bits import mask_of
from torgo.bound import fewest_relays
from torgo.capacity import CACHE_ENTRIES
from torgo.dice import dice
from torgo.flood import Stack
from torgo.graph import hops_from
from torgo.hops import relay_flags
from torgo.links import Links
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
)
from torgo.radio import farthest_m, holes_m
from torgo.relaysearch import RelaySearch, Step
from torgo.wish import Draft


@dataclass(frozen=True, slots=True)
class Labels:
    """What a plan is called.

    Attributes:
        command: the torgo command that made it.
        version: of torgo.
        name: of the plan.
        mesh_id: of the mesh that it is for, if known.
        options: dotted names of assumptions that an option set.
        dynamic: whether what moves is rehearsed.
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
        plan: nodes and links (`skeleton`, or an earlier plan); one that can be fulfilled.
        keep: relays of an earlier plan; few of them change.

    Attributes:
        iterations: done so far.
        interrupted: whether somebody stopped the search.
    """

    def __init__(self, plan: Plan, keep: int = 0) -> None:
        self.start = plan
        self._forced = mask_of(plan.gateways)
        self._search = RelaySearch(
            plan.graph,
            plan.request.redundancy,
            plan.eligible_mask,
            self._forced,
            dice(plan.request.seed, "relays"),
            keep=keep,
        )
        self.iterations = 0
        self.interrupted = False

    def search(self, iterations: int) -> Iterator[Step]:
        """Run the search; whoever stops taking steps stops it."""
        for step in self._search.run(iterations):
            self.iterations = step.iteration
            yield step

    def plan(self) -> Plan:
        """Write up the best backbone so far."""
        plan = self.start
        relays = shorten(plan, self._search.best)
        at_least = fewest_relays(
            plan.graph, plan.eligible_mask, self._forced, plan.request.redundancy
        )
        search = Search(
            self.iterations,
            self._search.first or relays.bit_count(),
            relays.bit_count(),
            at_least,
            self.interrupted,
        )
        return assign(plan, relays, search)


def shorten(plan: Plan, relays: int) -> int:
    """Add relays until no node is more than hops_max from a gateway; they only help."""
    graph, limit = plan.graph, plan.request.hops_max
    doors, eligible = plan.gateways, plan.eligible_mask
    hops = hops_from(graph.near, doors, relay_flags(graph.size, relays))
    late = [v for v in range(graph.size) if hops[v] > limit]
    if not late:
        return relays
    shortest = hops_from(graph.near, doors, relay_flags(graph.size, eligible))
    for v in sorted(late, key=lambda v: -shortest[v]):
        at = v
        while shortest[at] > 1:
            nearer = [
                u for u in graph.near[at] if shortest[u] == shortest[at] - 1 and eligible >> u & 1
            ]
            at = next((u for u in nearer if relays >> u & 1), nearer[0])
            relays |= 1 << at
    return relays


def skeleton(draft: Draft, labels: Labels) -> Plan:
    """Make a plan of a draft in which nobody has a role yet but the gateways."""
    wish = draft.wish
    env = wish.env
    kinds = {kind.name: kind for kind in env.kinds}
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
    nodes = []
    for i, station in enumerate(draft.stations):
        kind = kinds.get(station.kind)
        nodes.append(
            Node(
                id=station.id,
                kind=station.kind,
                role="gateway" if draft.forced >> i & 1 else "leaf",
                x_m=station.x_m,
                y_m=station.y_m,
                height_m=station.height_m,
                may_relay=bool(draft.eligible >> i & 1),
                low_power=kind is not None and kind.low_power,
                moves=kind is not None and kind.moves,
            )
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
        stack=Stack(cache=CACHE_ENTRIES),
        assumptions=list(assumptions(draft, labels.options)),
        proof=Proof(False, wish.redundancy, 0, 0, 0),
        capacity=Capacity(0.0, 0.0, 0.0, 0.0, "model", CACHE_ENTRIES),
        search=Search(0, 0, 0, 0),
        nodes=nodes,
        links=edges_of(draft.links, planned_only=wish.measured is None),
        mesh_id=labels.mesh_id,
    )


def scenario_hash(*parts: Any) -> str:
    """Fingerprint everything that decides a plan: 16 hex digits of SHA-256."""
    body = json.dumps([msgspec.to_builtins(part) for part in parts], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def edges_of(links: Links, *, planned_only: bool) -> list[tuple[int, int, float]]:
    """List links for a plan; computed power rounded to 0.1 dB (towards the weaker)."""
    a, b, rssi = links.a, links.b, links.rssi_dbm
    if planned_only:
        keep = rssi >= links.planned_dbm
        a, b = a[keep], b[keep]
        rssi = np.maximum(np.floor(rssi[keep] * 10) / 10, links.planned_dbm)
    return list(zip(a.tolist(), b.tolist(), rssi.tolist(), strict=True))


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
    height = max(
        (kind.antenna_height_m for kind in env.kinds if kind.relay),
        default=env.gateways.antenna_height_m,
    )
    reach = farthest_m(radio, air, height, radio.budget_db)
    holes = holes_m(radio, air, height, radio.budget_db)
    gaps = " or ".join(f"{a:.0f} to {b:.0f} m" for a, b in holes if b - a > 1)
    gaps = f", but not {gaps}" if gaps else ""
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
