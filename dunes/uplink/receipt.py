"""RECEIPT: what a ground station holds of a stream, signed. Pure.

Layout `DNR1`, big-endian::

     0  4  magic "DNR1"       40 16  kid of the ground station
     4  1  version 1          56  g  gateway, ASCII
     5  1  number of lanes     .  t  table, ASCII
     6  1  g, 1 to 64          .     for each lane, ascending:
     7  1  t, 1 to 64                1 lane, 8 cum, 8 cum_msg, 32 cum_hash, 8 max_seen,
     8 16  epoch                     8 known_from, 8 known_to, 2 n gaps,
    24  8  receipt_no                n x (8 first, 8 last)
    32  8  stored_at, µs       .  2  length of the signature
                               .     signature over all before its length

`cum`: all frames from 1 to it are stored, or their tombstones; `cum_hash` is the hash
of frame `cum`, `cum_msg` the number of its last reading. `gaps`: what is missing between
`known_from` and `known_to`; beyond those the receipt says nothing, so that a list of at
most 256 gaps can be honest. `receipt_no` grows with every change of what is stored: of
two receipts the one with the greater number is newer.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from dunes.buffer.frameheader import NO_HASH
from dunes.buffer.records import (
    NAME_MAX,
    RECEIPT_CONTEXT,
    SIGNATURE_MAX_BYTES,
    Signer,
    Verifier,
)
from dunes.errors import LocalError
from dunes.uplink.errors import BadReceipt
from dunes.uplink.protocol import GAPS_MAX, LANES

MAGIC = b"DNR1"
VERSION = 1

_HEAD = struct.Struct(">4sBBBB16sQQ16s")
_LANE = struct.Struct(">BQQ32sQQQH")
_GAP = struct.Struct(">QQ")
_LENGTH = struct.Struct(">H")
RECEIPT_MAX_BYTES = (
    _HEAD.size
    + 2 * NAME_MAX
    + len(LANES) * (_LANE.size + GAPS_MAX * _GAP.size)
    + 2
    + SIGNATURE_MAX_BYTES
)


@dataclass(frozen=True, slots=True)
class LaneReceipt:
    """What a ground station holds of one lane.

    Attributes:
        cum: all up to here is stored and vouched for; 0: nothing yet.
        cum_msg: number of the last reading in frame `cum`.
        cum_hash: hash of frame `cum`; zeros if `cum` is 0.
        max_seen: the highest number that is stored.
        known_from: the first number that `gaps` speaks of; `cum + 1` at first.
        known_to: the last number that `gaps` speaks of.
        gaps: what is missing in between, ascending, at most 256.
    """

    cum: int = 0
    cum_msg: int = 0
    cum_hash: bytes = NO_HASH
    max_seen: int = 0
    known_from: int = 1
    known_to: int = 0
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a ground station holds of one stream.

    Attributes:
        gateway: whose stream.
        table: its buffer table.
        epoch: 16 bytes.
        receipt_no: greater is newer.
        stored_at_us: when it was written, by the ground station's clock.
        lanes: by lane.
        kid: the ground station's key; 32 hex digits.
        signature: empty before signing.
    """

    gateway: str
    table: str
    epoch: bytes
    receipt_no: int
    stored_at_us: int
    lanes: Mapping[int, LaneReceipt]
    kid: str = "0" * 32
    signature: bytes = b""

    def signed_bytes(self) -> bytes:
        """Write what the signature covers."""
        gateway, table = self.gateway.encode("ascii"), self.table.encode("ascii")
        if not (1 <= len(gateway) <= NAME_MAX and 1 <= len(table) <= NAME_MAX):
            raise LocalError("a receipt's gateway and table have 1 to 64 characters")
        parts = [
            _HEAD.pack(
                MAGIC,
                VERSION,
                len(self.lanes),
                len(gateway),
                len(table),
                self.epoch,
                self.receipt_no,
                self.stored_at_us,
                bytes.fromhex(self.kid),
            ),
            gateway,
            table,
        ]
        for number, lane in sorted(self.lanes.items()):
            if len(lane.gaps) > GAPS_MAX:
                raise LocalError(f"a receipt with {len(lane.gaps)} gaps")
            parts.append(
                _LANE.pack(
                    number,
                    lane.cum,
                    lane.cum_msg,
                    lane.cum_hash,
                    lane.max_seen,
                    lane.known_from,
                    lane.known_to,
                    len(lane.gaps),
                )
            )
            parts += [_GAP.pack(first, last) for first, last in lane.gaps]
        return b"".join(parts)

    def sign(self, signer: Signer) -> Self:
        """Give the receipt with the ground station's signature."""
        unsigned = replace(self, kid=signer.kid, signature=b"")
        return replace(unsigned, signature=signer.sign(unsigned.signed_bytes(), RECEIPT_CONTEXT))

    def verify(self, key: Verifier) -> None:
        """Return if `key` signed this receipt.

        Raises:
            BadReceipt: another key is named in it.
            BadSignature: it was changed, or signed by somebody else.
        """
        if key.kid != self.kid:
            raise BadReceipt(
                f"the receipt is signed by {self.kid}, not by the ground station's key {key.kid}",
                hint="if the ground station has a new key on purpose: mcp init with --ground-key",
            )
        key.verify(self.signature, self.signed_bytes(), RECEIPT_CONTEXT)

    @property
    def encoded(self) -> bytes:
        """The receipt as it is stored and sent, signature included."""
        return self.signed_bytes() + _LENGTH.pack(len(self.signature)) + self.signature


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt; whether the signature is good, `Receipt.verify` tells.

    Raises:
        BadReceipt: not one, cut, too long, or a field out of range.
    """
    if not _HEAD.size < len(data) <= RECEIPT_MAX_BYTES or not data.startswith(MAGIC):
        raise BadReceipt(f"{len(data)} bytes that are no receipt, beginning {data[:16]!r}")
    _, version, count, g, t, epoch, receipt_no, stored_at, kid = _HEAD.unpack_from(data)
    if version != VERSION or count > len(LANES) or not (1 <= g <= NAME_MAX and 1 <= t <= NAME_MAX):
        raise BadReceipt("not a receipt of version 1")
    try:
        at = _HEAD.size + g + t
        names = data[_HEAD.size : at].decode("ascii")
        lanes = {}
        for _ in range(count):
            number, lane, at = _parse_lane(data, at)
            lanes[number] = lane
        (size,) = _LENGTH.unpack_from(data, at)
    except (struct.error, UnicodeDecodeError) as e:
        raise BadReceipt("a receipt that is cut short or damaged") from e
    signature = data[at + _LENGTH.size :]
    if len(signature) != size:
        raise BadReceipt(f"a receipt with {len(signature)} bytes of signature, {size} announced")
    if list(lanes) != sorted(lanes) or len(lanes) != count or not set(lanes) <= set(LANES):
        raise BadReceipt("a receipt whose lanes are out of order")
    return Receipt(names[:g], names[g:], epoch, receipt_no, stored_at, lanes, kid.hex(), signature)


def _parse_lane(data: bytes, at: int) -> tuple[int, LaneReceipt, int]:
    """Read one lane at `at`; give its number, itself and where it ends."""
    number, cum, cum_msg, cum_hash, max_seen, known_from, known_to, n_gaps = _LANE.unpack_from(
        data, at
    )
    at += _LANE.size
    if n_gaps > GAPS_MAX or max_seen < cum or cum_msg < cum or (cum == 0) != (cum_hash == NO_HASH):
        raise BadReceipt("a receipt with a lane that cannot be")
    gaps = tuple(_GAP.unpack_from(data, at + i * _GAP.size) for i in range(n_gaps))
    floor = max(cum, known_from - 1)
    for first, last in gaps:
        if not floor < first <= last <= known_to:
            raise BadReceipt("a receipt with gaps out of order")
        floor = last + 1
    lane = LaneReceipt(cum, cum_msg, cum_hash, max_seen, known_from, known_to, gaps)
    return number, lane, at + n_gaps * _GAP.size
