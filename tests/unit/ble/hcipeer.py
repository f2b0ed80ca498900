"""A mesh node and a controller of Bumble's own, joined by its LocalLink; HCI over real TCP.

The node is a GATT server that echoes what is written to it, with the faults of real ones.
"""

import asyncio
import contextlib
import os
import tty

from bumble import hci
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Device
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.gatt_server import Server
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink, PacketParser

WRITE = Characteristic.Properties.WRITE_WITHOUT_RESPONSE
NOTIFY = Characteristic.Properties.NOTIFY
PARTS = {0x1827: (0x2ADB, 0x2ADC), 0x1828: (0x2ADD, 0x2ADE)}
UNPROVISIONED = bytes(range(16)) + b"\x00\x00"
NETWORK_ID = b"\x00" + bytes(range(8))
INTERVAL_MS = 30


class Node:
    """A peripheral at a random address."""

    def __init__(self, link, number=1, mtu=517):
        self.address = f"C0:00:00:00:00:{number:02X}"
        self.name = f"node-{number}"
        self.controller = Controller(self.name, link=link)
        self.device = Device(
            name=self.name,
            address=hci.Address(self.address),
            host=Host(self.controller, AsyncPipeSink(self.controller)),
        )
        self.mtu = mtu
        self.written = []
        self.connects = 0
        self.connected = asyncio.Event()
        self.drops = 0  # hang up at once on so many connections
        self.deaf = 0  # answer no ATT request on so many connections
        self.hang_up_after = None  # writes
        self.device.on("connection", self.on_connection)

    async def start(self, service=0x1827, data=UNPROVISIONED):
        await self.device.power_on()
        await self.offer(service, data)

    async def offer(self, service, data, *, without=(), mute=False, others=()):
        """Show another service, in the GATT table and on the air."""
        entrance, exit_ = PARTS[service]
        self.out = Characteristic(UUID.from_16_bits(exit_), NOTIFY if not mute else 0, 0, b"")
        way_in = Characteristic(
            UUID.from_16_bits(entrance),
            WRITE,
            Characteristic.WRITEABLE,
            CharacteristicValue(write=self.on_write),
        )
        kept = [c for c in (way_in, self.out) if c.uuid not in map(UUID.from_16_bits, without)]
        server = Server(self.device)
        server.max_mtu = self.mtu
        for other in others:
            server.add_service(Service(UUID.from_16_bits(other), []))
        server.add_service(Service(UUID.from_16_bits(service), kept))
        self.device.gatt_server = server
        with contextlib.suppress(hci.HCI_Error):
            await self.device.stop_advertising()
        await self.advertise(service, data)

    async def advertise(self, service, data):
        number = service.to_bytes(2, "little")
        parts = [(0x01, b"\x06"), (0x03, number), (0x16, number + data)]
        if service == 0x1828:  # 31 octets hold it; stock Bumble sends no scan response
            parts.append((0x09, self.name.encode()))
        said = AdvertisingData(parts)
        await self.device.start_advertising(
            auto_restart=True,
            advertising_data=bytes(said),
            advertising_interval_min=INTERVAL_MS,
            advertising_interval_max=INTERVAL_MS,
        )

    def on_connection(self, connection):
        self.connects += 1
        self.connected.set()
        self.connection = connection
        if self.drops:
            self.drops -= 1
            self.task = asyncio.create_task(connection.disconnect(0x1F))
        elif self.deaf:
            self.deaf -= 1
            connection.gatt_server = None  # requests are read, and that is all

    def on_write(self, connection, value):
        self.written.append(bytes(value))
        if self.hang_up_after is not None and len(self.written) >= self.hang_up_after:
            self.hang_up_after = None
            self.task = asyncio.create_task(connection.disconnect(0x13))
            return
        self.task = asyncio.create_task(self.notify(bytes(value)))

    async def notify(self, value):
        await self.device.notify_subscribers(self.out, value)

    async def stop(self):
        await self.device.power_off()


class Gateway(Controller):
    """Bumble's controller, but one that confirms when it gives up connecting, as all others do."""

    def on_hci_le_create_connection_cancel_command(self, command):
        given_up, self.pending_le_connection = self.pending_le_connection, None
        if given_up is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        event = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=0,
            peer_address_type=1,
            peer_address=given_up.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, event)
        return super().on_hci_le_create_connection_cancel_command(command)


class TcpController(asyncio.Protocol):
    """A controller of Bumble's behind a TCP port: one host at a time."""

    def __init__(self, link, made=Gateway):
        self.link = link
        self.made = made
        self.transport = None
        self.controller = None
        self.frozen = False  # takes octets, and that is all

    async def start(self):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: self, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    def connection_made(self, transport):
        self.transport = transport
        self.controller = self.made("gateway", host_sink=self, link=self.link)
        self.parser = PacketParser(self.controller)

    def data_received(self, data):
        if not self.frozen:
            self.parser.feed_data(data)

    def on_packet(self, packet):
        if not self.transport.is_closing():
            self.transport.write(packet)

    def connection_lost(self, _):
        for connection in list(self.controller.le_connections.values()):
            self.controller.on_hci_disconnect_command(
                hci.HCI_Disconnect_Command(connection_handle=connection.handle, reason=0x13)
            )
        self.link.remove_controller(self.controller)

    async def stop(self):
        if self.transport is not None:
            self.transport.abort()
        self.server.close()
        await self.server.wait_closed()


class SerialController:
    """A controller of Bumble's at the other end of a pseudo-terminal."""

    def __init__(self, link):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.device = os.ttyname(self.slave)
        self.controller = Gateway("serial gateway", host_sink=self, link=link)
        self.parser = PacketParser(self.controller)
        asyncio.get_running_loop().add_reader(self.master, self.on_readable)

    def on_readable(self):
        self.parser.feed_data(os.read(self.master, 4096))

    def on_packet(self, packet):
        os.write(self.master, packet)

    def stop(self):
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)


class Air:
    """Nodes, and a controller for the radio under test."""

    def __init__(self, made=Gateway):
        self.link = LocalLink()
        self.tcp = TcpController(self.link, made)
        self.nodes = []

    async def __aenter__(self):
        await self.tcp.start()
        return self

    async def __aexit__(self, *_):
        for node in self.nodes:
            await node.stop()
        await self.tcp.stop()
        await asyncio.sleep(0.02)

    @property
    def moniker(self):
        return f"tcp-client:127.0.0.1:{self.tcp.port}"

    async def node(self, **rest):
        made = Node(self.link, len(self.nodes) + 1, **rest)
        self.nodes.append(made)
        return made
