"""Two plans side by side."""

from dataclasses import dataclass

from torgo.plan import Plan


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both.

    Attributes:
        name: of the figure.
        a: of the first plan.
        b: of the second.
        better: `a`, `b`, or `` where they are equal or neither is better as such.
    """

    name: str
    a: str
    b: str
    better: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two plans side by side.

    Attributes:
        a: name of the first.
        b: name of the second.
        same_scenario: whether both answer the same wish for the same site.
        rows: figures.
        on: nodes that relay in the second only.
        off: nodes that relay in the first only.
        added: nodes that only the second has.
        removed: nodes that only the first has.
    """

    a: str
    b: str
    same_scenario: bool
    rows: list[Row]
    on: list[str]
    off: list[str]
    added: list[str]
    removed: list[str]


def compare(a: Plan, b: Plan) -> Comparison:
    """Compare two plans."""
    relays_a = {node.id for node in a.nodes if node.role != "leaf"}
    relays_b = {node.id for node in b.nodes if node.role != "leaf"}
    ids_a, ids_b = set(a.index), set(b.index)
    figures: list[tuple[str, float, float, int]] = [
        ("nodes", len(a.nodes), len(b.nodes), 0),
        ("gateways", len(a.gateways), len(b.gateways), 0),
        ("redundancy proven", _proven(a), _proven(b), 1),
        ("relays", a.proof.relays, b.proof.relays, -1),
        ("relays needed at least", a.search.at_least, b.search.at_least, 0),
        (
            "connectivity of the site",
            a.proof.ceiling_connectivity,
            b.proof.ceiling_connectivity,
            1,
        ),
        ("links planned on", a.graph.edges, b.graph.edges, 0),
        ("farthest hops", _most(a, "hops"), _most(b, "hops"), -1),
        ("hops after the worst losses", a.proof.worst_hops, b.proof.worst_hops, -1),
        ("knee, messages/s", a.capacity.knee_msg_per_s, b.capacity.knee_msg_per_s, 1),
        ("publish period, s", a.capacity.publish_period_s, b.capacity.publish_period_s, -1),
        ("events per message", a.capacity.events_per_message, b.capacity.events_per_message, -1),
        ("transmit power, dBm", a.radio.tx_power_dbm, b.radio.tx_power_dbm, 0),
    ]
    if a.rehearsal and b.rehearsal:
        figures.append(
            (
                "served while it changed",
                a.rehearsal.served_adaptive,
                b.rehearsal.served_adaptive,
                1,
            )
        )
    return Comparison(
        a.name,
        b.name,
        a.scenario == b.scenario,
        [
            Row(name, f"{x:g}", f"{y:g}", "" if x == y or not way else "ab"[(y - x) * way > 0])
            for name, x, y, way in figures
        ],
        sorted((relays_b - relays_a) & ids_a),
        sorted((relays_a - relays_b) & ids_b),
        sorted(ids_b - ids_a),
        sorted(ids_a - ids_b),
    )


def _proven(plan: Plan) -> int:
    return plan.proof.redundancy if plan.proof.holds else 0


def _most(plan: Plan, field: str) -> int:
    return max(int(getattr(node, field)) for node in plan.nodes)
