"""Proxy configuration: the filter between a proxy and its client.

Source: Mesh Protocol 1.1, 6.4 to 6.7.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from dunes.errors import LocalError
from dunes.mesh.errors import BadPdu

ADDRESSES_PER_MESSAGE = 5
"""That many fit into one network PDU."""
FILTER_SIZE = 32
"""Addresses a filter of ours holds; 16 is common."""


class FilterType(IntEnum):
    """What a filter's list means."""

    ACCEPT = 0
    """Pass on only what is sent to a listed address."""
    REJECT = 1
    """Pass on all but that."""


class ProxyOpcode(IntEnum):
    """Opcodes of proxy configuration messages."""

    SET_FILTER_TYPE = 0
    ADD_ADDRESSES = 1
    REMOVE_ADDRESSES = 2
    FILTER_STATUS = 3


@dataclass(frozen=True, slots=True)
class FilterStatus:
    """A proxy's answer: its filter's type and number of addresses."""

    type: FilterType
    size: int

    def encode(self) -> bytes:
        """Give the message."""
        return bytes([ProxyOpcode.FILTER_STATUS, self.type]) + self.size.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class SetFilterType:
    """Set the type; the list is empty then."""

    type: FilterType

    def encode(self) -> bytes:
        """Give the message."""
        return bytes([ProxyOpcode.SET_FILTER_TYPE, self.type])


@dataclass(frozen=True, slots=True)
class ChangeAddresses:
    """Add addresses to the list, or remove them."""

    addresses: tuple[int, ...]
    remove: bool = False

    def encode(self) -> bytes:
        """Give the message."""
        if not 0 < len(self.addresses) <= ADDRESSES_PER_MESSAGE:
            raise LocalError(f"{len(self.addresses)} addresses in one proxy configuration message")
        opcode = ProxyOpcode.REMOVE_ADDRESSES if self.remove else ProxyOpcode.ADD_ADDRESSES
        return bytes([opcode]) + b"".join(each.to_bytes(2, "big") for each in self.addresses)


ProxyMessage = FilterStatus | SetFilterType | ChangeAddresses


def add_addresses(addresses: Iterable[int]) -> list[ChangeAddresses]:
    """Put any number of addresses into messages of five."""
    every = tuple(addresses)
    step = ADDRESSES_PER_MESSAGE
    return [ChangeAddresses(every[at : at + step]) for at in range(0, len(every), step)]


def parse_proxy(data: bytes) -> ProxyMessage | None:
    """Read a proxy configuration message; None for an opcode that nobody here knows.

    Raises:
        BadPdu: a length or a filter type that cannot be.
    """
    opcode, rest = data[0], data[1:]
    if opcode == ProxyOpcode.SET_FILTER_TYPE:
        return SetFilterType(_type(rest, 1))
    if opcode == ProxyOpcode.FILTER_STATUS:
        return FilterStatus(_type(rest, 3), int.from_bytes(rest[1:], "big"))
    if opcode in (ProxyOpcode.ADD_ADDRESSES, ProxyOpcode.REMOVE_ADDRESSES):
        if not rest or len(rest) % 2:
            raise BadPdu(f"a list of addresses of {len(rest)} bytes")
        pairs = range(0, len(rest), 2)
        addresses = tuple(int.from_bytes(rest[at : at + 2], "big") for at in pairs)
        return ChangeAddresses(addresses, opcode == ProxyOpcode.REMOVE_ADDRESSES)
    return None


def _type(rest: bytes, size: int) -> FilterType:
    if len(rest) != size or rest[0] not in (FilterType.ACCEPT, FilterType.REJECT):
        raise BadPdu(f"a filter of {rest.hex()}")
    return FilterType(rest[0])


@dataclass(slots=True)
class ProxyFilter:
    """A proxy server's filter of one client: an empty accept list at first.

    Attributes:
        type: what the list means.
        addresses: at most `FILTER_SIZE`; more are left out, which the status shows.
    """

    type: FilterType = FilterType.ACCEPT
    addresses: set[int] = field(default_factory=set)

    def receive(self, message: ProxyMessage) -> FilterStatus | None:
        """Take a client's message; gives the answer."""
        match message:
            case SetFilterType():
                self.type = message.type
                self.addresses.clear()
            case ChangeAddresses(remove=True):
                self.addresses.difference_update(message.addresses)
            case ChangeAddresses():
                self._add(message.addresses)
            case FilterStatus():
                return None
        return FilterStatus(self.type, len(self.addresses))

    def note_source(self, src: int) -> None:
        """Learn from any valid PDU of the client: answers to it must pass."""
        if self.type is FilterType.ACCEPT:
            self._add((src,))
        else:
            self.addresses.discard(src)

    def passes(self, dst: int) -> bool:
        """Say whether a PDU to this address goes to the client."""
        return (dst in self.addresses) == (self.type is FilterType.ACCEPT)

    def _add(self, addresses: Iterable[int]) -> None:
        for each in addresses:
            if each and len(self.addresses) < FILTER_SIZE:
                self.addresses.add(each)
