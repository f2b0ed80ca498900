"""Signed JSON: make ES256 signatures, check those of others (RFC 7515, 7517, 7518, 7519).

Only what an OAuth client needs. A key decides which algorithms it may be used with, never
the token's header: so `none` is no algorithm, and an RSA or EC public key is never taken
for the secret of an HMAC.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from dunes.crypto import compactjws
from dunes.crypto.compactjws import b64url, unb64url
from dunes.errors import DataError
from sakina.oauth.errors import BadToken

KEYS_MAX = 100
RSA_BITS = range(2048, 8193)
EC_CURVES: dict[str, tuple[str, type[ec.EllipticCurve], hashes.HashAlgorithm, int]] = {
    # crv: its one algorithm (RFC 7518 3.4), curve, hash, bytes of a coordinate
    "P-256": ("ES256", ec.SECP256R1, hashes.SHA256(), 32),
    "P-384": ("ES384", ec.SECP384R1, hashes.SHA384(), 48),
}
RSA_ALGORITHMS: dict[str, tuple[bool, hashes.HashAlgorithm]] = {
    # alg: PSS or PKCS #1 v1.5, hash
    "RS256": (False, hashes.SHA256()),
    "RS384": (False, hashes.SHA384()),
    "RS512": (False, hashes.SHA512()),
    "PS256": (True, hashes.SHA256()),
    "PS384": (True, hashes.SHA384()),
    "PS512": (True, hashes.SHA512()),
}
EDDSA = frozenset({"EdDSA", "Ed25519"})
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Jws:
    """A compact JWS, taken apart; nothing is checked yet.

    Attributes:
        header: its protected header.
        claims: the payload.
        signed: what the signature is over.
        signature: its bytes.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def parse_jws(token: str) -> Jws:
    """Take a compact JWS with a JSON payload apart.

    Raises:
        BadToken: it is none.
    """
    try:
        parts = compactjws.take_apart(token)
        claims = compactjws.read_object(parts.payload, "payload")
    except compactjws.BadToken as e:
        raise BadToken(e.message) from e
    if "crit" in parts.header:
        raise BadToken("the token demands an extension that is not known here")
    return Jws(parts.header, claims, parts.signing_input, parts.signature)


def peek_claims(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Read header and claims of what may be a JWT, unchecked; None if it is none."""
    try:
        jws = parse_jws(token)
    except BadToken:
        return None
    return jws.header, jws.claims


def read_jwk(jwk: Mapping[str, Any]) -> PublicKey | None:
    """Read a public key; None if it is of a kind that is not used here.

    Raises:
        BadToken: it is damaged, or weak.
    """
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "EC", str(crv) if crv in EC_CURVES:
                _, curve, _, size = EC_CURVES[crv]
                x, y = unb64url(jwk["x"]), unb64url(jwk["y"])
                if len(x) != size or len(y) != size:
                    raise BadToken("an EC key of the issuer has coordinates of a wrong length")
                return ec.EllipticCurvePublicNumbers(
                    int.from_bytes(x), int.from_bytes(y), curve()
                ).public_key()
            case "OKP", "Ed25519":
                return ed25519.Ed25519PublicKey.from_public_bytes(unb64url(jwk["x"]))
            case "RSA", _:
                n = int.from_bytes(unb64url(jwk["n"]))
                if n.bit_length() not in RSA_BITS:
                    raise BadToken(f"an RSA key of the issuer has {n.bit_length()} bits")
                return rsa.RSAPublicNumbers(int.from_bytes(unb64url(jwk["e"])), n).public_key()
    except (KeyError, ValueError, TypeError, AttributeError, compactjws.BadToken) as e:
        raise BadToken("a key of the issuer is damaged") from e
    return None


def algorithms_of(key: PublicKey) -> frozenset[str]:
    """Name the algorithms that a key may be used with."""
    if isinstance(key, rsa.RSAPublicKey):
        return frozenset(RSA_ALGORITHMS)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return EDDSA
    return frozenset({EC_CURVES[_crv(key)][0]})


def _crv(key: ec.EllipticCurvePublicKey) -> str:
    return {"secp256r1": "P-256", "secp384r1": "P-384"}[key.curve.name]


def check_signature(jws: Jws, key: PublicKey) -> None:
    """Check a JWS with a key.

    Raises:
        BadToken: not signed by it, or with an algorithm that is not the key's.
    """
    algorithm = jws.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms_of(key):
        raise BadToken(f"the token's algorithm {str(algorithm)[:20]!r} is not one of its key")
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(jws.signature, jws.signed)
        elif isinstance(key, rsa.RSAPublicKey):
            pss, hash_ = RSA_ALGORITHMS[algorithm]
            pad = padding.PSS(padding.MGF1(hash_), hash_.digest_size) if pss else _PKCS1
            key.verify(jws.signature, jws.signed, pad, hash_)
        else:
            _, _, hash_, size = EC_CURVES[_crv(key)]
            if len(jws.signature) != 2 * size:
                raise BadToken("the token's signature has a wrong length")
            r, s = jws.signature[:size], jws.signature[size:]
            der = encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
            key.verify(der, jws.signed, ec.ECDSA(hash_))
    except InvalidSignature as e:
        raise BadToken("the token is not signed by the issuer's key") from e


_PKCS1 = padding.PKCS1v15()


def find_keys(header: Mapping[str, Any], jwks: Sequence[Any]) -> list[PublicKey]:
    """Give the keys that may have signed: the one of that kid, or all without a kid.

    A key that is damaged, or of another kind, is none of them.
    """
    algorithm, kid = header.get("alg"), header.get("kid")
    found = []
    for jwk in jwks[:KEYS_MAX]:
        if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
            continue
        if kid is not None and jwk.get("kid", kid) != kid:
            continue
        try:
            key = read_jwk(jwk)
        except BadToken:
            continue
        fits = key is not None and isinstance(algorithm, str) and algorithm in algorithms_of(key)
        if key is not None and fits and jwk.get("alg", algorithm) == algorithm:
            found.append(key)
    return found


def verify_jws(token: str, jwks: Sequence[Any]) -> Jws:
    """Check a token's signature with an issuer's keys.

    Raises:
        BadToken: none of them signed it.
    """
    jws = parse_jws(token)
    keys = find_keys(jws.header, jwks)
    if not keys:
        alg, kid = str(jws.header.get("alg"))[:20], str(jws.header.get("kid"))[:40]
        raise BadToken(f"the issuer has no key {kid!r} for the algorithm {alg!r}")
    for key in keys[:-1]:
        try:
            check_signature(jws, key)
        except BadToken:
            continue
        return jws
    check_signature(jws, keys[-1])
    return jws


class SigningKey:
    """An ES256 key of ours.

    Args:
        key: on P-256.
        kid: its name at the issuer; default: its thumbprint (RFC 7638).

    `named` tells whether somebody gave it that name: an issuer that knows the key by another
    one finds it better without.
    """

    __slots__ = ("_key", "kid", "named")

    def __init__(self, key: ec.EllipticCurvePrivateKey, kid: str = "") -> None:
        self._key = key
        self.named = bool(kid)
        self.kid = kid or compactjws.thumbprint(self.jwk())

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a fresh key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, raw: bytes, origin: str) -> "SigningKey":
        """Read a private key: PEM, or a JWK.

        Raises:
            DataError: it is no private key on P-256.
        """
        kid = ""
        try:
            if raw.lstrip().startswith(b"{"):
                jwk = json.loads(raw)
                kid = str(jwk.get("kid", ""))[:200]
                secret = unb64url(jwk["d"]) if jwk.get("crv") == "P-256" else b""
                key: Any = ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())
            else:
                key = serialization.load_pem_private_key(raw, None)
        except (ValueError, TypeError, KeyError, AttributeError, compactjws.BadToken):
            # chained to nothing: the error's own text could quote the key
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise DataError(
                f"{origin} holds no unencrypted private key on P-256 (PEM or JWK)",
                hint="openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
                code="bad-client-key",
            ) from None
        return cls(key, kid)

    def pem(self) -> str:
        """Give the private key as PEM; a secret."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode("ascii")

    def jwk(self) -> dict[str, str]:
        """Give the public key as a JWK."""
        numbers = self._key.public_key().public_numbers()
        x, y = (b64url(n.to_bytes(32)) for n in (numbers.x, numbers.y))
        return {"crv": "P-256", "kty": "EC", "x": x, "y": y}

    def sign(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """Make a compact JWS; `alg` is added to the header."""
        body = json.dumps(claims, separators=(",", ":")).encode()
        return compactjws.put_together({"alg": "ES256", **header}, body, self._sign)

    def _sign(self, data: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)
