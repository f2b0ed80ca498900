"""`dunes log`: the transparency log of receipts: show, prove, verify."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.markup_keys import (
    Keyring,
    load_keyring,
    read_file,
    signing_identity,
    write_file,
)
from dunes.console import Entry, Screen, command, lazy_app
from dunes.console.screen import printable, table_lines
from dunes.errors import DataError, Exit, NotFound, UsageError

if TYPE_CHECKING:
    from dunes.mu.log import TransparencyLog
    from dunes.mu.logcheck import FullCheck
    from dunes.settings import Settings

COMMANDS: dict[str, Entry] = {
    "show": Entry("dunes.commands.log:show", "Show the log's state and its last entries."),
    "prove": Entry("dunes.commands.log:prove", "Write a proof that a receipt is in the log."),
    "verify": Entry(
        "dunes.commands.log:verify", "Verify every entry of the log, and its checkpoints."
    ),
}

app = lazy_app(
    "dunes log", "Every receipt that was signed here, in order, for good.", COMMANDS, top=False
)

Keys = Annotated[
    list[Path] | None,
    typer.Option("--key", metavar="FILE", help="A public key to believe for this run; repeat."),
]


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry.

    Attributes:
        index: from 0.
        leaf_sha256: its leaf hash, hex.
        issued_at: when the receipt was made; null if the entry is none of ours.
        type: the receipt's kind.
        source_name: the source's name.
        source_sha256: the source's digest.
        kids: key ids that the envelope names (not verified here).
    """

    index: int
    leaf_sha256: str
    issued_at: str | None
    type: str | None
    source_name: str | None
    source_sha256: str | None
    kids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogReport:
    """The log's state.

    Attributes:
        origin: its name.
        size: number of entries.
        root_sha256: the root over them, hex.
        checkpoint_size: entries in the last signed checkpoint; null if there is none.
        cosigned_size: entries in the last countersigned one; null if there is none.
        cosigners: known keys that countersigned it.
        entries: the last ones, oldest first.
    """

    origin: str
    size: int
    root_sha256: str
    checkpoint_size: int | None
    cosigned_size: int | None
    cosigners: tuple[str, ...]
    entries: tuple[EntryRow, ...]


@command(schema="dunes.log-show/1", report="dunes.commands.log:LogReport")
def show(
    screen: Screen,
    last: Annotated[
        int, typer.Option("--last", metavar="COUNT", help="How many entries to list.", min=0)
    ] = 10,
) -> int:
    """Show the log's state and its last entries."""
    from dunes.mu.checkpoint import cosigners_of, read_checkpoint
    from dunes.mu.log import COSIGNED
    from dunes.settings import load

    settings = load()
    keyring = load_keyring(settings, [])
    with _open(settings) as log:
        signed, cosigned = log.note(), log.note(COSIGNED)
        report = LogReport(
            log.origin,
            log.size,
            log.root().hex(),
            read_checkpoint(signed.text).size if signed else None,
            read_checkpoint(cosigned.text).size if cosigned else None,
            cosigners_of(cosigned, keyring.find_cosigner) if cosigned else (),
            tuple(_row(log, n) for n in range(max(0, log.size - last), log.size)),
        )
    screen.show(report, lambda r: show_lines(r, keyring))
    return Exit.OK


def _open(settings: "Settings") -> "TransparencyLog":
    from dunes.mu.log import TransparencyLog, log_directory

    return TransparencyLog(log_directory(settings.paths.state))


def _row(log: "TransparencyLog", index: int) -> EntryRow:
    from dunes.crypto.merkle import leaf_hash
    from dunes.mu.dsse import read_envelope
    from dunes.mu.errors import BadReceipt
    from dunes.mu.statement import read_statement

    data = log.entry(index)
    leaf = leaf_hash(data).hex()
    try:
        envelope = read_envelope(data)
        s = read_statement(envelope.payload)
    except BadReceipt:
        return EntryRow(index, leaf, None, None, None, None, ())
    kids = tuple(each.keyid for each in envelope.signatures)
    return EntryRow(index, leaf, s.issued_at, s.kind, s.source_name, s.source_sha256, kids)


def show_lines(report: LogReport, keyring: Keyring) -> Iterator[str]:
    """Write the state for people; text from entries is escaped."""
    yield f"log {report.origin}: {_entries(report.size)}, root {report.root_sha256}"
    yield f"checkpoint: {_entries(report.checkpoint_size)}"
    who = ", ".join(keyring.called(kid) for kid in report.cosigners)
    yield f"countersigned: {_entries(report.cosigned_size)}{' by ' + who if who else ''}"
    if report.entries:
        yield from table_lines(
            ["INDEX", "MADE", "TYPE", "SOURCE", "SHA256", "KEY"],
            [
                [
                    str(e.index),
                    printable(e.issued_at or "-", 30),
                    printable(e.type or "-", 20),
                    printable(e.source_name or "-", 40),
                    printable(e.source_sha256 or "-", 64)[:16],
                    printable(",".join(e.kids) or "-", 64)[:16],
                ]
                for e in report.entries
            ],
        )


def _entries(size: int | None) -> str:
    if size is None:
        return "none"
    return "1 entry" if size == 1 else f"{size} entries"


@dataclass(frozen=True, slots=True)
class ProveReport:
    """A proof that was written.

    Attributes:
        output: its file; `-` is stdout.
        index: of the entry that is proved.
        size: entries in the checkpoint that it leads to.
        cosigned: that checkpoint is countersigned.
    """

    output: str
    index: int
    size: int
    cosigned: bool


@command(schema="dunes.log-prove/1", report="dunes.commands.log:ProveReport")
def prove(
    screen: Screen,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The .mu receipt to prove.")
    ] = None,
    index: Annotated[
        int | None, typer.Option(metavar="COUNT", help="The entry to prove, by its index.", min=0)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The proof; default: beside FILE, or stdout ('-')."),
    ] = None,
) -> int:
    """Write a proof that a receipt is in the log.

    The proof (C2SP tlog-proof) holds a signed checkpoint; with it, the receipt and the
    public keys anyone can verify, with no access to this log.
    """
    from dunes.mu.log import COSIGNED
    from dunes.mu.proof import read_proof
    from dunes.settings import load

    settings = load()
    with _open(settings) as log:
        number = _index_of(log, file, index)
        try:
            data = log.proof(number)
        except NotFound:  # entered, but its checkpoint was never signed
            key = signing_identity(screen, settings).signing
            log.sign(key, key.public.raw)
            data = log.proof(number)
        cosigned = log.note(COSIGNED)
    proof = read_proof(data)
    target = output or (file.with_suffix(".tlog-proof") if file else Path("-"))
    report = ProveReport(
        str(target),
        number,
        proof.checkpoint.size,
        cosigned is not None and cosigned.text == proof.note.text,
    )
    write_file(target, data)
    if str(target) != "-":
        screen.show(report, prove_lines)
    return Exit.OK


def _index_of(log: "TransparencyLog", file: Path | None, index: int | None) -> int:
    """Find the entry that is meant."""
    from dunes.mu.receipt import take_apart

    if (file is None) == (index is None):
        raise UsageError("name one entry", hint="--file FILE.mu or --index COUNT")
    if file is None:
        log.entry(index or 0)  # says so if there is none
        return index or 0
    found = log.find(take_apart(read_file(file)).envelope.raw)
    if found is None:
        raise NotFound(
            f"the receipt {file} is not in this log",
            hint="dunes markup-generate without --no-log enters a receipt",
            code="no-entry",
        )
    return found


def prove_lines(report: ProveReport) -> Iterator[str]:
    """Write the report for people."""
    kind = "countersigned" if report.cosigned else "signed"
    size = _entries(report.size)
    yield f"{report.output}: entry {report.index} in a {kind} checkpoint of {size}"
    yield f"to verify: dunes markup-validate --file FILE.mu --proof {report.output} --key FILE"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a full verification found.

    Attributes:
        intact: nothing is wrong.
        size: entries that are good.
        root_sha256: the root over them, hex.
        damaged: what is wrong with the entries; null if nothing.
        checkpoint_size: entries in the last checkpoint; null if there is none.
        signers: known keys that signed it.
        cosigned_size: entries in the last countersigned checkpoint; null if there is none.
        cosigners: known keys that countersigned it.
        contradictions: what checkpoints and entries disagree about.
        grown_from: size in the older checkpoint that was given; null if none was.
    """

    intact: bool
    size: int
    root_sha256: str
    damaged: str | None
    checkpoint_size: int | None
    signers: tuple[str, ...]
    cosigned_size: int | None
    cosigners: tuple[str, ...]
    contradictions: tuple[str, ...]
    grown_from: int | None


@command(schema="dunes.log-verify/1", report="dunes.commands.log:VerifyReport")
def verify(
    screen: Screen,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An older checkpoint or proof: did the log only grow?"),
    ] = None,
    key: Keys = None,
) -> int:
    """Verify every entry of the log, and its checkpoints."""
    from dunes.mu.log import log_directory
    from dunes.mu.logcheck import verify_all
    from dunes.settings import load

    settings = load()
    keyring = load_keyring(settings, key or [])
    directory = log_directory(settings.paths.state)
    found = verify_all(directory, keyring.find)
    wrong = list(found.contradictions)
    grown_from = None
    if checkpoint is not None:
        grown_from, complaint = _compare(settings, found, read_file(checkpoint), keyring)
        wrong += [complaint] if complaint else []
    report = VerifyReport(
        found.damaged is None and not wrong,
        found.size,
        found.root.hex(),
        found.damaged,
        found.checkpoint_size,
        found.signers,
        found.cosigned_size,
        found.cosigners,
        tuple(wrong),
        grown_from,
    )
    screen.show(report, lambda r: verify_lines(r, keyring))
    return Exit.OK if report.intact else Exit.NO


def _compare(
    settings: "Settings", found: "FullCheck", data: bytes, keyring: Keyring
) -> tuple[int, str | None]:
    """Compare the log with an older checkpoint; give its size and what is wrong.

    Raises:
        DataError: it is none, or no known key signed it.
    """
    from dunes.mu.checkpoint import cosigners_of, log_signers_of, read_checkpoint
    from dunes.mu.note import read_note
    from dunes.mu.proof import HEADER, read_proof

    is_proof = data.startswith(HEADER.encode())
    note = read_proof(data).note if is_proof else read_note(data)
    old = read_checkpoint(note.text)
    if not (log_signers_of(note, keyring.find) or cosigners_of(note, keyring.find)):
        raise DataError(
            "the older checkpoint is not signed by a known key",
            hint="--key FILE",
            code="untrusted-checkpoint",
        )
    if found.damaged is not None or found.contradictions:
        return old.size, None  # nothing to compare with
    with _open(settings) as log:
        if old.origin != log.origin:
            return old.size, f"the older checkpoint is of log {printable(old.origin, 80)}"
        if old.size > log.size:
            return old.size, f"the log had {old.size} entries, and has {log.size}"
        if log.root(old.size) != old.root:
            return old.size, f"the first {old.size} entries are not those that were there"
    return old.size, None


def verify_lines(report: VerifyReport, keyring: Keyring) -> Iterator[str]:
    """Write the report for people."""
    said = "intact" if report.intact else "NOT INTACT"
    size = _entries(report.size)
    yield f"log: {said}, {size} read, root {report.root_sha256}"
    if report.damaged:
        yield f"damaged: {printable(report.damaged)}"
    for each in report.contradictions:
        yield f"contradiction: {printable(each)}"
    who = ", ".join(keyring.called(kid) for kid in report.signers) or "no known key"
    if report.checkpoint_size is not None:
        yield f"checkpoint: {_entries(report.checkpoint_size)}, signed by {who}"
    if report.cosigned_size is not None:
        who = ", ".join(keyring.called(kid) for kid in report.cosigners) or "no known key"
        yield f"countersigned: {_entries(report.cosigned_size)}, by {who}"
    if report.grown_from is not None and report.intact:
        yield f"it only grew since it had {_entries(report.grown_from)}"
