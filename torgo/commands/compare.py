"""`torgo compare`: two plans side by side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command

if TYPE_CHECKING:
    from torgo.compare import Comparison


@command(schema="torgo.compare/1", report="torgo.compare:Comparison")
def compare(
    screen: Screen,
    a: Annotated[str, typer.Argument(metavar="PLAN", help="The first plan.")],
    b: Annotated[str, typer.Argument(metavar="PLAN", help="The second plan.")],
) -> None:
    """Compare two plans: figures, and which nodes change their roles."""
    from torgo.commands import files
    from torgo.compare import compare as find_out

    screen.show(find_out(files.load_plan(a), files.load_plan(b)), lines)


def lines(found: "Comparison") -> Iterator[str]:
    """Write the figures side by side."""
    from dunes.console.screen import table_lines

    rows = [
        (row.name, row.a, row.b, {"a": "first", "b": "second"}.get(row.better, ""))
        for row in found.rows
    ]
    yield from table_lines(["", found.a, found.b, "better"], rows)
    yield "the same scenario" if found.same_scenario else "different scenarios"
    for what, names in (
        ("relay only in the second", found.on),
        ("relay only in the first", found.off),
        ("only in the second", found.added),
        ("only in the first", found.removed),
    ):
        if names:
            more = f" and {len(names) - 12} more" if len(names) > 12 else ""  # noqa: PLR2004
            yield f"{what}: {', '.join(names[:12])}{more}"
