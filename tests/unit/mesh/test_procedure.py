"""Plans, resumed after any interruption; key refreshes through all rounds."""

from dataclasses import replace
from random import Random

import pytest

from dunes.mesh.configurator import ConfigurationFailed, Configurator, Configured, StepDone
from dunes.mesh.errors import BadPdu
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import Progress
from dunes.mesh.models import config_keys, config_node, generic
from dunes.mesh.models.habitat import habitat
from dunes.mesh.procedure import Plan, Publish, judge, missing_models, steps, take_composition
from dunes.mesh.refresh import KeyRefresh, NodeHolds, Round, RoundDone
from dunes.mesh.status import Status
from dunes.mesh.wire import ModelId

ONOFF, SENSOR = ModelId(0x1000), ModelId(0x1100)
GROUP = 0xC001


def plan_of(world, **more):
    key = world.manager.stack.keys.apps[0].current.key
    return Plan(
        app_keys=((0, key),),
        binds={ONOFF: (0,), SENSOR: (0,), habitat().server: (0,)},
        subscriptions={ONOFF: (GROUP,)},
        publications={SENSOR: Publish(GROUP, period=0x42)},
        default_ttl=9,
        relay=(1, 0x0A),
        network_transmit=0x0A,
        gatt_proxy=1,
        friend=1,
        beacon=1,
        **more,
    )


class Driver:
    """Feeds the manager's events to a procedure; collects what it says."""

    def __init__(self, world, procedure):
        self.world, self.procedure = world, procedure
        self.said = []

    def run(self, seconds, until=None):
        end_s = self.world.now_s + seconds
        while self.world.now_s < end_s:
            self.world.run(0.25)
            events = list(self.world.gateway.events)
            self.world.gateway.events.clear()
            for event in events:
                self.procedure.receive(event)
            while (said := self.procedure.next_event()) is not None:
                self.said.append(said)
            if until is not None and self.of(until):
                break
        self.world.settle()  # so that the last change is stored
        return self

    def of(self, kind):
        return [event for event in self.said if isinstance(event, kind)]


@pytest.fixture
def joined(world):
    for _ in range(2):
        world.add()
    found = [world.provision(side) for side in world.nodes]
    world.proxy(world.nodes[0], node=found[0].unicast)
    world.run(1.0)
    return world


def test_a_plan_is_carried_out_step_by_step(joined):
    configurator = Configurator(joined.manager)
    driver = Driver(joined, configurator)
    unicast = joined.nodes[1].core.unicast
    configurator.begin(unicast, plan_of(joined))
    driver.run(60, until=Configured)
    (done,) = driver.of(Configured)
    assert [config_node.FriendSet(1)] == list(done.unsupported)
    (node,) = [each for each in joined.gateway.state.nodes if each.unicast == unicast]
    assert Progress.CONFIGURED is node.progress
    total = len(steps(plan_of(joined), node))
    assert (total, total) == (node.step, driver.of(StepDone)[-1].total)
    config = joined.nodes[1].core.config.config
    assert (9, 1) == (config.default_ttl, config.relay)
    assert (0,) == config.of(1, ONOFF).app_indexes, "on every element that has the model"
    assert (GROUP,) == config.of(0, ONOFF).groups
    assert generic.OnOffStatus(0) == joined.ask(unicast, generic.OnOffGet(), app_index=0)


@pytest.mark.parametrize("killed_after", [0, 1, 2, 5, 9])
def test_a_killed_run_goes_on_where_it_was(joined, killed_after):
    unicast = joined.nodes[1].core.unicast
    driver = Driver(joined, Configurator(joined.manager))
    driver.procedure.begin(unicast, plan_of(joined))
    while len(driver.of(StepDone)) < killed_after:
        driver.run(0.5)
    state = joined.gateway.state
    joined.gateway.core = Manager.start(state, Random(4), now_s=joined.now_s, block=50)
    joined.gateway.events.clear()
    joined.links.clear()
    joined.proxy(joined.nodes[0], node=joined.nodes[0].core.unicast)
    again = Driver(joined, Configurator(joined.manager))
    again.procedure.begin(unicast, plan_of(joined))
    again.run(60, until=Configured)
    assert again.of(Configured)
    before = next(node.step for node in state.nodes if node.unicast == unicast)
    assert before >= killed_after
    assert before + 1 == again.of(StepDone)[0].done


def test_a_silent_node_fails_with_its_step_and_the_others_go_on(joined):
    silent, well = (side.core.unicast for side in joined.nodes[::-1])
    driver = Driver(joined, Configurator(joined.manager))
    joined.neighbours = []
    for unicast in (silent, well):
        driver.procedure.begin(unicast, plan_of(joined))
    driver.run(90, until=ConfigurationFailed)
    (failed,) = driver.of(ConfigurationFailed)
    assert (silent, config_node.TtlSet(9)) == (failed.unicast, failed.request)
    assert "silent after 3 tries" == failed.reason
    assert [well] == [event.unicast for event in driver.of(Configured)]


def test_a_refused_step_names_its_status(joined):
    unicast = joined.nodes[0].core.unicast
    joined.nodes[0].core.stack.keys.add_app(0, 0, b"other app key...")
    driver = Driver(joined, Configurator(joined.manager))
    driver.procedure.begin(unicast, plan_of(joined))
    driver.run(60, until=ConfigurationFailed)
    (failed,) = driver.of(ConfigurationFailed)
    assert "key index already stored" == failed.reason
    assert isinstance(failed.request, config_keys.AppKeyAdd)


def test_a_composition_must_be_that_of_the_node_that_was_provisioned(joined):
    node = next(iter(joined.manager.nodes.values()))
    data = joined.nodes[0].core.description.composition().encode()
    answer = config_node.CompositionStatus(0, data)
    assert data == take_composition(node, answer)
    with pytest.raises(BadPdu):
        take_composition(replace(node, elements=3), answer)


def test_models_that_a_node_lacks_are_named(joined):
    composition = joined.nodes[0].core.description.composition()
    plan = Plan(binds={ONOFF: (0,), ModelId(0x1234): (0,)})
    assert [ModelId(0x1234)] == missing_models(plan, composition)


def test_answers_are_judged():
    assert Status.SUCCESS is judge(config_node.FriendSet(0), config_node.FriendStatus(2))
    unsupported = judge(config_node.FriendSet(1), config_node.FriendStatus(2))
    assert Status.FEATURE_NOT_SUPPORTED is unsupported
    assert Status.CANNOT_SET is judge(config_node.ProxySet(1), config_node.ProxyStatus(0))
    assert Status.CANNOT_SET is judge(config_node.TtlSet(9), config_node.TtlStatus(7))
    assert Status.UNSPECIFIED is judge(
        config_keys.NetKeyAdd(0, bytes(16)), config_keys.NetKeyStatus(99, 0)
    )


def test_a_key_refresh_reaches_every_node(pair):
    refresh = KeyRefresh(pair.manager, 0)
    driver = Driver(pair, refresh)
    new, new_app = bytes(range(16)), bytes(range(16, 32))
    refresh.begin(new, {0: new_app})
    driver.run(60, until=NodeHolds)
    assert [Round.DISTRIBUTE, Round.SWITCH, Round.REVOKE] == [
        event.round for event in driver.of(RoundDone)
    ]
    for side in [pair.gateway, *pair.nodes]:
        keys = side.state.stack.keys
        assert (new, None) == (keys.nets[0].key, keys.nets[0].new_key)
        assert (new_app, None) == (keys.apps[0].key, keys.apps[0].new_key)
    far = pair.nodes[1].core.unicast
    assert generic.OnOffStatus(0) == pair.ask(far, generic.OnOffGet(), app_index=0)


def test_a_node_that_is_left_out_of_a_refresh_is_locked_out(pair):
    lost = pair.nodes[1].core.unicast
    pair.neighbours = []
    driver = Driver(pair, KeyRefresh(pair.manager, 0))
    driver.procedure.begin(bytes(range(16)))
    while driver.procedure.round is not Round.DONE:
        driver.run(5.0)
        for event in driver.of(NodeHolds):
            assert lost == event.unicast
            driver.procedure.skip(lost)
        driver.said = driver.of(RoundDone)
    pair.neighbours = None
    assert pair.ask(lost, config_node.TtlGet(), tries=1) is None
    first = pair.nodes[0].core.unicast
    assert pair.ask(first, config_node.TtlGet()) is not None


def test_a_node_that_comes_during_a_refresh_gets_the_new_key_too(pair):
    driver = Driver(pair, KeyRefresh(pair.manager, 0))
    pair.neighbours = []  # the second node does not hear: the first round lasts
    driver.procedure.begin(bytes(range(16)))
    driver.run(3.0)
    late = pair.add()
    node = pair.provision(late)
    pair.proxy(late, node=node.unicast)
    driver.run(20.0, until=NodeHolds)
    driver.procedure.skip(pair.nodes[1].core.unicast)
    driver.run(60.0, until=NodeHolds)
    assert late.state.stack.keys.nets[0].new_key == bytes(range(16))
    driver.procedure.skip(pair.nodes[1].core.unicast)
    driver.run(60.0)
    assert pair.ask(node.unicast, config_node.TtlGet()) is not None


def test_an_empty_mesh_refreshes_at_once(world):
    refresh = KeyRefresh(world.manager, 0)
    refresh.begin(bytes(range(16)))
    assert Round.DONE is refresh.round
    assert bytes(range(16)) == world.manager.stack.keys.subnets[0].current.key


def test_the_exported_state_is_the_stored_one(pair):
    exported = pair.manager.state(pair.now_s)
    kept = pair.gateway.state
    assert kept.nodes == exported.nodes
    assert kept.stack.keys == exported.stack.keys
    assert set(kept.stack.replay) == set(exported.stack.replay)
    assert kept.stack.seq == exported.stack.seq
    again = Manager.start(exported, Random(1), now_s=0.0)
    assert exported.nodes == again.state(0.0).nodes
