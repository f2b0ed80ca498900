"""What `mars-mode` and `evolve` share: a plan that follows a changing site."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dunes import __version__
from dunes.console import Screen
from dunes.errors import Exit, UsageError
from dunes.units import duration_s
from torgo.commands import files
from torgo.commands.making import (
    Asked,
    Stop,
    both,
    check_counts,
    draft_or_refuse,
    finish,
    make_wish,
    pace_and_prove,
    project_of,
    search_plan,
    stoppable,
    write_files,
)

if TYPE_CHECKING:
    from torgo.plan import Plan

MOST_STEPS = 100_000


def adapt_plan(
    screen: Screen,
    asked: Asked,
    plan_file: str | None,
    output: str,
    *,
    duration: str,
    step: str,
    pictures: bool,
) -> int:
    """Take or make a plan, let the site change, adapt step by step, and write the plan.

    The plan's relays are kept as its backbone; what the adaptation added and still needs
    at the end relays too, so that the proof holds as before.
    """
    from torgo.generate import Labels, skeleton
    from torgo.reports import Written, written_lines

    length_s, step_s = duration_s(duration), duration_s(step)
    if not 0 < step_s <= length_s or length_s / step_s > MOST_STEPS:
        raise UsageError(
            f"--step {step} does not fit into --duration {duration}",
            hint="e.g. --duration 6h --step 60s",
        )
    project = project_of(asked)
    target = Path(output)
    files.check_output(target)
    asked.obstacles = asked.obstacles or project.get("obstacles", "static")
    check_counts(asked)
    with stoppable() as stop:
        if plan_file is not None:
            plan = take_up(screen, asked, plan_file, stop)
        else:
            wish = make_wish(asked, project)
            draft = draft_or_refuse(screen, asked, wish)
            if isinstance(draft, Written):
                screen.show(draft, written_lines)
                return Exit.NO
            labels = Labels(
                asked.command,
                __version__,
                asked.name or project.get("mesh_id") or draft.wish.env.name,
                project.get("mesh_id"),
                frozenset(asked.options),
                asked.obstacles == "dynamic",
            )
            plan = search_plan(screen, skeleton(draft, labels), draft.wish.iterations, 0, stop)
        plan = follow(screen, plan, stop, length_s, step_s, moving=asked.obstacles == "dynamic")
        plan, report = pace_and_prove(screen, plan, stop, dynamic=False)
    written = write_files(plan, target, None, None, pictures=pictures)
    return finish(screen, plan, replace(report, rehearsal=plan.rehearsal), written)


def take_up(screen: Screen, asked: Asked, plan_file: str, stop: Stop) -> "Plan":
    """Read a plan and give it what the options ask for; search on from its relays.

    Raises:
        UsageError: an option that only a new plan can have.
    """
    given = {
        "--nodes": asked.nodes,
        "--range": asked.range_,
        "--redundancy": asked.redundancy,
        "--gateways": asked.gateways,
        "--layout": asked.layout,
    }
    wrong = [name for name, value in given.items() if value is not None]
    if wrong:
        raise UsageError(
            f"{plan_file} is a plan already; {' and '.join(wrong)} would need a new one",
            hint="leave out PLAN, or the option",
        )
    plan = files.load_plan(plan_file)
    request = plan.request
    if asked.hops_max is not None:
        request = replace(request, hops_max=asked.hops_max)
    request = replace(request, command=asked.command, obstacles=asked.obstacles)  # type: ignore[arg-type]  # checked by the option
    plan = replace(plan, request=request)
    if asked.env is not None:
        env = files.load_environment(asked.env)
        plan = replace(plan, dynamics=env.dynamics, availability=env.availability)
    check_hops(plan)
    if asked.iterations:
        return search_plan(screen, plan, asked.iterations, plan.relay_mask, stop)
    return plan


def check_hops(plan: "Plan") -> None:
    """Refuse a limit of hops that the plan's site cannot keep.

    Raises:
        Impossible: nodes are farther from every gateway even if all relay.
    """
    from torgo.errors import Impossible
    from torgo.graph import hops_from
    from torgo.hops import relay_flags

    flags = relay_flags(len(plan.nodes), plan.eligible_mask)
    hops = hops_from(plan.graph.near, plan.gateways, flags)
    far = [i for i, hop in enumerate(hops) if not 0 <= hop <= plan.request.hops_max]
    if far:
        raise Impossible(
            f"{len(far)} nodes are more than {plan.request.hops_max} hops from a gateway: "
            f"{', '.join(plan.names(far[:5]))}",
            hint=f"--hops-max {max(hops)} would do" if min(hops) >= 0 else "more gateways",
        )


def follow(
    screen: Screen, plan: "Plan", stop: Stop, length_s: float, step_s: float, *, moving: bool
) -> "Plan":
    """Let the site change and the plan follow; Ctrl-C ends it with the plan so far."""
    from torgo.adapt import rehearse
    from torgo.assign import assign
    from torgo.generate import shorten

    relays = shorten(plan, plan.relay_mask)
    if relays != plan.relay_mask or plan.proof.worst_hops > plan.request.hops_max:
        plan = assign(plan, relays, plan.search)
    try:
        stop.check()
        with screen.progress("letting the site change", length_s, "s") as bar:
            rehearsal, final = rehearse(
                plan,
                duration_s=length_s,
                step_s=step_s,
                hops_max=plan.request.hops_max,
                seed=plan.request.seed,
                moving=moving,
                told=both(stop.check, bar.update),
            )
    except KeyboardInterrupt:
        return replace(plan, search=replace(plan.search, interrupted=True))
    plan = assign(plan, plan.relay_mask | final, plan.search)
    return replace(plan, rehearsal=rehearsal)
