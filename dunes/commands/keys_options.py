"""What the key commands share: where a passphrase comes from, which key, whom to believe."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen
from dunes.errors import UsageError

if TYPE_CHECKING:
    from dunes.crypto.identity import Identity
    from dunes.crypto.keyfile import KeyPair
    from dunes.crypto.signing import VerifyKey
    from dunes.paths import Paths

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Read the passphrase from the first line of a file (else $DUNES_PASSPHRASE_FILE, "
        "a systemd credential, $DUNES_PASSPHRASE).",
    ),
]
PassphraseFd = Annotated[
    int | None,
    typer.Option(
        "--passphrase-fd", metavar="N", help="Read the passphrase from a file descriptor."
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", help="Private key document; default: this place's identity."
    ),
]
Signer = Annotated[
    list[Path] | None,
    typer.Option(
        "--signer",
        metavar="FILE",
        help="Believe this public key document too, besides the trust store; repeatable.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="cryptography|liboqs",
        help="liboqs: let the second engine check as well, where it is installed.",
    ),
]


def given_passphrase(file: Path | None, descriptor: int | None) -> bytes | None:
    """Read the passphrase that the options or the environment name; None if they name none."""
    from dunes.crypto import passphrase

    if file is not None and descriptor is not None:
        raise UsageError("--passphrase-file and --passphrase-fd exclude each other")
    if file is not None:
        return passphrase.from_file(file)
    if descriptor is not None:
        return passphrase.from_descriptor(descriptor)
    return passphrase.from_environment()


def new_passphrase(
    screen: Screen, file: Path | None, descriptor: int | None, *, machine: bool
) -> bytes | None:
    """Find the passphrase for a new key; None binds it to this machine, and says so.

    Raises:
        UsageError: the two typed passphrases differ.
    """
    from dunes.crypto import passphrase

    if machine:
        return None
    found = given_passphrase(file, descriptor)
    if found is None and screen.may_ask:
        typed = typer.prompt(
            "Passphrase (empty: bind the key to this machine)",
            default="",
            hide_input=True,
            show_default=False,
            err=True,
        )
        if typed:
            if typed != typer.prompt("Once more", hide_input=True, err=True):
                raise UsageError("the two passphrases differ")
            found = passphrase.clean(typed.encode("utf-8"))
    if found is None:
        screen.note(
            "no passphrase: the key opens by itself on this machine (machine.key and "
            "/etc/machine-id); whoever can read both has it"
        )
    elif len(found) < passphrase.SHORT_CHARACTERS:
        screen.warn(
            f"the passphrase has {len(found)} characters; over {passphrase.SHORT_CHARACTERS} "
            "are hard to guess"
        )
    return found


def ask_passphrase(screen: Screen, found: bytes | None) -> bytes | None:
    """Ask for the passphrase of a key that is there, if a person can be asked."""
    if found is not None or not screen.may_ask:
        return found
    typed: str = typer.prompt("Passphrase", hide_input=True, err=True)
    return typed.encode("utf-8")


def open_identity(screen: Screen, paths: "Paths", secret: bytes | None) -> "Identity":
    """Open this place's identity, asking for its passphrase if a person can be asked."""
    from dunes.crypto.errors import WrongPassphrase
    from dunes.crypto.identity import load_identity

    try:
        return load_identity(paths, secret)
    except WrongPassphrase:
        typed = None if secret is not None else ask_passphrase(screen, None)
        if typed is None:
            raise
        return load_identity(paths, typed)


def open_keys(
    screen: Screen, paths: "Paths", key: Path | None, secret: bytes | None
) -> "KeyPair | Identity":
    """Open the private key that was named, or this place's identity."""
    from dunes.crypto import identity
    from dunes.crypto.errors import WrongPassphrase

    if key is None:
        return open_identity(screen, paths, secret)
    try:
        return identity.open_document(paths, identity.load_document(key), secret)
    except WrongPassphrase:
        typed = None if secret is not None else ask_passphrase(screen, None)
        if typed is None:
            raise
        return identity.open_document(paths, identity.load_document(key), typed)


def believed_senders(
    paths: "Paths", signers: list[Path] | None, now_us: int
) -> "Mapping[str, VerifyKey]":
    """Give the keys that are believed: trusted ones, our own, and those named by `--signer`."""
    from dunes.crypto import keyio
    from dunes.crypto.identity import public_documents
    from dunes.crypto.keyfile import read_key_document
    from dunes.crypto.truststore import TrustStore

    found = dict(TrustStore.at(paths).senders(now_us))
    found |= {document.kid: document.verify_key for document in public_documents(paths)}
    for path in signers or ():
        document = read_key_document(keyio.read_public(path))
        found[document.kid] = document.verify_key
    return found


def check_engine(engine: str) -> bool:
    """Tell whether the second engine was asked for.

    Raises:
        UsageError: an engine that does not exist.
    """
    if engine not in {"cryptography", "liboqs"}:
        raise UsageError(f"no engine {engine[:40]!r}", hint="--engine liboqs")
    return engine == "liboqs"
