"""Links: GATT connections and the air itself, as both node and gateway see them.

A link is a number that the host chose. `AIR` is the advertising bearer: what is sent there is
one octet of AD type and the data. On all others it is attribute values of the proxy protocol.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from dunes.mesh.proxy import ProxyFilter
from dunes.mesh.sar import MessageType, ProxyReassembler, split_proxy

AIR = 0
"""The advertising bearer's number; GATT links have positive ones."""
AD_MESH_MESSAGE, AD_MESH_BEACON = 0x2A, 0x2B
LINKS_MAX = 64


class Outgoing(NamedTuple):
    """Octets for a link.

    Attributes:
        link: which.
        data: an attribute value, or AD type and data for the air.
        sends: how often, on the air.
        interval_s: between two of them.
    """

    link: int
    data: bytes
    sends: int = 1
    interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LinkRefused:
    """The other side broke the protocol: end this link.

    Attributes:
        link: which.
        reason: for the log.
    """

    link: int
    reason: str


@dataclass(slots=True)
class GattLink:
    """One GATT connection.

    Attributes:
        link: its number.
        room_bytes: what one write without response, or one notification, holds.
        filter: what goes to the client; only a proxy server uses it.
    """

    link: int
    room_bytes: int
    filter: ProxyFilter = field(default_factory=ProxyFilter)
    reassembler: ProxyReassembler = field(default_factory=ProxyReassembler)

    def frame(self, kind: MessageType, data: bytes) -> list[Outgoing]:
        """Cut a message into attribute values."""
        return [Outgoing(self.link, value) for value in split_proxy(kind, data, self.room_bytes)]
