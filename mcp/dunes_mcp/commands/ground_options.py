"""What the ground station's commands have in common."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path,
    typer.Option(metavar="DIR", help="The ground station's data directory.", show_default=False),
]
