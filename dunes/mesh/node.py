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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

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
from dunes.mesh.control import ControlOpcode, Feature, Heartbeat
from dunes.mesh.dispatch import Delivery, Dispatcher
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import NetKeyRecord, Phase, dev_key
from dunes.mesh.links import (
    AD_MESH_BEACON,
    AD_MESH_MESSAGE,
    AIR,
    LINKS_MAX,
    GattLink,
    LinkRefused,
    Outgoing,
)
from dunes.mesh.models.composition import Composition, Element
from dunes.mesh.models.config import TTL_DEFAULT, read_transmit_octet
from dunes.mesh.models.config_server import COUNT_FOREVER, IDENTITY_S, ConfigServer
from dunes.mesh.models.health_server import HealthServer
from dunes.mesh.models.node_config import ON, NodeConfig, Publication
from dunes.mesh.models.sensor_server import SensorServer
from dunes.mesh.models.server import Context, Outcome, Server
from dunes.mesh.outbox import Message as ToSend
from dunes.mesh.outbox import Sent
from dunes.mesh.provisioning.crypto import Grant
from dunes.mesh.provisioning.device import Device
from dunes.mesh.provisioning.events import Agreed, Provisioned, ProvisioningEvent
from dunes.mesh.provisioning.pdus import Capabilities
from dunes.mesh.proxyserver import ProxyServer, beacons
from dunes.mesh.publishing import ModelKey, Schedule
from dunes.mesh.sar import MessageType
from dunes.mesh.sequence import BLOCK
from dunes.mesh.stack import ControlReceived, NetworkChanged, Stack
from dunes.mesh.state import EVENTS_MAX, Journal, KeysRecord, StackState, Store
from dunes.mesh.timing import Timing
from dunes.mesh.toolbox import virtual_address
from dunes.mesh.wire import Message

BEACON_S = 10.0
"""Between two beacons on the air (3.10.3)."""
CRPL = 64
UNSENT_MAX = 4096
"""PDUs to pass on that nobody fetched; then the oldest is dropped."""
KEY_INDEX_BITS = 0xFFF


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's own part of its stored state; written once, when it is provisioned."""

    device_key: bytes = field(repr=False)
    unicast: int


@dataclass(frozen=True, slots=True)
class Erased:
    """The node left the network: delete all of its state."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """Everything a node needs to go on after a restart."""

    identity: Identity
    stack: StackState
    config: NodeConfig = field(default_factory=NodeConfig)

    @staticmethod
    def updated(state: "NodeState | None", store: Store) -> "NodeState | None":
        """Give the state after a `Store`: all that a host has to keep."""
        for change in store.changes:
            match change:
                case Erased():
                    state = None
                case Identity():
                    state = NodeState(change, StackState())
                case NodeConfig() if state is not None:
                    state = replace(state, config=change)
                case _ if state is not None:
                    state = replace(state, stack=state.stack.updated(change))
        return state


@dataclass(slots=True)
class Description:
    """What a node is.

    Attributes:
        uuid: device UUID, 16 bytes, valid by RFC 4122.
        elements: server models by element; the configuration server is added.
        cid: company identifier.
        pid: product.
        vid: version.
        crpl: how many sources its replay list holds.
        capabilities: for provisioning; elements are filled in.
        static_oob: the value printed on it.
        oob_information: where to find it.
        relay: it can relay.
        config: its settings when it is new.
    """

    uuid: bytes
    elements: Sequence[Sequence[Server]]
    cid: int = 0xFFFF
    pid: int = 0
    vid: int = 0
    crpl: int = CRPL
    capabilities: Capabilities = field(default_factory=Capabilities)
    static_oob: bytes = field(default=b"", repr=False)
    oob_information: int = 0
    relay: bool = True
    config: NodeConfig = field(default_factory=NodeConfig)

    def composition(self) -> Composition:
        """Give page 0 of the composition data."""
        features = Feature.PROXY | (Feature.RELAY if self.relay else 0)
        elements = []
        for number, servers in enumerate(self.elements):
            models = [server.identity for server in servers]
            if number == 0:
                models.insert(0, ConfigServer.model)
            elements.append(Element(0, tuple(models)))
        return Composition(self.cid, self.pid, self.vid, self.crpl, int(features), tuple(elements))


class Advertising(NamedTuple):
    """What to advertise connectably: service and its data."""

    service: int
    data: bytes


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


@dataclass(slots=True)
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
    _schedule: Schedule = field(default_factory=Schedule)
    _out: deque[Outgoing] = field(default_factory=lambda: deque(maxlen=UNSENT_MAX))
    _beacon_due_s: float = 0.0
    _heartbeat_due_s: float | None = None
    _heartbeats_left: int = 0
    _erased: bool = False

    def __post_init__(self) -> None:
        """Put the configuration server on the primary element."""
        first, *others = self.description.elements
        self._dispatcher = Dispatcher([[self.config, *first], *others])
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
                self._refuse(link, error)
        self._digest(now_s)

    def pdus_to_send(self, now_s: float) -> list[Outgoing]:
        """Give what is to be sent now."""
        for link, device in self._devices.items():
            for pdu in device.pdus_to_send():
                self._out.extend(self._frame(link, MessageType.PROVISIONING, pdu))
        if self.stack is not None:
            for sealed in self.stack.pdus_to_send(now_s):
                if sealed.link is not None:
                    framed = self._frame(sealed.link, MessageType.CONFIGURATION, sealed.data)
                    self._out.extend(framed)
                else:
                    self._spread([*self.proxy.passing(sealed.dst), AIR], sealed.data, own=True)
            self._digest(now_s)
            if self.config.reset_asked and self.stack.outbox.idle and not self.journal.blocked:
                self._leave()
        out = list(self._out)
        self._out.clear()
        return out

    def next_timer_s(self) -> float | None:
        """Say when `handle_timer` has something to do."""
        timers = [device.next_timer_s() for device in self._devices.values()]
        timers += [each.reassembler.next_timer_s() for each in self.proxy.links.values()]
        timers += [self._beacon_due_s, self._heartbeat_due_s, self._schedule.next_timer_s()]
        for servers in self._dispatcher.elements:
            timers += [server.next_timer_s() for server in servers]
        if self.stack is not None:
            timers.append(self.stack.next_timer_s())
        return min((each for each in timers if each is not None), default=None)

    def handle_timer(self, now_s: float) -> None:
        """Do what is due."""
        for device in self._devices.values():
            device.handle_timer(now_s)
        for link, each in list(self.proxy.links.items()):
            try:
                each.reassembler.handle_timer(now_s)
            except PeerError as error:
                self._refuse(link, error)
        self._beacon(now_s)
        if self.stack is not None:
            self.stack.handle_timer(now_s)
            self._publish_due(now_s)
            self._heartbeat(now_s)
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
            self._beacon_links([link])

    def disconnected(self, link: int) -> None:
        """Take that a link is gone."""
        self.proxy.links.pop(link, None)
        if self._devices.pop(link, None) and self._agreed and self._agreed[0] == link:
            self._agreed = None

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
        return self._publish(key, message.encode(), now_s, repeat=True)

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
            links, sealed = self.proxy.targets(pdu, link, self.config.config, self.stack)
            self._spread(links, sealed, own=False)

    def _spread(self, links: Sequence[int], data: bytes, *, own: bool) -> None:
        """Send a sealed PDU by links and by the air."""
        for link in links:
            if link == AIR:
                octet = self.config.config.network_transmit
                if not own:
                    octet = self.config.config.relay_retransmit
                sends, interval_s = read_transmit_octet(octet)
                air = bytes([AD_MESH_MESSAGE]) + data
                self._out.append(Outgoing(AIR, air, sends, interval_s))
            else:
                self._out.extend(self._frame(link, MessageType.NETWORK, data))

    def _frame(self, link: int, kind: MessageType, data: bytes) -> list[Outgoing]:
        known = self.proxy.links.get(link)
        return [] if known is None else known.frame(kind, data)

    def _refuse(self, link: int, error: PeerError) -> None:
        self.disconnected(link)
        self._events.append(LinkRefused(link, error.message))

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
                    self._beacon_links(list(self.proxy.links))
                    self._events.append(event)
                case Sent():
                    pass
        self._after_changes(now_s)

    def _provisioning(self, link: int, event: ProvisioningEvent, now_s: float) -> None:
        match event:
            case Agreed():
                self._agreed = link, event
                state = self._new_state(event.grant, event.device_key)
                self.journal.add("identity", state.identity, before_sending=True)
                self.journal.add("keys", state.stack.keys, before_sending=True)
                self.journal.add("iv", state.stack.iv, before_sending=True)
                self.journal.add("config", state.config, before_sending=True)
            case Provisioned():
                self._agreed = None
                self._take_up(self._new_state(event.grant, event.device_key), now_s, 0.0)
                self.config.identity_until_s[event.grant.net_index] = now_s + IDENTITY_S
                self._events.append(event)
            case _:
                self._events.append(event)

    def _new_state(self, grant: Grant, device_key: bytes) -> NodeState:
        new = grant.net_key if grant.refresh else None
        phase = Phase.SWITCHING if grant.refresh else Phase.NORMAL
        net = NetKeyRecord(grant.net_index, grant.net_key, new, phase)
        stack = StackState(iv=IvRecord(grant.iv_index, grant.update), keys=KeysRecord((net,), ()))
        return NodeState(Identity(device_key, grant.unicast), stack, self.description.config)

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
        self._schedule = Schedule()
        self._heartbeat_due_s = None
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
            self._publish(key, message.encode(), now_s, repeat=True)
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
            self._beacon_links(list(self.proxy.links))
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
        self._schedule.follow(self._publications(), now_s)
        beat = config.heartbeat
        self._heartbeats_left = 1 << beat.count_log - 1 if beat.count_log else 0
        if beat.count_log == COUNT_FOREVER:
            self._heartbeats_left = -1
        on = beat.destination and beat.period_log and self._heartbeats_left
        self._heartbeat_due_s = now_s if on else None

    def _publications(self) -> dict[ModelKey, Publication]:
        return {
            ModelKey(each.element, each.model): each.publication
            for each in self.config.config.models
            if each.publication is not None
        }

    # ---------------------------------------------------------------- what is due

    def _publish_due(self, now_s: float) -> None:
        servers = {
            ModelKey(element, server.identity): server
            for element, each in enumerate(self._dispatcher.elements)
            for server in each
        }
        divisors = {
            key: server.divisor()
            for key, server in servers.items()
            if isinstance(server, SensorServer | HealthServer)
        }
        for key in self._schedule.take_due(now_s, divisors):
            message = servers[key].publication(now_s) if key in servers else None
            if message is not None:
                self._publish(key, message.encode(), now_s, repeat=True)
        for repeat in self._schedule.take_repeats(now_s):
            self._publish(repeat.key, repeat.payload, now_s, repeat=False)
        for key, server in servers.items():
            due_s = server.next_timer_s()
            if due_s is not None and due_s <= now_s:
                self._outcome(key.element, server, server.handle_timer(now_s), now_s)

    def _publish(self, key: ModelKey, payload: bytes, now_s: float, *, repeat: bool) -> bool:
        publication = self.config.config.of(*key).publication
        if publication is None or self.stack is None:
            return False
        index = publication.app & KEY_INDEX_BITS
        if index not in self.stack.keys.apps:
            return False
        sent = self._send(
            ToSend(
                publication.address,
                payload,
                index,
                src=self.unicast + key.element,
                ttl=None if publication.ttl == TTL_DEFAULT else publication.ttl,
                label=publication.label,
            )
        )
        if sent and repeat:
            self._schedule.published(key, publication, payload, now_s)
        return sent

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
            self._out.append(Outgoing(AIR, bytes([AD_MESH_BEACON]) + each))

    def _beacon_links(self, links: Sequence[int]) -> None:
        if self.stack is None:
            return
        for link in links:
            for data in beacons(self.stack):
                self._out.extend(self._frame(link, MessageType.BEACON, data))

    def _heartbeat(self, now_s: float) -> None:
        if self._heartbeat_due_s is None or now_s < self._heartbeat_due_s or self.stack is None:
            return
        beat, config = self.config.config.heartbeat, self.config.config
        in_use = Feature.RELAY * (config.relay == ON) | Feature.PROXY * (config.gatt_proxy == ON)
        self.stack.outbox.send_control(
            ControlOpcode.HEARTBEAT,
            Heartbeat(beat.ttl, in_use).encode(),
            dst=beat.destination,
            net_index=beat.net_index,
            ttl=beat.ttl,
        )
        if self._heartbeats_left > 0:
            self._heartbeats_left -= 1
        self._heartbeat_due_s = now_s + float(1 << beat.period_log - 1)
        if not self._heartbeats_left:
            self._heartbeat_due_s = None
