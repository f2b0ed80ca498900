"""Compact JWS with ML-DSA-65, and keys as JWK of type AKP: RFC 7515, RFC 7517, RFC 9964. Pure.

One algorithm is accepted; what the header says is compared with it and never chosen from
(RFC 8725, 3.1). Signing is pure ML-DSA over the signing input with the empty context, as
RFC 9964 has it: the input is base64url text, so it is none of the bytes that a DSSE
envelope signs under the same context.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dunes.crypto.compactjws import BadToken, b64url, put_together, take_apart, unb64url
from dunes.crypto.errors import BadKeyFile, BadSignature, SuiteRefused
from dunes.crypto.signing import SUITE_ALGORITHM, SigningKey, VerifyKey, is_kid

KTY = "AKP"
CONTEXT = b""
HEADER_KEYS = frozenset({"alg", "kid", "typ", "iat"})
"""No `jwk`, `jku`, `x5c`, `crit`: a token brings no key along and asks for no extension."""


@dataclass(frozen=True, slots=True)
class Compact:
    """A compact JWS as read; nothing is verified yet.

    Attributes:
        header: checked: the one algorithm, a key id, a type.
        payload: as signed; empty in a detached one.
        signing_input: what is signed.
        signature: 3309 bytes.
    """

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    @property
    def kid(self) -> str:
        """Who claims to have signed."""
        return str(self.header["kid"])

    def verify(self, key: VerifyKey) -> None:
        """Check the signature.

        Raises:
            BadSignature: another key than the header names, or not signed by it.
        """
        if key.kid != self.kid:
            raise BadSignature(f"the token names key {self.kid}, not {key.kid}")
        if key.algorithm.name != SUITE_ALGORITHM:
            raise SuiteRefused(f"an {key.algorithm.name} key signs no tokens here")
        key.verify(self.signature, self.signing_input, CONTEXT)


def sign_compact(payload: bytes, key: SigningKey, typ: str, **header: Any) -> str:
    """Make a compact JWS."""
    return _sign(payload, key, typ, header, detached=False)


def sign_detached(payload: bytes, key: SigningKey, typ: str, **header: Any) -> str:
    """Make a compact JWS whose payload is left away (RFC 7515, appendix F)."""
    return _sign(payload, key, typ, header, detached=True)


def _sign(
    payload: bytes, key: SigningKey, typ: str, header: Mapping[str, Any], *, detached: bool
) -> str:
    if key.algorithm.name != SUITE_ALGORITHM:
        raise SuiteRefused(f"an {key.algorithm.name} key signs no tokens here")
    head = {"alg": SUITE_ALGORITHM, "kid": key.kid, "typ": typ, **header}
    return put_together(head, payload, lambda data: key.sign(data, CONTEXT), detached=detached)


def read_compact(text: str, typ: str, *, detached: bytes | None = None) -> Compact:
    """Take a compact JWS apart.

    Args:
        text: three parts with dots between.
        typ: the type that it has to have (RFC 8725, 3.11).
        detached: the payload, of one that comes without.

    Raises:
        BadToken: not a JWS, too long, a header that is not the one we write.
        SuiteRefused: another algorithm, `none` among them.
    """
    parts = take_apart(text.strip(), detached=detached)
    header = parts.header
    if header.get("alg") != SUITE_ALGORITHM:
        said = str(header.get("alg"))[:40]
        raise SuiteRefused(
            f"the token is signed with {said!r}; only {SUITE_ALGORITHM} is accepted"
        )
    if extra := sorted(set(header) - HEADER_KEYS):
        raise BadToken(f"the token's header has {str(extra[0])[:40]!r}, which is not accepted")
    if not is_kid(header.get("kid")):
        raise BadToken("the token's header names no key id (32 hex digits)")
    if header.get("typ") != typ:
        raise BadToken(f"the token is of type {str(header.get('typ'))[:40]!r}, not {typ}")
    return Compact(header, parts.payload, parts.signing_input, parts.signature)


def jwk_of(key: VerifyKey) -> dict[str, str]:
    """Write a public key as a JWK (RFC 9964: `kty` AKP, `alg` mandatory)."""
    return {
        "kty": KTY,
        "alg": key.algorithm.name,
        "kid": key.kid,
        "pub": b64url(key.raw),
    }


def key_of(jwk: Mapping[str, Any]) -> VerifyKey:
    """Read a public key from a JWK.

    Raises:
        BadKeyFile: another type, another algorithm, a wrong length, or a private key.
    """
    if jwk.get("kty") != KTY or jwk.get("alg") != SUITE_ALGORITHM:
        raise BadKeyFile(f"not a JWK of type {KTY} for {SUITE_ALGORITHM}")
    if "priv" in jwk:
        raise BadKeyFile("this JWK holds a private key; only public ones are given to others")
    try:
        return VerifyKey.from_raw(unb64url(str(jwk.get("pub", ""))))
    except BadToken as e:
        raise BadKeyFile("the JWK's pub is not base64url") from e
