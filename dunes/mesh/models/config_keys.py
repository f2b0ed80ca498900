"""Configuration messages about keys. Never log one with a key: `repr` leaves keys out.

Source: Mesh Protocol 1.1, 4.3.2.
"""

from dataclasses import dataclass, field

from dunes.mesh.wire import U8, Key, KeyIndex, KeyIndexes, KeyPair, Message, table


@dataclass(frozen=True, slots=True)
class AppKeyAdd(Message, opcode=0x00):
    """Add an AppKey; `indexes` are NetKey and AppKey."""

    indexes: KeyPair
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppKeyUpdate(Message, opcode=0x01):
    """Give an AppKey its next value."""

    indexes: KeyPair
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppKeyDelete(Message, opcode=0x8000):
    """Remove an AppKey."""

    indexes: KeyPair


@dataclass(frozen=True, slots=True)
class AppKeyStatus(Message, opcode=0x8003):
    """What became of it."""

    status: U8
    indexes: KeyPair


@dataclass(frozen=True, slots=True)
class AppKeyGet(Message, opcode=0x8001):
    """Ask for the AppKeys of a NetKey."""

    net_index: KeyIndex


@dataclass(frozen=True, slots=True)
class AppKeyList(Message, opcode=0x8002):
    """The AppKeys of a NetKey."""

    status: U8
    net_index: KeyIndex
    app_indexes: KeyIndexes


@dataclass(frozen=True, slots=True)
class NetKeyAdd(Message, opcode=0x8040):
    """Add a NetKey."""

    net_index: KeyIndex
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class NetKeyUpdate(Message, opcode=0x8045):
    """Give a NetKey its next value: key refresh, phase 1."""

    net_index: KeyIndex
    key: Key = field(repr=False)


@dataclass(frozen=True, slots=True)
class NetKeyDelete(Message, opcode=0x8041):
    """Remove a NetKey."""

    net_index: KeyIndex


@dataclass(frozen=True, slots=True)
class NetKeyStatus(Message, opcode=0x8044):
    """What became of it."""

    status: U8
    net_index: KeyIndex


@dataclass(frozen=True, slots=True)
class NetKeyGet(Message, opcode=0x8042):
    """Ask for the NetKeys."""


@dataclass(frozen=True, slots=True)
class NetKeyList(Message, opcode=0x8043):
    """The NetKeys."""

    net_indexes: KeyIndexes


@dataclass(frozen=True, slots=True)
class KeyRefreshGet(Message, opcode=0x8015):
    """Ask how far a key refresh is."""

    net_index: KeyIndex


@dataclass(frozen=True, slots=True)
class KeyRefreshSet(Message, opcode=0x8016):
    """Move a key refresh on: 2 use the new keys, 3 revoke the old."""

    net_index: KeyIndex
    transition: U8


@dataclass(frozen=True, slots=True)
class KeyRefreshStatus(Message, opcode=0x8017):
    """How far a key refresh is."""

    status: U8
    net_index: KeyIndex
    phase: U8


MESSAGES = table(
    AppKeyAdd,
    AppKeyUpdate,
    AppKeyDelete,
    AppKeyStatus,
    AppKeyGet,
    AppKeyList,
    NetKeyAdd,
    NetKeyUpdate,
    NetKeyDelete,
    NetKeyStatus,
    NetKeyGet,
    NetKeyList,
    KeyRefreshGet,
    KeyRefreshSet,
    KeyRefreshStatus,
)
