"""`torgo rescue-topology`: a mesh for a disaster zone, by how crowded and how thrifty."""

from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import UsageError
from torgo.commands import options as o
from torgo.commands.files import PLAN

DENSITIES = {"low": 40, "medium": 70, "high": 100}
"""Nodes within 500 m; the guide's crowded zone has up to 100."""
POWERS = {"low": "0dBm", "medium": "4dBm", "high": "8dBm"}


@command(schema="torgo.rescue-topology/1", report="torgo.reports:Written")
def rescue_topology(
    screen: Screen,
    density: Annotated[
        str, typer.Option("--density", metavar="low|medium|high", help="40, 70 or 100 nodes.")
    ] = "high",
    power: Annotated[
        str, typer.Option("--power", metavar="low|medium|high", help="0, 4 or 8 dBm.")
    ] = "medium",
    range_: o.Range = None,
    redundancy: o.Redundancy = None,
    nodes: o.Nodes = None,
    gateways: o.Gateways = None,
    hops_max: o.HopsMax = None,
    obstacles: o.Obstacles = None,
    layout: o.Layout = None,
    iterations: o.Iterations = None,
    seed: o.Seed = 1,
    name: o.PlanName = None,
    output: o.Output = PLAN,
    pictures: o.Pictures = True,
) -> int:
    """Plan a mesh of anchors and wearables for a disaster zone."""
    from torgo.commands.making import Asked, make_plan

    if density not in DENSITIES:
        raise UsageError(f"--density {density[:40]!r}: choose one of {', '.join(DENSITIES)}")
    if power not in POWERS:
        raise UsageError(f"--power {power[:40]!r}: choose one of {', '.join(POWERS)}")
    wanted = nodes if nodes is not None or layout is not None else DENSITIES[density]
    asked = Asked(
        "rescue-topology",
        env="disaster-zone",
        redundancy=redundancy,
        nodes=wanted,
        gateways=gateways,
        range_=range_,
        hops_max=hops_max,
        obstacles=obstacles,
        layout=layout,
        tx_power=POWERS[power],
        iterations=iterations,
        seed=seed,
        name=name,
    )
    return make_plan(screen, asked, output, None, None, pictures=pictures)
