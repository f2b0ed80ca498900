"""The header of a frame: 120 bytes, each field in its range. Pure.

Layout `DNF1`, big-endian; the header is the seal's associated data::

     0  4  magic "DNF1"               36  8  first_msg  per lane, from 1, contiguous
     4  1  version 1                  44  8  ts_min     µs since 1970 UTC, signed
     5  1  codec: high nibble 0 none  52  8  ts_max
           1 zstd; low 1 JSON lines   60  8  key_id     zeros: not sealed
     6  1  lane                       68 16  salt       random; zeros: not sealed
     7  1  flags: 1 simulated         84 32  prev_hash  zeros before frame 1
     8  4  n readings, 1 to 65,535   116  4  body_len, up to 4 MiB
    12 16  epoch                     120     body
    28  8  no, per lane, from 1, contiguous
"""

import struct
from dataclasses import dataclass
from enum import Enum

from dunes.errors import PeerError
from dunes.model import Priority

MAGIC = b"DNF1"
VERSION = 1
HEADER_BYTES = 120
HASH_BYTES = 32
EPOCH_BYTES = 16
KEY_ID_BYTES = 8
SALT_BYTES = 16

CODEC_LINES = 0x01
"""JSON lines, not compressed."""
CODEC_ZSTD_LINES = 0x11
"""JSON lines under zstd."""
CODECS = frozenset({CODEC_LINES, CODEC_ZSTD_LINES})
FLAG_SIMULATED = 0x01
"""At least one reading in it was made by the simulated site."""

READINGS_MAX = 65_535
BODY_MAX_BYTES = 4 * 1024 * 1024
NUMBER_MAX = 2**63 - 1
"""What the store's integer columns hold."""

NO_HASH = bytes(HASH_BYTES)
"""The `prev_hash` of a lane's first frame."""
NOT_SEALED = bytes(KEY_ID_BYTES)
"""The `key_id` of a frame in clear."""
NO_SALT = bytes(SALT_BYTES)

_HEADER = struct.Struct(">4sBBBBI16sQQqq8s16s32sI")


class FrameReason(Enum):
    """Why bytes are not a good frame."""

    SHORT = "cut short"
    MAGIC = "not a frame"
    VERSION = "another version"
    CODEC = "an unknown codec"
    LANE = "an unknown lane"
    RANGE = "a number out of range"
    LENGTH = "another length than it says"
    HASH = "the hash does not match"
    LINK = "does not follow the frame before it"
    NO_KEY = "sealed, and no key is at hand"
    PACKED = "the body does not unfold"
    PAYLOAD = "the readings do not parse"


class BadFrame(PeerError):
    """Bytes that are not a frame, or a frame that does not hold what it says."""

    code = "bad-frame"

    def __init__(self, reason: FrameReason, detail: str) -> None:
        super().__init__(f"frame: {reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Header:
    """The 120 bytes before a frame's body, read."""

    codec: int
    lane: int
    flags: int
    n: int
    epoch: bytes
    no: int
    first_msg: int
    ts_min_us: int
    ts_max_us: int
    key_id: bytes
    salt: bytes
    prev_hash: bytes
    body_len: int

    @property
    def last_msg(self) -> int:
        """The lane's number of the last reading in the frame."""
        return self.first_msg + self.n - 1

    @property
    def sealed(self) -> bool:
        """Whether the body is sealed."""
        return self.key_id != NOT_SEALED

    @property
    def simulated(self) -> bool:
        """Whether a reading in it was made by the simulated site."""
        return bool(self.flags & FLAG_SIMULATED)

    def pack(self) -> bytes:
        """Write the header's bytes."""
        return _HEADER.pack(
            MAGIC,
            VERSION,
            self.codec,
            self.lane,
            self.flags,
            self.n,
            self.epoch,
            self.no,
            self.first_msg,
            self.ts_min_us,
            self.ts_max_us,
            self.key_id,
            self.salt,
            self.prev_hash,
            self.body_len,
        )


def parse_header(data: bytes) -> Header:
    """Read a header: exactly 120 bytes, every field in its range.

    Raises:
        BadFrame: with the reason.
    """
    if len(data) != HEADER_BYTES:
        raise BadFrame(FrameReason.SHORT, f"a header has {HEADER_BYTES} bytes, not {len(data)}")
    magic, version, *fields = _HEADER.unpack(data)
    if magic != MAGIC:
        raise BadFrame(FrameReason.MAGIC, f"it begins with {magic!r}")
    if version != VERSION:
        raise BadFrame(FrameReason.VERSION, f"version {version}, this program reads {VERSION}")
    header = Header(*fields)
    if header.codec not in CODECS:
        raise BadFrame(FrameReason.CODEC, f"0x{header.codec:02x}")
    if header.lane > Priority.ROUTINE:
        raise BadFrame(FrameReason.LANE, str(header.lane))
    _check_ranges(header)
    return header


def _check_ranges(header: Header) -> None:
    """Refuse numbers that no frame has."""
    what = None
    if not 1 <= header.n <= READINGS_MAX:
        what = f"{header.n} readings"
    elif not 1 <= header.no <= NUMBER_MAX:
        what = f"frame number {header.no}"
    elif not 1 <= header.first_msg <= NUMBER_MAX - header.n:
        what = f"first reading {header.first_msg}"
    elif header.ts_min_us > header.ts_max_us:
        what = "it ends before it begins"
    elif not 1 <= header.body_len <= BODY_MAX_BYTES:
        what = f"a body of {header.body_len} bytes"
    elif not header.sealed and header.salt != NO_SALT:
        what = "a salt, though not sealed"
    if what is not None:
        raise BadFrame(FrameReason.RANGE, what)
