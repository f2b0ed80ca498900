"""`dunes markup-generate`: a receipt of a document, data file or buffer table."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes import __version__
from dunes.commands.markup_keys import (
    STDIN,
    mode_like,
    read_file,
    signing_identity,
    write_file,
)
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import DataError, Exit, UsageError

if TYPE_CHECKING:
    from dunes.mu.issue import Issued
    from dunes.mu.receipt import Draft
    from dunes.settings import Settings

ENDING = ".mu"
MAML_ENDINGS = (".maml", ".maml.md", ".maml.ml", ".maml.markdown")
YAML_ENDINGS = (".yaml", ".yml")
KINDS = "receipt|validation|commands|shutdown_script"


@dataclass(frozen=True, slots=True)
class Source:
    """What a receipt is to be made of.

    Attributes:
        name: its file name.
        data: its bytes.
        output: where the receipt goes if nothing else is said.
        more: what to state of it besides.
    """

    name: str
    data: bytes
    output: Path
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenerateReport:
    """A receipt that was made.

    Attributes:
        output: its file; `-` is stdout.
        written: false if a receipt of exactly this source was there already.
        type: receipt, validation, commands or shutdown_script.
        source_name: the source's file name.
        source_bytes: its size.
        source_sha256: its digest.
        kid: the key that signed; null if none.
        log_origin: the log it is in; null if none.
        log_index: where it stands there.
        log_size: entries of that log, by its new checkpoint.
        rows: number of readings, of a table.
    """

    output: str
    written: bool
    type: str
    source_name: str
    source_bytes: int
    source_sha256: str
    kid: str | None
    log_origin: str | None
    log_index: int | None
    log_size: int | None
    rows: int | None


@command(schema="dunes.markup-generate/1", report="dunes.commands.markup_generate:GenerateReport")
def markup_generate(
    screen: Screen,
    input_: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="MAML, YAML, JSON or other UTF-8 text."),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Readings of a buffer table, in place of a file."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a table: only this device's.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of a table: at or after this time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of a table: before this time.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The receipt; default: beside the input, as NAME.mu."),
    ] = None,
    type_: Annotated[
        str, typer.Option("--type", metavar=KINDS, help="What kind of receipt it is.")
    ] = "receipt",
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check", help="Read the input as what its name says; refuse errors."
        ),
    ] = True,
    sign: Annotated[
        bool, typer.Option("--sign/--no-sign", help="Sign with this gateway's identity key.")
    ] = True,
    log: Annotated[
        bool, typer.Option("--log/--no-log", help="Add the receipt to the transparency log.")
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the output whatever it is.")
    ] = False,
) -> int:
    """Make a .mu receipt of a file or table: mirror, digests, signature, log entry."""
    from uuid import uuid4

    from dunes.clock import SYSTEM_CLOCK
    from dunes.mu.receipt import draft
    from dunes.settings import load

    settings = load()
    if (input_ is None) == (table is None):
        raise UsageError("name one source", hint="give --input FILE or --table TABLE")
    if table is not None:
        from dunes.commands.markup_table import from_table

        source = from_table(settings, table, device, since, until)
    else:
        source = _from_file(input_ or Path(), check)
    target = output or source.output
    unchanged = None if force else _existing(settings, target, source, type_, want_signature=sign)
    if unchanged is not None:
        screen.show(unchanged, lines)
        return Exit.OK
    made = draft(
        source.data,
        name=source.name,
        at=SYSTEM_CLOCK.now(),
        uuid=uuid4(),
        tool=f"dunes-mcp/{__version__}",
        kind=type_,
        more=source.more or None,
    )
    issued = _issue(screen, settings, made, sign=sign, log=log)
    write_file(target, issued.data, mode=mode_like(input_))
    report = _report(str(target), made, issued, source)
    if str(target) == STDIN:
        for line in lines(report):
            screen.note(line)
    else:
        screen.show(report, lines)
    return Exit.OK


def _from_file(path: Path, check: bool) -> Source:
    """Read a source, and make sure that it is what its name says."""
    data = read_file(path)
    if str(path) == STDIN:
        return Source("stdin", data, Path(STDIN))
    if check:
        _check_source(path, data)
    stem = path.name
    for ending in (*MAML_ENDINGS[::-1], path.suffix):
        if ending and stem.endswith(ending) and stem != ending:
            stem = stem.removesuffix(ending)
            break
    target = path.with_name(stem + ENDING)
    if target == path:
        raise UsageError(
            f"{path} is a .mu file already",
            hint=f"dunes markup-validate --file {path}, or give --output FILE",
        )
    return Source(path.name, data, target)


def _check_source(path: Path, data: bytes) -> None:
    """Refuse a document, JSON or YAML file with errors.

    Raises:
        DataError: the first error, with its place.
    """
    from dunes.maml import MamlError, parse, validate
    from dunes.maml.document import SIZE_MAX_BYTES
    from dunes.maml.lines import Lines
    from dunes.maml.strict_json import JsonFault, read_json
    from dunes.maml.yaml_tree import read_yaml

    hint = "mend it, or --no-check to make a receipt all the same"
    name = path.name.lower()
    if name.endswith(MAML_ENDINGS):
        try:
            found = validate(parse(data, max_bytes=SIZE_MAX_BYTES))
        except MamlError as e:
            raise DataError(f"{path}: {e.message}", hint=e.hint, code=e.code) from e
        for error in found.errors:
            where = f"{path}:{error.line}:{error.column}"
            raise DataError(f"{where}: {error.message}", hint=hint, code=error.code)
        return
    fault: tuple[str, int] | None = None
    text = data.decode("utf-8", "replace")
    if name.endswith(".json"):
        try:
            read_json(text)
        except JsonFault as e:
            fault = (e.message, e.index)
    elif name.endswith(YAML_ENDINGS):
        tree = read_yaml(text)
        fault = (tree.faults[0].message, tree.faults[0].index) if tree.faults else None
    if fault is not None:
        line, column = Lines(text).position(fault[1])
        raise DataError(f"{path}:{line}:{column}: {fault[0]}", hint=hint, code="bad-input")


def _existing(
    settings: "Settings", target: Path, source: Source, kind: str, *, want_signature: bool
) -> GenerateReport | None:
    """Give the report of a receipt that is there already and says the same.

    Raises:
        UsageError: something else than a receipt has the name.
    """
    from dunes.commands.markup_keys import load_keyring
    from dunes.mu import BadReceipt, judge

    if str(target) == STDIN or not target.exists():
        return None
    try:
        verdict = judge(read_file(target), find=load_keyring(settings, []).find_signer)
    except BadReceipt:
        verdict = None
    if verdict is None or verdict.dialect != "mu/1":
        raise UsageError(
            f"{target} is there already, and is no receipt of ours",
            hint="--force replaces it; --output FILE chooses another name",
        )
    same = verdict.source == source.data and verdict.kind == kind
    if not same or bool(verdict.kids) != want_signature:
        return None
    return GenerateReport(
        str(target),
        False,
        kind,
        source.name,
        len(source.data),
        hashlib.sha256(source.data).hexdigest(),
        verdict.kids[0] if verdict.kids else None,
        None,
        None,
        None,
        None,
    )


def _issue(
    screen: Screen, settings: "Settings", made: "Draft", *, sign: bool, log: bool
) -> "Issued":
    """Sign and log a draft as asked."""
    from dunes.mu.issue import issue
    from dunes.mu.log import TransparencyLog, log_directory
    from dunes.mu.note import name_of

    if not sign:
        return issue(made, None)
    key = signing_identity(screen, settings).signing
    if not log:
        return issue(made, key)
    directory = log_directory(settings.paths.state)
    with TransparencyLog.open(directory, origin=name_of(key.kid)) as opened:
        return issue(made, key, key.public.raw, opened)


def _report(output: str, made: "Draft", issued: "Issued", source: Source) -> GenerateReport:
    statement = made.statement
    return GenerateReport(
        output,
        True,
        statement.kind,
        statement.source_name,
        len(source.data),
        statement.source_sha256,
        issued.kid,
        issued.log_origin,
        issued.log_index,
        issued.log_size,
        source.more.get("source", {}).get("rows"),
    )


def lines(report: GenerateReport) -> Iterator[str]:
    """Write the report for people."""
    name = printable(report.source_name)
    if not report.written:
        yield f"{report.output}: a receipt of exactly this {name} is there already"
        return
    yield f"{report.output}: {report.type} of {name}, {report.source_bytes} bytes"
    yield f"source sha256: {report.source_sha256}"
    if report.rows is not None:
        yield f"readings: {report.rows}"
    yield f"signed by: {report.kid or 'nobody (--no-sign)'}"
    if report.log_index is not None:
        yield f"log: entry {report.log_index} of {report.log_origin}"
    else:
        yield "log: not entered"
