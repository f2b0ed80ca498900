"""ML-DSA signatures (FIPS 204) and the one kind of key id used everywhere.

A key id (`kid`) is the first 32 hex digits of SHA-256 over the DER
SubjectPublicKeyInfo of the ML-DSA key. Signing is hedged: two signatures of one
message differ, both verify. Every signature carries a context of 1 to 255 bytes
that names its purpose, so that no signature can stand in for one of another kind;
the only empty context is that of DSSE envelopes (TAP 21), whose signed bytes
begin with `tuf` 01.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import NoReturn, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa

from dunes.crypto.errors import BadKeyFile, BadSignature, no_post_quantum
from dunes.errors import LocalError

SUITE_ALGORITHM = "ML-DSA-65"
"""The only algorithm of suite 2048-AES/1."""
KID_DIGITS = 32
SIGNATURE_BYTES = 3309
"""Of ML-DSA-65."""
SEED_BYTES = 32
CONTEXT_MAX_BYTES = 255
"""FIPS 204, algorithm 2."""
SPKI_MAX_BYTES = 8192
"""More than any PEM public key we accept; what is longer is not parsed."""

PrivateMldsa = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
PublicMldsa = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One parameter set of ML-DSA."""

    name: str
    private: type[PrivateMldsa]
    public: type[PublicMldsa]
    public_bytes: int
    signature_bytes: int


ALGORITHMS = {
    found.name: found
    for found in (
        Algorithm("ML-DSA-44", mldsa.MLDSA44PrivateKey, mldsa.MLDSA44PublicKey, 1312, 2420),
        Algorithm("ML-DSA-65", mldsa.MLDSA65PrivateKey, mldsa.MLDSA65PublicKey, 1952, 3309),
        Algorithm("ML-DSA-87", mldsa.MLDSA87PrivateKey, mldsa.MLDSA87PublicKey, 2592, 4627),
    )
}
_KID = re.compile(rf"[0-9a-f]{{{KID_DIGITS}}}")


def kid_of(spki_der: bytes) -> str:
    """Name a public key: the first 32 hex digits of SHA-256 over its DER SPKI."""
    return hashlib.sha256(spki_der).hexdigest()[:KID_DIGITS]


def is_kid(text: object) -> bool:
    """Tell whether something is a key id: 32 lower-case hex digits."""
    return isinstance(text, str) and _KID.fullmatch(text) is not None


class VerifyKey:
    """A public ML-DSA key: who signed this?"""

    __slots__ = ("_key", "algorithm", "kid", "spki_der")

    def __init__(self, key: PublicMldsa) -> None:
        self._key = key
        self.algorithm = next(a for a in ALGORITHMS.values() if isinstance(key, a.public))
        self.spki_der = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.kid = kid_of(self.spki_der)

    @classmethod
    def from_spki(cls, spki: bytes | str, *, allow: frozenset[str] | None = None) -> Self:
        """Read a SubjectPublicKeyInfo, DER or PEM.

        Args:
            spki: the DER bytes, or the PEM text or bytes.
            allow: algorithms to accept; only ML-DSA-65 (the suite's) when absent.

        Raises:
            BadKeyFile: not a public key, or one of another algorithm.
            EngineMissing: this build of `cryptography` knows no ML-DSA.
        """
        data = spki.encode("utf-8", "replace") if isinstance(spki, str) else bytes(spki)
        if len(data) > SPKI_MAX_BYTES:
            raise BadKeyFile(f"a public key of {len(data)} bytes is too long to be one")
        load = serialization.load_der_public_key
        if data.lstrip().startswith(b"-----BEGIN"):
            load = serialization.load_pem_public_key
        try:
            key = load(data)
        except UnsupportedAlgorithm as e:
            raise BadKeyFile("a public key of an algorithm that is not supported") from e
        except (ValueError, TypeError) as e:
            raise BadKeyFile("this is not a DER or PEM public key") from e
        wanted = allow or frozenset({SUITE_ALGORITHM})
        for algorithm in ALGORITHMS.values():
            if isinstance(key, algorithm.public):
                if algorithm.name not in wanted:
                    raise BadKeyFile(
                        f"an {algorithm.name} key, where {' or '.join(sorted(wanted))} is accepted"
                    )
                return cls(key)
        raise BadKeyFile("a public key, but not one that signs with ML-DSA")

    @classmethod
    def from_raw(cls, raw: bytes, algorithm: str = SUITE_ALGORITHM) -> Self:
        """Read the raw public key of FIPS 204 (1952 bytes for ML-DSA-65)."""
        found = ALGORITHMS[algorithm]
        if len(raw) != found.public_bytes:
            raise BadKeyFile(f"{len(raw)} bytes; an {algorithm} key has {found.public_bytes}")
        return cls(found.public.from_public_bytes(raw))

    @property
    def raw(self) -> bytes:
        """The public key as FIPS 204 encodes it."""
        return self._key.public_bytes_raw()

    @property
    def crypto_key(self) -> PublicMldsa:
        """The key as `cryptography` holds it, for its streaming hashers and for X.509."""
        return self._key

    @property
    def pem(self) -> str:
        """The SubjectPublicKeyInfo as PEM text."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode("ascii")

    def verify(self, signature: bytes, data: bytes, context: bytes) -> None:
        """Check a signature; return nothing when it is good.

        Raises:
            BadSignature: it is not one by this key over these data in this context.
            LocalError: the context is over 255 bytes.
        """
        _check_context(context)
        if len(signature) != self.algorithm.signature_bytes:
            raise BadSignature(
                f"a signature of {len(signature)} bytes; {self.algorithm.name} makes "
                f"{self.algorithm.signature_bytes}"
            )
        try:
            self._key.verify(signature, data, context)
        except InvalidSignature as e:
            raise BadSignature(f"not signed by key {self.kid}, or changed since") from e

    def verify_mu(self, signature: bytes, mu: bytes) -> None:
        """Check a signature over the 64 bytes of mu that a streaming hasher made.

        Raises:
            BadSignature: as `verify`.
        """
        try:
            self._key.verify_mu(signature, mu)
        except (InvalidSignature, ValueError) as e:
            raise BadSignature(f"not signed by key {self.kid}, or changed since") from e

    def __eq__(self, other: object) -> bool:
        """Compare by the DER SPKI."""
        return isinstance(other, VerifyKey) and other.spki_der == self.spki_der

    def __hash__(self) -> int:
        """Hash by the DER SPKI."""
        return hash(self.spki_der)

    def __repr__(self) -> str:
        """Show algorithm and key id."""
        return f"<VerifyKey {self.algorithm.name} {self.kid}>"


class SigningKey:
    """A private ML-DSA key. Its repr, its pickles and its errors never show the seed."""

    __slots__ = ("_key", "public")

    def __init__(self, key: PrivateMldsa) -> None:
        self._key = key
        self.public = VerifyKey(key.public_key())

    @classmethod
    def generate(cls, algorithm: str = SUITE_ALGORITHM) -> Self:
        """Make a key from the operating system's generator.

        Raises:
            EngineMissing: this build of `cryptography` knows no ML-DSA.
        """
        try:
            return cls(ALGORITHMS[algorithm].private.generate())
        except UnsupportedAlgorithm as e:
            raise no_post_quantum() from e

    @classmethod
    def from_seed(cls, seed: bytes, algorithm: str = SUITE_ALGORITHM) -> Self:
        """Make the key that belongs to a 32-byte seed (FIPS 204, key generation's xi)."""
        if len(seed) != SEED_BYTES:
            raise LocalError(f"an ML-DSA seed has {SEED_BYTES} bytes, not {len(seed)}")
        try:
            return cls(ALGORITHMS[algorithm].private.from_seed_bytes(seed))
        except UnsupportedAlgorithm as e:
            raise no_post_quantum() from e

    @property
    def kid(self) -> str:
        """The key id, the same as that of the public half."""
        return self.public.kid

    @property
    def algorithm(self) -> Algorithm:
        """The parameter set."""
        return self.public.algorithm

    def sign(self, data: bytes, context: bytes) -> bytes:
        """Sign data for one purpose; 3309 bytes with ML-DSA-65.

        Args:
            data: what is signed, any length.
            context: the purpose, at most 255 bytes; empty only for DSSE (TAP 21).
        """
        _check_context(context)
        return self._key.sign(data, context)

    def sign_mu(self, mu: bytes) -> bytes:
        """Sign the 64 bytes of mu that a streaming hasher made (FIPS 204, external mu)."""
        return self._key.sign_mu(mu)

    def seed_bytes(self) -> bytes:
        """Give the secret seed, for the writer of key documents only."""
        return self._key.private_bytes_raw()

    def pkcs8_der(self) -> bytes:
        """Give the private key in clear as PKCS#8 (seed form), for the key writer only."""
        return self._key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def __repr__(self) -> str:
        """Show algorithm and key id, nothing secret."""
        return f"<SigningKey {self.algorithm.name} {self.kid} (secret hidden)>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise LocalError("a private key is not pickled")


def _check_context(context: bytes) -> None:
    """Refuse a context longer than FIPS 204 allows."""
    if len(context) > CONTEXT_MAX_BYTES:
        raise LocalError(f"a signature context of {len(context)} bytes; the limit is 255")
