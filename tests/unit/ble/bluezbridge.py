"""A bluetoothd whose adapter is on the air of the simulated site.

What bluetoothd gets from the kernel, this one gets from Bumble's host. So bleak meets real nodes:
real advertisements, real GATT tables that change, real links that drop.
"""

import asyncio
import contextlib

from bumble.core import BaseBumbleError
from bumble.device import Device
from bumble.device import Peer as Client
from bumble.hci import Address
from bumble.transport import open_transport
from dbus_fast import Variant

from .bluezpeer import CHARACTERISTIC, DEVICE, SERVICE, Bluetoothd, Peer, RefusedError, uuid

SETUP_S = 5.0
FLAGS = {0x04: "write-without-response", 0x08: "write", 0x10: "notify", 0x02: "read"}


class BridgedBluetoothd(Bluetoothd):
    """Plays BlueZ on an HCI controller.

    Args:
        bus: address of the bus.
        moniker: of the controller.
    """

    def __init__(self, bus, moniker, **rest):
        super().__init__(bus, **rest)
        self.moniker = moniker
        self.ways = {}  # characteristics by path
        self.connecting = asyncio.Lock()

    async def start(self):
        self.transport = await open_transport(self.moniker)
        self.device = Device.with_hci(
            "bluetoothd",
            Address.generate_static_address(),
            self.transport.source,
            self.transport.sink,
        )
        await self.device.power_on()
        self.device.on("advertisement", self.heard)
        return await super().start()

    async def stop(self):
        await super().stop()
        await self.transport.close()

    async def tick(self):
        """Scan for as long as somebody wants it."""
        await self.device.start_scanning(active=True)
        try:
            await asyncio.Event().wait()
        finally:
            with contextlib.suppress(BaseBumbleError):
                await asyncio.shield(self.device.stop_scanning())

    def heard(self, ad):
        said, name = {}, None
        for kind, data in ad.data.ad_structures:
            if kind == 0x16:
                said[int.from_bytes(data[:2], "little")] = bytes(data[2:])
            elif kind in (0x08, 0x09):
                name = data.decode()
        if not self.sessions or not said:
            return
        made = Peer(str(ad.address).removesuffix("/P"), said)
        peer = self.peers.setdefault(made.path, made)
        peer.said, peer.rssi, peer.real = said, ad.rssi, ad.address
        peer.name = name or peer.name
        self.report(peer)

    async def on_connect(self, message):
        peer = self.peers[message.path]
        try:
            async with self.connecting:
                link = await self.device.connect(peer.real, timeout=20)
        except BaseBumbleError as e:
            raise RefusedError("Failed", "le-connection-abort-by-local") from e
        peer.connects += 1
        peer.link = link
        link.on("disconnection", lambda _: self.disconnected(peer))
        self.changed(peer.path, DEVICE, Connected=Variant("b", True))
        task = asyncio.ensure_future(self.discover(peer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def discover(self, peer):
        client = Client(peer.link)
        try:
            async with asyncio.timeout(SETUP_S):
                await client.request_mtu(517)
                await client.discover_services()
                for service in client.services:
                    await service.discover_characteristics()
        except (TimeoutError, BaseBumbleError, asyncio.CancelledError):
            return  # as bluetoothd: the services are not resolved, and that is all one sees
        for path in sorted(
            (p for p in self.objects if p.startswith(f"{peer.path}/")), reverse=True
        ):
            self.removed(path)
        for service in client.services:
            at = f"{peer.path}/service{service.handle:04x}"
            said = {
                "UUID": Variant("s", text(service.uuid)),
                "Primary": Variant("b", True),
                "Device": Variant("o", peer.path),
            }
            self.added(at, **{SERVICE: said})
            for each in service.characteristics:
                path = f"{at}/char{each.handle:04x}"
                self.ways[path] = each
                flags = [flag for bit, flag in FLAGS.items() if each.properties & bit]
                said = {
                    "UUID": Variant("s", text(each.uuid)),
                    "Service": Variant("o", at),
                    "Flags": Variant("as", flags),
                    "MTU": Variant("q", peer.link.att_mtu),
                }
                self.added(path, **{CHARACTERISTIC: said})
        uuids = [text(service.uuid) for service in client.services]
        self.changed(
            peer.path,
            DEVICE,
            UUIDs=Variant("as", uuids),
            ServicesResolved=Variant("b", True),
        )

    async def on_disconnect(self, message):
        peer = self.peers[message.path]
        if (link := getattr(peer, "link", None)) is None:
            raise RefusedError("NotConnected", "Not Connected")

        async def hang_up():
            await asyncio.sleep(self.disconnect_s)
            with contextlib.suppress(BaseBumbleError):
                await link.disconnect()

        task = asyncio.ensure_future(hang_up())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def disconnected(self, peer):
        peer.link = None
        super().disconnected(peer)

    async def on_start_notify(self, message):
        path = message.path

        def on_value(value):
            if path in self.objects:
                self.changed(path, CHARACTERISTIC, Value=Variant("ay", bytes(value)))

        try:
            async with asyncio.timeout(SETUP_S):
                await self.ways[path].subscribe(on_value)
        except (TimeoutError, BaseBumbleError, asyncio.CancelledError) as e:
            raise RefusedError("Failed", "Not connected") from e

    async def on_write_value(self, message):
        if self.peer_of(message.path).link is None:
            raise RefusedError("Failed", "Not connected")
        await self.ways[message.path].write_value(bytes(message.body[0]), with_response=False)


def text(number):
    """Write a UUID of Bumble as BlueZ does."""
    raw = number.to_bytes()
    return uuid(int.from_bytes(raw, "little"))
