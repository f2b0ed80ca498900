"""Who says what when: periodic telemetry and rare alerts, for the simulator."""

from collections.abc import Sequence
from random import Random

from torgo.flood import Message

JITTER = 0.1
"""Each gap is up to so much shorter or longer, as nodes' clocks are not in step."""


def telemetry(
    sources: Sequence[int],
    gateways: Sequence[int],
    rate_msg_per_s: float,
    duration_s: float,
    ttl: Sequence[int],
    rng: Random,
) -> list[Message]:
    """Let every source report with the same period, from a random phase.

    Args:
        sources: the nodes that report.
        gateways: any one of them has to get it.
        rate_msg_per_s: all sources together.
        duration_s: how long.
        ttl: of each node's messages.
        rng: the dice.

    Returns:
        the messages in order of their time.
    """
    if not sources or rate_msg_per_s <= 0:
        return []
    period_us = len(sources) / rate_msg_per_s * 1e6
    end_us = duration_s * 1e6
    targets = frozenset(gateways)
    found = []
    for source in sources:
        at_us = rng.random() * period_us
        while at_us < end_us:
            found.append(Message(source, targets, int(at_us), ttl[source]))
            at_us += period_us * rng.uniform(1 - JITTER, 1 + JITTER)
    return sorted(found, key=lambda message: message.at_us)


def alerts(
    sources: Sequence[int],
    gateways: Sequence[int],
    rate_msg_per_s: float,
    duration_s: float,
    ttl: Sequence[int],
    rng: Random,
) -> list[Message]:
    """Let random sources raise alerts at random times (a Poisson process)."""
    if not sources or rate_msg_per_s <= 0:
        return []
    targets = frozenset(gateways)
    found = []
    at_s = rng.expovariate(rate_msg_per_s)
    while at_s < duration_s:
        source = rng.choice(sources)
        found.append(Message(source, targets, int(at_s * 1e6), ttl[source], label="alert"))
        at_s += rng.expovariate(rate_msg_per_s)
    return found
