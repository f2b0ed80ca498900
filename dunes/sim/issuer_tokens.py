"""Tokens of the simulated identity provider: JWTs (RFC 9068), bound by DPoP (RFC 9449)."""

import hashlib
import hmac
import os
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from dunes.sim.issuer_records import Family, Records

ALGORITHM = "ES256"
ACCESS_S = 300
REFRESH_S = 8 * 3600
AUDIENCE = "urn:dunes:mission"
"""Whom a token is for, where nobody is named."""
PROOF_S = 120
NONCE_S = 300
PROOF_MAX = 8192


class BadProof(Exception):
    """A DPoP proof that does not hold."""


class NonceWanted(Exception):
    """A DPoP proof without the nonce of the day."""


@dataclass(slots=True)
class Mint:
    """Makes and checks the issuer's tokens.

    Attributes:
        issuer: its URL.
        key: ES256, with a kid.
        records: what is revoked.
    """

    issuer: str
    key: jwk.ECKey
    records: Records
    _nonce_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)

    def jwks(self) -> dict[str, Any]:
        """Give the public keys."""
        public = self.key.as_dict(private=False)
        return {"keys": [{**public, "use": "sig", "alg": ALGORITHM}]}

    def access_token(self, family: Family, now_s: int) -> str:
        """Make an access token."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": family.resource or AUDIENCE,
            "sub": family.user.name if family.user else family.client_id,
            "client_id": family.client_id,
            "iat": now_s,
            "exp": now_s + ACCESS_S,
            "jti": secrets.token_urlsafe(16),
            "scope": family.scope,
            "simulated": True,
        }
        if family.jkt:
            claims["cnf"] = {"jkt": family.jkt}
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self.key.kid}
        return jwt.encode(header, claims, self.key)

    def check(self, token: str, now_s: int) -> Mapping[str, Any] | None:
        """Give an access token's claims; None if it is not good any more."""
        try:
            claims = jwt.decode(token, self.key, [ALGORITHM]).claims
        except (JoseError, ValueError):
            return None
        record = self.records.tokens.get(token)
        good = record is not None and not record.family.revoked and claims["exp"] > now_s
        return claims if good else None

    # ------------------------------------------------------------------ proofs

    def nonce(self, now_s: float, back: int = 0) -> str:
        """Give the nonce of this span of time, or of one before."""
        span = int(now_s // NONCE_S) - back
        return hmac.new(self._nonce_key, str(span).encode(), hashlib.sha256).hexdigest()[:32]

    def check_proof(
        self, proof: str, method: str, path: str, now_s: float, *, access_token: str = ""
    ) -> str:
        """Check a DPoP proof (RFC 9449 4.3); give its key's thumbprint.

        Raises:
            BadProof: it does not hold.
            NonceWanted: it would, with the nonce.
        """
        key, claims = _open_proof(proof)
        here = urlsplit(self.issuer)
        there = urlsplit(str(claims.get("htu", "")))
        if claims.get("htm") != method:
            raise BadProof("htm")
        if urlunsplit((*there[:3], "", "")) != urlunsplit((*here[:2], path, "", "")):
            raise BadProof("htu")
        issued = claims.get("iat")
        if not isinstance(issued, int) or abs(now_s - issued) > PROOF_S:
            raise BadProof("iat")
        if access_token:
            digest = hashlib.sha256(access_token.encode()).digest()
            if claims.get("ath") != urlsafe_b64encode(digest).rstrip(b"=").decode():
                raise BadProof("ath")
        if claims.get("nonce") not in {self.nonce(now_s), self.nonce(now_s, 1)}:
            raise NonceWanted
        jti = claims.get("jti")
        if not isinstance(jti, str) or jti in self.records.proofs:
            raise BadProof("jti")
        self.records.proofs[jti] = now_s + 2 * PROOF_S
        return key.thumbprint()


def _open_proof(proof: str) -> tuple[jwk.ECKey, dict[str, Any]]:
    if len(proof) > PROOF_MAX:
        raise BadProof("too long")
    try:
        header = jws.extract_compact(proof.encode()).headers()
        public = header.get("jwk")
        if header.get("typ") != "dpop+jwt" or not isinstance(public, dict) or "d" in public:
            raise BadProof("header")
        key = jwk.ECKey.import_key(public)
        return key, jwt.decode(proof, key, [ALGORITHM]).claims
    except (JoseError, ValueError, TypeError, KeyError) as e:
        raise BadProof("signature") from e


def unix_s() -> float:
    """Give this machine's time: tokens of a fast site are good for as long as others."""
    return time.time()
