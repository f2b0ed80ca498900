"""`dunes keys export`: the public document for others, or a private copy for a safe."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dunes.commands.keys_options import (
    Force,
    PassphraseFd,
    PassphraseFile,
    given_passphrase,
    new_passphrase,
)
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written.

    Attributes:
        kid: whose key.
        visibility: public or private.
        file: where it was written; `-` for stdout.
        lock: of a private copy: passphrase.
        document: a public document that was asked for on stdout; else empty.
    """

    kid: str
    visibility: str
    file: str
    lock: str
    document: str


def lines(report: ExportReport) -> Iterator[str]:
    """Give the document itself, or tell where it is."""
    if report.document:
        yield report.document.rstrip("\n")
    else:
        yield f"wrote {report.visibility} key {report.kid} to {printable(report.file)}"


@command(schema="dunes.keys-export/1", report="dunes.commands.keys_export:ExportReport")
def export(
    screen: Screen,
    key: Annotated[
        str, typer.Argument(metavar="KID", help="Which public key; default: this place's.")
    ] = "",
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; `-` is stdout."),
    ] = Path("-"),
    private: Annotated[
        bool,
        typer.Option(
            "--private",
            help="Write this place's private keys under a passphrase, to restore elsewhere.",
        ),
    ] = False,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    force: Force = False,
) -> int:
    """Write the public key document, or with --private a copy under a passphrase."""
    from dunes.crypto import keyio
    from dunes.crypto.keyring import find_document
    from dunes.paths import find_paths

    paths = find_paths()
    write = keyio.write_over if force else keyio.write_new
    if not private:
        document, _ = find_document(paths, key)
        if document.private:
            raise UsageError("this is a private document; name a kid", hint="dunes keys list")
        text = document.data.decode("utf-8")
        if output != Path("-"):
            write(output, document.data, mode=keyio.PUBLIC_MODE)
            text = ""
        screen.show(ExportReport(document.kid, "public", str(output), "", text), lines)
        return Exit.OK
    if key or output == Path("-"):
        raise UsageError(
            "--private writes this place's own keys into a file",
            hint="dunes keys export --private --output backup.maml",
        )
    kid = copy_private(screen, output, passphrase_file, passphrase_fd, force=force)
    screen.show(ExportReport(kid, "private", str(output), "passphrase", ""), lines)
    return Exit.OK


def copy_private(
    screen: Screen, output: Path, file: Path | None, descriptor: int | None, *, force: bool
) -> str:
    """Write this place's private document again, under a passphrase; gives its kid."""
    import os

    from dunes.crypto import identity, keyio
    from dunes.crypto.hardening import harden_process
    from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
    from dunes.paths import find_paths

    paths = find_paths()
    harden_process()
    document = identity.load_document(identity.identity_path(paths))
    secret = given_passphrase(file, descriptor)
    pair = identity.open_document(paths, document, secret)
    if secret is None:
        secret = new_passphrase(screen, None, None, machine=False)
    if secret is None:
        raise UsageError(
            "a private copy is locked with a passphrase, and none was given",
            hint="--passphrase-file FILE",
        )
    lock, kind = identity.make_lock(paths, secret)
    copy = write_key_document(
        pair, Description.of(document), os.urandom(RANDOM_BYTES), lock=lock, lock_kind=kind
    )
    (keyio.write_over if force else keyio.write_new)(output, copy)
    return pair.kid
