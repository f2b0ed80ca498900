"""A crash at any point sends no old SEQ and forgets nothing that a peer was told."""

from random import Random

import pytest

from dunes.mesh.beacon import NetworkState, encode_secure
from dunes.mesh.keyring import KeyRing
from dunes.mesh.keys import NetKeyRecord, dev_key
from dunes.mesh.links import AIR
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import KnownNode, ManagerState, Progress
from dunes.mesh.models import config_keys, config_node, generic
from dunes.mesh.network import decode_network
from dunes.mesh.node import Node
from dunes.mesh.nodestate import NodeState
from dunes.mesh.outbox import Message
from dunes.mesh.provisioning.pdus import PduType
from dunes.mesh.provisionings import Invitation
from dunes.mesh.sar import MessageType
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.stack import Stack
from dunes.mesh.state import KeysRecord, StackState, Store

NET = bytes(range(16))
FAR = 0x0099


class Host:
    """A stack whose host crashes; its disk survives."""

    def __init__(self, dice):
        self.dice = dice
        self.disk = StackState(keys=KeysRecord((NetKeyRecord(0, NET),), ()))
        self.pending = []
        self.now_s = 0.0
        self.start()

    def start(self):
        self.pending.clear()
        self.stack = Stack.restore(
            self.disk, unicast=1, elements=1, now_s=self.now_s, replay_capacity=8, block=7
        )
        self.stack.device_keys[FAR] = dev_key(NET)

    def serve(self):
        store = self.stack.journal.take()
        if store is not None:
            self.pending.append(store)

    def write(self):
        if self.pending:
            store = self.pending.pop(0)
            for change in store.changes:
                self.disk = self.disk.updated(change)
            if self.dice.random() < 0.8:  # else: written, and crashed before anybody knew
                self.stack.stored(store.ticket)
            else:
                self.start()

    def beacon(self):
        iv = self.stack.iv
        index = iv.index + self.dice.randrange(0, 3)
        state = NetworkState(index, refresh=False, update=self.dice.random() < 0.5)
        self.stack.receive_beacon(
            encode_secure(self.stack.keys.subnets[0].current, state), self.now_s
        )


@pytest.mark.parametrize("seed", range(25))
def test_no_sequence_number_is_sent_twice(seed):
    dice = Random(seed)
    host, keys = Host(dice), KeyRing.restore([NetKeyRecord(0, NET)], [])
    seen, highest = set(), (0, -1)
    for _ in range(600):
        host.now_s += dice.choice(
            [0.01, 0.3, 30.0, 200 * 3600.0] if dice.random() < 0.1 else [0.01]
        )
        match dice.randrange(7):
            case 0 | 1:
                size = dice.choice([3, 40])
                host.stack.send(Message(FAR, bytes(size), None))
            case 2:
                host.serve()
            case 3 | 4:
                host.serve()
                host.write()
            case 5 if dice.random() < 0.1:
                host.start()
            case 6 if dice.random() < 0.2:
                host.beacon()
        for sealed in host.stack.pdus_to_send(host.now_s):
            pdu = next(
                pdu
                for iv in (host.stack.iv.index,)
                for pdu in [decode_network(keys, iv, sealed.data)]
            )
            assert (pdu.iv_index, pdu.seq) not in seen
            seen.add((pdu.iv_index, pdu.seq))
            assert (pdu.iv_index, pdu.seq) > highest
            highest = pdu.iv_index, pdu.seq
        host.stack.handle_timer(host.now_s)
    assert len(seen) > 50


def test_a_restart_goes_on_behind_the_stored_block(pair):
    used = pair.manager.stack.sequence.next
    limit = pair.gateway.state.stack.seq.limit
    assert used <= limit
    again = Manager.start(pair.gateway.state, Random(9), now_s=0.0)
    assert limit == again.stack.sequence.next
    assert [9, 11] == sorted(again.nodes)
    assert pair.manager.stack.replay.last == again.stack.replay.last


def test_a_gateway_that_restarts_is_understood_by_its_nodes(pair):
    pair.gateway.core = Manager.start(pair.gateway.state, Random(9), now_s=pair.now_s, block=50)
    pair.links.clear()
    pair.proxy(pair.nodes[0], node=pair.nodes[0].core.unicast)
    pair.run(1.0)
    far = pair.nodes[1].core.unicast
    assert generic.OnOffStatus(0) == pair.ask(far, generic.OnOffGet(), app_index=0)


def test_a_node_that_restarts_remembers_all_it_was_told(pair):
    side = pair.nodes[1]
    before = side.core.config.config
    side.core = Node.start(
        side.core.description, Random(5), now_s=pair.now_s, state=side.state, block=50
    )
    assert before == side.core.config.config
    assert generic.OnOffStatus(0) == pair.ask(side.core.unicast, generic.OnOffGet(), app_index=0)


def test_a_node_says_nothing_before_it_is_stored(pair):
    side = pair.nodes[1]
    side.store = False
    key = bytes(range(16, 32))
    add = config_keys.AppKeyAdd((0, 1), key)
    assert pair.ask(side.core.unicast, add, tries=1) is None
    assert key == side.state.stack.keys.apps[1].key, "it was asked to store it"
    side.store = True
    side.core.stored(10**6, pair.now_s)
    pair.run(5.0)
    assert pair.ask(side.core.unicast, config_node.TtlGet()) is not None


def test_a_stored_block_of_an_older_iv_index_does_not_count(world):
    state = world.gateway.state
    assert isinstance(state, ManagerState)
    stack = state.stack.updated(SeqRecord(0, 5000))
    restored = Stack.restore(stack, unicast=1, elements=1, now_s=0.0, replay_capacity=1)
    assert 5000 == restored.sequence.next


def test_data_are_sent_after_the_device_key_is_stored_and_complete_after_the_node_stored(world):
    side = world.add()
    link = world.connect(side)
    world.gateway.store = False
    invitation = Invitation(side.core.description.uuid)
    world.manager.open_provisioning(link, 20, invitation, 0.0)
    world.settle()
    (node,) = world.gateway.state.nodes
    assert (Progress.GRANTED, 9) == (node.progress, node.unicast)
    assert isinstance(node, KnownNode)
    sent = [out.data for _, to, out in world.log if to == "node"]
    head = MessageType.PROVISIONING
    assert not any(data[0] & 0x3F == head and data[1] == PduType.DATA for data in sent)
    world.gateway.store = True
    side.store = False
    world.manager.stored(10**6, 0.0)
    world.settle()
    assert not side.core.provisioned
    assert node.device_key == side.state.identity.device_key
    side.store = True
    side.core.stored(10**6, 0.0)
    world.settle()
    assert side.core.provisioned
    assert Progress.PROVISIONED is world.gateway.state.nodes[0].progress


def test_an_erased_node_stays_erased():
    assert NodeState.updated(None, Store(1, (SeqRecord(0, 5),), before_sending=False)) is None
    assert AIR == 0


@pytest.mark.parametrize("end", ["hang up", "one PDU too many"])
def test_what_was_agreed_and_came_to_nothing_is_not_kept(world, end):
    side = world.add()
    link = world.connect(side)
    side.store = False
    world.manager.open_provisioning(link, 20, Invitation(side.core.description.uuid), 0.0)
    world.settle()
    assert side.state is not None, "it was asked to store what both agreed on"
    if end == "hang up":
        world.disconnect(link)
    else:
        side.core.receive_pdu(link, bytes([MessageType.PROVISIONING, PduType.COMPLETE]), 0.0)
    side.store = True
    side.core.stored(10**6, 0.0)
    world.settle()
    assert not side.core.provisioned
    assert side.state is None
    assert 11 == world.provision(side).unicast
    assert 11 == side.state.identity.unicast
