"""Keep a mesh served while the site changes, with few changes of roles.

The controller acts on what it saw one step ago, as reports and configuration messages
take their way. On loss it switches on the cheapest relays that bring everyone back
who can be brought back; what it added it takes back slowly, one at a time, when it has
not been needed for a while. Each change is one Config Relay Set over the same mesh.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from torgo.bits import mask_of, members
from torgo.graph import Graph
from torgo.plan import Change, Plan, Rehearsal
from torgo.weather import Weather, forecast

RESERVE = 2
"""So many live relays each node should hear, where it can."""
LINGER_S = 7_200.0
"""How long an added relay stays after it was last needed: half as long doubles the changes."""


@dataclass(frozen=True, slots=True)
class Service:
    """Who is served at one moment.

    Attributes:
        hops: from each node to the nearest gateway; -1 for those not served.
        served: live nodes with a way, gateways included.
        live: nodes with power.
    """

    hops: list[int]
    served: int
    live: int

    @property
    def farthest(self) -> int:
        """The longest way in use."""
        return max(self.hops)


def serve(
    graph: Graph, alive: Sequence[bool], relays: int, gateways: Iterable[int], hops_max: int
) -> Service:
    """Find who has a way of at most `hops_max` over live relays to a live gateway."""
    hops = [-1] * graph.size
    todo = deque(door for door in gateways if alive[door])
    for door in todo:
        hops[door] = 0
    while todo:
        v = todo.popleft()
        if hops[v] >= hops_max or (hops[v] and not relays >> v & 1):
            continue
        for w in graph.near[v]:
            if hops[w] < 0 and alive[w]:
                hops[w] = hops[v] + 1
                todo.append(w)
    return Service(hops, sum(h >= 0 for h in hops), sum(alive))


def cheapest_relays(
    graph: Graph,
    alive: Sequence[bool],
    relays: int,
    eligible: int,
    gateways: Sequence[int],
    hops_max: int,
) -> int:
    """Find few nodes to switch on, so that everyone is served who can be.

    A shortest path search from the gateways in which a relay costs nothing and a node
    to be switched on costs one; of the same cost the fewest hops. The path to each
    unserved node is added in turn, the nearest first.

    Returns:
        the nodes to switch on, as a bit set.
    """
    added = 0
    while True:
        now = relays | added
        served = serve(graph, alive, now, gateways, hops_max)
        lost = [v for v in range(graph.size) if alive[v] and served.hops[v] < 0]
        if not lost:
            return added
        path = _cheapest_path(graph, alive, now, eligible, gateways, hops_max, set(lost))
        fresh = mask_of(path) & eligible & ~now
        if not fresh:
            return added
        added |= fresh


def _cheapest_path(  # noqa: C901 - one search by layers of hops
    graph: Graph,
    alive: Sequence[bool],
    relays: int,
    eligible: int,
    gateways: Sequence[int],
    hops_max: int,
    targets: set[int],
) -> list[int]:
    """Find the way to one of `targets` that needs the fewest new relays (by layers of hops)."""
    size = graph.size
    best: dict[tuple[int, int], tuple[int, int] | None] = {}
    cost = [size + 1] * size  # fewest new relays to get a message to v, over all hops so far
    layer: dict[int, int] = {}
    for door in gateways:
        if alive[door]:
            cost[door] = 0
            layer[door] = 0
            best[door, 0] = None
    found: tuple[int, int, int] | None = None  # cost, hops, node
    for hop in range(hops_max):
        following: dict[int, int] = {}
        for v, price in layer.items():
            onward = price
            if hop and not relays >> v & 1:
                if not eligible >> v & 1:
                    continue
                onward += 1
            for w in graph.near[v]:
                if alive[w] and onward < cost[w]:
                    cost[w] = following[w] = onward
                    best[w, hop + 1] = (v, hop)
        layer = following
        for v, price in layer.items():
            if v in targets and (found is None or (price, hop + 1) < found[:2]):
                found = (price, hop + 1, v)
    if found is None:
        return []
    path: list[int] = []
    at: tuple[int, int] | None = best[found[2], found[1]]
    while at is not None:
        path.append(at[0])
        at = best[at]
    return path


class Controller:
    """Decides which nodes relay, step by step.

    Args:
        plan: where it starts.
        hops_max: the longest way that is accepted.

    Attributes:
        relays: those that relay now, gateways included.
    """

    def __init__(self, plan: Plan, hops_max: int) -> None:
        self.plan = plan
        self.hops_max = hops_max
        self.doors = plan.gateways
        self.home = plan.relay_mask
        self.relays = plan.relay_mask
        self.needed: dict[int, float] = {}

    def react(self, seen: Weather) -> Change | None:
        """Change roles for what was seen; None if nothing needs to change."""
        graph, alive = seen.graph, seen.alive
        live = mask_of(i for i, up in enumerate(alive) if up)
        able = self.plan.eligible_mask & live
        way = cheapest_relays(graph, alive, self.relays, able, self.doors, self.hops_max)
        lost = way.bit_count()
        way |= self._reserve(graph, live, able, self.relays | way)
        for v in members(way):
            self.needed[v] = seen.at_s
        self.relays |= way
        gone = 0 if way else self._spare(seen, live)
        self.relays &= ~gone
        if not way and not gone:
            return None
        why = "back in use" if not way else "cut off" if lost else "thin cover"
        if gone:
            why = "no longer needed"
        return Change(
            seen.at_s,
            self.plan.names(members(way)),
            self.plan.names(members(gone)),
            why,
        )

    def _reserve(self, graph: Graph, live: int, able: int, relays: int) -> int:
        """Give nodes that hear fewer than `RESERVE` live relays another, where there is one."""
        added = 0
        masks = graph.masks
        thin = [
            v
            for v in members(live)
            if (masks[v] & relays & live).bit_count() < min(RESERVE, (masks[v] & able).bit_count())
        ]
        wanting = mask_of(thin)
        while wanting:
            v = next(members(wanting))
            choice = max(
                members(masks[v] & able & ~relays & ~added),
                key=lambda u: ((masks[u] & wanting).bit_count(), -u),
                default=None,
            )
            if choice is None:
                wanting &= ~(1 << v)
                continue
            added |= 1 << choice
            wanting = mask_of(
                u
                for u in members(wanting)
                if (masks[u] & (relays | added) & live).bit_count()
                < min(RESERVE, (masks[u] & able).bit_count())
            )
        return added

    def _spare(self, seen: Weather, live: int) -> int:
        """Find one added relay that has not been needed for a while and is not needed now."""
        graph, alive = seen.graph, seen.alive
        masks = graph.masks
        served = serve(graph, alive, self.relays, self.doors, self.hops_max).served
        for v, since in sorted(self.needed.items(), key=lambda row: row[1]):
            if seen.at_s - since < LINGER_S:
                break
            fewer = self.relays & ~(1 << v)
            if self.home >> v & 1:
                del self.needed[v]
                continue
            after = serve(graph, alive, fewer, self.doors, self.hops_max)
            covered = all(
                (masks[u] & fewer & live).bit_count() >= RESERVE for u in members(masks[v] & live)
            )
            if after.served == served and covered:
                del self.needed[v]
                return 1 << v
            self.needed[v] = seen.at_s
        return 0


def rehearse(
    plan: Plan,
    *,
    duration_s: float,
    step_s: float,
    hops_max: int,
    seed: int,
    moving: bool = True,
    adapt: bool = True,
    told: Callable[[float], None] = lambda _: None,
) -> tuple[Rehearsal, int]:
    """Let the site change and the plan follow; compare with standing still and the ceiling.

    Returns:
        how it went, and the relays at the end as a bit set.
    """
    controller = Controller(plan, hops_max)
    ceiling = plan.eligible_mask
    sums = [0, 0, 0]
    live = 0
    farthest = 0
    changes: list[Change] = []
    for weather in forecast(plan, duration_s, step_s, seed, moving=moving):
        graph, alive = weather.graph, weather.alive
        relays = (plan.relay_mask, controller.relays if adapt else plan.relay_mask, ceiling)
        for i, mask in enumerate(relays):
            service = serve(graph, alive, mask, plan.gateways, hops_max)
            sums[i] += service.served
            if i == 1:
                farthest = max(farthest, service.farthest)
                live += service.live
        if adapt:
            change = controller.react(weather)
            if change is not None:
                changes.append(change)
        told(weather.at_s)
    shares = (round(sums[0] / live, 5), round(sums[1] / live, 5), round(sums[2] / live, 5))
    switched = sum(len(change.on) + len(change.off) for change in changes)
    return (
        Rehearsal(
            duration_s,
            step_s,
            *shares,
            farthest,
            round(switched / duration_s * 3600, 2) if duration_s else 0.0,
            changes,
        ),
        controller.relays if adapt else plan.relay_mask,
    )


def with_rehearsal(plan: Plan, rehearsal: Rehearsal) -> Plan:
    """Note in a plan how it fared."""
    return replace(plan, rehearsal=rehearsal)
