"""The records that travel beside frames: signed lane heads and tombstones. Pure.

Both are big-endian and canonical: one value has one encoding.

HEAD, `DNH1`, signed by the gateway: vouches for a frame and, through the chain, for
all below it::

     0  4  magic "DNH1"        72  8  dropped_total  readings up to no that were dropped
     4  1  version 1           80  8  ts_us          when it was signed
     5  1  lane                88 16  kid            who signed
     6  1  g, 1 to 64         104  g  gateway, ASCII
     7  1  t, 1 to 64           .  t  table, ASCII
     8 16  epoch                .  2  length of the signature
    24  8  no                   .     signature over all before its length
    32 32  frame_hash
    64  8  n_total   readings in frames 1 to no (the number of the last one)

TOMBSTONE, `DNT1`, 128 bytes: frames that were dropped, so that the ground's count
can go on; the hashes join the chain across the hole::

     0  4  magic "DNT1"        40  8  first_msg  number of the first reading dropped
     4  1  version 1           48  8  n_msgs     how many readings
     5  1  lane                56 32  prev_hash  of frame from_no - 1
     6  1  reason              88 32  last_hash  of frame to_no
     7  1  zero               120  8  ts_us      when they were dropped
     8 16  epoch
    24  8  from_no            32  8  to_no
"""

import re
import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol, Self

from dunes.buffer.frameheader import NUMBER_MAX
from dunes.crypto import names
from dunes.errors import LocalError, PeerError
from dunes.model import NAME, Priority

HEAD_CONTEXT = names.SIGN_LANE_HEAD
"""Context under which lane heads are signed."""
RECEIPT_CONTEXT = names.SIGN_ACK
"""Context under which a ground station signs its receipts."""

HEAD_MAGIC = b"DNH1"
TOMB_MAGIC = b"DNT1"
VERSION = 1
TOMB_BYTES = 128
KID_BYTES = 16
NAME_MAX = 64
SIGNATURE_MAX_BYTES = 8192
HEAD_MAX_BYTES = 104 + 2 * NAME_MAX + 2 + SIGNATURE_MAX_BYTES

_HEAD = struct.Struct(">4sBBBB16sQ32sQQq16s")
_TOMB = struct.Struct(">4sBBBB16sQQQQ32s32sq")
_LENGTH = struct.Struct(">H")


class BadHead(PeerError):
    """Bytes that are not a lane head."""

    code = "bad-head"


class BadTombstone(PeerError):
    """Bytes that are not a tombstone."""

    code = "bad-tombstone"


class Signer(Protocol):
    """What signs: `dunes.crypto.signing.SigningKey` is one."""

    @property
    def kid(self) -> str:
        """The key id: 32 hex digits."""
        ...

    def sign(self, data: bytes, context: bytes, /) -> bytes:
        """Sign data in a context."""
        ...


class Verifier(Protocol):
    """What verifies: `dunes.crypto.signing.VerifyKey` is one."""

    @property
    def kid(self) -> str:
        """The key id: 32 hex digits."""
        ...

    def verify(self, signature: bytes, data: bytes, context: bytes, /) -> None:
        """Return if the signature is good; raises BadSignature otherwise."""
        ...


class DropReason(IntEnum):
    """Why frames are not there any more."""

    QUOTA = 1
    """They gave way to newer ones when the buffer was full."""
    DAMAGED = 2
    """They were found damaged and put aside by check-buffer --repair."""
    MISSING = 3
    """They were found missing by check-buffer --repair."""
    RELEASED = 4
    """They were delivered to other destinations, and deleted, before this one was known."""


@dataclass(frozen=True, slots=True)
class Head:
    """A lane's state at one frame, as its gateway signs it.

    Attributes:
        gateway: who writes the lane.
        table: the buffer table.
        epoch: 16 bytes, the stream's.
        lane: the priority.
        no: the frame's number.
        frame_hash: the frame's hash; vouches for all below through the chain.
        n_total: readings in frames 1 to `no`.
        dropped_total: how many of those were dropped before they were acknowledged.
        ts_us: when it was signed.
        kid: who signed; 32 hex digits.
        signature: over all of the above; empty before signing.
    """

    gateway: str
    table: str
    epoch: bytes
    lane: int
    no: int
    frame_hash: bytes
    n_total: int
    dropped_total: int
    ts_us: int
    kid: str = "0" * 32
    signature: bytes = b""

    def signed_bytes(self) -> bytes:
        """Write what the signature covers."""
        gateway, table = self.gateway.encode("ascii"), self.table.encode("ascii")
        if not (1 <= len(gateway) <= NAME_MAX and 1 <= len(table) <= NAME_MAX):
            raise LocalError("a head's gateway and table have 1 to 64 characters")
        fixed = _HEAD.pack(
            HEAD_MAGIC,
            VERSION,
            self.lane,
            len(gateway),
            len(table),
            self.epoch,
            self.no,
            self.frame_hash,
            self.n_total,
            self.dropped_total,
            self.ts_us,
            bytes.fromhex(self.kid),
        )
        return fixed + gateway + table

    def sign(self, signer: Signer) -> Self:
        """Give the head with `signer`'s signature."""
        unsigned = replace(self, kid=signer.kid, signature=b"")
        return replace(unsigned, signature=signer.sign(unsigned.signed_bytes(), HEAD_CONTEXT))

    def verify(self, key: Verifier) -> None:
        """Return if `key` signed this head.

        Raises:
            BadHead: another key is named in it.
            BadSignature: it was changed, or signed by somebody else.
        """
        if key.kid != self.kid:
            raise BadHead(f"the lane head is signed by {self.kid}, not by {key.kid}")
        key.verify(self.signature, self.signed_bytes(), HEAD_CONTEXT)

    @property
    def encoded(self) -> bytes:
        """The head as it is stored and sent, signature included."""
        return self.signed_bytes() + _LENGTH.pack(len(self.signature)) + self.signature


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Frames of one lane that were dropped: `from_no` to `to_no`, both included.

    Attributes:
        epoch: 16 bytes, the stream's.
        lane: the priority.
        from_no: first frame dropped.
        to_no: last frame dropped.
        first_msg: number of the first reading dropped.
        n_msgs: how many readings.
        prev_hash: hash of frame `from_no - 1`.
        last_hash: hash of frame `to_no`; the next frame's `prev_hash`.
        reason: why.
        ts_us: when.
    """

    epoch: bytes
    lane: int
    from_no: int
    to_no: int
    first_msg: int
    n_msgs: int
    prev_hash: bytes
    last_hash: bytes
    reason: DropReason
    ts_us: int

    @property
    def n_frames(self) -> int:
        """How many frames."""
        return self.to_no - self.from_no + 1

    @property
    def encoded(self) -> bytes:
        """The tombstone as it is stored and sent: 128 bytes."""
        return _TOMB.pack(
            TOMB_MAGIC,
            VERSION,
            self.lane,
            self.reason,
            0,
            self.epoch,
            self.from_no,
            self.to_no,
            self.first_msg,
            self.n_msgs,
            self.prev_hash,
            self.last_hash,
            self.ts_us,
        )


_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _name(raw: bytes, pattern: re.Pattern[str], what: str) -> str:
    """Read a name off a record, refusing what could not be one."""
    text = raw.decode("ascii", "replace")
    if pattern.fullmatch(text) is None:
        raise BadHead(f"a lane head with an impossible {what} name")
    return text


def parse_head(data: bytes) -> Head:
    """Read a lane head; whether the signature is good, `Head.verify` tells.

    Raises:
        BadHead: not one, cut, too long, or a field out of range.
    """
    if len(data) > HEAD_MAX_BYTES or len(data) < _HEAD.size + _LENGTH.size:
        raise BadHead(f"{len(data)} bytes are no lane head")
    (magic, version, lane, g, t, epoch, no, frame_hash, n_total, dropped, ts_us, kid) = (
        _HEAD.unpack_from(data)
    )
    if magic != HEAD_MAGIC or version != VERSION:
        raise BadHead("not a lane head of version 1")
    at = _HEAD.size
    if len(data) < at + g + t + _LENGTH.size:
        raise BadHead("a lane head that is cut short")
    gateway = _name(data[at : at + g], NAME, "gateway")
    table = _name(data[at + g : at + g + t], _TABLE, "table")
    at += g + t
    (size,) = _LENGTH.unpack_from(data, at)
    signature = data[at + _LENGTH.size :]
    if len(signature) != size:
        raise BadHead(f"a lane head with {len(signature)} bytes of signature, {size} announced")
    if lane > Priority.ROUTINE:
        raise BadHead(f"a lane head of lane {lane}")
    if not (1 <= no <= NUMBER_MAX and no <= n_total <= NUMBER_MAX and dropped <= n_total):
        raise BadHead(f"a lane head whose counts cannot be: {no}, {n_total}, {dropped}")
    return Head(
        gateway, table, epoch, lane, no, frame_hash, n_total, dropped, ts_us, kid.hex(), signature
    )


def parse_tombstone(data: bytes) -> Tombstone:
    """Read a tombstone.

    Raises:
        BadTombstone: not one, or a field out of range.
    """
    if len(data) != TOMB_BYTES:
        raise BadTombstone(f"a tombstone has {TOMB_BYTES} bytes, not {len(data)}")
    (
        magic,
        version,
        lane,
        reason,
        zero,
        epoch,
        from_no,
        to_no,
        first_msg,
        n_msgs,
        prev_hash,
        last_hash,
        ts_us,
    ) = _TOMB.unpack(data)
    if magic != TOMB_MAGIC or version != VERSION or zero:
        raise BadTombstone("not a tombstone of version 1")
    if lane > Priority.ROUTINE:
        raise BadTombstone(f"a tombstone of lane {lane}")
    try:
        why = DropReason(reason)
    except ValueError as e:
        raise BadTombstone(f"a tombstone with reason {reason}") from e
    if not 1 <= from_no <= to_no <= NUMBER_MAX:
        raise BadTombstone(f"a tombstone from {from_no} to {to_no}")
    if not (from_no <= first_msg and to_no - from_no < n_msgs <= NUMBER_MAX - first_msg):
        raise BadTombstone(f"a tombstone whose {n_msgs} readings from {first_msg} cannot be")
    return Tombstone(
        epoch, lane, from_no, to_no, first_msg, n_msgs, prev_hash, last_hash, why, ts_us
    )
