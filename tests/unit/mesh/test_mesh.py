"""Two nodes and more, and a gateway, from first light to reset."""

from dataclasses import replace

from dunes.mesh.access import AccessMessage
from dunes.mesh.ivindex import HOUR_S
from dunes.mesh.manager import NetworkChanged, ProxyReady, Received
from dunes.mesh.managerstate import Progress
from dunes.mesh.models import config_keys, config_models, config_node, generic, sensor
from dunes.mesh.models.composition import Composition
from dunes.mesh.models.config import publish_octet
from dunes.mesh.models.generic_server import ActuatorSet
from dunes.mesh.models.habitat import habitat
from dunes.mesh.models.habitat_server import HabitatMessage
from dunes.mesh.models.server import Raw
from dunes.mesh.node import NodeReset
from dunes.mesh.provisionings import Invitation, NodeProvisioned, ProvisioningSaid
from dunes.mesh.serving import ModelEvent
from dunes.mesh.status import Status
from dunes.mesh.wire import ModelId

GROUP = 0xC001


def test_a_device_becomes_a_node_and_both_sides_store_it(world):
    side = world.add()
    assert side.core.advertising(0.0).service == 0x1827
    node = world.provision(side)
    assert (9, 2) == (node.unicast, node.elements)
    assert Progress.PROVISIONED is world.gateway.state.nodes[0].progress
    assert side.state.identity.device_key == world.gateway.state.nodes[0].device_key
    seen = world.manager.identify(side.core.advertising(world.now_s).data)
    assert 9 == seen.unicast
    later = world.manager.identify(side.core.advertising(61.0).data)
    assert (0, None) == (later.net_index, later.unicast)


def test_addresses_do_not_overlap(world):
    found = [world.provision(world.add()) for _ in range(3)]
    assert [9, 11, 13] == [node.unicast for node in found]


def test_a_proxy_is_ready_after_its_beacon_and_filter(world):
    side = world.add()
    world.provision(side)
    world.proxy(side)
    assert 1 == len(world.gateway.of(ProxyReady))


def test_composition_data_comes_in_segments(world):
    side = world.add()
    node = world.provision(side)
    world.proxy(side, node=node.unicast)
    answer = world.ask(node.unicast, config_node.CompositionGet(0))
    assert side.core.description.composition() == Composition.decode(answer.data)


def test_lost_segments_are_sent_again(pair):
    far = pair.nodes[1]
    full = []

    def drop(to, link, data):
        if to == "air" and len(data) == 30:
            full.append(data)
            return len(full) in (1, 2, 4)
        return False

    pair.drop = drop
    answer = pair.ask(far.core.unicast, config_node.CompositionGet(0), tries=1)
    assert far.core.description.composition() == Composition.decode(answer.data)
    assert len(full) >= 6


def test_a_command_reaches_an_actuator_and_its_state_is_read_back(pair):
    far = pair.nodes[1].core.unicast
    assert generic.OnOffStatus(1) == pair.ask(far, generic.OnOffSet(1, 7), app_index=0)
    assert generic.OnOffStatus(1) == pair.ask(far, generic.OnOffGet(), app_index=0)
    (event,) = pair.nodes[1].take(ModelEvent)
    assert ActuatorSet(ModelId(0x1000), 1, 1, 0.0) == event.event


def test_the_same_transaction_is_done_once(pair):
    far = pair.nodes[1].core.unicast
    for _ in range(2):
        pair.ask(far, generic.LevelDeltaSet(100, 9), app_index=0)
    assert generic.LevelStatus(100) == pair.ask(far, generic.LevelGet(), app_index=0)


def test_a_level_glides_to_its_target(pair):
    far = pair.nodes[1].core.unicast
    first = pair.ask(far, generic.LevelSet(1000, 1, transition=0x0A, delay=0), app_index=0)
    assert (0, 1000) == (first.present, first.target)
    pair.run(0.5)
    half = pair.ask(far, generic.LevelGet(), app_index=0)
    assert 300 < half.present < 900
    pair.run(1.0)
    assert generic.LevelStatus(1000) == pair.ask(far, generic.LevelGet(), app_index=0)


def test_a_group_message_reaches_all_members(pair):
    pair.manager.send(GROUP, generic.OnOffSetUnacknowledged(1, 3), app_index=0)
    pair.run(1.0)
    for side in pair.nodes:
        assert 1 == side.server("OnOffServer").state(pair.now_s)


def test_a_label_reaches_only_its_subscriber(pair):
    label = bytes(range(16))
    first = pair.nodes[0].core.unicast
    add = config_models.SubscriptionVirtualAdd(first, label, ModelId(0x1000))
    answer = pair.ask(first, add)
    assert Status.SUCCESS == answer.status
    pair.manager.send(
        answer.address, generic.OnOffSetUnacknowledged(1, 4), app_index=0, label=label
    )
    pair.run(1.0)
    states = [side.server("OnOffServer").state(pair.now_s) for side in pair.nodes]
    assert [1, 0] == states


def test_telemetry_arrives_at_the_gateway(pair):
    side = pair.nodes[1]
    server = side.server("SensorServer")
    server.set_value(0x0075, -12.5, pair.now_s)
    server.set_value(0x0076, 41.25, pair.now_s)
    assert side.core.publish(0, server, server.publication(pair.now_s), pair.now_s)
    pair.run(1.0)
    (received,) = pair.gateway.take(Received)
    values = [each.value() for each in sensor.unmarshal(received.message.values)]
    assert [(-12.5, "Cel"), (41.25, "%")] == [(v.number, v.property.unit) for v in values]
    assert side.core.unicast == received.access.src


def test_periodic_publication_follows_its_period_and_repeats(pair):
    side = pair.nodes[1]
    say = config_models.PublicationSet(
        side.core.unicast, GROUP, 0, 0xFF, 0x42, publish_octet(2, 0.1), ModelId(0x1100)
    )
    assert Status.SUCCESS == pair.ask(side.core.unicast, say).status
    pair.run(10.5)
    assert 10 == len(pair.gateway.take(Received))


def test_an_alert_is_repeated_until_it_is_acknowledged(pair):
    side = pair.nodes[1]
    server = side.server("HabitatServer")
    side.core.publish(0, server, server.report(4, 18.2, pair.now_s, alert=True), pair.now_s)
    pair.run(3.0)
    first, second = pair.gateway.take(Received)
    assert first.message == second.message
    assert isinstance(first.message, HabitatMessage)
    values = first.message.values
    assert (1, 1820) == (values["alert"], values["value"])
    ack = habitat().make("AlertAck", kind=4, sequence=values["sequence"], reserved=0)
    pair.manager.send(side.core.unicast, Raw(ack), app_index=0)
    pair.run(30.0)
    assert [] == pair.gateway.take(Received)


def test_a_clock_is_set(pair):
    side = pair.nodes[1]
    pair.manager.send(
        side.core.unicast, Raw(habitat().make("ClockSet", unix_s=1_800_000_000)), app_index=0
    )
    pair.run(1.0)
    (received,) = pair.gateway.take(Received)
    assert ("ClockStatus", {"unix_s": 1_800_000_000}) == (
        received.message.name,
        received.message.values,
    )


def test_sensors_are_described_and_cadence_is_kept(pair):
    far = pair.nodes[1].core.unicast
    answer = pair.ask(far, sensor.DescriptorGet(), app_index=0)
    found = sensor.read_descriptors(answer.descriptors)
    assert [0x0075, 0x0076] == [each.property_id for each in found]
    cadence = sensor.Cadence(2, False, b"\x64\0", b"\x64\0", 3, b"\0\0", b"\xff\x7f")
    done = pair.ask(far, sensor.CadenceSet(0x0075, cadence.encode()), app_index=0)
    assert cadence == sensor.Cadence.decode(done.cadence, 2)
    unknown = pair.ask(far, sensor.SensorGet(0x0099), app_index=0)
    assert [sensor.Marshalled(0x0099, None)] == sensor.unmarshal(unknown.values)


def test_a_replayed_pdu_is_ignored(pair):
    far = pair.nodes[1]
    pair.ask(far.core.unicast, generic.OnOffSet(1, 1), app_index=0)
    recorded = [out.data for _, to, out in pair.log if to == "air"]
    pair.ask(far.core.unicast, generic.OnOffSet(0, 2), app_index=0)
    far.core.stack._cache.clear()
    for data in recorded:
        far.core.receive_pdu(0, data, pair.now_s)
    pair.run(1.0)
    assert 0 == far.server("OnOffServer").state(pair.now_s)
    replays = far.core.stack.dropped["mesh-replay"]
    assert replays
    assert {(pair.manager.stack.unicast, "mesh-replay"): replays} == far.core.stack.suspects


def test_a_line_of_nodes_relays(world):
    for _ in range(4):
        world.add()
    found = [world.provision(side) for side in world.nodes]
    for side in world.nodes:
        side.core.config.config = replace(side.core.config.config, relay=1)
    world.neighbours = [{0, 1}, {1, 2}, {2, 3}]
    world.proxy(world.nodes[0], node=found[0].unicast)
    world.run(1.0)
    last = found[-1].unicast
    assert 7 == world.ask(last, config_node.TtlGet()).ttl
    answer = world.ask(last, config_node.CompositionGet(0))
    assert 2 == len(Composition.decode(answer.data).elements)
    assert world.ask(last, config_node.TtlGet(), ttl=3, tries=1) is None
    assert world.ask(last, config_node.TtlGet(), ttl=4, tries=1) is not None


def test_everything_works_under_loss(world):
    for _ in range(2):
        world.add()
    found = [world.provision(side) for side in world.nodes]
    world.proxy(world.nodes[0], node=found[0].unicast)
    world.run(1.0)
    world.loss = 0.5  # of each of three sends
    answers = [
        world.ask(node.unicast, config_node.CompositionGet(0), tries=8, seconds=120)
        for node in found * 3
    ]
    assert None not in answers


def test_a_key_refresh_goes_through_its_phases(pair):
    new = bytes(range(16))
    new_app = bytes(range(1, 17))
    keys = pair.manager.stack.keys
    assert Status.SUCCESS == keys.update_net(0, new)
    assert Status.SUCCESS == keys.update_app(0, 0, new_app)
    pair.manager.stack.keys_changed()
    addresses = [side.core.unicast for side in pair.nodes]
    for address in addresses:
        assert Status.SUCCESS == pair.ask(address, config_keys.NetKeyUpdate(0, new)).status
        update = config_keys.AppKeyUpdate((0, 0), new_app)
        assert Status.SUCCESS == pair.ask(address, update).status
        assert generic.OnOffStatus(0) == pair.ask(address, generic.OnOffGet(), app_index=0)
    for transition in (2, 3):
        assert keys.change_phase(0, transition)
        pair.manager.stack.keys_changed()
        for address in addresses:
            answer = pair.ask(address, config_keys.KeyRefreshSet(0, transition))
            assert (Status.SUCCESS, transition % 3) == (answer.status, answer.phase)
            assert generic.OnOffStatus(0) == pair.ask(address, generic.OnOffGet(), app_index=0)
    for side in pair.nodes:
        assert new == side.state.stack.keys.nets[0].key
        assert new_app == side.state.stack.keys.apps[0].key
        assert side.state.stack.keys.nets[0].new_key is None


def test_a_node_follows_the_phase_by_beacons(pair):
    new = bytes(range(16))
    pair.manager.stack.keys.update_net(0, new)
    for side in pair.nodes:
        pair.ask(side.core.unicast, config_keys.NetKeyUpdate(0, new))
    first = pair.nodes[0].core.unicast
    pair.manager.stack.keys.change_phase(0, 2)
    pair.ask(first, config_keys.KeyRefreshSet(0, 2))
    pair.run(12.0)
    assert 2 == pair.nodes[1].core.stack.keys.subnets[0].phase


def test_an_iv_update_is_followed_and_seq_begins_again(pair):
    first = pair.nodes[0].core.stack
    pair.run(1.0)
    assert first.begin_iv_update(pair.now_s)
    pair.run(15.0)
    gateway = pair.manager.stack
    assert [(1, True)] * 2 == [
        (each.iv.index, each.iv.updating) for each in (gateway, pair.nodes[1].core.stack)
    ]
    assert 0 == gateway.iv.transmit
    assert generic.OnOffStatus(0) == pair.ask(
        pair.nodes[1].core.unicast, generic.OnOffGet(), app_index=0
    )
    seq = gateway.sequence.next
    assert not first.end_iv_update(pair.now_s)
    pair.now_s += 97 * HOUR_S
    pair.run(1.0)
    assert first.end_iv_update(pair.now_s)
    pair.run(15.0)
    assert (1, False) == (gateway.iv.index, gateway.iv.updating)
    assert gateway.sequence.next < seq
    for side in pair.nodes:
        assert generic.OnOffStatus(0) == pair.ask(
            side.core.unicast, generic.OnOffGet(), app_index=0
        )
    assert pair.gateway.of(NetworkChanged)
    assert 1 == pair.gateway.state.stack.iv.index
    assert 1 == pair.gateway.state.stack.seq.iv_index


def test_a_gateway_that_slept_recovers_the_iv_index(pair):
    for side in pair.nodes:
        side.core.stack.iv.index = 5
        side.core.stack.outbox.restart(5)
    link = pair.proxy(pair.nodes[0], node=pair.nodes[0].core.unicast)
    pair.run(1.0)
    assert 5 == pair.manager.stack.iv.index == pair.gateway.state.stack.iv.index
    assert generic.OnOffStatus(0) == pair.ask(
        pair.nodes[1].core.unicast, generic.OnOffGet(), app_index=0
    )
    assert link in pair.links


def test_a_node_that_is_reset_can_be_provisioned_again(pair):
    side = pair.nodes[1]
    unicast = side.core.unicast
    assert config_node.NodeResetStatus() == pair.ask(unicast, config_node.NodeReset())
    pair.run(1.0)
    assert side.take(NodeReset)
    assert side.state is None
    assert not side.core.provisioned
    pair.manager.forget_node(unicast)
    again = pair.provision(side)
    assert again.unicast > unicast, "an address that was used must wait for the IV index"
    assert [9, again.unicast] == [node.unicast for node in pair.gateway.state.nodes]


def test_an_unknown_opcode_and_a_wrong_key_change_nothing(pair):
    far = pair.nodes[1]
    pair.manager.send(far.core.unicast, Raw(b"\x82\xff\x00"), app_index=0)
    pair.manager.send(far.core.unicast, Raw(b"\x80\x49"), app_index=0)
    pair.run(1.0)
    assert far.core.provisioned
    assert 2 == far.core.dropped["unknown-opcode"]


def test_configuration_mistakes_are_answered_by_their_status(pair):
    far = pair.nodes[1].core.unicast
    onoff = ModelId(0x1000)
    cases = [
        (config_models.ModelAppBind(far + 9, 0, onoff), Status.INVALID_ADDRESS),
        (config_models.ModelAppBind(far, 0, ModelId(0x1234)), Status.INVALID_MODEL),
        (config_models.ModelAppBind(far, 5, onoff), Status.INVALID_APP_KEY_INDEX),
        (config_models.ModelAppBind(far, 0, ModelId(0)), Status.CANNOT_BIND),
        (config_models.SubscriptionAdd(far, 0x0005, onoff), Status.INVALID_ADDRESS),
        (config_models.SubscriptionAdd(far, 0xFFFF, onoff), Status.INVALID_ADDRESS),
        (config_models.SubscriptionAdd(far, GROUP, ModelId(0)), Status.NOT_A_SUBSCRIBE_MODEL),
        (config_keys.AppKeyAdd((0, 0), bytes(16)), Status.KEY_INDEX_ALREADY_STORED),
        (config_keys.AppKeyAdd((3, 1), bytes(16)), Status.INVALID_NET_KEY_INDEX),
        (config_keys.AppKeyUpdate((0, 0), bytes(16)), Status.CANNOT_UPDATE),
        (config_keys.NetKeyDelete(0), Status.CANNOT_REMOVE),
        (
            config_models.PublicationSet(far, 0x8001, 0, 5, 0, 0, onoff),
            Status.INVALID_ADDRESS,
        ),
        (
            config_models.PublicationSet(far, GROUP, 7, 5, 0, 0, onoff),
            Status.INVALID_APP_KEY_INDEX,
        ),
    ]
    for message, expected in cases:
        assert expected == pair.ask(far, message).status, message


def test_every_get_of_the_configuration_is_answered(pair):
    far = pair.nodes[1].core.unicast
    onoff, vendor = ModelId(0x1000), habitat().server
    answered = [
        pair.ask(far, message)
        for message in (
            config_node.BeaconGet(),
            config_node.FriendGet(),
            config_node.ProxyGet(),
            config_node.RelayGet(),
            config_node.NetworkTransmitGet(),
            config_node.NodeIdentityGet(0),
            config_node.HeartbeatPublicationGet(),
            config_node.HeartbeatSubscriptionGet(),
            config_node.PollTimeoutGet(5),
            config_keys.NetKeyGet(),
            config_keys.AppKeyGet(0),
            config_keys.KeyRefreshGet(0),
            config_models.SigModelAppGet(far, onoff),
            config_models.VendorModelAppGet(far, vendor),
            config_models.PublicationGet(far, vendor),
            config_models.SigSubscriptionGet(far, onoff),
            config_models.VendorSubscriptionGet(far, vendor),
        )
    ]
    assert None not in answered
    assert (GROUP,) == answered[-2].addresses
    assert (0,) == answered[12].app_indexes
    assert GROUP == answered[14].address


def test_a_wrong_oob_value_ends_in_a_named_reason(world):
    from dunes.mesh.provisioning.oob import Oob
    from dunes.mesh.provisioning.pdus import Capabilities

    side = world.add(capabilities=Capabilities(oob_type=1), static_oob=b"on the label")
    link = world.connect(side)
    uuid = side.core.description.uuid
    oob = Oob(static=b"something else")
    world.manager.open_provisioning(link, 20, Invitation(uuid, oob), 0.0)
    world.settle()
    said = world.gateway.of(ProvisioningSaid)[-1].event
    assert ("CONFIRMATION_FAILED", True) == (said.reason.name, said.by_peer)
    assert not world.gateway.of(NodeProvisioned)
    assert () == world.gateway.state.nodes


def test_a_link_lost_after_the_data_leaves_a_granted_node(world):
    side = world.add()
    world.drop = lambda to, _, data: to == "gateway" and data[1:2] == b"\x08"
    assert world.provision(side) is None
    (node,) = world.gateway.state.nodes
    assert Progress.GRANTED is node.progress
    seen = world.manager.identify(side.core.advertising(world.now_s).data)
    assert node.unicast == seen.unicast
    world.drop = lambda *_: False
    world.manager.update_node(replace(node, progress=Progress.PROVISIONED))
    world.proxy(side, node=node.unicast)
    assert world.ask(node.unicast, config_node.TtlGet()).ttl == 7


def test_access_messages_are_named_tuples_with_their_origin(pair):
    side = pair.nodes[1]
    server = side.server("SensorServer")
    side.core.publish(0, server, server.publication(0.0), pair.now_s)
    pair.run(1.0)
    (received,) = pair.gateway.take(Received)
    assert isinstance(received.access, AccessMessage)
    assert (GROUP, 0, 0) == (
        received.access.dst,
        received.access.app_index,
        received.access.net_index,
    )
