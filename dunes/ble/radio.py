"""What a radio gives its users, whichever it is: advertisements, and GATT links to mesh nodes.

`dunes.ble.opening.open_radio` opens one. Who uses a radio knows neither bleak nor Bumble.
"""

from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol
from uuid import UUID

BASE_UUID = 0x0000_0000_0000_1000_8000_00805F9B34FB
"""Core Specification, Vol 3, Part B, 2.5.1."""


class Service(Enum):
    """Which service of a node to talk to: one of the two of the mesh, or firmware update."""

    PROVISIONING = 0x1827
    PROXY = 0x1828
    SMP = 0x8D53DC1D1DB74CD3868B8A527460AA84
    """MCUmgr's (Zephyr documentation, "SMP over Bluetooth"); a UUID of 128 bits."""


def uuid_text(number: int) -> str:
    """Write a UUID of 16 or 128 bits in full, in lower case."""
    short = number < 1 << 16
    return str(UUID(int=(number << 96) + BASE_UUID if short else number))


@dataclass(frozen=True, slots=True)
class Advertisement:
    """What a node said of itself (Mesh Protocol 1.1, 7.1.2.2 and 7.2.2.2).

    Attributes:
        address: where to connect; opaque, valid on the radio that saw it.
        rssi_dbm: how loud it was; None where the radio does not tell.
        name: the device's local name, if it said one. Text of a stranger: escape it.
        unprovisioned: Service Data of 0x1827: Device UUID (16) and OOB information (2).
            None where it is absent, or stale beside 0x1828.
        proxy: Service Data of 0x1828: its first octet is the identification type.
    """

    address: str
    rssi_dbm: int | None
    name: str | None
    unprovisioned: bytes | None
    proxy: bytes | None


class Link(Protocol):
    """A GATT link whose "out" characteristic is subscribed."""

    address: str
    room_bytes: int
    """The longest attribute value that one write without response carries."""

    async def send(self, value: bytes) -> None:
        """Write one value without response. Raises `RadioLost` when the link is gone."""
        ...

    async def receive(self) -> bytes:
        """Give the next notified value, in order. Raises `RadioLost` when the link is gone."""
        ...

    async def close(self) -> None:
        """Hang up; quietly if that has happened."""
        ...


class Radio(Protocol):
    """An adapter in use. At most a few links at once; connecting is one at a time inside."""

    name: str
    """As people know it, e.g. `bluez:hci0`."""
    simulated: bool
    """Whether what it hears is the simulated site."""
    links_max: int
    """Links that it carries at once."""

    def scan(self) -> AbstractAsyncContextManager[AsyncIterator[Advertisement]]:
        """Listen while the context lasts; every advertisement of a mesh node, repeated ones too.

        Several may listen at once. The iterator raises `NoRadio` when the adapter is gone.
        """
        ...

    async def connect(self, address: str, service: Service, *, timeout_s: float) -> Link:
        """Connect, discover, subscribe; tries again inside as long as there is time.

        Raises:
            RadioLost: not in reach, or it hung up each time.
            NoRadio: the adapter is gone.
            PeerError: it does not have the service.
        """
        ...

    async def forget(self, address: str) -> None:
        """Drop what the system remembers of a node: to be called after it was reset.

        Else old Service Data and an old table of services may outlive what the node was.
        """
        ...

    def close(self) -> Awaitable[None]:
        """Let go of all links and of the adapter."""
        ...
