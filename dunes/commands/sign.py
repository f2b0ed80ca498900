"""`dunes sign FILE`: a signature beside a file."""

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
from dunes.commands.seal_files import SIGNATURE_SUFFIX, STDIO, reading, size_of
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit


@dataclass(frozen=True, slots=True)
class SignReport:
    """A signature.

    Attributes:
        file: what was signed.
        signature_file: where the signature is; `-` for stdout.
        kid: of who signed.
        algorithm: e.g. ML-DSA-65.
        context: what the signature is for; it verifies in no other.
    """

    file: str
    signature_file: str
    kid: str
    algorithm: str
    context: str


def lines(report: SignReport) -> Iterator[str]:
    """Tell where the signature is."""
    yield f"signed {printable(report.file)} as {report.kid} ({report.algorithm})"
    yield f"wrote  {printable(report.signature_file)}"


@command(schema="dunes.sign/1", report="dunes.commands.sign:SignReport")
def sign(
    screen: Screen,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to sign; `-` is stdin.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to; default: FILE.sig; `-` is stdout."
        ),
    ] = None,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    force: Force = False,
) -> int:
    """Sign a file of any size; the signature goes beside it."""
    from dunes.crypto import detached, keyio, names
    from dunes.crypto.hardening import harden_process
    from dunes.paths import find_paths

    target = output or (STDIO if file == STDIO else file.with_name(file.name + SIGNATURE_SUFFIX))
    harden_process()
    keys = open_keys(screen, find_paths(), key, given_passphrase(passphrase_file, passphrase_fd))
    with (
        reading(file) as source,
        screen.progress(f"sign {printable(file.name)}", size_of(source), "bytes") as progress,
    ):
        made = detached.sign_stream(source, keys.signing, progress.update)
    report = SignReport(
        file=str(file),
        signature_file=str(target),
        kid=keys.kid,
        algorithm=keys.signing.algorithm.name,
        context=names.SIGN_DETACHED.decode("ascii"),
    )
    if target == STDIO:
        screen.stdout.write(made.decode("ascii"))
        return Exit.OK
    write = keyio.write_over if force else keyio.write_new
    write(target, made, mode=keyio.PUBLIC_MODE)
    screen.show(report, lines)
    return Exit.OK
