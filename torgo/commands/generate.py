"""`torgo generate`: a mesh that survives losses, drawn on one page."""

from dunes.console import Screen, command
from torgo.commands import options as o
from torgo.commands.files import PLAN


@command(schema="torgo.generate/1", report="torgo.reports:Written")
def generate(
    screen: Screen,
    env: o.Env = None,
    redundancy: o.Redundancy = None,
    range_: o.Range = None,
    nodes: o.Nodes = None,
    gateways: o.Gateways = None,
    hops_max: o.HopsMax = None,
    obstacles: o.Obstacles = None,
    layout: o.Layout = None,
    links: o.MeasuredLinks = None,
    tx_power: o.TxPower = None,
    antenna_height: o.AntennaHeight = None,
    gain: o.Gain = None,
    margin: o.Margin = None,
    exponent: o.Exponent = None,
    iterations: o.Iterations = None,
    seed: o.Seed = 1,
    name: o.PlanName = None,
    output: o.Output = PLAN,
    svg: o.Svg = None,
    html: o.Html = None,
    pictures: o.Pictures = True,
) -> int:
    """Plan a mesh that survives losses, prove it, and draw it."""
    from torgo.commands.making import Asked, make_plan

    asked = Asked(
        "generate",
        env=env,
        redundancy=redundancy,
        nodes=nodes,
        gateways=gateways,
        range_=range_,
        hops_max=hops_max,
        obstacles=obstacles,
        layout=layout,
        links=links,
        tx_power=tx_power,
        antenna_height=antenna_height,
        gain=gain,
        margin=margin,
        exponent=exponent,
        iterations=iterations,
        seed=seed,
        name=name,
    )
    return make_plan(screen, asked, output, svg, html, pictures=pictures)
