"""What a frame holds: readings of one lane as JSON lines, compressed. Pure.

One JSON object a line: `d` device, `k` kind, `v` value, `u` unit, `t` µs since 1970 UTC,
and where they are set `s` the sensor's own number, `m` true if simulated. The
reading's priority is the frame's lane.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import zstandard

from dunes.buffer.frameheader import (
    CODEC_LINES,
    CODEC_ZSTD_LINES,
    FLAG_SIMULATED,
    READINGS_MAX,
    BadFrame,
    FrameReason,
    Header,
)
from dunes.errors import LocalError
from dunes.model import Priority, Reading, Value

PLAIN_MAX_BYTES = 16 * 1024 * 1024
"""What a body may unfold to; bounds the memory that a hostile frame can ask for."""
ZSTD_LEVEL = 1
"""benchmarks/bench_buffer.py: level 9 saves 3 to 9 % at many times the time."""


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


def unfold(body: bytes, codec: int) -> bytes:
    """Give the JSON lines of a body that is in clear.

    Raises:
        BadFrame: it does not unfold, or to more than 16 MiB.
    """
    if codec == CODEC_LINES:
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
