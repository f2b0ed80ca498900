"""A small gRPC-Web server on HTTP/1.1, as a dish has one beside its native port.

It reads bodies with a length and chunked ones, keeps connections alive, answers
binary and text (base64) calls, refuses what is too long, and does what a dish does
with a page from elsewhere: a foreign `Referer` or `Origin` gets an empty 200.
"""

import base64
import binascii
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from dunes.sim.starlink_device import Refusal
from dunes.starlink.errors import StarlinkError
from dunes.starlink.grpcweb import (
    COMPRESSED,
    CONTENT_TYPE,
    INTERNAL,
    TRAILERS,
    encode_frame,
    encode_trailers,
    frames,
)

REQUEST_MAX_BYTES = 1_000_000
CHUNK_LINE_MAX = 1024
TRAILERS_MAX = 50
HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
TEXT_TYPE = "application/grpc-web-text"

Handle = Callable[[bytes], bytes]


class BadRequest(Exception):
    """A request that HTTP itself forbids.

    Args:
        status: the answer to it.
    """

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one segment: apart, Nagle costs 40 ms a call
    disable_nagle_algorithm = True
    timeout = 60
    server_version = "dunes-simulated"
    sys_version = ""

    methods: ClassVar[dict[str, Handle]]
    busy: ClassVar[Callable[[], bool]]

    def do_POST(self) -> None:
        """Answer a call."""
        try:
            body = self._read_body()
        except BadRequest as e:
            self.close_connection = True
            self._send(e.status, b"", "text/plain")
            return
        handle = self.methods.get(self.path)
        if handle is None:
            self._send(HTTPStatus.NOT_FOUND, b"no such page\n", "text/plain")
        elif self._foreign():
            self._send(HTTPStatus.OK, b"", "")
        elif type(self).busy():
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"starting\n", "text/plain")
        else:
            kind = self.headers.get("content-type", "").lower()
            if not kind.startswith("application/grpc-web"):
                self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, b"", "text/plain")
            elif kind.startswith(TEXT_TYPE):
                answer = self._call_text(handle, body)
                self._send(HTTPStatus.OK, answer, f"{TEXT_TYPE}+proto")
            else:
                self._send(HTTPStatus.OK, call(handle, body), CONTENT_TYPE)

    def do_OPTIONS(self) -> None:
        """Answer a browser's question whether a page may call: only the device's own."""
        self.send_response(HTTPStatus.NO_CONTENT)
        if not self._foreign():
            self.send_header("access-control-allow-origin", self.headers.get("origin", "*"))
            self.send_header("access-control-allow-methods", "POST")
            self.send_header("access-control-allow-headers", "content-type,x-grpc-web")
        self.end_headers()

    def do_GET(self) -> None:
        """There is no page here."""
        self._send(HTTPStatus.NOT_FOUND, b"no such page\n", "text/plain")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep quiet: a library does not print."""

    def _foreign(self) -> bool:
        """Say whether a page of another origin sent this."""
        own = self.headers.get("host", "")
        pages = (self.headers.get("referer"), self.headers.get("origin"))
        return any(page is not None and urlsplit(page).netloc != own for page in pages)

    def _call_text(self, handle: Handle, body: bytes) -> bytes:
        try:
            raw = base64.b64decode(body, validate=True)
        except binascii.Error:
            return base64.b64encode(encode_trailers(INTERNAL, "the body is not base64"))
        return base64.b64encode(call(handle, raw))

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        if kind:
            self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _read_body(self) -> bytes:
        coding = self.headers.get("transfer-encoding", "").lower()
        if coding == "chunked":
            return self._read_chunks()
        if coding:
            raise BadRequest(HTTPStatus.NOT_IMPLEMENTED)
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise BadRequest(HTTPStatus.LENGTH_REQUIRED)
        return self._read_exactly(int(length), 0)

    def _read_exactly(self, size: int, had: int) -> bytes:
        if had + size > REQUEST_MAX_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        data = self.rfile.read(size)
        if len(data) < size:
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        return data

    def _read_chunks(self) -> bytes:
        """Read a chunked body and its trailer section (RFC 9112, 7.1)."""
        found = bytearray()
        while True:
            digits = self._read_line().partition(b";")[0].strip()
            if not digits or not set(digits) <= HEX_DIGITS:
                raise BadRequest(HTTPStatus.BAD_REQUEST)
            size = int(digits, 16)
            if size == 0:
                self._skip_trailers()
                return bytes(found)
            found += self._read_exactly(size, len(found))
            if self._read_line().strip():
                raise BadRequest(HTTPStatus.BAD_REQUEST)

    def _skip_trailers(self) -> None:
        for _ in range(TRAILERS_MAX):
            if not self._read_line().strip():
                return
        raise BadRequest(HTTPStatus.BAD_REQUEST)

    def _read_line(self) -> bytes:
        line = self.rfile.readline(CHUNK_LINE_MAX)
        if not line.endswith(b"\n"):
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        return line


def call(handle: Handle, body: bytes) -> bytes:
    """Answer the one message in a body with a message and trailers."""
    try:
        messages = [data for flag, data in frames(body) if not flag & (TRAILERS | COMPRESSED)]
        if len(messages) != 1:
            return encode_trailers(INTERNAL, f"{len(messages)} messages in a unary call")
        answer = handle(messages[0])
    except StarlinkError as e:
        return encode_trailers(INTERNAL, e.detail)
    except Refusal as e:
        return encode_trailers(e.status, e.text)
    return encode_frame(answer) + encode_trailers(0)


class GrpcWebServer:
    """A server in a thread of its own.

    Args:
        methods: path → what answers a serialised message there.
        busy: while it gives true, every call gets HTTP 503.
        host: to listen on.
        port: 0 takes a free one.
    """

    def __init__(
        self,
        methods: dict[str, Handle],
        busy: Callable[[], bool],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        handler = type(
            "BoundHandler", (Handler,), {"methods": methods, "busy": staticmethod(busy)}
        )
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="grpc-web", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
