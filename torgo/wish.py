"""From a wish to a draft: nodes with places, links between them, who may relay."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from torgo.bits import mask_of
from torgo.connectivity import Verdict, test_connectivity
from torgo.environment import Environment
from torgo.graph import Graph, hops_from
from torgo.hops import relay_flags
from torgo.links import Links, find_links
from torgo.placement import Station, place

POWER_STEPS_DBM = (-40, -20, -16, -12, -8, -4, 0, 2, 3, 4, 5, 6, 7, 8)
"""What an nRF52840 can be set to (Product Specification, RADIO.TXPOWER)."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Everything that decides a plan.

    Attributes:
        env: the environment, options already worked in.
        redundancy: r.
        nodes: gateways included.
        gateways: how many.
        hops_max: longest way that is accepted.
        iterations: of the search.
        seed: of all dice.
        layout: given places, or None to place.
        measured: given links as (a, b, RSSI in dBm) by node number, or None to compute.
        drawn: the places are only for the picture.
    """

    env: Environment
    redundancy: int
    nodes: int
    gateways: int
    hops_max: int
    iterations: int = 2000
    seed: int = 1
    layout: tuple[Station, ...] | None = None
    measured: tuple[tuple[int, int, float], ...] | None = None
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A wish with its links.

    Attributes:
        wish: what was asked for.
        stations: the nodes; gateways first.
        links: between them.
        graph: of the links that are planned on.
        eligible: nodes that may relay, as a bit set.
        forced: gateways, as a bit set.
    """

    wish: Wish
    stations: list[Station]
    links: Links
    graph: Graph
    eligible: int
    forced: int

    @property
    def gateways(self) -> list[int]:
        """The numbers of the gateways."""
        return [i for i, station in enumerate(self.stations) if station.kind == "gateway"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether any plan can fulfil the wish, and if not, what stands in the way.

    Attributes:
        connected: more than r eligible nodes, and no r - 1 losses part them.
        cut: if they are not: losses that part them.
        short: nodes with fewer than r eligible neighbours.
        far: nodes farther than hops_max from every gateway, or out of reach.
    """

    connected: Verdict
    short: list[int]
    far: list[int]

    @property
    def possible(self) -> bool:
        """Whether a plan exists: all eligible nodes relaying would be one."""
        return self.connected.holds and not self.short and not self.far


def make_draft(wish: Wish) -> Draft:
    """Place the nodes and find their links."""
    env = wish.env
    stations = (
        place(env, wish.nodes, wish.gateways, wish.seed)
        if wish.layout is None
        else list(wish.layout)
    )
    if wish.measured is None:
        links = find_links(
            np.array([s.x_m for s in stations]),
            np.array([s.y_m for s in stations]),
            np.array([s.height_m for s in stations]),
            env.radio,
            env.propagation,
            env.obstacles,
        )
    else:
        links = measured_links(len(stations), wish.measured, env)
    may = {kind.name: kind.relay for kind in env.kinds} | {"gateway": True}
    return Draft(
        wish,
        stations,
        links,
        links.graph(),
        mask_of(i for i, s in enumerate(stations) if may.get(s.kind, True)),
        mask_of(i for i, s in enumerate(stations) if s.kind == "gateway"),
    )


def measured_links(size: int, rows: Sequence[tuple[int, int, float]], env: Environment) -> Links:
    """Turn measured signal strengths into links; of both directions the weaker counts."""
    weakest: dict[tuple[int, int], float] = {}
    for a, b, rssi_dbm in rows:
        pair = min(a, b), max(a, b)
        weakest[pair] = min(rssi_dbm, weakest.get(pair, rssi_dbm))
    pairs = sorted(weakest)
    return Links(
        size,
        np.array([a for a, _ in pairs], np.int64),
        np.array([b for _, b in pairs], np.int64),
        np.array([weakest[pair] for pair in pairs], np.float64),
        env.radio.sensitivity_dbm + env.radio.margin_db,
    )


def judge(draft: Draft) -> Judgement:
    """Decide whether any choice of relays can fulfil the wish.

    If some set of eligible relays is valid, all of them together are: each one more
    has r neighbours in the set already. So one test of the full set decides.
    """
    wish, graph = draft.wish, draft.graph
    r = wish.redundancy
    masks, eligible = graph.masks, draft.eligible
    hops = hops_from(graph.near, draft.gateways, relay_flags(graph.size, eligible))
    return Judgement(
        test_connectivity(graph, eligible, r),
        [v for v in range(graph.size) if (masks[v] & eligible).bit_count() < r],
        [v for v in range(graph.size) if not 0 <= hops[v] <= wish.hops_max],
    )


def with_least_power(wish: Wish) -> Wish:
    """Choose the lowest transmit power at which the wish can be fulfilled.

    In a crowd every dB more is a neighbour more that talks across; if no step is enough
    the power stays as it was.
    """
    for power in POWER_STEPS_DBM:
        if power > wish.env.radio.max_tx_power_dbm:
            break
        radio = replace(wish.env.radio, tx_power_dbm=float(power))
        lower = replace(wish, env=replace(wish.env, radio=radio))
        if judge(make_draft(lower)).possible:
            return lower
    return wish
