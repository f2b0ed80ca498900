"""Environments and places."""

import math
import re

import numpy as np
import pytest

from torgo.environment import numbers, parse_environment, problems, with_height, with_range
from torgo.errors import BadSite
from torgo.placement import place, spread_even, spread_random

NAMES = (
    "lunar-hab",
    "mars-surface",
    "mars-dust-storm",
    "space-hab",
    "disaster-zone",
    "remote-farm",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_part_of_an_environment_has_a_source(load_env, name):
    env = load_env(name)
    assert name == env.name
    assert [] == list(problems(env))
    parts = {path.split(".")[0] for path, _ in numbers(env)}
    assert parts <= set(env.sources)
    assert all(len(text) > 8 for text in env.sources.values())


GOOD = """
schema = "torgo.environment/1"
name = "test"
about = "A test."
body = "earth"
[area]
radius_m = 100.0
[defaults]
nodes = 10
[gateways]
count = 1
antenna_height_m = 2.0
[[kinds]]
name = "sensor"
share = 1.0
antenna_height_m = 2.0
"""


def test_a_small_file_is_enough():
    env = parse_environment(GOOD, "test.toml")
    assert (10, 3, 8.0) == (env.defaults.nodes, env.defaults.redundancy, env.radio.tx_power_dbm)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("radius_m = 100.0", "radius_m = -1.0", "area.radius_m is -1"),
        ("radius_m = 100.0", "radius_m = nan", "area.radius_m is nan"),
        ("radius_m = 100.0", "radius = 100.0", "unknown key 'area.radius'"),
        ("share = 1.0", "share = 0.4", "shares add up to 0.4"),
        ('name = "sensor"', 'name = "gateway"', "called gateway"),
        ('body = "earth"', 'body = "pluto"', "body is 'pluto'"),
        ("torgo.environment/1", "torgo.environment/2", "schema is 'torgo.environment/2'"),
        ("[area]", "[area", "not TOML"),
        ("nodes = 10", 'nodes = "ten"', "Expected `int`, got `str`"),
        ("count = 1", "count = 0", "gateways.count is 0"),
        ("[defaults]", "[default]", "unknown key 'default'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_reason(old, new, reason):
    with pytest.raises(BadSite, match=re.escape(reason)):
        parse_environment(GOOD.replace(old, new, 1), "test.toml")


def test_another_range_moves_the_obstacles_with_it(load_env):
    env = with_range(load_env("lunar-hab"), 500.0)
    assert 500.0 == env.area.radius_m
    berm = next(o for o in env.obstacles if o.name == "landing pad berm")
    assert (190.0, 260.0) == (berm.x_m, berm.to_x_m)


def test_higher_masts_are_for_those_who_may_relay(load_env):
    env = with_height(load_env("lunar-hab"), 7.0)
    heights = {kind.name: kind.antenna_height_m for kind in env.kinds}
    assert {"hab-sensor": 7.0, "rover": 2.0, "suit": 1.8} == heights
    assert 7.0 == env.gateways.antenna_height_m


@pytest.mark.parametrize("spread", [spread_even, spread_random])
def test_all_points_lie_inside(spread):
    for count in (0, 1, 2, 500):
        x, y = spread(count, 300.0, 5)
        assert count == len(x)
        assert float(np.hypot(x, y).max(initial=0.0)) <= 300.001


def nearest(x, y):
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distance, math.inf)
    return distance.min(axis=1)


def test_an_even_spread_leaves_everyone_room():
    even = nearest(*spread_even(300, 1000.0, 2))
    chance = nearest(*spread_random(300, 1000.0, 2))
    assert even.min() > 2 * chance.min()
    assert even.std() / even.mean() < 0.3 < chance.std() / chance.mean()


def test_nodes_are_named_by_kind_in_their_shares_and_stand_outside_obstacles(load_env):
    env = load_env("lunar-hab")
    stations = place(env, 200, 3, 1)
    counts = {}
    for station in stations:
        counts[station.kind] = counts.get(station.kind, 0) + 1
    assert {"gateway": 3, "hab-sensor": 170, "rover": 8, "suit": 19} == counts
    assert "gateway-001" == stations[0].id
    assert len({station.id for station in stations}) == 200
    for station in stations:
        for rock in env.obstacles:
            if not rock.is_wall:
                assert math.hypot(station.x_m - rock.x_m, station.y_m - rock.y_m) >= rock.radius_m


def test_the_same_seed_gives_the_same_places(load_env):
    env = load_env("remote-farm")
    assert place(env, 30, 2, 4) == place(env, 30, 2, 4)
    assert place(env, 30, 2, 4) != place(env, 30, 2, 5)


def test_gateways_stand_apart(load_env):
    doors = place(load_env("lunar-hab"), 200, 3, 1)[:3]
    for i, a in enumerate(doors):
        for b in doors[:i]:
            assert math.hypot(a.x_m - b.x_m, a.y_m - b.y_m) > 500
