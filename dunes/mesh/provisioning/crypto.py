"""The arithmetic of provisioning, for both algorithms and both roles (5.4.2).

Inputs     Invite, Capabilities, Start without their types, both public keys
CMAC       ConfSalt = s1(Inputs)   ConfKey = k1(ECDH, ConfSalt, "prck")
HMAC       ConfSalt = s2(Inputs)   ConfKey = k5(ECDH + AuthValue, ConfSalt, "prck256")
both       ProvSalt = s1(ConfSalt + RandomProvisioner + RandomDevice)
           SessionKey, Nonce, DevKey = k1(ECDH, ProvSalt, "prsk" / "prsn" / "prdk")
"""

from dataclasses import dataclass, field
from random import Random

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from dunes.errors import LocalError
from dunes.mesh.address import UNICAST_MAX
from dunes.mesh.errors import NotAuthentic
from dunes.mesh.keys import KEY_INDEX_MAX
from dunes.mesh.provisioning.pdus import Algorithm, BadProvisioning, Reason
from dunes.mesh.toolbox import aes_cmac, ccm_open, ccm_seal, hmac_sha256, k1, k5, s1, s2

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-4, D.1.2.3)."""
COORDINATE_BYTES = 32
PUBLIC_BYTES = 2 * COORDINATE_BYTES
MIC_BYTES = 8
NONCE_SKIPS = 3
FLAG_REFRESH, FLAG_UPDATE = 1, 2


class KeyPair:
    """A P-256 key pair for one provisioning. Its `repr` shows nothing."""

    __slots__ = ("_private", "public")

    def __init__(self, private: int) -> None:
        self._private = ec.derive_private_key(private, ec.SECP256R1())
        numbers = self._private.public_key().public_numbers()
        size = COORDINATE_BYTES
        self.public = numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")

    @classmethod
    def draw(cls, rng: Random) -> "KeyPair":
        """Make a new one; `rng` must be a `SystemRandom` outside of tests."""
        return cls(rng.randrange(1, ORDER))

    def shared(self, public: bytes) -> bytes:
        """Agree on a secret: the X coordinate, 32 bytes.

        Raises:
            BadProvisioning: the point is not on the curve, or it is our own.
        """
        if public == self.public:
            raise BadProvisioning(Reason.INVALID_FORMAT, "our own public key came back")
        x, y = public[:COORDINATE_BYTES], public[COORDINATE_BYTES:]
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
        )
        try:
            peer = numbers.public_key()
        except ValueError as error:
            raise BadProvisioning(
                Reason.INVALID_FORMAT, "a public key that is not on the curve"
            ) from error
        return self._private.exchange(ec.ECDH(), peer)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a device gets.

    Attributes:
        net_key: 16 bytes.
        net_index: its index.
        refresh: a key refresh is in phase 2.
        update: an IV update is in progress.
        iv_index: the current one.
        unicast: the primary element's address.
    """

    net_key: bytes = field(repr=False)
    net_index: int
    refresh: bool
    update: bool
    iv_index: int
    unicast: int

    def encode(self) -> bytes:
        """Give the 25 octets to seal."""
        return b"".join(
            (
                self.net_key,
                self.net_index.to_bytes(2, "big"),
                bytes([self.refresh * FLAG_REFRESH | self.update * FLAG_UPDATE]),
                self.iv_index.to_bytes(4, "big"),
                self.unicast.to_bytes(2, "big"),
            )
        )

    @classmethod
    def decode(cls, data: bytes, elements: int) -> "Grant":
        """Read the 25 octets.

        Raises:
            BadProvisioning: an index or an address that cannot be.
        """
        index = int.from_bytes(data[16:18], "big")
        unicast = int.from_bytes(data[23:25], "big")
        if index > KEY_INDEX_MAX or not 0 < unicast <= UNICAST_MAX - elements + 1:
            raise BadProvisioning(
                Reason.INVALID_DATA, f"key index {index:#x}, address {unicast:#06x}"
            )
        flags = data[18]
        return cls(
            data[:16],
            index,
            bool(flags & FLAG_REFRESH),
            bool(flags & FLAG_UPDATE),
            int.from_bytes(data[19:23], "big"),
            unicast,
        )


@dataclass(slots=True)
class Session:
    """What both sides compute from what was said.

    Attributes:
        algorithm: which.
        inputs: the confirmation inputs.
        secret: the ECDH secret.
        auth_value: 16 or 32 octets.
    """

    algorithm: Algorithm
    inputs: bytes
    secret: bytes = field(repr=False)
    auth_value: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Look at the size of the authentication value."""
        if len(self.auth_value) != self.algorithm.size_bytes:
            raise LocalError(f"an authentication value of {len(self.auth_value)} bytes")

    @property
    def confirmation_salt(self) -> bytes:
        """Derive ConfirmationSalt."""
        return (s2 if self.algorithm is Algorithm.HMAC else s1)(self.inputs)

    @property
    def confirmation_key(self) -> bytes:
        """Derive ConfirmationKey."""
        if self.algorithm is Algorithm.HMAC:
            return k5(self.secret + self.auth_value, self.confirmation_salt, b"prck256")
        return k1(self.secret, self.confirmation_salt, b"prck")

    def confirmation(self, random: bytes) -> bytes:
        """Commit to a random number."""
        if self.algorithm is Algorithm.HMAC:
            return hmac_sha256(self.confirmation_key, random)
        return aes_cmac(self.confirmation_key, random + self.auth_value)

    def keys(self, random_provisioner: bytes, random_device: bytes) -> "SessionKeys":
        """Derive what seals the data, and the device key."""
        salt = s1(self.confirmation_salt + random_provisioner + random_device)
        return SessionKeys(
            k1(self.secret, salt, b"prsk"),
            k1(self.secret, salt, b"prsn")[NONCE_SKIPS:],
            k1(self.secret, salt, b"prdk"),
        )


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Session key, nonce, device key."""

    session_key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    device_key: bytes = field(repr=False)

    def seal(self, grant: Grant) -> bytes:
        """Seal what a device gets: 25 octets and a MIC of 8."""
        cipher = AESCCM(self.session_key, tag_length=MIC_BYTES)
        return ccm_seal(cipher, self.nonce, grant.encode())

    def open(self, sealed: bytes, elements: int) -> Grant:
        """Open it.

        Raises:
            BadProvisioning: the MIC is wrong, or the content cannot be.
        """
        cipher = AESCCM(self.session_key, tag_length=MIC_BYTES)
        try:
            return Grant.decode(ccm_open(cipher, self.nonce, sealed), elements)
        except NotAuthentic as error:
            raise BadProvisioning(Reason.DECRYPTION_FAILED, "the data cannot be opened") from error
