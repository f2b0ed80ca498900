"""Configuration messages about a node: its features, TTL, heartbeats, its end.

Source: Mesh Protocol 1.1, 4.3.2.
"""

from dataclasses import dataclass

from dunes.mesh.wire import U8, U16, U24, KeyIndex, Message, Rest, table


@dataclass(frozen=True, slots=True)
class BeaconGet(Message, opcode=0x8009):
    """Ask for the Secure Network Beacon state."""


@dataclass(frozen=True, slots=True)
class BeaconSet(Message, opcode=0x800A):
    """Send Secure Network beacons, or not."""

    state: U8


@dataclass(frozen=True, slots=True)
class BeaconStatus(Message, opcode=0x800B):
    """The Secure Network Beacon state."""

    state: U8


@dataclass(frozen=True, slots=True)
class CompositionGet(Message, opcode=0x8008):
    """Ask for a page of the composition."""

    page: U8 = 0


@dataclass(frozen=True, slots=True)
class CompositionStatus(Message, opcode=0x02):
    """A page of the composition; see `Composition.decode`."""

    page: U8
    data: Rest


@dataclass(frozen=True, slots=True)
class TtlGet(Message, opcode=0x800C):
    """Ask for the default TTL."""


@dataclass(frozen=True, slots=True)
class TtlSet(Message, opcode=0x800D):
    """Set the default TTL: 0, or 2 to 127."""

    ttl: U8


@dataclass(frozen=True, slots=True)
class TtlStatus(Message, opcode=0x800E):
    """The default TTL."""

    ttl: U8


@dataclass(frozen=True, slots=True)
class FriendGet(Message, opcode=0x800F):
    """Ask for the friend state."""


@dataclass(frozen=True, slots=True)
class FriendSet(Message, opcode=0x8010):
    """Be a friend, or not."""

    state: U8


@dataclass(frozen=True, slots=True)
class FriendStatus(Message, opcode=0x8011):
    """The friend state."""

    state: U8


@dataclass(frozen=True, slots=True)
class ProxyGet(Message, opcode=0x8012):
    """Ask for the GATT proxy state."""


@dataclass(frozen=True, slots=True)
class ProxySet(Message, opcode=0x8013):
    """Be a GATT proxy, or not."""

    state: U8


@dataclass(frozen=True, slots=True)
class ProxyStatus(Message, opcode=0x8014):
    """The GATT proxy state."""

    state: U8


@dataclass(frozen=True, slots=True)
class RelayGet(Message, opcode=0x8026):
    """Ask for the relay state."""


@dataclass(frozen=True, slots=True)
class RelaySet(Message, opcode=0x8027):
    """Relay, or not; how often each PDU is sent, see `transmit_octet`."""

    state: U8
    retransmit: U8


@dataclass(frozen=True, slots=True)
class RelayStatus(Message, opcode=0x8028):
    """The relay state."""

    state: U8
    retransmit: U8


@dataclass(frozen=True, slots=True)
class NetworkTransmitGet(Message, opcode=0x8023):
    """Ask how often each PDU is sent."""


@dataclass(frozen=True, slots=True)
class NetworkTransmitSet(Message, opcode=0x8024):
    """Set how often each PDU is sent, see `transmit_octet`."""

    transmit: U8


@dataclass(frozen=True, slots=True)
class NetworkTransmitStatus(Message, opcode=0x8025):
    """How often each PDU is sent."""

    transmit: U8


@dataclass(frozen=True, slots=True)
class NodeIdentityGet(Message, opcode=0x8046):
    """Ask whether Node Identity is advertised."""

    net_index: KeyIndex


@dataclass(frozen=True, slots=True)
class NodeIdentitySet(Message, opcode=0x8047):
    """Advertise Node Identity, or stop."""

    net_index: KeyIndex
    state: U8


@dataclass(frozen=True, slots=True)
class NodeIdentityStatus(Message, opcode=0x8048):
    """Whether Node Identity is advertised."""

    status: U8
    net_index: KeyIndex
    state: U8


@dataclass(frozen=True, slots=True)
class NodeReset(Message, opcode=0x8049):
    """Leave the network and forget all."""


@dataclass(frozen=True, slots=True)
class NodeResetStatus(Message, opcode=0x804A):
    """The node leaves now. Some stacks never say it."""


@dataclass(frozen=True, slots=True)
class HeartbeatPublicationGet(Message, opcode=0x8038):
    """Ask how heartbeats are sent."""


@dataclass(frozen=True, slots=True)
class HeartbeatPublicationSet(Message, opcode=0x8039):
    """Set how heartbeats are sent; counts and periods are logarithms."""

    destination: U16
    count_log: U8
    period_log: U8
    ttl: U8
    features: U16
    net_index: KeyIndex


@dataclass(frozen=True, slots=True)
class HeartbeatPublicationStatus(Message, opcode=0x06):
    """How heartbeats are sent."""

    status: U8
    destination: U16
    count_log: U8
    period_log: U8
    ttl: U8
    features: U16
    net_index: KeyIndex


@dataclass(frozen=True, slots=True)
class HeartbeatSubscriptionGet(Message, opcode=0x803A):
    """Ask for the heartbeats heard."""


@dataclass(frozen=True, slots=True)
class HeartbeatSubscriptionSet(Message, opcode=0x803B):
    """Count the heartbeats of a source."""

    source: U16
    destination: U16
    period_log: U8


@dataclass(frozen=True, slots=True)
class HeartbeatSubscriptionStatus(Message, opcode=0x803C):
    """The heartbeats heard."""

    status: U8
    source: U16
    destination: U16
    period_log: U8
    count_log: U8
    hops_min: U8
    hops_max: U8


@dataclass(frozen=True, slots=True)
class PollTimeoutGet(Message, opcode=0x802D):
    """Ask a friend for the poll timeout of a low-power node."""

    lpn: U16


@dataclass(frozen=True, slots=True)
class PollTimeoutStatus(Message, opcode=0x802E):
    """The poll timeout, in 100 ms; 0 if it is no friend of it."""

    lpn: U16
    timeout: U24


MESSAGES = table(
    BeaconGet,
    BeaconSet,
    BeaconStatus,
    CompositionGet,
    CompositionStatus,
    TtlGet,
    TtlSet,
    TtlStatus,
    FriendGet,
    FriendSet,
    FriendStatus,
    ProxyGet,
    ProxySet,
    ProxyStatus,
    RelayGet,
    RelaySet,
    RelayStatus,
    NetworkTransmitGet,
    NetworkTransmitSet,
    NetworkTransmitStatus,
    NodeIdentityGet,
    NodeIdentitySet,
    NodeIdentityStatus,
    NodeReset,
    NodeResetStatus,
    HeartbeatPublicationGet,
    HeartbeatPublicationSet,
    HeartbeatPublicationStatus,
    HeartbeatSubscriptionGet,
    HeartbeatSubscriptionSet,
    HeartbeatSubscriptionStatus,
    PollTimeoutGet,
    PollTimeoutStatus,
)
