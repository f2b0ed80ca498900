"""What the air spares its nodes is only what they would have dropped."""

from random import Random

import pytest

from dunes.mesh.keys import AppKeyRecord
from dunes.mesh.links import AD_MESH_MESSAGE, AIR
from dunes.mesh.models import generic
from dunes.mesh.models.generic_server import OnOffServer
from dunes.mesh.models.node_config import ON, ModelConfig, NodeConfig
from dunes.mesh.node import Node
from dunes.mesh.nodestate import Description, NodeState, granted
from dunes.mesh.outbox import Message
from dunes.mesh.provisioning.crypto import Grant
from dunes.mesh.state import KeysRecord, Store
from dunes.sim.air.ear import HEARD_MAX, KEPT_MAX, Ear

NET, OTHER_NET, APP = bytes(16), bytes([1]) * 16, bytes([2]) * 16


def node(unicast, *, net=NET, config=None):
    config = config or NodeConfig(models=(ModelConfig(0, OnOffServer.model, (0,)),))
    state = granted(Grant(net, 0, False, False, 0, unicast), bytes(16), config)
    keys = KeysRecord(state.stack.keys.nets, (AppKeyRecord(0, 0, APP),))
    stack = type(state.stack)(state.stack.seq, state.stack.iv, keys)
    state = NodeState(state.identity, stack, config)
    description = Description(bytes([unicast]) * 16, [[OnOffServer()]])
    made = Node.start(description, Random(unicast), now_s=0.0, state=state)
    serve(made)
    return made


def serve(each, now_s=0.0):
    out = []
    for _ in range(3):
        while (event := each.next_event()) is not None:
            if isinstance(event, Store):
                each.stored(event.ticket, now_s)
        out += each.pdus_to_send(now_s)
    return [pdu.data for pdu in out if pdu.link == AIR and pdu.data[0] == AD_MESH_MESSAGE]


def say(sender, dst, number=1):
    """Give the network PDU of a command, sealed."""
    payload = generic.OnOffSet(1, number).encode()
    sender.stack.send(Message(dst, payload, 0, src=sender.unicast))
    (data,) = serve(sender)
    return data[1:]


def test_a_node_is_told_of_what_is_for_it_and_not_of_the_rest():
    ear, sender, target, other = Ear(), node(1), node(2), node(3)
    data = say(sender, 2)
    assert ear.concerns(target, data)
    assert not ear.concerns(other, data)
    assert not ear.concerns(sender, data)


def test_a_relay_is_told_of_everything_once():
    ear, sender = Ear(), node(1)
    relay = node(4, config=NodeConfig(relay=ON))
    data = say(sender, 2)
    assert ear.concerns(relay, data)
    relay.receive_pdu(AIR, bytes([AD_MESH_MESSAGE]) + data, 0.0)
    (passed_on,) = serve(relay)
    assert not ear.concerns(relay, data)
    assert passed_on[1:] != data
    assert not ear.concerns(relay, passed_on[1:])


def test_a_proxy_with_a_client_is_told_of_everything():
    ear, sender, proxy = Ear(), node(1), node(5)
    proxy.connected(1, 20, 0.0)
    assert ear.concerns(proxy, say(sender, 0xC000))


def test_another_network_s_nodes_are_not_told():
    ear, sender = Ear(), node(1)
    assert not ear.concerns(node(2, net=OTHER_NET), say(sender, 2))


def test_a_message_is_the_same_one_whoever_passes_it_on():
    ear, sender = Ear(), node(1)
    relay = node(4, config=NodeConfig(relay=ON))
    data = say(sender, 2)
    heard = ear.heard(sender, data)
    heard.add("somebody")
    relay.receive_pdu(AIR, bytes([AD_MESH_MESSAGE]) + data, 0.0)
    (passed_on,) = serve(relay)
    assert {"somebody"} == ear.heard(relay, passed_on[1:])
    assert set() == ear.heard(sender, say(sender, 2, 2))


def test_in_a_key_refresh_a_node_finds_out_by_itself():
    ear, sender, target = Ear(), node(1), node(2)
    other_data = say(sender, 3)
    target.stack.keys.update_net(0, next(same_nid(sender)))
    assert ear.concerns(target, other_data)


def same_nid(sender):
    """Find NetKeys whose NID is that of the sender's."""
    from dunes.mesh.keys import NetKey

    wanted = next(iter(sender.stack.keys.subnets.values())).current.flooding.nid
    for number in range(1, 100_000):
        key = number.to_bytes(16, "big")
        if NetKey(key).flooding.nid == wanted:
            yield key


@pytest.mark.parametrize("data", [b"", b"\x00", bytes(14), bytes(200)])
def test_octets_that_are_no_pdu_concern_nobody(data):
    assert not Ear().concerns(node(1), data)


def test_what_is_remembered_is_bounded():
    ear, sender = Ear(), node(1)
    for number in range(KEPT_MAX + 50):
        ear.concerns(
            sender,
            bytes([sender.stack.keys.subnets[0].current.flooding.nid])
            + number.to_bytes(13, "big"),
        )
    assert KEPT_MAX == len(ear._found)
    for number in range(HEARD_MAX + 50):
        ear.heard(sender, say(sender, 2, number % 256))
    assert HEARD_MAX == len(ear._heard)
