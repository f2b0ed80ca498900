"""`torgo scale`: thousands of nodes, at the lowest power that does."""

from typing import Annotated

import typer

from dunes.console import Screen, command
from torgo.commands import options as o
from torgo.commands.files import PLAN

NODES_PER_GATEWAY = 1_000


@command(schema="torgo.scale/1", report="torgo.reports:Written")
def scale(
    screen: Screen,
    nodes: Annotated[
        int, typer.Option("--nodes", metavar="N", help="Number of nodes, gateways included.")
    ],
    range_: o.Range = None,
    env: o.Env = None,
    redundancy: o.Redundancy = None,
    gateways: o.Gateways = None,
    hops_max: o.HopsMax = None,
    tx_power: o.TxPower = "auto",
    iterations: o.Iterations = None,
    seed: o.Seed = 1,
    name: o.PlanName = None,
    output: o.Output = PLAN,
    pictures: o.Pictures = True,
) -> int:
    """Plan thousands of nodes: the lowest power that does, and a gateway for each thousand."""
    from torgo.commands.making import Asked, make_plan

    asked = Asked(
        "scale",
        env=env,
        redundancy=redundancy,
        nodes=nodes,
        gateways=gateways or max(3, nodes // NODES_PER_GATEWAY),
        range_=range_,
        hops_max=hops_max or 127,
        tx_power=tx_power,
        iterations=iterations,
        seed=seed,
        name=name,
    )
    return make_plan(screen, asked, output, None, None, pictures=pictures)
