"""What stands beside the map: the plan in figures, and the symbols explained."""

from collections.abc import Iterator, Sequence

from torgo.explain import disjoint_paths
from torgo.exports.drawing import COVERAGE_LIMIT, FULL_LIMIT, PATH_COLORS, PATH_DASHES
from torgo.plan import Plan


def figures(plan: Plan) -> Iterator[Sequence[str]]:
    """Say what the plan is, what is proven and how it is to be run, as (style, text)."""
    proof, pace = plan.proof, plan.capacity
    leaves = sum(node.role == "leaf" for node in plan.nodes)
    relays = proof.relays - len(plan.gateways)
    yield "h", "What it is"
    yield (
        "t",
        (
            f"{len(plan.nodes)} nodes: {len(plan.gateways)} gateways, {relays} relays, "
            f"{leaves} leaves"
        ),
    )
    least = plan.search.at_least
    fewest = "the fewest possible" if least >= proof.relays else f"at least {least} are needed"
    yield "t", f"relays with gateways: {proof.relays} ({fewest})"
    yield "gap", ""
    yield "h", "What is proven"
    yield "t", f"it takes {proof.relay_connectivity} or more losses to part the relays"
    yield "t", f"each node hears {proof.fewest_relay_neighbours} or more relays"
    yield (
        "t",
        (
            f"farthest {max(node.hops for node in plan.nodes)} hops; after the worst "
            f"{proof.redundancy - 1} losses {proof.worst_hops}"
        ),
    )
    singles = len(proof.cut_vertices)
    yield "t", f"single points of failure: {singles or 'none'}"
    yield "gap", ""
    yield "h", "How it is to be run"
    yield (
        "t",
        (
            f"TTL {plan.nodes[0].ttl}, {plan.stack.network_transmissions} transmissions by the "
            f"source, {plan.stack.relay_transmissions} by each relay"
        ),
    )
    yield (
        "t",
        (
            f"each node reports every {pace.publish_period_s:g} s: "
            f"{pace.telemetry_msg_per_s:.3g} messages/s in all"
        ),
    )
    yield "t", f"1 % is lost from {pace.knee_msg_per_s:.3g} messages/s on ({pace.knee_by})"
    if plan.rehearsal is not None:
        run = plan.rehearsal
        yield "gap", ""
        yield "h", "How it fared while the site changed"
        yield "t", f"{run.served_adaptive:.2%} of live nodes served in {run.duration_s / 3600:g} h"
        yield (
            "t",
            f"roles unchanged {run.served_static:.2%}; ceiling {run.served_ceiling:.2%}",
        )
        yield "t", f"{run.changes_per_h:g} role changes an hour"


def legend(plan: Plan, focus: int | None) -> Iterator[Sequence[str]]:
    """Explain the symbols, as (`symbol`, drawing, text)."""
    yield "h", "Legend"
    yield (
        "symbol",
        '<rect class="gateway" x="-7" y="-7" width="14" height="14" rx="2"/>',
        "gateway",
    )
    yield "symbol", '<circle class="relay" r="6"/>', "relay; the larger, the more it sends"
    yield "symbol", '<circle class="leaf" r="4"/>', "leaf: speaks, does not relay"
    if any(node.low_power for node in plan.nodes):
        yield (
            "symbol",
            '<polygon class="sleepy" points="0,-5 5,4 -5,4"/>',
            "low-power leaf with a friend",
        )
    yield "symbol", '<path class="bone" d="M-9 0H9"/>', "link of the backbone"
    if len(plan.nodes) <= FULL_LIMIT:
        yield (
            "symbol",
            '<path class="access" style="opacity:1" d="M-9 0H9"/>',
            "link of a leaf to a relay",
        )
    if plan.proof.cut_vertices:
        yield "symbol", '<circle class="single" r="7"/>', "single point of failure"
    if plan.proof.cut:
        count = len(plan.proof.cut)
        yield (
            "symbol",
            '<circle class="cut" r="7"/>',
            f"weakest cut: all {count} must fail to part it",
        )
    if not plan.measured and len(plan.nodes) <= COVERAGE_LIMIT:
        r = plan.request.redundancy
        box = '<rect class="{}" x="-9" y="-6" width="18" height="12" stroke="#999"/>'
        if r > 1:
            yield "symbol", box.format("thin"), f"antenna at 1.5 m hears fewer than {r} relays"
        yield "symbol", box.format("none"), "antenna at 1.5 m hears none"
    if focus is not None and len(plan.nodes) <= FULL_LIMIT:
        count = len(disjoint_paths(plan, focus))
        for n in range(count):
            line = (
                f'<path class="path" d="M-9 0H11" stroke="{PATH_COLORS[n % 8]}" '
                f'stroke-dasharray="{PATH_DASHES[n % 8]}"/>'
            )
            label = (
                f"way {n + 1} of {count} of {plan.nodes[focus].id}" if n == 0 else f"way {n + 1}"
            )
            yield "symbol", line, label
