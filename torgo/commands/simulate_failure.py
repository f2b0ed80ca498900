"""`torgo simulate-failure`: let nodes fail in the middle of traffic, and come back."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError
from torgo.commands import options as o

if TYPE_CHECKING:
    from torgo.reports import FailureReport

PATTERNS = ("random", "busiest", "region")


@command(schema="torgo.simulate-failure/1", report="torgo.reports:FailureReport")
def simulate_failure(
    screen: Screen,
    plan: o.PlanFile = None,
    nodes: Annotated[
        int | None, typer.Option("--nodes", metavar="N", help="How many nodes fail.")
    ] = None,
    fail: Annotated[
        str | None, typer.Option("--fail", metavar="SHARE", help="Or the share of them, e.g. 20%.")
    ] = None,
    duration: Annotated[
        str, typer.Option("--duration", metavar="DURATION", help="How long they are down.")
    ] = "60s",
    pattern: Annotated[
        str,
        typer.Option(
            "--pattern",
            metavar="random|busiest|region",
            help="Which: at random, the hardest-working relays, or one region.",
        ),
    ] = "random",
    rate: Annotated[
        str | None,
        typer.Option("--rate", metavar="RATE", help="Telemetry of all nodes, e.g. 4/s."),
    ] = None,
    seed: o.Seed = 1,
) -> int:
    """Let nodes fail for a while: who is cut off, what still arrives; exit 1 if anyone is."""
    from typing import cast

    from dunes.units import duration_s
    from torgo.commands import files
    from torgo.failures import Pattern, failure_order, outcome_of
    from torgo.quantities import rate_per_s, share
    from torgo.reports import FailureReport
    from torgo.simulate import count_delivery, simulate

    if pattern not in PATTERNS:
        raise UsageError(f"--pattern {pattern[:40]!r}: choose one of {', '.join(PATTERNS)}")
    network = files.load_plan(plan)
    if nodes is not None and fail is not None:
        raise UsageError("--nodes and --fail both say how many; give one")
    count = round(share(fail) * len(network.nodes)) if fail is not None else nodes or 1
    most = len(network.nodes) - len(network.gateways)
    if not 0 <= count < most:
        raise UsageError(
            f"{count} nodes cannot fail: the plan has {most} beside its gateways",
            hint=f"--nodes 0 to {most - 1}",
        )
    length_s = duration_s(duration)
    if not 0 < length_s <= 86_400:  # noqa: PLR2004 - a day is enough
        raise UsageError(f"--duration {duration} is not above 0 and up to a day")
    rate_s = network.capacity.telemetry_msg_per_s if rate is None else rate_per_s(rate)
    failed = failure_order(network, cast("Pattern", pattern), seed)[:count]
    calm_s = min(length_s, 30.0)
    start_us, end_us = int(calm_s * 1e6), int((calm_s + length_s) * 1e6)
    total_s = 2 * calm_s + length_s
    with screen.progress("simulating", total_s, "s") as bar:
        outcome, messages = simulate(
            network,
            rate_msg_per_s=rate_s,
            duration_s=total_s,
            seed=seed,
            down={key: [(start_us, end_us)] for key in failed},
            told=lambda now_s: bar.update(min(now_s, total_s)),
        )
    gone = set(failed)
    phases = {
        "before": [m for m in messages if m.at_us < start_us],
        "during": [m for m in messages if start_us <= m.at_us < end_us and m.source not in gone],
        "after": [m for m in messages if m.at_us >= end_us],
    }
    report = FailureReport(
        pattern,
        seed,
        outcome_of(network, sorted(failed)),
        count_delivery("before", phases["before"]),
        count_delivery("during", phases["during"]),
        count_delivery("after", phases["after"]),
        0.0,
        length_s,
        outcome.rate_msg_per_s,
    )
    screen.show(report, lines)
    return Exit.NO if report.outcome.cut_off else Exit.OK


def lines(report: "FailureReport") -> Iterator[str]:
    """Write who fell out, and what still arrived."""
    from torgo.reports import delivery_line

    outcome = report.outcome
    shown = ", ".join(outcome.failed[:10]) + (" …" if len(outcome.failed) > 10 else "")  # noqa: PLR2004
    yield (
        f"{len(outcome.failed)} nodes fail ({report.pattern}) for {report.duration_s:g} s: {shown}"
    )
    yield (
        f"  ways      {outcome.served:.2%} of the survivors keep one to a gateway "
        f"(if every node relayed: {outcome.ceiling:.2%}); longest {outcome.farthest_hops} hops"
    )
    if outcome.cut_off:
        yield f"  cut off   {', '.join(outcome.cut_off[:12])}"
    for delivery in (report.before, report.during, report.after):
        yield f"  {delivery_line(delivery)}"
    yield "  repair    0 s: a flood has no routes to repair; the next message takes the ways left"
