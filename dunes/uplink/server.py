"""The ground station on the network: a small ASGI application, and uvicorn under it.

    POST /v1/streams/{gateway}/{table}          a batch; the answer is a batch of one RECEIPT
    GET  /v1/streams/{gateway}/{table}/receipt  ?epoch=…   a RECEIPT
    GET  /v1/streams/{gateway}/{table}/heads    JSON: per stream and lane, what is held
    GET  /v1/streams/{gateway}/{table}/hashes   ?epoch=…&lane=…&after=…  JSON: frame hashes
    POST /v1/gateways/{gateway}/key             a chain of key documents: a rotated key
    POST /v1/gateways/{gateway}/log             a checkpoint to countersign; a signature line
    GET  /v1/identity                           JSON: the key that signs receipts
    GET  /healthz                               JSON: can it store?

Errors are JSON: `{"error": {"code": …, "message": …}}`, with `index` (400: which
record), `limit_bytes` (413), `size` (409 old-size), and the header Retry-After (429, 503).
"""

import asyncio
import base64
import contextlib
import json
import re
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs

import uvicorn
from uvicorn.server import ServerState

from dunes import __version__
from dunes.authority.gate import Gate, NotAuthorised
from dunes.errors import DunesError, NotFound, StorageError, StorageFull, UsageError
from dunes.model import NAME
from dunes.mu.witness import OldSize
from dunes.uplink.countersign import countersign
from dunes.uplink.enroll import Enrolled, Standing, find_gateway
from dunes.uplink.errors import BadRecord, Conflict
from dunes.uplink.ground import HASHES_MAX, GroundStation
from dunes.uplink.grounddir import ground_paths
from dunes.uplink.guard import GuardedProtocol
from dunes.uplink.permission import may_deliver
from dunes.uplink.protocol import BATCH_MAX_BYTES, EPOCH_DIGITS, LANES, encode_batch
from dunes.uplink.succession import parse_chain, succeed
from dunes.uplink.tls import Certificate, server_context

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

KEEP_ALIVE_S = 300
"""At a round trip of a second and more, five seconds (the usual) would end live links."""
CONNECTIONS_MAX = 512
IN_MEMORY_MAX_BYTES = 64 * 1024 * 1024
"""Batches being received, all together; above it a sender is asked to wait."""
CHUNK_TIMEOUT_S = 60.0
"""Longest silence within a body."""
BODY_MIN_BYTES_S = 100.0
"""Slower than this, after the first minute, is nobody's link."""
BUSY_RETRY_S = 2
DRAIN_S, DRAIN_STEP_S = 5.0, 0.02
"""At the end, how long requests under way may take."""

BATCH_TYPE = b"application/vnd.dunes.batch"
GATEWAY_BODY_MAX_BYTES = 512 * 1024
_GATEWAY = re.compile(r"/v1/gateways/([^/]{1,64})/(key|log)")
_STREAM = re.compile(r"/v1/streams/([^/]{1,64})/([a-z][a-z0-9_]{0,62})(?:/([a-z]+))?")


class Answer(NamedTuple):
    """A response."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refusal(Exception):
    """A request that is not served; caught by the application itself."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        retry_s = more.pop("retry_s", None)
        self.close = more.pop("close", False)
        body = {"error": {"code": code, "message": message} | more}
        headers = [] if retry_s is None else [(b"retry-after", str(retry_s).encode())]
        if status == 401:  # noqa: PLR2004 - RFC 9110 wants the scheme named
            headers.append((b"www-authenticate", b'Bearer realm="dunes"'))
        self.answer = Answer(status, json.dumps(body).encode(), headers=tuple(headers))


def _as_json(schema: str, **fields: Any) -> Answer:
    return Answer(200, json.dumps({"schema": schema} | fields).encode())


@dataclass(slots=True)
class GroundApp:
    """The ASGI application over a ground station's store.

    Attributes:
        station: the store.
        pool: one thread writes, another reads: a request never waits for the event loop.
        on_event: told one line per refusal or problem, for the log.
    """

    station: GroundStation
    on_event: Callable[[str], None] = lambda _text: None
    writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "store"))
    reader: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "read"))
    gate: Gate = field(init=False)
    _in_memory_bytes: int = 0

    def __post_init__(self) -> None:
        """Point at the station's own policies."""
        self.gate = Gate(ground_paths(self.station.data), signer=self.station.signer)

    def close(self) -> None:
        """End the threads, once what they do is done."""
        self.gate.flush()
        self.writer.shutdown()
        self.reader.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        close = False
        try:
            answer = await self._serve(scope, receive)
        except Refusal as e:
            answer, close = e.answer, e.close
            self.on_event(f"{scope['method']} {scope['path'][:200]}: {answer.status} {e}")
        except DunesError as e:
            answer = self._error(e).answer
            self.on_event(f"{scope['method']} {scope['path'][:200]}: {answer.status} {e.message}")
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
            *answer.headers,
        ]
        if close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _error(self, error: DunesError) -> Refusal:
        """Say an error of ours in HTTP."""
        match error:
            case BadRecord():
                return Refusal(400, error.code, error.message, index=error.index)
            case Conflict():
                return Refusal(409, error.code, error.message, lane=error.lane, no=error.no)
            case OldSize():
                return Refusal(409, error.code, error.message, size=error.size)
            case StorageFull():
                return Refusal(507, error.code, error.message)
            case StorageError():
                return Refusal(503, error.code, "the store failed", retry_s=5)
        unknown = isinstance(error, NotFound)
        return Refusal(404 if unknown else 400, error.code, error.message)

    async def _serve(self, scope: Scope, receive: Receive) -> Answer:
        method, path = scope["method"], scope["path"]
        plain: dict[tuple[str, str], Callable[[], Awaitable[Answer]]] = {
            ("GET", "/healthz"): self._health,
            ("GET", "/v1/identity"): self._identity,
        }
        if (handler := plain.get((method, path))) is not None:
            return await handler()
        if (found := _GATEWAY.fullmatch(path)) is not None and NAME.fullmatch(found[1]):
            gateway = await self._authenticate(scope, found[1])
            if method != "POST":
                raise Refusal(405, "no-such-method", f"{method} is not served there")
            async with self._whole_body(scope, receive, GATEWAY_BODY_MAX_BYTES) as body:
                if found[2] == "key":
                    return await self._succeed(gateway, body)
                line = await self._write(countersign, self.station, gateway, body)
            return Answer(200, line, b"text/plain; charset=utf-8")
        found = _STREAM.fullmatch(path)
        if found is None or not NAME.fullmatch(found[1]):
            raise Refusal(404, "no-such-path", "nothing is served there")
        gateway = await self._authenticate(scope, found[1])
        query = parse_qs(scope["query_string"].decode("ascii", "replace"))
        table, what = found[2], found[3]
        if (method, what) == ("POST", None):
            return await self._post(scope, receive, gateway, table)
        reads: dict[str | None, Callable[..., Awaitable[Answer]]] = {
            "receipt": self._receipt,
            "heads": self._heads,
            "hashes": self._hashes,
        }
        if method == "GET" and what in reads:
            return await reads[what](gateway.gateway, table, query)
        raise Refusal(405, "no-such-method", f"{method} is not served there")

    async def _write(self, call: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.writer, call, *given)

    async def _read(self, call: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.reader, call, *given)

    async def _authenticate(self, scope: Scope, name: str) -> Enrolled:
        """Find out who asks; a stranger learns nothing, not even which names exist."""
        given = _header(scope, b"authorization")
        scheme, _, token = given.partition(" ")
        gateway = await self._read(find_gateway, self.station.buffer, name)
        opened = gateway is not None and gateway.opens_with(token.strip())
        if scheme.lower() != "bearer" or gateway is None or not opened:
            raise Refusal(
                401, "not-enrolled", "no gateway of that name and API key is enrolled", close=True
            )
        if gateway.standing is not Standing.ENROLLED:
            raise Refusal(
                403, "revoked", f"gateway {name} may not write here any more", close=True
            )
        return gateway

    # -- writing --------------------------------------------------------------------------

    async def _post(self, scope: Scope, receive: Receive, gateway: Enrolled, table: str) -> Answer:
        decision = await self._read(may_deliver, self.gate, gateway.gateway, table)
        if not decision.allow:
            raise Refusal(403, NotAuthorised.code, decision.reason, close=True)
        epoch = _epoch(_header(scope, b"dunes-epoch"))
        async with self._whole_body(scope, receive, BATCH_MAX_BYTES) as body:
            receipt, _ = await self._write(self.station.take, gateway, table, epoch, body)
        return Answer(200, encode_batch([receipt.encoded]), BATCH_TYPE)

    @contextlib.asynccontextmanager
    async def _whole_body(
        self, scope: Scope, receive: Receive, limit_bytes: int
    ) -> AsyncIterator[bytes]:
        """Give the body; it counts as being in memory until the block is left."""
        announced = _length(_header(scope, b"content-length"))
        if announced > limit_bytes:
            raise _too_large(limit_bytes)
        if self._in_memory_bytes + announced > IN_MEMORY_MAX_BYTES:
            raise Refusal(503, "busy", "too much at once", retry_s=BUSY_RETRY_S, close=True)
        self._in_memory_bytes += announced
        try:
            yield await _body(receive, announced)
        finally:
            self._in_memory_bytes -= announced

    async def _succeed(self, gateway: Enrolled, body: bytes) -> Answer:
        chain = await self._read(parse_chain, body)
        station = self.station
        kid = await self._write(succeed, station.data, station.buffer, gateway, chain)
        if kid != gateway.kid:
            self.on_event(f"gateway {gateway.gateway} signs with key {kid} from now on")
        return _as_json("dunes.ground-key/1", gateway=gateway.gateway, kid=kid)

    # -- reading --------------------------------------------------------------------------

    async def _receipt(self, gateway: str, table: str, query: Mapping[str, list[str]]) -> Answer:
        epoch = _epoch(_one(query, "epoch"))
        receipt = await self._read(self.station.receipt, gateway, table, epoch)
        return Answer(200, encode_batch([receipt.encoded]), BATCH_TYPE)

    async def _heads(self, gateway: str, table: str, _query: object) -> Answer:
        streams = await self._read(self.station.streams_of, gateway, table)
        rows = [
            {
                "epoch": stream.epoch.hex(),
                "lanes": {
                    str(lane): {
                        "cum": held.said.cum,
                        "cum_msg": held.said.cum_msg,
                        "cum_hash": held.said.cum_hash.hex(),
                        "max_seen": held.said.max_seen,
                        "gaps": held.said.gaps,
                        "known_to": held.said.known_to,
                        "frames": held.frames,
                        "readings": held.readings,
                        "dropped": held.dropped,
                        "head": None
                        if held.head is None
                        else base64.b64encode(held.head.encoded).decode(),
                    }
                    for lane, held in lanes.items()
                },
            }
            for stream, lanes in streams
        ]
        station = self.station.public.kid
        return _as_json(
            "dunes.ground-heads/1", gateway=gateway, table=table, station=station, streams=rows
        )

    async def _hashes(self, gateway: str, table: str, query: Mapping[str, list[str]]) -> Answer:
        epoch = _epoch(_one(query, "epoch"))
        lane = _number(_one(query, "lane"), max(LANES))
        after_no = _number(_one(query, "after") or "0", 2**63 - 1)
        found = await self._read(
            self.station.hashes, gateway, table, epoch, lane, after_no, HASHES_MAX
        )
        rows = [[no, digest.hex()] for no, digest in found]
        return _as_json("dunes.ground-hashes/1", lane=lane, hashes=rows)

    async def _identity(self) -> Answer:
        key = self.station.public
        return _as_json(
            "dunes.station/1",
            kid=key.kid,
            public_key=key.pem,
            document=self.station.document.decode("utf-8"),
            version=__version__,
        )

    async def _health(self) -> Answer:
        used = await self._write(_probe, self.station)
        free = shutil.disk_usage(self.station.data).free
        quota = self.station.quota_bytes
        healthy = used is not None and used < quota and free > BATCH_MAX_BYTES
        answer = _as_json(
            "dunes.ground-health/1",
            status="ok" if healthy else "failing" if used is None else "full",
            writable=used is not None,
            used_bytes=used,
            quota_bytes=quota,
            free_bytes=free,
            station=self.station.public.kid,
            version=__version__,
        )
        return answer if healthy else answer._replace(status=503)


def _probe(station: GroundStation) -> int | None:
    """Make sure that a transaction can be begun; give the bytes in use, or None."""
    from dunes.buffer.quota import live_bytes

    try:
        with station.buffer.writing() as connection:
            return live_bytes(connection)
    except StorageError:
        return None


def _header(scope: Scope, name: bytes) -> str:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


def _one(query: Mapping[str, list[str]], name: str) -> str:
    return query.get(name, [""])[0]


def _epoch(text: str) -> bytes:
    if len(text) != EPOCH_DIGITS or re.fullmatch("[0-9a-f]+", text) is None:
        raise Refusal(400, "bad-epoch", "the epoch is 32 hex digits", close=True)
    return bytes.fromhex(text)


def _number(text: str, most: int) -> int:
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > most:
        raise Refusal(400, "bad-number", f"a number from 0 to {most} is missing")
    return int(text)


def _length(text: str) -> int:
    if re.fullmatch("[0-9]{1,12}", text) is None:
        raise Refusal(411, "length-required", "Content-Length is missing", close=True)
    return int(text)


def _too_large(limit_bytes: int) -> Refusal:
    return Refusal(
        413,
        "too-large",
        f"a body has at most {limit_bytes} bytes here",
        limit_bytes=limit_bytes,
        close=True,
    )


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
