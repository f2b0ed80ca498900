"""`dunes maml show` and `dunes maml schema`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.commands.maml import PROFILES, MaxSize, known_profile, size_limit
from dunes.commands.markup_keys import read_file
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.maml import Document


@dataclass(frozen=True, slots=True)
class SectionRow:
    """One section.

    Attributes:
        key: its folded name.
        title: as written.
        line: of its heading.
        text: its content.
    """

    key: str
    title: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class FenceRow:
    """One fenced block.

    Attributes:
        language: empty if none is named.
        line: of its opening fence.
        text: its content.
    """

    language: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One History entry."""

    at: str
    verb: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class ShowReport:
    """A document, taken apart.

    Attributes:
        file: its name.
        profile: what it asks for.
        embedded: its front matter stands deeper in the text.
        sha256: hex digest of its bytes.
        size_bytes: its size.
        front: the front matter; null if there is none.
        sections: in order.
        fences: in order.
        history: in order.
        errors: number of errors by the profile's rules.
        warnings: number of warnings.
    """

    file: str
    profile: str
    embedded: bool
    sha256: str
    size_bytes: int
    front: dict[str, Any] | None
    sections: tuple[SectionRow, ...]
    fences: tuple[FenceRow, ...]
    history: tuple[HistoryRow, ...]
    errors: int
    warnings: int


@command(schema="dunes.maml-show/1", report="dunes.commands.maml_show:ShowReport")
def show(
    screen: Screen,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The document; '-' is stdin.")],
    max_size: MaxSize = "256KiB",
) -> int:
    """Show what a document consists of."""
    from dunes.maml import parse

    document = parse(read_file(file), max_bytes=size_limit(max_size))
    screen.show(_report(file, document), lines)
    return Exit.OK


def _report(file: Path, document: "Document") -> ShowReport:
    import hashlib

    from dunes.maml import validate
    from dunes.maml.history import entries

    found = validate(document)

    def line(index: int) -> int:
        return document.position(index)[0]

    return ShowReport(
        str(file),
        document.profile,
        document.embedded,
        hashlib.sha256(document.data).hexdigest(),
        len(document.data),
        document.front,
        tuple(SectionRow(s.key, s.title, line(s.heading), s.text) for s in document.sections),
        tuple(FenceRow(f.language, line(f.start), f.text) for f in document.fences),
        tuple(HistoryRow(e.at, e.verb, e.text, line(e.index)) for e in entries(document)),
        len(found.errors),
        len(found.warnings),
    )


def lines(report: ShowReport) -> Iterator[str]:
    """Write the report for people; text from the file is escaped."""
    where = " (front matter deeper in the text)" if report.embedded else ""
    yield f"{report.file}: profile {report.profile}{where}, {report.size_bytes} bytes"
    yield f"sha256: {report.sha256}"
    for key, value in (report.front or {}).items():
        yield f"  {printable(key, 40)}: {printable(str(value), 200)}"
    for section in report.sections:
        shown = f"{section.text.count(chr(10))} lines"
        yield f"section {printable(section.title, 60)} (line {section.line}): {shown}"
    for fence in report.fences:
        name = printable(fence.language, 40) or "no language"
        yield f"block {name} (line {fence.line}): {len(fence.text)} characters"
    for entry in report.history:
        yield f"history {printable(entry.at, 40)} {entry.verb}: {printable(entry.text, 200)}"
    yield f"{report.errors} errors, {report.warnings} warnings; dunes maml validate tells them"


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """The schema of a profile.

    Attributes:
        profile: which.
        json_schema: JSON Schema 2020-12 of its front matter.
    """

    profile: str
    json_schema: dict[str, Any]


@command(schema="dunes.maml-schema/1", report="dunes.commands.maml_show:SchemaReport")
def schema(
    screen: Screen,
    profile: Annotated[str, typer.Option(metavar=PROFILES, help="Which profile.")] = "core",
) -> int:
    """Print the JSON Schema of a profile's front matter."""
    import json

    from dunes.maml import json_schema

    known_profile(profile)
    report = SchemaReport(profile, json_schema(profile))
    screen.show(report, lambda r: [json.dumps(r.json_schema, indent=2, ensure_ascii=False)])
    return Exit.OK
