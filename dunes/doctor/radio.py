"""The radio: an adapter, and the D-Bus service (BlueZ) through which it is used."""

import os
from pathlib import Path
from typing import Any

from dunes.doctor.check import Given, Result

SYSFS = Path("/sys/class")
BUS_SOCKET = "/run/dbus/system_bus_socket"
BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
ANSWER_S = 3.0


def adapter(given: Given, *, sysfs: Path = SYSFS) -> Result:
    """Say whether a Bluetooth controller is attached and may send."""
    del given
    folder = sysfs / "bluetooth"
    names = sorted(path.name for path in folder.glob("hci*") if ":" not in path.name)
    if not names:
        return Result(
            "warn", "no Bluetooth adapter is attached; only the mesh needs one", "lsusb; dmesg"
        )
    blocked = [_read(kind.parent / "name") for kind in _blocked(sysfs / "rfkill")]
    if blocked:
        return Result("fail", f"{', '.join(blocked)} is blocked", "rfkill unblock bluetooth")
    return Result("ok", ", ".join(names))


def _blocked(folder: Path) -> list[Path]:
    return [
        kind
        for kind in sorted(folder.glob("*/type"))
        if _read(kind) == "bluetooth"
        and "1" in (_read(kind.parent / "soft"), _read(kind.parent / "hard"))
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def dbus(given: Given) -> Result:
    """Say whether the system bus answers, and whether BlueZ is on it."""
    if BUS_VARIABLE not in given.environ and not Path(BUS_SOCKET).exists():
        return Result(
            "warn", f"no system bus ({BUS_SOCKET}); only the mesh needs it", "apt install bluez"
        )
    import asyncio

    limit_s = min(ANSWER_S, given.limit_s)
    try:
        return asyncio.run(asyncio.wait_for(_ask_bus(), limit_s))
    except TimeoutError:
        return Result("fail", f"the system bus gave no answer in {limit_s:.3g} s")
    except PermissionError:
        return Result(
            "fail", f"the system bus refuses user {os.geteuid()}", "a D-Bus policy for this user"
        )
    except Exception as e:  # noqa: BLE001 - whatever the bus library throws, the bus is unusable
        return Result("fail", f"the system bus: {type(e).__name__}: {e}"[:300])


async def _ask_bus() -> Result:
    from dbus_fast import BusType, Message
    from dbus_fast.aio import MessageBus

    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        owned: Any = await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="NameHasOwner",
                signature="s",
                body=["org.bluez"],
            )
        )
    finally:
        bus.disconnect()
    if owned is None or owned.body != [True]:
        return Result(
            "warn", "BlueZ does not run; only the mesh needs it", "systemctl start bluetooth"
        )
    return Result("ok", "the system bus answers, BlueZ is on it")
