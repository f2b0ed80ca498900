"""Frames: hundreds of readings of one lane, packed, sealed and chained. Pure.

A frame is a header (`dunes.buffer.frameheader`) and a body (`dunes.buffer.payload`).
`frame_hash` is SHA-256(header ‖ body). A frame is encoded, compressed, sealed, then
hashed, so the chain is checked without any key. `prev_hash` inside the header lets
frames arrive in any order.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from dunes.buffer.frameheader import (
    BODY_MAX_BYTES,
    HEADER_BYTES,
    NO_SALT,
    NOT_SEALED,
    SALT_BYTES,
    BadFrame,
    FrameReason,
    Header,
    parse_header,
)
from dunes.buffer.payload import Batch, parse_readings, unfold
from dunes.errors import LocalError
from dunes.model import Reading


class Sealer(Protocol):
    """Seals bodies; `dunes.crypto.framekeys.FrameSealer` is one."""

    key_id: bytes
    """8 bytes, not all zero."""
    key_record: bytes
    """What openers need to know of the key; stored and sent before the first frame."""

    def seal(self, plaintext: bytes, header_aad: bytes, salt: bytes, /) -> bytes:
        """Seal one body under 16 fresh random bytes; 16 bytes longer than the plaintext."""
        ...


class Opener(Protocol):
    """Opens bodies; `dunes.crypto.framekeys.FrameOpener` is one."""

    def open(self, key_id: bytes, salt: bytes, body: bytes, aad: bytes, /) -> bytes:
        """Open one body. Raises a DunesError if it cannot."""
        ...


SEAL_BYTES = 16
"""What sealing adds to a body."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: its header read and as bytes, its body, and the hash of both."""

    header: Header
    header_bytes: bytes
    body: bytes
    hash: bytes

    @property
    def encoded(self) -> bytes:
        """The frame as it is stored and sent."""
        return self.header_bytes + self.body


def frame_hash(header: bytes, body: bytes) -> bytes:
    """Hash a frame: SHA-256 over its header and its (sealed) body."""
    digest = hashlib.sha256(header)
    digest.update(body)
    return digest.digest()


def make_frame(
    batch: Batch,
    *,
    epoch: bytes,
    no: int,
    first_msg: int,
    prev_hash: bytes,
    sealer: Sealer | None = None,
    salt: bytes = NO_SALT,
) -> Frame:
    """Give a batch its place in a lane's chain, and seal it.

    Args:
        batch: what `pack_readings` made.
        epoch: 16 bytes, the stream's.
        no: the frame's number in its lane, from 1.
        first_msg: the number of its first reading in its lane, from 1.
        prev_hash: hash of frame `no - 1`; `NO_HASH` before the first.
        sealer: seals the body; None leaves it in clear.
        salt: 16 fresh random bytes if there is a sealer.

    Raises:
        LocalError: the body is over 4 MiB, or a salt is missing.
    """
    size = len(batch.packed) + (SEAL_BYTES if sealer is not None else 0)
    if size > BODY_MAX_BYTES:
        raise LocalError(f"a frame body of {size} bytes is over {BODY_MAX_BYTES}")
    key_id = NOT_SEALED
    if sealer is not None:
        key_id = sealer.key_id
        if salt == NO_SALT or len(salt) != SALT_BYTES:
            raise LocalError("a sealed frame needs 16 fresh random bytes")
    header = Header(
        batch.codec,
        batch.lane,
        batch.flags,
        batch.n,
        epoch,
        no,
        first_msg,
        batch.ts_min_us,
        batch.ts_max_us,
        key_id,
        salt if sealer is not None else NO_SALT,
        prev_hash,
        size,
    )
    head = header.pack()
    body = batch.packed if sealer is None else sealer.seal(batch.packed, head, salt)
    if len(body) != size:
        raise LocalError(f"sealing gave {len(body)} bytes where {size} were announced")
    return Frame(header, head, body, frame_hash(head, body))


def parse_frame(data: bytes) -> Frame:
    """Read one whole frame and hash it; whether the hash is the right one, others know.

    Raises:
        BadFrame: with the reason.
    """
    head, body = data[:HEADER_BYTES], data[HEADER_BYTES:]
    header = parse_header(head)
    if len(body) != header.body_len:
        detail = f"{len(body)} bytes of body, {header.body_len} announced"
        raise BadFrame(FrameReason.LENGTH, detail)
    return Frame(header, head, body, frame_hash(head, body))


def check_link(header: Header, *, no: int, first_msg: int, prev_hash: bytes) -> None:
    """Check that a frame stands where a lane goes on.

    Args:
        header: the frame's.
        no: the number that comes next in the lane.
        first_msg: the reading number that comes next.
        prev_hash: the hash of the frame before.

    Raises:
        BadFrame: it stands elsewhere.
    """
    if header.no != no:
        raise BadFrame(FrameReason.LINK, f"number {header.no} where {no} comes next")
    if header.prev_hash != prev_hash:
        detail = f"frame {no} follows {header.prev_hash.hex()[:12]}, not {prev_hash.hex()[:12]}"
        raise BadFrame(FrameReason.LINK, detail)
    if header.first_msg != first_msg:
        detail = f"frame {no} begins with reading {header.first_msg} where {first_msg} comes next"
        raise BadFrame(FrameReason.LINK, detail)


def open_body(frame: Frame, opener: Opener | None = None) -> bytes:
    """Unseal and unfold a body into JSON lines.

    Raises:
        BadFrame: no key at hand, or the body does not unfold.
        DunesError: what the opener says.
    """
    header, body = frame.header, frame.body
    if header.sealed:
        if opener is None:
            raise BadFrame(FrameReason.NO_KEY, f"key {header.key_id.hex()}")
        body = opener.open(header.key_id, header.salt, body, frame.header_bytes)
    return unfold(body, header.codec)


def open_readings(frame: Frame, opener: Opener | None = None) -> list[Reading]:
    """Unseal, unfold and read a frame's readings, in order.

    Raises:
        BadFrame: with the reason.
        DunesError: what the opener says.
    """
    return parse_readings(open_body(frame, opener), frame.header)
