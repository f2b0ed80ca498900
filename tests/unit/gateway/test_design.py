"""Profile, range, load and torgo's plan: what nodes become, and what is said with figures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.errors import DataError, UsageError
from dunes.gateway.design import Design
from dunes.gateway.names import choose_name
from dunes.gateway.nodesettings import PLANNED, UNDERWAY, differs, mark_of, narrowed, settings_of
from dunes.gateway.oobfile import read_oob, value_for
from dunes.gateway.planfile import read_plan
from dunes.gateway.profile import load_profile, model_id
from dunes.gateway.reach import Field, hop_range_m, knee_per_s
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.models.composition import Composition, Element
from dunes.mesh.models.config_models import SubscriptionDelete
from dunes.mesh.procedure import Publish, steps
from dunes.mesh.wire import ModelId
from dunes.model import NAME

PROFILE = load_profile()
KEY = bytes(range(16))
SENSOR = ModelId(0x1100)
TORGO = Path(__file__).parents[2] / "vectors/torgo"


def design(nodes=200, mode="low", period_s=None, **more):
    power = PROFILE.mode(mode, period_s=period_s)
    return Design(nodes, PROFILE, power, KEY, **more)


def node(number=1, name="", composition=None):
    octets = b"" if composition is None else composition.encode()
    return KnownNode(bytes([number]) * 16, number + 1, 1, KEY, composition=octets, name=name)


def made_of(*models, crpl=255):
    return Composition(0xFFFF, 0, 0, crpl, 3, (Element(0, tuple(models)),))


def plan_text(**changes):
    plain = {
        "schema": "torgo.plan/1",
        "name": "hab",
        "site": {"radius_m": 800.0},
        "capacity": {"knee_msg_per_s": 16.0, "telemetry_msg_per_s": 8.0},
        "stack": {"interval_us": 30000},
        "nodes": [
            {
                "id": "hab-1", "role": "relay", "ttl": 12, "network_transmissions": 3,
                "relay_transmissions": 2, "publish_period_s": 90.0, "low_power": False,
            },
            {
                "id": "suit-1", "role": "leaf", "ttl": 15, "network_transmissions": 4,
                "relay_transmissions": 0, "publish_period_s": 25.0, "low_power": True,
            },
        ],
    }  # fmt: skip
    return json.dumps(plain | changes)


def test_a_hop_carries_what_the_flat_earth_law_says():
    # 8 + 95 - 10 dB = 93 dB; 40 log10(d) - 20 log10(2*2) = 93
    assert 423 == round(hop_range_m(2.0))
    # below the breakpoint free space counts: a wave of 12.29 cm, 93 dB
    assert 437 == round(hop_range_m(20.0))


def test_range_becomes_hops_and_ttl_and_the_guides_two_sites_differ():
    near, far = Field(200, 1000), Field(50, 10_000)
    assert (4, 6) == (near.hops, near.ttl)
    assert (31, 33) == (far.hops, far.ttl)
    assert near.spacing_m < near.hop_m < far.spacing_m
    assert 127 == Field(10_000, 100_000).ttl


def test_two_thousand_messages_a_second_are_refused_with_figure_and_proposal():
    asked = design(period_s=0.1, range_m=1000.0)
    (warning,) = asked.warnings()
    assert warning.startswith("load: 2,000 messages/s asked of one flooding mesh")
    load = asked.load()
    assert 2000.0 == load.messages_per_s
    period_s = load.period_s(200)
    assert f"use --period {period_s:g}s or more" in warning
    assert [] == design(period_s=period_s, range_m=1000.0).warnings()


@given(st.integers(1, 5000), st.floats(1, 20_000), st.sampled_from(["low", "medium", "high"]))
def test_the_period_that_is_proposed_fits(nodes, range_m, mode):
    asked = design(nodes, mode, period_s=0.1, range_m=range_m)
    load = asked.load()
    if load.room_per_s * 37_800 < nodes:
        return  # more than can be configured
    again = design(nodes, mode, period_s=load.period_s(nodes), range_m=range_m)
    assert not [text for text in again.warnings() if text.startswith("load")]


def test_more_relays_in_earshot_carry_less():
    field = Field(200, 1000)
    knees = [knee_per_s(field, relays=n, transmissions=3, relayed=1) for n in (10, 50, 200)]
    assert sorted(knees, reverse=True) == knees


def test_nodes_that_stand_apart_are_said_to_with_the_number_that_it_takes():
    (warning,) = design(50, "medium", range_m=10_000.0).warnings()
    assert "50 nodes spread over 10,000 m stand about 2,507 m apart" in warning
    needed = Field(50, 10_000).nodes_needed
    assert f"at least {needed:,} nodes" in warning
    assert [] == design(needed, "low", period_s=37_800, range_m=10_000.0).warnings()


def test_who_relays_is_decided_by_the_uuid_the_same_each_time_and_about_so_many():
    thin = design(range_m=1000.0)
    nodes = [KnownNode(number.to_bytes(16, "big"), 2, 1, KEY) for number in range(2000)]
    relays = [thin.relays(each) for each in nodes]
    assert relays == [thin.relays(each) for each in nodes]
    assert abs(sum(relays) / 2000 - thin.relay_share) < 0.03
    assert 1.0 == design(20, range_m=1000.0).relay_share
    assert all(design().relays(each) for each in nodes[:20]), "without a range everybody relays"


def test_a_node_with_a_small_replay_list_is_named_where_it_hears_more_senders():
    listening = load_profile('[[models]]\nid = "1100"\npublish = "telemetry"\n'
                             '[[models]]\nid = "1102"\nsubscribe = ["telemetry"]\n')  # fmt: skip
    asked = Design(30, listening, listening.mode("low"), KEY, 500.0)
    small = node(1, composition=made_of(SENSOR, ModelId(0x1102), crpl=10))
    (warning,) = asked.warnings([small, node(2, composition=made_of(SENSOR))])
    assert "1 nodes remember 10 senders (CRPL) and hear 30" in warning
    ours = design(30, range_m=500.0)
    assert [] == ours.warnings([small]), "our profile's nodes listen to the gateway alone"


def test_what_nodes_really_publish_is_counted_once_their_composition_is_known():
    two = Composition(0, 0, 0, 10, 0, (Element(0, (SENSOR,)), Element(0, (SENSOR,))))
    known = [node(1, composition=two), node(2, composition=made_of(ModelId(0x1000)))]
    load = design(3, period_s=10.0).load(known)
    assert 0.3 == pytest.approx(load.messages_per_s)


def test_a_plan_decides_relay_ttl_transmissions_and_pace_by_name():
    planned = read_plan(plan_text())
    asked = design(3, planned=planned)
    relay, leaf = asked.plan_of(node(1, "hab-1")), asked.plan_of(node(2, "suit-1"))
    assert ((1, 1 | 2 << 3), 12) == (relay.relay, relay.default_ttl)
    assert ((0, 0 | 2 << 3), 15) == (leaf.relay, leaf.default_ttl)
    assert (2 | 2 << 3, 3 | 2 << 3) == (relay.network_transmit, leaf.network_transmit)
    assert 90_000 == settings_period(asked, node(1, "hab-1", made_of(SENSOR)))
    assert 60_000 == settings_period(asked, node(2, "suit-1", made_of(SENSOR)))
    stranger = asked.plan_of(node(3, "stranger"))
    assert 15 == stranger.default_ttl
    (warning,) = asked.warnings([node(3, "stranger")])
    assert "1 nodes are not in hab, such as stranger" in warning
    assert ("plan", 16.0) == (asked.load().source, asked.load().knee_per_s)


def settings_period(asked, known):
    kept = settings_of(asked.plan_of(known), known)
    (model,) = kept["elements"][0]["models"]
    return model["publish"]["period"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "plan"),
        ('{"schema": "torgo.plan/2"}', "schema is not"),
        ('{"schema": "torgo.plan/1"}', "not a whole plan"),
        (plan_text(nodes=[]), "no nodes"),
        (plan_text(nodes=json.loads(plan_text())["nodes"] * 2), "two of one name"),
        (plan_text(nodes=[json.loads(plan_text())["nodes"][0] | {"ttl": 1}]), "cannot be"),
        (plan_text(nodes=[json.loads(plan_text())["nodes"][0] | {"ttl": "x"}]), "not a whole"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_place(text, said):
    with pytest.raises(DataError, match=said):
        read_plan(text)


def test_a_profile_changes_what_it_names_and_nothing_else():
    theirs = load_profile('[power.low]\npublish_period = "5m"\n[groups]\ntelemetry = 0xC100\n')
    assert (300.0, 600.0) == (
        theirs.mode("low").publish_period_s,
        theirs.mode("low").health_period_s,
    )
    assert (0xC100, 0xC002) == (theirs.groups["telemetry"], theirs.groups["health"])
    assert PROFILE.models == theirs.models


def test_a_profile_may_have_modes_of_its_own():
    theirs = load_profile('[power.night]\npublish_period = "1h"\n')
    assert 3600.0 == theirs.mode("night").publish_period_s
    with pytest.raises(UsageError, match="no power mode 'noon'"):
        theirs.mode("noon")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "profile"),
        ("colour = 1", "unknown 'colour'"),
        ('schema = "dunes.mesh-profile/9"', "schema"),
        ("[groups]\ntelemetry = 5", "not 0xC000"),
        ('[power.low]\nrelay = "some"', "relay is 'some'"),
        ('[power.low]\npublish_period = "12h"', "publish period"),
        ("[power.low]\ntransmissions = 9", "9 sends"),
        ("[power.low]\nspeed = 9", "speed"),
        ('[[models]]\nid = "11"', "no model"),
        ('[[models]]\nid = "1100"\npublish = "nowhere"', "no group 'nowhere'"),
        ("power = 3", "not a table"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_with_its_place(text, said):
    with pytest.raises(DataError, match=said):
        load_profile(text)


def test_models_are_written_as_databases_write_them():
    assert (ModelId(0x1100), ModelId(1, 0xFFFF)) == (model_id("1100"), model_id("FFFF0001"))
    assert {use.model: str(use.model) for use in PROFILE.models}[ModelId(1, 0xFFFF)] == "FFFF0001"


def test_static_values_are_read_by_uuid_and_never_shown():
    uuid = bytes(range(16))
    values = read_oob(f"# list\n\n{uuid.hex()} 0a0b\n* text:moonbase\n", where="oob.txt")
    assert (b"\x0a\x0b", b"moonbase") == (value_for(values, uuid), value_for(values, bytes(16)))
    for wrong in (
        "1234 00",
        f"{uuid.hex()} hunter2",
        f"{uuid.hex()}",
        f"{uuid.hex()} {'00' * 65}",
    ):
        with pytest.raises(DataError, match="line 1") as said:
            read_oob(wrong, where="oob.txt")
        assert "hunter2" not in str(said.value)


@given(st.text(max_size=90) | st.none(), st.integers(1, 0x7FFF), st.sets(st.text(max_size=9)))
def test_whatever_a_device_calls_itself_it_gets_a_name_that_readings_can_have(
    heard, unicast, taken
):
    name = choose_name(heard, unicast, taken)
    assert NAME.fullmatch(name)
    assert name not in taken


def test_of_another_plan_only_what_a_node_does_not_have_is_left():
    known = node(1, "hab-1", made_of(SENSOR, ModelId(0x1000)))
    slow, fast = design(range_m=500.0), design(range_m=500.0, period_s=10.0)
    kept = settings_of(slow.plan_of(known), known) | {PLANNED: mark_of(slow.plan_of(known))}
    wanted = settings_of(fast.plan_of(known), known)
    assert not differs(kept, settings_of(slow.plan_of(known), known))
    assert differs(kept, wanted)
    others = {key: value for key, value in kept.items() if key != PLANNED}
    assert not differs(others, wanted), "what an app configured is left as it is"
    left = narrowed(fast.plan_of(known), kept, wanted)
    assert ({SENSOR}, {SENSOR}, {}) == (
        set(left.publications),
        set(left.binds),
        left.subscriptions,
    )
    assert (None, None, None, None, None, None, ()) == (
        left.default_ttl, left.relay, left.network_transmit, left.gatt_proxy, left.friend,
        left.beacon, left.app_keys,
    )  # fmt: skip


def test_groups_and_publications_that_a_plan_has_no_more_are_ended():
    onoff, level = ModelId(0x1000), ModelId(0x1002)
    known = node(1, "hab-1", made_of(SENSOR, onoff, level))
    plan = design(range_m=500.0).plan_of(known)
    kept = settings_of(plan, known) | {PLANNED: mark_of(plan)}
    group = PROFILE.groups["actuators"]
    other = replace(
        plan,
        subscriptions={onoff: (0xC100,), level: (0xC100,)},
        publications={},
    )
    left = narrowed(other, kept, settings_of(other, known))
    assert {onoff: (group,), level: (group,)} == left.unsubscriptions
    assert other.subscriptions == left.subscriptions
    assert {SENSOR: Publish(0)} == left.publications
    leave = [each for each in steps(left, known) if isinstance(each, SubscriptionDelete)]
    assert [(2, group, onoff), (2, group, level)] == [
        (e.element, e.address, e.model) for e in leave
    ]
    shared = replace(plan, subscriptions={onoff: (0xC100,), level: (group,)})
    assert {} == narrowed(shared, kept, settings_of(shared, known)).unsubscriptions
    cut = kept | {UNDERWAY: mark_of(left)}
    assert left.unsubscriptions == narrowed(other, cut, settings_of(other, known)).unsubscriptions


def test_of_a_plan_under_way_nobody_knows_what_a_node_has_and_all_is_left():
    known = node(1, "hab-1", made_of(SENSOR))
    plan = design(range_m=500.0).plan_of(known)
    wanted = settings_of(plan, known)
    assert plan == narrowed(plan, wanted | {UNDERWAY: mark_of(plan)}, wanted)
    assert plan == narrowed(plan, {}, wanted)
    assert differs(wanted | {UNDERWAY: "0"}, wanted)


def test_a_plan_is_told_from_another_without_its_keys():
    known = node(1)
    one = design(range_m=500.0).plan_of(known)
    other_key = replace(one, app_keys=((0, b"x" * 16),))
    assert mark_of(one) == mark_of(other_key)
    assert mark_of(one) != mark_of(replace(one, default_ttl=99))
