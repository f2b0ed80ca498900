"""Plans: made the same way each time, read back whole, refused when they contradict themselves."""

import json
import math
from dataclasses import replace

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torgo.dice import dice
from torgo.errors import BadPlan
from torgo.generate import Generator, Labels, shorten, skeleton
from torgo.graph import hops_from
from torgo.hops import relay_flags
from torgo.plan import Plan
from torgo.planfile import contradictions, decode_plan, encode_plan
from torgo.wish import make_draft


def test_a_plan_is_read_back_as_it_was_written(mars):
    data = encode_plan(mars)
    assert mars == decode_plan(data, "plan")
    assert data == encode_plan(decode_plan(data, "plan"))


def test_a_plan_is_valid_by_its_json_schema(mars):
    schema = msgspec.json.schema(Plan)
    jsonschema.Draft202012Validator(schema).validate(json.loads(encode_plan(mars)))


def test_the_same_wish_gives_the_same_plan_and_another_seed_another(plan_for, wish_for):
    def again(seed):
        wish = wish_for("mars-surface", iterations=100, seed=seed)
        generator = Generator(
            skeleton(make_draft(wish), Labels("generate", "test", "mars-surface"))
        )
        list(generator.search(100))
        return generator.plan()

    assert plan_for("mars-surface") == again(1)
    other = again(2)
    assert other.scenario != again(1).scenario
    assert [n.x_m for n in other.nodes] != [n.x_m for n in again(1).nodes]


@pytest.mark.parametrize(
    ("name", "redundancy"),
    [
        ("lunar-hab", 4),
        ("mars-surface", 5),
        ("space-hab", 3),
        ("disaster-zone", 3),
        ("remote-farm", 3),
    ],
)
def test_every_environment_s_defaults_give_a_plan_that_is_proven(plan_for, name, redundancy):
    plan = plan_for(name)
    assert (redundancy, True) == (plan.proof.redundancy, plan.proof.holds)
    assert [] == plan.proof.cut_vertices
    assert plan.proof.relays >= plan.search.at_least > redundancy
    assert plan.proof.worst_hops >= max(node.hops for node in plan.nodes)
    assert [] == list(contradictions(plan))
    for node in plan.nodes:
        assert node.relay_neighbours >= redundancy
        assert 2 <= node.ttl <= plan.request.hops_max
        assert node.ttl >= node.hops
        assert (node.role == "leaf") == (node.relay_transmissions == 0)
        assert node.may_relay or node.role == "leaf"


def test_every_low_power_node_has_a_friend_that_it_hears(lunar):
    sleepy = [node for node in lunar.nodes if node.low_power]
    assert 19 == len(sleepy)
    for node in sleepy:
        friend = lunar.nodes[lunar.index[node.friend]]
        assert friend.role != "leaf"
        assert lunar.index[friend.id] in lunar.graph.near[lunar.index[node.id]]
    assert lunar.capacity.friend_queue == max(
        sum(other.friend == node.id for other in lunar.nodes) for node in lunar.nodes
    )


def test_worst_hops_hold_after_any_losses_that_leave_a_gateway(mars):
    rng = dice(4, "losses")
    size = len(mars.nodes)
    for _ in range(400):
        lost = set(rng.sample(range(size), mars.request.redundancy - 1))
        doors = [door for door in mars.gateways if door not in lost]
        if not doors:
            continue
        near = [[w for w in row if w not in lost] for row in mars.graph.near]
        hops = hops_from(near, doors, relay_flags(size, mars.relay_mask))
        for i, node in enumerate(mars.nodes):
            if i not in lost:
                assert 0 <= hops[i] <= node.worst_hops or node.role == "gateway"


def test_a_limit_of_hops_is_kept_by_more_relays(wish_for):
    wish = wish_for("lunar-hab", iterations=0, gateways=1)
    plan = skeleton(make_draft(wish), Labels("generate", "test", "lunar"))
    generator = Generator(plan)
    list(generator.search(0))
    relays = generator._search.best
    free = hops_from(plan.graph.near, plan.gateways, relay_flags(200, relays))
    best = hops_from(plan.graph.near, plan.gateways, relay_flags(200, plan.eligible_mask))
    assert max(best) < max(free)
    tight = replace(plan, request=replace(plan.request, hops_max=max(best)))
    kept = hops_from(plan.graph.near, plan.gateways, relay_flags(200, shorten(tight, relays)))
    assert max(best) == max(kept)


def change(plan, **changes):
    table = json.loads(encode_plan(plan))
    for path, value in changes.items():
        at = table
        *way, last = path.split("__")
        for step in way:
            at = at[int(step) if step.isdigit() else step]
        at[int(last) if last.isdigit() else last] = value
    return json.dumps(table).encode()


BROKEN = {
    "schema": ({"schema": "torgo.plan/9"}, "schema is 'torgo.plan/9'"),
    "no links": ({"links": 3}, "Expected `array`"),
    "text for a number": ({"nodes__0__x_m": "far"}, "nodes"),
    "an unknown role": ({"nodes__0__role": "boss"}, "Invalid enum value 'boss'"),
    "a ttl of 1": ({"nodes__3__ttl": 1}, "ttl is 1"),
    "a ttl of 300": ({"nodes__3__ttl": 300}, "ttl is 300"),
    "no such neighbour": ({"links__0": [0, 999, -70.0]}, "joins 0 and 999"),
    "a loop": ({"links__0": [4, 4, -70.0]}, "joins 4 and 4"),
    "a stranger for a friend": ({"nodes__5__friend": "nobody"}, "friend 'nobody'"),
    "two of one name": ({"nodes__6__id": "gateway-001"}, "2 nodes are called 'gateway-001'"),
    "no name": ({"nodes__6__id": ""}, "is no name"),
    "a name that moves the cursor": ({"nodes__6__id": "a\x1b[2J"}, "is no name"),
    "a node on the far side": ({"nodes__7__x_m": 99999.0}, "outside"),
    "nine transmissions": ({"nodes__7__network_transmissions": 9}, "not 1 to 8"),
    "a relay that sends nothing": ({"nodes__0__relay_transmissions": 0}, "relay_transmissions"),
    "one node": ({"nodes": []}, "0 nodes"),
    "nothing survives": ({"request__redundancy": 0}, "redundancy is 0"),
    "an unknown body": ({"site__body": "vulcan"}, "body 'vulcan'"),
    "no room": ({"site__radius_m": 0.0}, "radius_m is 0"),
    "a mast below ground": ({"nodes__2__height_m": -2.0}, "height_m is -2"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plan_is_refused_with_its_reason(mars, case):
    changes, reason = BROKEN[case]
    with pytest.raises(BadPlan) as caught:
        decode_plan(change(mars, **changes), "plan.json")
    assert caught.value.message.startswith("plan.json: ")
    assert reason in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": 7}', b"{}"])
def test_what_is_no_plan_at_all_is_refused(data):
    with pytest.raises(BadPlan):
        decode_plan(data, "x")


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_plan_is_read_or_refused_but_never_a_traceback(mars, data):
    whole = bytearray(encode_plan(mars))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        plan = decode_plan(bytes(whole), "x")
    except BadPlan:
        return
    assert len(plan.nodes) == len(mars.nodes)


def test_every_plan_says_what_it_leans_on(lunar):
    names = {one.name for one in lunar.assumptions}
    assert {
        "radio.tx_power_dbm",
        "radio.margin_db",
        "hop range",
        "capture",
        "propagation",
    } <= names
    assert all(one.source for one in lunar.assumptions)
    assert all(math.isfinite(rssi) for _, _, rssi in lunar.links)
