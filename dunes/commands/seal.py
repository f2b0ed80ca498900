"""`dunes seal FILE --to …`: encrypt and sign a file of any size."""

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
    given_passphrase,
    open_keys,
)
from dunes.commands.seal_files import SEALED_SUFFIX, STDIO, reading, size_of, writing
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError


@dataclass(frozen=True, slots=True)
class SealReport:
    """A sealed file.

    Attributes:
        file: what was sealed.
        sealed_file: where to; `-` for stdout.
        sender: kid of who sealed and signed it.
        recipients: kids of who can open it.
        plain_bytes: size of the content.
        sealed_bytes: size of the sealed file.
    """

    file: str
    sealed_file: str
    sender: str
    recipients: tuple[str, ...]
    plain_bytes: int
    sealed_bytes: int


def lines(report: SealReport) -> Iterator[str]:
    """Tell where the sealed file is and who can open it."""
    yield f"sealed {printable(report.file)} to {printable(report.sealed_file)}"
    yield f"from   {report.sender}"
    for kid in report.recipients:
        yield f"for    {kid}"


@command(schema="dunes.seal/1", report="dunes.commands.seal:SealReport")
def seal(
    screen: Screen,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to seal; `-` is stdin.")],
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="WHO",
            help="Who can open it: a kid, a trusted key's name, a public key document, or "
            "`self`; repeatable; default: self.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to; default: FILE.sealed; `-` is stdout."
        ),
    ] = None,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    force: Force = False,
) -> int:
    """Encrypt a file of any size for those who are named, and sign it."""
    import os

    from dunes.clock import SYSTEM_CLOCK
    from dunes.crypto import sealedfile
    from dunes.crypto.errors import SuiteRefused
    from dunes.crypto.hardening import harden_process
    from dunes.crypto.keyring import find_document
    from dunes.crypto.signing import SUITE_ALGORITHM
    from dunes.paths import find_paths

    target = output or (STDIO if file == STDIO else file.with_name(file.name + SEALED_SUFFIX))
    paths = find_paths()
    harden_process()
    keys = open_keys(screen, paths, key, given_passphrase(passphrase_file, passphrase_fd))
    if keys.signing.algorithm.name != SUITE_ALGORITHM:
        raise SuiteRefused(f"2048-AES/1 signs with {SUITE_ALGORITHM}; {keys.kid} is another key")
    recipients = {}
    for who in to or ["self"]:
        found = keys.recipient.public if who == "self" else find_document(paths, who)[0].recipient
        if found is None:
            raise UsageError(
                f"nothing can be sealed to {who[:80]!r}: its document holds no such keys"
            )
        recipients[found.kid] = found
    with (
        reading(file) as source,
        writing(target, force=force) as sink,
        screen.progress(f"seal {printable(file.name)}", size_of(source), "bytes") as progress,
    ):
        passed = sealedfile.seal_stream(
            source,
            sink,
            sender=keys.signing,
            recipients=list(recipients.values()),
            dek=os.urandom(32),
            at_s=SYSTEM_CLOCK.unix_us() // 1_000_000,
            progress=progress.update,
        )
    report = SealReport(
        file=str(file),
        sealed_file=str(target),
        sender=keys.kid,
        recipients=passed.header.recipients,
        plain_bytes=passed.plain_bytes or 0,
        sealed_bytes=passed.sealed_bytes,
    )
    if target != STDIO:
        screen.show(report, lines)
    return Exit.OK
