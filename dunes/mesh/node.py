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
from dataclasses import dataclass, field, replace
from random import Random

from dunes.errors import LocalError, PeerError, TryLater
from dunes.mesh import address
from dunes.mesh.access import AccessMessage
from dunes.mesh.beacon import (
    PROVISIONING_SERVICE,
    PROXY_SERVICE,
    UnprovisionedBeacon,
    network_id_service_data,
    node_identity_service_data,
    provisioning_service_data,
)
from dunes.mesh.control import Heartbeat
from dunes.mesh.dispatch import Delivery, Dispatcher
from dunes.mesh.keys import dev_key
from dunes.mesh.links import (
    AD_MESH_BEACON,
    AD_MESH_MESSAGE,
    AIR,
    LINKS_MAX,
    GattLink,
    LinkRefused,
    Outgoing,
)
from dunes.mesh.models.config_server import IDENTITY_S, ConfigServer
from dunes.mesh.models.node_config import ON
from dunes.mesh.models.server import Context, Outcome, Server
from dunes.mesh.nodestate import Advertising, Description, Erased, NodeState, granted
from dunes.mesh.outbox import Message as ToSend
from dunes.mesh.outbox import Sent
from dunes.mesh.provisioning.device import Device
from dunes.mesh.provisioning.events import (
    Agreed,
    Provisioned,
    ProvisioningEvent,
    ProvisioningFailed,
)
from dunes.mesh.proxyserver import ProxyServer, beacons
from dunes.mesh.publisher import Publisher
from dunes.mesh.publishing import ModelKey
from dunes.mesh.sar import MessageType
from dunes.mesh.sequence import BLOCK
from dunes.mesh.stack import ControlReceived, NetworkChanged, Stack
from dunes.mesh.state import EVENTS_MAX, Journal, Store
from dunes.mesh.timing import Timing
from dunes.mesh.toolbox import virtual_address
from dunes.mesh.wire import Message

BEACON_S = 10.0
"""Between two beacons on the air (3.10.3)."""


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """Something a server model tells its host."""

    element: int
    server: Server
    event: object


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
    _dispatcher: Dispatcher = field(init=False)
    _events: deque[NodeEvent] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))
    _devices: dict[int, Device] = field(default_factory=dict)
    _agreed: tuple[int, Agreed] | None = None
    publisher: Publisher = field(init=False)
    _beacon_due_s: float = 0.0
    _erased: bool = False

    def __post_init__(self) -> None:
        """Put the configuration server on the primary element."""
        first, *others = self.description.elements
        self._dispatcher = Dispatcher([[self.config, *first], *others])
        self.publisher = Publisher(self.config, self._dispatcher.elements, self._send)
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
            elif link in self.proxy.links:
                whole = self.proxy.links[link].reassembler.receive(data, now_s)
                if whole is not None:
                    self._from_link(link, *whole, now_s)
        except PeerError as error:
            self.dropped[error.code] += 1
            if link != AIR:
                self._refuse(link, error.message)
        self._digest(now_s)

    def pdus_to_send(self, now_s: float) -> list[Outgoing]:
        """Give what is to be sent now."""
        for link, device in self._devices.items():
            for pdu in device.pdus_to_send():
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
        timers = [device.next_timer_s() for device in self._devices.values()]
        timers += [each.reassembler.next_timer_s() for each in self.proxy.links.values()]
        timers += [self._beacon_due_s, self.publisher.next_timer_s()]
        if self.stack is not None:
            timers.append(self.stack.next_timer_s())
            for servers in self._dispatcher.elements:
                timers += [server.next_timer_s() for server in servers]
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        for device in self._devices.values():
            device.handle_timer(now_s)
        for link, each in list(self.proxy.links.items()):
            try:
                each.reassembler.handle_timer(now_s)
            except PeerError as error:
                self._refuse(link, error.message)
        self._beacon(now_s)
        if self.stack is not None:
            self.stack.handle_timer(now_s)
            self.publisher.publish_due(now_s)
            self.publisher.heartbeat(self.stack.outbox, now_s)
            self._serve_timers(now_s)
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
        if link == AIR or len(self.proxy.links) >= LINKS_MAX:
            raise LocalError(f"link {link} cannot be opened")
        self.proxy.links[link] = GattLink(link, room_bytes)
        if self.stack is None:
            capabilities = replace(
                self.description.capabilities, elements=len(self.description.elements)
            )
            device = Device(self.rng, capabilities, self.description.static_oob)
            device.link_opened(now_s)
            self._devices[link] = device
        else:
            self.proxy.announce([link], self.stack)

    def disconnected(self, link: int) -> None:
        """Take that a link is gone."""
        self.proxy.links.pop(link, None)
        if self._devices.pop(link, None):
            self._forget_agreement(link)

    def stored(self, ticket: int, now_s: float) -> None:
        """Go on: a `Store` was written."""
        if self.stack is None:
            self.journal.stored(ticket)
        else:
            self.stack.stored(ticket)
        if self._agreed is not None and not self.journal.blocked:
            link, _ = self._agreed
            if link in self._devices:
                self._devices[link].stored()
        self._digest(now_s)

    def provide(self, link: int, text: str, now_s: float) -> None:
        """Take what somebody typed into the device."""
        self._devices[link].provide(text, now_s)

    def publish(self, element: int, server: Server, message: Message, now_s: float) -> bool:
        """Publish a message of a model as it is configured; False where it is not."""
        key = ModelKey(element, server.identity)
        return self.stack is not None and self.publisher.publish(key, message.encode(), now_s)

    def advertising(self, now_s: float) -> Advertising | None:
        """Say what to advertise connectably; ask again with each event, and each second."""
        if self.stack is None:
            oob = self.description.oob_information.to_bytes(2, "little")
            data = provisioning_service_data(self.description.uuid, oob)
            return Advertising(PROVISIONING_SERVICE, data)
        for index, until_s in self.config.identity_until_s.items():
            if until_s > now_s and index in self.stack.keys.subnets:
                key = self.stack.keys.subnets[index].transmit
                random = self.rng.randbytes(8)
                data = node_identity_service_data(key, random, self.unicast)
                return Advertising(PROXY_SERVICE, data)
        if self.config.config.gatt_proxy != ON:
            return None
        subnet = next(iter(self.stack.keys.subnets.values()))
        return Advertising(PROXY_SERVICE, network_id_service_data(subnet.transmit))

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
            if link in self._devices:
                self._devices[link].receive_pdu(data, now_s)
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
        for link, device in list(self._devices.items()):
            while (said := device.next_event()) is not None:
                self._provisioning(link, said, now_s)
        stack = self.stack
        while stack is not None and stack.events:
            event = stack.events.popleft()
            match event:
                case AccessMessage():
                    self._access(event, now_s)
                case ControlReceived():
                    self._control(event, now_s)
                case NetworkChanged():
                    self.proxy.announce(list(self.proxy.links), stack)
                    self._events.append(event)
                case Sent():
                    pass
        self._after_changes(now_s)

    def _provisioning(self, link: int, event: ProvisioningEvent, now_s: float) -> None:
        match event:
            case Agreed():
                self._agreed = link, event
                state = granted(event.grant, event.device_key, self.description.config)
                self.journal.add("identity", state.identity, before_sending=True)
                self.journal.add("keys", state.stack.keys, before_sending=True)
                self.journal.add("iv", state.stack.iv, before_sending=True)
                self.journal.add("config", state.config, before_sending=True)
            case Provisioned():
                self._agreed = None
                self._take_up(
                    granted(event.grant, event.device_key, self.description.config), now_s, 0.0
                )
                self.config.identity_until_s[event.grant.net_index] = now_s + IDENTITY_S
                self._events.append(event)
                for other in [each for each in self._devices if each != link]:
                    self._refuse(other, "this device was just provisioned by another link")
            case ProvisioningFailed():
                self._forget_agreement(link)
                self._events.append(event)
            case _:
                self._events.append(event)

    def _forget_agreement(self, link: int) -> None:
        """Take back what was to be stored, where it came to nothing before it was."""
        if self._agreed is not None and self._agreed[0] == link:
            self._agreed = None
            self.journal.add("erased", Erased(), before_sending=True)

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
        self.config.keys = self.stack.keys
        self.config.composition = self.description.composition()
        self.config.unicast = state.identity.unicast
        self.config.config = state.config
        self.config.reset_asked = False
        self._configured(now_s)

    def _leave(self) -> None:
        """Forget everything and be a new device again."""
        self.stack, self._erased = None, False
        self.config.config = self.description.config
        self.config.reset_asked = False
        self.config.identity_until_s.clear()
        self.publisher.follow(0.0)
        self._events.append(NodeReset())

    def _access(self, message: AccessMessage, now_s: float) -> None:
        stack = self.stack
        if stack is None:
            return
        try:
            deliveries = list(
                self._dispatcher.deliveries(message, self.config.config, stack.unicast)
            )
            for delivery in deliveries:
                outcome = delivery.server.receive(delivery.message, Context(message, now_s))
                self._reply(message, delivery, outcome)
                self._outcome(delivery.element, delivery.server, outcome, now_s)
        except PeerError as error:
            self.dropped[error.code] += 1
            return
        if not deliveries:
            self.dropped["unknown-opcode"] += 1

    def _reply(self, message: AccessMessage, delivery: Delivery, outcome: Outcome) -> None:
        for reply in outcome.replies:
            self._send(
                ToSend(
                    message.src,
                    reply.encode(),
                    message.app_index,
                    src=self.unicast + delivery.element,
                    net_index=message.net_index,
                    ttl=None if message.ttl else 0,
                )
            )

    def _outcome(self, element: int, server: Server, outcome: Outcome, now_s: float) -> None:
        key = ModelKey(element, server.identity)
        for message in outcome.publish:
            self.publisher.publish(key, message.encode(), now_s)
        for event in outcome.events:
            self._events.append(ModelEvent(element, server, event))

    def _control(self, event: ControlReceived, now_s: float) -> None:
        heard = self.config.heartbeats
        asked = (event.src, event.dst) == (heard.source, heard.destination)
        if isinstance(event.message, Heartbeat) and asked and now_s < heard.until_s:
            heard.note(event.message.hops(event.ttl))
        self._events.append(event)

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
        groups = {address.ALL_NODES}
        if config.gatt_proxy == ON:
            groups.add(address.ALL_PROXIES)
        if config.relay == ON:
            groups.add(address.ALL_RELAYS)
        labels: dict[int, list[bytes]] = {}
        for each in config.models:
            groups.update(each.groups)
            for label in each.labels:
                labels.setdefault(virtual_address(label), []).append(label)
        stack.groups, stack.labels = groups, labels
        self.publisher.follow(now_s)

    # ---------------------------------------------------------------- what is due

    def _serve_timers(self, now_s: float) -> None:
        for element, servers in enumerate(self._dispatcher.elements):
            for server in servers:
                due_s = server.next_timer_s()
                if due_s is not None and due_s <= now_s:
                    self._outcome(element, server, server.handle_timer(now_s), now_s)

    def _send(self, message: ToSend) -> bool:
        if self.stack is None:
            return False
        try:
            self.stack.send(message)
        except (LocalError, TryLater) as error:
            self.dropped[error.code] += 1
            return False
        return True

    def _beacon(self, now_s: float) -> None:
        if now_s < self._beacon_due_s:
            return
        self._beacon_due_s = now_s + BEACON_S
        if self.stack is None:
            uuid, oob = self.description.uuid, self.description.oob_information
            data = [UnprovisionedBeacon(uuid, oob).encode()]
        else:
            data = beacons(self.stack) if self.config.config.beacon == ON else []
        for each in data:
            self.proxy.out.append(Outgoing(AIR, bytes([AD_MESH_BEACON]) + each))
