"""`dunes keys verify FILE`, and `qiskit dunes-verify --key FILE`: is this key document good?"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from dunes.commands.keys_options import (
    Engine,
    PassphraseFd,
    PassphraseFile,
    believed_senders,
    check_engine,
    given_passphrase,
)
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit


@dataclass(frozen=True, slots=True)
class KeyCheckReport:
    """A key document that is good as far as it was checked; a bad one is an error.

    Attributes:
        file: the document.
        kid: the key's id.
        name: of its owner.
        role: what it says it is for.
        algorithm: of its signatures.
        visibility: public or private.
        status: active or verify-only.
        version: higher with each rotation.
        created_at: as written.
        not_after: as written; empty if open.
        supersedes: kids of earlier keys.
        self_signed: its own key signed the document (checked).
        endorsed_by: a trusted key that it supersedes signed it; empty if none.
        trusted: the key is believed here: our own, or in the trust store.
        opened: private keys: they open here, and belong to the public ones (checked).
        expired: `not_after` is past.
        engines: what checked the signature.
    """

    file: str
    kid: str
    name: str
    role: str
    algorithm: str
    visibility: str
    status: str
    version: int
    created_at: str
    not_after: str
    supersedes: tuple[str, ...]
    self_signed: bool
    endorsed_by: str
    trusted: bool
    opened: bool
    expired: bool
    engines: tuple[str, ...]


def lines(report: KeyCheckReport) -> Iterator[str]:
    """Tell what was checked, and what was not."""
    yield f"{printable(report.file)}: good"
    yield f"kid      {report.kid}"
    yield f"owner    {printable(report.name)} ({printable(report.role) or 'no role'})"
    yield f"key      {report.algorithm}, {report.visibility}, {report.status}"
    if report.self_signed:
        yield f"signed   by its own key, checked with {' and '.join(report.engines)}"
    else:
        yield "signed   not at all: only the key itself is bound to its kid"
    if report.endorsed_by:
        yield f"follows  {report.endorsed_by}, which is trusted here and signed it"
    yield f"trusted  {'yes' if report.trusted else 'not here'}"
    if report.visibility == "private":
        yield f"opens    {'yes, and belongs to the public keys' if report.opened else 'not tried'}"
    if report.not_after:
        yield f"ends     {printable(report.not_after)}{' (expired)' if report.expired else ''}"


def check(file: Path, secret: bytes | None, *, second_engine: bool = False) -> KeyCheckReport:
    """Check a key document.

    Raises:
        DunesError: it is not good, with its reason.
    """
    from dunes.clock import SYSTEM_CLOCK
    from dunes.crypto import identity, keyio, names
    from dunes.crypto.keyfile import read_key_document, split_signatures
    from dunes.crypto.truststore import TrustStore
    from dunes.paths import find_paths

    document = read_key_document(keyio.read_public(file))
    paths, now_us = find_paths(), SYSTEM_CLOCK.unix_us()
    opened = False
    if document.private:
        document = read_key_document(keyio.read_private(file))
        if document.lock == identity.MACHINE or secret is not None:
            identity.open_document(paths, document, secret)
            opened = True
    engines = ["cryptography"]
    if second_engine:
        from dunes.crypto.engine import Liboqs

        signed, signatures = split_signatures(document.data)
        for kid, signature in signatures[:1]:
            if kid == document.kid:
                Liboqs().verify(document.verify_key, signature, signed, names.SIGN_KEY)
        engines.append("liboqs")
    store = TrustStore.at(paths)
    follows = store.successor_of(document, now_us)
    end = document.not_after_us
    return KeyCheckReport(
        file=str(file),
        kid=document.kid,
        name=document.name,
        role=document.role,
        algorithm=document.algorithm,
        visibility="private" if document.private else "public",
        status=document.status,
        version=document.version,
        created_at=document.created_at,
        not_after=document.not_after,
        supersedes=document.supersedes,
        self_signed=document.self_signed,
        endorsed_by=follows.kid if follows else "",
        trusted=document.kid in believed_senders(paths, None, now_us),
        opened=opened,
        expired=end is not None and end <= now_us,
        engines=tuple(engines),
    )


def run(
    screen: Screen, file: Path, passphrase_file: Path | None, fd: int | None, engine: str
) -> int:
    """Check and tell: exit 1 when the key has expired."""
    second = check_engine(engine)
    report = check(file, given_passphrase(passphrase_file, fd), second_engine=second)
    screen.show(report, lines)
    return Exit.NO if report.expired else Exit.OK


@command(schema="dunes.keys-verify/1", report="dunes.commands.keys_verify:KeyCheckReport")
def verify(
    screen: Screen,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A key document.")],
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    engine: Engine = "cryptography",
) -> int:
    """Check a key document: its signature, its file, and whether it opens here."""
    return run(screen, file, passphrase_file, passphrase_fd, engine)


@command(schema="dunes.keys-verify/1", report="dunes.commands.keys_verify:KeyCheckReport")
def dunes_verify(
    screen: Screen,
    key: Annotated[
        Path, typer.Option("--key", metavar="FILE", help="The key document to check.")
    ] = Path("quantum-key.maml"),
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    engine: Engine = "cryptography",
) -> int:
    """Check a key document: its signature, its file, and whether it opens here."""
    return run(screen, key, passphrase_file, passphrase_fd, engine)
