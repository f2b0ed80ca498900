"""Key sets: what is derived from NetKeys, AppKeys and device keys.

NID and AID are hints of 7 and 6 bits: every key that has them must be tried.

Source: Mesh Protocol 1.1, 3.9.6 and 3.11.4 (key refresh).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from dunes.errors import LocalError
from dunes.mesh import toolbox
from dunes.mesh.toolbox import ID128, KEY_BYTES, k1, k2, k3, k4, s1

KEY_INDEX_MAX = 0xFFF
PRIMARY = 0
"""The primary subnet's NetKey index."""
SUBNETS_MAX = 64
APP_KEYS_MAX = 240
"""Caps of one key ring; a node that is asked for more says insufficient resources."""


class Phase(IntEnum):
    """How far a key refresh is (3.11.4)."""

    NORMAL = 0
    DISTRIBUTION = 1
    """New keys are given out: send with the old one, accept both."""
    SWITCHING = 2
    """Send with the new one, accept both."""
    REVOKING = 3
    """Not a state that lasts: the old key is dropped and all is normal."""


PHASE_CHANGES: dict[tuple[Phase, Phase], Phase] = {
    (Phase.NORMAL, Phase.REVOKING): Phase.NORMAL,
    (Phase.DISTRIBUTION, Phase.SWITCHING): Phase.SWITCHING,
    (Phase.DISTRIBUTION, Phase.REVOKING): Phase.NORMAL,
    (Phase.SWITCHING, Phase.SWITCHING): Phase.SWITCHING,
    (Phase.SWITCHING, Phase.REVOKING): Phase.NORMAL,
}
"""(phase, transition asked for) to the new phase; a missing pair is prohibited (4.2.14)."""


def check_key(key: bytes) -> bytes:
    """Give a key back if it has 16 bytes."""
    if len(key) != KEY_BYTES:
        raise LocalError(f"a mesh key has 16 bytes, not {len(key)}")
    return key


class Credentials:
    """What seals network PDUs: NID, encryption key, privacy key, as ready ciphers."""

    __slots__ = ("_hide", "ccm_long", "ccm_short", "encryption_key", "nid", "privacy_key")

    _hide: CipherContext

    def __init__(self, net_key: bytes, p: bytes = b"\x00") -> None:
        self.nid, self.encryption_key, self.privacy_key = k2(check_key(net_key), p)
        self.ccm_short = AESCCM(self.encryption_key, tag_length=4)
        self.ccm_long = AESCCM(self.encryption_key, tag_length=8)
        self._hide = Cipher(algorithms.AES(self.privacy_key), modes.ECB()).encryptor()  # noqa: S305 - e of 3.9.2, block by block

    def privacy_block(self, iv_index: int, privacy_random: bytes) -> bytes:
        """Give the 16 bytes that hide a network header (3.9.7.3)."""
        return self._hide.update(bytes(5) + iv_index.to_bytes(4, "big") + privacy_random)

    def __repr__(self) -> str:
        """Show the public part."""
        return f"<Credentials nid={self.nid:#04x}>"


def friendship(
    net_key: bytes, lpn: int, friend: int, lpn_counter: int, friend_counter: int
) -> Credentials:
    """Derive the credentials of one friendship (3.9.6.3.1)."""
    parts = (lpn, friend, lpn_counter, friend_counter)
    return Credentials(net_key, b"\x01" + b"".join(part.to_bytes(2, "big") for part in parts))


class NetKey:
    """A NetKey with all that is derived from it."""

    def __init__(self, key: bytes) -> None:
        self.key = check_key(key)
        self.flooding = Credentials(key)
        self.network_id = k3(key)

    @cached_property
    def identity_key(self) -> bytes:
        """Derive what makes Node Identity advertising."""
        return k1(self.key, s1(b"nkik"), ID128)

    @cached_property
    def beacon_key(self) -> bytes:
        """Derive what signs Secure Network beacons."""
        return k1(self.key, s1(b"nkbk"), ID128)

    @cached_property
    def private_beacon_key(self) -> bytes:
        """Derive what seals Mesh Private beacons."""
        return k1(self.key, s1(b"nkpk"), ID128)

    def __repr__(self) -> str:
        """Show the public part."""
        return f"<NetKey {self.network_id.hex()}>"


class UpperKey:
    """An AppKey or a device key: what seals access messages.

    Attributes:
        key: 16 bytes.
        device: whether it is a device key.
        aid: 6 bits; 0 for a device key.
    """

    __slots__ = ("aid", "ccm_long", "ccm_short", "device", "key")

    def __init__(self, key: bytes, *, device: bool) -> None:
        self.key = check_key(key)
        self.device = device
        self.aid = 0 if device else k4(key)
        self.ccm_short = AESCCM(key, tag_length=4)
        self.ccm_long = AESCCM(key, tag_length=8)

    def __repr__(self) -> str:
        """Show the public part."""
        return "<DevKey>" if self.device else f"<AppKey aid={self.aid:#04x}>"


@dataclass(frozen=True, slots=True)
class NetKeyRecord:
    """A subnet as it is stored."""

    index: int
    key: bytes = field(repr=False)
    new_key: bytes | None = field(default=None, repr=False)
    phase: Phase = Phase.NORMAL


@dataclass(frozen=True, slots=True)
class AppKeyRecord:
    """An AppKey as it is stored."""

    index: int
    net_index: int
    key: bytes = field(repr=False)
    new_key: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class Subnet:
    """One subnet: its key, during a refresh also the new one."""

    index: int
    current: NetKey
    new: NetKey | None = None
    phase: Phase = Phase.NORMAL

    @property
    def transmit(self) -> NetKey:
        """Give the key to send with (3.11.4)."""
        if self.phase is Phase.SWITCHING and self.new is not None:
            return self.new
        return self.current

    def accepted(self) -> Iterator[NetKey]:
        """Give the keys to accept."""
        yield self.current
        if self.new is not None:
            yield self.new

    @property
    def record(self) -> NetKeyRecord:
        """Give what is stored of it."""
        new = None if self.new is None else self.new.key
        return NetKeyRecord(self.index, self.current.key, new, self.phase)


@dataclass(slots=True)
class AppKey:
    """One application key, bound to a subnet."""

    index: int
    net_index: int
    current: UpperKey
    new: UpperKey | None = None

    def accepted(self) -> Iterator[UpperKey]:
        """Give the keys to accept."""
        yield self.current
        if self.new is not None:
            yield self.new

    @property
    def record(self) -> AppKeyRecord:
        """Give what is stored of it."""
        new = None if self.new is None else self.new.key
        return AppKeyRecord(self.index, self.net_index, self.current.key, new)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Credentials that may have sealed a network PDU."""

    credentials: Credentials
    net_index: int
    friend: bool = False


def dev_key(key: bytes) -> UpperKey:
    """Make ready a device key."""
    return UpperKey(key, device=True)


def app_key(key: bytes) -> UpperKey:
    """Make ready an application key."""
    return UpperKey(key, device=False)


def identity_hash(net_key: NetKey, random: bytes, unicast: int) -> bytes:
    """Compute the 8 bytes that a node advertises as its Node Identity (7.2.2.2.3)."""
    return toolbox.e(net_key.identity_key, bytes(6) + random + unicast.to_bytes(2, "big"))[8:]


def private_network_hash(net_key: NetKey, random: bytes) -> bytes:
    """Compute the 8 bytes of Private Network Identity (7.2.2.2.4)."""
    return toolbox.e(net_key.identity_key, net_key.network_id + random)[8:]


def private_node_hash(net_key: NetKey, random: bytes, unicast: int) -> bytes:
    """Compute the 8 bytes of Private Node Identity (7.2.2.2.5)."""
    block = bytes(5) + b"\x03" + random + unicast.to_bytes(2, "big")
    return toolbox.e(net_key.identity_key, block)[8:]
