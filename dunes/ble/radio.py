"""What a radio gives its users, whichever it is: advertisements, and GATT links to mesh nodes.

`dunes.ble.opening.open_radio` opens one. Who uses a radio knows neither bleak nor Bumble.
"""

from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Service(Enum):
    """Which of the two mesh services of a node to talk to."""

    PROVISIONING = 0x1827
    PROXY = 0x1828


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
