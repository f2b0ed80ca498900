"""`dunes markup-validate`: what a `.mu` file proves, and its source back."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.markup_keys import (
    Keyring,
    load_keyring,
    mode_like,
    read_file,
    write_file,
)
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, NotFound, UsageError

if TYPE_CHECKING:
    from dunes.mu.errors import Level
    from dunes.mu.verdict import LookUp, Verdict
    from dunes.settings import Settings

LEVELS = "mirror|digest|signed|logged|cosigned"


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check.

    Attributes:
        name: form, mirror, digest, signature, statement, log, cosignature, pairs, source,
            restore, required.
        state: pass, fail or skip.
        message: one sentence.
        code: a stable word where it failed.
    """

    name: str
    state: str
    message: str
    code: str | None


@dataclass(frozen=True, slots=True)
class ValidateReport:
    """What a `.mu` file proves.

    Attributes:
        file: the file.
        form: mu/1, or D1 to D6.
        valid: nothing failed, and what was required is there.
        level: none, mirror, digest, signed, logged or cosigned.
        required: the level that was asked for; null if none.
        type: the receipt's kind, if it says.
        source_name: its source's name, if it says.
        source_sha256: its source's digest, if it gives the source back.
        created_at: when it was made, if it says.
        kids: keys whose signatures are good.
        unknown_kids: keys that signed but are not believed here.
        log_index: where it stands in the log, if it was found.
        cosigners: who countersigned the log.
        lossless: the form gives its source back.
        restored: where the source was written; null if it was not.
        checks: every check.
    """

    file: str
    form: str
    valid: bool
    level: str
    required: str | None
    type: str | None
    source_name: str | None
    source_sha256: str | None
    created_at: str | None
    kids: tuple[str, ...]
    unknown_kids: tuple[str, ...]
    log_index: int | None
    cosigners: tuple[str, ...]
    lossless: bool
    restored: str | None
    checks: tuple[CheckRow, ...]


@command(schema="dunes.markup-validate/1", report="dunes.commands.markup_validate:ValidateReport")
def markup_validate(
    screen: Screen,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="The .mu file.")],
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key", metavar="FILE", help="A public key to believe: PEM or key document; repeat."
        ),
    ] = None,
    proof: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .tlog-proof from the log it is entered in."),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with this source, byte for byte.")
    ] = None,
    restore: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the source here; '-' is stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let --restore replace a file.")] = False,
    require_signature: Annotated[
        bool, typer.Option("--require-signature", help="The same as --require signed.")
    ] = False,
    require: Annotated[
        str | None,
        typer.Option(metavar=LEVELS, help="Fail below this level."),
    ] = None,
) -> int:
    """Say what a .mu receipt proves, and give its source back."""
    from dunes.mu.verdict import judge
    from dunes.settings import load

    wanted = _wanted(require, require_signature)
    settings = load()
    data = read_file(file)
    keyring = load_keyring(settings, key or [])
    verdict = judge(data, find=keyring.find_signer, look_up=_look_up(settings, keyring, proof))
    if source is not None:
        _compare(verdict, read_file(source), source)
    if verdict.valid and wanted is not None and verdict.level < wanted:
        _require(verdict, wanted)
    restored = None
    if restore is not None:
        restored = _restore(verdict, restore, force=force, mode=mode_like(file))
    report = _report(file, verdict, wanted, restored)
    if str(restore) == "-":
        for line in lines(report, keyring):
            screen.note(line)
    else:
        screen.show(report, lambda r: lines(r, keyring))
    return Exit.OK if report.valid else Exit.NO


def _wanted(require: str | None, require_signature: bool) -> "Level | None":
    from dunes.mu.errors import Level

    if require is None:
        return Level.SIGNED if require_signature else None
    if require not in LEVELS.split("|"):
        raise UsageError(f"no level {require[:40]!r}", hint=f"one of {LEVELS}")
    level = Level[require.upper()]
    return max(level, Level.SIGNED) if require_signature else level


def _look_up(settings: "Settings", keyring: Keyring, proof: Path | None) -> "LookUp | None":
    """Ask the proof if there is one, else this place's log if there is one."""
    from dunes.mu.log import TransparencyLog, log_directory
    from dunes.mu.proof import evidence_of, read_proof

    if proof is not None:
        read = read_proof(read_file(proof))
        return lambda envelope, statement: keyring.evidence(
            evidence_of(read, envelope, statement, keyring.find)
        )
    try:
        log = TransparencyLog(log_directory(settings.paths.state))
    except NotFound:
        return None
    return lambda envelope, statement: keyring.evidence(
        log.look_up(envelope, statement, keyring.find)
    )


def _compare(verdict: "Verdict", wanted: bytes, path: Path) -> None:
    if verdict.source is None:
        verdict.skipped("source", f"form {verdict.dialect} gives no source to compare")
        if verdict.valid:
            verdict.failed("source", "no-source", "the source cannot be compared")
    elif verdict.source == wanted:
        verdict.passed("source", f"the same as {path}, byte for byte")
    else:
        verdict.failed("source", "source-differs", f"{path} is another text")


def _require(verdict: "Verdict", wanted: "Level") -> None:
    """Fail a receipt that proves too little."""
    reached = verdict.level
    message = f"level {wanted.word} was required, {reached.word} was reached"
    verdict.failed("required", "level-too-low", message)
    verdict.level = reached


def _restore(verdict: "Verdict", path: Path, *, force: bool, mode: int) -> str | None:
    """Write the source, unless the receipt is invalid; a form that lost it is a failure."""
    if verdict.valid and verdict.source is None:
        level = verdict.level
        message = f"form {verdict.dialect} lost text: its source cannot be given back"
        verdict.failed("restore", "no-source", message)
        verdict.level = level
    if not verdict.valid or verdict.source is None:
        return None
    if str(path) != "-" and path.exists() and not force and read_file(path) != verdict.source:
        raise UsageError(f"{path} is there already, and is another text", hint="--force")
    write_file(path, verdict.source, mode=mode)
    return str(path)


def _report(
    file: Path, verdict: "Verdict", wanted: "Level | None", restored: str | None
) -> ValidateReport:
    import hashlib

    source = verdict.source
    return ValidateReport(
        str(file),
        verdict.dialect,
        verdict.valid,
        verdict.level.word,
        wanted.word if wanted is not None else None,
        verdict.kind,
        verdict.source_name,
        hashlib.sha256(source).hexdigest() if source is not None else None,
        verdict.created_at,
        verdict.kids,
        verdict.unknown_kids,
        verdict.log_index,
        verdict.cosigners,
        verdict.lossless,
        restored,
        tuple(CheckRow(c.name, c.state, c.message, c.code) for c in verdict.checks),
    )


def lines(report: ValidateReport, keyring: Keyring) -> Iterator[str]:
    """Write the report for people; text from the file is escaped."""
    said = "valid" if report.valid else "INVALID"
    kind = f", {printable(report.type, 40)}" if report.type else ""
    yield f"{report.file}: {said}, level {report.level} ({report.form}{kind})"
    for check in report.checks:
        code = f" [{check.code}]" if check.code else ""
        yield f"  {check.name:<12}{check.state:<6}{printable(check.message)}{code}"
    for kid in report.kids:
        yield f"signed by: {printable(keyring.called(kid))}"
    for kid in report.unknown_kids:
        yield f"unknown key: {printable(kid, 64)} (--key FILE, or dunes keys trust FILE)"
    if report.source_name:
        made = f", made {printable(report.created_at, 40)}" if report.created_at else ""
        yield f"source: {printable(report.source_name)}{made}"
    if report.restored and report.restored != "-":
        yield f"restored: {report.restored}"
    elif not report.lossless:
        yield "this form loses text; it cannot give its source back"
