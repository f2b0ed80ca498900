"""The configuration server: what a node lets its provisioner do with it.

A table from message to handler; the half about models is in `config_server_models`.

Source: Mesh Protocol 1.1, 4.4.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from dunes.mesh.address import TTL_MAX, is_group, is_unicast
from dunes.mesh.keyring import KeyRing
from dunes.mesh.keys import Phase
from dunes.mesh.models import config, config_keys, config_node
from dunes.mesh.models.composition import Composition
from dunes.mesh.models.node_config import OFF, ON, HeartbeatPublication, NodeConfig
from dunes.mesh.models.server import Context, Outcome, Server
from dunes.mesh.status import Status
from dunes.mesh.wire import Message, ModelId

IDENTITY_S = 60.0
"""Node Identity is advertised that long (4.2.13)."""
HEARTBEAT_LOG_MAX = 0x11
COUNT_FOREVER = 0xFF


@dataclass(slots=True)
class HeartbeatCount:
    """The heartbeats heard of one source."""

    source: int = 0
    destination: int = 0
    until_s: float = 0.0
    count: int = 0
    hops_min: int = 0
    hops_max: int = 0

    def note(self, src: int, dst: int, hops: int, now_s: float) -> None:
        """Count one, if it is of those that were asked for."""
        if (src, dst) != (self.source, self.destination) or now_s >= self.until_s:
            return
        self.hops_min = hops if not self.count else min(self.hops_min, hops)
        self.hops_max = max(self.hops_max, hops)
        self.count = min(self.count + 1, 0xFFFF)


@dataclass(slots=True)
class ConfigServer(Server):
    """The configuration server of one node.

    Attributes:
        keys: the node's key ring, changed in place.
        composition: what it is made of.
        unicast: its primary address.
        config: what is set; replaced with each change.
        keys_changed: the keys must be stored; whoever stores them clears it.
        config_changed: likewise the configuration.
        reset_asked: the node shall leave the network.
        identity_until_s: by NetKey index, how long Node Identity is advertised.
    """

    model: ClassVar[ModelId] = config.CONFIG_SERVER
    messages: ClassVar[Mapping[int, type[Message]]] = config.MESSAGES
    subscribes: ClassVar[bool] = False
    device_key: ClassVar[bool] = True
    keys: KeyRing = field(default_factory=KeyRing)
    composition: Composition = field(default_factory=lambda: Composition(0, 0, 0, 0, 0, ()))
    unicast: int = 0
    config: NodeConfig = field(default_factory=NodeConfig)
    keys_changed: bool = False
    config_changed: bool = False
    reset_asked: bool = False
    identity_until_s: dict[int, float] = field(default_factory=dict)
    heartbeats: HeartbeatCount = field(default_factory=HeartbeatCount)

    def receive(self, message: Message, context: Context) -> Outcome:
        """Take a message; answers from others are not ours to answer."""
        handler = HANDLERS.get(type(message))
        if handler is None:
            from dunes.mesh.models.config_server_models import MODEL_HANDLERS

            handler = MODEL_HANDLERS.get(type(message))
        reply = None if handler is None else handler(self, message, context)
        return Outcome([] if reply is None else [reply])

    def join(
        self, keys: KeyRing, composition: Composition, unicast: int, config: NodeConfig
    ) -> None:
        """Serve a node of a network."""
        self.keys, self.composition, self.unicast = keys, composition, unicast
        self.config, self.reset_asked = config, False

    def leave(self, config: NodeConfig) -> None:
        """Be set as a new device is."""
        self.config, self.reset_asked = config, False
        self.identity_until_s.clear()

    def change(self, **changes: Any) -> None:
        """Set something."""
        changed = replace(self.config, **changes)
        self.config_changed |= changed != self.config
        self.config = changed

    # ---------------------------------------------------------------- the node

    def composition_page(self, message: config_node.CompositionGet, _: Context) -> Message:
        """Give page 0, whichever is asked for."""
        del message
        return config_node.CompositionStatus(0, self.composition.encode())

    def beacon(self, message: Any, _: Context) -> Message | None:
        """Give or set the beacon state."""
        if isinstance(message, config_node.BeaconSet):
            if message.state > ON:
                return None
            self.change(beacon=message.state)
        return config_node.BeaconStatus(self.config.beacon)

    def ttl(self, message: Any, _: Context) -> Message | None:
        """Give or set the default TTL."""
        if isinstance(message, config_node.TtlSet):
            if message.ttl == 1 or message.ttl > TTL_MAX:
                return None
            self.change(default_ttl=message.ttl)
        return config_node.TtlStatus(self.config.default_ttl)

    def friend(self, message: Any, _: Context) -> Message:
        """Say that this node is no friend."""
        del message
        return config_node.FriendStatus(self.config.friend)

    def proxy(self, message: Any, _: Context) -> Message | None:
        """Give or set the proxy state."""
        if isinstance(message, config_node.ProxySet):
            if message.state > ON:
                return None
            if self.config.gatt_proxy <= ON:
                self.change(gatt_proxy=message.state)
        return config_node.ProxyStatus(self.config.gatt_proxy)

    def relay(self, message: Any, _: Context) -> Message | None:
        """Give or set the relay state."""
        if isinstance(message, config_node.RelaySet):
            if message.state > ON:
                return None
            if self.config.relay <= ON:
                self.change(relay=message.state, relay_retransmit=message.retransmit)
        return config_node.RelayStatus(self.config.relay, self.config.relay_retransmit)

    def transmit(self, message: Any, _: Context) -> Message:
        """Give or set network transmit."""
        if isinstance(message, config_node.NetworkTransmitSet):
            self.change(network_transmit=message.transmit)
        return config_node.NetworkTransmitStatus(self.config.network_transmit)

    def node_identity(self, message: Any, context: Context) -> Message | None:
        """Give or set Node Identity advertising."""
        index = message.net_index
        if index not in self.keys.subnets:
            return config_node.NodeIdentityStatus(Status.INVALID_NET_KEY_INDEX, index, OFF)
        if isinstance(message, config_node.NodeIdentitySet):
            if message.state > ON:
                return None
            self.identity_until_s[index] = context.now_s + IDENTITY_S * message.state
        state = self.identity_until_s.get(index, 0.0) > context.now_s
        return config_node.NodeIdentityStatus(Status.SUCCESS, index, int(state))

    def reset(self, message: config_node.NodeReset, _: Context) -> Message:
        """Leave the network, once the answer is out."""
        del message
        self.reset_asked = True
        return config_node.NodeResetStatus()

    def heartbeat_publication(self, message: Any, _: Context) -> Message:
        """Give or set how heartbeats are sent."""
        status = Status.SUCCESS
        if isinstance(message, config_node.HeartbeatPublicationSet):
            wanted = HeartbeatPublication(
                message.destination,
                message.count_log,
                message.period_log,
                message.ttl,
                message.features,
                message.net_index,
            )
            status = self._judge_heartbeat(wanted)
            if status is Status.SUCCESS:
                self.change(heartbeat=wanted)
        now = self.config.heartbeat
        return config_node.HeartbeatPublicationStatus(
            status,
            now.destination,
            now.count_log,
            now.period_log,
            now.ttl,
            now.features,
            now.net_index,
        )

    def _judge_heartbeat(self, wanted: HeartbeatPublication) -> Status:
        if wanted.destination and not (
            is_unicast(wanted.destination) or is_group(wanted.destination)
        ):
            return Status.INVALID_ADDRESS
        if wanted.net_index not in self.keys.subnets:
            return Status.INVALID_NET_KEY_INDEX
        counted = wanted.count_log <= HEARTBEAT_LOG_MAX or wanted.count_log == COUNT_FOREVER
        hops = wanted.ttl != 1 and wanted.ttl <= TTL_MAX
        timed = wanted.period_log <= HEARTBEAT_LOG_MAX
        return Status.SUCCESS if counted and timed and hops else Status.CANNOT_SET

    def heartbeat_subscription(self, message: Any, context: Context) -> Message:
        """Give or set whose heartbeats are counted."""
        wanted = isinstance(message, config_node.HeartbeatSubscriptionSet)
        if wanted and message.period_log <= HEARTBEAT_LOG_MAX:
            period_s = float(1 << message.period_log - 1) if message.period_log else 0.0
            self.heartbeats = HeartbeatCount(
                message.source, message.destination, context.now_s + period_s
            )
        heard = self.heartbeats
        left_s = max(int(heard.until_s - context.now_s), 0)
        return config_node.HeartbeatSubscriptionStatus(
            Status.SUCCESS,
            heard.source,
            heard.destination,
            left_s.bit_length(),
            heard.count.bit_length(),
            heard.hops_min,
            heard.hops_max,
        )

    def poll_timeout(self, message: config_node.PollTimeoutGet, _: Context) -> Message:
        """Say that nobody polls this node."""
        return config_node.PollTimeoutStatus(message.lpn, 0)

    # ---------------------------------------------------------------- keys

    def _keyed(self, status: Status) -> Status:
        self.keys_changed |= status is Status.SUCCESS
        return status

    def net_key(self, message: Any, context: Context) -> Message:
        """Add, update or delete a NetKey."""
        index = message.net_index
        match message:
            case config_keys.NetKeyAdd():
                status = self.keys.add_net(index, message.key)
            case config_keys.NetKeyUpdate():
                status = self.keys.update_net(index, message.key)
            case _ if index == context.message.net_index:
                status = Status.CANNOT_REMOVE
            case _:
                status = self.keys.delete_net(index)
                self._forget_apps()
        return config_keys.NetKeyStatus(self._keyed(status), index)

    def app_key(self, message: Any, _: Context) -> Message:
        """Add, update or delete an AppKey."""
        net_index, index = message.indexes
        match message:
            case config_keys.AppKeyAdd():
                status = self.keys.add_app(net_index, index, message.key)
            case config_keys.AppKeyUpdate():
                status = self.keys.update_app(net_index, index, message.key)
            case _:
                status = self.keys.delete_app(net_index, index)
                self._forget_apps()
        return config_keys.AppKeyStatus(self._keyed(status), message.indexes)

    def _forget_apps(self) -> None:
        used = {index for each in self.config.models for index in each.app_indexes}
        used |= {each.publication.app & 0xFFF for each in self.config.models if each.publication}
        gone = used - self.keys.apps.keys()
        if gone:
            self.config, self.config_changed = self.config.without_apps(gone), True

    def net_keys(self, message: config_keys.NetKeyGet, _: Context) -> Message:
        """List the NetKeys."""
        del message
        return config_keys.NetKeyList(tuple(self.keys.subnets))

    def app_keys(self, message: config_keys.AppKeyGet, _: Context) -> Message:
        """List the AppKeys of a NetKey."""
        index = message.net_index
        if index not in self.keys.subnets:
            return config_keys.AppKeyList(Status.INVALID_NET_KEY_INDEX, index, ())
        bound = tuple(app.index for app in self.keys.apps.values() if app.net_index == index)
        return config_keys.AppKeyList(Status.SUCCESS, index, bound)

    def key_refresh(self, message: Any, _: Context) -> Message | None:
        """Give or move the phase of a key refresh; a prohibited move gets no answer."""
        index = message.net_index
        if index not in self.keys.subnets:
            return config_keys.KeyRefreshStatus(Status.INVALID_NET_KEY_INDEX, index, 0)
        if isinstance(message, config_keys.KeyRefreshSet):
            if message.transition not in (Phase.SWITCHING, Phase.REVOKING):
                return None
            if not self.keys.change_phase(index, Phase(message.transition)):
                return None
            self.keys_changed = True
        phase = self.keys.subnets[index].phase
        return config_keys.KeyRefreshStatus(Status.SUCCESS, index, phase)


Handler = Callable[[ConfigServer, Any, Context], Message | None]

HANDLERS: dict[type[Message], Handler] = {
    config_node.CompositionGet: ConfigServer.composition_page,
    config_node.BeaconGet: ConfigServer.beacon,
    config_node.BeaconSet: ConfigServer.beacon,
    config_node.TtlGet: ConfigServer.ttl,
    config_node.TtlSet: ConfigServer.ttl,
    config_node.FriendGet: ConfigServer.friend,
    config_node.FriendSet: ConfigServer.friend,
    config_node.ProxyGet: ConfigServer.proxy,
    config_node.ProxySet: ConfigServer.proxy,
    config_node.RelayGet: ConfigServer.relay,
    config_node.RelaySet: ConfigServer.relay,
    config_node.NetworkTransmitGet: ConfigServer.transmit,
    config_node.NetworkTransmitSet: ConfigServer.transmit,
    config_node.NodeIdentityGet: ConfigServer.node_identity,
    config_node.NodeIdentitySet: ConfigServer.node_identity,
    config_node.NodeReset: ConfigServer.reset,
    config_node.HeartbeatPublicationGet: ConfigServer.heartbeat_publication,
    config_node.HeartbeatPublicationSet: ConfigServer.heartbeat_publication,
    config_node.HeartbeatSubscriptionGet: ConfigServer.heartbeat_subscription,
    config_node.HeartbeatSubscriptionSet: ConfigServer.heartbeat_subscription,
    config_node.PollTimeoutGet: ConfigServer.poll_timeout,
    config_keys.NetKeyAdd: ConfigServer.net_key,
    config_keys.NetKeyUpdate: ConfigServer.net_key,
    config_keys.NetKeyDelete: ConfigServer.net_key,
    config_keys.NetKeyGet: ConfigServer.net_keys,
    config_keys.AppKeyAdd: ConfigServer.app_key,
    config_keys.AppKeyUpdate: ConfigServer.app_key,
    config_keys.AppKeyDelete: ConfigServer.app_key,
    config_keys.AppKeyGet: ConfigServer.app_keys,
    config_keys.KeyRefreshGet: ConfigServer.key_refresh,
    config_keys.KeyRefreshSet: ConfigServer.key_refresh,
}
