"""Signed notes (C2SP signed-note) and the keys that sign ours.

A note is a text, a blank line, and a line per signature::

    — <key name> base64(key id || signature)

key id = first 4 bytes of SHA-256(name || 0A || type || public key). Types here:

========================================  =============================================
01                                        Ed25519 over the text
06                                        ML-DSA-44 cosignature (C2SP tlog-cosignature)
FF `dunes-mcp/ml-dsa-65/1`                ML-DSA-65 over the text, our context
FF `dunes-mcp/ml-dsa-65-cosignature/1`    as 06, with ML-DSA-65 and our context
========================================  =============================================

FF is where C2SP puts types that it did not assign; a longer name follows.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dunes.crypto.errors import BadSignature
from dunes.mu.errors import BadNote, Signer, Verifier

TYPE_ED25519 = b"\x01"
TYPE_MLDSA44_COSIGNATURE = b"\x06"
TYPE_MLDSA65 = b"\xffdunes-mcp/ml-dsa-65/1"
TYPE_MLDSA65_COSIGNATURE = b"\xffdunes-mcp/ml-dsa-65-cosignature/1"
CONTEXT_CHECKPOINT = b"dunes/2048-aes/v1/checkpoint"
CONTEXT_COSIGNATURE = b"dunes/2048-aes/v1/cosignature"
KEY_ID_BYTES = 4
SIGNATURES_MAX = 32
NOTE_MAX_BYTES = 256 * 1024
DASH = "\u2014 "
NAME_PREFIX = "dunes/"
"""Our key names and log origins are `dunes/` and a key id."""


def name_of(kid: str) -> str:
    """Give the key name (and log origin) that belongs to a key id."""
    return NAME_PREFIX + kid


def kid_of_name(name: str) -> str | None:
    """Give the key id in one of our key names; None for a name of another kind."""
    return name.removeprefix(NAME_PREFIX) if name.startswith(NAME_PREFIX) else None


def key_id(name: str, kind: bytes, public: bytes) -> bytes:
    """Give the 4-byte id of a note key."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: the key's name.
        key_id: 4 bytes.
        signature: the rest.
    """

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note."""
        shown = base64.b64encode(self.key_id + self.signature).decode("ascii")
        return f"{DASH}{self.name} {shown}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note as read; its text means nothing before a known key has verified it.

    Attributes:
        text: up to and with its last newline.
        signatures: the lines below.
    """

    text: str
    signatures: tuple[NoteSignature, ...] = ()

    def encode(self) -> bytes:
        """Write the note."""
        return (self.text + "\n" + "".join(s.line for s in self.signatures)).encode()

    def with_signature(self, signature: NoteSignature) -> "Note":
        """Give the note with one more signature, in place of an older one by the same key."""
        mine = (signature.name, signature.key_id)
        others = tuple(s for s in self.signatures if (s.name, s.key_id) != mine)
        return Note(self.text, (*others, signature))


class NoteKey(Protocol):
    """A public key that verifies one kind of signature on notes."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def key_id(self) -> bytes:
        """Its 4-byte id."""

    def check(self, text: str, signature: bytes) -> None:
        """Return nothing if the signature is good, else raise `BadSignature`."""


@dataclass(frozen=True, slots=True)
class LogKey:
    """An ML-DSA-65 key that signs a log's checkpoints (type FF `dunes-mcp/ml-dsa-65/1`)."""

    name: str
    key: Verifier
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Compute the id."""
        object.__setattr__(self, "key_id", key_id(self.name, TYPE_MLDSA65, self.key.raw))

    def check(self, text: str, signature: bytes) -> None:
        """Verify a signature over the text."""
        self.key.verify(signature, text.encode(), CONTEXT_CHECKPOINT)


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """An Ed25519 key of somebody else's log (type 01).

    Attributes:
        name: its name.
        public: 32 bytes.
    """

    name: str
    public: bytes
    key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Compute the id."""
        object.__setattr__(self, "key_id", key_id(self.name, TYPE_ED25519, self.public))

    def check(self, text: str, signature: bytes) -> None:
        """Verify a signature over the text."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError) as e:
            raise BadSignature(f"not signed by {self.name}, or changed since") from e


def sign_note(text: str, name: str, signer: Signer, public: bytes) -> NoteSignature:
    """Sign a text with an ML-DSA-65 key.

    Args:
        text: ends in a newline.
        name: the key's name, no space and no plus.
        signer: the private key.
        public: its raw public key.
    """
    signature = signer.sign(text.encode(), CONTEXT_CHECKPOINT)
    return NoteSignature(name, key_id(name, TYPE_MLDSA65, public), signature)


def read_note(data: bytes) -> Note:
    """Read a note.

    Raises:
        BadNote: not UTF-8, control characters, no blank line, a malformed signature
            line, none or too many of them.
    """
    if len(data) > NOTE_MAX_BYTES:
        raise BadNote(f"a note of {len(data)} bytes is too long")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise BadNote("a note is UTF-8 text") from e
    if any(c < " " and c != "\n" for c in whole):
        raise BadNote("a note holds no control characters")
    text, gap, rest = whole.rpartition("\n\n")
    if not gap or not rest.endswith("\n"):
        raise BadNote("a note is a text, a blank line and signature lines")
    lines = rest.removesuffix("\n").split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise BadNote(f"a note of more than {SIGNATURES_MAX} signatures")
    return Note(text + "\n", tuple(read_signature(line) for line in lines))


def read_signature(line: str) -> NoteSignature:
    """Read one signature line, without its newline.

    Raises:
        BadNote: it is none.
    """
    name, _, shown = line.removeprefix(DASH).partition(" ")
    good = line.startswith(DASH) and name and "+" not in name and name.split() == [name]
    try:
        raw = base64.b64decode(shown, validate=True) if good else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) <= KEY_ID_BYTES:
        raise BadNote("this is no signature line of a note")
    return NoteSignature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def verify_note(note: Note, keys: Sequence[NoteKey]) -> list[NoteKey]:
    """Verify all signatures by known keys; give the keys that signed.

    Signatures by other keys are ignored, as C2SP says.

    Raises:
        BadSignature: a known key did not sign this text.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            key.check(note.text, signature.signature)
            found.append(key)
    return found
