"""The other side of countersigning: what a ground station does with checkpoints.

A gateway sends a C2SP tlog-witness `add-checkpoint` request::

    old <size of the checkpoint that was countersigned last, 0 if none>
    <base64 hash of the consistency proof> …

    <the new checkpoint, a signed note>

and gets a signature line back, or the size that the witness really has. Per log the
witness keeps the last checkpoint it countersigned, and never signs two that differ.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dunes.crypto.errors import BadSignature
from dunes.crypto.merkle import HASH_BYTES
from dunes.errors import DunesError
from dunes.filelock import locked
from dunes.mu.checkpoint import Checkpoint, check_grown, cosign, read_checkpoint
from dunes.mu.errors import BadNote, Signer
from dunes.mu.note import LogKey, kid_of_name, read_note, verify_note
from dunes.mu.verdict import Find
from dunes.paths import write_atomic

REQUEST_MAX_BYTES = 300 * 1024
HASHES_MAX = 126
"""A consistency proof has at most two hashes per level (RFC 9162, 2.1.4.1)."""
SIZE_DIGITS_MAX = 19


class OldSize(DunesError):
    """The sender believes in another last checkpoint than the witness has; ask again.

    Args:
        size: the size that the witness countersigned last; 0 if none.
    """

    code = "old-size"

    def __init__(self, size: int) -> None:
        super().__init__(f"the witness has countersigned {size} entries of this log")
        self.size = size


@dataclass(frozen=True, slots=True)
class Request:
    """A request to countersign.

    Attributes:
        old: size of the checkpoint that was countersigned last.
        proof: consistency proof from there.
        note: the new checkpoint, a signed note.
    """

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def encode_request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Write a request."""
    rows = [f"old {old}", *(base64.b64encode(h).decode("ascii") for h in proof)]
    return "\n".join([*rows, "", ""]).encode() + note


def read_request(data: bytes) -> Request:
    """Read a request.

    Raises:
        BadNote: it is none.
    """
    head, gap, note = data.partition(b"\n\n")
    try:
        first, *rows = head.decode("ascii").split("\n")
        size = first.removeprefix("old ")
        hashes = tuple(base64.b64decode(row, validate=True) for row in rows)
    except (UnicodeDecodeError, binascii.Error) as e:
        raise BadNote("this is no request to countersign", code="bad-request") from e
    good = (
        len(data) <= REQUEST_MAX_BYTES
        and gap
        and first.startswith("old ")
        and size.isdigit()
        and str(int(size[:SIZE_DIGITS_MAX])) == size
        and len(hashes) <= HASHES_MAX
        and all(len(h) == HASH_BYTES for h in hashes)
    )
    if not good:
        raise BadNote("this is no request to countersign", code="bad-request")
    return Request(int(size), hashes, note)


class Witness:
    """Countersigns checkpoints and remembers the last one of each log.

    Args:
        directory: one file per log; made when the first is countersigned.
        signer: the witness's key.
        public: its raw public key.
    """

    def __init__(self, directory: Path, signer: Signer, public: bytes) -> None:
        self.directory = directory
        self._signer = signer
        self._public = public

    def last(self, origin: str) -> Checkpoint | None:
        """Give the checkpoint of a log that was countersigned last; None if none was."""
        try:
            return read_checkpoint(read_note(self._path(origin).read_bytes()).text)
        except FileNotFoundError:
            return None

    def answer(self, data: bytes, find: Find, unix_s: int) -> bytes:
        """Countersign what a request asks for, and give the signature line.

        Args:
            data: the request.
            find: gives the key of a gateway that may ask, None for others.
            unix_s: the time, POSIX seconds.

        Raises:
            BadNote: not a request.
            BadSignature: the checkpoint is not signed by a known gateway.
            OldSize: the sender must start from another size.
            NotTheSame: the log shrank or was rewritten since.
        """
        request = read_request(data)
        note = read_note(request.note)
        kids = filter(None, (kid_of_name(s.name) for s in note.signatures))
        keys = [LogKey(f"dunes/{kid}", key) for kid in kids if (key := find(kid)) is not None]
        signed_by = verify_note(note, keys)
        if not signed_by:
            raise BadSignature("the checkpoint is not signed by a gateway that is known here")
        checkpoint = read_checkpoint(note.text)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.directory / "lock"):
            previous = self.last(checkpoint.origin)
            has = previous.size if previous is not None else 0
            if request.old != has:
                raise OldSize(has)
            if previous is not None:
                check_grown(previous, checkpoint, request.proof)
            # remembered before it is signed: a crash in between costs a repeat, not the truth
            write_atomic(self._path(checkpoint.origin), request.note)
        line = cosign(
            request.note,
            self._signer,
            self._public,
            log_key=signed_by[0],
            unix_s=unix_s,
            previous=previous,
            proof=request.proof,
        )
        return line.line.encode()

    def _path(self, origin: str) -> Path:
        return self.directory / hashlib.sha256(origin.encode()).hexdigest()[:32]
