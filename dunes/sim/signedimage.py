"""Make MCUboot images for virtual boards, as `imgtool sign` does for real ones.

Ed25519 over the image's SHA-256, as imgtool's digest signers do it; the board's name is
a protected TLV. `imgtool verify` accepts what is made here.
"""

import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dunes.firmware.image import (
    BOARD_TLV,
    HEADER,
    KEY_HASH,
    MAGIC,
    PROTECTED_MAGIC,
    TLV,
    TLV_INFO,
    TLV_MAGIC,
    board_entry,
)
from dunes.firmware.version import Version

HEADER_BYTES = 0x200
SHA256_TLV, ED25519_TLV = 0x10, 0x24


def key_hash(key: Ed25519PublicKey) -> bytes:
    """Give what the KEYHASH TLV names a key by: SHA-256 of its DER SubjectPublicKeyInfo."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


def make_image(body: bytes, version: Version, board: str, key: Ed25519PrivateKey) -> bytes:
    """Make a signed image of a body.

    Args:
        body: what would be code.
        version: of it.
        board: for which it is; the bootloader of another one refuses it.
        key: the maker's, known to the bootloader.
    """
    protected = _area(PROTECTED_MAGIC, [(BOARD_TLV, board_entry(board))])
    header = HEADER.pack(MAGIC, 0, HEADER_BYTES, len(protected), len(body), 0, *version)
    signed = header.ljust(HEADER_BYTES, b"\0") + body + protected
    digest = hashlib.sha256(signed).digest()
    entries = [
        (SHA256_TLV, digest),
        (KEY_HASH, key_hash(key.public_key())),
        (ED25519_TLV, key.sign(digest)),
    ]
    return signed + _area(TLV_MAGIC, entries)


def _area(magic: int, entries: list[tuple[int, bytes]]) -> bytes:
    body = b"".join(struct.pack(TLV.format, kind, len(value)) + value for kind, value in entries)
    return TLV_INFO.pack(magic, TLV_INFO.size + len(body)) + body
