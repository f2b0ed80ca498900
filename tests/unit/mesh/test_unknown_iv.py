"""A gateway that has a network's keys but not its IV index: it learns, and only then speaks."""

from dataclasses import replace
from random import Random

import pytest

from dunes.errors import TryLater
from dunes.mesh.beacon import NetworkState
from dunes.mesh.ivindex import STATE_MIN_S, UNKNOWN, IvIndex, IvRecord
from dunes.mesh.manager import Manager
from dunes.mesh.models.generic import OnOffGet, OnOffStatus
from dunes.mesh.provisionings import Invitation
from dunes.mesh.sequence import SeqRecord


def newcomer(world, unicast=0x7000):
    """Put a second gateway in the place of the first: keys and nodes, nothing else."""
    state = world.manager.state(world.now_s)
    stack = replace(state.stack, iv=IvRecord(UNKNOWN), seq=SeqRecord(), replay=())
    state = replace(state, unicast=unicast, stack=stack, low=unicast + 1)
    manager = Manager.start(state, Random(9), now_s=world.now_s, block=50)
    world.gateway = type(world.gateway)(manager, state)
    return manager


@pytest.mark.parametrize("index", [0, 1, 41, 99, 0xFFFFFFFE])
def test_the_first_beacon_tells_the_index_however_high_it_is(world, index):
    world.manager.stack.iv.index = index
    world.manager.stack.outbox.restart(index)
    side = world.add()
    node = world.provision(side)
    world.proxy(side)
    world.configure(node)
    for link in [*world.links]:
        world.disconnect(link)
    manager = newcomer(world)
    world.proxy(side)
    assert index == manager.stack.iv.index
    answer = world.ask(node.unicast, OnOffGet(), app_index=0)
    assert isinstance(answer, OnOffStatus)
    assert index == world.gateway.state.stack.iv.index
    assert index == world.gateway.state.stack.seq.iv_index


def test_nothing_is_sent_or_believed_before(world):
    side = world.add()
    node = world.provision(side)
    world.proxy(side)
    world.configure(node)
    sealed = world.manager.stack
    sealed.outbox.offline = False
    world.manager.send(0xC001, OnOffGet(), app_index=0)
    (heard,) = sealed.pdus_to_send(world.now_s)
    manager = newcomer(world)
    manager.stack.outbox.offline = False
    manager.send(node.unicast, OnOffGet(), app_index=0)
    world.gateway.serve(world.now_s)
    assert [] == manager.stack.pdus_to_send(world.now_s)
    assert manager.stack.receive_network(heard.data, world.now_s) is None
    assert manager.stack.receive_proxy(heard.data) is None
    assert 2 == manager.stack.dropped["mesh-iv-unknown"]
    assert not manager.stack.begin_iv_update(world.now_s)


def test_no_device_is_let_in_before(world):
    world.provision(world.add())
    manager = newcomer(world)
    with pytest.raises(TryLater, match="IV index of this mesh is not known"):
        manager.open_provisioning(77, 20, Invitation(bytes(16)), world.now_s)


def test_what_was_learned_is_ruled_as_ever():
    iv = IvIndex.restore(IvRecord(UNKNOWN), 0.0)
    assert iv.receive(NetworkState(50, False, True, 0), 0.0, busy=False)
    assert IvRecord(50, True, STATE_MIN_S) == iv.record(0.0)
    assert not iv.receive(NetworkState(49, False, False, 0), 0.0, busy=False)
    assert not iv.receive(NetworkState(50 + 43, False, False, 0), 0.0, busy=False)
