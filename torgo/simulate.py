"""Run traffic over a plan, with or without failures, and count what arrives."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from torgo.dice import dice
from torgo.energy import mean_power_mw
from torgo.ether import plan_ether
from torgo.flood import EVENT_US, Flood, Message, Stack
from torgo.plan import Plan
from torgo.traffic import alerts, telemetry

PROGRESS_EVERY = 64
Z_95 = 1.96


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one kind of message.

    Attributes:
        label: of the kind.
        sent: messages by nodes that were up.
        arrived: at a gateway.
        share: arrived of sent.
        share_low: lower end of the 95 % interval (Wilson).
        share_high: upper end.
        p50_ms: half arrived within so long.
        p95_ms: 95 % did.
        worst_ms: all did.
    """

    label: str
    sent: int
    arrived: int
    share: float
    share_low: float
    share_high: float
    p50_ms: float | None
    p95_ms: float | None
    worst_ms: float | None


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What one node did.

    Attributes:
        id: its name.
        role: gateway, relay or leaf.
        events_per_s: advertising events it sent.
        airtime: share of the time that it sent.
        power_mw: mean.
        energy_j: over the simulated time.
        sent: messages of its own.
        lost: of those.
    """

    id: str
    role: str
    events_per_s: float
    airtime: float
    power_mw: float
    energy_j: float
    sent: int
    lost: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """The outcome of a run.

    Attributes:
        duration_s: of traffic.
        rate_msg_per_s: telemetry, all nodes together.
        seed: of the dice.
        failed: nodes that failed.
        deliveries: by kind of message.
        events_per_s: advertising events of all nodes.
        dropped: messages that a full queue refused.
        evicted: messages forgotten too soon.
        sir_db: the capture threshold that was assumed.
        nodes: what each did.
    """

    duration_s: float
    rate_msg_per_s: float
    seed: int
    failed: list[str]
    deliveries: list[Delivery]
    events_per_s: float
    dropped: int
    evicted: int
    sir_db: float
    nodes: list[NodeLoad] = field(default_factory=list)


def share_interval(arrived: int, sent: int) -> tuple[float, float]:
    """Give the 95 % interval of a share (Wilson's)."""
    if not sent:
        return 0.0, 1.0
    p, z2 = arrived / sent, Z_95**2
    middle = (p + z2 / (2 * sent)) / (1 + z2 / sent)
    half = Z_95 * math.sqrt(p * (1 - p) / sent + z2 / (4 * sent**2)) / (1 + z2 / sent)
    return max(0.0, middle - half), min(1.0, middle + half)


def count_delivery(label: str, messages: Sequence[Message]) -> Delivery:
    """Count what became of messages."""
    times = sorted(message.latency_us / 1000 for message in messages if message.first_us >= 0)
    low, high = share_interval(len(times), len(messages))
    return Delivery(
        label,
        len(messages),
        len(times),
        round(len(times) / len(messages), 5) if messages else 0.0,
        round(low, 5),
        round(high, 5),
        round(times[len(times) // 2], 1) if times else None,
        round(times[min(len(times) - 1, int(0.95 * len(times)))], 1) if times else None,
        round(times[-1], 1) if times else None,
    )


def simulate(
    plan: Plan,
    *,
    rate_msg_per_s: float,
    duration_s: float,
    seed: int = 1,
    down: dict[int, list[tuple[int, int]]] | None = None,
    alert_rate_msg_per_s: float = 0.0,
    stack: Stack | None = None,
    told: Callable[[float], None] = lambda _: None,
) -> tuple[Simulation, list[Message]]:
    """Flood telemetry and alerts over a plan.

    Args:
        plan: the network.
        rate_msg_per_s: telemetry of all nodes together.
        duration_s: of traffic; what is on its way then still arrives.
        seed: of the dice.
        down: nodes that fail, with the spans (from_us, until_us) in which they are off.
        alert_rate_msg_per_s: alerts of all nodes together.
        stack: another behaviour of the nodes than the plan's.
        told: is told the simulated seconds now and then.

    Returns:
        the counts, and every message with what became of it.
    """
    stack = stack or plan.stack
    down = down or {}
    doors = plan.gateways
    sources = [i for i, node in enumerate(plan.nodes) if node.role != "gateway"]
    ttl = [node.ttl for node in plan.nodes]
    messages = sorted(
        telemetry(sources, doors, rate_msg_per_s, duration_s, ttl, dice(seed, "telemetry"))
        + alerts(sources, doors, alert_rate_msg_per_s, duration_s, ttl, dice(seed, "alerts")),
        key=lambda message: message.at_us,
    )
    relays = [node.role != "leaf" for node in plan.nodes]
    flood = Flood(plan_ether(plan), relays, stack, dice(seed, "flood"), down)
    for n, _ in enumerate(flood.run(messages)):
        if n % PROGRESS_EVERY == 0:
            told(flood.tally.now_us / 1e6)
    sent = [message for message in messages if not _was_down(down, message)]
    labels = ["telemetry", *(["alert"] if alert_rate_msg_per_s else [])]
    outcome = Simulation(
        duration_s,
        rate_msg_per_s,
        seed,
        plan.names(sorted(down)),
        [count_delivery(x, [m for m in sent if m.label == x]) for x in labels],
        round(sum(flood.tally.events) / duration_s, 2),
        flood.tally.dropped,
        flood.tally.evicted,
        stack.sir_db,
        list(_loads(plan, flood.tally.events, sent, duration_s)),
    )
    return outcome, messages


def _was_down(down: dict[int, list[tuple[int, int]]], message: Message) -> bool:
    return any(a <= message.at_us < b for a, b in down.get(message.source, ()))


def _loads(
    plan: Plan, events: Sequence[int], sent: Sequence[Message], duration_s: float
) -> Iterable[NodeLoad]:
    own = [0] * len(plan.nodes)
    lost = [0] * len(plan.nodes)
    for message in sent:
        own[message.source] += 1
        lost[message.source] += message.first_us < 0
    for i, node in enumerate(plan.nodes):
        rate = events[i] / duration_s
        power = mean_power_mw(rate, plan.radio.tx_power_dbm, low_power=node.low_power)
        yield NodeLoad(
            node.id,
            node.role,
            round(rate, 3),
            round(rate * EVENT_US / 1e6, 5),
            round(power, 3),
            round(power * duration_s / 1000, 3),
            own[i],
            lost[i],
        )
