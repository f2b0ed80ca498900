"""What torgo's commands answer: the types behind `--json`, and the same for people."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from torgo.failures import Outcome
from torgo.feedback import Finding
from torgo.plan import Assumption, Plan, Rehearsal
from torgo.prove import UptimeProof
from torgo.remedies import Refusal
from torgo.simulate import Delivery, Simulation


@dataclass(frozen=True, slots=True)
class Summary:
    """A plan in figures.

    Attributes:
        name: of the plan.
        environment: it was made for.
        scenario: hash of all that decides it.
        nodes: gateways included.
        gateways: nodes with a way out.
        relays: relays and gateways.
        at_least: relays that any plan needs.
        redundancy: that was asked for.
        proven: whether it holds.
        relay_connectivity: losses that it takes to part the relays (looked for up to
            redundancy + 1).
        ceiling_connectivity: of the site, if every node relayed (up to 16).
        fewest_relay_neighbours: of any node.
        cut_vertices: single points of failure.
        hops: the farthest node's.
        worst_hops: after redundancy - 1 losses.
        ttl: of published messages.
        publish_period_s: of each node.
        telemetry_msg_per_s: of all nodes.
        knee_msg_per_s: where 1 % is lost.
        knee_by: model or simulation.
        iterations: of the search.
        interrupted: whether Ctrl-C ended it.
    """

    name: str
    environment: str
    scenario: str
    nodes: int
    gateways: int
    relays: int
    at_least: int
    redundancy: int
    proven: bool
    relay_connectivity: int
    ceiling_connectivity: int
    fewest_relay_neighbours: int
    cut_vertices: list[str]
    hops: int
    worst_hops: int
    ttl: int
    publish_period_s: float
    telemetry_msg_per_s: float
    knee_msg_per_s: float
    knee_by: str
    iterations: int
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Written:
    """The answer of the commands that make plans.

    Attributes:
        fulfilled: whether a plan exists.
        files: what was written.
        plan: its figures.
        uptime: how sure service is.
        rehearsal: how it fared while the site changed.
        assumptions: what it leans on.
        refusal: why there is no plan, and what would help.
        notes: what else there is to know.
    """

    fulfilled: bool
    files: list[str] = field(default_factory=list)
    plan: Summary | None = None
    uptime: UptimeProof | None = None
    rehearsal: Rehearsal | None = None
    assumptions: list[Assumption] = field(default_factory=list)
    refusal: Refusal | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FailureReport:
    """The answer of simulate-failure.

    Attributes:
        pattern: how the failed nodes were chosen.
        seed: of the dice.
        outcome: what the losses do to the ways.
        before: deliveries before the failure.
        during: deliveries of live nodes while the nodes are down.
        after: deliveries once they are back.
        reconfiguration_s: that the mesh needs; a flood has no routes to repair.
        duration_s: of the failure.
        rate_msg_per_s: telemetry of all nodes.
    """

    pattern: str
    seed: int
    outcome: Outcome
    before: Delivery
    during: Delivery
    after: Delivery
    reconfiguration_s: float
    duration_s: float
    rate_msg_per_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """How a plan stands.

    Attributes:
        file: of the plan.
        mesh_id: that it is for.
        plan: its figures.
        verified: whether the proof in the file was found again from its nodes and links.
        problems: what is wrong.
        kinds: how many nodes of each kind and role.
        repair_s: that a mesh needs after a failure; a flood has no routes.
    """

    file: str
    mesh_id: str | None
    plan: Summary
    verified: bool
    problems: list[str] = field(default_factory=list)
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    repair_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """What became of the plan.

    Attributes:
        sensor: whose readings they were.
        readings: of the last interval.
        findings: what they mean.
        on: nodes that relay now.
        off: nodes that relay no more.
        plan: figures of the plan.
        file: that was written; empty if nothing changed.
    """

    sensor: str
    readings: int
    findings: list[Finding]
    on: list[str]
    off: list[str]
    plan: Summary
    file: str = ""


def summarise(plan: Plan) -> Summary:
    """Put a plan into figures."""
    proof, pace = plan.proof, plan.capacity
    return Summary(
        plan.name,
        plan.request.environment,
        plan.scenario,
        len(plan.nodes),
        len(plan.gateways),
        proof.relays,
        plan.search.at_least,
        plan.request.redundancy,
        proof.holds,
        proof.relay_connectivity,
        proof.ceiling_connectivity,
        proof.fewest_relay_neighbours,
        proof.cut_vertices,
        max(node.hops for node in plan.nodes),
        proof.worst_hops,
        plan.nodes[0].ttl,
        pace.publish_period_s,
        pace.telemetry_msg_per_s,
        pace.knee_msg_per_s,
        pace.knee_by,
        plan.search.iterations,
        plan.search.interrupted,
    )


def written_lines(report: Written) -> Iterator[str]:
    """Write what a command that makes plans answers."""
    if report.refusal is not None:
        yield from refusal_lines(report.refusal)
        return
    if report.plan is not None:
        yield from summary_lines(report.plan)
    if report.uptime is not None:
        yield f"  uptime     {uptime_sentence(report.uptime)}"
    if report.rehearsal is not None:
        yield from rehearsal_lines(report.rehearsal)
    if report.assumptions:
        yield "leans on these assumptions:"
        for one in report.assumptions:
            mark = "  [option]" if one.origin == "option" else ""
            yield f"  {one.name:<28} {one.value}{mark}"
    yield from report.notes
    if report.files:
        yield "wrote " + ", ".join(report.files)


def summary_lines(plan: Summary) -> Iterator[str]:
    """Write a plan's figures."""
    verdict = "PROVEN" if plan.proven else "NOT PROVEN"
    yield (
        f"{plan.name}: {plan.nodes} nodes, {plan.gateways} gateways, "
        f"redundancy {plan.redundancy}: {verdict}"
    )
    fewest = "the fewest possible" if plan.at_least >= plan.relays else f"at least {plan.at_least}"
    yield f"  relays     {plan.relays} with the gateways ({fewest})"
    if plan.proven:
        yield (
            f"  losses     any {plan.redundancy - 1} leave every survivor connected; "
            f"each node hears {plan.fewest_relay_neighbours} relays or more"
        )
    else:
        yield (
            f"  losses     {plan.relay_connectivity} part the relays; "
            f"some node hears only {plan.fewest_relay_neighbours}"
        )
    if plan.cut_vertices:
        yield f"  weak       single points of failure: {', '.join(plan.cut_vertices[:8])}"
    yield (
        f"  hops       {plan.hops} at most, {plan.worst_hops} after the worst "
        f"{plan.redundancy - 1} losses; TTL {plan.ttl}"
    )
    yield (
        f"  traffic    each node every {plan.publish_period_s:g} s, "
        f"{plan.telemetry_msg_per_s:.3g} messages/s in all; "
        f"1 % is lost from {plan.knee_msg_per_s:.3g}/s on ({plan.knee_by})"
    )


def uptime_sentence(uptime: UptimeProof) -> str:
    """Say what a proof of uptime shows."""
    return (
        f"a live node has a way to a live gateway {percent(uptime.uptime_low)} of the time "
        f"or more ({uptime.confidence:.0%} sure; nodes down {uptime.node_down:.1%}, "
        f"gateways {uptime.gateway_down:.1%})"
    )


def percent(share: float) -> str:
    """Write a share so that its nines can be counted, rounded down."""
    digits = 4
    whole = int(share * 100 * 10**digits) / 10**digits
    return f"{whole:.{digits}f} %"


def rehearsal_lines(rehearsal: Rehearsal) -> Iterator[str]:
    """Write how a plan fared while the site changed."""
    yield (f"  rehearsed  {rehearsal.duration_s / 3600:g} h of moving obstacles and failing power")
    yield (
        f"  served     {rehearsal.served_adaptive:.2%} of live nodes; roles unchanged "
        f"{rehearsal.served_static:.2%}; the graph's own ceiling {rehearsal.served_ceiling:.2%}"
    )
    yield (
        f"  changes    {rehearsal.changes_per_h:g} roles an hour in {len(rehearsal.changes)} "
        f"steps; longest way {rehearsal.hops_reached} hops"
    )


def refusal_lines(refusal: Refusal) -> Iterator[str]:
    """Write why there is no plan, and what would help."""
    yield f"impossible: {refusal.reason}"
    yield f"  a planned hop reaches {refusal.hop_range_m:g} m"
    if refusal.cut:
        yield f"  the loss of these parts the rest: {', '.join(refusal.cut)}"
    elif refusal.reached == 0:
        yield "  the site is in parts from the start: no losses are needed"
    if refusal.lonely:
        yield f"  too few neighbours that may relay: {', '.join(refusal.lonely)}"
    if refusal.far:
        yield f"  too far from a gateway: {', '.join(refusal.far)}"
    yield "what would make it possible, each alone and computed:"
    for remedy in refusal.remedies:
        if remedy.works:
            option = f"   {remedy.option}" if remedy.option else ""
            yield f"  {remedy.what:<11} {remedy.value}{option}"
        else:
            yield f"  {remedy.what:<11} no: {remedy.value}"


def delivery_line(delivery: Delivery) -> str:
    """Write what became of one kind of message."""
    times = (
        f"half within {delivery.p50_ms:g} ms, 95 % within {delivery.p95_ms:g} ms"
        if delivery.p50_ms is not None
        else "none arrived"
    )
    return (
        f"{delivery.label}: {delivery.arrived} of {delivery.sent} arrived "
        f"({delivery.share:.2%}, {delivery.share_low:.2%} to {delivery.share_high:.2%}); {times}"
    )


def simulation_lines(run: Simulation, verbose: int = 0) -> Iterator[str]:
    """Write a simulation's outcome."""
    yield (
        f"{run.duration_s:g} s at {run.rate_msg_per_s:.3g} messages/s, seed {run.seed}, "
        f"capture at {run.sir_db:g} dB"
    )
    if run.failed:
        more = f" and {len(run.failed) - 8} more" if len(run.failed) > 8 else ""  # noqa: PLR2004
        yield f"  failed: {', '.join(run.failed[:8])}{more}"
    for delivery in run.deliveries:
        yield "  " + delivery_line(delivery)
    busiest = max(run.nodes, key=lambda node: node.airtime)
    hungriest = max(run.nodes, key=lambda node: node.power_mw)
    yield (
        f"  airtime: {run.events_per_s:.0f} advertising events/s in all; busiest {busiest.id}, "
        f"{busiest.airtime:.1%} of its time"
    )
    yield f"  power: at most {hungriest.power_mw:.1f} mW ({hungriest.id})"
    if run.dropped or run.evicted:
        yield (
            f"  queues refused {run.dropped} messages; caches forgot {run.evicted} too soon: "
            "this network is overloaded"
        )
    shown = sorted(run.nodes, key=lambda node: -node.airtime)
    for node in shown if verbose else ():
        yield (
            f"    {node.id:<18} {node.role:<8} {node.events_per_s:8.2f} events/s  "
            f"{node.airtime:6.2%}  {node.power_mw:6.2f} mW  {node.energy_j:8.2f} J  "
            f"lost {node.lost} of {node.sent}"
        )
