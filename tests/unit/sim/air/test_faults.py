"""Ordered faults, each seen by a gateway that does everything right."""

import asyncio
from random import Random

import pytest
from idle_time import run

from dunes.errors import UsageError
from dunes.mesh.models import config_node
from dunes.mesh.provisioning.events import ProvisioningFailed
from dunes.mesh.provisioning.oob import Oob
from dunes.mesh.provisioning.pdus import Reason
from dunes.sim.air.faults import LATE_S, SEGMENTS_LOST, Fault, Faults, read_fault

NODE = "hab-sensor-001"


def scene(raise_fleet, open_gateway, act, nodes=1):
    async def whole():
        async with raise_fleet(nodes) as (fleet, port), open_gateway(port) as gateway:
            gateway.manage()
            await act(fleet, gateway)

    run(whole())


def test_a_dead_node_is_silent_until_it_is_cleared(raise_fleet, open_gateway):
    async def act(fleet, gateway):
        unicast = await gateway.provision(NODE)
        fleet.order(NODE, Fault.DEAD)
        with pytest.raises(TimeoutError):
            await gateway.find(NODE, timeout_s=1.5)
        assert ("dead",) == fleet.state("").nodes[NODE].faults
        fleet.clear(NODE)
        await gateway.join(NODE)
        assert await gateway.ask(unicast, config_node.CompositionGet())
        assert () == fleet.state("").nodes[NODE].faults

    scene(raise_fleet, open_gateway, act)


def test_death_in_mid_link_is_a_lost_link(raise_fleet, open_gateway):
    async def act(fleet, gateway):
        await gateway.provision(NODE)
        link = await gateway.join(NODE)
        fleet.order(NODE, Fault.DEAD)
        await asyncio.sleep(0.2)
        assert link not in gateway.links

    scene(raise_fleet, open_gateway, act)


def test_a_rebooted_node_comes_back_by_itself(raise_fleet, open_gateway, monkeypatch):
    monkeypatch.setattr("dunes.sim.air.fleet.OFF_S", 0.5)

    async def act(fleet, gateway):
        unicast = await gateway.provision(NODE)
        fleet.order(NODE, Fault.REBOOT)
        assert not fleet.nodes[NODE].powered
        await gateway.join(NODE)
        assert await gateway.ask(unicast, config_node.TtlGet())

    scene(raise_fleet, open_gateway, act)


def test_a_reset_in_mid_provisioning_leaves_a_new_device(raise_fleet, open_gateway):
    async def act(fleet, gateway):
        fleet.order(NODE, Fault.RESET_PROVISIONING)
        assert isinstance(await gateway.provision(NODE), ProvisioningFailed)
        assert {} == gateway.links  # the node hung up
        assert not fleet.nodes[NODE].node.provisioned
        assert 0 < await gateway.provision(NODE)  # it happens once

    scene(raise_fleet, open_gateway, act)


def test_a_node_that_could_not_say_complete_is_provisioned_all_the_same(raise_fleet, open_gateway):
    async def act(fleet, gateway):
        fleet.order(NODE, Fault.LOSE_COMPLETE)
        assert isinstance(await gateway.provision(NODE), ProvisioningFailed)
        assert fleet.nodes[NODE].node.provisioned
        (seen,) = await gateway.find(NODE, service=0x1828)
        assert 1 == seen.data[0]  # its identity tells the gateway

    scene(raise_fleet, open_gateway, act)


def test_with_the_right_label_static_oob_works_and_with_the_wrong_one_it_fails(
    raise_fleet, open_gateway
):
    async def act(fleet, gateway):
        oob = Oob(static=bytes.fromhex(fleet.state("").nodes[NODE].label))
        fleet.order(NODE, Fault.WRONG_OOB)
        failed = await gateway.provision(NODE, oob)
        assert isinstance(failed, ProvisioningFailed)
        assert Reason.CONFIRMATION_FAILED == failed.reason
        fleet.clear(NODE)
        assert 0 < await gateway.provision(NODE, oob)

    scene(raise_fleet, open_gateway, act)


def test_a_wrong_confirmation_is_noticed(raise_fleet, open_gateway):
    async def act(fleet, gateway):
        fleet.order(NODE, Fault.WRONG_CONFIRMATION)
        failed = await gateway.provision(NODE)
        assert isinstance(failed, ProvisioningFailed)
        assert Reason.CONFIRMATION_FAILED == failed.reason
        assert not failed.by_peer
        assert not fleet.nodes[NODE].node.provisioned

    scene(raise_fleet, open_gateway, act)


def test_lost_segments_are_sent_again(raise_fleet, open_gateway):
    async def act(fleet, gateway):
        unicast = await gateway.provision(NODE)
        await gateway.join(NODE)
        fleet.order(NODE, Fault.DROP_SEGMENTS)
        lost = []
        loses = Faults._loses

        def counted(self, node, link, data):
            gone = loses(self, node, link, data)
            lost.append(gone)
            return gone

        Faults._loses = counted
        try:
            composition = await gateway.configure(unicast)
        finally:
            Faults._loses = loses
        assert 2 == len(composition.elements)
        assert any(lost)

    scene(raise_fleet, open_gateway, act)


def test_a_late_node_answers_late(raise_fleet, open_gateway):
    async def act(fleet, gateway):
        unicast = await gateway.provision(NODE)
        await gateway.join(NODE)
        await gateway.ask(unicast, config_node.TtlGet())
        fleet.order(NODE, Fault.LATE)
        begin_s = gateway.now_s()
        await gateway.ask(unicast, config_node.TtlGet())
        assert LATE_S <= gateway.now_s() - begin_s < LATE_S + 1

    scene(raise_fleet, open_gateway, act)


def test_a_replayed_pdu_comes_and_is_not_believed(raise_fleet, open_gateway):
    async def act(fleet, gateway):
        unicast = await gateway.provision(NODE)
        link = await gateway.join(NODE)
        fleet.order(NODE, Fault.REPLAY)
        for _ in range(4):
            await gateway.ask(unicast, config_node.TtlGet())
        gateway.events.clear()
        await asyncio.sleep(0.8)
        values = gateway.values(link)
        assert len(values) > len(set(values))
        assert [] == gateway.events

    scene(raise_fleet, open_gateway, act)


def test_the_same_seed_loses_the_same_segments(monkeypatch):
    monkeypatch.setattr("dunes.sim.air.faults._is_segment", lambda *_: True)

    def losses():
        faults = Faults(Random("1/x/faults"), {Fault.DROP_SEGMENTS})
        return [faults.receive(None, 1, bytes([0, n % 256])) for n in range(3000)]

    assert losses() == losses()
    assert SEGMENTS_LOST == pytest.approx(losses().count(False) / 3000, abs=0.03)


def test_names_that_are_none_are_refused(raise_fleet, open_gateway):
    with pytest.raises(UsageError, match="no fault 'flood'; there is dead, reboot"):
        read_fault("flood")

    async def act(fleet, gateway):
        for order in (lambda: fleet.order("hab-sensor-9", Fault.LATE), lambda: fleet.clear("x")):
            with pytest.raises(UsageError, match="no node"):
                order()

    scene(raise_fleet, open_gateway, act)
