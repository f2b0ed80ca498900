"""The crypto toolbox of Bluetooth Mesh: salts, derivations, nonces, AES-CCM.

All numbers inside keys and nonces are big-endian.

Source: Mesh Protocol 1.1, 3.9.2 (functions), 3.9.5 (nonces), 3.4.2.3 (virtual addresses).
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hmac import HMAC

from dunes.errors import LocalError
from dunes.mesh.errors import NotAuthentic

KEY_BYTES = 16
NONCE_BYTES = 13
ZERO_KEY = bytes(KEY_BYTES)
ID128 = b"id128\x01"
"""The P of identity, beacon and private beacon keys (3.9.6.3)."""


def aes_cmac(key: bytes, message: bytes) -> bytes:
    """Authenticate a message; 16 bytes (RFC 4493)."""
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Authenticate a message; 32 bytes (RFC 2104)."""
    mac = HMAC(key, hashes.SHA256())
    mac.update(message)
    return mac.finalize()


def e(key: bytes, plaintext: bytes) -> bytes:
    """Encrypt one block of 16 bytes with AES-128."""
    if len(plaintext) != KEY_BYTES:
        raise LocalError(f"e takes 16 bytes, not {len(plaintext)}")
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block: e of 3.9.2
    return cipher.update(plaintext)


def s1(message: bytes) -> bytes:
    """Make a salt of 16 bytes."""
    return aes_cmac(ZERO_KEY, message)


def s2(message: bytes) -> bytes:
    """Make a salt of 32 bytes."""
    return hmac_sha256(bytes(32), message)


def k1(n: bytes, salt: bytes, p: bytes) -> bytes:
    """Derive 16 bytes from N of any length, a salt of 16 bytes and P."""
    return aes_cmac(aes_cmac(salt, n), p)


def k2(n: bytes, p: bytes) -> tuple[int, bytes, bytes]:
    """Derive network credentials: NID (7 bits), encryption key, privacy key."""
    t = aes_cmac(s1(b"smk2"), n)
    t1 = aes_cmac(t, p + b"\x01")
    t2 = aes_cmac(t, t1 + p + b"\x02")
    t3 = aes_cmac(t, t2 + p + b"\x03")
    return t1[15] & 0x7F, t2, t3


def k3(n: bytes) -> bytes:
    """Derive a public value of 8 bytes from a secret one: the Network ID."""
    return aes_cmac(aes_cmac(s1(b"smk3"), n), b"id64\x01")[8:]


def k4(n: bytes) -> int:
    """Derive a public value of 6 bits from a secret one: the AID."""
    return aes_cmac(aes_cmac(s1(b"smk4"), n), b"id6\x01")[15] & 0x3F


def k5(n: bytes, salt: bytes, p: bytes) -> bytes:
    """Derive 32 bytes from N, a salt of 32 bytes and P."""
    return hmac_sha256(hmac_sha256(salt, n), p)


def virtual_address(label: bytes) -> int:
    """Give the virtual address of a Label UUID of 16 bytes; many labels share one."""
    return 0x8000 | (int.from_bytes(aes_cmac(s1(b"vtad"), label)[14:], "big") & 0x3FFF)


def ccm_seal(cipher: AESCCM, nonce: bytes, data: bytes, extra: bytes | None = None) -> bytes:
    """Encrypt and authenticate; gives the ciphertext and the MIC after it."""
    return cipher.encrypt(nonce, data, extra)


def ccm_open(cipher: AESCCM, nonce: bytes, data: bytes, extra: bytes | None = None) -> bytes:
    """Decrypt and verify.

    Raises:
        NotAuthentic: the MIC does not fit, or there is none.
    """
    try:
        return cipher.decrypt(nonce, data, extra)
    except InvalidTag as error:
        raise NotAuthentic("the integrity code does not fit the key") from error


def network_nonce(header: bytes, iv_index: int) -> bytes:
    """Build the nonce of a network PDU from CTL and TTL (1), SEQ (3), SRC (2)."""
    return b"\x00" + header + b"\x00\x00" + iv_index.to_bytes(4, "big")


def proxy_nonce(header: bytes, iv_index: int) -> bytes:
    """Build the nonce of a proxy configuration PDU; CTL and TTL do not enter."""
    return b"\x03\x00" + header[1:] + b"\x00\x00" + iv_index.to_bytes(4, "big")


def upper_nonce(
    *, device: bool, long_mic: bool, seq: int, src: int, dst: int, iv_index: int
) -> bytes:
    """Build the nonce of an access message.

    Args:
        device: sealed by a device key, not an application key.
        long_mic: SZMIC of a segmented message; False for an unsegmented one.
        seq: of the first segment.
        src: source.
        dst: destination, a virtual address for a label.
        iv_index: the one it is sent with.
    """
    return b"".join(
        (
            b"\x02" if device else b"\x01",
            b"\x80" if long_mic else b"\x00",
            seq.to_bytes(3, "big"),
            src.to_bytes(2, "big"),
            dst.to_bytes(2, "big"),
            iv_index.to_bytes(4, "big"),
        )
    )
