"""Checkpoints of a log (C2SP tlog-checkpoint), and countersigning them.

A checkpoint is a note of three lines: origin, size, base64 of the root. Whoever
countersigns one says: this log only grew since I last looked. The ground station
does so in sync, and keeps the checkpoint it signed last.
"""

import base64
import binascii
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dunes.crypto.errors import BadSignature
from dunes.crypto.merkle import HASH_BYTES
from dunes.mu.errors import BadNote, NotTheSame, Signer, Verifier
from dunes.mu.note import (
    CONTEXT_COSIGNATURE,
    TYPE_MLDSA44_COSIGNATURE,
    TYPE_MLDSA65_COSIGNATURE,
    LogKey,
    Note,
    NoteKey,
    NoteSignature,
    key_id,
    kid_of_name,
    name_of,
    read_note,
    sign_note,
    verify_note,
)
from dunes.mu.tree import is_consistent

SIZE_DIGITS_MAX = 19
ORIGIN_MAX_BYTES = 255
LABEL = b"subtree/v1\n\x00"
TIME_BYTES = 8
MLDSA44_PUBLIC_BYTES = 1312


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log at one size.

    Attributes:
        origin: the log's name.
        size: number of entries.
        root: 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


def read_checkpoint(text: str) -> Checkpoint:
    """Read a note's text as a checkpoint; lines beyond the third are ignored.

    Raises:
        BadNote: it is none.
    """
    lines = text.split("\n")
    least = 4  # three lines and what follows the last newline
    if len(lines) < least or lines[-1] or not all(lines[:-1]):
        raise BadNote("a checkpoint has three lines: origin, size, root")
    origin, size, shown = lines[:3]
    if (
        not (size.isascii() and size.isdigit())
        or str(int(size[:SIZE_DIGITS_MAX])) != size
        or len(origin.encode()) > ORIGIN_MAX_BYTES
    ):
        raise BadNote("a checkpoint's second line is the size of the log")
    try:
        root = base64.b64decode(shown, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != HASH_BYTES:
        raise BadNote("a checkpoint's third line is a hash in base64")
    return Checkpoint(origin, int(size), root)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer, public: bytes) -> Note:
    """Sign a log's state with an ML-DSA-65 key.

    Args:
        checkpoint: the state.
        signer: the log's key.
        public: its raw public key.
    """
    line = sign_note(checkpoint.text, name_of(signer.kid), signer, public)
    return Note(checkpoint.text, (line,))


def cosigned_message(cosigner: str, unix_s: int, checkpoint: Checkpoint) -> bytes:
    """Write what a cosigner signs (C2SP tlog-cosignature, `cosigned_message`)."""
    name, origin = cosigner.encode(), checkpoint.origin.encode()
    return (
        LABEL
        + bytes([len(name)])
        + name
        + struct.pack(">Q", unix_s)
        + bytes([len(origin)])
        + origin
        + struct.pack(">QQ", 0, checkpoint.size)
        + checkpoint.root
    )


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A key that countersigns checkpoints: ML-DSA-65 (ours), or ML-DSA-44 (C2SP type 06)."""

    name: str
    key: Verifier
    key_id: bytes = field(init=False)
    context: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Compute id and context from the parameter set."""
        kind, context = cosignature_kind(self.key.raw)
        object.__setattr__(self, "key_id", key_id(self.name, kind, self.key.raw))
        object.__setattr__(self, "context", context)

    def check(self, text: str, signature: bytes) -> None:
        """Verify a cosignature over the checkpoint in a note's text."""
        if len(signature) <= TIME_BYTES:
            raise BadSignature(f"the cosignature of {self.name} is cut")
        (unix_s,) = struct.unpack(">Q", signature[:TIME_BYTES])
        message = cosigned_message(self.name, unix_s, read_checkpoint(text))
        self.key.verify(signature[TIME_BYTES:], message, self.context)


def cosignature_kind(public: bytes) -> tuple[bytes, bytes]:
    """Give (signature type, ML-DSA context) for a raw public key."""
    if len(public) == MLDSA44_PUBLIC_BYTES:
        return TYPE_MLDSA44_COSIGNATURE, b""
    return TYPE_MLDSA65_COSIGNATURE, CONTEXT_COSIGNATURE


def cosign(
    note: bytes,
    signer: Signer,
    public: bytes,
    *,
    log_key: NoteKey,
    unix_s: int,
    previous: Checkpoint | None = None,
    proof: Sequence[bytes] = (),
) -> NoteSignature:
    """Countersign a checkpoint, after making sure that the log only grew.

    Args:
        note: the signed checkpoint, as the log sent it.
        signer: the cosigner's key (ML-DSA-65, or ML-DSA-44 for C2SP's own type).
        public: its raw public key.
        log_key: the log's key, believed by the cosigner.
        unix_s: the time, POSIX seconds; 0 makes no claim about it.
        previous: the checkpoint that was countersigned last for this log; None if none.
        proof: consistency proof from `previous` to this one.

    Returns:
        The signature line to send back. Store the checkpoint as `previous` first.

    Raises:
        BadNote: not a checkpoint.
        BadSignature: not signed by the log's key.
        NotTheSame: smaller than, or contradicting, what was countersigned before.
    """
    found = read_note(note)
    if not verify_note(found, [log_key]):
        raise BadSignature(f"the checkpoint is not signed by {log_key.name}")
    checkpoint = read_checkpoint(found.text)
    if previous is not None:
        check_grown(previous, checkpoint, proof)
    kind, context = cosignature_kind(public)
    name = name_of(signer.kid)
    signature = signer.sign(cosigned_message(name, unix_s, checkpoint), context)
    body = struct.pack(">Q", unix_s) + signature
    return NoteSignature(name, key_id(name, kind, public), body)


def check_grown(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """Make sure that one state of a log is the start of another.

    Raises:
        NotTheSame: another log, smaller, or entries were changed or removed.
    """
    if old.origin != new.origin:
        raise NotTheSame(f"a checkpoint of log {new.origin}, where {old.origin} was expected")
    if new.size < old.size:
        raise NotTheSame(
            f"log {new.origin} has {new.size} entries, and had {old.size} before",
            code="log-shrunk",
        )
    if not is_consistent(old.size, new.size, proof, old.root, new.root):
        raise NotTheSame(
            f"log {new.origin}: the first {old.size} of its {new.size} entries are not "
            "those that were there before"
        )


def cosigners_of(note: Note, find: Callable[[str], Verifier | None]) -> tuple[str, ...]:
    """Give the key ids of known cosigners of a checkpoint.

    Args:
        note: the checkpoint.
        find: gives the key of a key id, None if it is not known.

    Raises:
        BadSignature: a known key did not sign this.
    """
    return tuple(
        k.key.kid for k in verify_note(note, _known(note, find)) if isinstance(k, CosignerKey)
    )


def log_signers_of(note: Note, find: Callable[[str], Verifier | None]) -> tuple[str, ...]:
    """Give the key ids of known keys that signed a checkpoint as the log's own.

    Raises:
        BadSignature: a known key did not sign this.
    """
    return tuple(k.key.kid for k in verify_note(note, _known(note, find)) if isinstance(k, LogKey))


def _known(note: Note, find: Callable[[str], Verifier | None]) -> list[NoteKey]:
    keys: list[NoteKey] = []
    for name in {s.name for s in note.signatures}:
        kid = kid_of_name(name)
        key = find(kid) if kid is not None else None
        if key is not None:
            keys += [LogKey(name, key), CosignerKey(name, key)]
    return keys
