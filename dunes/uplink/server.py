"""The ground station on the network: TLS and uvicorn under its application.

The socket is opened here and not by uvicorn's own server, which would take over the
signals of the process.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import uvicorn
from uvicorn.server import ServerState

from dunes.errors import UsageError
from dunes.uplink.app import GroundApp
from dunes.uplink.ground import GroundStation
from dunes.uplink.guard import GuardedProtocol
from dunes.uplink.tls import Certificate, server_context

KEEP_ALIVE_S = 300
"""At a round trip of a second and more, five seconds (the usual) would end live links."""
CONNECTIONS_MAX = 512
DRAIN_S, DRAIN_STEP_S = 5.0, 0.02
"""At the end, how long requests under way may take."""


@dataclass(frozen=True, slots=True)
class Running:
    """A ground station that listens.

    Attributes:
        host: where.
        port: where; the kernel's choice if 0 was asked for.
        kid: the key that signs its receipts.
        public_key: that key, PEM.
        tls_sha256: its certificate's fingerprint.
    """

    host: str
    port: int
    kid: str
    public_key: str
    tls_sha256: str

    @property
    def url(self) -> str:
        """Its address for gateways."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


@contextlib.asynccontextmanager
async def serving(
    station: GroundStation,
    host: str,
    port: int,
    certificate: Certificate,
    *,
    on_event: Callable[[str], None] = lambda _text: None,
) -> AsyncIterator[Running]:
    """Serve a ground station until the block is left; requests under way are finished.

    Raises:
        UsageError: the address cannot be listened on.
    """
    app = GroundApp(station, on_event)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=CONNECTIONS_MAX,
        ws="none",
        server_header=False,
        date_header=False,
        proxy_headers=False,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listener = _listen(host, port)
    context = server_context(certificate)
    server = await loop.create_server(
        partial(GuardedProtocol, config=config, server_state=state, app_state={}),
        sock=listener,
        ssl=context,
        backlog=CONNECTIONS_MAX,
    )
    address = listener.getsockname()
    key = station.public
    try:
        yield Running(address[0], address[1], key.kid, key.pem, certificate.sha256)
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        for _ in range(int(DRAIN_S / DRAIN_STEP_S)):
            if state.connections:
                await asyncio.sleep(DRAIN_STEP_S)
        for connection in list(state.connections):
            connection.transport.abort()
        await server.wait_closed()
        await loop.run_in_executor(None, app.close)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=CONNECTIONS_MAX)
    except OSError as e:
        raise UsageError(
            f"cannot listen on {host}:{port}: {e.strerror}",
            hint="choose another --listen HOST:PORT",
            code="cannot-listen",
        ) from e
    # asyncio sets this only on sockets made with an explicit protocol number; accepted
    # ones inherit it. Without it each answer waits 40 ms for a delayed acknowledgement
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
