"""Options that mesh commands share."""

from typing import Annotated

import typer

MeshId = Annotated[
    str | None,
    typer.Option(
        "--mesh-id", metavar="NAME", help="Mesh to use. [default: mesh.id, else the only one]"
    ),
]

Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long it may take in all.")
]
