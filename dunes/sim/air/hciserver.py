"""HCI over TCP: each client gets a controller of its own for as long as it is connected.

The framing is H4, as on a serial line (Core Specification 5.4, vol. 4, part A). A client that
is gone, however it ended, leaves no link and no scan behind.
"""

import asyncio
import logging
from itertools import count
from typing import Any

from bumble import hci
from bumble.core import InvalidPacketError
from bumble.transport.common import PacketParser

from dunes.sim.air.controller import GatewayController
from dunes.sim.air.medium import Medium

CLIENTS_MAX = 8
UNSENT_BYTES_MAX = 4_000_000
"""A host that does not read is cut off then."""
FIRST_ADDRESS = 0x02DE5E000001
"""Locally administered: no maker has such ones."""

log = logging.getLogger(__name__)


class HciServer:
    """Listens on loopback.

    Args:
        medium: what the clients' controllers are in.
    """

    def __init__(self, medium: Medium) -> None:
        self.medium = medium
        self.clients: set[HciClient] = set()
        self._server: asyncio.Server | None = None
        self._numbers = count(1)

    async def start(self, port: int = 0) -> int:
        """Listen; gives the port.

        Args:
            port: to listen on; 0: any that is free.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: HciClient(self), "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Hang up on all."""
        for client in list(self.clients):
            client.hang_up()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def make_controller(self, client: "HciClient") -> GatewayController:
        """Make a controller; its address is the lowest that nobody has now."""
        taken = {each.controller.public_address for each in self.clients if each.controller}
        for number in range(CLIENTS_MAX):
            octets = (FIRST_ADDRESS + number).to_bytes(6, "little")
            address = hci.Address(octets, hci.Address.PUBLIC_DEVICE_ADDRESS)
            if address not in taken:
                break
        name = f"gateway {next(self._numbers)}"
        return GatewayController(name, self.medium, address, client)


class HciClient(asyncio.Protocol):
    """One host at the other end of a TCP connection; a packet sink for its controller."""

    def __init__(self, server: HciServer) -> None:
        self.server = server
        self.controller: GatewayController | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = PacketParser()

    def connection_made(self, transport: Any) -> None:
        """Give the host its controller."""
        self._transport = transport
        if len(self.server.clients) >= CLIENTS_MAX:
            log.warning("more than %d hosts; one was turned away", CLIENTS_MAX)
            transport.abort()
            return
        self.controller = self.server.make_controller(self)
        self.server.clients.add(self)
        self._parser.set_packet_sink(self.controller)

    def data_received(self, data: bytes) -> None:
        """Take octets of the host."""
        try:
            self._parser.feed_data(data)
        except InvalidPacketError as error:
            log.warning("a host sends what is no HCI: %s", error)
            self.hang_up()

    def on_packet(self, packet: bytes) -> None:
        """Send a packet to the host."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            log.warning("a host does not read what it asked for; it was cut off")
            self.hang_up()
            return
        self._transport.write(packet)

    def hang_up(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the controller away."""
        del exc
        self.server.clients.discard(self)
        if self.controller is not None:
            self.controller.power_off()
