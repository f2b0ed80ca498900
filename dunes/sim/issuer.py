"""The site's identity provider: a real OAuth 2.0 and OpenID Connect server on loopback.

It knows three clients: `sakina`, a native program without a secret; a service account, whose
id and secret lie in `identity/service-account.json`; and `gateway`, which signs assertions
with the key in `identity/gateway-key.pem`. Key, secret and port are those of the last run;
who was logged in before a restart has to log in again. It comes with the extra `sim`.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from dunes.paths import write_atomic
from dunes.sim.controlserver import QuietServer
from dunes.sim.issuer_records import DEVICE_CODE, Client, Records, User, new_secret

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

    from dunes.sim.issuer_app import IssuerApp

HOST = "127.0.0.1"
PERSON = ("authorization_code", "refresh_token", DEVICE_CODE)
SERVICE_ACCOUNT = "service-account.json"
GATEWAY_KEY = "gateway-key.pem"
KEEP_ALIVE_S = 30


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider that serves.

    Attributes:
        url: its issuer.
        folder: its files.
        records: what it remembers.
    """

    url: str
    folder: Path
    records: Records

    def describe(self) -> dict[str, str]:
        """Describe it for `site.json`."""
        return {"issuer": self.url, "service_account": str(self.folder / SERVICE_ACCOUNT)}

    def decide(self, user_code: str, user: str, *, approve: bool) -> tuple[str, str]:
        """Approve or refuse a login on another screen; give its code and client."""
        from dunes.sim.issuer_tokens import unix_s

        login = self.records.decide(user_code, User(user), unix_s(), approve=approve)
        return login.user_code, login.client_id


@contextlib.asynccontextmanager
async def start_issuer(
    folder: Path, on_event: Callable[[str], None]
) -> AsyncIterator[Issuer | None]:
    """Run the identity provider until the block is left; None without the extra `sim`."""
    try:
        from dunes.sim.issuer_app import IssuerApp
        from dunes.sim.issuer_server import IssuerServer
        from dunes.sim.issuer_tokens import Mint
    except ImportError as e:
        on_event(f"no identity provider: {e.name} is not installed (pip install dunes-mcp[sim])")
        yield None
        return
    listener = _listen(folder / "port")
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    key = _key(folder / "issuer-key.pem", "site-1")
    records = Records(_clients(folder))
    app = IssuerApp(IssuerServer(Mint(url, key, records)))
    async with _serve(app, listener):
        yield Issuer(url, folder, records)


def _clients(folder: Path) -> dict[str, Client]:
    """Read or make the registered clients."""
    path = folder / SERVICE_ACCOUNT
    if not path.exists():
        account = {
            "simulated": True,
            "client_id": "site-service-account",
            "client_secret": new_secret(),
        }
        write_atomic(path, (json.dumps(account, indent=2) + "\n").encode())
    account = json.loads(path.read_bytes())
    gateway = _key(folder / GATEWAY_KEY, "gateway-1")
    public = gateway.as_dict(private=False)
    found = [
        Client(
            "sakina",
            "sakina on this gateway",
            ("none",),
            PERSON,
            redirect_uris=("http://127.0.0.1/callback",),
        ),
        Client(
            str(account["client_id"]),
            "the site's service account",
            ("client_secret_basic", "client_secret_post"),
            ("client_credentials",),
            secret=str(account["client_secret"]),
        ),
        Client(
            "gateway",
            "a gateway with a key",
            ("private_key_jwt",),
            ("client_credentials",),
            jwks={"keys": [public]},
        ),
    ]
    return {client.client_id: client for client in found}


def _key(path: Path, kid: str) -> "ECKey":
    from joserfc.jwk import ECKey

    if not path.exists():
        made = ECKey.generate_key("P-256", private=True)
        write_atomic(path, made.as_pem(private=True))
    return ECKey.import_key(path.read_bytes(), {"kid": kid})


def _listen(memory: Path) -> socket.socket:
    """Listen at the port of the last run, if it is free, so that stored logins find us."""
    memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError, ValueError):
        return socket.create_server((HOST, int(memory.read_text())))
    listener = socket.create_server((HOST, 0))
    write_atomic(memory, f"{listener.getsockname()[1]}\n".encode())
    return listener


@contextlib.asynccontextmanager
async def _serve(app: "IssuerApp", listener: socket.socket) -> AsyncIterator[None]:
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    server = QuietServer(config)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(0.005)
        try:
            yield
        finally:
            server.should_exit = True
