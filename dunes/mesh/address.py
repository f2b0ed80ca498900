"""Addresses: 16 bits, of five kinds (Mesh Protocol 1.1, 3.4.2)."""

from enum import Enum, auto

UNASSIGNED = 0x0000
UNICAST_MAX = 0x7FFF
VIRTUAL_MIN = 0x8000
GROUP_MIN = 0xC000
ALL_PROXIES = 0xFFFC
ALL_FRIENDS = 0xFFFD
ALL_RELAYS = 0xFFFE
ALL_NODES = 0xFFFF
FIXED_MIN = 0xFF00
"""From here on groups are assigned by the specification."""
ADDRESS_MAX = 0xFFFF

TTL_MAX = 127
TTL_RELAYED_MIN = 2
"""A smaller TTL is not passed on."""
SEQ_END = 1 << 24
"""One past the last sequence number."""


class Kind(Enum):
    """What an address names."""

    UNASSIGNED = auto()
    UNICAST = auto()
    """One element of one node."""
    VIRTUAL = auto()
    """The hash of one or more Label UUIDs."""
    GROUP = auto()
    """Whoever subscribed, or a fixed group."""


def kind(address: int) -> Kind:
    """Say what an address names."""
    if address == UNASSIGNED:
        return Kind.UNASSIGNED
    if address <= UNICAST_MAX:
        return Kind.UNICAST
    return Kind.VIRTUAL if address < GROUP_MIN else Kind.GROUP


def is_unicast(address: int) -> bool:
    """Say whether one element is meant."""
    return UNASSIGNED < address <= UNICAST_MAX


def is_virtual(address: int) -> bool:
    """Say whether a label is meant."""
    return VIRTUAL_MIN <= address < GROUP_MIN


def is_group(address: int) -> bool:
    """Say whether a group is meant, fixed ones too."""
    return GROUP_MIN <= address <= ADDRESS_MAX
