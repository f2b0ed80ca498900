"""SMP over Bluetooth, for smpclient, on any radio of the house: BlueZ or HCI.

smpclient has transports of its own for bleak and for Bumble; each opens an adapter by
itself. Here many nodes share the one that is open, with its retries and its limits.
"""

from typing import TYPE_CHECKING

from smpclient.transport import SMPTransport

from dunes.ble.radio import Service
from dunes.errors import PeerError

if TYPE_CHECKING:
    from dunes.ble.radio import Link, Radio

HEADER_BYTES = 8
LENGTH = slice(2, 4)
ANSWER_MAX_BYTES = 64 * 1024


class RadioTransport(SMPTransport):
    """One link to one node's SMP service.

    Args:
        radio: the adapter.
    """

    def __init__(self, radio: "Radio") -> None:
        self._radio = radio
        self._link: Link | None = None
        self._rest = bytearray()

    async def connect(self, address: str, timeout_s: float) -> None:
        """Connect and subscribe. Raises `RadioLost`, and `ServiceMissing` for other nodes."""
        self._rest.clear()
        self._link = await self._radio.connect(address, Service.SMP, timeout_s=timeout_s)

    async def disconnect(self) -> None:
        """Hang up."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def send(self, data: bytes) -> None:
        """Write a frame, in pieces that fit one write."""
        link, room = self._need(), self.mtu
        for at in range(0, len(data), room):
            await link.send(bytes(data[at : at + room]))

    async def receive(self) -> bytes:
        """Wait for a whole frame."""
        link, size = self._need(), HEADER_BYTES
        while len(self._rest) < size:
            self._rest += await link.receive()
            if len(self._rest) >= HEADER_BYTES:
                size = HEADER_BYTES + int.from_bytes(self._rest[LENGTH], "big")
            if len(self._rest) > ANSWER_MAX_BYTES:
                raise PeerError(f"{link.address} notifies without end")
        frame = bytes(self._rest[:size])
        del self._rest[:size]
        return frame

    async def send_and_receive(self, data: bytes) -> bytes:
        """Send a frame and wait for one. What was left of an older answer is forgotten."""
        self._rest.clear()
        await self.send(data)
        return await self.receive()

    @property
    def mtu(self) -> int:
        """What one write carries."""
        return self._need().room_bytes

    def _need(self) -> "Link":
        if self._link is None:
            raise PeerError("not connected")
        return self._link
