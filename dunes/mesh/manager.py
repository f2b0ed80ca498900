"""The gateway of a mesh: it provisions, configures, listens and commands. Sans-IO.

    manager = Manager.start(state, rng, now_s=now)
    manager.open_provisioning(link, room_bytes, uuid, now)    "out" of 0x1827 is subscribed
    manager.open_proxy(link, room_bytes, now, node=unicast)   "out" of 0x1828 is subscribed
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
from dataclasses import dataclass, field, replace
from random import Random

from dunes.errors import LocalError, NotFound, PeerError
from dunes.mesh.access import AccessMessage
from dunes.mesh.beacon import ProxySeen, read_proxy_service_data
from dunes.mesh.keys import PRIMARY, Phase, dev_key
from dunes.mesh.links import AIR, LINKS_MAX, GattLink, LinkRefused, Outgoing
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone, Progress, free_address
from dunes.mesh.models.answers import read_message
from dunes.mesh.outbox import Message as ToSend
from dunes.mesh.outbox import Sent
from dunes.mesh.provisioning.crypto import Grant
from dunes.mesh.provisioning.events import (
    Agreed,
    CapabilitiesReceived,
    Provisioned,
    ProvisioningEvent,
    ProvisioningFailed,
)
from dunes.mesh.provisioning.oob import Oob
from dunes.mesh.provisioning.pdus import Reason
from dunes.mesh.provisioning.provisioner import Provisioner
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
class ProvisioningSaid:
    """Something about a provisioning that people may have to see, or act on."""

    link: int
    uuid: bytes
    event: ProvisioningEvent


@dataclass(frozen=True, slots=True)
class NodeProvisioned:
    """A device is a node of ours now; end the link, and connect to its proxy service."""

    link: int
    node: KnownNode


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


@dataclass(slots=True)
class _ProvisioningLink:
    gatt: GattLink
    uuid: bytes
    provisioner: Provisioner
    net_index: int
    reserved: tuple[int, int] | None = None
    ticket_open: bool = False


@dataclass(slots=True)
class Manager:
    """One gateway.

    Attributes:
        rng: a `SystemRandom` outside of tests.
        stack: network and transport.
        nodes: by primary address.
        gone: addresses that wait.
        low: the first address to give out.
        high: the last one.
        dropped: what came and could not be read, by reason; see also `stack.dropped`.
    """

    rng: Random
    stack: Stack
    nodes: dict[int, KnownNode]
    gone: list[NodeGone]
    low: int
    high: int
    requests: Requests = field(default_factory=Requests)
    dropped: Counter[str] = field(default_factory=Counter)
    _provisioning: dict[int, _ProvisioningLink] = field(default_factory=dict)
    proxies: ProxyClient = field(init=False)
    _events: deque[ManagerEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))
    _out: list[Outgoing] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the side of the proxies."""
        self.proxies = ProxyClient(self.stack, self.nodes, self._events.append)

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
            elements=1,
            now_s=now_s,
            slept_s=slept_s,
            replay_capacity=REPLAY_CAPACITY,
            block=block,
            timing=timing,
        )
        stack.every_group = True
        stack.outbox.offline = True
        for node in state.nodes:
            stack.device_keys[node.unicast] = dev_key(node.device_key)
        nodes = {node.unicast: node for node in state.nodes}
        return cls(rng, stack, nodes, list(state.gone), state.low, state.high)

    # ---------------------------------------------------------------- links

    def open_provisioning(
        self,
        link: int,
        room_bytes: int,
        uuid: bytes,
        now_s: float,
        *,
        oob: Oob | None = None,
        attention_s: int = 0,
        device_public_key: bytes | None = None,
        net_index: int = PRIMARY,
    ) -> None:
        """Begin to provision the device on a link.

        Args:
            link: the host's number for it.
            room_bytes: what one write without response holds.
            uuid: the device's, from its advertising.
            now_s: seconds.
            oob: how operator and device can meet.
            attention_s: how long it shall show itself.
            device_public_key: X and Y, if known.
            net_index: the subnet to put it into.
        """
        self._check_link(link)
        if net_index not in self.stack.keys.subnets:
            raise LocalError(f"no NetKey {net_index}")
        provisioner = Provisioner(self.rng, oob or Oob(), attention_s, device_public_key)
        self._provisioning[link] = _ProvisioningLink(
            GattLink(link, room_bytes), uuid, provisioner, net_index
        )
        provisioner.start(now_s)

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
        opened = len(self.proxies.links) + len(self._provisioning)
        if link == AIR or link in self.proxies.links or link in self._provisioning:
            raise LocalError(f"link {link} is taken")
        if opened >= LINKS_MAX:
            raise LocalError(f"more than {LINKS_MAX} links")

    def closed(self, link: int, now_s: float) -> None:
        """Take that a link is gone."""
        job = self._provisioning.get(link)
        if job is not None:
            job.provisioner.link_lost()
            self._digest(now_s)
            self._provisioning.pop(link, None)
        self.proxies.close(link)

    def identify(self, service_data: bytes) -> ProxySeen | None:
        """Say which network and node of ours advertises this service data of 0x1828."""
        return read_proxy_service_data(self.stack.keys, service_data, self.nodes)

    # ---------------------------------------------------------------- five verbs

    def receive_pdu(self, link: int, value: bytes, now_s: float) -> None:
        """Take an attribute value of a link."""
        proxy, job = self.proxies.links.get(link), self._provisioning.get(link)
        try:
            if proxy is not None:
                whole = proxy.gatt.reassembler.receive(value, now_s)
                if whole is not None:
                    self.proxies.receive(link, *whole, now_s)
            elif job is not None:
                whole = job.gatt.reassembler.receive(value, now_s)
                if whole is not None and whole[0] is MessageType.PROVISIONING:
                    job.provisioner.receive_pdu(whole[1], now_s)
        except PeerError as error:
            self._refuse(link, error, now_s)
        self._digest(now_s)

    def pdus_to_send(self, now_s: float) -> list[Outgoing]:
        """Give the attribute values to write now."""
        if not self.stack.outbox.offline:
            self.requests.pump(now_s, self.stack.send)
        for job in self._provisioning.values():
            for pdu in job.provisioner.pdus_to_send():
                self._out += job.gatt.frame(MessageType.PROVISIONING, pdu)
        for sealed in self.stack.pdus_to_send(now_s):
            self._out += self.proxies.route(sealed)
        self._digest(now_s)
        out, self._out = self._out, []
        return out

    def next_timer_s(self) -> float | None:
        """Say when `handle_timer` has something to do."""
        timers = [self.stack.next_timer_s(), self.requests.next_timer_s()]
        for job in self._provisioning.values():
            timers += [job.provisioner.next_timer_s(), job.gatt.reassembler.next_timer_s()]
        timers.append(self.proxies.next_timer_s())
        for proxy in self.proxies.links.values():
            timers.append(proxy.gatt.reassembler.next_timer_s())
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        self.stack.handle_timer(now_s)
        if not self.stack.outbox.offline:
            self.requests.handle_timer(now_s, self.stack.send)
        for job in self._provisioning.values():
            job.provisioner.handle_timer(now_s)
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
            for job in self._provisioning.values():
                if job.ticket_open:
                    job.ticket_open = False
                    job.provisioner.stored(now_s)
        self._digest(now_s)

    # ---------------------------------------------------------------- the host's part

    def provide(self, link: int, text: str, now_s: float) -> None:
        """Type in what a device shows, after a `TypeIn`.

        Raises:
            UsageError: it cannot be such a value; ask again.
        """
        self._provisioning[link].provisioner.provide(text, now_s)

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
        ttl: int | None = None,
        label: bytes | None = None,
    ) -> int:
        """Send once; gives a handle that a `Sent` event repeats."""
        return self.stack.send(ToSend(dst, message.encode(), app_index, ttl=ttl, label=label))

    def listen(self, labels: Iterable[bytes]) -> None:
        """Take what is sent to these Label UUIDs too; groups are all taken."""
        for label in labels:
            known = self.stack.labels.setdefault(virtual_address(label), [])
            if label not in known:
                known.append(label)

    def node_of(self, unicast: int) -> KnownNode:
        """Find the node that an element's address belongs to.

        Raises:
            NotFound: none of ours.
        """
        for node in self.nodes.values():
            if node.has(unicast):
                return node
        raise NotFound(f"no node of this mesh has address {unicast:#06x}")

    def update_node(self, node: KnownNode) -> None:
        """Keep what is known of a node now."""
        self.nodes[node.unicast] = node
        self.stack.device_keys[node.unicast] = dev_key(node.device_key)
        self.stack.journal.add(("node", node.unicast), node)

    def forget_node(self, unicast: int) -> None:
        """Take a node off the books, after its reset; its addresses are not given out soon."""
        node = self.nodes.pop(unicast)
        self.stack.device_keys.pop(unicast, None)
        self.requests.drop(unicast)
        gone = NodeGone(unicast, node.elements, self.stack.iv.index)
        self.gone.append(gone)
        self.stack.journal.add(("node", unicast), gone, before_sending=True)

    # ---------------------------------------------------------------- parts

    def _gatt_links(self) -> list[tuple[int, GattLink]]:
        found = [(link, each.gatt) for link, each in self.proxies.links.items()]
        return found + [(link, each.gatt) for link, each in self._provisioning.items()]

    def _refuse(self, link: int, error: PeerError, now_s: float) -> None:
        self.dropped[error.code] += 1
        self.closed(link, now_s)
        self._events.append(LinkRefused(link, error.message))

    # ---------------------------------------------------------------- events of the parts

    def _digest(self, now_s: float) -> None:
        """Work off what the parts have to say."""
        for link, job in list(self._provisioning.items()):
            while (said := job.provisioner.next_event()) is not None:
                self._provisioned(link, job, said, now_s)
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

    def _provisioned(
        self, link: int, job: _ProvisioningLink, event: ProvisioningEvent, now_s: float
    ) -> None:
        match event:
            case CapabilitiesReceived():
                self._events.append(ProvisioningSaid(link, job.uuid, event))
                self._grant(link, job, event.capabilities.elements, now_s)
            case Agreed():
                self._keep_granted(job, event)
            case Provisioned():
                job.reserved = None
                node = replace(self.nodes[event.grant.unicast], progress=Progress.PROVISIONED)
                self.update_node(node)
                self._events.append(NodeProvisioned(link, node))
            case ProvisioningFailed():
                job.reserved = None
                job.ticket_open = False
                self._events.append(ProvisioningSaid(link, job.uuid, event))
            case _:
                self._events.append(ProvisioningSaid(link, job.uuid, event))

    def _grant(self, link: int, job: _ProvisioningLink, elements: int, now_s: float) -> None:
        subnet = self.stack.keys.subnets[job.net_index]
        try:
            unicast = self.allocate(elements)
        except NotFound as error:
            failed = ProvisioningFailed(
                Reason.CANNOT_ASSIGN_ADDRESSES, error.message, by_peer=False
            )
            self._events.append(ProvisioningSaid(link, job.uuid, failed))
            del self._provisioning[link]
            return
        job.reserved = unicast, elements
        grant = Grant(
            subnet.transmit.key,
            job.net_index,
            subnet.phase is Phase.SWITCHING,
            self.stack.iv.updating,
            self.stack.iv.index,
            unicast,
        )
        job.provisioner.grant(grant, now_s)

    def allocate(self, elements: int) -> int:
        """Find addresses for a new node.

        Raises:
            NotFound: none are free.
        """
        taken = [(node.unicast, node.elements) for node in self.nodes.values()]
        taken += [job.reserved for job in self._provisioning.values() if job.reserved]
        taken.append((self.stack.unicast, self.stack.elements))
        return free_address(
            elements,
            low=self.low,
            high=self.high,
            taken=taken,
            gone=self.gone,
            iv_index=self.stack.iv.index,
        )

    def _keep_granted(self, job: _ProvisioningLink, event: Agreed) -> None:
        """Store device key and addresses before they are sent.

        A device of the same UUID that we know was reset since: its old addresses wait.
        """
        for old in [node for node in self.nodes.values() if node.uuid == job.uuid]:
            self.forget_node(old.unicast)
        node = KnownNode(
            job.uuid,
            event.grant.unicast,
            event.elements,
            event.device_key,
            net_index=event.grant.net_index,
        )
        self.nodes[node.unicast] = node
        self.stack.device_keys[node.unicast] = dev_key(node.device_key)
        self.stack.journal.add(("node", node.unicast), node, before_sending=True)
        job.ticket_open = True
