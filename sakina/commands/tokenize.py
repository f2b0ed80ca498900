"""`sakina tokenize` and `sakina detokenize`: people's names, and the tokens in their place."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.authority.pseudonym import Pseudonyms

LINE_MAX = 1024 * 1024

Field = Annotated[
    str,
    typer.Option("--field", metavar="FIELD", help="Where the name stands: device, or a kind."),
]
Table = Annotated[
    str, typer.Option("--table", metavar="NAME", help="Of which table, for the record.")
]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A name and its token.

    Attributes:
        name: of a person or a person's device; null where it cannot be told.
        token: in its place.
        reversible: it can be turned back.
    """

    name: str | None
    token: str
    reversible: bool


@dataclass(frozen=True, slots=True)
class TokenizeReport:
    """Names and tokens.

    Attributes:
        field: where they stand.
        rows: in the order given.
    """

    field: str
    rows: tuple[TokenRow, ...]


@command(schema="sakina.tokenize/1", report="sakina.commands.tokenize:TokenizeReport")
def tokenize(
    screen: Screen,
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Names to replace.")],
    field: Field = "device",
) -> int:
    """Give the token that stands for a person in the tables of this place.

    The same name always has the same token here, and another one elsewhere. `dunes ingest`
    does this by itself for tables of scopes that name fields to tokenize.
    """
    from dunes.authority.pseudokey import load_pseudonyms
    from dunes.authority.pseudonym import TOKEN
    from dunes.paths import find_paths

    pseudonyms = load_pseudonyms(find_paths(), create=True)
    rows = []
    for name in names:
        token = pseudonyms.token(name, field)
        rows.append(TokenRow(name, token, token.startswith(TOKEN)))
        if not token.startswith(TOKEN):
            screen.warn(f"{printable(name, 60)!r} is too long to be turned back")
    screen.show(TokenizeReport(field, tuple(rows)), lambda r: [row.token for row in r.rows])
    return Exit.OK


@command(schema="sakina.tokenize/1", report="sakina.commands.tokenize:TokenizeReport")
def detokenize(
    screen: Screen,
    tokens: Annotated[
        list[str],
        typer.Argument(
            metavar="TOKEN…|-", help="Tokens; `-` replaces all that stand in standard input."
        ),
    ],
    field: Field = "device",
    table: Table = "vitals_data",
) -> int:
    """Turn tokens back into names, for who has the right to; it is written down.

    The right is `identity.reveal` on the table: the owner of this installation has it, and
    whoever was given a scope that names it, such as health-data.
    """
    from dunes.authority.gate import authorise
    from dunes.authority.model import Action, Resource
    from dunes.authority.pseudokey import load_pseudonyms
    from dunes.model import table_name
    from dunes.paths import find_paths

    paths = find_paths()
    folded = table_name(table)
    authorise(paths, Action.IDENTITY_REVEAL, Resource(folded, name=field))
    pseudonyms = load_pseudonyms(paths)
    if tokens == ["-"]:
        if screen.json:
            raise UsageError("--json needs tokens, not a text", hint="name them")
        return replace_all(screen, pseudonyms, field)
    rows = tuple(TokenRow(pseudonyms.name(t, field), t, reversible=True) for t in tokens)
    screen.show(TokenizeReport(field, rows), lines)
    return Exit.OK


def replace_all(screen: Screen, pseudonyms: "Pseudonyms", field: str) -> int:
    """Copy standard input to standard output, with names for the tokens of this place."""
    import re
    import sys

    from dunes.authority.pseudonym import TOKEN
    from dunes.errors import DunesError

    def name(found: re.Match[str]) -> str:
        try:
            return pseudonyms.name(found[0], field)
        except DunesError:
            return found[0]  # of another place or field: it stays a token

    pattern = re.compile(rf"(?<![a-z0-9-]){TOKEN}[a-z2-7]{{26,61}}(?![a-z0-9])")
    while line := sys.stdin.readline(LINE_MAX):
        screen.stdout.write(pattern.sub(name, line))
    screen.stdout.flush()
    return Exit.OK


def lines(report: TokenizeReport) -> Iterator[str]:
    """Write the names."""
    for row in report.rows:
        yield printable(row.name or "-", 200)
