"""A firmware catalogue behind HTTPS: what `dunes firmware add` wrote, on any web server.

TLS says whose server it is; who made the firmware says the signature of its manifest.
Nothing is followed elsewhere, and nothing longer than it may be is read.
"""

import json
import re
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from dunes.errors import DataError, NotFound, PeerError, Unavailable, UsageError
from dunes.firmware.catalogue import ENTRIES_MAX, INDEX, INDEX_MAX_BYTES, INDEX_SCHEMA
from dunes.text import printable
from dunes.uplink.tls import client_context

_PLACE = re.compile(r"[a-z0-9][a-z0-9._+-]{0,80}/[A-Za-z0-9][A-Za-z0-9._@-]{0,80}")


@dataclass(slots=True)
class Web:
    """A catalogue at an address.

    Args:
        name: the address, `https://…`.
        ca_file: PEM file of authorities to trust instead of the system's.
        tls_sha256: of the one certificate to trust instead.
        timeout_s: how long one answer may take.
    """

    name: str
    ca_file: str = ""
    tls_sha256: str = ""
    timeout_s: float = 10.0
    _context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            UsageError: it is none that is allowed.
        """
        parts = urlsplit(self.name)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.query:
            raise UsageError(
                f"{printable(self.name, 80)!r} is no address of a firmware catalogue",
                hint="https://HOST/PATH, without user name or query",
            )
        self.name = self.name.rstrip("/")
        self._context = client_context(ca_file=self.ca_file, tls_sha256=self.tls_sha256)

    def places(self) -> list[str]:
        """Ask for the index.

        Raises:
            Unavailable: no answer.
            PeerError: no index there.
        """
        try:
            return _read_index(self.read(INDEX, INDEX_MAX_BYTES))
        except NotFound as e:
            raise PeerError(f"{self.name} is no firmware catalogue: it has no {INDEX}") from e
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
            raise PeerError(
                f"{self.name}/{INDEX} is no index of firmware: {printable(str(e), 80)}"
            ) from e

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Fetch a file.

        Raises:
            NotFound: the server has none.
            DataError: it is longer than it may be.
            Unavailable: no answer, or not from whom it should come.
            PeerError: another answer than the file.
        """
        address = f"{self.name}/{name}"
        data = bytearray()
        try:
            with (
                httpx.Client(
                    verify=self._context, timeout=self.timeout_s, trust_env=False
                ) as client,
                client.stream("GET", address, follow_redirects=False) as response,
            ):
                if response.status_code == httpx.codes.NOT_FOUND:
                    raise NotFound(f"no file {address}", hint="dunes firmware list")
                if response.status_code != httpx.codes.OK:
                    raise PeerError(f"{address} answers {response.status_code}")
                for part in response.iter_bytes():
                    data += part
                    if len(data) > limit_bytes:
                        raise DataError(f"{address} is longer than {limit_bytes} bytes")
        except httpx.RemoteProtocolError as e:
            raise Unavailable(
                f"{address} ended after {len(data)} bytes", hint="try again", code="catalogue-cut"
            ) from e
        except httpx.HTTPError as e:
            raise Unavailable(
                f"{address}: {printable(str(e), 120) or type(e).__name__}",
                hint="curl -I " + self.name,
                code="catalogue-unreachable",
            ) from e
        return bytes(data)


def _read_index(data: bytes) -> list[str]:
    """Read an index; raises ValueError and its kin for what is none."""
    body: dict[str, Any] = json.loads(data)
    places = body["places"]
    if body["schema"] != INDEX_SCHEMA or len(places) > ENTRIES_MAX:
        raise ValueError("another schema, or too many entries")
    if not all(_PLACE.fullmatch(place) for place in places):
        raise ValueError("an entry that is no place of firmware")
    return sorted(set(places))
