"""What bleak does not tell of BlueZ: which adapters there are, when one goes away, RemoveDevice.

One connection to the system bus, beside bleak's own. Source: BlueZ, doc/org.bluez.Adapter.rst.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dunes.ble.errors import NoRadio, RadioDenied
from dunes.errors import DunesError

BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
BUS_SOCKET = "/run/dbus/system_bus_socket"
BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
DBUS = "org.freedesktop.DBus"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
MESH_UUIDS = ("00001827-", "00001828-")
GONE_ERRORS = frozenset(
    {
        f"{DBUS}.Error.ServiceUnknown",
        f"{DBUS}.Error.NameHasNoOwner",
        f"{DBUS}.Error.NoReply",
        f"{DBUS}.Error.Disconnected",
        f"{DBUS}.Error.Spawn.ServiceNotFound",
    }
)
START = "systemctl start bluetooth"
RESTART = "systemctl restart bluetooth"
CALL_S = 10.0
"""For bluetoothd to answer; it does so within a second unless it hangs."""
DOCTOR = "dunes doctor --only adapter"


@dataclass(frozen=True, slots=True)
class Adapter:
    """A Bluetooth adapter as BlueZ sees it.

    Attributes:
        name: e.g. `hci0`.
        powered: whether it is switched on.
        central: whether it speaks Bluetooth LE and may connect.
        blocked: whether rfkill forbids it to send (known from BlueZ 5.66 on).
    """

    name: str
    powered: bool
    central: bool
    blocked: bool

    def check(self) -> None:
        """Raise why it cannot be used, if it cannot."""
        if not self.central:
            raise NoRadio(f"adapter {self.name} cannot connect to Bluetooth LE devices")
        if self.blocked:
            raise NoRadio(f"adapter {self.name} is blocked", hint="rfkill unblock bluetooth")
        if not self.powered:
            raise NoRadio(
                f"adapter {self.name} is switched off",
                hint="bluetoothctl power on; if that fails: rfkill unblock bluetooth",
            )


class BluezBus:
    """A connection to the system bus, for what BlueZ says and is told there."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self._watching: asyncio.Task[None] | None = None

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        *body: Any,
        destination: str = BLUEZ,
        but: str = "",
    ) -> list[Any]:
        """Call a method and give what it returns.

        Args:
            path: of the object.
            interface: of the method.
            member: the method.
            signature: of its arguments.
            body: its arguments.
            destination: whom to ask.
            but: an error that is as good as success; then nothing is returned.

        Raises:
            NoRadio: BlueZ does not run, the bus is gone, or it refuses.
            RadioDenied: the bus refuses this user.
        """
        from dbus_fast import Message, MessageType

        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(CALL_S):
                reply = await self._bus.call(message)
        except TimeoutError as e:
            raise NoRadio(f"BlueZ gave no answer in {CALL_S:.0f} s", hint=RESTART) from e
        except (OSError, EOFError) as e:
            raise NoRadio("the system bus is gone", hint=START) from e
        if reply is None:
            raise NoRadio("the system bus gave no reply", hint=START)
        if reply.message_type is not MessageType.ERROR:
            return list(reply.body)
        if reply.error_name == but:
            return []
        raise bus_error(str(reply.error_name), str(reply.body[0]) if reply.body else "")

    async def runs(self) -> bool:
        """Say whether BlueZ is on the bus, without starting it."""
        owned = await self.call(
            "/org/freedesktop/DBus", DBUS, "NameHasOwner", "s", BLUEZ, destination=DBUS
        )
        return owned == [True]

    async def adapters(self) -> list[Adapter]:
        """Give all adapters, by number.

        Raises:
            NoRadio: BlueZ does not run.
            RadioDenied: the bus refuses this user.
        """
        found = []
        for path, interfaces in (await self._objects()).items():
            if (said := interfaces.get(ADAPTER)) is not None:
                found.append(
                    Adapter(
                        path.rpartition("/")[2],
                        powered=bool(said.get("Powered")),
                        central="central" in said.get("Roles", ["central"]),
                        blocked=said.get("PowerState") == "off-blocked",
                    )
                )
        return sorted(found, key=lambda each: (len(each.name), each.name))

    async def stale_nodes(self, adapter: str) -> list[str]:
        """Give the paths of mesh nodes that BlueZ remembers and nobody is connected or paired to.

        Their Service Data and tables of services may be those of what they once were.
        """
        return [
            path
            for path, interfaces in (await self._objects()).items()
            if (said := interfaces.get(DEVICE)) is not None
            and path.startswith(f"/org/bluez/{adapter}/")
            and not (said.get("Connected") or said.get("Paired") or said.get("Trusted"))
            and any(uuid.startswith(MESH_UUIDS) for uuid in said.get("ServiceData", {}))
        ]

    async def remove_device(self, adapter: str, path: str) -> None:
        """Let BlueZ forget a device, its Service Data and its services."""
        await self.call(
            f"/org/bluez/{adapter}", ADAPTER, "RemoveDevice", "o", path,
            but="org.bluez.Error.DoesNotExist",
        )  # fmt: skip

    async def hang_up(self, path: str) -> bool:
        """Disconnect a device if BlueZ says that it is connected; gives whether it was.

        A process that was killed leaves its links up, and a linked node does not advertise.
        """
        said = (await self._objects()).get(path, {}).get(DEVICE, {})
        if not said.get("Connected"):
            return False
        await self.call(path, DEVICE, "Disconnect", but="org.bluez.Error.NotConnected")
        return True

    async def watch(self, adapter: str, on_gone: Callable[[NoRadio], None]) -> None:
        """Call `on_gone` once the adapter cannot be used any more, and say why.

        bleak notices none of these: bluetoothd that ends or crashes, an adapter that is unplugged
        or switched off.
        """
        path = f"/org/bluez/{adapter}"
        for rule in (
            f"type='signal',sender='{DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'",
            f"type='signal',sender='{BLUEZ}',interface='{OBJECTS}',member='InterfacesRemoved'",
            f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',path='{path}'",
        ):
            await self.call("/org/freedesktop/DBus", DBUS, "AddMatch", "s", rule, destination=DBUS)

        def on_message(message: Any) -> None:
            if (why := _trouble(message, adapter)) is not None:
                on_gone(why)

        self._bus.add_message_handler(on_message)
        self._watching = asyncio.create_task(self._watch_bus(on_gone))

    async def _watch_bus(self, on_gone: Callable[[NoRadio], None]) -> None:
        try:
            await self._bus.wait_for_disconnect()
        except (OSError, EOFError):
            on_gone(NoRadio("the system bus is gone", hint="systemctl status dbus"))
        else:
            on_gone(NoRadio("the connection to the system bus was closed"))

    async def close(self) -> None:
        """Leave the bus."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        self._bus.disconnect()

    async def _objects(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
        from dbus_fast import unpack_variants

        (found,) = await self.call("/", OBJECTS, "GetManagedObjects")
        objects: Mapping[str, Mapping[str, Mapping[str, Any]]] = unpack_variants(found)
        return objects


async def open_bus() -> BluezBus:
    """Join the system bus.

    Raises:
        NoRadio: there is none.
        RadioDenied: it refuses this user.
    """
    from dbus_fast import AuthError, BusType
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import DBusFastError

    where = os.environ.get(BUS_VARIABLE) or f"unix:path={BUS_SOCKET}"
    bus = None
    try:
        bus = MessageBus(bus_type=BusType.SYSTEM)
        await bus.connect()
    except BaseException as e:
        if bus is not None:
            bus.disconnect()
        if isinstance(e, AuthError | PermissionError):
            raise RadioDenied(
                f"the system bus refuses user {os.geteuid()}",
                hint="a D-Bus policy for this user; in a container: run as the host's user",
            ) from e
        if isinstance(e, OSError | EOFError | DBusFastError):
            raise NoRadio(
                f"no system bus at {where}: {str(e) or type(e).__name__}"[:300],
                hint="apt install dbus bluez; without BlueZ: --ble hci:…",
                code="no-dbus",
            ) from e
        raise
    return BluezBus(bus)


def bus_error(name: str, text: str) -> DunesError:
    """Say what an error reply of the bus or of BlueZ means for the radio.

    Args:
        name: of the error, e.g. `org.bluez.Error.NotReady`.
        text: what came with it.
    """
    said = f"{text or name}"[:200]
    if name in GONE_ERRORS:
        return NoRadio("BlueZ does not run (org.bluez)", hint=START, code="no-bluez")
    if name == f"{DBUS}.Error.AccessDenied":
        return RadioDenied(
            f"the bus does not let user {os.geteuid()} use BlueZ",
            hint="usermod -aG bluetooth $USER, then log in again",
        )
    if name == "org.bluez.Error.NotReady":
        return NoRadio("the adapter is switched off", hint="bluetoothctl power on")
    return NoRadio(f"BlueZ refuses: {said}", hint=DOCTOR)


def _trouble(message: Any, adapter: str) -> NoRadio | None:
    """Say what a signal means for the adapter; None: nothing bad."""
    from dbus_fast import MessageType

    if message.message_type is not MessageType.SIGNAL:
        return None
    if message.member == "NameOwnerChanged" and message.body[0] == BLUEZ and not message.body[2]:
        return NoRadio("BlueZ ended (bluetoothd)", hint=START, code="no-bluez")
    if message.member == "InterfacesRemoved":
        path, interfaces = message.body
        if path == f"/org/bluez/{adapter}" and ADAPTER in interfaces:
            return NoRadio(f"adapter {adapter} was unplugged", hint="lsusb; dmesg | tail")
    if message.member == "PropertiesChanged" and message.path == f"/org/bluez/{adapter}":
        powered = message.body[1].get("Powered")
        if message.body[0] == ADAPTER and powered is not None and not powered.value:
            return NoRadio(
                f"adapter {adapter} was switched off",
                hint="bluetoothctl power on; if that fails: rfkill unblock bluetooth",
            )
    return None
