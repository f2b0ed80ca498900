"""What would make an impossible wish possible: each way tried out, not guessed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from torgo.connectivity import vertex_connectivity
from torgo.environment import MOST_NODES, with_height, with_range
from torgo.errors import Impossible
from torgo.wish import Draft, Judgement, Wish, judge, make_draft

MASTS_M = tuple(h / 2 for h in range(1, 25))
GAINS_DBI = (2.15, 3.0, 5.0, 6.0, 8.0)
FRONT_END_DBM = 20
MORE_GATEWAYS = 12
LARGE = 3_000
"""Above so many nodes only masts, power and range are tried."""
LEAST_RANGE_M = 1.0
"""What --range takes."""
NAMED = 12
"""So many nodes are named at most."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way out.

    Attributes:
        what: masts, power, antennas, nodes, gateways, range, redundancy or hops.
        works: whether it does, alone.
        value: what it takes, or how far was tried in vain.
        option: what to add to the command line, if there is an option for it.
    """

    what: str
    works: bool
    value: str
    option: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no plan exists, and what would help.

    Attributes:
        reason: in a sentence.
        reached: the redundancy that the site allows as it is.
        cut: nodes whose loss parts the rest.
        lonely: nodes with too few neighbours that may relay.
        far: nodes too many hops from a gateway, or out of reach.
        hop_range_m: how far a planned hop reaches.
        remedies: each computed.
    """

    reason: str
    reached: int
    cut: list[str]
    lonely: list[str]
    far: list[str]
    hop_range_m: float
    remedies: list[Remedy]


def explain_refusal(
    draft: Draft, judgement: Judgement, hop_range_m: float, remedies: list[Remedy]
) -> Refusal:
    """Say why the wish cannot be fulfilled."""
    wish = draft.wish
    names = [station.id for station in draft.stations]
    masks, eligible = draft.graph.masks, draft.eligible
    fewest = min(((row & eligible).bit_count() for row in masks), default=0)
    kappa, cut = vertex_connectivity(draft.graph, eligible, max(1, min(fewest, wish.redundancy)))
    reached = min(kappa, fewest)
    if wish.redundancy >= eligible.bit_count():
        reason = (
            f"redundancy {wish.redundancy} needs {wish.redundancy + 1} nodes that may relay; "
            f"here {eligible.bit_count()} may"
        )
    elif reached < wish.redundancy:
        reason = (
            f"redundancy {wish.redundancy} is more than this site can have: "
            f"even with every node relaying it is {reached}"
        )
    else:
        reason = f"{len(judgement.far)} nodes are more than {wish.hops_max} hops from a gateway"
    return Refusal(
        reason,
        reached,
        [names[v] for v in cut[:NAMED]],
        [names[v] for v in judgement.short[:NAMED]],
        [names[v] for v in judgement.far[:NAMED]],
        round(hop_range_m, 1),
        remedies,
    )


def try_remedies(wish: Wish, told: Callable[[str], None] = lambda _: None) -> Iterator[Remedy]:
    """Try each way alone, the smallest step that works.

    Args:
        wish: the impossible one.
        told: is told what is being tried.
    """
    ways: list[tuple[str, Callable[[Wish], Remedy | None]]] = [
        ("masts", _masts),
        ("power", _power),
        ("antennas", _antennas),
        ("range", _range),
    ]
    if wish.nodes <= LARGE:
        ways += [("nodes", _nodes), ("gateways", _gateways)]
    for name, way in ways:
        told(name)
        remedy = way(wish)
        if remedy is not None:
            yield remedy


def _works(wish: Wish) -> bool:
    try:
        return judge(make_draft(wish)).possible
    except Impossible:
        return False


def _masts(wish: Wish) -> Remedy | None:
    if wish.measured is not None:
        return None
    now = max(kind.antenna_height_m for kind in wish.env.kinds if kind.relay)
    for height in MASTS_M:
        if height > now and _works(_lift(wish, height)):
            return Remedy("masts", True, f"{height:g} m", f"--antenna-height {height:g}m")
    return Remedy("masts", False, f"up to {MASTS_M[-1]:g} m tried")


def _lift(wish: Wish, height_m: float) -> Wish:
    env = with_height(wish.env, height_m)
    may = {kind.name for kind in env.kinds if kind.relay} | {"gateway"}
    layout = wish.layout and tuple(
        replace(station, height_m=height_m) if station.kind in may else station
        for station in wish.layout
    )
    return replace(wish, env=env, layout=layout)


def _power(wish: Wish) -> Remedy | None:
    if wish.measured is not None:
        return None
    radio = wish.env.radio
    for power in range(int(radio.tx_power_dbm) + 1, FRONT_END_DBM + 1):
        louder = replace(radio, tx_power_dbm=float(power))
        if _works(replace(wish, env=replace(wish.env, radio=louder))):
            part = "" if power <= radio.max_tx_power_dbm else ", with a front end (PA)"
            return Remedy("power", True, f"{power:+d} dBm{part}", f"--tx-power {power}dBm")
    return Remedy("power", False, f"up to {FRONT_END_DBM:+d} dBm tried")


def _antennas(wish: Wish) -> Remedy | None:
    if wish.measured is not None:
        return None
    radio = wish.env.radio
    for gain in GAINS_DBI:
        better = replace(radio, antenna_gain_dbi=gain)
        if gain > radio.antenna_gain_dbi and _works(
            replace(wish, env=replace(wish.env, radio=better))
        ):
            return Remedy("antennas", True, f"{gain:g} dBi at every node", f"--gain {gain:g}dBi")
    return Remedy("antennas", False, f"up to {GAINS_DBI[-1]:g} dBi tried")


def _range(wish: Wish) -> Remedy | None:
    if wish.measured is not None or wish.layout is not None:
        return None
    radius = wish.env.area.radius_m
    for percent in range(95, 0, -5):
        if radius * percent / 100 < LEAST_RANGE_M:
            break
        smaller = replace(wish, env=with_range(wish.env, radius * percent / 100))
        if _works(smaller):
            metres = round(radius * percent / 100, 1)
            return Remedy("range", True, f"{metres:g} m", f"--range {metres:g}m")
    return Remedy("range", False, "no smaller radius tried helps")


def _nodes(wish: Wish) -> Remedy | None:
    if wish.measured is not None or wish.layout is not None:
        return None
    low, high = wish.nodes, wish.nodes
    most = min(MOST_NODES, 8 * wish.nodes, 2 * LARGE)
    while high < most:
        high = min(most, high + max(1, high // 3))
        if _works(replace(wish, nodes=high)):
            break
        low = high
    else:
        return Remedy("nodes", False, f"up to {most} tried")
    while high - low > max(1, low // 20):
        middle = (low + high) // 2
        if _works(replace(wish, nodes=middle)):
            high = middle
        else:
            low = middle
    return Remedy("nodes", True, f"{high} nodes", f"--nodes {high}")


def _gateways(wish: Wish) -> Remedy | None:
    if wish.layout is not None:
        return None
    most = min(MORE_GATEWAYS, wish.nodes - 1)
    for count in range(wish.gateways + 1, most + 1):
        if _works(replace(wish, gateways=count)):
            return Remedy("gateways", True, f"{count} gateways", f"--gateways {count}")
    return Remedy("gateways", False, f"up to {most} tried")
