"""Every published sample value of the specification (Mesh Protocol 1.1, section 8)."""

import json
from pathlib import Path

import pytest

from dunes.mesh import toolbox
from dunes.mesh.access import encode_opcode
from dunes.mesh.beacon import (
    NetworkState,
    UnprovisionedBeacon,
    ad_service_data,
    decode_beacon,
    encode_secure,
    network_id_service_data,
    node_identity_service_data,
    provisioning_service_data,
    read_proxy_service_data,
)
from dunes.mesh.control import FriendPoll, parse_control
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keyring import KeyRing
from dunes.mesh.keys import (
    AppKeyRecord,
    Credentials,
    NetKey,
    NetKeyRecord,
    app_key,
    dev_key,
    friendship,
    identity_hash,
)
from dunes.mesh.lower import Access, Ack, Control, parse_lower, split
from dunes.mesh.network import NetworkPdu, decode_network, encode_network
from dunes.mesh.stack import Stack
from dunes.mesh.state import KeysRecord, StackState
from dunes.mesh.upper import Envelope, seal_access

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "mesh"


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["vectors"]


def by_id(case):
    return case["id"]


def unhex(text):
    return bytes.fromhex(text)


def ring(net_key):
    keys = KeyRing()
    keys.add_net(0, unhex(net_key))
    return keys


def credentials(case):
    key = unhex(case["net_key"])
    friend = case["friendship"]
    if friend is None:
        return Credentials(key)
    order = ("lpn_address", "friend_address", "lpn_counter", "friend_counter")
    return friendship(key, *(int(friend[name], 16) for name in order))


@pytest.mark.parametrize("case", vectors("toolbox") + vectors("keys"), ids=by_id)
def test_the_toolbox_agrees_with_the_specification(case):
    given, out = case["in"], case["out"]
    n = unhex(given.get("n", ""))
    match case["op"]:
        case "s1":
            assert unhex(out["s1"]) == toolbox.s1(given["m_ascii"].encode())
        case "k1":
            assert unhex(out["k1"]) == toolbox.k1(n, unhex(given["salt"]), unhex(given["p"]))
        case "k2":
            nid, encryption, privacy = toolbox.k2(n, unhex(given["p"]))
            expected = (int(out["nid"], 16), out["encryption_key"], out["privacy_key"])
            assert expected == (nid, encryption.hex(), privacy.hex())
        case "k3":
            assert unhex(out["network_id"]) == toolbox.k3(n)
            assert unhex(out["network_id"]) == NetKey(n).network_id
        case "k4":
            assert int(out["aid"], 16) == toolbox.k4(n) == app_key(n).aid
        case "identity_key":
            assert unhex(given["salt"]) == toolbox.s1(b"nkik")
            assert unhex(out["identity_key"]) == NetKey(n).identity_key
        case "beacon_key":
            assert unhex(given["salt"]) == toolbox.s1(b"nkbk")
            assert unhex(out["beacon_key"]) == NetKey(n).beacon_key
        case other:
            pytest.fail(f"no test for {other}")


def test_the_friendship_sample_gives_the_same_credentials_by_its_parts():
    case = next(case for case in vectors("toolbox") if case["id"] == "8.1.4")
    given, out = case["in"], case["out"]
    order = ("lpn_address", "friend_address", "lpn_counter", "friend_counter")
    made = friendship(unhex(given["n"]), *(int(given[name], 16) for name in order))
    assert (int(out["nid"], 16), unhex(out["encryption_key"]), unhex(out["privacy_key"])) == (
        made.nid,
        made.encryption_key,
        made.privacy_key,
    )


MESSAGES = [
    pytest.param(case, each, id=f"{case['id']}-{each['seq']}")
    for case in vectors("messages")
    for each in case["pdus"]
]


@pytest.mark.parametrize(("case", "each"), MESSAGES)
def test_each_network_pdu_is_the_published_one(case, each):
    pdu = NetworkPdu(
        bool(case["ctl"]),
        int(case["ttl"], 16),
        int(each["seq"], 16),
        int(case["src"], 16),
        int(case["dst"], 16),
        unhex(each["lower_transport_pdu"]),
        int(case["iv_index"], 16),
        friend=case["friendship"] is not None,
    )
    sealed = encode_network(credentials(case), pdu)
    assert each["network_pdu"] == sealed.hex()

    keys = ring(case["net_key"])
    keys.add_net(1, bytes(16))
    if pdu.friend:
        keys.add_friendship(credentials(case), 0)
    assert pdu == decode_network(keys, 0x12345678, sealed)


@pytest.mark.parametrize("case", vectors("beacons_and_advertising"), ids=by_id)
def test_beacons_and_advertising_are_the_published_ones(case):
    given, out = case["in"], case["out"]
    match case["op"]:
        case "unprovisioned_beacon":
            oob = int(given["oob_information"], 16)
            beacon = UnprovisionedBeacon(unhex(given["device_uuid"]), oob)
            assert out["beacon"] == beacon.encode().hex()
            assert beacon == decode_beacon(KeyRing(), unhex(out["beacon"]))
        case "secure_network_beacon":
            keys = ring(given["net_key"])
            flags = int(given["flags"], 16)
            state = NetworkState(int(given["iv_index"], 16), bool(flags & 1), bool(flags & 2))
            assert out["beacon"] == encode_secure(keys.subnets[0].current, state).hex()
            assert state == decode_beacon(keys, unhex(out["beacon"]))
        case "provisioning_service_data":
            data = provisioning_service_data(
                unhex(given["device_uuid"]), unhex(given["oob_information"])
            )
            assert out["ad"] == ad_service_data(0x1827, data).hex()
        case "proxy_network_id":
            keys = ring(given["net_key"])
            data = network_id_service_data(keys.subnets[0].current)
            assert out["ad"] == ad_service_data(0x1828, data).hex()
            assert read_proxy_service_data(keys, data).net_index == 0
        case "proxy_node_identity":
            keys = ring(given["net_key"])
            address, random = int(given["address"], 16), unhex(given["random"])
            key = keys.subnets[0].current
            assert out["hash"] == identity_hash(key, random, address).hex()
            data = node_identity_service_data(key, random, address)
            assert out["ad"] == ad_service_data(0x1828, data).hex()
            assert read_proxy_service_data(keys, data, [7, address]).unicast == address
        case other:
            pytest.fail(f"no test for {other}")


def test_the_proxy_configuration_sample_is_the_published_one():
    (case,) = vectors("proxy_configuration")
    given, out = case["in"], case["out"]
    pdu = NetworkPdu(
        True,
        0,
        int(given["seq"], 16),
        int(given["src"], 16),
        0,
        unhex(given["transport_pdu"]),
        int(given["iv_index"], 16),
    )
    keys = ring(given["net_key"])
    sealed = encode_network(keys.subnets[0].current.flooding, pdu, proxy=True)
    assert out["proxy_pdu"] == "02" + sealed.hex()
    assert pdu == decode_network(keys, pdu.iv_index, sealed, proxy=True)
    header = b"\x80" + pdu.seq.to_bytes(3, "big") + pdu.src.to_bytes(2, "big")
    assert out["nonce"] == toolbox.proxy_nonce(header, pdu.iv_index).hex()


ACCESS = [case for case in vectors("messages") if case["access"]]


def upper_key(case):
    return (dev_key if case["key_type"] == "dev" else app_key)(unhex(case["key"]))


def envelope(case):
    numbers = (int(case[name], 16) for name in ("seq_auth", "src", "dst", "iv_index"))
    return Envelope(*numbers, bool(case["szmic"]))


@pytest.mark.parametrize("case", ACCESS, ids=by_id)
def test_each_access_message_is_sealed_and_cut_as_published(case):
    key, about = upper_key(case), envelope(case)
    label = None if case["label_uuid"] is None else unhex(case["label_uuid"])
    assert case["upper_nonce"] == about.nonce(device=key.device).hex()
    upper = seal_access(key, unhex(case["access"]), about, label)
    assert case["upper_transport_pdu"] == upper.hex()
    if len(case["pdus"]) == 1:
        made = [Access(not key.device, key.aid, upper)]
    else:
        made = split(upper, ctl=False, first=key.aid, szmic=about.szmic, seq_auth=about.seq)
    assert [each["lower_transport_pdu"] for each in case["pdus"]] == [
        each.encode().hex() for each in made
    ]
    assert made == [parse_lower(False, each.encode()) for each in made]


@pytest.mark.parametrize("case", ACCESS, ids=by_id)
def test_a_stack_reads_each_published_message(case):
    state = StackState(
        iv=IvRecord(0x12345678),
        keys=KeysRecord(
            (NetKeyRecord(0, unhex(case["net_key"])),),
            (AppKeyRecord(5, 0, unhex(case["key"])),) if case["key_type"] == "app" else (),
        ),
    )
    dst, src = int(case["dst"], 16), int(case["src"], 16)
    own = dst if dst < 0x8000 else 0x0100
    stack = Stack.restore(state, unicast=own, elements=1, now_s=0, replay_capacity=8)
    stack.groups.add(0xC105)
    if case["key_type"] == "dev":
        stack.device_keys[src] = upper_key(case)
    if case["label_uuid"]:
        wrong = bytes(16)  # several labels may share an address
        stack.labels[dst] = [wrong, unhex(case["label_uuid"])]
    for each in case["pdus"]:
        stack.receive_network(unhex(each["network_pdu"]), 0.0)
    (message,) = stack.events
    assert unhex(case["access"]) == encode_opcode(message.opcode) + message.parameters
    assert (src, dst) == (message.src, message.dst)
    assert (None if case["key_type"] == "dev" else 5) == message.app_index
    assert int(case["seq_auth"], 16) == message.seq


def test_the_published_virtual_address_is_that_of_its_label():
    case = next(case for case in vectors("messages") if case["label_uuid"])
    assert int(case["dst"], 16) == toolbox.virtual_address(unhex(case["label_uuid"]))


def test_friend_messages_are_read():
    found = {}
    for case in vectors("messages"):
        if not case["ctl"]:
            continue
        lower = parse_lower(True, unhex(case["pdus"][0]["lower_transport_pdu"]))
        if isinstance(lower, Control):
            found[case["id"]] = parse_control(lower.opcode, lower.parameters)
        else:
            found[case["id"]] = lower
    assert found["8.3.1"].receive_delay_ms == 0x50
    assert found["8.3.1"].poll_timeout_ms == 0x057E40 * 100
    assert found["8.3.4"] == FriendPoll(0)
    assert found["8.3.10"] == FriendPoll(1)
    assert found["8.3.7"] == Ack(True, 0x9AB, 2)
