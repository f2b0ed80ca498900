"""How SMP frames lie on a wire: as a stream over GATT, as lines on a console. Sans-IO.

GATT: a frame is cut as the link's MTU asks; its own header says where it ends.

Console: length (2), frame, CRC-16 (2, XMODEM), all that in base64, cut into lines of at
most 128 octets; the first begins with 06 09, the others with 04 14, each ends in a line
feed. The length counts frame and CRC.

Source: Zephyr documentation, "SMP Transport Specification".
"""

import binascii
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from dunes.sim.smp_server import HEADER

FIRST, NEXT, END = b"\x06\x09", b"\x04\x14", b"\n"
LINE_MAX = 128
PAYLOAD = (LINE_MAX - len(FIRST) - len(END)) // 4 * 4
LENGTH = struct.Struct(">H")


@dataclass(slots=True)
class GattStream:
    """What a client writes to the SMP characteristic, as frames.

    Attributes:
        limit_bytes: a longer frame is thrown away with all that is held.
    """

    limit_bytes: int
    _held: bytearray = field(default_factory=bytearray)

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Take a write; give the frames that it completes."""
        self._held += part
        while len(self._held) >= HEADER.size:
            size = HEADER.size + HEADER.unpack_from(self._held)[2]
            if size > self.limit_bytes:
                self._held.clear()
                return
            if len(self._held) < size:
                return
            frame = bytes(self._held[:size])
            del self._held[:size]
            yield frame

    def forget(self) -> None:
        """Forget a frame that was begun: the link is gone."""
        self._held.clear()


@dataclass(slots=True)
class ConsoleStream:
    """What arrives on a console, as frames; other output between them is passed over.

    Attributes:
        limit_bytes: a longer frame is thrown away.
    """

    limit_bytes: int
    _line: bytearray = field(default_factory=bytearray)
    _held: bytearray | None = None

    def feed(self, part: bytes) -> Iterator[bytes]:
        """Take octets; give the frames that they complete."""
        for octet in part:
            if octet != END[0]:
                self._line.append(octet)
                if len(self._line) > self.limit_bytes * 2:
                    self._line.clear()
                continue
            line = bytes(self._line).rstrip(b"\r")
            self._line.clear()
            frame = self._take(line)
            if frame is not None:
                yield frame

    def _take(self, line: bytes) -> bytes | None:
        """Take a line; give the frame that it completes."""
        start = max(line.rfind(FIRST), line.rfind(NEXT))
        if start < 0:
            return None
        if line.startswith(FIRST, start):
            self._held = bytearray()
        if self._held is None:
            return None
        try:
            self._held += binascii.a2b_base64(line[start + len(FIRST) :], strict_mode=True)
        except binascii.Error:
            self._held = None
            return None
        size = LENGTH.unpack_from(self._held)[0] if len(self._held) >= LENGTH.size else 0
        whole = bytes(self._held[LENGTH.size : LENGTH.size + size])
        if size + LENGTH.size > self.limit_bytes:
            self._held = None
        if self._held is None or len(self._held) < LENGTH.size or len(whole) < size:
            return None
        self._held = None
        good = size > LENGTH.size and binascii.crc_hqx(whole, 0) == 0
        return whole[: -LENGTH.size] if good else None


def console_lines(frame: bytes) -> bytes:
    """Write a frame as lines of a console."""
    crc = LENGTH.pack(binascii.crc_hqx(frame, 0))
    whole = LENGTH.pack(len(frame) + len(crc)) + frame + crc
    text = binascii.b2a_base64(whole, newline=False)
    parts = [text[at : at + PAYLOAD] for at in range(0, len(text), PAYLOAD)]
    return b"".join(
        (FIRST if number == 0 else NEXT) + part + END for number, part in enumerate(parts)
    )
