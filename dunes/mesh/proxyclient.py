"""The gateway's links to proxies: beacon, filter, and which way leads where.

A PDU goes by the addressed node's own link, else by the link its element was last heard on,
else by all. Before a proxy's beacon told the IV index, or `BEACON_WAIT_S` passed, nothing
goes by it. Bounded: `ROUTES_MAX` routes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from dunes.mesh.address import is_unicast
from dunes.mesh.links import GattLink, Outgoing
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.outbox import SealedPdu
from dunes.mesh.proxy import FilterStatus, FilterType, SetFilterType, parse_proxy
from dunes.mesh.proxyserver import beacons
from dunes.mesh.sar import MessageType
from dunes.mesh.stack import Stack

BEACON_WAIT_S = 1.0
"""A proxy's beacon tells the IV index; after that we go on without."""
FILTER_RETRY_S = 3.0
FILTER_TRIES = 3
ROUTES_MAX = 4096
NEVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class ProxyReady:
    """A proxy answered our filter: messages flow by this link."""

    link: int


@dataclass(slots=True)
class ProxyLink:
    """One link to a proxy.

    Attributes:
        gatt: the connection.
        node: the proxy's primary address, where it is known.
        filter_due_s: when to set the filter, again if need be.
    """

    gatt: GattLink
    node: int | None
    filter_due_s: float
    filter_tries: int = 0
    beacon_seen: bool = False
    ready: bool = False

    @property
    def usable(self) -> bool:
        """Say whether PDUs may go by it: the IV index is known, or as known as it gets."""
        return self.beacon_seen or self.filter_tries > 0


@dataclass(slots=True)
class ProxyClient:
    """All links to proxies.

    Attributes:
        stack: network and transport.
        nodes: the nodes we know, by primary address.
        on_ready: told which proxy answered.
        links: by number.
    """

    stack: Stack
    nodes: dict[int, KnownNode]
    on_ready: Callable[[ProxyReady], None]
    links: dict[int, ProxyLink] = field(default_factory=dict)
    _routes: dict[int, int] = field(default_factory=dict)

    def open(self, link: int, room_bytes: int, now_s: float, node: int | None) -> None:
        """Begin to use a link."""
        self.links[link] = ProxyLink(GattLink(link, room_bytes), node, now_s + BEACON_WAIT_S)

    def close(self, link: int) -> None:
        """Take that a link is gone."""
        self.links.pop(link, None)
        self._routes = {src: by for src, by in self._routes.items() if by != link}
        self._look_online()

    def receive(self, link: int, kind: MessageType, data: bytes, now_s: float) -> None:
        """Take a message of a proxy.

        Raises:
            PeerError: it breaks the protocol: end the link.
        """
        proxy = self.links[link]
        match kind:
            case MessageType.NETWORK:
                pdu = self.stack.receive_network(data, now_s)
                if pdu is not None:
                    self._note_route(pdu.src, link)
            case MessageType.BEACON:
                seen = self.stack.receive_beacon(data, now_s)
                if seen is not None and not proxy.beacon_seen:
                    proxy.beacon_seen = True
                    self._set_filter(link, proxy, now_s)
            case MessageType.CONFIGURATION:
                answer = self.stack.receive_proxy(data)
                if answer is None or proxy.ready:
                    return
                if isinstance(parse_proxy(answer.transport), FilterStatus):
                    proxy.ready = True
                    self._note_route(answer.src, link)
                    self.on_ready(ProxyReady(link))

    def handle_timer(self, now_s: float) -> None:
        """Set the filters that are due."""
        for link, proxy in self.links.items():
            if not proxy.ready and proxy.filter_due_s <= now_s:
                self._set_filter(link, proxy, now_s)

    def next_timer_s(self) -> float | None:
        """Say when a filter is due."""
        timers = (each.filter_due_s for each in self.links.values() if not each.ready)
        return min((due_s for due_s in timers if due_s != NEVER_S), default=None)

    def probe(self, link: int) -> None:
        """Set a proxy's filter once more: whoever lives answers."""
        self._send_filter(link)

    def route(self, sealed: SealedPdu) -> list[Outgoing]:
        """Give a sealed PDU to the links that lead to its destination."""
        if sealed.link is not None:
            if sealed.link not in self.links:
                return []
            return self.links[sealed.link].gatt.frame(MessageType.CONFIGURATION, sealed.data)
        out: list[Outgoing] = []
        for each in self._ways(sealed.dst):
            out += each.gatt.frame(MessageType.NETWORK, sealed.data)
        return out

    def announce(self) -> list[Outgoing]:
        """Tell the proxies what IV index and key refresh phase we are at."""
        return [
            out
            for proxy in self.links.values()
            if proxy.usable
            for data in beacons(self.stack)
            for out in proxy.gatt.frame(MessageType.BEACON, data)
        ]

    def _set_filter(self, link: int, proxy: ProxyLink, now_s: float) -> None:
        """Ask for everything: an empty reject list."""
        if proxy.filter_tries >= FILTER_TRIES:
            proxy.filter_due_s = NEVER_S
            return
        proxy.filter_tries += 1
        proxy.filter_due_s = now_s + FILTER_RETRY_S
        self._send_filter(link)
        self._look_online()

    def _send_filter(self, link: int) -> None:
        net_index = next(iter(self.stack.keys.subnets))
        message = SetFilterType(FilterType.REJECT).encode()
        self.stack.outbox.send_proxy(link, message, net_index=net_index)

    def _look_online(self) -> None:
        self.stack.outbox.offline = not any(each.usable for each in self.links.values())

    def _note_route(self, src: int, link: int) -> None:
        self._routes.pop(src, None)
        self._routes[src] = link
        if len(self._routes) > ROUTES_MAX:
            del self._routes[next(iter(self._routes))]

    def _ways(self, dst: int) -> list[ProxyLink]:
        usable = {link: each for link, each in self.links.items() if each.usable}
        if is_unicast(dst):
            for each in usable.values():
                node = None if each.node is None else self.nodes.get(each.node)
                if each.node == dst or (node is not None and node.has(dst)):
                    return [each]
            heard = self._routes.get(dst)
            if heard in usable:
                return [usable[heard]]
        return list(usable.values())
