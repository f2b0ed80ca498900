"""The control endpoint of the site: a table of requests over HTTP on loopback."""

import contextlib
import hmac
import inspect
import json
import socket
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

import msgspec
import uvicorn

from dunes.errors import DunesError
from dunes.sim.control import (
    BODY_MAX_BYTES,
    ApproveRequest,
    CutRequest,
    EventRequest,
    FaultRequest,
    LinkRequest,
    Nothing,
    SpeedRequest,
)


class Route(NamedTuple):
    """What is asked, and who answers."""

    request: type[Any]
    answer: Callable[[Any], Any]


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture nothing: the site ends all its servers itself."""
        yield


def routes(site: Any) -> dict[tuple[str, str], Route]:
    """Give the table of requests of a `SimulatedSite`."""
    return {
        ("GET", "/v1/status"): Route(Nothing, lambda _: site.state()),
        ("GET", "/v1/made"): Route(Nothing, lambda _: site.made_state()),
        ("GET", "/v1/mesh"): Route(Nothing, lambda _: site.mesh.state()),
        ("POST", "/v1/fault"): Route(FaultRequest, site.mesh.fault),
        ("POST", "/v1/cut"): Route(CutRequest, site.cut),
        ("POST", "/v1/restore"): Route(Nothing, lambda _: site.restore()),
        ("POST", "/v1/speed"): Route(SpeedRequest, lambda r: site.set_speed(r.speed)),
        ("POST", "/v1/event"): Route(EventRequest, lambda r: site.trigger(r.kind)),
        ("POST", "/v1/link"): Route(LinkRequest, site.set_link),
        ("POST", "/v1/approve"): Route(ApproveRequest, site.approve),
        ("POST", "/v1/stop"): Route(Nothing, lambda _: site.stop()),
    }


class ControlApp:
    """The ASGI application.

    Args:
        table: requests by method and path.
        token: what a request must bring.
    """

    def __init__(self, table: Mapping[tuple[str, str], Route], token: str) -> None:
        self._table = table
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more and len(body) <= BODY_MAX_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, answer = await self._answer(scope, body)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", str(len(answer)).encode()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Mapping[str, Any], body: bytes) -> tuple[int, bytes]:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if not hmac.compare_digest(given, self._wanted):
            return 401, _error("a token is needed: it is in site.json")
        if (route := self._table.get((scope["method"], scope["path"]))) is None:
            return 404, _error("no such request")
        if len(body) > BODY_MAX_BYTES:
            return 413, _error(f"a request has at most {BODY_MAX_BYTES} bytes")
        try:
            request = msgspec.json.decode(body or b"{}", type=route.request)
            result = route.answer(request)
            if inspect.isawaitable(result):
                result = await result
            return 200, msgspec.json.encode(result)
        except (msgspec.DecodeError, DunesError) as e:
            return 400, _error(str(e))


def _error(text: str) -> bytes:
    return json.dumps({"error": text}).encode()


def make_server(app: ControlApp) -> tuple[QuietServer, socket.socket, str]:
    """Make the server on a free port of loopback.

    Returns:
        The server (run `serve(sockets=[listener])`), its listener, its URL.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    return QuietServer(config), listener, f"http://127.0.0.1:{listener.getsockname()[1]}"
