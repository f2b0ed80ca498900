"""What travels between a gateway and its ground station: one batch of records. Pure.

A batch is `N x (u32 length, record)`, big-endian. A record says what it is by its
first four bytes; its layout is in the module that makes it::

    DNF1  FRAME    dunes.buffer.frame     hundreds of readings of one lane
    DNH1  HEAD     dunes.buffer.records   signed: this frame and all below it are ours
    DNT1  TOMB     here                   signed: these frames are gone
    DUNE  KEYS     dunes.crypto.keyrecord who can open the frames that name it
    DNR1  RECEIPT  dunes.uplink.receipt   signed by the ground station: what it holds
    DNA1  ASK      here                   what do you hold?

TOMB, 128 bytes of `dunes.buffer.records.Tombstone`, then u16 length and signature
of the gateway over those 128 bytes, context `TOMB_CONTEXT`.

ASK, `DNA1`::

     0  4  magic "DNA1"     7  1  t, 1 to 64
     4  1  version 1        8 16  epoch
     5  1  zero            24  g  gateway, ASCII
     6  1  g, 1 to 64       .  t  table, ASCII

Sizes are bounded before anything is parsed.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dunes.buffer.frame import Frame, parse_frame
from dunes.buffer.frameheader import BODY_MAX_BYTES, EPOCH_BYTES, HEADER_BYTES
from dunes.buffer.records import (
    HEAD_MAX_BYTES,
    SIGNATURE_MAX_BYTES,
    TOMB_BYTES,
    Head,
    Signer,
    Tombstone,
    Verifier,
    parse_head,
    parse_tombstone,
)
from dunes.errors import PeerError
from dunes.model import Priority
from dunes.uplink.errors import BadRecord

LANES = tuple(int(lane) for lane in Priority)

TOMB_CONTEXT = b"dunes/2048-aes/v1/tombstone"
"""Context under which a gateway signs tombstones."""

BATCH_MAX_BYTES = 16 * 1024 * 1024
"""The largest batch that a receiver takes; above it answers 413 with this limit."""
RECORDS_MAX = 4096
"""The most records in a batch."""

REQUEST_FRAMES = 100
"""The most frames that a sender puts into one batch."""
REQUEST_MIN_FRAMES = 40
"""Fewer wait while a batch of their lane is under way."""
REQUEST_BYTES = 400_000
"""The size at which a sender closes a batch."""

GAPS_MAX = 256
"""The most gaps of one lane in a receipt."""

NAME_MAX = 64
ASK_MAGIC = b"DNA1"
VERSION = 1

_LENGTH = struct.Struct(">I")
_SIGNATURE = struct.Struct(">H")
_ASK = struct.Struct(">4sBBBB16s")


@dataclass(frozen=True, slots=True)
class SignedTombstone:
    """A tombstone with its gateway's signature, as it travels."""

    tombstone: Tombstone
    signature: bytes

    @classmethod
    def make(cls, tombstone: Tombstone, signer: Signer) -> "SignedTombstone":
        """Sign a tombstone."""
        return cls(tombstone, signer.sign(tombstone.encoded, TOMB_CONTEXT))

    def verify(self, key: Verifier) -> None:
        """Return if `key` signed it; raises BadSignature otherwise."""
        key.verify(self.signature, self.tombstone.encoded, TOMB_CONTEXT)

    @property
    def encoded(self) -> bytes:
        """The record."""
        return self.tombstone.encoded + _SIGNATURE.pack(len(self.signature)) + self.signature


@dataclass(frozen=True, slots=True)
class KeyRecordBytes:
    """A key record, passed on unread: frames are verified without any key."""

    encoded: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """The question what a receiver holds of a stream."""

    gateway: str
    table: str
    epoch: bytes

    @property
    def encoded(self) -> bytes:
        """The record."""
        gateway, table = self.gateway.encode("ascii"), self.table.encode("ascii")
        return (
            _ASK.pack(ASK_MAGIC, VERSION, 0, len(gateway), len(table), self.epoch)
            + gateway
            + table
        )


Record = Frame | Head | SignedTombstone | KeyRecordBytes | Ask


def _parse_tomb(data: bytes) -> SignedTombstone:
    tombstone = parse_tombstone(data[:TOMB_BYTES])
    (size,) = _SIGNATURE.unpack_from(data, TOMB_BYTES)
    signature = data[TOMB_BYTES + _SIGNATURE.size :]
    if len(signature) != size:
        raise PeerError(f"a tombstone with {len(signature)} bytes of signature, {size} announced")
    return SignedTombstone(tombstone, signature)


def _parse_ask(data: bytes) -> Ask:
    _, version, zero, g, t, epoch = _ASK.unpack_from(data)
    names = data[_ASK.size :]
    if version != VERSION or zero or not (1 <= g <= NAME_MAX and 1 <= t <= NAME_MAX):
        raise PeerError("not a question of version 1")
    if len(names) != g + t or not names.isascii():
        raise PeerError("a question with impossible names")
    return Ask(names[:g].decode("ascii"), names[g:].decode("ascii"), epoch)


class _Kind(NamedTuple):
    least: int
    most: int
    parse: object


KEY_RECORD_MAX_BYTES = 96 * 1024

_KINDS: dict[bytes, _Kind] = {
    b"DNF1": _Kind(HEADER_BYTES + 1, HEADER_BYTES + BODY_MAX_BYTES, parse_frame),
    b"DNH1": _Kind(106, HEAD_MAX_BYTES, parse_head),
    b"DNT1": _Kind(TOMB_BYTES + 2, TOMB_BYTES + 2 + SIGNATURE_MAX_BYTES, _parse_tomb),
    b"DUNE": _Kind(64, KEY_RECORD_MAX_BYTES, KeyRecordBytes),
    b"DNA1": _Kind(_ASK.size + 2, _ASK.size + 2 * NAME_MAX, _parse_ask),
}
RECORD_MAX_BYTES = max(kind.most for kind in _KINDS.values())
EPOCH_DIGITS = 2 * EPOCH_BYTES


def encode_batch(records: Iterable[bytes]) -> bytes:
    """Put encoded records into one batch."""
    return b"".join(part for record in records for part in (_LENGTH.pack(len(record)), record))


def split_batch(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give each record of a batch with its index, unread but bounded.

    Raises:
        BadRecord: a length that cannot be, or a batch that is cut.
    """
    at = index = 0
    while at < len(data):
        if index >= RECORDS_MAX:
            raise BadRecord(index, f"more than {RECORDS_MAX} records")
        if len(data) - at < _LENGTH.size:
            raise BadRecord(index, "the batch is cut within a length")
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if size > RECORD_MAX_BYTES:
            raise BadRecord(index, f"{size} bytes, more than any record has")
        if len(data) - at < size:
            raise BadRecord(index, f"the batch is cut: {len(data) - at} of {size} bytes")
        yield index, data[at : at + size]
        at += size
        index += 1


def parse_record(index: int, data: bytes) -> Record:
    """Read one record.

    Args:
        index: its place in the batch, for the error.
        data: its bytes.

    Raises:
        BadRecord: not a record that a gateway sends, or a damaged one.
    """
    kind = _KINDS.get(data[:4])
    if kind is None:
        raise BadRecord(index, f"an unknown kind {data[:4]!r}")
    if not kind.least <= len(data) <= kind.most:
        raise BadRecord(index, f"{len(data)} bytes of {data[:4].decode()}")
    try:
        record: Record = kind.parse(data)  # type: ignore[operator]  # a row of the table
    except PeerError as e:
        raise BadRecord(index, e.message) from e
    return record


def parse_batch(data: bytes) -> list[Record]:
    """Read a batch.

    Raises:
        BadRecord: with the index of the first record that is none.
    """
    return [parse_record(index, record) for index, record in split_batch(data)]
