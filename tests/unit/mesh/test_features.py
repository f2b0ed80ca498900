"""What nodes and gateway do besides the everyday: heartbeats, OOB, several proxies, limits."""

from dataclasses import replace

import pytest

from dunes.mesh.control import Heartbeat
from dunes.mesh.ivindex import HOUR_S
from dunes.mesh.links import AIR, LinkRefused
from dunes.mesh.manager import ProxyReady, Received
from dunes.mesh.models import config_keys, config_models, config_node, generic, health, sensor
from dunes.mesh.models.health_server import AttentionAsked
from dunes.mesh.models.server import Raw
from dunes.mesh.outbox import Message, Sent
from dunes.mesh.outgoing import Fate
from dunes.mesh.provisioning.events import Provisioned, Show, TypeIn
from dunes.mesh.provisioning.oob import Oob
from dunes.mesh.provisioning.pdus import Capabilities
from dunes.mesh.provisionings import Invitation, NodeProvisioned, ProvisioningSaid
from dunes.mesh.requests import Unanswered
from dunes.mesh.serving import ModelEvent
from dunes.mesh.stack import ControlReceived
from dunes.mesh.status import Status
from dunes.mesh.wire import ModelId


def test_heartbeats_tell_hops_and_features(pair):
    far = pair.nodes[1].core.unicast
    say = config_node.HeartbeatPublicationSet(1, 3, 2, 5, 0, 0)
    assert Status.SUCCESS == pair.ask(far, say).status
    pair.run(30.0)
    beats = [event for event in pair.gateway.of(ControlReceived) if event.src == far]
    assert [Heartbeat(5, 2)] * 4 == [beat.message for beat in beats]
    assert {2} == {beat.message.hops(beat.ttl) for beat in beats}


def test_a_node_counts_the_heartbeats_of_another(pair):
    one, other = (side.core.unicast for side in pair.nodes)
    listen = config_node.HeartbeatSubscriptionSet(one, other, 5)
    assert Status.SUCCESS == pair.ask(other, listen).status
    assert (
        Status.SUCCESS
        == pair.ask(one, config_node.HeartbeatPublicationSet(other, 2, 1, 5, 0, 0)).status
    )
    pair.run(5.0)
    heard = pair.ask(other, config_node.HeartbeatSubscriptionGet())
    assert (one, 2, 1, 1) == (heard.source, heard.count_log, heard.hops_min, heard.hops_max)


@pytest.mark.parametrize(
    ("capabilities", "oob", "shows"),
    [
        ({"output_size": 4, "output_actions": 8}, Oob(output=True), "device"),
        ({"input_size": 4, "input_actions": 4}, Oob(input=True), "gateway"),
    ],
)
def test_an_operator_carries_the_value(world, capabilities, oob, shows):
    side = world.add(capabilities=Capabilities(**capabilities))
    link = world.connect(side)
    invitation = Invitation(side.core.description.uuid, oob)
    world.manager.open_provisioning(link, 20, invitation, world.now_s)
    world.settle()
    world.run(100.0)  # people take their time
    said = [event.event for event in world.gateway.of(ProvisioningSaid)]
    events = side.of(Show | TypeIn) + [event for event in said if isinstance(event, Show | TypeIn)]
    (shown,) = [event for event in events if isinstance(event, Show)]
    assert [TypeIn("numeric", 4, False)] == [each for each in events if isinstance(each, TypeIn)]
    if shows == "device":
        world.manager.provide(link, shown.value, world.now_s)
    else:
        side.core.provide(link, shown.value, world.now_s)
    world.settle()
    assert world.gateway.of(NodeProvisioned)
    assert side.of(Provisioned)


def test_four_devices_are_provisioned_at_once(world):
    sides = [world.add() for _ in range(4)]
    for side in sides:
        link = world.connect(side)
        world.manager.open_provisioning(
            link, 20, Invitation(side.core.description.uuid), world.now_s
        )
    world.settle()
    found = sorted(event.node.unicast for event in world.gateway.of(NodeProvisioned))
    assert [9, 11, 13, 15] == found
    assert [9, 11, 13, 15] == [node.unicast for node in world.gateway.state.nodes]


def test_a_node_is_spoken_to_by_its_own_link(pair):
    far = pair.nodes[1]
    link = pair.proxy(far, node=far.core.unicast)
    pair.run(1.0)
    assert link in [ready.link for ready in pair.gateway.of(ProxyReady)]
    pair.log.clear()
    pair.ask(far.core.unicast, config_node.TtlGet())
    used = {out.link for _, to, out in pair.log if to == "node"}
    assert {link} == used


def test_messages_wait_while_no_proxy_is_there(pair):
    for link in list(pair.links):
        pair.disconnect(link)
    far = pair.nodes[1].core.unicast
    number = pair.manager.request(far, config_node.TtlGet())
    pair.run(60.0)
    assert [] == pair.gateway.of(Unanswered)
    pair.proxy(pair.nodes[1], node=far)
    pair.run(2.0)
    assert [number] == [event.id for event in pair.gateway.events if hasattr(event, "answer")]


def test_a_proxy_that_sends_no_beacon_is_used_all_the_same(pair):
    pair.nodes[1].core.config.config = replace(pair.nodes[1].core.config.config, beacon=0)
    pair.drop = lambda to, _, data: to == "gateway" and data[0] & 0x3F == 1
    link = pair.proxy(pair.nodes[1], node=pair.nodes[1].core.unicast)
    pair.run(5.0)
    assert link in [ready.link for ready in pair.gateway.of(ProxyReady)]


def test_a_forged_beacon_ends_the_link(pair):
    link = next(iter(pair.links))
    good = next(out.data for _, to, out in pair.log if to == "gateway" and out.data[0] & 0x3F == 1)
    last = next(out.data for _, to, out in pair.log if to == "gateway" and out.data[0] == 0xC1)
    pair.manager.receive_pdu(link, good, pair.now_s)
    pair.manager.receive_pdu(link, last[:-1] + bytes([last[-1] ^ 1]), pair.now_s)
    pair.gateway.serve(pair.now_s)
    (refused,) = pair.gateway.of(LinkRefused)
    assert (link, True) == (refused.link, "wrong tag" in refused.reason)
    assert pair.manager.stack.outbox.offline


def test_faults_are_reported_and_cleared(pair):
    side = pair.nodes[1]
    far, server = side.core.unicast, side.server("HealthServer")
    server.set_faults([0x01, 0x07])
    company = server.company
    found = pair.ask(far, health.FaultGet(company), app_index=0)
    assert ["battery low", "power supply interrupted"] == [
        health.fault_name(code) for code in found.faults
    ]
    server.set_faults([])
    assert b"" == pair.ask(far, health.FaultClear(company), app_index=0).faults
    assert 30 == pair.ask(far, health.AttentionSet(30), app_index=0).left_s
    assert AttentionAsked(30) in [event.event for event in side.of(ModelEvent)]
    assert health.PeriodStatus(4) == pair.ask(far, health.PeriodSet(4), app_index=0)


def test_a_second_subnet_lives_beside_the_first(pair):
    far, other_key = pair.nodes[1].core.unicast, bytes(range(32, 48))
    app = bytes(range(48, 64))
    assert Status.SUCCESS == pair.ask(far, config_keys.NetKeyAdd(5, other_key)).status
    assert Status.SUCCESS == pair.ask(far, config_keys.AppKeyAdd((5, 3), app)).status
    bind = config_models.ModelAppBind(far, 3, ModelId(0x1000))
    assert Status.SUCCESS == pair.ask(far, bind).status
    keys = pair.manager.stack.keys
    assert Status.SUCCESS == keys.add_net(5, other_key)
    assert Status.SUCCESS == keys.add_app(5, 3, app)
    pair.manager.stack.keys_changed()
    pair.proxy(pair.nodes[1], node=far)
    pair.run(1.0)
    assert generic.OnOffStatus(0) == pair.ask(far, generic.OnOffGet(), app_index=3)
    assert (0, 5) == pair.ask(far, config_keys.NetKeyGet()).net_indexes
    assert Status.SUCCESS == pair.ask(far, config_keys.NetKeyDelete(5)).status
    assert () == pair.ask(far, config_keys.AppKeyGet(0)).app_indexes[1:]
    assert (0,) == pair.nodes[1].core.config.config.of(0, ModelId(0x1000)).app_indexes


def test_the_longest_message_passes_in_32_segments(pair):
    far = pair.nodes[1].core.unicast
    payload = b"\x52" + bytes(379)
    handle = pair.manager.stack.send(Message(far, payload, 0))
    pair.run(20.0)
    assert Fate.DELIVERED in [sent.fate for sent in pair.gateway.of(Sent) if sent.handle == handle]


def test_a_group_gets_segmented_messages_too(pair):
    pair.manager.stack.send(Message(0xC001, b"\x82\x03\x01\x09" + bytes(0), 0, segmented=True))
    pair.run(3.0)
    for side in pair.nodes:
        assert 1 == side.server("OnOffServer").state(pair.now_s)


def test_a_node_begins_an_iv_update_before_its_numbers_end(pair):
    side = pair.nodes[1]
    sequence = side.core.stack.sequence
    sequence.next = sequence.limit = sequence.asked = 0x800000
    pair.run(1.0)
    server = side.server("SensorServer")
    side.core.publish(0, server, server.publication(pair.now_s), pair.now_s)
    pair.run(15.0)
    assert (1, True) == (side.core.stack.iv.index, side.core.stack.iv.updating)
    assert (1, True) == (pair.manager.stack.iv.index, pair.manager.stack.iv.updating)
    pair.now_s += 97 * HOUR_S
    pair.run(1.0)
    assert pair.manager.stack.end_iv_update(pair.now_s)
    pair.run(15.0)
    assert (1, False) == (side.core.stack.iv.index, side.core.stack.iv.updating)
    assert side.core.stack.sequence.next < 1000


def test_a_full_replay_list_drops_new_sources_and_says_so(pair):
    far = pair.nodes[1]
    far.core.stack.replay.capacity = len(far.core.stack.replay.last)
    near = pair.nodes[0]
    server = near.server("SensorServer")
    add = config_models.SubscriptionAdd(far.core.unicast, 0xC001, ModelId(0x1002))
    assert Status.SUCCESS == pair.ask(far.core.unicast, add).status
    near.core.publish(0, server, server.publication(pair.now_s), pair.now_s)
    pair.run(1.0)
    assert far.core.stack.dropped["mesh-replay-full"]


def test_ttl_0_is_answered_with_ttl_0_and_not_relayed(pair):
    near = pair.nodes[0].core.unicast
    assert pair.ask(near, config_node.TtlGet(), ttl=0) is not None
    assert pair.ask(pair.nodes[1].core.unicast, config_node.TtlGet(), ttl=0, tries=1) is None


def test_an_unknown_model_message_is_shown_as_it_came(pair):
    side = pair.nodes[1]
    server = side.server("SensorServer")
    side.core.publish(0, server, Raw(b"\xc5\x34\x12hello"), pair.now_s)
    pair.run(1.0)
    (received,) = pair.gateway.take(Received)
    assert (0xC53412, b"hello", None) == (
        received.access.opcode,
        received.access.parameters,
        received.message,
    )


def test_a_malformed_answer_is_counted_and_the_rest_goes_on(pair):
    side = pair.nodes[1]
    server = side.server("SensorServer")
    side.core.publish(0, server, Raw(b"\x82\x04"), pair.now_s)
    side.core.publish(0, server, sensor.SensorStatus(b""), pair.now_s)
    pair.run(1.0)
    assert 1 == len(pair.gateway.take(Received))
    assert 1 == pair.manager.dropped["mesh-pdu"]


def test_no_repr_of_a_running_core_shows_a_key(pair):
    secrets = [pair.manager.stack.keys.apps[0].current.key]
    secrets += [subnet.current.key for subnet in pair.manager.stack.keys.subnets.values()]
    secrets += [node.device_key for node in pair.manager.nodes.values()]
    cores = [pair.manager, *(side.core for side in pair.nodes)]
    shown = "".join(
        repr(each)
        for core in cores
        for each in (core, core.stack, core.stack.keys, core.stack.outbox, core.stack.events)
    )
    shown += repr(pair.gateway.state) + "".join(repr(side.state) for side in pair.nodes)
    for secret in secrets:
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_an_unprovisioned_device_says_so_on_the_air(world):
    side = world.add(oob_information=0x0020)
    side.core.handle_timer(0.0)
    (out,) = side.core.pdus_to_send(0.0)
    assert (AIR, b"\x2b\x00" + side.core.description.uuid + b"\x00\x20") == (out.link, out.data)


def test_a_gateway_may_begin_and_end_an_iv_update(pair):
    assert pair.manager.stack.begin_iv_update(pair.now_s)
    pair.run(15.0)
    states = [(side.core.stack.iv.index, side.core.stack.iv.updating) for side in pair.nodes]
    assert [(1, True)] * 2 == states
    pair.now_s += 97 * HOUR_S
    pair.run(1.0)
    assert pair.manager.stack.end_iv_update(pair.now_s)
    pair.run(15.0)
    states = [(side.core.stack.iv.index, side.core.stack.iv.updating) for side in pair.nodes]
    assert [(1, False)] * 2 == states
    far = pair.nodes[1].core.unicast
    assert generic.OnOffStatus(0) == pair.ask(far, generic.OnOffGet(), app_index=0)


def test_an_update_waits_for_segments_that_are_out(pair):
    stack = pair.manager.stack
    assert stack.begin_iv_update(pair.now_s)
    pair.run(15.0)
    pair.now_s += 97 * HOUR_S
    pair.run(1.0)
    far = pair.nodes[1].core.unicast
    handle = stack.send(Message(far, b"\x52" + bytes(100), 0))
    pair.step()
    assert not stack.end_iv_update(pair.now_s)
    pair.run(10.0)
    assert not stack.iv.updating
    assert [Fate.DELIVERED] == [
        sent.fate for sent in pair.gateway.of(Sent) if sent.handle == handle
    ]


def test_an_alert_of_a_device_without_a_network_does_not_spin(world):
    side = world.add()
    side.server("HabitatServer").report(4, 18.0, 0.0, alert=True)
    world.run(30.0)
    assert world.now_s == 30.0


def test_who_provisions_second_is_refused(world):
    side = world.add()
    first, second = world.connect(side), world.connect(side)
    for link in (first, second):
        world.manager.open_provisioning(
            link, 20, Invitation(side.core.description.uuid), world.now_s
        )
        world.settle()
    assert 9 == side.core.unicast
    assert [second] == [refused.link for refused in side.of(LinkRefused)]
    assert [9] == [made.node.unicast for made in world.gateway.of(NodeProvisioned)]
