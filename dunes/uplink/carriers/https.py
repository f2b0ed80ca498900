"""Batches over HTTPS: one POST each, over connections that stay open."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Self

import httpx

from dunes.errors import ConfigError, Denied, PeerError
from dunes.mu.witness import OldSize
from dunes.text import printable
from dunes.uplink.carriers import Busy, NoAnswer, NoGroundStation, TooLarge
from dunes.uplink.errors import BadReceipt, BadRecord, Conflict, OtherKey
from dunes.uplink.protocol import split_batch
from dunes.uplink.tls import client_context
from dunes.uplink.window import WINDOW_MAX

if TYPE_CHECKING:
    import ssl

    from dunes.secrets import Secret

KEEP_ALIVE_S = 300.0
"""httpx's own 5 s ends connections that are in use where a round trip takes a second."""
CONNECT_TIMEOUT_S = 15.0
ANSWER_TIMEOUT_S = 60.0
"""Between a batch's last byte and its receipt, or two parts of either."""
PIECE_BYTES = 64 * 1024
"""A body is handed over in pieces, so that progress is seen while a slow link takes it."""
ANSWER_MAX_BYTES = 4 * 1024 * 1024
CONNECTIONS_MAX = WINDOW_MAX + 8
ALERT_CONNECTIONS = 2
"""An alert that comes while two are under way waits for an answer: no longer than a new
connection would take."""
BATCH_TYPE = "application/vnd.dunes.batch"

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504, 507})


@dataclass(slots=True)
class HttpsCarrier:
    """Carries batches to one ground station.

    Attributes:
        url: its address, without a path.
        client: httpx, with TLS and timeouts set.
        alerts: another one, with connections that nothing but alerts goes by: a new one takes
            two round trips, and one with a batch under way takes another.
        api_key: opens the door.
        on_activity: called whenever a byte went out or came in.
    """

    url: str
    client: httpx.AsyncClient
    alerts: httpx.AsyncClient
    api_key: "Secret"
    on_activity: Callable[[], None] = lambda: None

    @classmethod
    def open(
        cls,
        url: str,
        api_key: "Secret",
        *,
        ca_file: str = "",
        tls_sha256: str = "",
        proxy: str = "",
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Self:
        """Make a carrier; nothing is connected before the first request.

        Args:
            url: `https://host:port`.
            api_key: of this gateway.
            ca_file: PEM authorities in place of the system's.
            tls_sha256: the one certificate to trust instead.
            proxy: an HTTP proxy's URL; none is used unless it is named here.
            connect_timeout_s: for TCP and TLS.
            answer_timeout_s: for silence within a request.

        Raises:
            ConfigError: the URL or a file.
        """
        context = client_context(ca_file=ca_file, tls_sha256=tls_sha256)
        client, alerts = (
            make_client(
                url, context, proxy, connect_timeout_s, answer_timeout_s, connections=connections
            )
            for connections in (CONNECTIONS_MAX, ALERT_CONNECTIONS)
        )
        return cls(url.rstrip("/"), client, alerts, api_key)

    async def warm(self, gateway: str, table: str) -> None:
        """Open the alerts' connections before there is one.

        Raises:
            DunesError: what went wrong with the first that failed.
        """
        path = f"/v1/streams/{gateway}/{table}/heads"
        asks = [self._request("GET", path, client=self.alerts) for _ in range(ALERT_CONNECTIONS)]
        await asyncio.gather(*asks)

    async def post(
        self, gateway: str, table: str, epoch: bytes, batch: bytes, *, alert: bool = False
    ) -> bytes:
        """Carry a batch; give the encoded receipt."""
        headers = {
            "content-type": BATCH_TYPE,
            "content-length": str(len(batch)),
            "dunes-epoch": epoch.hex(),
        }
        path, client = f"/v1/streams/{gateway}/{table}", self.alerts if alert else self.client
        body = await self._request("POST", path, headers, self._pieces(batch), client=client)
        return _one_record(body)

    async def ask(self, gateway: str, table: str, epoch: bytes) -> bytes:
        """Ask what the ground station holds of a stream; give the encoded receipt."""
        path = f"/v1/streams/{gateway}/{table}/receipt?epoch={epoch.hex()}"
        return _one_record(await self._request("GET", path))

    async def heads(self, gateway: str, table: str) -> Any:
        """Ask which streams and heads the ground station holds (its JSON)."""
        return _json(await self._request("GET", f"/v1/streams/{gateway}/{table}/heads"))

    async def hashes(
        self, gateway: str, table: str, epoch: bytes, lane: int, after_no: int
    ) -> list[tuple[int, bytes]]:
        """Ask for the hashes of its frames after a number, some thousands at a time."""
        query = f"epoch={epoch.hex()}&lane={lane}&after={after_no}"
        body = _json(await self._request("GET", f"/v1/streams/{gateway}/{table}/hashes?{query}"))
        try:
            return [(int(no), bytes.fromhex(digest)) for no, digest in body["hashes"]]
        except (TypeError, ValueError, KeyError) as e:
            raise NoGroundStation("the list of hashes does not parse") from e

    async def countersign(self, gateway: str, request: bytes) -> bytes:
        """Have a checkpoint of the receipts' log countersigned; give the signature line.

        Raises:
            OldSize: the ground station countersigned another size last.
        """
        headers = {"content-type": "text/plain", "content-length": str(len(request))}
        return await self._request(
            "POST", f"/v1/gateways/{gateway}/log", headers, self._pieces(request)
        )

    async def introduce(self, gateway: str, chain: bytes) -> None:
        """Show the documents of this gateway's keys (`dunes.uplink.succession`)."""
        headers = {"content-type": "application/json", "content-length": str(len(chain))}
        await self._request("POST", f"/v1/gateways/{gateway}/key", headers, self._pieces(chain))

    async def aclose(self) -> None:
        """End all connections."""
        await asyncio.gather(self.client.aclose(), self.alerts.aclose())

    async def _pieces(self, batch: bytes) -> AsyncIterator[bytes]:
        view = memoryview(batch)
        for at in range(0, len(view), PIECE_BYTES):
            yield bytes(view[at : at + PIECE_BYTES])
            self.on_activity()

    async def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        content: AsyncIterator[bytes] | None = None,
        *,
        client: httpx.AsyncClient | None = None,
    ) -> bytes:
        all_headers = {"authorization": f"Bearer {self.api_key.reveal()}"} | (headers or {})
        try:
            async with (client or self.client).stream(
                method, self.url + path, headers=all_headers, content=content
            ) as response:
                body = await self._read(response)
        except httpx.HTTPError as e:
            raise no_answer(self.url, e) from None  # its text could quote a header
        if response.status_code != httpx.codes.OK:
            _refused(response, body)
        return body

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            self.on_activity()
            body += part
            if len(body) > ANSWER_MAX_BYTES:
                raise NoGroundStation(f"an answer of over {ANSWER_MAX_BYTES} bytes")
        return bytes(body)


def make_client(
    url: str,
    context: "ssl.SSLContext",
    proxy: str = "",
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    answer_timeout_s: float = ANSWER_TIMEOUT_S,
    *,
    connections: int = CONNECTIONS_MAX,
) -> httpx.AsyncClient:
    """Make an HTTP client that uses no environment: no proxies, no netrc, no key logs.

    Raises:
        ConfigError: the URL is not https, or cannot be one.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as e:
        raise ConfigError(
            f"destination {printable(url, 200)!r}: {e}", hint="write it as https://host:port"
        ) from e
    if parsed.scheme != "https" or not parsed.host or parsed.path not in {"", "/"}:
        raise ConfigError(
            f"destination {printable(url, 200)!r} is not an https address without a path",
            hint="write it as https://host:port",
        )
    return httpx.AsyncClient(
        verify=context,
        trust_env=False,
        proxy=proxy or None,
        timeout=httpx.Timeout(answer_timeout_s, connect=connect_timeout_s, pool=None),
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEP_ALIVE_S,
        ),
    )


def no_answer(url: str, error: httpx.HTTPError) -> NoAnswer | Denied:
    """Say why nothing came back."""
    cause = _root(error)
    text = printable(str(cause) or type(error).__name__, 200)
    if type(cause).__name__ in {"WrongCertificate", "SSLCertVerificationError"}:
        return Denied(
            f"{url} shows another certificate than the trusted one: {text}",
            hint="compare with what the ground station prints, then mcp init --tls-sha256",
            code="wrong-certificate",
        )
    kind = "does not answer" if isinstance(error, httpx.TimeoutException) else "is unreachable"
    return NoAnswer(f"{url} {kind}: {text}")


def _root(error: BaseException) -> BaseException:
    """Give the innermost cause: `Connection refused` says more than what wraps it."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, ExceptionGroup):
        return _root(error.exceptions[0])
    return error


def _refused(response: httpx.Response, body: bytes) -> NoReturn:
    """Turn an HTTP error into one of ours."""
    status = response.status_code
    error = _error_body(body)
    message = printable(str(error.get("message") or response.reason_phrase or "no reason"), 300)
    if status in _BUSY:
        raise Busy(f"the ground station answers {status}: {message}", _retry_after(response))
    match status:
        case 401 | 403:
            raise Denied(
                f"the ground station refuses this gateway: {message}",
                hint="there: sakina scope-list --data DIR"
                if error.get("code") == "not-authorised"
                else "enrol it there: mcp ground-station enroll",
                code=str(error.get("code") or "refused")[:40],
            )
        case 409 if error.get("code") == "conflict":
            raise Conflict(_whole(error.get("lane")), _whole(error.get("no")))
        case 409 if error.get("code") == OldSize.code:
            raise OldSize(_whole(error.get("size")))
        case 400 if error.get("code") == OtherKey.code:
            raise OtherKey(f"the ground station refuses the signature: {message}")
        case 413:
            raise TooLarge(_whole(error.get("limit_bytes")) or ANSWER_MAX_BYTES)
        case 400 if "index" in error:
            raise BadRecord(_whole(error["index"]), message)
        case 400 | 404 | 405 | 411 if error:
            raise PeerError(f"the ground station refuses the request: {message}")
    raise NoGroundStation(
        f"{response.url.host} answers HTTP {status}, as no ground station does: "
        f"{printable(body[:60].decode('utf-8', 'replace'))!r}",
        hint="check the destination's address",
    )


def _error_body(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _retry_after(response: httpx.Response) -> float | None:
    """Read Retry-After, in seconds; an hour at most, whoever asks for it."""
    try:
        return min(3600.0, max(0.0, float(response.headers.get("retry-after", ""))))
    except ValueError:
        return None


def _one_record(body: bytes) -> bytes:
    """Take the one record out of an answer.

    Raises:
        NoGroundStation: the body is no batch: HTML, say, or cut.
    """
    try:
        records = [record for _, record in split_batch(body)]
    except BadRecord as e:
        raise NoGroundStation(
            f"the answer is not a receipt ({e.why}): {printable(repr(body[:60]))}",
            hint="is there a proxy or a captive portal in front of the ground station?",
        ) from e
    if len(records) != 1:
        raise BadReceipt(f"the answer holds {len(records)} records where one receipt is due")
    return records[0]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as e:
        raise NoGroundStation(f"the answer is not JSON: {printable(repr(body[:60]))}") from e


async def request_identity(client: httpx.AsyncClient, url: str) -> tuple[str, str]:
    """Ask a ground station for the key that signs its receipts.

    Returns:
        The public key as PEM, and its key document, empty if it gives none; neither is
        checked here.

    Raises:
        NoAnswer: nothing there.
        NoGroundStation: something else.
    """
    try:
        response = await client.get(url.rstrip("/") + "/v1/identity")
    except httpx.HTTPError as e:
        raise no_answer(url, e) from None
    if response.status_code != httpx.codes.OK:
        _refused(response, response.content)
    body = _json(response.content[:ANSWER_MAX_BYTES])
    if not isinstance(body, dict) or not isinstance(body.get("public_key"), str):
        raise NoGroundStation(f"{url} does not say which key signs its receipts")
    document = body.get("document")
    return body["public_key"], document if isinstance(document, str) else ""
