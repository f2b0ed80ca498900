"""The options of every command that reads readings back."""

from typing import Annotated

import typer

DEFAULT_LIMIT = 1000

Device = Annotated[str | None, typer.Option("--device", metavar="NAME", help="Only this device.")]
Kind = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="Only this kind, e.g. co2.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="10m|TIME", help="Not older: an age, or RFC 3339."),
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="10m|TIME", help="Older: an age, or RFC 3339."),
]
Urgency = Annotated[
    str | None,
    typer.Option("--priority", metavar="alert|warning|routine", help="Only readings this urgent."),
]
Gateway = Annotated[
    str | None, typer.Option("--gateway", metavar="NAME", help="Only this gateway's.")
]
Limit = Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0: all.")]
After = Annotated[
    str, typer.Option("--after", metavar="CURSOR", help="Go on after an earlier answer.")
]
Format = Annotated[
    str, typer.Option("--format", metavar="table|json|csv", help="How to print them.")
]
