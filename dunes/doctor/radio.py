"""The radio that the mesh would use: an adapter of BlueZ with its D-Bus, or an HCI controller."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dunes.doctor.check import Given, Result

if TYPE_CHECKING:
    from dunes.ble.bluezbus import Adapter
    from dunes.ble.opening import Choice

SYSFS = Path("/sys/class")
BUS_SOCKET = "/run/dbus/system_bus_socket"
BUS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
ANSWER_S = 3.0


def adapter(given: Given, *, sysfs: Path = SYSFS) -> Result:
    """Say whether the radio that is chosen is there, switched on, and may send."""
    from dunes.ble.bluez import choose_adapter
    from dunes.ble.errors import NoRadio

    choice = _choice(given)
    if choice.spec.kind == "hci":
        return _controller(choice)
    blocked = [_read(kind.parent / "name") for kind in _blocked(sysfs / "rfkill")]
    if blocked:
        return Result("fail", f"{', '.join(blocked)} is blocked", "rfkill unblock bluetooth")
    known = _ask_adapters(given) if _has_bus(given) else None
    if known:
        try:
            used = choose_adapter(known, choice.spec.target)
        except NoRadio as e:
            return Result("fail", e.message, e.hint or "")
        return Result("ok", f"{used}, switched on")
    return _attached(sysfs / "bluetooth", choice.spec.target)


def _attached(folder: Path, wanted: str) -> Result:
    """Say what the kernel has, where BlueZ cannot be asked."""
    names = sorted(path.name for path in folder.glob("hci*") if ":" not in path.name)
    if wanted and wanted not in names:
        return Result("fail", f"there is no adapter {wanted}", f"ls {folder}")
    if not names:
        return Result(
            "warn", "no Bluetooth adapter is attached; only the mesh needs one", "lsusb; dmesg"
        )
    return Result("ok", ", ".join(names))


def _choice(given: Given) -> "Choice":
    from dunes.ble.opening import choose_radio
    from dunes.site import running_site

    return choose_radio(None, given.settings, running_site(given.settings.paths))


def _controller(choice: "Choice") -> Result:
    """Look at an HCI controller from outside: opening it would take it from who uses it."""
    if find_spec("bumble") is None:
        return Result("fail", f"{choice.name} needs Bumble", "pip install 'dunes-mcp[hci]'")
    scheme, _, rest = choice.spec.target.partition(":")
    device = Path(rest.partition(",")[0])
    if scheme == "serial" and not device.exists():
        return Result("fail", f"there is no {device}", "ls -l /dev/serial/by-id")
    if scheme == "serial" and not os.access(device, os.R_OK | os.W_OK):
        return Result("fail", f"{device} is not ours to open", "usermod -aG dialout $USER")
    return Result("ok", f"{choice.name}, by {choice.origin}; not opened")


def _has_bus(given: Given) -> bool:
    return BUS_VARIABLE in given.environ or Path(BUS_SOCKET).exists()


def _ask_adapters(given: Given) -> "list[Adapter] | None":
    """Ask BlueZ for its adapters; None: it cannot be asked, which is the other check's to say."""
    import asyncio

    from dunes.errors import DunesError

    try:
        return asyncio.run(asyncio.wait_for(_adapters(), min(ANSWER_S, given.limit_s)))
    except (DunesError, TimeoutError):
        return None


async def _adapters() -> "list[Adapter] | None":
    from dunes.ble.bluezbus import open_bus

    bus = await open_bus()
    try:
        return await bus.adapters() if await bus.runs() else None
    finally:
        await bus.close()


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
    """Say whether the system bus answers, whether BlueZ is on it, and whether we may use it."""
    choice = _choice(given)
    if choice.spec.kind == "hci":
        return Result("ok", f"not needed: the mesh uses {choice.name}")
    if not _has_bus(given):
        return Result(
            "warn", f"no system bus ({BUS_SOCKET}); only the mesh needs it", "apt install bluez"
        )
    import asyncio

    limit_s = min(ANSWER_S, given.limit_s)
    try:
        return asyncio.run(asyncio.wait_for(_ask_bus(), limit_s))
    except TimeoutError:
        return Result("fail", f"the system bus gave no answer in {limit_s:.3g} s")


async def _ask_bus() -> Result:
    from dunes.ble.bluezbus import START, open_bus

    bus = await open_bus()
    try:
        if not await bus.runs():
            return Result("warn", "BlueZ does not run; only the mesh needs it", START)
        await bus.adapters()  # raises where a policy forbids it
    finally:
        await bus.close()
    return Result("ok", "the system bus answers, BlueZ is on it")
