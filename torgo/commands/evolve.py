"""`torgo evolve`: take a plan further."""

from typing import Annotated

import typer

from dunes.console import Screen, command
from torgo.commands import options as o
from torgo.commands.files import PLAN
from torgo.commands.mars_mode import Duration, Step


@command(schema="torgo.evolve/1", report="torgo.reports:Written")
def evolve(
    screen: Screen,
    plan: Annotated[
        str | None,
        typer.Argument(metavar="PLAN", help="A plan to start from; default: a new one."),
    ] = None,
    env: o.Env = None,
    nodes: o.Nodes = None,
    obstacles: o.Obstacles = None,
    hops_max: o.HopsMax = None,
    redundancy: o.Redundancy = None,
    range_: o.Range = None,
    gateways: o.Gateways = None,
    duration: Duration = "1h",
    step: Step = "60s",
    iterations: o.Iterations = None,
    seed: o.Seed = 1,
    name: o.PlanName = None,
    output: o.Output = PLAN,
    pictures: o.Pictures = True,
) -> int:
    """Search on from a plan's relays, and adapt it while power fails and obstacles move."""
    from torgo.commands.adapting import adapt_plan
    from torgo.commands.making import Asked

    asked = Asked(
        "evolve",
        env=env,
        redundancy=redundancy,
        nodes=nodes,
        gateways=gateways,
        range_=range_,
        hops_max=hops_max,
        obstacles=obstacles,
        iterations=2_000 if iterations is None and plan is not None else iterations,
        seed=seed,
        name=name,
    )
    return adapt_plan(screen, asked, plan, output, duration=duration, step=step, pictures=pictures)
