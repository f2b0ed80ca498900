"""Options that several commands of torgo have."""

from typing import Annotated

import typer

Env = Annotated[
    str | None,
    typer.Option("--env", metavar="NAME", help="Environment: a name or a TOML file of your own."),
]
Redundancy = Annotated[
    int | None,
    typer.Option(
        "--redundancy", metavar="R", help="Survive any R-1 losses; each node hears R relays."
    ),
]
Nodes = Annotated[
    int | None, typer.Option("--nodes", metavar="N", help="Number of nodes, gateways included.")
]
Gateways = Annotated[
    int | None, typer.Option("--gateways", metavar="N", help="Number of nodes with a way out.")
]
Range = Annotated[
    str | None, typer.Option("--range", metavar="LENGTH", help="Radius of the site, e.g. 1000m.")
]
HopsMax = Annotated[
    int | None, typer.Option("--hops-max", metavar="N", help="The longest way that is accepted.")
]
Obstacles = Annotated[
    str | None,
    typer.Option(
        "--obstacles",
        metavar="static|dynamic",
        help="dynamic: rehearse what moves and what loses power.",
    ),
]
Layout = Annotated[
    str | None,
    typer.Option("--layout", metavar="FILE", help="Node positions: CSV or GeoJSON."),
]
MeasuredLinks = Annotated[
    str | None,
    typer.Option(
        "--links", metavar="FILE", help="Measured signal strengths: CSV with a,b,rssi_dbm."
    ),
]
TxPower = Annotated[
    str | None,
    typer.Option(
        "--tx-power",
        metavar="POWER",
        help="Transmit power, e.g. 8dBm; auto: the lowest that does.",
    ),
]
AntennaHeight = Annotated[
    str | None,
    typer.Option(
        "--antenna-height", metavar="LENGTH", help="Height of the masts that relay, e.g. 2m."
    ),
]
Gain = Annotated[
    str | None, typer.Option("--gain", metavar="GAIN", help="Antenna gain, e.g. 2.15dBi.")
]
Margin = Annotated[
    str | None,
    typer.Option("--margin", metavar="RATIO", help="Kept in hand for fading, e.g. 10dB."),
]
Exponent = Annotated[
    float | None,
    typer.Option("--exponent", metavar="N", help="Rooms instead of ground: the path exponent."),
]
Iterations = Annotated[
    int | None,
    typer.Option("--iterations", metavar="N", help="Effort of the search; 0: greedy only."),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="Of all dice; the same gives the same.")
]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="Where the plan is written.")
]
Svg = Annotated[
    str | None, typer.Option("--svg", metavar="FILE", help="The map; default: beside the plan.")
]
Html = Annotated[
    str | None, typer.Option("--html", metavar="FILE", help="The page; default: beside the plan.")
]
Pictures = Annotated[
    bool, typer.Option("--pictures/--no-pictures", help="Draw the map and the page.")
]
PlanName = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name of the plan.")]
PlanFile = Annotated[
    str | None,
    typer.Argument(metavar="PLAN", help="A plan; default: torgo-output.json.", show_default=False),
]
