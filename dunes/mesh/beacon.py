"""Beacons and advertising data: unprovisioned, secure network, private; 0x1827 and 0x1828.

Source: Mesh Protocol 1.1, 3.10 (beacons), 7.1.2.2 and 7.2.2.2 (service data).
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from dunes.mesh.errors import BadPdu, NotAuthentic
from dunes.mesh.keyring import KeyRing
from dunes.mesh.keys import (
    NetKey,
    Subnet,
    identity_hash,
    private_network_hash,
    private_node_hash,
)
from dunes.mesh.toolbox import NONCE_BYTES, aes_cmac, ccm_open

PROVISIONING_SERVICE = 0x1827
PROXY_SERVICE = 0x1828
AD_SERVICE_DATA = 0x16
TAG_BYTES = 8
UNPROVISIONED_BYTES = (19, 23)
"""With and without the hash of a URI."""
SECURE_BYTES = 22
PRIVATE_BYTES = 27
FLAG_REFRESH, FLAG_UPDATE = 1, 2
IV_MAX = 0xFFFFFFFF


class BeaconType(IntEnum):
    """The first octet of a beacon."""

    UNPROVISIONED = 0
    SECURE_NETWORK = 1
    PRIVATE = 2


@dataclass(frozen=True, slots=True)
class UnprovisionedBeacon:
    """A device that wants to be provisioned.

    Attributes:
        device_uuid: 16 bytes.
        oob_information: 16 bits, a hint where to find the OOB value.
        uri_hash: 4 bytes, or None.
    """

    device_uuid: bytes
    oob_information: int = 0
    uri_hash: bytes | None = None

    def encode(self) -> bytes:
        """Give the beacon's octets."""
        head = bytes([BeaconType.UNPROVISIONED]) + self.device_uuid
        return head + self.oob_information.to_bytes(2, "big") + (self.uri_hash or b"")


@dataclass(frozen=True, slots=True)
class NetworkState:
    """What an authentic beacon says.

    Attributes:
        iv_index: the network's current IV index.
        refresh: key refresh flag.
        update: IV update flag.
        net_index: the subnet whose key authenticated it.
        new_key: authenticated by the new key of a key refresh.
    """

    iv_index: int
    refresh: bool
    update: bool
    net_index: int = 0
    new_key: bool = False

    @property
    def flags(self) -> int:
        """Give both flags in one octet."""
        return self.refresh * FLAG_REFRESH | self.update * FLAG_UPDATE


def encode_secure(key: NetKey, state: NetworkState) -> bytes:
    """Sign a Secure Network beacon (3.10.3)."""
    said = bytes([state.flags]) + key.network_id + state.iv_index.to_bytes(4, "big")
    return bytes([BeaconType.SECURE_NETWORK]) + said + aes_cmac(key.beacon_key, said)[:TAG_BYTES]


def encode_private(key: NetKey, state: NetworkState, random: bytes) -> bytes:
    """Seal a Mesh Private beacon with 13 bytes of randomness (3.10.4)."""
    said = bytes([state.flags]) + state.iv_index.to_bytes(4, "big")
    sealed = AESCCM(key.private_beacon_key, tag_length=TAG_BYTES).encrypt(random, said, None)
    return bytes([BeaconType.PRIVATE]) + random + sealed


def decode_beacon(keys: KeyRing, data: bytes) -> NetworkState | UnprovisionedBeacon | None:
    """Read a beacon.

    Args:
        keys: our keys.
        data: from the beacon type octet on.

    Returns:
        None where it is of a network that is not ours, or of an unknown kind.

    Raises:
        BadPdu: a wrong length.
        NotAuthentic: it names our network, and its tag is wrong.
    """
    match data[:1]:
        case b"\x00":
            return _unprovisioned(data)
        case b"\x01":
            return _secure(keys, data)
        case b"\x02":
            return _private(keys, data)
    return None


def _unprovisioned(data: bytes) -> UnprovisionedBeacon:
    if len(data) not in UNPROVISIONED_BYTES:
        raise BadPdu(f"an unprovisioned device beacon of {len(data)} bytes")
    return UnprovisionedBeacon(data[1:17], int.from_bytes(data[17:19], "big"), data[19:] or None)


def _secure(keys: KeyRing, data: bytes) -> NetworkState | None:
    if len(data) != SECURE_BYTES:
        raise BadPdu(f"a Secure Network beacon of {len(data)} bytes, not 22")
    found = keys.network_ids().get(data[2:10])
    if found is None:
        return None
    subnet, key = found
    if not hmac.compare_digest(aes_cmac(key.beacon_key, data[1:14])[:TAG_BYTES], data[14:]):
        raise NotAuthentic("a Secure Network beacon under our Network ID with a wrong tag")
    return _state(data[1], data[10:14], subnet, key)


def _private(keys: KeyRing, data: bytes) -> NetworkState | None:
    if len(data) != PRIVATE_BYTES:
        raise BadPdu(f"a Mesh Private beacon of {len(data)} bytes, not 27")
    nonce, sealed = data[1 : 1 + NONCE_BYTES], data[1 + NONCE_BYTES :]
    for subnet in keys.subnets.values():
        for key in subnet.accepted():
            cipher = AESCCM(key.private_beacon_key, tag_length=TAG_BYTES)
            try:
                said = ccm_open(cipher, nonce, sealed)
            except NotAuthentic:
                continue
            return _state(said[0], said[1:5], subnet, key)
    return None


def _state(flags: int, iv_index: bytes, subnet: Subnet, key: NetKey) -> NetworkState:
    return NetworkState(
        int.from_bytes(iv_index, "big"),
        bool(flags & FLAG_REFRESH),
        bool(flags & FLAG_UPDATE),
        subnet.index,
        key is subnet.new,
    )


# ------------------------------------------------------------------- advertising


class Identification(IntEnum):
    """The first octet of the proxy service's data (7.2.2.2.1)."""

    NETWORK_ID = 0
    NODE_IDENTITY = 1
    PRIVATE_NETWORK = 2
    PRIVATE_NODE = 3


SERVICE_DATA_BYTES = {
    Identification.NETWORK_ID: 9,
    Identification.NODE_IDENTITY: 17,
    Identification.PRIVATE_NETWORK: 17,
    Identification.PRIVATE_NODE: 17,
}


@dataclass(frozen=True, slots=True)
class ProxySeen:
    """A proxy that advertises, as far as our keys explain it.

    Attributes:
        kind: how it identifies itself.
        net_index: the subnet.
        unicast: the node's address where it tells it and we know it, else None.
    """

    kind: Identification
    net_index: int
    unicast: int | None = None


def provisioning_service_data(device_uuid: bytes, oob_octets: bytes) -> bytes:
    """Build what a device that wants to be provisioned over GATT advertises (after 0x1827)."""
    return device_uuid + oob_octets


def network_id_service_data(key: NetKey) -> bytes:
    """Build a proxy's Network ID advertising (after 0x1828)."""
    return bytes([Identification.NETWORK_ID]) + key.network_id


def node_identity_service_data(key: NetKey, random: bytes, unicast: int) -> bytes:
    """Build a proxy's Node Identity advertising with 8 random bytes (after 0x1828)."""
    kind = bytes([Identification.NODE_IDENTITY])
    return kind + identity_hash(key, random, unicast) + random


def ad_service_data(service: int, data: bytes) -> bytes:
    """Wrap service data into an advertising structure, its length octet first."""
    body = bytes([AD_SERVICE_DATA]) + service.to_bytes(2, "little") + data
    return bytes([len(body)]) + body


def read_proxy_service_data(
    keys: KeyRing, data: bytes, addresses: Iterable[int] = ()
) -> ProxySeen | None:
    """Say which of our networks, and which node, a proxy advertisement is from.

    Args:
        keys: our keys.
        data: the service data of 0x1828.
        addresses: primary unicast addresses to look for in Node Identity advertising.

    Returns:
        None where it is not ours, or malformed: the air is full of others.
    """
    if not data or data[0] not in SERVICE_DATA_BYTES:
        return None
    kind = Identification(data[0])
    if len(data) != SERVICE_DATA_BYTES[kind]:
        return None
    if kind is Identification.NETWORK_ID:
        found = keys.network_ids().get(data[1:9])
        return None if found is None else ProxySeen(kind, found[0].index)
    known, random = data[1:9], data[9:17]
    for subnet in keys.subnets.values():
        for key in subnet.accepted():
            if kind is Identification.PRIVATE_NETWORK:
                if private_network_hash(key, random) == known:
                    return ProxySeen(kind, subnet.index)
                continue
            unicast = _whose(key, kind, known, random, addresses)
            if unicast is not None:
                return ProxySeen(kind, subnet.index, unicast)
    return None


def _whose(
    key: NetKey, kind: Identification, known: bytes, random: bytes, addresses: Iterable[int]
) -> int | None:
    hash_of = identity_hash if kind is Identification.NODE_IDENTITY else private_node_hash
    return next((each for each in addresses if hash_of(key, random, each) == known), None)
