"""Authorization code with PKCE through a browser (RFC 7636, RFC 8252, RFC 9207). No IO."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from dunes.crypto.compactjws import b64url
from dunes.secrets import Secret
from sakina.oauth.discovery import Metadata
from sakina.oauth.errors import ForgedCallback, IssuerRefused, LoginDeclined, NotAnIssuer
from sakina.oauth.tokens import shown

CALLBACK = "/callback"
VERIFIER_BYTES = 48
"""64 characters; RFC 7636 4.1 wants 43 to 128."""


@dataclass(frozen=True, slots=True)
class BrowserLogin:
    """One login on its way through a browser.

    Attributes:
        redirect_uri: where the browser comes back.
        state: ties the callback to this login.
        nonce: ties the id_token to it.
        verifier: ties the code to this process.
    """

    redirect_uri: str
    state: str
    nonce: str
    verifier: Secret

    @classmethod
    def begin(cls, port: int) -> "BrowserLogin":
        """Throw the dice for a login that comes back to `port` of 127.0.0.1."""
        return cls(
            f"http://127.0.0.1:{port}{CALLBACK}",
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(24),
            Secret(secrets.token_urlsafe(VERIFIER_BYTES)),
        )

    def url(self, metadata: Metadata, client_id: str, more: Mapping[str, str]) -> str:
        """Give the page that a person is sent to.

        Args:
            metadata: of the issuer.
            client_id: ours.
            more: scope, resource, login_hint, prompt; empty ones are left out.

        Raises:
            NotAnIssuer: the issuer has no such page.
        """
        if not metadata.authorization_endpoint:
            raise NotAnIssuer("the issuer names no authorization_endpoint", hint="--flow device")
        query = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": challenge(self.verifier),
            "code_challenge_method": "S256",
            **{name: value for name, value in more.items() if value},
        }
        if "openid" in more.get("scope", "").split():
            query["nonce"] = self.nonce
        parts = urlsplit(metadata.authorization_endpoint)
        joined = "&".join(filter(None, [parts.query, urlencode(query)]))
        return urlunsplit((parts.scheme, parts.netloc, parts.path, joined, ""))

    def take_callback(self, query: str, metadata: Metadata) -> Secret:
        """Judge what the browser brought back, and give the code.

        Args:
            query: of the callback's URL.
            metadata: of the issuer.

        Raises:
            ForgedCallback: `state` or `iss` is not of this login.
            LoginDeclined: the person said no.
            IssuerRefused: another error.
        """
        values = parse_qs(query, keep_blank_values=True, max_num_fields=20)
        if any(len(many) != 1 for many in values.values()):
            raise ForgedCallback("the browser brought a parameter twice")
        given = {name: many[0] for name, many in values.items()}
        if not hmac.compare_digest(given.get("state", "").encode(), self.state.encode()):
            raise ForgedCallback(
                "the browser came back from another login (state)", hint="sakina auth-flow again"
            )
        issuer = given.get("iss")
        if (issuer is None and metadata.answers_iss) or issuer not in {None, metadata.issuer}:
            raise ForgedCallback(
                "the browser came back from another issuer (iss)", hint="sakina auth-flow again"
            )
        if error := given.get("error"):
            if error == "access_denied":
                raise LoginDeclined("the login was declined")
            said = shown(given.get("error_description", ""), [])
            raise IssuerRefused(f"the issuer refuses ({shown(error, [])}) {said}", error=error)
        if not given.get("code"):
            raise ForgedCallback("the browser came back without a code")
        return Secret(given["code"])

    def form(self, code: Secret) -> dict[str, str]:
        """Give the form that redeems the code, once."""
        return {
            "grant_type": "authorization_code",
            "code": code.reveal(),
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier.reveal(),
        }


def challenge(verifier: Secret) -> str:
    """Derive the challenge of method S256."""
    return b64url(hashlib.sha256(verifier.reveal().encode("ascii")).digest())
