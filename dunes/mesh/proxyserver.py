"""The node as a proxy and relay: what is passed on, and to whom.

Source: Mesh Protocol 1.1, 3.4.6.3 (relaying), 6.4 to 6.7 (proxy).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from dunes.errors import LocalError, PeerError
from dunes.mesh.address import TTL_RELAYED_MIN, is_unicast
from dunes.mesh.beacon import NetworkState, encode_secure
from dunes.mesh.keys import Phase
from dunes.mesh.links import AD_MESH_BEACON, AD_MESH_MESSAGE, AIR, LINKS_MAX, GattLink, Outgoing
from dunes.mesh.models.config import read_transmit_octet
from dunes.mesh.models.node_config import ON, NodeConfig
from dunes.mesh.network import NetworkPdu, encode_network
from dunes.mesh.outbox import SealedPdu
from dunes.mesh.proxy import parse_proxy
from dunes.mesh.sar import MessageType
from dunes.mesh.stack import Stack

UNSENT_MAX = 4096


@dataclass(slots=True)
class ProxyServer:
    """Links to proxy clients, and the rules of passing on.

    Attributes:
        links: by number.
        out: what is to be sent; at most `UNSENT_MAX`, then the oldest is dropped.
    """

    links: dict[int, GattLink] = field(default_factory=dict)
    out: deque[Outgoing] = field(default_factory=lambda: deque(maxlen=UNSENT_MAX))

    def open(self, link: int, room_bytes: int) -> None:
        """Take a new link.

        Raises:
            LocalError: too many, or it is the air.
        """
        if link == AIR or len(self.links) >= LINKS_MAX:
            raise LocalError(f"link {link} cannot be opened")
        self.links[link] = GattLink(link, room_bytes)

    def receive(self, link: int, data: bytes, now_s: float) -> tuple[MessageType, bytes] | None:
        """Take an attribute value; gives the message that it completes.

        Raises:
            PeerError: it breaks the protocol.
        """
        known = self.links.get(link)
        return None if known is None else known.reassembler.receive(data, now_s)

    def configure(self, link: int, data: bytes, stack: Stack) -> None:
        """Take a proxy configuration message; the answer goes through the stack.

        Raises:
            BadPdu: it cannot be read.
        """
        pdu = stack.receive_proxy(data)
        if pdu is None or link not in self.links:
            return
        message = parse_proxy(pdu.transport)
        if message is None:
            return
        known = self.links[link].filter
        known.note_source(pdu.src)
        status = known.receive(message)
        if status is not None:
            stack.outbox.send_proxy(link, status.encode(), net_index=pdu.net_index)

    def relay(self, pdu: NetworkPdu, came_by: int, config: NodeConfig, stack: Stack) -> None:
        """Pass a PDU on, with TTL-1, to wherever it may be wanted.

        Args:
            pdu: authentic and new.
            came_by: the link it came by.
            config: whether we relay and are a proxy.
            stack: its keys seal it again.
        """
        if came_by in self.links:
            self.links[came_by].filter.note_source(pdu.src)
        ends_here = is_unicast(pdu.dst) and stack.is_own(pdu.dst)
        if pdu.ttl < TTL_RELAYED_MIN or ends_here or pdu.net_index not in stack.keys.subnets:
            return
        links = self.passing(pdu.dst, but=came_by) if config.gatt_proxy == ON else []
        by_air = came_by != AIR or config.relay == ON
        if not links and not by_air:
            return
        credentials = stack.keys.subnets[pdu.net_index].transmit.flooding
        data = encode_network(credentials, pdu._replace(ttl=pdu.ttl - 1))
        for link in links:
            self.say(link, MessageType.NETWORK, data)
        if by_air:
            self._air(data, config.relay_retransmit)

    def send(self, sealed: SealedPdu, config: NodeConfig) -> None:
        """Send a PDU of our own: to the clients it concerns, and to the air."""
        if sealed.link is not None:
            self.say(sealed.link, MessageType.CONFIGURATION, sealed.data)
            return
        for link in self.passing(sealed.dst):
            self.say(link, MessageType.NETWORK, sealed.data)
        self._air(sealed.data, config.network_transmit)

    def next_timer_s(self) -> float | None:
        """Say when a message that began to come is given up."""
        timers = (each.reassembler.next_timer_s() for each in self.links.values())
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> list[tuple[int, PeerError]]:
        """Give the links on which a message began to come and did not end, and why."""
        ends = []
        for link, each in self.links.items():
            try:
                each.reassembler.handle_timer(now_s)
            except PeerError as error:
                ends.append((link, error))
        return ends

    def beacon(self, data: bytes) -> None:
        """Send a beacon to the air."""
        self.out.append(Outgoing(AIR, bytes([AD_MESH_BEACON]) + data))

    def announce(self, links: Sequence[int], stack: Stack) -> None:
        """Send our beacons to some links."""
        for link in links:
            for data in beacons(stack):
                self.say(link, MessageType.BEACON, data)

    def say(self, link: int, kind: MessageType, data: bytes) -> None:
        """Queue a message for a link, if it is still there."""
        known = self.links.get(link)
        if known is not None:
            self.out.extend(known.frame(kind, data))

    def take_out(self) -> list[Outgoing]:
        """Give what is to be sent, once."""
        out = list(self.out)
        self.out.clear()
        return out

    def _air(self, data: bytes, transmit: int) -> None:
        sends, interval_s = read_transmit_octet(transmit)
        self.out.append(Outgoing(AIR, bytes([AD_MESH_MESSAGE]) + data, sends, interval_s))

    def passing(self, dst: int, *, but: int = AIR) -> list[int]:
        """Give the links whose filter passes an address."""
        return [
            link for link, each in self.links.items() if link != but and each.filter.passes(dst)
        ]


def beacons(stack: Stack) -> list[bytes]:
    """Give a Secure Network beacon for each subnet, as of now."""
    return [
        encode_secure(
            subnet.transmit,
            NetworkState(
                stack.iv.index, subnet.phase is Phase.SWITCHING, stack.iv.updating, subnet.index
            ),
        )
        for subnet in stack.keys.subnets.values()
    ]
