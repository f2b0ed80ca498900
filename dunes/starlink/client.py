"""Ask a dish or router: one client over two transports.

Native gRPC is what SpaceX documents; gRPC-Web passes where its port is filtered and
needs nothing but HTTP. `auto` tries both and remembers which answered. Whatever
the libraries below raise becomes a `StarlinkError` in this file and nowhere else.
"""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from dunes.errors import UsageError
from dunes.site import Site, resolve
from dunes.starlink import grpcweb
from dunes.starlink.descriptors import HANDLE, DeviceApi, device_api
from dunes.starlink.errors import Reason, StarlinkError, failure, peer_text

GRPC = "grpc"
GRPC_WEB = "grpc-web"
AUTO = "auto"
TRANSPORTS = (AUTO, GRPC, GRPC_WEB)

PORTS = {
    ("dish", GRPC): 9200,
    ("dish", GRPC_WEB): 9201,
    ("router", GRPC): 9000,
    ("router", GRPC_WEB): 9001,
}

TIMEOUT_S = 4.0
"""A healthy device answers within 0.1 s; one that is off stays silent."""

NOT_GIVEN = frozenset({Reason.DENIED, Reason.UNIMPLEMENTED})
"""The device has spoken, and will not answer this request however it is asked."""

GRPC_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    # the defaults would keep a channel away for minutes after a long outage; the "min" of
    # the three stays at its 20 s, as it limits the connecting itself: a slow device is not gone
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.max_receive_message_length", grpcweb.BODY_MAX_BYTES),
]


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint of a device: its address as people know it, and where that leads.

    Attributes:
        role: the device expected there, `dish` or `router`.
        transport: `grpc` or `grpc-web`.
        host: as typed.
        port: the device's own.
        connect_host: the same, or the simulated site's.
        connect_port: likewise.
        simulated: what answers there is simulated.
    """

    role: str
    transport: str
    host: str
    port: int
    connect_host: str
    connect_port: int
    simulated: bool

    def __str__(self) -> str:
        """Write it for people, e.g. `dish 192.168.100.1:9200 (gRPC)`."""
        kind = "gRPC" if self.transport == GRPC else "gRPC-Web"
        return f"{self.role} {join_address(self.host, self.port)} ({kind})"


def targets(role: str, host: str, transport: str, site: Site | None) -> list[Target]:
    """List the endpoints to try for a device, in order.

    Raises:
        UsageError: an unknown transport.
    """
    if transport not in TRANSPORTS:
        raise UsageError(
            f"transport {transport!r} is unknown", hint=f"one of: {', '.join(TRANSPORTS)}"
        )
    chosen = (GRPC, GRPC_WEB) if transport == AUTO else (transport,)
    found = []
    for kind in chosen:
        port = PORTS[role, kind]
        there = resolve(host, port, site)
        found.append(Target(role, kind, host, port, *there))
    return found


def join_address(host: str, port: int) -> str:
    """Write `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Transport(Protocol):
    """Carries one serialised request to a device and its answer back."""

    def unary(self, raw: bytes, timeout_s: float) -> bytes:
        """Send a `Request`, give the `Response`; StarlinkError on any failure."""

    def close(self) -> None:
        """Let go of the connection."""


class NativeTransport:
    """gRPC over HTTP/2, by grpcio."""

    def __init__(self, host: str, port: int) -> None:
        import grpc

        self._address = (host, port)
        self._channel = grpc.insecure_channel(join_address(host, port), options=GRPC_OPTIONS)
        self._call = self._channel.unary_unary(
            HANDLE, request_serializer=bytes, response_deserializer=bytes
        )

    def unary(self, raw: bytes, timeout_s: float) -> bytes:
        """Send a `Request`, give the `Response`."""
        import grpc

        try:
            answer: bytes = self._call(raw, timeout=timeout_s)
        except grpc.RpcError as e:
            raise self._explain(e, timeout_s) from e
        return answer

    def _explain(self, error: Any, timeout_s: float) -> StarlinkError:
        import grpc

        code, text = error.code(), error.details() or ""
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return silent(timeout_s)
        if "Received http2 header with status" in text:
            return failure(Reason.NOT_STARLINK, "an HTTP/2 server that does not speak gRPC")
        if code is grpc.StatusCode.UNAVAILABLE:
            return closed(*self._address) or (
                failure(Reason.NOT_STARLINK, "something listens that does not speak gRPC")
                if "failed to connect" in text
                else failure(Reason.UNAVAILABLE, peer_text(text) or "the device is not ready")
            )
        return grpcweb.status_error(code.value[0], peer_text(text))

    def close(self) -> None:
        """Let go of the channel."""
        self._channel.close()


class WebTransport:
    """gRPC-Web over HTTP/1.1, by httpx."""

    def __init__(self, host: str, port: int) -> None:
        import httpx

        self._address = (host, port)
        self._answered = False
        self._http = httpx.Client(
            base_url=f"http://{join_address(host, port)}",
            headers={  # neither Referer nor Origin: a device answers foreign ones with nothing
                "accept": grpcweb.CONTENT_TYPE,
                "accept-encoding": "identity",
                "content-type": grpcweb.CONTENT_TYPE,
                "x-grpc-web": "1",
            },
            trust_env=False,  # no proxy stands on the way to a neighbour
            verify=False,  # noqa: S501 - plain HTTP only; building a TLS context costs 30 ms
            follow_redirects=False,
        )

    def unary(self, raw: bytes, timeout_s: float) -> bytes:
        """Send a `Request`, give the `Response`."""
        import httpx

        try:
            status, headers, body = self._post(grpcweb.encode_frame(raw), timeout_s)
        except httpx.TimeoutException as e:
            raise silent(timeout_s) from e
        except httpx.ConnectError as e:
            raise closed(*self._address) or failure(
                Reason.UNAVAILABLE, "the connection was not accepted"
            ) from e
        except httpx.HTTPError as e:
            reason = Reason.UNAVAILABLE if self._answered else Reason.NOT_STARLINK
            raise failure(reason, f"the connection broke: {peer_text(str(e))}") from e
        self._answered = True
        return grpcweb.read_answer(status, headers, body)

    def _post(self, body: bytes, timeout_s: float) -> tuple[int, dict[str, str], bytes]:
        """Send and read all, within `timeout_s` and `BODY_MAX_BYTES` as a whole."""
        import httpx

        deadline_s = time.monotonic() + timeout_s
        found = bytearray()
        with self._http.stream("POST", HANDLE, content=body, timeout=timeout_s) as answer:
            for chunk in answer.iter_bytes():
                found += chunk
                if len(found) > grpcweb.BODY_MAX_BYTES:
                    raise failure(
                        Reason.NOT_STARLINK, f"an answer of more than {len(found) - 1} bytes"
                    )
                if time.monotonic() > deadline_s:
                    raise httpx.ReadTimeout("the answer trickles")
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status_code, headers, bytes(found)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()


def silent(timeout_s: float) -> StarlinkError:
    """Make the error of a device that lets time pass."""
    return failure(Reason.TIMEOUT, f"no answer in {timeout_s:.3g} s")


def closed(host: str, port: int, timeout_s: float = 1.0) -> StarlinkError | None:
    """Ask the kernel why a connection fails; None if it does not.

    The libraries say it in words that change with their versions; the kernel has numbers.
    """
    try:
        socket.create_connection((host, port), timeout_s).close()
    except ConnectionRefusedError:
        return failure(Reason.REFUSED, "the port is closed")
    except TimeoutError:
        return failure(Reason.TIMEOUT, f"no connection in {timeout_s:.3g} s")
    except socket.gaierror as e:
        return failure(Reason.NO_ROUTE, f"the name does not resolve: {e.strerror}")
    except OSError as e:
        return failure(Reason.NO_ROUTE, f"{e.strerror or e}")
    return None


TRANSPORT_CLASSES: dict[str, type[NativeTransport] | type[WebTransport]] = {
    GRPC: NativeTransport,
    GRPC_WEB: WebTransport,
}


class DeviceClient:
    """Ask one device, by whichever of its endpoints answers.

    Attributes:
        used: the endpoint that answered last; None before.
    """

    def __init__(
        self,
        endpoints: Sequence[Target],
        *,
        timeout_s: float = TIMEOUT_S,
        api: DeviceApi | None = None,
    ) -> None:
        self._endpoints = list(endpoints)
        self._timeout_s = timeout_s
        self._api = api or device_api()
        self._open: dict[Target, Transport] = {}
        self.used: Target | None = None

    def ask(self, request: str, *, timeout_s: float | None = None) -> Any:
        """Ask for `request`, e.g. `get_status`, and give the `Response`.

        A device that cannot be reached by one endpoint is tried by the next, all
        within the one time limit. An answer, also a refusal, is an answer.

        Raises:
            StarlinkError: no endpoint gave a good answer; the message says how each failed.
        """
        raw = self._api.request(request).SerializeToString()
        deadline_s = time.monotonic() + (timeout_s or self._timeout_s)
        failures: list[StarlinkError] = []
        for tried, endpoint in enumerate(self._endpoints):
            left_s = max(deadline_s - time.monotonic(), 0.05) / (len(self._endpoints) - tried)
            try:
                response = self._api.response(self._transport(endpoint).unary(raw, left_s))
                grpcweb.check_status(response.status.code, peer_text(response.status.message))
            except StarlinkError as e:
                e.endpoint = e.endpoint or str(endpoint)
                failures.append(e)
                if e.reason in NOT_GIVEN:
                    self._remember(endpoint)
                    break  # the device has spoken
            else:
                self._remember(endpoint)
                return response
        raise combined(failures)

    def ask_status(self) -> Any:
        """Ask for `get_status`, or for `get_diagnostics` where the firmware gives no status.

        The latter is the one request that SpaceX documents; it identifies a device and
        says nothing of its link.

        Raises:
            StarlinkError: neither got a good answer.
        """
        try:
            return self.ask("get_status")
        except StarlinkError as e:
            if e.reason not in NOT_GIVEN:
                raise
        return self.ask("get_diagnostics")

    @property
    def simulated(self) -> bool:
        """Whether the simulated site stands at any of the endpoints."""
        return any(e.simulated for e in self._endpoints)

    def _transport(self, endpoint: Target) -> Transport:
        if endpoint not in self._open:
            make = TRANSPORT_CLASSES[endpoint.transport]
            self._open[endpoint] = make(endpoint.connect_host, endpoint.connect_port)
        return self._open[endpoint]

    def _remember(self, endpoint: Target) -> None:
        """Try first next time what answered this time."""
        self.used = endpoint
        self._endpoints.sort(key=lambda e: e != endpoint)

    def close(self) -> None:
        """Let go of all connections."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Self:
        """Use it in a `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def combined(failures: Sequence[StarlinkError]) -> StarlinkError:
    """Make one error of those of each endpoint: of the kind that tells most, naming all."""
    telling = [f for f in failures if f.reason not in {Reason.REFUSED, Reason.TIMEOUT}]
    main = (telling or list(failures))[0]
    if len(failures) == 1:
        error = failure(main.reason, main.detail, endpoint=main.endpoint)
    else:
        error = failure(main.reason, "; ".join(f"{f.endpoint}: {f.detail}" for f in failures))
    error.__cause__ = main
    return error
