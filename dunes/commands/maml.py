"""`dunes maml`: validate, lay out, make, show documents, and print their schemas."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.markup_keys import STDIN, read_file, write_file
from dunes.console import Entry, Screen, command, lazy_app
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.maml import Findings

PROFILES = "core|key|schema|cfg|config|guide|loose"
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Documents; '-' is stdin.")]
MaxSize = Annotated[
    str, typer.Option("--max-size", metavar="SIZE", help="Read no larger document; at most 1MB.")
]

COMMANDS: dict[str, Entry] = {
    "validate": Entry(
        "dunes.commands.maml:validate", "Check documents against the rules of their profile."
    ),
    "fmt": Entry("dunes.commands.maml:fmt", "Give documents their usual layout."),
    "new": Entry("dunes.commands.maml_new:new", "Write a new document of a profile."),
    "show": Entry("dunes.commands.maml_show:show", "Show what a document consists of."),
    "schema": Entry(
        "dunes.commands.maml_show:schema", "Print the JSON Schema of a profile's front matter."
    ),
}

app = lazy_app(
    "dunes maml",
    "Read, check and write MAML documents; nothing in them is run.",
    COMMANDS,
    top=False,
)


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding.

    Attributes:
        severity: error or warning.
        code: a stable word.
        message: one sentence.
        line: from 1.
        column: from 1, in code points.
    """

    severity: str
    code: str
    message: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One document.

    Attributes:
        file: its name.
        profile: the profile whose rules were applied; empty if it could not be read.
        valid: no error.
        findings: errors and warnings, by place.
    """

    file: str
    profile: str
    valid: bool
    findings: tuple[FindingRow, ...]


@dataclass(frozen=True, slots=True)
class MamlReport:
    """Documents that were checked.

    Attributes:
        valid: all are.
        strict: the core rules held for all.
        documents: in the order given.
    """

    valid: bool
    strict: bool
    documents: tuple[DocumentRow, ...]


@command(schema="dunes.maml-validate/1", report="dunes.commands.maml:MamlReport")
def validate(
    screen: Screen,
    files: Files,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar=PROFILES, help="Rules to apply; default: what the document asks for."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Want the core keys and sections in any profile.")
    ] = False,
    max_size: MaxSize = "256KiB",
    sarif: Annotated[
        bool, typer.Option("--sarif", help="Print the findings as SARIF 2.1.0.")
    ] = False,
) -> int:
    """Check documents against the rules of their profile."""
    known_profile(profile)
    limit = size_limit(max_size)
    found = [(str(path), check_file(path, profile, strict, limit)) for path in files]
    if sarif:
        import json

        from dunes import __version__
        from dunes.maml.sarif import sarif as make_log

        screen.stdout.write(json.dumps(make_log(__version__, found), indent=2) + "\n")
    else:
        rows = tuple(DocumentRow(n, f.profile, f.ok, _rows(f)) for n, f in found)
        screen.show(MamlReport(all(r.valid for r in rows), strict, rows), lines)
    return Exit.OK if all(f.ok for _, f in found) else Exit.NO


def check_file(path: Path, profile: str | None, strict: bool, limit: int) -> "Findings":
    """Read and check one document; one that cannot be read has one finding.

    Raises:
        NotFound: no such file.
    """
    from dunes.maml import Findings, MamlError, parse
    from dunes.maml import validate as check

    try:
        return check(parse(read_file(path), max_bytes=limit), profile=profile, strict=strict)
    except MamlError as e:
        return Findings("", strict, [e.finding])


def known_profile(profile: str | None) -> None:
    """Refuse a profile that does not exist."""
    if profile is not None and profile not in PROFILES.split("|"):
        raise UsageError(f"no profile {profile[:40]!r}", hint=f"one of {PROFILES}")


def size_limit(text: str) -> int:
    """Read --max-size, capped at the format's limit."""
    from dunes.maml.document import SIZE_MAX_BYTES
    from dunes.units import size_bytes

    limit = size_bytes(text)
    if limit > SIZE_MAX_BYTES:
        raise UsageError(f"--max-size {text} is above the format's limit", hint="at most 1MB")
    return limit


def _rows(found: "Findings") -> tuple[FindingRow, ...]:
    return tuple(FindingRow(str(f.severity), f.code, f.message, f.line, f.column) for f in found)


def lines(report: MamlReport) -> Iterator[str]:
    """Write the findings as compilers do, then a verdict per document."""
    for document in report.documents:
        for f in document.findings:
            place = f"{document.file}:{f.line}:{f.column}"
            yield f"{place}: {f.severity}: {printable(f.message)} [{f.code}]"
        verdict = "valid" if document.valid else "INVALID"
        yield f"{document.file}: {verdict} ({document.profile or 'unreadable'})"


@dataclass(frozen=True, slots=True)
class FormatRow:
    """One document.

    Attributes:
        file: its name.
        changed: its layout was, or with --check would be, another.
    """

    file: str
    changed: bool


@dataclass(frozen=True, slots=True)
class FormatReport:
    """Documents that were laid out.

    Attributes:
        checked_only: with --check; nothing was written.
        documents: in the order given.
    """

    checked_only: bool
    documents: tuple[FormatRow, ...]


@command(schema="dunes.maml-fmt/1", report="dunes.commands.maml:FormatReport")
def fmt(
    screen: Screen,
    files: Files,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a layout is another.")
    ] = False,
) -> int:
    """Give documents their usual layout.

    Changes line ends, blanks around headings and front matter, spelling of known
    sections and quotes of times and versions; never what a document says, nor its
    History. '-' reads stdin and writes stdout.
    """
    from dunes.errors import DataError
    from dunes.maml.canonical import format_document

    rows = []
    for path in files:
        data = read_file(path)
        try:
            laid_out = format_document(data)
        except DataError as e:
            raise DataError(
                f"{path}: {e.message}", hint=f"dunes maml validate {path}", code=e.code
            ) from e
        if not check and (str(path) == STDIN or laid_out != data):
            write_file(path, laid_out)
        rows.append(FormatRow(str(path), laid_out != data))
    report = FormatReport(check, tuple(rows))
    if STDIN not in map(str, files) or check:
        screen.show(report, format_lines)
    return Exit.NO if check and any(row.changed for row in rows) else Exit.OK


def format_lines(report: FormatReport) -> Iterator[str]:
    """Write what was, or would be, changed."""
    verb = "would change" if report.checked_only else "changed"
    for row in report.documents:
        yield f"{row.file}: {verb if row.changed else 'as it should be'}"
