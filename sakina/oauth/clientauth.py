"""How a client shows who it is (RFC 6749 2.3.1, RFC 7523 2.2, OpenID Connect Core 9)."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus

from dunes.secrets import Secret
from sakina.oauth.discovery import Metadata
from sakina.oauth.errors import NoCredential
from sakina.oauth.jose import SigningKey

ASSERTION_S = 60
"""An assertion lives no longer; each attempt makes its own, as `jti` is good once."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Client:
    """Who logs in.

    Attributes:
        client_id: as registered at the issuer.
        secret: of a confidential client.
        key: in place of a secret.
    """

    client_id: str
    secret: Secret | None = None
    key: SigningKey | None = field(default=None, repr=False)

    @property
    def confidential(self) -> bool:
        """Whether it can show who it is."""
        return self.secret is not None or self.key is not None


def choose_method(client: Client, offered: tuple[str, ...]) -> str:
    """Choose among what the issuer takes; the safest that the client can do.

    Raises:
        NoCredential: the issuer takes nothing that the client has.
    """
    if client.key is not None:
        able: tuple[str, ...] = ("private_key_jwt",)
    elif client.secret is not None:
        able = ("client_secret_basic", "client_secret_post")
    else:
        return "none"
    for method in able:
        if method in offered:
            return method
    raise NoCredential(
        f"the issuer takes {', '.join(offered)}, and not {' or '.join(able)}",
        hint="sakina auth-flow --help: --client-secret-file, --client-key",
    )


def basic_header(client_id: str, secret: Secret) -> str:
    """Write the Basic header: both parts form-encoded first, then base64.

    Without the encoding a secret with `%`, `:` or `+` is another one at the other end.
    """
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.reveal())}"
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def make_assertion(client_id: str, key: SigningKey, audience: str, now_s: int) -> str:
    """Make a private_key_jwt for one attempt; the audience is the issuer."""
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(24),
        "iat": now_s,
        "exp": now_s + ASSERTION_S,
    }
    header = {"typ": "JWT"}
    if key.named:
        header["kid"] = key.kid
    return key.sign(header, claims)


def authenticate(
    client: Client, metadata: Metadata, form: Mapping[str, str], now_s: int
) -> tuple[dict[str, str], dict[str, str]]:
    """Add to a form who sends it.

    Returns:
        The form and the headers of one attempt; not to be sent twice.
    """
    method = choose_method(client, metadata.auth_methods)
    if method == "client_secret_basic" and client.secret is not None:
        return dict(form), {"authorization": basic_header(client.client_id, client.secret)}
    full = {**form, "client_id": client.client_id}
    if method == "client_secret_post" and client.secret is not None:
        full["client_secret"] = client.secret.reveal()
    elif method == "private_key_jwt" and client.key is not None:
        full["client_assertion_type"] = ASSERTION_TYPE
        full["client_assertion"] = make_assertion(
            client.client_id, client.key, metadata.issuer, now_s
        )
    return full, {}
