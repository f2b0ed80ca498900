"""X-Wing recipients: who can open what is sealed.

X-Wing (draft-connolly-cfrg-xwing-kem, HPKE KEM 0x647A) joins ML-KEM-768 with
X25519; HPKE (RFC 9180, base mode, single shot) with HKDF-SHA256 and AES-256-GCM
wraps a secret of some bytes to one recipient. Base mode does not say who wrapped:
whoever uses it signs around it and binds all that matters in `info`.

A recipient is known by the `kid` of the ML-DSA key in the same key document; the
document's self-signature ties the three public keys together, and `info` carries
the kid, so a wrap made for one kid opens with no other.
"""

import hashlib
from functools import cache
from typing import NoReturn, Self

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke, serialization
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from dunes.crypto.errors import BadKeyFile, Tampered, no_post_quantum
from dunes.crypto.signing import SPKI_MAX_BYTES, is_kid
from dunes.errors import LocalError

MLKEM_SEED_BYTES = 64
X25519_BYTES = 32
SEED_BYTES = MLKEM_SEED_BYTES + X25519_BYTES
ENC_BYTES = 1120
"""ML-KEM-768 ciphertext (1088) and X25519 share (32)."""
TAG_BYTES = 16
WRAP_OVERHEAD_BYTES = ENC_BYTES + TAG_BYTES


@cache
def _suite() -> hpke.Suite:
    """Give the one HPKE suite.

    Raises:
        EngineMissing: this build of `cryptography` has no ML-KEM.
    """
    try:
        return hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
    except UnsupportedAlgorithm as e:
        raise no_post_quantum() from e


class Recipient:
    """The public half: something can be sealed to it.

    Args:
        kid: 32 hex digits, of the ML-DSA key of the same key document.
        mlkem_key: ML-KEM-768.
        x25519_key: X25519.
    """

    __slots__ = ("_key", "_mlkem", "_x25519", "kid")

    def __init__(
        self, kid: str, mlkem_key: mlkem.MLKEM768PublicKey, x25519_key: x25519.X25519PublicKey
    ) -> None:
        if not is_kid(kid):
            raise BadKeyFile("a recipient's key id is not 32 hex digits")
        self.kid = kid
        self._mlkem, self._x25519 = mlkem_key, x25519_key
        self._key = hpke.MLKEM768X25519PublicKey(mlkem_key, x25519_key)

    @classmethod
    def from_spki(cls, kid: str, mlkem_spki: bytes, x25519_spki: bytes) -> Self:
        """Read the two SubjectPublicKeyInfo, each DER or PEM.

        Raises:
            BadKeyFile: one of them is not what it should be.
        """
        first, second = _load_spki(mlkem_spki), _load_spki(x25519_spki)
        if not isinstance(first, mlkem.MLKEM768PublicKey):
            raise BadKeyFile("the first public key of a recipient is not ML-KEM-768")
        if not isinstance(second, x25519.X25519PublicKey):
            raise BadKeyFile("the second public key of a recipient is not X25519")
        return cls(kid, first, second)

    @property
    def spki_ders(self) -> tuple[bytes, bytes]:
        """The DER SubjectPublicKeyInfo of ML-KEM-768 and of X25519."""
        return _spki_der(self._mlkem), _spki_der(self._x25519)

    @property
    def raw(self) -> bytes:
        """The X-Wing public key: 1184 bytes of ML-KEM-768, then 32 of X25519."""
        return self._mlkem.public_bytes_raw() + self._x25519.public_bytes_raw()

    def wrap(self, secret: bytes, info: bytes) -> bytes:
        """Seal a short secret to this recipient; the ephemeral keys come from the engine.

        Args:
            secret: some bytes, 32 in this suite.
            info: what the wrap is bound to; nothing opens it under another `info`.

        Returns:
            1120 bytes of `enc`, then the ciphertext with its 16-byte tag.
        """
        try:
            return _suite().encrypt(secret, self._key, info=info)
        except ValueError as e:  # an all-zero X25519 share
            raise BadKeyFile(f"the X25519 key of {self.kid} is a point of small order") from e

    def __eq__(self, other: object) -> bool:
        """Compare by key id and public keys."""
        return isinstance(other, Recipient) and (other.kid, other.raw) == (self.kid, self.raw)

    def __hash__(self) -> int:
        """Hash by key id."""
        return hash(self.kid)

    def __repr__(self) -> str:
        """Show the key id."""
        return f"<Recipient {self.kid}>"


class RecipientKey:
    """The private half: opens what was wrapped for `kid`."""

    __slots__ = ("_key", "_mlkem", "_x25519", "public")

    def __init__(
        self, kid: str, mlkem_key: mlkem.MLKEM768PrivateKey, x25519_key: x25519.X25519PrivateKey
    ) -> None:
        self._mlkem, self._x25519 = mlkem_key, x25519_key
        self._key = hpke.MLKEM768X25519PrivateKey(mlkem_key, x25519_key)
        self.public = Recipient(kid, mlkem_key.public_key(), x25519_key.public_key())

    @classmethod
    def from_seeds(cls, kid: str, mlkem_seed: bytes, x25519_seed: bytes) -> Self:
        """Make the key that belongs to a 64-byte ML-KEM seed and a 32-byte X25519 key."""
        if len(mlkem_seed) != MLKEM_SEED_BYTES or len(x25519_seed) != X25519_BYTES:
            raise LocalError("an X-Wing key is made from 64 and 32 bytes")
        try:
            first = mlkem.MLKEM768PrivateKey.from_seed_bytes(mlkem_seed)
        except UnsupportedAlgorithm as e:
            raise no_post_quantum() from e
        return cls(kid, first, x25519.X25519PrivateKey.from_private_bytes(x25519_seed))

    @classmethod
    def from_xwing_seed(cls, kid: str, seed: bytes) -> Self:
        """Expand the 32-byte seed form of the X-Wing draft: SHAKE256(seed, 96)."""
        wide = hashlib.shake_256(seed).digest(SEED_BYTES)
        return cls.from_seeds(kid, wide[:MLKEM_SEED_BYTES], wide[MLKEM_SEED_BYTES:])

    @property
    def kid(self) -> str:
        """The key id, the same as that of the public half."""
        return self.public.kid

    def unwrap(self, wrapped: bytes, info: bytes) -> bytes:
        """Open a wrap that was made for this key under this `info`.

        Raises:
            Tampered: it was made for another key or purpose, or changed or cut.
        """
        if len(wrapped) < WRAP_OVERHEAD_BYTES:
            raise Tampered(f"a wrapped key of {len(wrapped)} bytes is cut short")
        try:
            return _suite().decrypt(wrapped, self._key, info=info)
        except (InvalidTag, ValueError) as e:
            raise Tampered(
                f"the wrapped key for {self.kid} does not open: changed, or made for another "
                "key, sender, stream or purpose"
            ) from e

    def seed_bytes(self) -> tuple[bytes, bytes]:
        """Give the secret ML-KEM seed and X25519 key, for the key writer only."""
        return self._mlkem.private_bytes_raw(), self._x25519.private_bytes_raw()

    def pkcs8_ders(self) -> tuple[bytes, bytes]:
        """Give both private keys in clear as PKCS#8, for the key writer only."""
        return _pkcs8_der(self._mlkem), _pkcs8_der(self._x25519)

    def __repr__(self) -> str:
        """Show the key id, nothing secret."""
        return f"<RecipientKey {self.kid} (secret hidden)>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise LocalError("a private key is not pickled")


def _load_spki(spki: bytes) -> object:
    """Load a public key, DER or PEM."""
    if len(spki) > SPKI_MAX_BYTES:
        raise BadKeyFile(f"a public key of {len(spki)} bytes is too long to be one")
    pem = spki.lstrip().startswith(b"-----BEGIN")
    try:
        if pem:
            return serialization.load_pem_public_key(spki)
        return serialization.load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise BadKeyFile("this is not a DER or PEM public key that the suite knows") from e


def _spki_der(key: mlkem.MLKEM768PublicKey | x25519.X25519PublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _pkcs8_der(key: mlkem.MLKEM768PrivateKey | x25519.X25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
