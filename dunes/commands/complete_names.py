"""`dunes complete-names`: what the completions ask at TAB (hidden)."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from dunes.console import Screen, command
from dunes.errors import DunesError, Exit

Kind = Literal["tables", "buffers", "destinations", "firmware"]


@dataclass(frozen=True, slots=True)
class NamesReport:
    """The names of one kind."""

    names: tuple[str, ...]


@command(schema="dunes.complete-names/1", report="dunes.commands.complete_names:NamesReport")
def complete_names(
    screen: Screen,
    kind: Annotated[Kind, typer.Argument(help="Names of what.")],
) -> int:
    """Name what there is of a kind, one a line, for completions."""
    from dunes.console.names import KINDS
    from dunes.settings import load

    try:
        names = tuple(KINDS[kind](load()))
    except DunesError:  # a broken configuration: TAB is not the place to say so
        names = ()
    screen.show(NamesReport(names), lambda report: report.names)
    return Exit.OK
