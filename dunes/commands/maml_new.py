"""`dunes maml new`: a valid document to start from."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dunes.commands.maml import PROFILES, known_profile
from dunes.commands.markup_keys import STDIN, read_public_key, write_file
from dunes.console import Screen, command
from dunes.errors import Exit, UsageError


@dataclass(frozen=True, slots=True)
class NewReport:
    """A document that was written.

    Attributes:
        file: its name; `-` is stdout.
        profile: its profile.
        size_bytes: its size.
    """

    file: str
    profile: str
    size_bytes: int


@command(schema="dunes.maml-new/1", report="dunes.commands.maml_new:NewReport")
def new(
    screen: Screen,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The document to write; '-' is stdout.")
    ],
    profile: Annotated[str, typer.Option(metavar=PROFILES, help="Which profile.")] = "core",
    type_: Annotated[
        str, typer.Option("--type", metavar="WORD", help="Its type, in the profile core.")
    ] = "workflow",
    origin: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Who makes it; default: agent:// and this gateway."),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The ML-DSA key of a document of profile key (PEM)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
) -> int:
    """Write a new document of a profile."""
    from uuid import uuid4

    from dunes.clock import SYSTEM_CLOCK
    from dunes.maml.template import Facts, new_document
    from dunes.settings import load

    known_profile(profile)
    if str(file) != STDIN and file.exists() and not force:
        raise UsageError(f"{file} is there already", hint="--force replaces it")
    made_by = origin or f"agent://{load()['gateway.id'] or 'gateway'}"
    pem = read_public_key(public_key).pem if public_key is not None else ""
    data = new_document(profile, Facts(SYSTEM_CLOCK.now(), uuid4(), made_by, type_, pem))
    write_file(file, data)
    if str(file) != STDIN:
        screen.show(NewReport(str(file), profile, len(data)), lines)
    return Exit.OK


def lines(report: NewReport) -> Iterator[str]:
    """Write the report for people."""
    yield f"{report.file}: a new document of profile {report.profile}"
    yield f"next: edit it, then: dunes maml validate {report.file}"
