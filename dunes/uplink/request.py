"""One request at the ground station, as ASGI brings it: read strictly, and within limits.

A stranger can send anything, at any speed. So a body is read only when its announced size
is allowed and there is room for it, and only from somebody who sends it in decent time.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from dunes.uplink.answers import Refusal
from dunes.uplink.protocol import EPOCH_DIGITS

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Query = Mapping[str, list[str]]

IN_MEMORY_MAX_BYTES = 64 * 1024 * 1024
"""Bodies being received, all together; above it a sender is asked to wait."""
CHUNK_TIMEOUT_S = 60.0
"""Longest silence within a body."""
BODY_MIN_BYTES_S = 100.0
"""Slower than this, after the first minute, is nobody's link."""
BUSY_RETRY_S = 2


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose head has come; its body is still to be received."""

    scope: Scope
    receive: Receive

    @property
    def method(self) -> str:
        """Its method, upper case."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """Its path, without the query."""
        return str(self.scope["path"])

    @property
    def query(self) -> Query:
        """Its query."""
        return parse_qs(self.scope["query_string"].decode("ascii", "replace"))

    def header(self, name: bytes) -> str:
        """Give a header, named in lower case; an empty text if it is missing."""
        for key, value in self.scope["headers"]:
            if key == name:
                return str(value.decode("latin-1"))
        return ""


@dataclass(slots=True)
class Bodies:
    """All bodies that are in memory now."""

    _in_memory_bytes: int = 0

    @contextlib.asynccontextmanager
    async def whole(self, request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
        """Give a request's body; it counts as being in memory until the block is left.

        Raises:
            Refusal: it is too large, comes too slowly or not whole, or there is no room now.
        """
        announced = _length(request.header(b"content-length"))
        if announced > limit_bytes:
            raise Refusal(
                413,
                "too-large",
                f"a body has at most {limit_bytes} bytes here",
                limit_bytes=limit_bytes,
                close=True,
            )
        if self._in_memory_bytes + announced > IN_MEMORY_MAX_BYTES:
            raise Refusal(503, "busy", "too much at once", retry_s=BUSY_RETRY_S, close=True)
        self._in_memory_bytes += announced
        try:
            yield await _body(request.receive, announced)
        finally:
            self._in_memory_bytes -= announced


async def _body(receive: Receive, announced: int) -> bytes:
    """Read a body of the announced size, from somebody who sends it in decent time."""
    loop = asyncio.get_running_loop()
    body, more, began_s = bytearray(), True, loop.time()
    while more:
        try:
            event = await asyncio.wait_for(receive(), CHUNK_TIMEOUT_S)
        except TimeoutError as e:
            raise Refusal(408, "too-slow", "the body stopped coming", close=True) from e
        if event["type"] == "http.disconnect":
            raise Refusal(400, "cut", "the connection ended within the body", close=True)
        body += event.get("body", b"")
        more = event.get("more_body", False)
        took_s = loop.time() - began_s - CHUNK_TIMEOUT_S
        if len(body) > announced or (took_s > 0 and len(body) < took_s * BODY_MIN_BYTES_S):
            raise Refusal(408, "too-slow", "the body comes too slowly", close=True)
    if len(body) != announced:
        raise Refusal(400, "cut", "the body is shorter than announced", close=True)
    return bytes(body)


def _length(text: str) -> int:
    if re.fullmatch("[0-9]{1,12}", text) is None:
        raise Refusal(411, "length-required", "Content-Length is missing", close=True)
    return int(text)


def asked(query: Query, name: str) -> str:
    """Give what a query says under a name; an empty text if nothing."""
    return query.get(name, [""])[0]


def epoch_of(text: str) -> bytes:
    """Read an epoch; raises Refusal."""
    if len(text) != EPOCH_DIGITS or re.fullmatch("[0-9a-f]+", text) is None:
        raise Refusal(400, "bad-epoch", "the epoch is 32 hex digits", close=True)
    return bytes.fromhex(text)


def number_of(text: str, most: int) -> int:
    """Read a number from 0 to `most`; raises Refusal."""
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > most:
        raise Refusal(400, "bad-number", f"a number from 0 to {most} is missing")
    return int(text)
