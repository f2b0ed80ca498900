"""Requests as authlib reads them, and answers as the site's server sends them."""

from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import InvalidClientError, OAuth2Payload, OAuth2Request

from dunes.sim.issuer_records import Client

MACHINE_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
METHODS = [*MACHINE_METHODS, "none"]


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: Any
    headers: list[tuple[str, str]]


class Payload(OAuth2Payload):
    """A request's parameters; the first of each name counts."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._lists: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in pairs:
            self._lists[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        """Give the values by name."""
        return {name: many[0] for name, many in self._lists.items()}

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """Give all values by name."""
        return self._lists


class Request(OAuth2Request):
    """A request as authlib reads it.

    The site serves on loopback without TLS, which authlib would refuse by the URL's scheme.
    """

    def __init__(self, method: str, query: str, body: str, headers: Mapping[str, str]) -> None:
        super().__init__(method, "https://127.0.0.1/", headers=headers)
        self._pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
        self._form = parse_qsl(body, keep_blank_values=True, max_num_fields=100)
        self.payload = Payload(self._pairs + self._form)
        self.jkt = ""

    @property
    def args(self) -> dict[str, str]:
        """Give the query's parameters."""
        return dict(self._pairs)

    @property
    def form(self) -> dict[str, str]:
        """Give the form's parameters."""
        return dict(self._form)


def read_basic(query_client: Callable[[str], Client | None], request: Request) -> Client | None:
    """Authenticate by Basic, decoding id and secret as RFC 6749 2.3.1 wants it."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = b64decode(text, validate=True).decode("ascii").partition(":")
    except ValueError:
        raise InvalidClientError(status_code=401, description="no Basic credentials") from None
    client = query_client(unquote_plus(client_id))
    if client is None or not client.check_client_secret(unquote_plus(secret)):
        raise InvalidClientError(status_code=401, description="unknown client or wrong secret")
    return client


def with_issuer(location: str, issuer: str) -> str:
    """Put `iss` into what a browser brings back (RFC 9207)."""
    return str(add_params_to_uri(location, [("iss", issuer)]))
