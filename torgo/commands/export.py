"""`torgo export`: a plan in other formats."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import UsageError
from torgo.commands import options as o

if TYPE_CHECKING:
    from torgo.plan import Plan

FORMATS = ("svg", "html", "geojson", "graphml", "cdb", "babblesim")
SECRET_MODE = 0o600
BABBLESIM_LIMIT = 3_000


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        format: of the file.
        file: where; `-` for stdout.
        size_bytes: of it.
    """

    format: str
    file: str
    size_bytes: int


@command(schema="torgo.export/1", report="torgo.commands.export:Exported")
def export(
    screen: Screen,
    plan: o.PlanFile = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="svg|html|geojson|graphml|cdb|babblesim", help="What to write."
        ),
    ] = "svg",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where; - is stdout.")
    ] = "-",
    node: Annotated[
        str | None,
        typer.Option("--node", metavar="NODE", help="Whose disjoint ways are drawn (svg, html)."),
    ] = None,
) -> int | None:
    """Write a plan as a picture, a map, a graph, or a file for another program."""
    from torgo.commands import files

    if format_ not in FORMATS:
        raise UsageError(f"--format {format_[:40]!r}: choose one of {', '.join(FORMATS)}")
    if screen.json and output == "-":
        raise UsageError("--json and the file both want stdout", hint="--output FILE")
    content = write(files.load_plan(plan), format_, node).encode()
    if output == "-":
        sys.stdout.write(content.decode())
        return None
    files.save(Path(output), content, mode=SECRET_MODE if format_ == "cdb" else files.PUBLIC_MODE)
    screen.show(
        Exported(format_, output, len(content)),
        lambda found: [f"wrote {found.file} ({found.size_bytes} bytes)"],
    )
    return None


def write(plan: "Plan", format_: str, node: str | None) -> str:
    """Write a plan in a format."""
    from torgo.commands import files
    from torgo.explain import find_node

    focus = None if node is None else plan.nodes[find_node(plan, node)].id
    if format_ == "svg":
        from torgo.exports.svg import svg

        return svg(plan, focus)
    if format_ == "html":
        from torgo.exports.page import page

        script, style = files.page_assets()
        return page(plan, script, style, focus)
    if format_ == "geojson":
        from torgo.exports.geojson import geojson

        return geojson(plan)
    if format_ == "graphml":
        from torgo.exports.graphml import graphml

        return graphml(plan)
    if format_ == "babblesim":
        from torgo.exports.babblesim import babblesim

        if len(plan.nodes) > BABBLESIM_LIMIT:
            raise UsageError(f"BabbleSim takes no {len(plan.nodes)} devices")
        return babblesim(plan)
    import secrets

    from dunes.clock import SYSTEM_CLOCK, rfc3339
    from torgo.exports.cdb import cdb

    whole_second_us = SYSTEM_CLOCK.unix_us() // 1_000_000 * 1_000_000
    stamp = rfc3339(whole_second_us).split(".")[0].rstrip("Z") + "Z"
    return cdb(plan, secrets.token_bytes(16), stamp)
