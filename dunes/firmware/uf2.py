"""UF2 files: blocks of 512 octets that a bootloader takes as a file copy.

Each block: two magics, flags, target address, payload size, block number, number of
blocks, family (or file size), 476 octets of which the payload is the first part, a third
magic; all little-endian.

Source: UF2 specification, github.com/microsoft/uf2; families: its `utils/uf2families.json`.
"""

import re
import struct
from dataclasses import dataclass

from dunes.firmware.errors import BadImage, Reason

BLOCK_BYTES = 512
HEAD = struct.Struct("<8I")
MAGIC_FIRST, MAGIC_SECOND, MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
PAYLOAD_MAX_BYTES = 476
NOT_MAIN_FLASH, FAMILY_PRESENT = 0x1, 0x2000
SIZE_MAX_BYTES = 32 << 20
FAMILIES = {
    0xADA52840: "nrf52840",
    0x621E937A: "nrf52833",
    0x1B57745F: "nrf52",
    0x72721D4E: "nrf52832",
    0xE48BFF56: "rp2040",
}
INFO_FILE = "INFO_UF2.TXT"
INFO_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Uf2:
    """A file whose blocks are complete.

    Attributes:
        family: the chip's family number; None where the file has none.
        start: lowest address that is written.
        payload_bytes: how much is written.
        blocks: how many blocks there are.
    """

    family: int | None
    start: int
    payload_bytes: int
    blocks: int

    @property
    def chip(self) -> str:
        """Name the family; empty if it is not known here."""
        return FAMILIES.get(self.family or 0, "")


def parse_uf2(data: bytes) -> Uf2:
    """Check all blocks of a file.

    Raises:
        BadImage: not-an-image, truncated or damaged.
    """
    if len(data) < HEAD.size or struct.unpack_from("<II", data) != (MAGIC_FIRST, MAGIC_SECOND):
        raise BadImage(Reason.NOT_AN_IMAGE, "this is no UF2 file: its first magic is missing")
    if len(data) > SIZE_MAX_BYTES:
        raise BadImage(Reason.NOT_AN_IMAGE, f"a UF2 file of {len(data)} bytes")
    total = HEAD.unpack_from(data)[6]
    if len(data) < total * BLOCK_BYTES:
        raise BadImage(
            Reason.TRUNCATED,
            f"the UF2 file is truncated: {len(data)} of {total * BLOCK_BYTES} bytes",
            hint="get the file anew",
        )
    if not total or len(data) != total * BLOCK_BYTES:
        raise BadImage(Reason.DAMAGED, f"{len(data)} bytes are not {total} UF2 blocks")
    family: int | None = None
    start, payload = 1 << 32, 0
    for number in range(total):
        at = number * BLOCK_BYTES
        first, second, flags, address, size, here, count, block_family = HEAD.unpack_from(data, at)
        (end,) = struct.unpack_from("<I", data, at + BLOCK_BYTES - 4)
        if (
            (first, second, end) != (MAGIC_FIRST, MAGIC_SECOND, MAGIC_END)
            or (here, count) != (number, total)
            or size > PAYLOAD_MAX_BYTES
        ):
            raise BadImage(Reason.DAMAGED, f"UF2 block {number} of {total} is damaged")
        if flags & NOT_MAIN_FLASH:
            continue
        own = block_family if flags & FAMILY_PRESENT else None
        if family is not None and own != family:
            raise BadImage(Reason.DAMAGED, f"UF2 block {number} is for another chip")
        family = own
        start, payload = min(start, address), payload + size
    return Uf2(family, start if payload else 0, payload, total)


def parse_info(text: str) -> dict[str, str]:
    """Read INFO_UF2.TXT of a bootloader's volume: `Model`, `Board-ID` and the like."""
    found = {}
    for line in text[:INFO_MAX_BYTES].splitlines():
        match = re.fullmatch(r"([A-Za-z][A-Za-z -]{0,30}):\s*(.{1,200}?)\s*", line)
        if match:
            found[match[1]] = match[2]
    return found


def chip_of_info(info: dict[str, str]) -> str:
    """Name the chip that a volume's Board-ID speaks of, e.g. `nRF52840-Feather-revD`."""
    told = " ".join((info.get("Board-ID", ""), info.get("Model", ""))).lower()
    return next((chip for chip in FAMILIES.values() if chip in told.replace("-", "")), "")
