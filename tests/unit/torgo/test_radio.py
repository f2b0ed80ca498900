"""The radio model: published ranges, known limits, and links pair by pair."""

import math

import numpy as np
import pytest

from torgo.errors import Impossible
from torgo.links import find_links, near_pairs
from torgo.obstacles import Obstacle, covers, obstacle_loss
from torgo.radio import (
    Propagation,
    Radio,
    arrival_chance,
    farthest_m,
    holes_m,
    path_loss,
)

RANGES_M = {
    0.05: (15, 9),
    0.3: (64, 40),
    1: (209, 130),
    2: (410, 247),
    3: (596, 330),
    5: (851, 297),
}
"""Farthest distance within a budget of 93 and 85 dB, by height of both antennas."""


@pytest.mark.parametrize("height", RANGES_M)
def test_ranges_over_dry_regolith_are_those_of_the_table(height):
    for budget, expected in zip((93.0, 85.0), RANGES_M[height], strict=True):
        assert farthest_m(Radio(), Propagation(), height, budget) == pytest.approx(
            expected, abs=1.5
        )


def test_ground_reflection_cuts_holes_inside_the_range_of_high_masts():
    assert [] == holes_m(Radio(), Propagation(), 2.0, 93.0)
    found = holes_m(Radio(), Propagation(), 5.0, 93.0)
    assert [(134, 137), (196, 212), (356, 514)] == [
        (pytest.approx(a, abs=1.5), pytest.approx(b, abs=1.5)) for a, b in found
    ]


def test_far_over_ground_loss_grows_with_the_fourth_power():
    far = np.array([3000.0, 6000.0])
    one = np.ones(2)
    near, double = path_loss(Radio(), Propagation(), far, one, one)
    assert 12 == pytest.approx(double - near, abs=0.2)


def test_without_a_reflection_two_rays_are_free_space():
    high = np.full(1, 1e5)
    loss = path_loss(Radio(), Propagation(permittivity=1.0 + 1e-9), np.array([1000.0]), high, high)
    free = 20 * math.log10(4 * math.pi * 1000 / Radio().wavelength_m)
    assert free == pytest.approx(float(loss[0]), abs=0.1)


def test_indoor_ranges_follow_the_exponent():
    budget = 93.0
    corridor = farthest_m(Radio(), Propagation("log-distance", exponent=2.5), 1.5, budget)
    cluttered = farthest_m(Radio(), Propagation("log-distance", exponent=3.3), 1.5, budget)
    assert (130, 40) == (pytest.approx(corridor, abs=3), pytest.approx(cluttered, abs=2))


def test_loss_is_the_same_in_both_directions():
    a, b = np.array([1.0, 3.0]), np.array([5.0, 2.0])
    distance = np.array([120.0, 470.0])
    there = path_loss(Radio(), Propagation(), distance, a, b)
    assert there.tolist() == path_loss(Radio(), Propagation(), distance, b, a).tolist()


def test_half_of_the_packets_arrive_at_the_sensitivity():
    chances = arrival_chance(np.array([-95.0, -91.3, -98.7]), -95.0)
    assert [0.5, 0.99, 0.01] == [pytest.approx(c, abs=0.002) for c in chances]


def test_every_near_pair_comes_once():
    rng = np.random.default_rng(3)
    for count in (0, 1, 2, 60, 300):
        x, y = rng.uniform(-500, 500, count), rng.uniform(-500, 500, count)
        found = [
            (min(a, b), max(a, b))
            for rows in near_pairs(x, y, 90.0)
            for a, b in zip(*(row.tolist() for row in rows), strict=True)
        ]
        assert len(found) == len(set(found))
        close = {
            (a, b)
            for b in range(count)
            for a in range(b)
            if math.hypot(x[a] - x[b], y[a] - y[b]) <= 90
        }
        assert close <= set(found)


def test_links_are_those_that_every_pair_computed_alone_gives():
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-600, 600, 80), rng.uniform(-600, 600, 80)
    height = rng.choice([1.5, 2.0, 5.0], 80)
    walls = (
        Obstacle("rock", 15.0, 100, 50, 60),
        Obstacle("berm", 20.0, -200, -200, 2, -100, 150),
    )
    links = find_links(x, y, height, Radio(), Propagation(), walls)
    expected = {}
    for b in range(80):
        for a in range(b):
            one = np.array([math.hypot(x[a] - x[b], y[a] - y[b])])
            loss = path_loss(Radio(), Propagation(), one, height[[a]], height[[b]])
            loss = loss + obstacle_loss(walls, x[[a]], y[[a]], x[[b]], y[[b]])
            if 8 - loss[0] >= -85:
                expected[a, b] = pytest.approx(8 - loss[0])
    found = dict(
        zip(zip(links.a.tolist(), links.b.tolist(), strict=True), links.rssi_dbm, strict=True)
    )
    assert expected == found
    assert sorted(found) == list(found)
    assert len(expected) == links.graph().edges


def test_more_links_are_kept_below_the_threshold_if_asked_for():
    x, y, height = np.array([0.0, 500.0]), np.zeros(2), np.full(2, 2.0)
    assert 0 == len(find_links(x, y, height, Radio(), Propagation()).a)
    assert 1 == len(find_links(x, y, height, Radio(), Propagation(), below_db=4.0).a)


def test_a_crowd_in_which_everyone_hears_everyone_is_refused():
    count = 4_000
    spot = np.linspace(0, 20, count)
    with pytest.raises(Impossible, match="too dense"):
        find_links(spot, spot, np.full(count, 2.0), Radio(), Propagation())


def test_an_obstacle_costs_only_the_links_that_cross_it():
    rock = Obstacle("rock", 15.0, 0, 0, 10)
    wall = Obstacle("wall", 20.0, -50, 30, 1, 50, 30)
    ax = np.array([-100.0, -100.0, 0.0, 0.0, -100.0])
    ay = np.array([0.0, 20.0, -20.0, 20.0, 0.0])
    bx = np.array([100.0, 100.0, 0.0, 0.0, -20.0])
    by = np.array([0.0, 20.0, 60.0, 60.0, 0.0])
    assert [15, 0, 35, 20, 0] == obstacle_loss((rock, wall), ax, ay, bx, by).tolist()
    inside = covers(rock, np.array([0.0, 9.0, 11.0]), np.zeros(3))
    assert [True, True, False] == inside.tolist()
