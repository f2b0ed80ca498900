"""`torgo prove`: uptime with a confidence bound."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError
from torgo.commands import options as o

if TYPE_CHECKING:
    from torgo.prove import UptimeProof

MOST_DRAWS = 10_000_000


@command(schema="torgo.prove/1", report="torgo.prove:UptimeProof")
def prove(
    screen: Screen,
    plan: o.PlanFile = None,
    uptime: Annotated[
        str, typer.Option("--uptime", metavar="SHARE", help="What is to be shown, e.g. 99.99%.")
    ] = "99.99%",
    draws: Annotated[
        int, typer.Option("--draws", metavar="N", help="States that are sampled.")
    ] = 5_000,
    node_down: Annotated[
        str | None,
        typer.Option(
            "--node-down", metavar="SHARE", help="Of the time, e.g. 1%; else the plan's."
        ),
    ] = None,
    gateway_down: Annotated[
        str | None,
        typer.Option("--gateway-down", metavar="SHARE", help="Of the time; else the plan's."),
    ] = None,
    seed: o.Seed = 1,
) -> int:
    """Show how surely live nodes reach a live gateway: PASS, FAIL or not shown."""
    from torgo.commands import files
    from torgo.prove import prove_uptime
    from torgo.quantities import share

    wanted = share(uptime)
    p = None if node_down is None else share(node_down)
    q = None if gateway_down is None else share(gateway_down)
    if not 0 < wanted < 1:
        raise UsageError(f"--uptime {uptime}: nothing shows exactly 0 or 100 %")
    if not 0 <= draws <= MOST_DRAWS:
        raise UsageError(f"--draws {draws} is not 0 to {MOST_DRAWS:,}")
    if any(value is not None and value >= 1 for value in (p, q)):
        raise UsageError("a node that is always down needs no proof")
    network = files.load_plan(plan)
    with screen.progress("sampling", draws, "draws") as bar:
        report = prove_uptime(
            network, wanted, draws=draws, seed=seed, node_down=p, gateway_down=q, told=bar.update
        )
    screen.show(report, lines)
    return Exit.OK if report.verdict == "PASS" else Exit.NO


def lines(report: "UptimeProof") -> Iterator[str]:
    """Write the verdict and what it rests on."""
    from torgo.reports import percent, uptime_sentence

    shown = percent(report.uptime_low)
    yield f"{report.verdict}: uptime {report.wanted:.6%} wanted, {shown} shown"
    yield f"  {uptime_sentence(report)}"
    yield (
        f"  certain    {report.certain:.6%} of the time fewer than {report.redundancy} relays are "
        "down and a gateway lives: the plan's proof serves everyone then"
        if report.redundancy
        else "  certain    nothing: the plan's own proof does not hold, or not for its hops"
    )
    yield f"  hopeless   {report.hopeless:.6%} of the time all {report.gateways} gateways are down"
    yield (
        f"  sampled    {report.draws} other states, one live node each: {report.failures} were "
        "not served"
    )
    yield (
        f"  not in it  nodes are down by themselves {report.own_outages:.2%} of the time; "
        "outages behind the gateways are buffered there"
    )
    yield f"  scenario   {report.scenario}, seed {report.seed}"
    if report.why:
        yield f"  why        {report.why}"
