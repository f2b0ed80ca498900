"""The ground station's HTTP face: an ASGI application over its store.

    POST /v1/streams/{gateway}/{table}          a batch; the answer is a batch of one RECEIPT
    GET  /v1/streams/{gateway}/{table}/receipt  ?epoch=…   a RECEIPT
    GET  /v1/streams/{gateway}/{table}/heads    JSON: per stream and lane, what is held
    GET  /v1/streams/{gateway}/{table}/hashes   ?epoch=…&lane=…&after=…  JSON: frame hashes
    POST /v1/gateways/{gateway}/key             a chain of key documents: a rotated key
    POST /v1/gateways/{gateway}/log             a checkpoint to countersign; a signature line
    GET  /v1/identity                           JSON: the key that signs receipts
    GET  /healthz                               JSON: can it store?

It reads the request, finds out who asks, and has the answer made (`resources`) in the
thread that may: a request never waits for another's disk in the event loop.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dunes.errors import DunesError
from dunes.model import NAME
from dunes.uplink import resources
from dunes.uplink.admission import Admission
from dunes.uplink.answers import Answer, Refusal, refusal_of
from dunes.uplink.enroll import Enrolled
from dunes.uplink.ground import GroundStation
from dunes.uplink.protocol import BATCH_MAX_BYTES
from dunes.uplink.request import Bodies, Receive, Request, Scope, epoch_of
from dunes.uplink.succession import parse_chain, succeed

Send = Callable[[Mapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

GATEWAY_BODY_MAX_BYTES = 512 * 1024
_GATEWAY = re.compile(r"/v1/gateways/([^/]{1,64})/(key|log)")
_STREAM = re.compile(r"/v1/streams/([^/]{1,64})/([a-z][a-z0-9_]{0,62})(?:/([a-z]+))?")


@dataclass(slots=True)
class GroundApp:
    """The ASGI application over a ground station's store.

    Attributes:
        station: the store.
        on_event: told one line per refusal or problem, for the log.
        writer: the one thread that writes.
        reader: the threads that read meanwhile.
        admission: says who may come in.
        bodies: the request bodies in memory.
    """

    station: GroundStation
    on_event: Callable[[str], None] = lambda _text: None
    writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "store"))
    reader: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "read"))
    admission: Admission = field(init=False)
    bodies: Bodies = field(default_factory=Bodies)

    def __post_init__(self) -> None:
        """Open the door."""
        self.admission = Admission(self.station)

    def close(self) -> None:
        """End the threads, once what they do is done."""
        self.admission.close()
        self.writer.shutdown()
        self.reader.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        request, close = Request(scope, receive), False
        try:
            answer = await self._serve(request)
        except Refusal as e:
            answer, close = e.answer, e.close
            self.on_event(f"{request.method} {request.path[:200]}: {answer.status} {e}")
        except DunesError as e:
            answer = refusal_of(e).answer
            self.on_event(f"{request.method} {request.path[:200]}: {answer.status} {e.message}")
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

    async def _serve(self, request: Request) -> Answer:
        match request.method, request.path:
            case "GET", "/healthz":
                return await self._write(resources.health, self.station)
            case "GET", "/v1/identity":
                return resources.identity(self.station)
        found = _GATEWAY.fullmatch(request.path)
        if found is not None and NAME.fullmatch(found[1]):
            gateway = await self._identify(request, found[1])
            return await self._of_gateway(request, gateway, found[2])
        found = _STREAM.fullmatch(request.path)
        if found is not None and NAME.fullmatch(found[1]):
            gateway = await self._identify(request, found[1])
            return await self._of_stream(request, gateway, found[2], found[3] or "")
        raise Refusal(404, "no-such-path", "nothing is served there")

    async def _of_gateway(self, request: Request, gateway: Enrolled, what: str) -> Answer:
        if request.method != "POST":
            raise _no_such_method(request)
        async with self.bodies.whole(request, GATEWAY_BODY_MAX_BYTES) as body:
            if what == "key":
                return await self._succeed(gateway, body)
            return await self._write(resources.countersigned, self.station, gateway, body)

    async def _of_stream(
        self, request: Request, gateway: Enrolled, table: str, what: str
    ) -> Answer:
        if request.method == "POST" and not what:
            await self._read(self.admission.require_delivery, gateway.gateway, table)
            epoch = epoch_of(request.header(b"dunes-epoch"))
            async with self.bodies.whole(request, BATCH_MAX_BYTES) as body:
                return await self._write(
                    resources.deliver, self.station, gateway, table, epoch, body
                )
        read = resources.STREAM_READS.get(what)
        if request.method != "GET" or read is None:
            raise _no_such_method(request)
        return await self._read(read, self.station, gateway.gateway, table, request.query)

    async def _succeed(self, gateway: Enrolled, body: bytes) -> Answer:
        chain = await self._read(parse_chain, body)
        station = self.station
        kid = await self._write(succeed, station.data, station.buffer, gateway, chain)
        if kid != gateway.kid:
            self.on_event(f"gateway {gateway.gateway} signs with key {kid} from now on")
        return resources.signs_with(gateway, kid)

    async def _identify(self, request: Request, name: str) -> Enrolled:
        authorization = request.header(b"authorization")
        return await self._read(self.admission.identify, authorization, name)

    async def _write(self, call: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.writer, call, *given)

    async def _read(self, call: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.reader, call, *given)


def _no_such_method(request: Request) -> Refusal:
    return Refusal(405, "no-such-method", f"{request.method} is not served there")
