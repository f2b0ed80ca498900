"""What sensors say about the site, worked into the plan."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Any

from torgo.connectivity import test_connectivity
from torgo.errors import BadSite, Impossible
from torgo.generate import Generator
from torgo.plan import Plan

SENSORS = {
    "accelerometer": "acceleration",
    "rssi": "rssi",
    "battery": "battery",
    "temperature": "temperature",
    "rf-noise": "rf_noise",
}
"""Sensors, and the kind of their readings."""
SHAKES_M_S2 = 0.5
"""Acceleration that varies by more (standard deviation) belongs to a node that moves."""
BATTERY_LEAST = 20.0
"""Per cent; a relay listens all the time and would not last."""
RATED_C = (-40.0, 85.0)
"""nRF52840 Product Specification, recommended operating conditions."""
MOST_READINGS = 2_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading.

    Attributes:
        device: the node.
        value: in the unit of its kind: m/s2, dBm, per cent, degrees Celsius.
        at_s: when; 0 if it does not say.
        peer: the sender, of an rssi reading.
    """

    device: str
    value: float
    at_s: float
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What readings mean for one node or link.

    Attributes:
        node: which.
        what: in words.
        relay: false if the node must not relay for now.
    """

    node: str
    what: str
    relay: bool = True


def parse_samples(text: str, where: str, kind: str) -> list[Sample]:
    """Read readings of one kind from JSON Lines; other kinds are passed over.

    Raises:
        BadSite: a line that is no reading; the message has its number.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        at = f"{where}:{number}"
        try:
            sample = _sample(json.loads(line), kind)
        except (ValueError, KeyError, TypeError, RecursionError) as e:
            raise BadSite(
                f"{at}: no reading of {kind}",
                hint='one line each: {"device": "hab-sensor-001", "kind": "rssi", "value": -71}',
            ) from e
        if sample is None:
            continue
        if not math.isfinite(sample.value) or not math.isfinite(sample.at_s):
            raise BadSite(f"{at}: value {sample.value} is not finite")
        found.append(sample)
        if len(found) > MOST_READINGS:
            raise BadSite(f"{where}: more than {MOST_READINGS:,} readings")
    return found


def _sample(row: Any, kind: str) -> Sample | None:
    """Read one reading, or nothing if it is of another kind; any fault raises."""
    if row["kind"] != kind:
        return None
    return Sample(
        str(row["device"]),
        float(row["value"]),
        float(row.get("ts_s", 0.0)),
        str(row.get("peer", "")),
    )


def latest(samples: Iterable[Sample], interval_s: float) -> list[Sample]:
    """Keep the samples of the last interval, by their own times."""
    rows = list(samples)
    if not rows:
        return []
    end = max(sample.at_s for sample in rows)
    return [sample for sample in rows if sample.at_s > end - interval_s or sample.at_s == end]


def judge_samples(plan: Plan, sensor: str, samples: Iterable[Sample]) -> list[Finding]:
    """Say what readings mean for each node.

    Raises:
        BadSite: a device that the plan does not have.
    """
    by_node: dict[str, list[float]] = {}
    for sample in samples:
        if sample.device not in plan.index:
            raise BadSite(f"the plan has no node {sample.device[:60]!r}")
        by_node.setdefault(sample.device, []).append(sample.value)
    findings = []
    for node, values in sorted(by_node.items()):
        mean = fmean(values)
        if sensor == "accelerometer" and pstdev(values) > SHAKES_M_S2:
            findings.append(Finding(node, f"moves ({pstdev(values):.2g} m/s2)", relay=False))
        elif sensor == "battery" and mean < BATTERY_LEAST:
            findings.append(Finding(node, f"battery at {mean:.0f} %", relay=False))
        elif sensor == "temperature" and not RATED_C[0] <= mean <= RATED_C[1]:
            findings.append(Finding(node, f"{mean:.0f} C, out of rating", relay=False))
        elif sensor == "rf-noise":
            limit = mean + plan.stack.sir_db
            if limit > plan.planned_dbm:
                findings.append(Finding(node, f"noise {mean:.0f} dBm drowns weak links"))
    return findings


def relink(plan: Plan, sensor: str, samples: list[Sample]) -> tuple[Plan, list[Finding]]:
    """Put measured signal strengths, or what noise leaves of them, into the links.

    A measured pair replaces the computed one; the weaker direction counts.
    """
    links = {(min(a, b), max(a, b)): rssi for a, b, rssi in plan.links}
    before = dict(links)
    findings = _measure(plan, samples, links) if sensor == "rssi" else []
    if sensor == "rf-noise":
        _drown(plan, samples, links)
    if links == before:
        return plan, findings
    changed = [(a, b, rssi) for (a, b), rssi in sorted(links.items())]
    return replace(plan, links=changed, measured=True), findings


def _measure(
    plan: Plan, samples: list[Sample], links: dict[tuple[int, int], float]
) -> list[Finding]:
    measured: dict[tuple[int, int], dict[str, list[float]]] = {}
    for sample in samples:
        for name in (sample.device, sample.peer):
            if name not in plan.index:
                raise BadSite(f"the plan has no node {name[:60]!r}")
        a, b = sorted((plan.index[sample.device], plan.index[sample.peer]))
        if a == b:
            raise BadSite(f"{sample.device} hears itself")
        measured.setdefault((a, b), {}).setdefault(sample.device, []).append(sample.value)
    findings = []
    for (a, b), directions in sorted(measured.items()):
        rssi = round(min(fmean(values) for values in directions.values()), 1)
        was_good = links.get((a, b), -math.inf) >= plan.planned_dbm
        if was_good != (rssi >= plan.planned_dbm):
            text = f"link to {plan.nodes[b].id} {'lost' if was_good else 'found'}: {rssi:g} dBm"
            findings.append(Finding(plan.nodes[a].id, text))
        links[a, b] = rssi
    return findings


def _drown(plan: Plan, samples: list[Sample], links: dict[tuple[int, int], float]) -> None:
    """Drop the links that noise drowns at one of their ends."""
    noise: dict[str, list[float]] = {}
    for sample in samples:
        noise.setdefault(sample.device, []).append(sample.value)
    limits = {
        plan.index[name]: fmean(values) + plan.stack.sir_db for name, values in noise.items()
    }
    for (a, b), rssi in list(links.items()):
        if rssi < max(limits.get(a, -math.inf), limits.get(b, -math.inf)):
            del links[a, b]


def work_in(
    plan: Plan, sensor: str, samples: list[Sample], iterations: int
) -> tuple[Plan, list[Finding]]:
    """Work readings into a plan: forbid relays, change links, and repair it.

    Raises:
        Impossible: with what the sensors say no plan has the redundancy.
    """
    if sensor in {"rssi", "rf-noise"}:
        findings = judge_samples(plan, sensor, samples) if sensor == "rf-noise" else []
        plan, changes = relink(plan, sensor, samples)
        findings += changes
    else:
        findings = judge_samples(plan, sensor, samples)
        barred = {finding.node for finding in findings if not finding.relay}
        nodes = [
            replace(node, may_relay=False)
            if node.id in barred and node.role != "gateway"
            else node
            for node in plan.nodes
        ]
        plan = replace(plan, nodes=nodes)
    if not findings:
        return plan, findings
    r, eligible = plan.request.redundancy, plan.eligible_mask
    masks = plan.graph.masks
    short = [i for i, row in enumerate(masks) if (row & eligible).bit_count() < r]
    verdict = test_connectivity(plan.graph, eligible, r)
    if short or not verdict.holds:
        weak = plan.names(short or verdict.cut)[:5]
        raise Impossible(
            f"with what the sensors say redundancy {r} is impossible; weakest: {', '.join(weak)}",
            hint="torgo generate with fewer --redundancy, or more nodes or masts",
        )
    generator = Generator(plan, keep=plan.relay_mask & eligible)
    for _ in generator.search(iterations):
        pass
    return generator.plan(), findings
