"""Public keys out of files: PEM, or a key document of `dunes keygen`."""

from pathlib import Path
from typing import NamedTuple

from dunes.crypto import keyio
from dunes.crypto.errors import BadKeyFile
from dunes.crypto.keyfile import read_key_document
from dunes.crypto.signing import VerifyKey


class PublicKey(NamedTuple):
    """A key, and the document that it came in."""

    key: VerifyKey
    document: bytes
    """Empty for a PEM file, which says nothing of whom to seal to."""


def read_public_key(path: Path) -> PublicKey:
    """Read a public signing key.

    Raises:
        NotFound: no such file.
        BadKeyFile: no public key, or a private one.
    """
    content = keyio.read_public(path)
    if content.lstrip().startswith(b"-----BEGIN"):
        return PublicKey(VerifyKey.from_spki(content), b"")
    document = read_key_document(content)
    if document.private:
        raise BadKeyFile(
            f"{path} is a private key document; it does not leave its place",
            hint="dunes keys export --output NAME.pub.maml",
        )
    return PublicKey(document.verify_key, content)
