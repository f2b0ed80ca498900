"""gRPC-Web framing, as pure functions over bytes.

A body is a row of frames: flag (1 byte), length (4, big-endian), payload. Flag
0x80 is a block of trailers (`grpc-status: 0`), bit 0x01 a compressed frame, 0x00 a
message. The status of a call comes in such a block or, where there is nothing
else to say, in the HTTP headers; both are read.

Source: PROTOCOL-WEB.md of the gRPC project; status codes: statuscodes.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from urllib.parse import quote, unquote

from dunes.starlink.errors import Reason, StarlinkError, failure, peer_text

HEADER = Struct(">BI")
TRAILERS = 0x80
COMPRESSED = 0x01

CONTENT_TYPE = "application/grpc-web+proto"
BODY_MAX_BYTES = 8_000_000
"""A full history is 18 kB, an obstruction map 60 kB; what is longer is not a device's answer."""

OK = 0
DEADLINE_EXCEEDED = 4
PERMISSION_DENIED = 7
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16

HTTP_OK = 200
HTTP_BUSY = frozenset({502, 503, 504})

REASONS = {
    DEADLINE_EXCEEDED: Reason.TIMEOUT,
    PERMISSION_DENIED: Reason.DENIED,
    UNIMPLEMENTED: Reason.UNIMPLEMENTED,
    UNAVAILABLE: Reason.UNAVAILABLE,
    UNAUTHENTICATED: Reason.DENIED,
}
"""gRPC status codes that mean something to us; every other one breaks the protocol."""

SUPPLIED = {
    Reason.DENIED: "locked by the firmware",
    Reason.UNIMPLEMENTED: "this firmware does not know the request",
    Reason.UNAVAILABLE: "the device is not ready",
    Reason.TIMEOUT: "the device itself ran out of time",
}
"""Words for a status that came without any: firmware often refuses with an empty message."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call ended with.

    Attributes:
        message: the serialised answer; None if the body held none.
        status: gRPC status code; 0 is success.
        text: the status message, percent-decoded.
    """

    message: bytes | None
    status: int = OK
    text: str = ""


def encode_frame(payload: bytes, flag: int = 0) -> bytes:
    """Put a frame around a message (flag 0) or a block of trailers (0x80)."""
    return HEADER.pack(flag, len(payload)) + payload


def encode_trailers(status: int, text: str = "") -> bytes:
    """Write the frame that ends an answer."""
    lines = f"grpc-status: {status}\r\n"
    if text:
        lines += f"grpc-message: {quote(text, safe=' ')}\r\n"
    return encode_frame(lines.encode(), TRAILERS)


def frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Split a body into (flag, payload).

    Raises:
        BadAnswer: it ends within a frame.
    """
    at = 0
    while at < len(body):
        if at + HEADER.size > len(body):
            raise failure(Reason.PROTOCOL, f"the answer ends within a frame header, at byte {at}")
        flag, size = HEADER.unpack_from(body, at)
        at += HEADER.size
        if at + size > len(body):
            raise failure(
                Reason.PROTOCOL,
                f"the answer is truncated: a frame of {size} bytes, {len(body) - at} came",
            )
        yield flag, body[at : at + size]
        at += size


def parse_trailers(block: bytes) -> dict[str, str]:
    """Read `name: value` lines; names in lower case."""
    found = {}
    for line in block.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found


def read_body(body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    """Read a whole body: its first message, and its status from trailers or headers.

    Args:
        body: all frames.
        headers: HTTP headers, names in lower case, where a status without a body is told.

    Raises:
        BadAnswer: truncated, compressed (nobody asked for that), or a status that is no number.
    """
    told = dict(headers or {})
    message = None
    for flag, payload in frames(body):
        if flag & COMPRESSED:
            raise failure(Reason.PROTOCOL, "a compressed frame, which nobody asked for")
        if flag & TRAILERS:
            told |= parse_trailers(payload)
        elif message is None:
            message = payload
    status = told.get("grpc-status", "0")
    if not (status.isascii() and status.isdigit()):
        raise failure(Reason.PROTOCOL, f"grpc-status {peer_text(status, 20)!r} is not a number")
    return Reply(message, int(status[:9]), peer_text(unquote(told.get("grpc-message", ""))))


def read_answer(http_status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Give the serialised message of an HTTP answer, or say why there is none.

    Args:
        http_status: e.g. 200.
        headers: names in lower case.
        body: all of it.

    Raises:
        StarlinkError: of the kind that fits (see `Reason`).
    """
    kind = headers.get("content-type", "").lower()
    ours = kind.startswith("application/grpc")
    if http_status in HTTP_BUSY and not ours:
        raise failure(Reason.UNAVAILABLE, f"HTTP {http_status}")
    if http_status != HTTP_OK and not ours:
        raise failure(Reason.NOT_STARLINK, f"HTTP {http_status}, not a gRPC-Web answer")
    if not body and "grpc-status" not in headers:
        raise failure(Reason.NOT_STARLINK, "an empty answer: blocked, or not a Starlink device")
    if kind and not ours:
        raise failure(Reason.NOT_STARLINK, f"a web server that sends {peer_text(kind, 40)}")
    reply = read_body(body, headers)
    check_status(reply.status, reply.text)
    if reply.message is None:
        raise failure(Reason.PROTOCOL, "status 0 but no message")
    return reply.message


def check_status(status: int, text: str) -> None:
    """Raise the error that a gRPC status stands for, unless it is 0."""
    if status != OK:
        raise status_error(status, text)


def status_error(status: int, text: str) -> StarlinkError:
    """Make the error that a gRPC status stands for, with words of ours where it has none."""
    reason = REASONS.get(status, Reason.PROTOCOL)
    return failure(reason, f"{text or SUPPLIED.get(reason, 'no message')} (gRPC status {status})")
