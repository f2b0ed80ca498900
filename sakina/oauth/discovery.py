"""What an issuer offers: OpenID Connect Discovery 1.0 and RFC 8414, strictly.

The issuer in the document must be the one that was asked for, to the letter. Otherwise
whoever answers there could let tokens of one issuer be sent to another (RFC 9700 4.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from dunes.errors import UsageError
from dunes.text import printable
from sakina.oauth.errors import NotAnIssuer, WrongIssuer
from sakina.oauth.http import EXCERPT, Http, check_url, is_loopback

ENDPOINTS = (
    "token_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
    "jwks_uri",
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """An issuer and where its doors are; empty where it has none.

    Attributes:
        issuer: its name, to the letter.
        token_endpoint: tokens.
        authorization_endpoint: where a browser goes.
        device_authorization_endpoint: RFC 8628.
        revocation_endpoint: RFC 7009.
        jwks_uri: its keys.
        auth_methods: how clients may show who they are.
        scopes: what it knows; empty if it does not say.
        dpop_algorithms: RFC 9449; empty if it has none.
        answers_iss: it puts `iss` into the callback (RFC 9207).
    """

    issuer: str
    token_endpoint: str
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    jwks_uri: str = ""
    auth_methods: tuple[str, ...] = ("client_secret_basic",)
    scopes: tuple[str, ...] = ()
    dpop_algorithms: tuple[str, ...] = ()
    answers_iss: bool = False


def well_known(issuer: str) -> list[str]:
    """Say where an issuer's metadata may lie: OpenID first, then RFC 8414 3.1."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")

    def at(place: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, place, "", ""))

    return [
        at(f"{path}/.well-known/openid-configuration"),
        at(f"/.well-known/oauth-authorization-server{path}"),
    ]


def discover(http: Http, issuer: str) -> Metadata:
    """Ask an issuer what it offers.

    Raises:
        UsageError: `issuer` is no https URL.
        NotAnIssuer: what answers there publishes no metadata.
        WrongIssuer: it is another one.
        IssuerSilent, IssuerBusy, WrongCertificate: see `Http`.
    """
    check_url(issuer, "issuer")
    if urlsplit(issuer).query:
        raise UsageError("an issuer's URL has no query", hint="--issuer https://host/path")
    for url in well_known(issuer):
        answer = http.get(url)
        if answer.ok:
            return parse_metadata(answer.body, issuer)
    host = urlsplit(issuer).netloc
    raise NotAnIssuer(
        f"{host} publishes no OAuth metadata ({answer.status}"
        f"{'' if answer.is_json else ', and no JSON'})",
        hint=f"is {printable(issuer, EXCERPT)} the issuer's exact URL?",
    )


def parse_metadata(body: Mapping[str, Any], issuer: str) -> Metadata:
    """Read a metadata document that must be of `issuer`.

    Raises:
        WrongIssuer: it is of another.
        NotAnIssuer: something is missing or not what it has to be.
    """
    named = body.get("issuer")
    if named != issuer:
        raise WrongIssuer(
            f"asked for the issuer {printable(issuer, EXCERPT)}, "
            f"and it calls itself {printable(str(named), EXCERPT)}",
            hint="give the issuer's exact URL, with or without the last slash",
        )
    places: dict[str, str] = {}
    for name in ENDPOINTS:
        url = body.get(name, "")
        if not isinstance(url, str):
            raise NotAnIssuer(f"the issuer's {name} is no text")
        if url:
            try:
                check_url(url, name)
            except UsageError as e:
                raise NotAnIssuer(f"the issuer's {e.message}") from e
            parts = urlsplit(url)
            if parts.scheme == "http" and not is_loopback(urlsplit(issuer).hostname or ""):
                raise NotAnIssuer(f"the issuer's {name} is on loopback, and the issuer is not")
        places[name] = url
    if not places["token_endpoint"]:
        raise NotAnIssuer("the issuer names no token_endpoint")
    return Metadata(
        issuer=issuer,
        **places,
        auth_methods=_texts(body, "token_endpoint_auth_methods_supported")
        or ("client_secret_basic",),
        scopes=_texts(body, "scopes_supported"),
        dpop_algorithms=_texts(body, "dpop_signing_alg_values_supported"),
        answers_iss=body.get("authorization_response_iss_parameter_supported") is True,
    )


def _texts(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = body.get(name, [])
    if not isinstance(value, list):
        raise NotAnIssuer(f"the issuer's {name} is no list")
    return tuple(item for item in value if isinstance(item, str))


def request_keys(http: Http, metadata: Metadata) -> list[Any]:
    """Fetch the issuer's public keys (RFC 7517).

    Raises:
        NotAnIssuer: it has none.
    """
    if not metadata.jwks_uri:
        raise NotAnIssuer("the issuer names no jwks_uri, so nothing it signs can be checked")
    answer = http.get(metadata.jwks_uri)
    keys = answer.body.get("keys")
    if not answer.ok or not isinstance(keys, list):
        raise NotAnIssuer("the issuer's jwks_uri gives no keys")
    return keys
