"""Transport control messages: heartbeats, and what friends and low-power nodes say.

We are neither friend nor low-power node; their messages are read, so that a listener can
show them, and passed on by relays like any other.

Source: Mesh Protocol 1.1, 3.6.5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from dunes.mesh.errors import BadPdu


class ControlOpcode(IntEnum):
    """Opcodes that the specification assigns."""

    SEGMENT_ACK = 0x00
    FRIEND_POLL = 0x01
    FRIEND_UPDATE = 0x02
    FRIEND_REQUEST = 0x03
    FRIEND_OFFER = 0x04
    FRIEND_CLEAR = 0x05
    FRIEND_CLEAR_CONFIRM = 0x06
    SUBSCRIPTION_LIST_ADD = 0x07
    SUBSCRIPTION_LIST_REMOVE = 0x08
    SUBSCRIPTION_LIST_CONFIRM = 0x09
    HEARTBEAT = 0x0A


class Feature(IntEnum):
    """Bits of a node's features, in compositions and heartbeats."""

    RELAY = 1
    PROXY = 2
    FRIEND = 4
    LOW_POWER = 8


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life.

    Attributes:
        initial_ttl: the TTL it was sent with.
        features: those that are in use, see `Feature`.
    """

    initial_ttl: int
    features: int

    def encode(self) -> bytes:
        """Give the parameters."""
        return bytes([self.initial_ttl]) + self.features.to_bytes(2, "big")

    def hops(self, ttl: int) -> int:
        """Say over how many hops it came, from the TTL it arrived with."""
        return self.initial_ttl - ttl + 1


@dataclass(frozen=True, slots=True)
class FriendPoll:
    """A low-power node asks its friend for messages."""

    fsn: int


@dataclass(frozen=True, slots=True)
class FriendUpdate:
    """A friend tells its low-power node the network's state."""

    flags: int
    iv_index: int
    more_data: bool


@dataclass(frozen=True, slots=True)
class FriendRequest:
    """A low-power node looks for a friend.

    Attributes:
        criteria: RSSI factor, receive window factor, queue size, packed.
        receive_delay_ms: from poll to answer.
        poll_timeout_ms: how long the friendship outlives silence.
        previous: the former friend's address, 0 if none.
        elements: of the low-power node.
        lpn_counter: requests sent so far.
    """

    criteria: int
    receive_delay_ms: int
    poll_timeout_ms: int
    previous: int
    elements: int
    lpn_counter: int


@dataclass(frozen=True, slots=True)
class FriendOffer:
    """A friend offers itself."""

    receive_window_ms: int
    queue_size: int
    subscription_list_size: int
    rssi_dbm: int
    friend_counter: int


@dataclass(frozen=True, slots=True)
class FriendClear:
    """A low-power node has another friend now; also its confirmation."""

    lpn: int
    lpn_counter: int
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class FriendSubscriptions:
    """A low-power node changes what its friend keeps for it.

    Attributes:
        transaction: number of the change.
        change: "add", "remove" or "confirm".
        addresses: groups and virtual addresses.
    """

    transaction: int
    change: str
    addresses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OtherControl:
    """A control message that nobody here knows."""

    opcode: int
    parameters: bytes


ControlMessage = (
    Heartbeat
    | FriendPoll
    | FriendUpdate
    | FriendRequest
    | FriendOffer
    | FriendClear
    | FriendSubscriptions
    | OtherControl
)

SIZES = {
    ControlOpcode.FRIEND_POLL: 1,
    ControlOpcode.FRIEND_UPDATE: 6,
    ControlOpcode.FRIEND_REQUEST: 10,
    ControlOpcode.FRIEND_OFFER: 6,
    ControlOpcode.FRIEND_CLEAR: 4,
    ControlOpcode.FRIEND_CLEAR_CONFIRM: 4,
    ControlOpcode.SUBSCRIPTION_LIST_CONFIRM: 1,
    ControlOpcode.HEARTBEAT: 3,
}
SUBSCRIPTIONS_MAX = 5
POLL_TIMEOUT_STEP_MS = 100


def parse_control(opcode: int, data: bytes) -> ControlMessage:
    """Read a control message.

    Raises:
        BadPdu: a wrong length for its opcode.
    """
    try:
        known = ControlOpcode(opcode)
    except ValueError:
        return OtherControl(opcode, data)
    size = SIZES.get(known)
    if size is not None and len(data) != size:
        raise BadPdu(f"{known.name} of {len(data)} bytes, not {size}")
    read = READERS.get(known)
    return OtherControl(opcode, data) if read is None else read(data)


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _offer(data: bytes) -> FriendOffer:
    rssi = int.from_bytes(data[3:4], "big", signed=True)
    return FriendOffer(data[0], data[1], data[2], rssi, _u16(data, 4))


def _request(data: bytes) -> FriendRequest:
    return FriendRequest(
        criteria=data[0],
        receive_delay_ms=data[1],
        poll_timeout_ms=int.from_bytes(data[2:5], "big") * POLL_TIMEOUT_STEP_MS,
        previous=_u16(data, 5),
        elements=data[7],
        lpn_counter=_u16(data, 8),
    )


def _subscriptions(change: str, data: bytes) -> FriendSubscriptions:
    count, rest = divmod(len(data) - 1, 2)
    if rest or not 0 < count <= SUBSCRIPTIONS_MAX:
        raise BadPdu(f"a friend subscription list of {len(data)} bytes")
    return FriendSubscriptions(
        data[0], change, tuple(_u16(data, 1 + 2 * number) for number in range(count))
    )


READERS: dict[ControlOpcode, Callable[[bytes], ControlMessage]] = {
    ControlOpcode.HEARTBEAT: lambda data: Heartbeat(data[0] & 0x7F, _u16(data, 1)),
    ControlOpcode.FRIEND_POLL: lambda data: FriendPoll(data[0] & 1),
    ControlOpcode.FRIEND_UPDATE: lambda data: FriendUpdate(
        data[0], int.from_bytes(data[1:5], "big"), bool(data[5])
    ),
    ControlOpcode.FRIEND_REQUEST: _request,
    ControlOpcode.FRIEND_OFFER: _offer,
    ControlOpcode.FRIEND_CLEAR: lambda data: FriendClear(_u16(data, 0), _u16(data, 2)),
    ControlOpcode.FRIEND_CLEAR_CONFIRM: lambda data: FriendClear(
        _u16(data, 0), _u16(data, 2), confirmed=True
    ),
    ControlOpcode.SUBSCRIPTION_LIST_ADD: lambda data: _subscriptions("add", data),
    ControlOpcode.SUBSCRIPTION_LIST_REMOVE: lambda data: _subscriptions("remove", data),
    ControlOpcode.SUBSCRIPTION_LIST_CONFIRM: lambda data: FriendSubscriptions(data[0], "confirm"),
}
