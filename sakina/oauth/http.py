"""Requests to an issuer: bounded in size and time, and its answers taken as data.

HTTPS, but for issuers on loopback. No redirect is followed: it could carry a secret to
another host. An answer may be HTML or empty; only a JSON object is believed.
"""

import ipaddress
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dunes.errors import ConfigError, UsageError
from dunes.text import printable
from sakina.oauth.errors import IssuerBusy, IssuerSilent, NotAnIssuer, WrongCertificate
from sakina.oauth.wait import SYSTEM_WAIT, Wait

if TYPE_CHECKING:
    import httpx

ANSWER_MAX_BYTES = 1 << 20
TIMEOUT_S = 15.0
"""Starlink's own hand-over between satellites costs seconds; more is an outage."""
EXCERPT = 120
TOO_MANY = 429
SERVER_ERROR = 500
REDIRECTS = range(300, 400)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, without asking any name server."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str, what: str) -> str:
    """Give a URL back if a secret may be sent there: https, or http on loopback.

    Raises:
        UsageError: another scheme, no host, a user name or a fragment.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    good = host and port != 0 and "@" not in parts.netloc and not parts.fragment
    if good and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        return url
    raise UsageError(
        f"{what} {printable(url, EXCERPT)!r} is no https URL",
        hint="https://host/path; http only on loopback",
        code="bad-issuer",
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What an issuer answered.

    Attributes:
        status: HTTP.
        body: its JSON object; empty if it sent none.
        headers: names in lower case.
        is_json: the body was a JSON object.
        ahead_s: how far this machine's clock is ahead of the issuer's, by its Date header.
    """

    status: int
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    is_json: bool
    ahead_s: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it is a success with a JSON object."""
        return 200 <= self.status < 300 and self.is_json  # noqa: PLR2004 - HTTP


class Http:
    """An HTTP client for issuers.

    Args:
        timeout_s: for one answer, from connecting to its last byte.
        ca_file: PEM authorities in place of the system's; empty: the system's.
        wait: clocks.
        transport: instead of the network, for tests.
    """

    def __init__(
        self,
        *,
        timeout_s: float = TIMEOUT_S,
        ca_file: str = "",
        wait: Wait = SYSTEM_WAIT,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        self.wait = wait
        self.timeout_s = timeout_s
        self._ca_file = ca_file
        self._transport = transport
        self._clients: dict[bool, httpx.Client] = {}

    def close(self) -> None:
        """End all connections."""
        for client in self._clients.values():
            client.close()

    def get(self, url: str) -> Answer:
        """Ask for a JSON document.

        Raises:
            IssuerSilent, IssuerBusy, NotAnIssuer, WrongCertificate: as their names say.
        """
        return self.request("GET", url)

    def post(
        self, url: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a form; its values are never shown."""
        return self.request("POST", url, form, headers)

    def request(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and read the whole answer.

        Raises:
            IssuerSilent: no connection, or no whole answer in time.
            IssuerBusy: 429 or a server error.
            WrongCertificate: TLS does not hold.
            NotAnIssuer: a redirect, or too long an answer.
        """
        import httpx

        check_url(url, "issuer's address")
        host = urlsplit(url).netloc
        deadline_s = self.wait.now_s() + self.timeout_s
        content = bytearray()
        try:
            with self._client(url).stream(
                method,
                url,
                data=dict(form) if form is not None else None,
                headers={
                    "accept": "application/json",
                    "accept-encoding": "identity",  # a kilobyte could unpack to a gigabyte
                    **(headers or {}),
                },
            ) as response:
                for piece in response.iter_raw():
                    content += piece
                    if len(content) > ANSWER_MAX_BYTES:
                        raise NotAnIssuer(f"{host} sent more than {ANSWER_MAX_BYTES} bytes")
                    if self.wait.now_s() > deadline_s:
                        raise self._silent(host)
        except httpx.ConnectTimeout as e:
            raise self._silent(host, sent=False) from e
        except httpx.TimeoutException as e:
            raise self._silent(host) from e
        except httpx.TransportError as e:
            if (reason := _tls_reason(e)) is not None:
                raise WrongCertificate(
                    f"{host} cannot be trusted: {printable(reason, EXCERPT)}",
                    hint="--ca-file FILE, if the issuer has an authority of its own",
                ) from e
            raise IssuerSilent(
                f"{host} cannot be reached: {printable(str(e), EXCERPT)}",
                hint="dunes starlink-status; then try again",
                sent=not isinstance(e, httpx.ConnectError),
            ) from e
        return self._judge(host, response, bytes(content))

    def _silent(self, host: str, *, sent: bool = True) -> IssuerSilent:
        return IssuerSilent(
            f"{host} gave no answer in {self.timeout_s:g} s",
            hint="dunes starlink-status",
            sent=sent,
        )

    def _client(self, url: str) -> "httpx.Client":
        import httpx

        local = is_loopback(urlsplit(url).hostname or "")
        if local not in self._clients:
            try:
                verify: ssl.SSLContext | bool = (
                    ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
                )
            except (OSError, ssl.SSLError) as e:
                raise ConfigError(
                    f"--ca-file {self._ca_file}: no certificates there", hint="a PEM file"
                ) from e
            self._clients[local] = httpx.Client(
                timeout=self.timeout_s,
                follow_redirects=False,
                verify=verify,
                trust_env=not local,
                transport=self._transport,
            )
        return self._clients[local]

    def _judge(self, host: str, response: "httpx.Response", content: bytes) -> Answer:
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        if status == TOO_MANY or status >= SERVER_ERROR:
            after_s = self._retry_after_s(headers)
            when = "" if after_s is None else f"; it may be asked again in {after_s:.0f} s"
            raise IssuerBusy(f"{host} answered {status}{when}", after_s)
        if status in REDIRECTS:
            target = urlsplit(headers.get("location", "")).netloc or "another page"
            raise NotAnIssuer(
                f"{host} redirects to {printable(target, EXCERPT)}; that is not followed",
                hint="is this network behind a login page of its own?",
            )
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = None
        is_json = isinstance(body, dict)
        return Answer(status, body if is_json else {}, headers, is_json, self._ahead_s(headers))

    def _ahead_s(self, headers: Mapping[str, str]) -> float | None:
        try:
            theirs = parsedate_to_datetime(headers["date"])
        except (KeyError, ValueError, TypeError):
            return None
        return None if theirs.tzinfo is None else self.wait.unix_s() - theirs.timestamp()

    def _retry_after_s(self, headers: Mapping[str, str]) -> float | None:
        """Read Retry-After: seconds, or a date (RFC 9110 10.2.3)."""
        text = headers.get("retry-after", "")
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        return None if at.tzinfo is None else max(0.0, at.timestamp() - self.wait.unix_s())


def _tls_reason(error: BaseException) -> str | None:
    """Find the TLS error below a transport error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message
        if isinstance(seen, ssl.SSLError):
            return seen.reason or "TLS failed"
        seen = seen.__cause__ or seen.__context__
    return "certificate verify failed" if "CERTIFICATE_VERIFY_FAILED" in str(error) else None
