"""Frames: hundreds of readings of one lane, packed, sealed and chained. Pure.

Layout `DNF1`, big-endian; the 120 bytes of header are the seal's associated data::

     0  4  magic "DNF1"               36  8  first_msg  per lane, from 1, contiguous
     4  1  version 1                  44  8  ts_min     µs since 1970 UTC, signed
     5  1  codec: high nibble 0 none  52  8  ts_max
           1 zstd; low 1 JSON lines   60  8  key_id     zeros: not sealed
     6  1  lane                       68 16  salt       random; zeros: not sealed
     7  1  flags: 1 simulated         84 32  prev_hash  zeros before frame 1
     8  4  n readings, 1 to 65,535   116  4  body_len, up to 4 MiB
    12 16  epoch                     120     body
    28  8  no, per lane, from 1, contiguous

`frame_hash` is SHA-256(header ‖ body). A frame is encoded, compressed, sealed, then
hashed, so the chain is checked without any key. `prev_hash` inside the header lets
frames arrive in any order.

Payload: one JSON object a line: `d` device, `k` kind, `v` value, `u` unit, `t` µs
since 1970 UTC, and where they are set `s` the sensor's own number, `m` true if
simulated. The reading's priority is the frame's lane.
"""

import hashlib
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import msgspec
import zstandard

from dunes.errors import LocalError, PeerError
from dunes.model import Priority, Reading, Value

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
PLAIN_MAX_BYTES = 16 * 1024 * 1024
"""What a body may unfold to; bounds the memory that a hostile frame can ask for."""
NUMBER_MAX = 2**63 - 1
"""What the store's integer columns hold."""

NO_HASH = bytes(HASH_BYTES)
"""The `prev_hash` of a lane's first frame."""
NOT_SEALED = bytes(KEY_ID_BYTES)
"""The `key_id` of a frame in clear."""
NO_SALT = bytes(SALT_BYTES)

ZSTD_LEVEL = 1
"""benchmarks/bench_buffer.py: level 9 saves 3 to 9 % at many times the time."""

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


class _Line(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    d: str
    k: str
    v: float | int | str | bool
    u: str
    t: int
    s: int | None = None
    m: bool = False


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings of one lane, packed, with no place in a chain yet.

    Attributes:
        lane: their priority.
        n: how many.
        ts_min_us: the earliest of their times.
        ts_max_us: the latest.
        flags: `FLAG_SIMULATED` or 0.
        codec: how `packed` is made.
        packed: JSON lines, compressed.
    """

    lane: int
    n: int
    ts_min_us: int
    ts_max_us: int
    flags: int
    codec: int
    packed: bytes


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


_KEPT = threading.local()


def _compressor(level: int) -> zstandard.ZstdCompressor:
    """Give this thread's compressor: making one costs a third of a small frame."""
    kept: dict[int, zstandard.ZstdCompressor] | None = getattr(_KEPT, "compressors", None)
    if kept is None:
        kept = _KEPT.compressors = {}
    if level not in kept:
        kept[level] = zstandard.ZstdCompressor(level=level)
    return kept[level]


def pack_readings(readings: Sequence[Reading], lane: int, *, level: int = ZSTD_LEVEL) -> Batch:
    """Pack readings of one lane, in their order.

    Args:
        readings: 1 to 65,535.
        lane: the priority that all of them have.
        level: zstd level; 0 stores them as they are.

    Raises:
        LocalError: none or too many, a value that is not finite, text that is not
            Unicode, or more than 16 MiB.
    """
    if not 1 <= len(readings) <= READINGS_MAX:
        raise LocalError(f"a frame holds 1 to {READINGS_MAX} readings, not {len(readings)}")
    try:
        lines = [
            _Line(r.device, r.kind, r.value, r.unit, r.ts_us, r.seq, r.simulated) for r in readings
        ]
        plain = _ENCODER.encode_lines(lines)
    except (UnicodeError, OverflowError, TypeError) as e:
        raise LocalError(f"a reading cannot be written: {e}") from e
    if b'"v":null' in plain:  # what the encoder makes of NaN and infinity, and of nothing else
        raise LocalError("a reading's value is not finite")
    if len(plain) > PLAIN_MAX_BYTES:
        raise LocalError(f"{len(plain)} bytes of readings do not fit into one frame")
    times = [r.ts_us for r in readings]
    codec, packed = CODEC_LINES, plain
    if level:
        codec, packed = CODEC_ZSTD_LINES, _compressor(level).compress(plain)
    simulated = any(r.simulated for r in readings)
    return Batch(
        lane, len(lines), min(times), max(times), FLAG_SIMULATED * simulated, codec, packed
    )


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
    if header.codec == CODEC_LINES:
        return body
    try:
        size = zstandard.frame_content_size(body)
        if not 0 <= size <= PLAIN_MAX_BYTES:
            raise BadFrame(FrameReason.PACKED, f"it would unfold to {size} bytes")
        return zstandard.ZstdDecompressor(max_window_size=PLAIN_MAX_BYTES).decompress(
            body, max_output_size=PLAIN_MAX_BYTES, allow_extra_data=False
        )
    except (zstandard.ZstdError, MemoryError) as e:
        raise BadFrame(FrameReason.PACKED, str(e)[:200]) from e


def parse_readings(plain: bytes, header: Header) -> list[Reading]:
    """Read a body's JSON lines, and check them against the header.

    Raises:
        BadFrame: a line that is no reading, another number of them, other times.
    """
    try:
        lines = _DECODER.decode_lines(plain)
    except (msgspec.DecodeError, UnicodeError) as e:
        raise BadFrame(FrameReason.PAYLOAD, str(e)[:200]) from e
    if len(lines) != header.n:
        raise BadFrame(FrameReason.PAYLOAD, f"{len(lines)} readings, {header.n} announced")
    times = [line.t for line in lines]
    if min(times) != header.ts_min_us or max(times) != header.ts_max_us:
        raise BadFrame(FrameReason.PAYLOAD, "the times are not those in the header")
    priority = Priority(header.lane)
    return [Reading(x.d, x.k, x.v, x.u, x.t, priority, x.s, x.m) for x in lines]


def open_readings(frame: Frame, opener: Opener | None = None) -> list[Reading]:
    """Unseal, unfold and read a frame's readings, in order.

    Raises:
        BadFrame: with the reason.
        DunesError: what the opener says.
    """
    return parse_readings(open_body(frame, opener), frame.header)


def plain_text(device: str | None = None, kind: str | None = None) -> list[bytes]:
    """Give the byte strings that a payload must hold to have a reading of these.

    A scan looks for them before it parses: most frames it does not have to read.
    """
    wanted: dict[str, Value | None] = {"d": device, "k": kind}
    return [
        b'"' + key.encode() + b'":' + _ENCODER.encode(value)
        for key, value in wanted.items()
        if value is not None
    ]
