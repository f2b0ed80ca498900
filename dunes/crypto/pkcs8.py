"""Encrypted private keys: PKCS#8 under PBES2 with scrypt and AES-256-CBC (RFC 8018, 7914).

`cryptography` writes only PBKDF2 with 2048 rounds, which is nothing against a GPU
today; it reads what is written here, and so does OpenSSL up to N = 2^14. A reader must
judge the cost *before* it derives anything: 300 bytes can ask for gigabytes and minutes.

CBC has no tag. Whoever unlocks compares the key with the public one it should belong to.

The blocks of one document share salt and cost, so that three keys cost one derivation;
their IVs differ.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from dunes.crypto.errors import BadKeyFile, KeyRefused, WrongPassphrase

LABEL = "ENCRYPTED PRIVATE KEY"
SALT_BYTES = IV_BYTES = 16
KEY_BYTES = 32
N_MAX, R_MAX, P_MAX = 1 << 20, 16, 4
MEMORY_MAX_BYTES = 1 << 30
DER_MAX_BYTES = 16384
DERIVATIONS_MAX = 3
_PBES2, _SCRYPT, _AES256CBC = map(
    bytes.fromhex,  # object identifiers, DER
    ("06092a864886f70d01050d", "06092b06010401da47040b", "060960864801650304012a"),
)
_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_SHORT_FORM = 0x80
PrivateKey = (
    mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
    | mlkem.MLKEM768PrivateKey
    | x25519.X25519PrivateKey
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What scrypt is asked to do: 128 · n · r bytes of memory, p times."""

    n: int
    r: int = 8
    p: int = 1


PASSPHRASE_COST = Cost(1 << 17)
"""128 MiB, 0.3 to 0.4 s."""
MACHINE_COST = Cost(1 << 10)
"""1 MiB: the secret has 256 random bits already; stretching adds nothing."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One encrypted key, read and found acceptable, not yet opened."""

    salt: bytes
    cost: Cost
    iv: bytes
    ciphertext: bytes


class Lock:
    """A derived key: lock or open any number of blocks of one salt and cost.

    Args:
        secret: a passphrase (UTF-8) or 32 machine-bound bytes.
        salt: 16 random bytes.
        cost: of the derivation.

    Raises:
        KeyRefused: this machine has not the memory.
    """

    __slots__ = ("_key", "cost", "salt")

    def __init__(self, secret: bytes, salt: bytes, cost: Cost) -> None:
        self.salt, self.cost = salt, cost
        try:
            self._key = Scrypt(salt=salt, length=KEY_BYTES, n=cost.n, r=cost.r, p=cost.p).derive(
                secret
            )
        except (InternalError, MemoryError, ValueError) as e:
            raise KeyRefused(
                f"this machine cannot spare the {128 * cost.n * cost.r >> 20} MiB that the key's "
                "scrypt parameters ask for"
            ) from e

    def lock(self, pkcs8_der: bytes, iv: bytes) -> bytes:
        """Encrypt a PKCS#8 key; `iv` is 16 fresh random bytes. Gives DER."""
        padder = padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(self._key), modes.CBC(iv)).encryptor()
        padded = padder.update(pkcs8_der) + padder.finalize()
        sealed = encryptor.update(padded) + encryptor.finalize()
        numbers = (self.cost.n, self.cost.r, self.cost.p, KEY_BYTES)
        kdf = _seq(_SCRYPT, _seq(_tlv(_OCTETS, self.salt), *map(_number, numbers)))
        scheme = _seq(_AES256CBC, _tlv(_OCTETS, iv))
        return _seq(_seq(_PBES2, _seq(kdf, scheme)), _tlv(_OCTETS, sealed))

    def open(self, locked: Locked) -> bytes:
        """Decrypt to a PKCS#8 key in clear.

        Raises:
            WrongPassphrase: the padding is wrong, so the secret was.
        """
        decryptor = Cipher(algorithms.AES(self._key), modes.CBC(locked.iv)).decryptor()
        unpadder = padding.PKCS7(128).unpadder()
        try:
            padded = decryptor.update(locked.ciphertext) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()
        except ValueError as e:
            raise WrongPassphrase("the passphrase does not open this key") from e

    def __repr__(self) -> str:
        """Show the cost, nothing secret."""
        return f"<Lock n={self.cost.n} r={self.cost.r} p={self.cost.p} (secret hidden)>"


def read_locked(der: bytes) -> Locked:
    """Read an EncryptedPrivateKeyInfo without deriving anything.

    Raises:
        BadKeyFile: not PBES2 with scrypt and AES-256-CBC, or damaged.
        KeyRefused: its cost is beyond N 2^20, r 16, p 4 or 1 GiB.
    """
    if len(der) > DER_MAX_BYTES:
        raise BadKeyFile(f"an encrypted key of {len(der)} bytes is too long to be one")
    algorithm, sealed = _fields(_only(der, _SEQUENCE), _SEQUENCE, _OCTETS)
    scheme, parameters = _fields(algorithm, _OID, _SEQUENCE)
    if _tlv(_OID, scheme) != _PBES2:
        raise BadKeyFile("an encrypted key by another scheme than PBES2")
    kdf, cipher = _fields(parameters, _SEQUENCE, _SEQUENCE)
    kdf_oid, kdf_parameters = _fields(kdf, _OID, _SEQUENCE)
    if _tlv(_OID, kdf_oid) != _SCRYPT:
        raise BadKeyFile("an encrypted key whose passphrase is not stretched by scrypt")
    cipher_oid, iv = _fields(cipher, _OID, _OCTETS)
    if _tlv(_OID, cipher_oid) != _AES256CBC or len(iv) != IV_BYTES:
        raise BadKeyFile("an encrypted key whose cipher is not AES-256-CBC")
    salt, *numbers = _fields(
        kdf_parameters, _OCTETS, _INTEGER, _INTEGER, _INTEGER, optional=_INTEGER
    )
    cost = _check_cost([int.from_bytes(number, "big", signed=True) for number in numbers])
    if not sealed or len(sealed) % 16:
        raise BadKeyFile("an encrypted key that is no whole number of AES blocks")
    return Locked(salt, cost, iv, sealed)


def _check_cost(numbers: Sequence[int]) -> Cost:
    """Refuse a cost that would hang or exhaust this machine, or make no sense."""
    n, r, p, *length = numbers
    if length not in ([], [KEY_BYTES]):
        raise BadKeyFile("an encrypted key of another length than AES-256's")
    if n < 2 or n & (n - 1) or r < 1 or p < 1:  # noqa: PLR2004 - RFC 7914: N a power of 2 over 1
        raise BadKeyFile("an encrypted key with impossible scrypt parameters")
    if n > N_MAX or r > R_MAX or p > P_MAX or 128 * n * r > MEMORY_MAX_BYTES:
        raise KeyRefused(
            f"the key asks scrypt for N={n}, r={r}, p={p}; the limits are N=2^20, r=16, p=4, 1 GiB"
        )
    return Cost(n, r, p)


def load_clear(pkcs8_der: bytes) -> PrivateKey:
    """Load a PKCS#8 key in clear: ML-DSA, ML-KEM-768 or X25519, in seed form.

    Raises:
        WrongPassphrase: it is none (what a wrong passphrase with a lucky padding gives).
        BadKeyFile: a key of another kind.
    """
    try:
        key = serialization.load_der_private_key(pkcs8_der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise WrongPassphrase("the passphrase does not open this key") from e
    if not isinstance(key, PrivateKey):
        raise BadKeyFile("a private key of a kind that the suite does not know")
    return key


def unlock(
    blocks: Iterable[bytes], secret: bytes, locks: dict[tuple[bytes, Cost], Lock] | None = None
) -> list[PrivateKey]:
    """Open encrypted keys, deriving once for each salt and cost.

    Args:
        blocks: EncryptedPrivateKeyInfo, DER. All are judged before any is opened.
        secret: the passphrase or the machine's bytes.
        locks: what this secret was derived to so far, kept by the caller between calls.

    Raises:
        BadKeyFile, KeyRefused: as `read_locked`.
        WrongPassphrase: one does not open.
    """
    locked = [read_locked(der) for der in blocks]
    if len({(each.salt, each.cost) for each in locked}) > DERIVATIONS_MAX:
        raise KeyRefused("more different scrypt derivations than a key document needs")
    locks = {} if locks is None else locks
    keys = []
    for each in locked:
        known = (each.salt, each.cost)
        if known not in locks:
            locks[known] = Lock(secret, each.salt, each.cost)
        keys.append(load_clear(locks[known].open(each)))
    return keys


def pem(der: bytes, label: str = LABEL) -> str:
    """Write a PEM block, 64 characters a line, with its last newline."""
    text = base64.b64encode(der).decode("ascii")
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def _tlv(tag: int, body: bytes) -> bytes:
    """Write one DER value."""
    size = len(body)
    if size < _SHORT_FORM:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT_FORM | len(length))) + length + body


def _seq(*parts: bytes) -> bytes:
    return _tlv(_SEQUENCE, b"".join(parts))


def _number(value: int) -> bytes:
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _next(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Read one DER value of that tag: its content, and what follows."""
    if len(data) < 2 or data[0] != tag:  # noqa: PLR2004 - tag and length
        raise BadKeyFile("an encrypted key that is not DER as expected")
    size, start = data[1], 2
    if size >= _SHORT_FORM:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    body = data[start : start + size]
    if start + size > len(data) or _tlv(tag, body) != data[: start + size]:
        raise BadKeyFile("an encrypted key that is not DER as expected")
    return body, data[start + size :]


def _only(data: bytes, tag: int) -> bytes:
    body, rest = _next(data, tag)
    if rest:
        raise BadKeyFile("an encrypted key with bytes after its end")
    return body


def _fields(data: bytes, *tags: int, optional: int | None = None) -> list[bytes]:
    """Read exactly these values, and perhaps one more."""
    found = []
    for tag in tags:
        body, data = _next(data, tag)
        found.append(body)
    if data and optional is not None:
        found.append(_only(data, optional))
    elif data:
        raise BadKeyFile("an encrypted key with more fields than expected")
    return found
