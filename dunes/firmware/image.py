"""MCUboot images: header, body, type-length-value areas; read with every length bounded.

::

    0   4  magic 0x96f3b83d          20  1+1+2+4  version
    4   4  load address              28  4        padding
    8   2  header size               ..           up to the header size: 0
    10  2  size of protected TLVs    body of the image size
    12  4  image size                protected TLVs: info 0x6908, total; entries
    16  4  flags                     TLVs:           info 0x6907, total; entries

All little-endian. An entry is type (2), length (2), value. The hash covers header, body
and protected TLVs. The signature is the bootloader's business, which alone knows its key;
here it is named, not judged.

Source: MCUboot design document, "Image format"; imgtool's `image.py`.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from dunes.errors import UsageError
from dunes.firmware.errors import BadImage, Reason
from dunes.firmware.version import Version

MAGIC = 0x96F3B83D
TLV_MAGIC, PROTECTED_MAGIC = 0x6907, 0x6908
HEADER = struct.Struct("<IIHHIIBBHI4x")
TLV_INFO = struct.Struct("<HH")
TLV = struct.Struct("<HH")
HEADER_BYTES = HEADER.size
SIZE_MAX_BYTES = 16 << 20
"""More than the flash of any node we know; what is longer is not read."""
TLVS_MAX = 256

HASHES = {0x10: ("sha256", 32), 0x11: ("sha384", 48), 0x12: ("sha512", 64)}
"""Type of a hash TLV: algorithm and size."""
SIGNATURES = {
    0x20: "RSA-2048-PSS",
    0x21: "ECDSA-P224",
    0x22: "ECDSA",
    0x23: "RSA-3072-PSS",
    0x24: "Ed25519",
}
"""Type of a signature TLV: its name."""
KEY_HASH = 0x01
SECURITY_COUNTER = 0x50
ENCRYPTED_FLAGS = 0x04 | 0x08
NON_BOOTABLE_FLAG = 0x10
BOARD_TLV = 0x00A0
"""Ours, in the range for vendors: `board=NAME`, protected by the hash."""
BOARD_PREFIX = b"board="
FLAGS = {
    0x01: "position-independent",
    0x04: "encrypted-aes128",
    0x08: "encrypted-aes256",
    0x10: "non-bootable",
    0x20: "ram-load",
    0x100: "rom-fixed",
    0x200: "compressed-lzma1",
    0x400: "compressed-lzma2",
    0x800: "compressed-arm-thumb",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One type-length-value.

    Attributes:
        kind: its type.
        value: its value.
        protected: whether the hash covers it.
    """

    kind: int
    value: bytes
    protected: bool


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose structure is sound and whose hash is right.

    Attributes:
        data: all bytes, as they are sent to a node.
        version: its version.
        header_bytes: size of the header.
        body_bytes: size of the body.
        flags: bits of the header, see `FLAGS`.
        hash: what nodes call it: the value of its hash TLV.
        hash_algorithm: e.g. sha256.
        hash_checked: false where the body is encrypted: the hash is of the clear text.
        entries: all TLVs.
        padding_bytes: bytes after the last TLV.
    """

    data: bytes
    version: Version
    header_bytes: int
    body_bytes: int
    flags: int
    hash: bytes
    hash_algorithm: str
    hash_checked: bool
    entries: tuple[Entry, ...]
    padding_bytes: int

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def signature(self) -> str:
        """Name the signature's algorithm; empty where there is none."""
        return next((SIGNATURES[e.kind] for e in self.entries if e.kind in SIGNATURES), "")

    @property
    def key_hash(self) -> str:
        """SHA-256 of the signer's public key, hexadecimal; empty where it is not told."""
        return next((e.value.hex() for e in self.entries if e.kind == KEY_HASH), "")

    @property
    def board(self) -> str:
        """The board that the image itself names; empty where it names none."""
        for entry in self.entries:
            if entry.kind == BOARD_TLV and entry.value.startswith(BOARD_PREFIX):
                return entry.value[len(BOARD_PREFIX) :].decode("ascii", "replace")[:64]
        return ""

    @property
    def flag_names(self) -> tuple[str, ...]:
        """Name the flags that are set."""
        return tuple(name for bit, name in FLAGS.items() if self.flags & bit)


def parse_image(data: bytes) -> Image:
    """Read an image, and check its hash.

    Args:
        data: the whole file, as `imgtool sign` writes it.

    Raises:
        BadImage: not-an-image, truncated or damaged.
    """
    if len(data) > SIZE_MAX_BYTES:
        raise BadImage(
            Reason.NOT_AN_IMAGE, f"{len(data)} bytes are more than any node's flash holds"
        )
    if len(data) < HEADER_BYTES:
        if data[:4] == MAGIC.to_bytes(4, "little")[: len(data)]:
            raise _truncated(HEADER_BYTES, data)
        raise _no_image("shorter than the header of an MCUboot image")
    magic, _load, header, protected, body, flags, *numbers = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise _no_image(f"it begins with {data[:4].hex()}, not with 3db8f396")
    if header < HEADER_BYTES:
        raise _no_image(f"a header of {header} bytes")
    at = header + body
    signed = at + protected
    if signed + TLV_INFO.size > len(data):
        raise _truncated(signed + TLV_INFO.size, data)
    entries: list[Entry] = []
    if protected:
        end = _area(data, at, PROTECTED_MAGIC, entries)
        if end != signed:
            raise _no_image("two sizes of its protected TLVs")
    end = _area(data, signed, TLV_MAGIC, entries)
    clear = not flags & ENCRYPTED_FLAGS
    name, value = _check_hash(data[:signed], entries, clear=clear)
    return Image(
        data,
        Version(*numbers),
        header,
        body,
        flags,
        value,
        name,
        clear,
        tuple(entries),
        len(data) - end,
    )


def peek_version(data: bytes) -> Version:
    """Read the version from the header alone, where the rest may be missing.

    Raises:
        BadImage: not-an-image.
    """
    if len(data) < HEADER_BYTES or HEADER.unpack_from(data)[0] != MAGIC:
        raise _no_image("no header of an MCUboot image")
    return Version(*HEADER.unpack_from(data)[6:])


def _area(data: bytes, at: int, magic: int, entries: list[Entry]) -> int:
    """Read one area of TLVs at `at`; gives where it ends."""
    found, total = TLV_INFO.unpack_from(data, at)
    if found != magic:
        raise _no_image(f"at {at} stands {found:#06x}, where TLVs begin with {magic:#06x}")
    if total < TLV_INFO.size:
        raise _no_image(f"TLVs of {total} bytes in all")
    end = at + int(total)
    if end > len(data):
        raise _truncated(end, data)
    entries.extend(_entries(data, at + TLV_INFO.size, end, protected=magic == PROTECTED_MAGIC))
    if len(entries) > TLVS_MAX:
        raise _no_image(f"more than {TLVS_MAX} TLVs")
    return end


def _entries(data: bytes, at: int, end: int, *, protected: bool) -> Iterator[Entry]:
    while at < end:
        if at + TLV.size > end:
            raise _no_image(f"a TLV at {at} that is cut by the end of its area")
        kind, size = TLV.unpack_from(data, at)
        at += TLV.size
        if at + size > end:
            raise _no_image(f"a TLV of {size} bytes at {at} in an area that ends at {end}")
        yield Entry(kind, data[at : at + size], protected)
        at += size


def _check_hash(signed: bytes, entries: list[Entry], *, clear: bool) -> tuple[str, bytes]:
    hashes = [entry for entry in entries if entry.kind in HASHES]
    if len(hashes) != 1:
        raise _no_image(f"{len(hashes)} hashes, where one is needed")
    name, size = HASHES[hashes[0].kind]
    value = hashes[0].value
    if len(value) != size:
        raise _no_image(f"a {name} of {len(value)} bytes")
    if clear and hashlib.new(name, signed).digest() != value:
        raise BadImage(
            Reason.DAMAGED,
            f"the image's {name} is not what it says: it was changed",
            hint="get the file anew",
        )
    return name, value


def _no_image(what: str) -> BadImage:
    return BadImage(
        Reason.NOT_AN_IMAGE,
        f"this is no MCUboot image: {what}",
        hint="west builds it as build/zephyr/zephyr.signed.bin; or sign it with imgtool",
    )


def _truncated(wanted: int, data: bytes) -> BadImage:
    return BadImage(
        Reason.TRUNCATED,
        f"the image is truncated: {len(data)} bytes of at least {wanted}",
        hint="get the file anew",
    )


def board_entry(board: str) -> bytes:
    """Give the value of the board TLV, as `imgtool sign --custom-tlv 0x00a0` is to write it.

    Raises:
        UsageError: no name of a board.
    """
    if not board or len(board) > 64 or not board.isascii() or not board.isprintable():  # noqa: PLR2004 - as above
        raise UsageError(f"{board[:80]!r} is no name of a board", hint="nrf52840dk/nrf52840")
    return BOARD_PREFIX + board.encode()
