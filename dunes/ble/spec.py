"""How people name a radio: `bluez`, `bluez:hci0`, or `hci:` and a Bumble moniker."""

import re
from dataclasses import dataclass
from typing import Literal

from dunes.errors import UsageError
from dunes.text import printable

HOST_SIDE = {
    "serial": "serial:/dev/ttyACM0,1000000",
    "usb": "usb:0",
    "pyusb": "pyusb:0",
    "hci-socket": "hci-socket:0",
    "tcp-client": "tcp-client:127.0.0.1:9000",
    "unix-client": "unix-client:/run/controller",
}
"""Bumble's transports that lead to a controller, each with an example."""
ADAPTER = re.compile(r"hci[0-9]{1,3}")
SERIAL_WORDS = frozenset({"rtscts", "dsrdtr", "delay", "resync"})
"""What may follow a serial device besides its speed; Bumble passes over any other word."""
PORT_MAX = 65_535
DIGITS_MAX = 9
EXAMPLES = "bluez, bluez:hci0, hci:serial:/dev/ttyACM0,1000000, hci:usb:0, hci:hci-socket:0"


@dataclass(frozen=True, slots=True)
class RadioSpec:
    """A radio as it was named.

    Attributes:
        kind: through which stack.
        target: the adapter, empty for the first one; or the moniker.
    """

    kind: Literal["bluez", "hci"]
    target: str = ""

    def __str__(self) -> str:
        """Write it as people type it."""
        return f"{self.kind}:{self.target}" if self.target else self.kind


def parse_radio(text: str) -> RadioSpec:
    """Read the name of a radio.

    Raises:
        UsageError: it names none; the message says which part is wrong.
    """
    kind, colon, target = text.strip().partition(":")
    if kind == "bluez":
        if colon and not ADAPTER.fullmatch(target):
            raise _wrong(text, f"{target!r} is no adapter of BlueZ", "bluez:hci0, or bluez")
        return RadioSpec("bluez", target)
    if kind == "hci":
        _check_moniker(text, target)
        return RadioSpec("hci", target)
    if ADAPTER.fullmatch(kind) and not colon:
        raise _wrong(text, "it has no kind", f"bluez:{kind}")
    raise _wrong(text, "a radio is bluez or hci:…", EXAMPLES)


def _check_moniker(text: str, moniker: str) -> None:
    scheme, _, rest = moniker.partition(":")
    if scheme not in HOST_SIDE:
        known = ", ".join(HOST_SIDE)
        raise _wrong(text, f"{scheme!r} is not one of {known}", f"hci:{HOST_SIDE['serial']}")
    example = f"hci:{HOST_SIDE[scheme]}"
    if not rest:
        raise _wrong(text, f"{scheme} says not what to open", example)
    if why := CHECKS.get(scheme, lambda _: "")(rest):
        raise _wrong(text, why, example)


def _address_fault(rest: str) -> str:
    host, _, port = rest.rpartition(":")
    if not host or not _is_number(port):
        return f"{rest!r} is not HOST:PORT"
    return "" if 0 < int(port) <= PORT_MAX else f"there is no port {port}"


def _serial_fault(rest: str) -> str:
    device, *words = rest.split(",")
    if not device.startswith("/"):
        return f"{device!r} is no path of a device"
    odd = [word for word in words if word not in SERIAL_WORDS and not _is_number(word)]
    known = ", ".join(sorted(SERIAL_WORDS))
    return f"{odd[0]!r} is neither a speed nor one of {known}" if odd else ""


def _socket_fault(rest: str) -> str:
    return "" if _is_number(rest) else f"{rest!r} is no number of an adapter"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX


CHECKS = {"tcp-client": _address_fault, "serial": _serial_fault, "hci-socket": _socket_fault}
"""What is wrong with the part behind a scheme, empty if nothing is; Bumble reads the others."""


def _wrong(text: str, why: str, hint: str) -> UsageError:
    return UsageError(f"--ble {printable(text, 120)}: {printable(why, 200)}", hint=hint)
