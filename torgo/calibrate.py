"""Find the knee of a small site by simulating it, and pace its nodes accordingly."""

import math
from collections.abc import Callable
from dataclasses import replace

from torgo.capacity import pace_at
from torgo.plan import Plan
from torgo.simulate import simulate

NODES_LIMIT = 500
"""Above so many nodes the model's cautious answer stands."""
KNEE_LOSS = 0.01
SLOPE = 1.6
"""Loss grows with about this power of the rate near the knee (the six environments)."""
RUNS = (400, 600, 800)
"""Messages of each run."""
STEP_LIMIT = 2.5
"""The rate is changed by at most this factor between two runs."""


def calibrate(plan: Plan, told: Callable[[float], None] = lambda _: None) -> Plan:
    """Correct the knee of a plan by simulation; the same seed gives the same knee.

    Args:
        plan: with the model's knee.
        told: is told the share of the work that is done.
    """
    if len(plan.nodes) > NODES_LIMIT or len(plan.gateways) == len(plan.nodes):
        return plan
    rate = plan.capacity.knee_msg_per_s
    done, total = 0, sum(RUNS)
    weight = mean = 0.0
    for count in RUNS:
        lost = _lost(plan, rate, count, lambda share, n=count: told((done + share * n) / total))  # type: ignore[misc]  # noqa: B023 - called at once
        done += count
        factor = (KNEE_LOSS / ((lost + 0.5) / (count + 1))) ** (1 / SLOPE)
        knee = rate * min(STEP_LIMIT, max(1 / STEP_LIMIT, factor))
        trust = min(lost + 0.5, KNEE_LOSS * count)  # losses carry the information
        mean = (mean * weight + math.log(knee) * trust) / (weight + trust)
        weight += trust
        rate = math.exp(mean)
    return repace(plan, rate)


def _lost(plan: Plan, rate: float, count: int, told: Callable[[float], None]) -> int:
    duration_s = count / rate
    outcome, _ = simulate(
        plan,
        rate_msg_per_s=rate,
        duration_s=duration_s,
        seed=plan.request.seed,
        told=lambda now_s: told(min(1.0, now_s / duration_s)),
    )
    return outcome.deliveries[0].sent - outcome.deliveries[0].arrived


def repace(plan: Plan, knee_msg_per_s: float) -> Plan:
    """Write another knee and what follows from it into a plan."""
    paced = pace_at(len(plan.nodes), knee_msg_per_s, plan.capacity.events_per_message)
    ratio = paced.telemetry_msg_per_s / plan.capacity.telemetry_msg_per_s
    if not math.isfinite(ratio):
        return plan
    nodes = [
        replace(
            node,
            publish_period_s=paced.publish_period_s,
            load_events_per_s=round(node.load_events_per_s * ratio, 3),
        )
        for node in plan.nodes
    ]
    capacity = replace(
        plan.capacity,
        knee_msg_per_s=paced.knee_msg_per_s,
        telemetry_msg_per_s=paced.telemetry_msg_per_s,
        publish_period_s=paced.publish_period_s,
        knee_by="simulation",
    )
    return replace(plan, nodes=nodes, capacity=capacity)
