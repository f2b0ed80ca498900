"""`torgo mars-mode`: keep a mesh served in a storm."""

from typing import Annotated

import typer

from dunes.console import Screen, command
from torgo.commands import options as o
from torgo.commands.files import PLAN

Duration = Annotated[
    str, typer.Option("--duration", metavar="DURATION", help="How long the site changes.")
]
Step = Annotated[
    str, typer.Option("--step", metavar="DURATION", help="Time between two looks at it.")
]


@command(schema="torgo.mars-mode/1", report="torgo.reports:Written")
def mars_mode(
    screen: Screen,
    plan: Annotated[
        str | None,
        typer.Argument(metavar="PLAN", help="A plan to start from; default: a new one."),
    ] = None,
    obstacles: o.Obstacles = "dynamic",
    hops_max: o.HopsMax = None,
    env: o.Env = None,
    redundancy: o.Redundancy = None,
    range_: o.Range = None,
    nodes: o.Nodes = None,
    gateways: o.Gateways = None,
    duration: Duration = "6h",
    step: Step = "60s",
    iterations: o.Iterations = None,
    seed: o.Seed = 1,
    name: o.PlanName = None,
    output: o.Output = PLAN,
    pictures: o.Pictures = True,
) -> int:
    """Let obstacles move and power drop on Mars, and adapt the plan step by step."""
    from torgo.commands.adapting import adapt_plan
    from torgo.commands.making import Asked

    asked = Asked(
        "mars-mode",
        env=env if plan is not None else env or "mars-dust-storm",
        redundancy=redundancy,
        nodes=nodes,
        gateways=gateways,
        range_=range_,
        hops_max=hops_max,
        obstacles=obstacles,
        iterations=iterations,
        seed=seed,
        name=name,
    )
    return adapt_plan(screen, asked, plan, output, duration=duration, step=step, pictures=pictures)
