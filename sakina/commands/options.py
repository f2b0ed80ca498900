"""Options that the commands for logins share."""

from typing import Annotated

import typer

User = Annotated[
    str,
    typer.Option(
        "--user", metavar="PROFILE", help="Whose login: the name under which it is kept."
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        "--token-store",
        metavar="file|keyring|none",
        help="Where logins are kept. [default: as before, else what works here]",
    ),
]
Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION", help="How long one answer may take.")
]
