"""Uptime as a number with a proof: what is certain is computed, the rest is sampled.

A node is served while it has a way over live relays to a live gateway. Nodes and
gateways fail independently. By the plan's proof, fewer than r failed relays and at
least one live gateway mean that every live node is served; how often that is so is
computed exactly. Only the other states are sampled, each with one live node drawn at
random, so that the draws are independent and the bound of Clopper and Pearson is
exact. That is worth thousands of times as many plain draws.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from torgo.adapt import serve
from torgo.binomial import lower_bound, upper_bound
from torgo.dice import dice
from torgo.plan import Plan

CONFIDENCE = 0.95
TELL_EVERY = 500


@dataclass(frozen=True, slots=True)
class UptimeProof:
    """The answer.

    Attributes:
        verdict: PASS, FAIL, or `not shown`.
        wanted: the uptime that was asked for.
        uptime_low: what it is at least, with the given confidence.
        uptime_high: what it is at most, with the same.
        uptime: the best estimate.
        confidence: of each of the two bounds.
        draws: sampled states.
        failures: among them, where the drawn node was not served.
        certain: share of the time in which service follows from the proof alone.
        hopeless: share of the time in which no gateway lives: no relay can help.
        node_down: how often a node is down by itself.
        gateway_down: how often a gateway is.
        own_outages: share of node-time that is lost as the node itself is down (not
            part of the uptime above).
        redundancy: r of the plan; 0 where its proof, or that of its hops, does not hold.
            Then every state is sampled.
        gateways: how many.
        seed: of the dice.
        scenario: hash of the plan's scenario.
        why: a sentence for a FAIL or `not shown`.
    """

    verdict: str
    wanted: float
    uptime_low: float
    uptime_high: float
    uptime: float
    confidence: float
    draws: int
    failures: int
    certain: float
    hopeless: float
    node_down: float
    gateway_down: float
    own_outages: float
    redundancy: int
    gateways: int
    seed: int
    scenario: str
    why: str = ""


def failures_below(count: int, p: float, limit: int) -> list[float]:
    """Give the chances of 0, 1, … limit-1 failures among `count` nodes."""
    row = [1.0] + [0.0] * (limit - 1)
    for _ in range(count):
        for k in range(limit - 1, 0, -1):
            row[k] = row[k] * (1 - p) + row[k - 1] * p
        row[0] *= 1 - p
    return row


def certain_share(
    relays: int, gateways: int, redundancy: int, node_down: float, gateway_down: float
) -> float:
    """Compute how often fewer than r relays are down and a gateway lives."""
    plain = failures_below(relays - gateways, node_down, redundancy)
    doors = failures_below(gateways, gateway_down, redundancy)
    return sum(
        a * b
        for i, a in enumerate(plain)
        for j, b in enumerate(doors)
        if i + j < redundancy and j < gateways
    )


def prove_uptime(
    plan: Plan,
    wanted: float,
    *,
    draws: int,
    seed: int,
    node_down: float | None = None,
    gateway_down: float | None = None,
    told: Callable[[float], None] = lambda _: None,
) -> UptimeProof:
    """Prove, disprove or fail to show that nodes are served for a share of the time.

    Args:
        plan: the network.
        wanted: e.g. 0.9999.
        draws: states to sample.
        seed: of the dice.
        node_down: how often a node is down; default: the plan's assumption.
        gateway_down: how often a gateway is.
        told: is told the draws so far.
    """
    p = plan.availability.node_down if node_down is None else node_down
    q = plan.availability.gateway_down if gateway_down is None else gateway_down
    doors = plan.gateways
    proof = plan.proof
    short_enough = proof.hops_proven and proof.worst_hops <= plan.request.hops_max
    r = proof.redundancy if proof.holds and short_enough else 0
    relays = plan.relay_mask.bit_count()
    certain = certain_share(relays, len(doors), r, p, q) if r else 0.0
    hopeless = q ** len(doors)
    open_share = max(0.0, 1 - certain - hopeless)
    failures = taken = 0
    if open_share > 0 and draws > 0:
        failures, taken = _sample(plan, p, q, r, draws, seed, told)
    worst = upper_bound(failures, taken, CONFIDENCE) if taken else 1.0
    best = lower_bound(failures, taken, CONFIDENCE)
    low = 1 - hopeless - open_share * worst
    high = 1 - hopeless - open_share * best
    verdict = "PASS" if low >= wanted else "FAIL" if high < wanted else "not shown"
    return UptimeProof(
        verdict,
        wanted,
        low,
        high,
        1 - hopeless - open_share * (failures / taken if taken else 0.0),
        CONFIDENCE,
        taken,
        failures,
        certain,
        hopeless,
        p,
        q,
        p,
        r,
        len(doors),
        seed,
        plan.scenario,
        _why(verdict, wanted, hopeless, low, taken),
    )


def _why(verdict: str, wanted: float, hopeless: float, low: float, draws: int) -> str:
    if verdict == "PASS":
        return ""
    if 1 - hopeless < wanted:
        return (
            f"all gateways are down together {hopeless:.2e} of the time: "
            "no relay helps, more gateways do"
        )
    if verdict == "FAIL":
        return "too many nodes are cut off: a higher redundancy or better availability helps"
    return f"{draws} draws show {low:.6%} at least: take more draws"


def _sample(
    plan: Plan,
    p: float,
    q: float,
    redundancy: int,
    draws: int,
    seed: int,
    told: Callable[[float], None],
) -> tuple[int, int]:
    """Sample states that are neither certain nor hopeless; count unserved nodes drawn."""
    rng = dice(seed, "prove")
    random = rng.random
    doors = plan.gateways
    inner = [i for i, node in enumerate(plan.nodes) if node.role == "relay"]
    leaves = [i for i, node in enumerate(plan.nodes) if node.role == "leaf"]
    size = len(plan.nodes)
    counts = open_states(len(inner), len(doors), redundancy, p, q)
    sums = list(accumulate(chance for chance, _, _ in counts))
    failures = 0
    for taken in range(1, draws + 1):
        which = bisect_right(sums, random() * sums[-1])
        _, lost_relays, lost_doors = counts[min(which, len(counts) - 1)]
        alive = [True] * size
        for i in rng.sample(doors, lost_doors):
            alive[i] = False
        for i in rng.sample(inner, lost_relays):
            alive[i] = False
        for i in leaves:
            if random() < p:
                alive[i] = False
        live = [i for i, up in enumerate(alive) if up]
        drawn = rng.choice(live)
        service = serve(plan.graph, alive, plan.relay_mask, doors, plan.request.hops_max)
        failures += service.hops[drawn] < 0
        if taken % TELL_EVERY == 0:
            told(taken)
    return failures, draws


def open_states(
    relays: int, gateways: int, redundancy: int, p: float, q: float
) -> list[tuple[float, int, int]]:
    """List the counts of failures that leave service open, each with its chance.

    Returns:
        (chance, failed relays, failed gateways).
    """
    plain = failures_below(relays, p, relays + 1)
    doors = failures_below(gateways, q, gateways + 1)
    return [
        (a * b, i, j)
        for i, a in enumerate(plain)
        for j, b in enumerate(doors)
        if i + j >= redundancy and j < gateways and a * b > 0
    ]
