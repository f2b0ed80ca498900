"""Proofs that travel (C2SP tlog-proof): one entry's place in a signed checkpoint.

With the entry, the proof and the keys of log and cosigner nothing else is needed:
no access to the log, no network.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from dunes.crypto.errors import BadSignature
from dunes.crypto.merkle import HASH_BYTES, is_included, leaf_hash
from dunes.mu.checkpoint import Checkpoint, cosigners_of, log_signers_of, read_checkpoint
from dunes.mu.dsse import Envelope
from dunes.mu.errors import BadNote, NotTheSame
from dunes.mu.note import Note, read_note
from dunes.mu.statement import Statement
from dunes.mu.verdict import Find, LogEvidence

HEADER = "c2sp.org/tlog-proof@v1"
HASHES_MAX = 63
PROOF_MAX_BYTES = 300 * 1024
INDEX_DIGITS_MAX = 19


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof as read; nothing is verified yet.

    Attributes:
        index: of the entry.
        hashes: siblings from the leaf to the root.
        note: the checkpoint.
        checkpoint: what the note says.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint

    def covers(self, entry: bytes) -> bool:
        """Tell whether the checkpoint's tree holds the entry at the index."""
        c = self.checkpoint
        return is_included(leaf_hash(entry), self.index, c.size, self.hashes, c.root)


def encode_proof(index: int, hashes: Sequence[bytes], note: bytes) -> bytes:
    """Write a proof."""
    rows = [HEADER, f"index {index}", *(base64.b64encode(h).decode("ascii") for h in hashes)]
    return "\n".join([*rows, "", ""]).encode() + note


def read_proof(data: bytes) -> Proof:
    """Read a proof; extra data, which nobody signs, is ignored.

    Raises:
        BadNote: not a proof.
    """
    if len(data) > PROOF_MAX_BYTES:
        raise BadNote(f"a proof of {len(data)} bytes is too long", code="bad-proof")
    head, gap, rest = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        lines = []
    if not gap or lines[:1] != [HEADER]:
        raise BadNote(f"this does not begin with {HEADER}", code="bad-proof")
    rows = lines[2:] if lines[1:2] and lines[1].startswith("extra ") else lines[1:]
    index = rows[0].removeprefix("index ") if rows else ""
    canonical = index.isdigit() and str(int(index[:INDEX_DIGITS_MAX])) == index
    if not canonical or not rows[0].startswith("index ") or len(rows) > HASHES_MAX + 1:
        raise BadNote("a proof names the index of its entry", code="bad-proof")
    try:
        hashes = tuple(base64.b64decode(row, validate=True) for row in rows[1:])
    except binascii.Error as e:
        raise BadNote("a line of the proof is not base64", code="bad-proof") from e
    if any(len(h) != HASH_BYTES for h in hashes):
        raise BadNote("a line of the proof is not a hash", code="bad-proof")
    note = read_note(rest)
    return Proof(int(index), hashes, note, read_checkpoint(note.text))


def evidence_of(proof: Proof, envelope: Envelope, statement: Statement, find: Find) -> LogEvidence:
    """Say what a proof shows about an envelope.

    Raises:
        NotTheSame: the proof contradicts the receipt's own index, or is of another log,
            or its checkpoint is not signed by a known key.
    """
    origin = proof.checkpoint.origin
    if statement.log_index is not None and statement.log_index != proof.index:
        raise NotTheSame(f"the receipt names index {statement.log_index}, the proof {proof.index}")
    if statement.log_origin is not None and statement.log_origin != origin:
        raise NotTheSame("the proof is of another log than the receipt's")
    try:
        signers = log_signers_of(proof.note, find)
        cosigners = cosigners_of(proof.note, find)
    except BadSignature as e:
        raise NotTheSame(f"the proof's checkpoint: {e.message}", code=e.code) from e
    if not signers:
        raise NotTheSame(
            "the proof's checkpoint is not signed by a known key", code="untrusted-checkpoint"
        )
    if not proof.covers(envelope.raw):
        return LogEvidence(origin, None, message="the proof does not lead to its checkpoint")
    others = tuple(kid for kid in cosigners if kid not in signers)
    return LogEvidence(origin, proof.index, others)
