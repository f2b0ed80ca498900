"""A device's side over HTTP: it answers challenges. And the gateway's side: it asks.

    POST /v1/challenge   the challenge's bytes; the answer's bytes

Nothing else is served, and nothing is secret: challenge and answer are signed, so that
plain HTTP in the field is enough. Bodies are bounded, and silence has its end.
"""

import http.client
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from dunes.authority.challenge import MAX_BYTES, BadAnswer
from dunes.errors import DunesError, Unavailable

PATH = "/v1/challenge"
PORT = 7043
"""Where a device listens if nothing else is said."""
SILENCE_S = 5.0


class AgentServer(ThreadingHTTPServer):
    """Answers challenges on a TCP port.

    Args:
        host: to listen at.
        port: 0 takes a free one.
        answer: gives the answer to a challenge's bytes, or raises `DunesError`.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking who we are: that can wait for a name server."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let a caller that hung up go without a word."""


class _Handler(BaseHTTPRequestHandler):
    server: AgentServer
    protocol_version = "HTTP/1.0"
    server_version, sys_version = "dunes-agent", ""
    timeout = SILENCE_S

    def do_POST(self) -> None:  # the name that http.server calls
        """Answer one challenge."""
        length = self.headers.get("content-length", "")
        if self.path != PATH:
            return self._say(404, b"nothing is served there")
        if not (length.isdigit() and 0 < int(length[:9]) <= MAX_BYTES):
            return self._say(413, b"a challenge has 1 to 8192 bytes, and says how many")
        try:
            answered = self.server.answer(self.rfile.read(int(length)))
        except DunesError as e:
            return self._say(400, e.message.encode("utf-8"))
        return self._say(200, answered)

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write no log of one's own."""


def request_answer(host: str, port: int, challenge: bytes, timeout_s: float) -> bytes:
    """Ask a device, and give its answer's bytes; nothing is verified yet.

    Raises:
        Unavailable: nobody answers there in time.
        BadAnswer: what answers is no agent, or says that it cannot.
    """
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("POST", PATH, challenge)
        response = connection.getresponse()
        body = response.read(MAX_BYTES + 1)
    except http.client.HTTPException as e:
        raise BadAnswer(f"what answers at {host}:{port} is no device's agent") from e
    except OSError as e:
        raise Unavailable(
            f"no device's agent answers at {host}:{port}: {e.strerror or e}",
            hint="sakina answer --serve HOST:PORT at the device",
            code="agent-silent",
        ) from e
    finally:
        connection.close()
    if response.status != http.client.OK or len(body) > MAX_BYTES:
        said = body[:200].decode("utf-8", "replace")
        raise BadAnswer(f"the agent at {host}:{port} says {response.status}: {said}")
    return body
