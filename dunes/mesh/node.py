"""A node of the mesh: from an unprovisioned device to a reset one. Sans-IO.

    node = Node(description, rng, state=None, now_s=now)
    node.connected(link, room_bytes, now)       a GATT client subscribed to "out"
    node.receive_pdu(link, data, now)           AIR: AD type and data; else an attribute value
    node.pdus_to_send(now)                      Outgoing(link, data, sends, interval_s)
    node.next_timer_s(), node.handle_timer(now)
    node.next_event()                           `Store` first; then call `stored(ticket, now)`
    node.disconnected(link)
    node.advertising(now)                       what to advertise connectably, if anything

The host writes sensor values into the server models it gave in, and calls `publish`.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random

from dunes.errors import LocalError, PeerError, TryLater
from dunes.mesh.access import AccessMessage
from dunes.mesh.control import Heartbeat
from dunes.mesh.dispatch import Dispatcher, subscribed
from dunes.mesh.keys import dev_key
from dunes.mesh.links import AD_MESH_BEACON, AD_MESH_MESSAGE, AIR, LinkRefused, Outgoing
from dunes.mesh.models.config_server import IDENTITY_S, ConfigServer
from dunes.mesh.models.server import Server
from dunes.mesh.newcomer import Newcomer
from dunes.mesh.nodestate import Advertising, Description, Erased, NodeState, granted
from dunes.mesh.outbox import Message as ToSend
from dunes.mesh.outbox import Sent
from dunes.mesh.presence import Presence
from dunes.mesh.provisioning.events import Provisioned, ProvisioningEvent
from dunes.mesh.proxyserver import ProxyServer
from dunes.mesh.publisher import Publisher
from dunes.mesh.publishing import ModelKey
from dunes.mesh.sar import MessageType
from dunes.mesh.sequence import BLOCK
from dunes.mesh.serving import ModelEvent, Serving
from dunes.mesh.stack import ControlReceived, NetworkChanged, Stack
from dunes.mesh.state import EVENTS_MAX, Journal, Store
from dunes.mesh.timing import Timing
from dunes.mesh.wire import Message


@dataclass(frozen=True, slots=True)
class NodeReset:
    """The node left the network and is unprovisioned again."""


NodeEvent = (
    Store
    | LinkRefused
    | ModelEvent
    | NodeReset
    | ProvisioningEvent
    | ControlReceived
    | NetworkChanged
    | AccessMessage
)


@dataclass(slots=True, repr=False)
class Node:
    """One node.

    Attributes:
        description: what it is.
        rng: a `SystemRandom` outside of tests.
        timing: of segmentation.
        block: SEQ numbers reserved at once.
        dropped: what came and was not accepted, by reason.
    """

    description: Description
    rng: Random
    timing: Timing = field(default_factory=Timing)
    block: int = BLOCK
    journal: Journal = field(default_factory=Journal)
    stack: Stack | None = None
    config: ConfigServer = field(default_factory=ConfigServer)
    proxy: ProxyServer = field(default_factory=ProxyServer)
    dropped: Counter[str] = field(default_factory=Counter)
    publisher: Publisher = field(init=False)
    _serving: Serving = field(init=False)
    _newcomer: Newcomer = field(init=False)
    _presence: Presence = field(init=False)
    _events: deque[NodeEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))
    _erased: bool = False

    def __post_init__(self) -> None:
        """Put the configuration server on the primary element."""
        first, *others = self.description.elements
        dispatcher = Dispatcher([[self.config, *first], *others])
        self.publisher = Publisher(self.config, dispatcher.elements, self._send)
        self._serving = Serving(
            self.config, dispatcher, self.publisher, self._send, self._events.append
        )
        self._newcomer = Newcomer(self.description, self.rng, self.journal)
        self._presence = Presence(self.description, self.config, self.rng)
        self.config.config = self.description.config

    @classmethod
    def start(
        cls,
        description: Description,
        rng: Random,
        *,
        now_s: float,
        state: NodeState | None = None,
        slept_s: float = 0.0,
        timing: Timing | None = None,
        block: int = BLOCK,
    ) -> "Node":
        """Begin as a new device, or go on from stored state."""
        node = cls(description, rng, timing or Timing(), block)
        if state is not None:
            node._take_up(state, now_s, slept_s)
        return node

    @property
    def provisioned(self) -> bool:
        """Say whether it is part of a network."""
        return self.stack is not None

    @property
    def unicast(self) -> int:
        """Give its primary address; 0 without one."""
        return 0 if self.stack is None else self.stack.unicast

    # ---------------------------------------------------------------- five verbs

    def receive_pdu(self, link: int, data: bytes, now_s: float) -> None:
        """Take octets from a link, or from the air."""
        try:
            if link == AIR:
                self._from_air(data, now_s)
            elif (whole := self.proxy.receive(link, data, now_s)) is not None:
                self._from_link(link, *whole, now_s)
        except PeerError as error:
            self.dropped[error.code] += 1
            if link != AIR:
                self._refuse(link, error.message)
        self._digest(now_s)

    def pdus_to_send(self, now_s: float) -> list[Outgoing]:
        """Give what is to be sent now."""
        for link, pdu in self._newcomer.pdus_to_send():
            self.proxy.say(link, MessageType.PROVISIONING, pdu)
        if self.stack is not None:
            for sealed in self.stack.pdus_to_send(now_s):
                self.proxy.send(sealed, self.config.config)
            self._digest(now_s)
            if self.config.reset_asked and self.stack.outbox.idle and not self.journal.blocked:
                self._leave()
        return self.proxy.take_out()

    def next_timer_s(self) -> float | None:
        """Say when `handle_timer` has something to do."""
        parts: list[Newcomer | ProxyServer | Publisher | Stack | Serving] = [
            self._newcomer,
            self.proxy,
            self.publisher,
        ]
        if self.stack is not None:
            parts += [self.stack, self._serving]
        timers = [self._presence.due_s, *(part.next_timer_s() for part in parts)]
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        self._newcomer.handle_timer(now_s)
        for link, error in self.proxy.handle_timer(now_s):
            self._refuse(link, error.message)
        for data in self._presence.take_beacons(self.stack, now_s):
            self.proxy.beacon(data)
        if self.stack is not None:
            self.stack.handle_timer(now_s)
            self.publisher.publish_due(now_s)
            self.publisher.heartbeat(self.stack.outbox, now_s)
            self._serving.handle_timer(now_s)
        self._digest(now_s)

    def next_event(self) -> NodeEvent | None:
        """Give the next event; what must be stored comes first."""
        store = self.journal.take()
        if store is not None:
            return store
        return self._events.popleft() if self._events else None

    # ---------------------------------------------------------------- the host's part

    def connected(self, link: int, room_bytes: int, now_s: float) -> None:
        """Take a GATT client that subscribed; it gets our beacons, or may provision us.

        Raises:
            LocalError: too many links.
        """
        self.proxy.open(link, room_bytes)
        if self.stack is None:
            self._newcomer.open(link, now_s)
        else:
            self.proxy.announce([link], self.stack)

    def disconnected(self, link: int) -> None:
        """Take that a link is gone."""
        self.proxy.links.pop(link, None)
        self._newcomer.close(link)

    def stored(self, ticket: int, now_s: float) -> None:
        """Go on: a `Store` was written."""
        if self.stack is None:
            self.journal.stored(ticket)
        else:
            self.stack.stored(ticket)
        self._newcomer.stored()
        self._digest(now_s)

    def provide(self, link: int, text: str, now_s: float) -> None:
        """Take what somebody typed into the device."""
        self._newcomer.devices[link].provide(text, now_s)

    def publish(self, element: int, server: Server, message: Message, now_s: float) -> bool:
        """Publish a message of a model as it is configured; False where it is not."""
        key = ModelKey(element, server.identity)
        return self.stack is not None and self.publisher.publish(key, message.encode(), now_s)

    def advertising(self, now_s: float) -> Advertising | None:
        """Say what to advertise connectably; ask again with each event, and each second."""
        return self._presence.advertising(self.stack, now_s)

    # ---------------------------------------------------------------- from outside

    def _from_air(self, data: bytes, now_s: float) -> None:
        if self.stack is None or not data:
            return
        if data[0] == AD_MESH_MESSAGE:
            self._network(AIR, data[1:], now_s)
        elif data[0] == AD_MESH_BEACON:
            self.stack.receive_beacon(data[1:], now_s)

    def _from_link(self, link: int, kind: MessageType, data: bytes, now_s: float) -> None:
        if kind is MessageType.PROVISIONING:
            self._newcomer.receive(link, data, now_s)
        elif self.stack is None:
            return
        elif kind is MessageType.NETWORK:
            self._network(link, data, now_s)
        elif kind is MessageType.CONFIGURATION:
            self.proxy.configure(link, data, self.stack)
        else:
            self.stack.receive_beacon(data, now_s)

    def _network(self, link: int, data: bytes, now_s: float) -> None:
        if self.stack is None:
            return
        pdu = self.stack.receive_network(data, now_s)
        if pdu is not None:
            self.proxy.relay(pdu, link, self.config.config, self.stack)

    def _refuse(self, link: int, reason: str) -> None:
        self.disconnected(link)
        self._events.append(LinkRefused(link, reason))

    # ---------------------------------------------------------------- events of the parts

    def _digest(self, now_s: float) -> None:
        """Work off what the parts have to say."""
        for link, said in self._newcomer.take_events():
            self._provisioning(link, said, now_s)
        stack = self.stack
        while stack is not None and stack.events:
            event = stack.events.popleft()
            match event:
                case AccessMessage():
                    self._access(event, now_s)
                case ControlReceived():
                    self._heartbeat(event, now_s)
                    self._events.append(event)
                case NetworkChanged():
                    self.proxy.announce(list(self.proxy.links), stack)
                    self._events.append(event)
                case Sent():
                    pass
        self._after_changes(now_s)

    def _provisioning(self, link: int, event: ProvisioningEvent, now_s: float) -> None:
        if isinstance(event, Provisioned):
            state = granted(event.grant, event.device_key, self.description.config)
            self._take_up(state, now_s, 0.0)
            self.config.identity_until_s[event.grant.net_index] = now_s + IDENTITY_S
            for other in [each for each in self._newcomer.devices if each != link]:
                self._refuse(other, "this device was just provisioned by another link")
        self._events.append(event)

    def _take_up(self, state: NodeState, now_s: float, slept_s: float) -> None:
        """Become the node that a state describes."""
        self.stack = Stack.restore(
            state.stack,
            unicast=state.identity.unicast,
            elements=len(self.description.elements),
            now_s=now_s,
            slept_s=slept_s,
            replay_capacity=self.description.crpl,
            block=self.block,
            timing=self.timing,
            journal=self.journal,
        )
        self.stack.device_keys[state.identity.unicast] = dev_key(state.identity.device_key)
        self.config.join(
            self.stack.keys, self.description.composition(), self.stack.unicast, state.config
        )
        self._configured(now_s)

    def _leave(self) -> None:
        """Forget everything and be a new device again."""
        self.stack, self._erased = None, False
        self.config.leave(self.description.config)
        self.publisher.follow(0.0)
        self._events.append(NodeReset())

    def _access(self, message: AccessMessage, now_s: float) -> None:
        try:
            if not self._serving.receive(message, now_s):
                self.dropped["unknown-opcode"] += 1
        except PeerError as error:
            self.dropped[error.code] += 1

    def _heartbeat(self, event: ControlReceived, now_s: float) -> None:
        if isinstance(event.message, Heartbeat):
            hops = event.message.hops(event.ttl)
            self.config.heartbeats.note(event.src, event.dst, hops, now_s)

    def _after_changes(self, now_s: float) -> None:
        """Store what the configuration server changed, and follow it."""
        if self.stack is None:
            return
        if self.config.keys_changed:
            self.config.keys_changed = False
            self.stack.keys_changed()
            self.proxy.announce(list(self.proxy.links), self.stack)
        if self.config.config_changed:
            self.config.config_changed = False
            self.journal.add("config", self.config.config, before_sending=True)
            self._configured(now_s)
        if self.config.reset_asked and not self._erased:
            self._erased = True
            self.journal.add("erased", Erased(), before_sending=True)

    def _configured(self, now_s: float) -> None:
        """Follow the configuration: TTL, groups, publications, heartbeats."""
        config, stack = self.config.config, self.stack
        if stack is None:
            return
        stack.outbox.default_ttl = config.default_ttl
        stack.groups, stack.labels = subscribed(config)
        self.publisher.follow(now_s)

    def _send(self, message: ToSend) -> bool:
        if self.stack is None:
            return False
        try:
            self.stack.send(message)
        except (LocalError, TryLater) as error:
            self.dropped[error.code] += 1
            return False
        return True
