"""The plan: one JSON document that says what stands where, does what, and why that holds.

It is the only source for pictures, simulations and exports, and what `dunes
mesh-init` and `arachnid` take up. It holds no key. `docs/formats-torgo.md` describes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from torgo.bits import mask_of
from torgo.environment import Availability, Dynamics
from torgo.flood import Stack
from torgo.graph import Graph
from torgo.links import Links
from torgo.obstacles import Obstacle
from torgo.radio import Array, Propagation, Radio

SCHEMA = "torgo.plan/1"

Role = Literal["gateway", "relay", "leaf"]


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        id: its name.
        kind: of node, from the environment; `gateway` for one with a way out.
        role: gateway (always relays), relay, or leaf (never relays).
        x_m: east of the site's centre.
        y_m: north of the site's centre.
        height_m: of its antenna.
        may_relay: whether the planner may make it a relay.
        low_power: it sleeps, and `friend` keeps its messages.
        moves: a person or a vehicle.
        friend: the node that keeps messages for it.
        ttl: for messages that it publishes.
        network_transmissions: how often it sends its own messages (1 to 8).
        relay_transmissions: how often it sends those of others; 0 for a leaf.
        publish_period_s: at least so long between two of its telemetry messages.
        hops: to the nearest gateway with everything up; 0 for a gateway.
        worst_hops: to a gateway that lives, whichever redundancy - 1 nodes are lost.
        relay_neighbours: relays and gateways among its neighbours.
        load_events_per_s: advertising events that it sends at the planned traffic.
    """

    id: str
    kind: str
    role: Role
    x_m: float
    y_m: float
    height_m: float
    may_relay: bool = True
    low_power: bool = False
    moves: bool = False
    friend: str | None = None
    ttl: int = 7
    network_transmissions: int = 3
    relay_transmissions: int = 0
    publish_period_s: float = 0.0
    hops: int = 0
    worst_hops: int = 0
    relay_neighbours: int = 0
    load_events_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes:
        command: the torgo command.
        environment: its name.
        redundancy: r; any r - 1 losses leave the survivors connected.
        nodes: gateways included.
        gateways: how many.
        range_m: radius of the site.
        hops_max: longest way that is accepted.
        iterations: of the search.
        seed: of all dice.
        obstacles: static, or dynamic if what moves was rehearsed.
    """

    command: str
    environment: str
    redundancy: int
    nodes: int
    gateways: int
    range_m: float
    hops_max: int
    iterations: int
    seed: int
    obstacles: Literal["static", "dynamic"] = "static"


@dataclass(frozen=True, slots=True)
class Site:
    """Where it is.

    Attributes:
        body: moon, mars, earth or none.
        radius_m: of the site.
        latitude_deg: of its centre.
        longitude_deg: of its centre.
        positions: `placed` by torgo, `given` by a layout file, or `drawn` only to
            have a picture, where links were measured and positions are unknown.
    """

    body: str
    radius_m: float
    latitude_deg: float = 0.0
    longitude_deg: float = 0.0
    positions: Literal["placed", "given", "drawn"] = "placed"


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that the plan leans on.

    Attributes:
        name: dotted, as in the environment file.
        value: with its unit.
        source: where it comes from.
        origin: environment (its default) or option (somebody chose it).
    """

    name: str
    value: str
    source: str
    origin: Literal["environment", "option"] = "environment"


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proven about the link graph, exactly.

    Attributes:
        holds: the relays survive any redundancy - 1 losses, and every node hears
            `redundancy` of them.
        redundancy: r.
        relays: relays and gateways.
        relay_connectivity: how many losses it takes to part the relays; at most
            redundancy + 1 is looked for.
        fewest_relay_neighbours: of any node.
        tightest_nodes: those with that fewest.
        cut: the smallest set of relays whose loss parts them, as far as looked for.
        cut_vertices: single relays whose loss parts the others.
        ceiling_connectivity: of all nodes that may relay: no choice of relays has more;
            at most 16 is looked for.
        worst_hops: to a gateway that lives, whichever redundancy - 1 nodes are lost.
        hops_proven: whether that follows from every node's own disjoint paths (small
            sites), or from those of the farthest nodes.
    """

    holds: bool
    redundancy: int
    relays: int
    relay_connectivity: int
    fewest_relay_neighbours: int
    tightest_nodes: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    cut_vertices: list[str] = field(default_factory=list)
    ceiling_connectivity: int = 0
    worst_hops: int = 0
    hops_proven: bool = False


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the air can carry: from the capacity model, `docs/guide-torgo.md`.

    Attributes:
        knee_msg_per_s: from here on more than one message in a hundred is lost.
        telemetry_msg_per_s: what is planned: at most half of it, the rest is for alerts.
        publish_period_s: of every node, so that all together keep to it.
        events_per_message: advertising events that one message costs.
        knee_by: `model`, or `simulation` of the messages around the knee.
        message_cache: entries that each node's firmware should have.
        friend_queue: the most low-power nodes on one friend.
    """

    knee_msg_per_s: float
    telemetry_msg_per_s: float
    publish_period_s: float
    events_per_message: float
    knee_by: Literal["model", "simulation"]
    message_cache: int
    friend_queue: int = 0


@dataclass(frozen=True, slots=True)
class Search:
    """How the relays were chosen.

    Attributes:
        iterations: that were done.
        first: relays after the greedy passes.
        relays: relays of the plan.
        at_least: no plan with fewer relays exists (linear programming bound).
        interrupted: Ctrl-C ended it; the best plan so far is this one.
    """

    iterations: int
    first: int
    relays: int
    at_least: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One step of an adaptation.

    Attributes:
        at_s: since its start.
        on: nodes that became relays.
        off: nodes that ceased to be.
        why: in a few words.
    """

    at_s: float
    on: list[str]
    off: list[str]
    why: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How the plan fared while obstacles moved and power failed.

    Attributes:
        duration_s: simulated.
        step_s: between two looks.
        served_static: share of live nodes with a way to a live gateway, roles unchanged.
        served_adaptive: the same, with the changes below.
        served_ceiling: the same, if every node relayed: no plan does better.
        hops_reached: the longest way in use.
        changes_per_h: role changes an hour.
        changes: each of them.
    """

    duration_s: float
    step_s: float
    served_static: float
    served_adaptive: float
    served_ceiling: float
    hops_reached: int
    changes_per_h: float
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """The plan. See the module's docstring."""

    schema: str
    name: str
    torgo: str
    scenario: str
    request: Request
    site: Site
    radio: Radio
    propagation: Propagation
    planned_dbm: float
    measured: bool
    obstacles: list[Obstacle]
    dynamics: Dynamics
    availability: Availability
    stack: Stack
    assumptions: list[Assumption]
    proof: Proof
    capacity: Capacity
    search: Search
    nodes: list[Node]
    links: list[tuple[int, int, float]]
    rehearsal: Rehearsal | None = None
    mesh_id: str | None = None

    @cached_property
    def index(self) -> dict[str, int]:
        """The number of each node by its name."""
        return {node.id: i for i, node in enumerate(self.nodes)}

    @cached_property
    def x_m(self) -> Array:
        """Positions, east."""
        return np.array([node.x_m for node in self.nodes], np.float64)

    @cached_property
    def y_m(self) -> Array:
        """Positions, north."""
        return np.array([node.y_m for node in self.nodes], np.float64)

    @cached_property
    def height_m(self) -> Array:
        """Antenna heights."""
        return np.array([node.height_m for node in self.nodes], np.float64)

    @cached_property
    def planned(self) -> Links:
        """The links of the file as arrays."""
        a, b, rssi = zip(*self.links, strict=True) if self.links else ((), (), ())
        return Links(
            len(self.nodes),
            np.array(a, np.int64),
            np.array(b, np.int64),
            np.array(rssi, np.float64),
            self.planned_dbm,
        )

    @cached_property
    def graph(self) -> Graph:
        """The link graph on which the proof rests."""
        return self.planned.graph()

    @property
    def gateways(self) -> list[int]:
        """The numbers of the gateways."""
        return [i for i, node in enumerate(self.nodes) if node.role == "gateway"]

    @cached_property
    def relay_mask(self) -> int:
        """Relays and gateways as a bit set."""
        return mask_of(i for i, node in enumerate(self.nodes) if node.role != "leaf")

    @cached_property
    def eligible_mask(self) -> int:
        """Nodes that may relay, as a bit set."""
        return mask_of(
            i for i, node in enumerate(self.nodes) if node.may_relay or node.role == "gateway"
        )

    def names(self, numbers: Iterable[int]) -> list[str]:
        """Name nodes."""
        return [self.nodes[i].id for i in numbers]
