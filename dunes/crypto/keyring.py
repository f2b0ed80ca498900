"""Find a key by what a person calls it: its kid, the first digits of it, a name, a file."""

from pathlib import Path

from dunes.crypto import identity, keyio
from dunes.crypto.errors import NoIdentity, UnknownKey
from dunes.crypto.keyfile import KeyDocument, read_key_document
from dunes.crypto.signing import KID_DIGITS
from dunes.crypto.truststore import TrustStore
from dunes.errors import NotFound, UsageError
from dunes.paths import Paths

PREFIX_MIN = 8
"""So many digits of a kid name it, if no other begins so."""


def own_document(paths: Paths) -> KeyDocument:
    """Read this place's public document.

    Raises:
        NoIdentity: it has none.
    """
    try:
        private = identity.load_document(identity.identity_path(paths))
        return read_key_document(keyio.read_public(identity.public_path(paths, private.kid)))
    except NotFound as e:
        raise NoIdentity("this place has no identity key yet", hint="dunes keygen") from e


def find_document(paths: Paths, text: str) -> tuple[KeyDocument, str]:
    """Find a public document, and say what it is: identity, own, trusted or file.

    Args:
        paths: where the keys are.
        text: empty or `self` for the identity; a kid or its first 8 digits or more; the
            name of a trusted key's owner; the path of a document.

    Raises:
        UnknownKey: nothing is called so.
        UsageError: several are.
    """
    if text in {"", "self"}:
        return own_document(paths), "identity"
    path = Path(text)
    if "/" in text or text.endswith(".maml") or path.is_file():
        return read_key_document(keyio.read_public(path)), "file"
    found: dict[str, tuple[KeyDocument, str]] = {}
    for document in identity.public_documents(paths):
        if _called(document, text):
            found[document.kid] = document, "own"
    for entry in TrustStore.at(paths):
        if _called(entry.document, text) and not entry.revoked:
            found.setdefault(entry.kid, (entry.document, "trusted"))
    active = {kid: each for kid, each in found.items() if each[0].status == "active"}
    found = active or found
    if len(found) > 1:
        raise UsageError(
            f"{text[:80]!r} may be {', '.join(sorted(found))}", hint="give more digits of the kid"
        )
    if not found:
        raise UnknownKey(
            f"no key {text[:80]!r} here: neither ours nor trusted, and no such file",
            hint="dunes keys list",
        )
    return next(iter(found.values()))


def _called(document: KeyDocument, text: str) -> bool:
    """Tell whether a person who types `text` may mean this key."""
    if document.name == text:
        return True
    return PREFIX_MIN <= len(text) <= KID_DIGITS and document.kid.startswith(text.lower())
