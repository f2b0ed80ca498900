"""`dunes open FILE`: verify and decrypt a sealed file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dunes.commands.keys_options import (
    Force,
    KeyFile,
    PassphraseFd,
    PassphraseFile,
    Signer,
    believed_senders,
    given_passphrase,
    open_keys,
)
from dunes.commands.seal_files import SEALED_SUFFIX, STDIO, reading, size_of, writing
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError


@dataclass(frozen=True, slots=True)
class OpenReport:
    """An opened file.

    Attributes:
        file: the sealed file.
        output: its content; `-` for stdout.
        sender: kid of who sealed and signed it.
        sealed_at: by the sender's clock, RFC 3339.
        plain_bytes: size of the content.
    """

    file: str
    output: str
    sender: str
    sealed_at: str
    plain_bytes: int


def lines(report: OpenReport) -> Iterator[str]:
    """Tell where the content is and from whom."""
    yield f"opened {printable(report.file)} to {printable(report.output)}"
    yield f"from   {report.sender}, {report.sealed_at}"


@command(schema="dunes.open/1", report="dunes.commands.open:OpenReport")
def open_(
    screen: Screen,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sealed file; `-` is stdin.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; default: without .sealed; `-` is stdout.",
        ),
    ] = None,
    signer: Signer = None,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    force: Force = False,
) -> int:
    """Verify a sealed file and decrypt it; nothing appears unless all of it is good."""
    from dunes.clock import SYSTEM_CLOCK, rfc3339
    from dunes.crypto import sealedfile
    from dunes.crypto.hardening import harden_process
    from dunes.crypto.identity import Identity
    from dunes.paths import find_paths

    target = output or plain_name(file)
    paths = find_paths()
    harden_process()
    found = open_keys(screen, paths, key, given_passphrase(passphrase_file, passphrase_fd))
    opening = found.opening_keys if isinstance(found, Identity) else (found.recipient,)
    senders = believed_senders(paths, signer, SYSTEM_CLOCK.unix_us())
    with (
        reading(file) as source,
        writing(target, force=force, trusted=False) as sink,
        screen.progress(f"open {printable(file.name)}", size_of(source), "bytes") as progress,
    ):
        passed = sealedfile.open_stream(
            source, sink, {each.kid: each for each in opening}, senders, progress.update
        )
    report = OpenReport(
        file=str(file),
        output=str(target),
        sender=passed.header.sender,
        sealed_at=rfc3339(passed.header.at_s * 1_000_000),
        plain_bytes=passed.plain_bytes or 0,
    )
    if target != STDIO:
        screen.show(report, lines)
    return Exit.OK


def plain_name(file: Path) -> Path:
    """Say where the content goes: beside the sealed file, without its ending.

    Raises:
        UsageError: it has no such ending.
    """
    if file == STDIO:
        return STDIO
    if not file.name.endswith(SEALED_SUFFIX) or file.name == SEALED_SUFFIX:
        raise UsageError(
            f"{file.name} does not end in {SEALED_SUFFIX}; say where its content goes",
            hint="--output FILE",
        )
    return file.with_name(file.name.removesuffix(SEALED_SUFFIX))
