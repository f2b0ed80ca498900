"""The gateway of a mesh: it provisions, configures, listens and commands. Sans-IO.

    manager = Manager.start(state, rng, now_s=now)
    manager.open_provisioning(link, room, invitation, now)    "out" of 0x1827 is subscribed
    manager.open_proxy(link, room, now, node=unicast)         "out" of 0x1828 is subscribed
    manager.receive_pdu(link, value, now)                     an attribute value
    manager.pdus_to_send(now)                                 Outgoing(link, value)
    manager.next_timer_s(), manager.handle_timer(now)
    manager.next_event()                                      `Store` first; then `stored`
    manager.closed(link, now)

    manager.request(dst, message, now, app_index=0)           an id; Answered or Unanswered
    manager.send(dst, message, app_index=0)                   once, without an answer

Several links at once; without a usable one messages wait, see `proxyclient`.
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from dunes.errors import LocalError, PeerError, TryLater
from dunes.mesh.access import AccessMessage
from dunes.mesh.beacon import ProxySeen, read_proxy_service_data
from dunes.mesh.ivindex import UNKNOWN
from dunes.mesh.links import AIR, LINKS_MAX, GattLink, LinkRefused, Outgoing
from dunes.mesh.managerstate import KnownNode, ManagerState
from dunes.mesh.models.answers import read_message
from dunes.mesh.nodebook import NodeBook
from dunes.mesh.outbox import Message as ToSend
from dunes.mesh.outbox import Sent
from dunes.mesh.provisionings import Invitation, NodeProvisioned, Provisionings, ProvisioningSaid
from dunes.mesh.proxyclient import ProxyClient, ProxyReady
from dunes.mesh.requests import TRIES, Answered, Requests, Unanswered
from dunes.mesh.sar import MessageType
from dunes.mesh.sequence import BLOCK
from dunes.mesh.stack import ControlReceived, NetworkChanged, Stack
from dunes.mesh.state import EVENTS_MAX, Store
from dunes.mesh.timing import Timing
from dunes.mesh.toolbox import virtual_address
from dunes.mesh.wire import Message

REPLAY_CAPACITY = 4096
"""Sources a gateway listens to."""


@dataclass(frozen=True, slots=True)
class Received:
    """An access message that was not the answer to a request.

    Attributes:
        access: as it came.
        message: read, where somebody here knows it.
    """

    access: AccessMessage
    message: Message | None


ManagerEvent = (
    Store
    | LinkRefused
    | ProvisioningSaid
    | NodeProvisioned
    | ProxyReady
    | Received
    | Answered
    | Unanswered
    | ControlReceived
    | NetworkChanged
    | Sent
)


@dataclass(slots=True, repr=False)
class Manager:
    """One gateway.

    Attributes:
        rng: a `SystemRandom` outside of tests.
        stack: network and transport.
        book: nodes and addresses.
        requests: what is asked and not yet answered.
        provisionings: devices that are becoming nodes.
        proxies: links to proxies.
        dropped: what came and could not be read, by reason; see also `stack.dropped`.
    """

    rng: Random
    stack: Stack
    book: NodeBook
    requests: Requests = field(default_factory=Requests)
    dropped: Counter[str] = field(default_factory=Counter)
    provisionings: Provisionings = field(init=False)
    proxies: ProxyClient = field(init=False)
    _events: deque[ManagerEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))
    _out: list[Outgoing] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the sides of devices and of proxies."""
        self.provisionings = Provisionings(self.book, self.rng, self._events.append)
        self.proxies = ProxyClient(self.stack, self.book.nodes, self._events.append)

    @classmethod
    def start(
        cls,
        state: ManagerState,
        rng: Random,
        *,
        now_s: float,
        slept_s: float = 0.0,
        timing: Timing | None = None,
        block: int = BLOCK,
    ) -> "Manager":
        """Go on from a state, new or stored; the first PDU waits for a block of SEQ."""
        stack = Stack.restore(
            state.stack,
            unicast=state.unicast,
            elements=state.elements,
            now_s=now_s,
            slept_s=slept_s,
            replay_capacity=REPLAY_CAPACITY,
            block=block,
            timing=timing,
        )
        stack.every_group = True
        stack.outbox.offline = True
        nodes = {node.unicast: node for node in state.nodes}
        book = NodeBook(stack, nodes, list(state.gone), state.low, state.high)
        return cls(rng, stack, book)

    # ---------------------------------------------------------------- links

    def open_provisioning(
        self, link: int, room_bytes: int, invitation: Invitation, now_s: float
    ) -> None:
        """Begin to provision the device on a link.

        Args:
            link: the host's number for it.
            room_bytes: what one write without response holds.
            invitation: which device, and how.
            now_s: seconds.

        Raises:
            TryLater: the IV index is not known: a proxy has to tell it first.
        """
        self._check_link(link)
        if self.stack.iv.index == UNKNOWN:
            raise TryLater(
                "the IV index of this mesh is not known yet: no device can be let in",
                hint="bring the gateway near a node of it that is a proxy, then repeat",
                code="mesh-iv-unknown",
            )
        self.provisionings.open(link, room_bytes, invitation, now_s)

    def open_proxy(
        self, link: int, room_bytes: int, now_s: float, *, node: int | None = None
    ) -> None:
        """Use a proxy; its beacon is awaited, then our filter set.

        Args:
            link: the host's number for it.
            room_bytes: what one write without response holds.
            now_s: seconds.
            node: the proxy's primary address where its identity told it.
        """
        self._check_link(link)
        self.proxies.open(link, room_bytes, now_s, node)

    def _check_link(self, link: int) -> None:
        opened = len(self.proxies.links) + len(self.provisionings.jobs)
        if link == AIR or link in self.proxies.links or link in self.provisionings.jobs:
            raise LocalError(f"link {link} is taken")
        if opened >= LINKS_MAX:
            raise LocalError(f"more than {LINKS_MAX} links")

    def closed(self, link: int, now_s: float) -> None:
        """Take that a link is gone."""
        self.provisionings.close(link, now_s)
        self.proxies.close(link)

    def identify(self, service_data: bytes) -> ProxySeen | None:
        """Say which network and node of ours advertises this service data of 0x1828."""
        return read_proxy_service_data(self.stack.keys, service_data, self.nodes)

    # ---------------------------------------------------------------- five verbs

    def receive_pdu(self, link: int, value: bytes, now_s: float) -> None:
        """Take an attribute value of a link."""
        proxy, job = self.proxies.links.get(link), self.provisionings.jobs.get(link)
        try:
            if proxy is not None:
                whole = proxy.gatt.reassembler.receive(value, now_s)
                if whole is not None:
                    self.proxies.receive(link, *whole, now_s)
            elif job is not None:
                whole = job.gatt.reassembler.receive(value, now_s)
                if whole is not None and whole[0] is MessageType.PROVISIONING:
                    self.provisionings.receive(link, whole[1], now_s)
        except PeerError as error:
            self._refuse(link, error, now_s)
        self._digest(now_s)

    def pdus_to_send(self, now_s: float) -> list[Outgoing]:
        """Give the attribute values to write now."""
        if not self.stack.outbox.offline:
            self.requests.pump(now_s, self.stack.send)
        self._out += self.provisionings.values_to_send()
        for sealed in self.stack.pdus_to_send(now_s):
            self._out += self.proxies.route(sealed)
        self._digest(now_s)
        out, self._out = self._out, []
        return out

    def next_timer_s(self) -> float | None:
        """Say when `handle_timer` has something to do."""
        timers = [self.stack.next_timer_s()]
        if not self.stack.outbox.offline:
            timers.append(self.requests.next_timer_s())
        timers += [self.provisionings.next_timer_s(), self.proxies.next_timer_s()]
        timers += [gatt.reassembler.next_timer_s() for _, gatt in self._gatt_links()]
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        self.stack.handle_timer(now_s)
        if not self.stack.outbox.offline:
            self.requests.handle_timer(now_s, self.stack.send)
        self.provisionings.handle_timer(now_s)
        for link, gatt in [*self._gatt_links()]:
            try:
                gatt.reassembler.handle_timer(now_s)
            except PeerError as error:
                self._refuse(link, error, now_s)
        self.proxies.handle_timer(now_s)
        self._digest(now_s)

    def next_event(self) -> ManagerEvent | None:
        """Give the next event; what must be stored comes first."""
        store = self.stack.journal.take()
        if store is not None:
            return store
        if self.requests.events:
            return self.requests.events.popleft()
        return self._events.popleft() if self._events else None

    def stored(self, ticket: int, now_s: float) -> None:
        """Go on: a `Store` was written."""
        self.stack.stored(ticket)
        if not self.stack.journal.blocked:
            self.provisionings.stored(now_s)
        self._digest(now_s)

    # ---------------------------------------------------------------- the host's part

    def provide(self, link: int, text: str, now_s: float) -> None:
        """Type in what a device shows, after a `TypeIn`.

        Raises:
            UsageError: it cannot be such a value; ask again.
        """
        self.provisionings.jobs[link].provisioner.provide(text, now_s)

    def request(
        self,
        dst: int,
        message: Message,
        *,
        app_index: int | None = None,
        ttl: int | None = None,
        tries: int = TRIES,
        timeout_s: float | None = None,
    ) -> int:
        """Ask a node, again if need be; gives an id for `Answered` or `Unanswered`.

        Args:
            dst: the element; for configuration the primary address.
            message: one that `models.answers.ANSWERS` knows the answer of.
            app_index: AppKey; None: the node's device key.
            ttl: the default if not given.
            tries: at most.
            timeout_s: per try.
        """
        node = self.node_of(dst)
        to_send = ToSend(dst, message.encode(), app_index, net_index=node.net_index, ttl=ttl)
        hops = self.stack.outbox.default_ttl if ttl is None else ttl
        return self.requests.add(
            node.unicast, message, to_send, tries=tries, timeout_s=timeout_s, ttl=hops
        )

    def send(
        self,
        dst: int,
        message: Message,
        *,
        app_index: int,
        src: int | None = None,
        ttl: int | None = None,
        label: bytes | None = None,
    ) -> int:
        """Send once; gives a handle that a `Sent` event repeats.

        Args:
            dst: the element, group or virtual address.
            message: to send.
            app_index: AppKey.
            src: one of our elements; None: the primary one.
            ttl: the default if not given.
            label: Label UUID of a virtual destination.

        Raises:
            LocalError: `src` is not ours.
        """
        if src is not None and not self.stack.is_own(src):
            raise LocalError(f"{src:#06x} is no element of ours")
        return self.stack.send(
            ToSend(dst, message.encode(), app_index, src=src, ttl=ttl, label=label)
        )

    def grow(self, elements: int) -> None:
        """Have so many elements from now on; addresses that are ours stay ours."""
        self.stack.elements = max(elements, self.stack.elements)

    def state(self, now_s: float) -> ManagerState:
        """Give everything there is to keep or to export, as of now."""
        book = self.book
        nodes = tuple(book.nodes[unicast] for unicast in sorted(book.nodes))
        return ManagerState(
            self.stack.unicast,
            self.stack.state(now_s),
            nodes,
            tuple(book.gone),
            book.low,
            book.high,
            self.stack.elements,
        )

    def listen(self, labels: Iterable[bytes]) -> None:
        """Take what is sent to these Label UUIDs too; groups are all taken."""
        for label in labels:
            known = self.stack.labels.setdefault(virtual_address(label), [])
            if label not in known:
                known.append(label)

    @property
    def nodes(self) -> dict[int, KnownNode]:
        """Give the nodes by primary address."""
        return self.book.nodes

    def node_of(self, unicast: int) -> KnownNode:
        """Find the node that an element's address belongs to.

        Raises:
            NotFound: none of ours.
        """
        return self.book.node_of(unicast)

    def update_node(self, node: KnownNode) -> None:
        """Keep what is known of a node now."""
        self.book.update(node)

    def forget_node(self, unicast: int) -> None:
        """Take a node off the books, after its reset; its addresses are not given out soon."""
        self.book.forget(unicast)
        self.requests.drop(unicast)

    # ---------------------------------------------------------------- parts

    def _gatt_links(self) -> list[tuple[int, GattLink]]:
        found = [(link, each.gatt) for link, each in self.proxies.links.items()]
        return found + [(link, each.gatt) for link, each in self.provisionings.jobs.items()]

    def _refuse(self, link: int, error: PeerError, now_s: float) -> None:
        self.dropped[error.code] += 1
        self.closed(link, now_s)
        self._events.append(LinkRefused(link, error.message))

    # ---------------------------------------------------------------- events of the parts

    def _digest(self, now_s: float) -> None:
        """Work off what the parts have to say."""
        self.provisionings.digest(now_s)
        while self.stack.events:
            event = self.stack.events.popleft()
            if isinstance(event, AccessMessage):
                self._access(event)
                continue
            if isinstance(event, NetworkChanged):
                self._out += self.proxies.announce()
            self._events.append(event)

    def _access(self, access: AccessMessage) -> None:
        try:
            message = read_message(access)
        except PeerError as error:
            self.dropped[error.code] += 1
            return
        if message is None or not self.requests.receive(access.src, message):
            self._events.append(Received(access, message))
