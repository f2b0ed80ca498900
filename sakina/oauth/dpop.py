"""Proof of possession (RFC 9449): a token that is worth nothing without our key."""

import hashlib
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from dunes.crypto.compactjws import b64url
from sakina.oauth.jose import SigningKey

ALGORITHM = "ES256"


@dataclass(slots=True)
class Prover:
    """Makes proofs with one key, and remembers each server's latest nonce.

    Attributes:
        key: ES256.
        nonces: by scheme and host (RFC 9449 8).
    """

    key: SigningKey
    nonces: dict[str, str] = field(default_factory=dict)

    def proof(self, method: str, url: str, now_s: int, *, access_token: str = "") -> str:
        """Make the proof for one request.

        Args:
            method: e.g. `POST`.
            url: where it goes; query and fragment are left out (4.2).
            now_s: seconds since 1970 UTC.
            access_token: for a resource; its hash goes in.
        """
        parts = urlsplit(url)
        claims: dict[str, str | int] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")),
            "iat": now_s,
        }
        if access_token:
            digest = hashlib.sha256(access_token.encode("ascii", "replace")).digest()
            claims["ath"] = b64url(digest)
        if nonce := self.nonces.get(_origin(url)):
            claims["nonce"] = nonce
        return self.key.sign({"typ": "dpop+jwt", "jwk": self.key.jwk()}, claims)

    def learn(self, url: str, nonce: str) -> bool:
        """Take a nonce that a server gave; tell whether it is new."""
        origin = _origin(url)
        new = bool(nonce) and self.nonces.get(origin) != nonce
        if new:
            self.nonces[origin] = nonce
        return new


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
