"""`dunes keys rotate`: a new key for this place."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.keys_options import PassphraseFd, PassphraseFile, given_passphrase
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.crypto.keyfile import KeyPair
    from dunes.crypto.keywriter import Description
    from dunes.paths import Paths


@dataclass(frozen=True, slots=True)
class RotateReport:
    """A rotation that was done, or would be.

    Attributes:
        old: kid of the key until now; it verifies and opens on, and signs no more.
        new: kid of the key from now on; empty under `--dry-run`.
        old_until: when others stop believing the old key, RFC 3339.
        public_file: the new public document, to give to those who trust the old one.
        lock: how the private keys are locked.
        written: false under `--dry-run`.
    """

    old: str
    new: str
    old_until: str
    public_file: str
    lock: str
    written: bool


def lines(report: RotateReport) -> Iterator[str]:
    """Tell what changed and what to do next."""
    if not report.written:
        yield f"would replace key {report.old}; it would verify until {report.old_until}"
        return
    yield f"old key  {report.old}, verifies until {report.old_until}, opens what it was sealed"
    yield f"new key  {report.new}, signed by the old one; locked by {report.lock}"
    yield f"public   {printable(report.public_file)} (give it to those who trust the old key)"


@command(schema="dunes.keys-rotate/1", report="dunes.commands.keys_rotate:RotateReport")
def rotate(
    screen: Screen,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FILE", help="Use this private key document; default: a new key."
        ),
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            "--keep", metavar="DURATION", help="How long others go on believing the old key."
        ),
    ] = "90d",
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
) -> int:
    """Replace this place's key; what was sealed to the old one still opens."""
    from dunes.clock import SYSTEM_CLOCK, rfc3339
    from dunes.crypto import identity
    from dunes.crypto import rotation as library
    from dunes.crypto.errors import NoIdentity
    from dunes.crypto.hardening import harden_process
    from dunes.crypto.keyfile import read_key_document
    from dunes.errors import NotFound
    from dunes.paths import find_paths
    from dunes.units import duration_s

    paths, now_us = find_paths(), SYSTEM_CLOCK.unix_us()
    keep_us = round(duration_s(keep) * 1e6)
    try:
        current = identity.load_document(identity.identity_path(paths))
    except NotFound as e:
        raise NoIdentity("this place has no key to rotate", hint="dunes keygen") from e
    until = rfc3339((now_us + keep_us) // 1_000_000 * 1_000_000)
    if dry_run:
        screen.show(RotateReport(current.kid, "", until, "", current.lock, written=False), lines)
        return Exit.OK
    harden_process()
    secret = given_passphrase(passphrase_file, passphrase_fd)
    pair, about = (
        fresh_keys(current.name, current.role, now_us)
        if to is None
        else keys_of(paths, to, secret)
    )
    if pair.kid == current.kid:
        raise UsageError(f"{to} holds the key that is in use already", hint="dunes keys rotate")
    keep_name(current.kid)
    new_secret = secret if current.lock == identity.PASSPHRASE else None
    public = library.rotate(
        paths, pair, about, now_us=now_us, secret=secret, new_secret=new_secret, keep_us=keep_us
    )
    document = read_key_document(public)
    screen.show(
        RotateReport(
            old=current.kid,
            new=document.kid,
            old_until=until,
            public_file=str(identity.public_path(paths, document.kid)),
            lock=current.lock,
            written=True,
        ),
        lines,
    )
    return Exit.OK


def keep_name(kid: str) -> None:
    """Write a gateway's name down if it comes from its key: it names its streams, too."""
    from dunes.settings import load, write_profile
    from dunes.uplink.target import gateway_name

    settings = load()
    if not settings["gateway.id"]:
        write_profile(settings, {"gateway.id": gateway_name(settings, kid)})


def fresh_keys(name: str, role: str, now_us: int) -> "tuple[KeyPair, Description]":
    """Make new keys from the operating system's generator."""
    from dunes.crypto.keygen import Wanted, make
    from dunes.crypto.keywriter import Description

    made = make(Wanted(name, role, requested="dilithium"))
    return made.keys, Description(role, "dilithium", now_us, made.account.as_document())


def keys_of(paths: "Paths", path: Path, secret: bytes | None) -> "tuple[KeyPair, Description]":
    """Open the keys of a private document that `dunes keygen` made."""
    from dunes.crypto import identity
    from dunes.crypto.keywriter import Description

    document = identity.load_document(path)
    return identity.open_document(paths, document, secret), Description.of(document)
