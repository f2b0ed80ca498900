"""The browser's way back: one request to 127.0.0.1, a small page, done (RFC 8252 7.3)."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from dunes.errors import UsageError
from sakina.oauth.errors import LoginTimedOut
from sakina.oauth.pkce import CALLBACK

IDLE_S = 5.0
"""Browsers open connections ahead and say nothing on them."""
QUERY_MAX = 8192
LOOK_S = 0.2
"""Ctrl-C is noticed within this."""
PAGE = b"""<!doctype html><meta charset="utf-8"><title>sakina</title>
<p>sakina has the answer. You can close this page and go back to the terminal.</p>
"""


class Loopback:
    """A listener for one callback.

    Args:
        port: 0: the kernel's choice.

    Raises:
        UsageError: the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._answers: queue.Queue[str] = queue.Queue()
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        except (OSError, OverflowError) as e:
            raise UsageError(
                f"cannot listen on 127.0.0.1:{port}: {e}",
                hint="--redirect-port with another number, or without",
                code="cannot-listen",
            ) from e
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            timeout = IDLE_S
            server_version = "sakina"
            sys_version = ""

            def do_GET(self) -> None:
                """Take the callback; everything else is not found."""
                parts = urlsplit(self.path)
                host = self.headers.get("host", "")
                known = host in {f"127.0.0.1:{loopback.port}", f"localhost:{loopback.port}"}
                if parts.path != CALLBACK or not known or len(parts.query) > QUERY_MAX:
                    self.send_error(404)
                    return
                self.send_response(200)
                for name, value in (
                    ("content-type", "text/html; charset=utf-8"),
                    ("content-length", str(len(PAGE))),
                    ("cache-control", "no-store"),
                    ("referrer-policy", "no-referrer"),
                    ("content-security-policy", "default-src 'none'"),
                    ("connection", "close"),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(PAGE)
                loopback._answers.put(parts.query)

            def log_message(self, *_: Any) -> None:
                """Log nothing: the request line holds the code."""

        return Handler

    def await_callback(self, timeout_s: float) -> str:
        """Wait for the browser; give the query that it came back with.

        Raises:
            LoginTimedOut: it did not come.
        """
        waited_s = 0.0
        while waited_s < timeout_s:
            try:
                return self._answers.get(timeout=LOOK_S)
            except queue.Empty:
                waited_s += LOOK_S
        raise LoginTimedOut(
            f"the browser did not come back within {timeout_s:g} s",
            hint="sakina auth-flow --flow device, for a browser on another machine",
        )

    @contextmanager
    def serving(self) -> Iterator["Loopback"]:
        """Listen until the block is left."""
        thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
