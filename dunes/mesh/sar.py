"""Proxy PDUs: messages cut to the size of a GATT write, and put together again.

    SAR(2) type(6) | data        SAR: 0 whole, 1 first, 2 continuation, 3 last

Source: Mesh Protocol 1.1, 6.3.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from dunes.errors import LocalError
from dunes.mesh.errors import BadPdu

TIMEOUT_S = 20.0
"""A message that is not whole by then ends the link (6.3.2.2)."""
ROOM_MIN = 20
"""The size of a write at the smallest ATT_MTU, 23."""


class MessageType(IntEnum):
    """What a proxy PDU carries."""

    NETWORK = 0
    BEACON = 1
    CONFIGURATION = 2
    PROVISIONING = 3


MESSAGE_BYTES_MAX = {
    MessageType.NETWORK: 29,
    MessageType.BEACON: 27,
    MessageType.CONFIGURATION: 29,
    MessageType.PROVISIONING: 66,
}
WHOLE, FIRST, CONTINUATION, LAST = range(4)


def split_proxy(kind: MessageType, data: bytes, room_bytes: int) -> list[bytes]:
    """Cut a message into attribute values.

    Args:
        kind: its type.
        data: the message.
        room_bytes: the most one write without response, or notification, holds.
    """
    if room_bytes < ROOM_MIN:
        raise LocalError(f"a GATT write holds at least {ROOM_MIN} bytes, not {room_bytes}")
    if len(data) < room_bytes:
        return [bytes([WHOLE << 6 | kind]) + data]
    size = room_bytes - 1
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    marks = [FIRST] + [CONTINUATION] * (len(parts) - 2) + [LAST]
    return [bytes([mark << 6 | kind]) + part for mark, part in zip(marks, parts, strict=True)]


@dataclass(slots=True)
class ProxyReassembler:
    """One direction of one link. Holds at most one message, of at most 66 octets."""

    _kind: MessageType | None = None
    _data: bytearray = field(default_factory=bytearray)
    _due_s: float | None = None

    def receive(self, value: bytes, now_s: float) -> tuple[MessageType, bytes] | None:
        """Take an attribute value; gives the message that it completes.

        Unknown message types are ignored.

        Raises:
            BadPdu: an unexpected part, a message too long: end the link.
        """
        if not value:
            raise BadPdu("an empty proxy PDU")
        mark = value[0] >> 6
        try:
            kind = MessageType(value[0] & 0x3F)
        except ValueError:
            return None
        if (mark in (WHOLE, FIRST)) != (self._kind is None):
            raise BadPdu("a proxy PDU out of order")
        if self._kind not in (None, kind):
            raise BadPdu("a part of another kind of proxy PDU")
        if len(self._data) + len(value) - 1 > MESSAGE_BYTES_MAX[kind]:
            raise BadPdu(f"a proxy PDU of more than {MESSAGE_BYTES_MAX[kind]} bytes")
        self._data += value[1:]
        if mark in (FIRST, CONTINUATION):
            self._kind = kind
            self._due_s = now_s + TIMEOUT_S if mark == FIRST else self._due_s
            return None
        whole = bytes(self._data)
        self._kind, self._due_s = None, None
        self._data.clear()
        return kind, whole

    def next_timer_s(self) -> float | None:
        """Say when an unfinished message ends the link."""
        return self._due_s

    def handle_timer(self, now_s: float) -> None:
        """Look whether a message took too long.

        Raises:
            BadPdu: it did: end the link.
        """
        if self._due_s is not None and now_s >= self._due_s:
            raise BadPdu(f"a proxy PDU was not whole after {TIMEOUT_S:.0f} s")
