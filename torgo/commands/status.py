"""`torgo status`: what this folder's plan is, and whether it still holds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, NotFound
from torgo.commands import files
from torgo.commands import options as o

if TYPE_CHECKING:
    from torgo.plan import Plan
    from torgo.reports import Status


@command(schema="torgo.status/1", report="torgo.reports:Status")
def status(
    screen: Screen,
    plan: o.PlanFile = None,
    mesh_id: Annotated[
        str | None,
        typer.Option("--mesh-id", metavar="NAME", help="Insist that the plan is for this mesh."),
    ] = None,
) -> int:
    """Prove this folder's plan anew, and say how it stands; exit 1 if it does not hold."""
    from torgo.reports import Status, summarise

    network = files.load_plan(plan)
    project = files.read_project()
    mine = network.mesh_id or project.get("mesh_id")
    if mesh_id is not None and mine is not None and mine != mesh_id:
        raise NotFound(
            f"the plan is for {mine!r}, not for {mesh_id!r}",
            hint=f"torgo init --mesh-id {mesh_id}",
        )
    kinds: dict[str, dict[str, int]] = {}
    for node in network.nodes:
        row = kinds.setdefault(node.kind, {})
        row[node.role] = row.get(node.role, 0) + 1
    with screen.progress("proving the plan anew") as bar:
        bar.update(0)
        problems = list(find_problems(network))
    report = Status(
        plan or files.PLAN,
        mine or mesh_id,
        summarise(network),
        not problems,
        problems,
        kinds,
    )
    screen.show(report, lines)
    return Exit.OK if report.verified and network.proof.holds else Exit.NO


def find_problems(plan: "Plan") -> Iterator[str]:
    """Prove the plan from its own nodes and links, and compare with what it claims."""
    from torgo.assign import prove_backbone
    from torgo.hops import measure_hops

    hops = measure_hops(plan.graph, plan.relay_mask, plan.gateways, plan.request.redundancy)
    ids = [node.id for node in plan.nodes]
    found = prove_backbone(
        plan.graph, plan.relay_mask, plan.eligible_mask, plan.request.redundancy, ids, hops
    )
    claimed = plan.proof
    for name in ("holds", "relay_connectivity", "fewest_relay_neighbours", "relays", "worst_hops"):
        was, is_ = getattr(claimed, name), getattr(found, name)
        if was != is_:
            yield f"the file says {name} is {was}; from its nodes and links it is {is_}"
    short = [node.id for node in plan.nodes if node.ttl < node.hops]
    if short:
        yield f"the TTL of {len(short)} nodes does not reach a gateway: {', '.join(short[:5])}"
    if plan.search.interrupted:
        yield "the search was interrupted; torgo evolve takes it further"


def lines(report: "Status") -> Iterator[str]:
    """Write how it stands."""
    from torgo.reports import summary_lines

    yield from summary_lines(report.plan)
    yield f"  mesh       {report.mesh_id or '(none; torgo init --mesh-id NAME)'}"
    for kind, roles in report.kinds.items():
        yield f"  {kind:<18} " + ", ".join(f"{n} {role}" for role, n in sorted(roles.items()))
    yield f"  repair     {report.repair_s:g} s after a failure: a flood has no routes to repair"
    if report.verified:
        yield "verified: the proof was found again from the nodes and links of the file"
    for problem in report.problems:
        yield f"problem: {problem}"
