"""A bluetoothd to test against, where there is no kernel with Bluetooth: org.bluez on a real bus.

It plays what clients see of BlueZ 5.66 to 5.8x, from its documentation and sources: discovery
sessions per client, Service Data that accumulates unless a client asked for DuplicateData
(src/device.c, device_set_service_data), UUIDs that come from the GATT table once that is known,
devices that are forgotten after a scan, a disconnect that takes its time, crashes.
"""

import asyncio
import contextlib
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from uuid import UUID

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

HAVE_DAEMON = shutil.which("dbus-daemon") is not None
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>{auth}</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    {rule}
  </policy>
</busconfig>
"""
DENY = '<deny send_destination="org.bluez"/>'
TICK_S = 0.03
ADAPTER, DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
SERVICE, CHARACTERISTIC = "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
SMP = 0x8D53DC1D1DB74CD3868B8A527460AA84
WRITE, NOTIFY = "write-without-response", "notify"
PARTS = {
    0x1827: {0x2ADB: [WRITE], 0x2ADC: [NOTIFY]},
    0x1828: {0x2ADD: [WRITE], 0x2ADE: [NOTIFY]},
    SMP: {0xDA2E7828FBCE4E01AE9E261174997C48: [WRITE, NOTIFY]},
    0x180A: {},
}


def uuid(number):
    if number > 0xFFFF:
        return str(UUID(int=number))
    return f"{number:08x}-0000-1000-8000-00805f9b34fb"


class Daemon:
    """A dbus-daemon of our own."""

    def __init__(self, folder, auth="EXTERNAL", rule=""):
        self.path = folder / "bus"
        config = folder / "bus.conf"
        config.write_text(CONFIG.format(path=self.path, auth=auth, rule=rule))
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.process.stdout.readline()
        self.address = f"unix:path={self.path}"

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()


@dataclass
class Peer:
    """A mesh node in reach of the adapter."""

    address: str
    said: dict  # Service Data by 16-bit UUID
    name: str | None = None
    table: tuple = (0x1827,)
    mtu: int | None = 69
    rssi: int = -60
    drops: int = 0  # hang up right after so many connects
    deaf: int = 0  # never answer discovery on so many connects
    without: tuple = ()
    hang_up_after: int | None = None
    keeps_old_table: bool = False
    in_reach: bool = True
    written: list = field(default_factory=list)
    connects: int = 0

    @property
    def path(self):
        return f"/org/bluez/hci0/dev_{self.address.replace(':', '_')}"


class Bluetoothd:
    """The peer: one adapter, and who is in its reach."""

    def __init__(self, address, *, adapters=("hci0",), disconnect_s=0.1, forget_s=30.0, old=False):
        self.bus_address = address
        self.disconnect_s = disconnect_s
        self.forget_s = forget_s
        self.old = old  # knows no DuplicateData
        self.frozen = False
        self.objects = {}
        self.peers = {}
        self.filters = {}
        self.sessions = set()
        self.calls = []
        self.tasks = set()
        self.ticker = None
        for name in adapters:
            self.objects[f"/org/bluez/{name}"] = {
                ADAPTER: {
                    "Address": Variant("s", "00:11:22:33:44:55"),
                    "Powered": Variant("b", True),
                    "Discovering": Variant("b", False),
                    "Roles": Variant("as", ["central", "peripheral"]),
                }
            }

    async def start(self):
        self.bus = MessageBus(bus_address=self.bus_address)
        await self.bus.connect()
        await self.bus.request_name("org.bluez")
        self.bus.add_message_handler(self.on_message)
        return self

    async def stop(self):
        """End, as after a crash: nobody is told but by the bus."""
        for task in [*self.tasks, *([self.ticker] if self.ticker else [])]:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.bus.disconnect()
        with contextlib.suppress(OSError, EOFError):  # the bus may have ended first
            await self.bus.wait_for_disconnect()

    def add(self, *peers):
        for peer in peers:
            self.peers[peer.path] = peer

    # --- messages

    def on_message(self, message):
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        self.calls.append((message.member, message.path))
        if self.frozen:
            return True  # read, and that is all: as after SIGSTOP
        task = asyncio.ensure_future(self.answer(message))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return True

    async def answer(self, message):
        name = "on_" + re.sub(r"(?<!^)(?=[A-Z])", "_", message.member).lower()
        if message.path not in self.objects and message.path != "/":
            reply = Message.new_error(
                message, "org.freedesktop.DBus.Error.UnknownObject", f"no {message.path}"
            )
        elif not hasattr(self, name):
            reply = Message.new_error(
                message, "org.freedesktop.DBus.Error.UnknownMethod", message.member
            )
        else:
            try:
                signature, body = await getattr(self, name)(message) or ("", [])
                reply = Message.new_method_return(message, signature, body)
            except RefusedError as e:
                reply = Message.new_error(message, f"org.bluez.Error.{e.args[0]}", e.args[1])
        await self.bus.send(reply)

    def changed(self, path, interface, **values):
        self.objects[path][interface].update(values)
        self.signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, values, []])

    def added(self, path, **interfaces):
        self.objects[path] = interfaces
        self.signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def removed(self, path):
        interfaces = list(self.objects.pop(path))
        self.signal("/", OBJECTS, "InterfacesRemoved", "oas", [path, interfaces])

    def signal(self, path, interface, member, signature, body):
        self.bus.send(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=body,
            )
        )

    async def on_get_managed_objects(self, _):
        return "a{oa{sa{sv}}}", [self.objects]

    # --- the adapter

    async def on_set_discovery_filter(self, message):
        self.filters[message.sender] = message.body[0]

    async def on_start_discovery(self, message):
        if not self.objects[message.path][ADAPTER]["Powered"].value:
            raise RefusedError("NotReady", "Resource Not Ready")
        if message.sender in self.sessions:
            raise RefusedError("InProgress", "Operation already in progress")
        self.sessions.add(message.sender)
        self.changed(message.path, ADAPTER, Discovering=Variant("b", True))
        if self.ticker is None:
            self.ticker = asyncio.ensure_future(self.tick())

    async def on_stop_discovery(self, message):
        if message.sender not in self.sessions:
            raise RefusedError("Failed", "No discovery started")
        self.sessions.discard(message.sender)
        self.changed(message.path, ADAPTER, Discovering=Variant("b", False))
        if not self.sessions:
            self.ticker.cancel()
            self.ticker = None
            self.later(self.forget_s, self.forget_all)

    async def on_remove_device(self, message):
        (path,) = message.body
        if path not in self.objects:
            raise RefusedError("DoesNotExist", "Does Not Exist")
        self.remove_device(path)

    def remove_device(self, path):
        for below in sorted((p for p in self.objects if p.startswith(path)), reverse=True):
            self.removed(below)

    def forget_all(self):
        if not self.sessions:
            for path, interfaces in list(self.objects.items()):
                if DEVICE in interfaces and not interfaces[DEVICE]["Connected"].value:
                    self.remove_device(path)

    def later(self, wait_s, act):
        async def waiting():
            await asyncio.sleep(wait_s)
            act()

        task = asyncio.ensure_future(waiting())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def tick(self):
        while True:
            for peer in list(self.peers.values()):
                if peer.in_reach:
                    self.report(peer)
            await asyncio.sleep(TICK_S)

    def report(self, peer):
        """Take one advertisement, as `btd_adapter_device_found` does."""
        fresh = {uuid(number): Variant("ay", data) for number, data in peer.said.items()}
        heard = [uuid(number) for number in peer.said]
        device = self.objects.get(peer.path, {}).get(DEVICE)
        if device is None:
            values = {
                "Address": Variant("s", peer.address),
                "AddressType": Variant("s", "random"),
                "Alias": Variant("s", peer.name or peer.address.replace(":", "-")),
                "Adapter": Variant("o", "/org/bluez/hci0"),
                "Paired": Variant("b", False),
                "Trusted": Variant("b", False),
                "Connected": Variant("b", False),
                "ServicesResolved": Variant("b", False),
                "UUIDs": Variant("as", heard),
                "RSSI": Variant("n", peer.rssi),
                "ServiceData": Variant("a{sv}", fresh),
            }
            if peer.name:
                values["Name"] = Variant("s", peer.name)
            self.added(peer.path, **{DEVICE: values})
            return
        if peer.name and "Name" not in device:
            self.changed(peer.path, DEVICE, Name=Variant("s", peer.name))
        if device["Connected"].value:
            return  # a node with one link does not advertise
        duplicate = not self.old and any(
            "DuplicateData" in chosen and chosen["DuplicateData"].value
            for chosen in self.filters.values()
        )
        kept = {} if duplicate else dict(device["ServiceData"].value)
        if duplicate or any(kept.get(key) != value for key, value in fresh.items()):
            self.changed(peer.path, DEVICE, ServiceData=Variant("a{sv}", kept | fresh))
        rssi = peer.rssi + (device["RSSI"].value == peer.rssi)
        self.changed(peer.path, DEVICE, RSSI=Variant("n", rssi))

    def unplug(self, name="hci0"):
        self.removed(f"/org/bluez/{name}")

    def power(self, on, name="hci0"):
        self.changed(f"/org/bluez/{name}", ADAPTER, Powered=Variant("b", on))

    # --- devices

    async def on_connect(self, message):
        peer = self.peers[message.path]
        if not peer.in_reach:
            await asyncio.sleep(60)
        await asyncio.sleep(0.02)
        peer.connects += 1
        self.changed(peer.path, DEVICE, Connected=Variant("b", True))
        if peer.drops:
            peer.drops -= 1
            self.later(0.01, lambda: self.disconnected(peer))
        elif peer.deaf:
            peer.deaf -= 1
        else:
            self.later(0.02, lambda: self.resolve(peer))

    def resolve(self, peer):
        """Make objects of the table of services."""
        if not self.objects[peer.path][DEVICE]["Connected"].value:
            return
        old = [path for path in self.objects if path.startswith(f"{peer.path}/")]
        if not (old and peer.keeps_old_table):
            for path in sorted(old, reverse=True):
                self.removed(path)
            self.export(peer)
        self.changed(
            peer.path,
            DEVICE,
            UUIDs=Variant("as", [uuid(number) for number in peer.table]),
            ServicesResolved=Variant("b", True),
        )

    def export(self, peer):
        handle = 0x10
        for number in peer.table:
            at = f"{peer.path}/service{handle:04x}"
            values = {
                "UUID": Variant("s", uuid(number)),
                "Primary": Variant("b", True),
                "Device": Variant("o", peer.path),
            }
            self.added(at, **{SERVICE: values})
            for part, flags in PARTS[number].items():
                handle += 2
                if part in peer.without:
                    continue
                values = {
                    "UUID": Variant("s", uuid(part)),
                    "Service": Variant("o", at),
                    "Flags": Variant("as", flags),
                }
                if peer.mtu is not None:  # BlueZ before 5.62 does not tell
                    values["MTU"] = Variant("q", peer.mtu)
                self.added(f"{at}/char{handle:04x}", **{CHARACTERISTIC: values})
            handle += 2

    async def on_disconnect(self, message):
        peer = self.peers[message.path]
        self.later(self.disconnect_s, lambda: self.disconnected(peer))

    def disconnected(self, peer):
        if peer.path in self.objects and self.objects[peer.path][DEVICE]["Connected"].value:
            self.changed(
                peer.path,
                DEVICE,
                ServicesResolved=Variant("b", False),
                Connected=Variant("b", False),
            )

    # --- characteristics

    def peer_of(self, path):
        return next(peer for peer in self.peers.values() if path.startswith(f"{peer.path}/"))

    async def on_start_notify(self, message):
        self.changed(message.path, CHARACTERISTIC, Notifying=Variant("b", True))

    async def on_write_value(self, message):
        peer = self.peer_of(message.path)
        value, options = message.body
        assert "command" == options["type"].value
        if not self.objects[peer.path][DEVICE]["Connected"].value:
            raise RefusedError("Failed", "Not connected")
        room = (peer.mtu or 23) - 3
        assert len(value) <= room, f"{len(value)} octets do not fit"
        peer.written.append(bytes(value))
        if peer.hang_up_after is not None and len(peer.written) >= peer.hang_up_after:
            peer.hang_up_after = None
            self.disconnected(peer)
            return
        self.notify(peer, bytes(value))

    def notify(self, peer, value):
        for path, interfaces in list(self.objects.items()):
            if path.startswith(f"{peer.path}/") and "Notifying" in interfaces.get(
                CHARACTERISTIC, {}
            ):
                self.changed(path, CHARACTERISTIC, Value=Variant("ay", value))


class RefusedError(Exception):
    """An error reply of BlueZ."""
