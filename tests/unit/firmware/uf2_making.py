"""UF2 files for tests."""

import struct

NRF52840 = 0xADA52840
INFO = """UF2 Bootloader 0.6.2 lib/nrfx (v2.0.0) lib/tinyusb (0.12.0-145-g9775e7691)
Model: Adafruit Feather nRF52840 Express
Board-ID: nRF52840-Feather-revD
Date: Aug 25 2021
"""
# as the Adafruit nRF52 bootloader writes it, github.com/adafruit/Adafruit_nRF52_Bootloader


def uf2(count=3, family=NRF52840, start=0x26000):
    blocks = []
    for number in range(count):
        head = struct.pack(
            "<8I", 0x0A324655, 0x9E5D5157, 0x2000, start + 256 * number, 256, number, count, family
        )
        blocks.append(head + bytes([number]) * 256 + bytes(220) + struct.pack("<I", 0x0AB16F30))
    return b"".join(blocks)
