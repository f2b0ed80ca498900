"""What `--device` names.

::

    rover-001                a node by its name, in reach of the radio
    ble:NAME, ble:AA:BB:…    the same, said outright; or by its Bluetooth address
    /dev/ttyUSB0             a serial line or USB; /dev/ttyUSB0,1000000 at another speed
    udp:HOST:PORT            a node on a network; the port may be left out (1337)
    uf2:/media/BOARD         the volume of a UF2 bootloader
    probe:SERIAL, probe:     a debug probe, by its serial number or the only one
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from dunes.errors import UsageError

SMP_PORT = 1337
PORT_MAX = 65535
SPEED_BAUD = 115_200
HINT = "rover-001, ble:NAME, /dev/ttyUSB0, udp:HOST:PORT, uf2:/media/BOARD or probe:SERIAL"
EXAMPLES = {
    "ble": "ble:rover-001",
    "serial": "/dev/ttyUSB0 or /dev/ttyUSB0,1000000",
    "udp": f"udp:192.0.2.7:{SMP_PORT}",
    "uf2": "uf2:/media/BOARD",
    "probe": "probe:0685…, or probe: for the only one",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
_ADDRESS = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\]")
_SPEED = re.compile(r"[0-9]{3,7}")
_SERIAL = re.compile(r"[A-Za-z0-9_-]{0,64}")


class Way(StrEnum):
    """How a node is reached."""

    BLE = "ble"
    SERIAL = "serial"
    UDP = "udp"
    UF2 = "uf2"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Target:
    """One node and the way to it.

    Attributes:
        way: how.
        address: name or address (ble), path (serial, uf2), host (udp), serial number (probe).
        port: of UDP; else 0.
        speed_baud: of a serial line.
        text: as people typed it.
    """

    way: Way
    address: str
    port: int = 0
    speed_baud: int = SPEED_BAUD
    text: str = ""

    @property
    def is_bluetooth_address(self) -> bool:
        """Whether it is six octets, not a name."""
        return self.way is Way.BLE and _ADDRESS.fullmatch(self.address) is not None


def parse_target(text: str) -> Target:
    """Read what stands after `--device`.

    Raises:
        UsageError: it names no node.
    """
    kind, colon, rest = text.partition(":")
    if text.startswith("/"):
        kind, rest = "serial", text
    elif not colon:
        kind, rest = "ble", text
    read = READERS.get(kind)
    if read is None:
        raise UsageError(f"{text[:80]!r} names no node", hint=HINT)
    found = read(rest)
    if found is None:
        raise UsageError(f"{text[:80]!r} names no node", hint=f"for example {EXAMPLES[kind]}")
    return replace(found, text=text)


def _ble(rest: str) -> Target | None:
    good = _NAME.fullmatch(rest) or _ADDRESS.fullmatch(rest)
    return Target(Way.BLE, rest) if good else None


def _serial(rest: str) -> Target | None:
    path, comma, speed = rest.partition(",")
    if not path.startswith("/") or (comma and _SPEED.fullmatch(speed) is None):
        return None
    return Target(Way.SERIAL, path, speed_baud=int(speed or SPEED_BAUD))


def _udp(rest: str) -> Target | None:
    host, colon, number = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        host, number = rest, str(SMP_PORT)
    known = number.isascii() and number.isdigit() and 0 < int(number) <= PORT_MAX
    if _HOST.fullmatch(host) is None or not known:
        return None
    return Target(Way.UDP, host.strip("[]"), port=int(number))


def _uf2(rest: str) -> Target | None:
    return Target(Way.UF2, rest) if rest.startswith("/") else None


def _probe(rest: str) -> Target | None:
    return Target(Way.PROBE, rest) if _SERIAL.fullmatch(rest) else None


READERS: dict[str, Callable[[str], Target | None]] = {
    "ble": _ble,
    "serial": _serial,
    "udp": _udp,
    "uf2": _uf2,
    "probe": _probe,
}
