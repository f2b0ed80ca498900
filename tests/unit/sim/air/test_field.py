"""Who hears whom on the advertising bearer."""

import math
from itertools import pairwise
from random import Random

import pytest

from dunes.sim.air.field import DELAY_MAX_S, QUEUE_MAX_S, Field, Place, spread
from dunes.sim.air.pathloss import RadioSpec


def line(far_m, count=3):
    return {f"n{number}": Place(number * far_m, 0.0) for number in range(count)}


def test_near_nodes_hear_each_other_and_far_ones_do_not():
    heard = Field.of(line(600.0), RadioSpec(), Random(1))
    assert {"n1"} == heard.neighbours("n0")
    assert {"n0", "n2"} == heard.neighbours("n1")


def test_a_copy_reaches_each_neighbour_once_whatever_the_number_of_sends():
    heard = Field.of(line(10.0, 8), RadioSpec(), Random(1))
    (copy,) = heard.cast("n3", 3, 0.02, 0.0)
    assert sorted(set(line(10.0, 8)) - {"n3"}) == sorted(copy.receivers)
    assert 0 < copy.after_s <= DELAY_MAX_S


def test_with_loss_later_copies_reach_whom_the_first_missed():
    heard = Field.of(line(1.0, 101), RadioSpec(), Random(1))
    heard.loss = 0.5
    copies = heard.cast("n0", 3, 0.02, 0.0)
    shares = [len(copy.receivers) / 100 for copy in copies]
    assert [0.5, 0.25, 0.125] == pytest.approx(shares, abs=0.12)
    receivers = [name for copy in copies for name in copy.receivers]
    assert len(receivers) == len(set(receivers))
    assert pytest.approx(0.02) == copies[1].after_s - copies[0].after_s


def test_the_same_seed_gives_the_same_air():
    def casts():
        places = spread([f"n{number}" for number in range(30)], 900.0, Random(3))
        heard = Field.of(places, RadioSpec(), Random(4))
        heard.loss = 0.2
        return places, [heard.cast(f"n{number}", 2, 0.02, 0.0) for number in range(30)]

    assert casts() == casts()


def test_nodes_are_spread_over_the_disc():
    places = spread([f"n{number}" for number in range(200)], 1000.0, Random(1))
    far_m = [math.hypot(*place) for place in places.values()]
    assert 200 == len(set(places.values()))
    assert max(far_m) <= 1000.0
    assert 60 < sum(each < 500.0 * math.sqrt(1.4) for each in far_m) < 80


def test_a_node_sends_one_pdu_after_another_so_their_order_stays():
    heard = Field.of(line(1.0, 3), RadioSpec(), Random(1))
    heard.loss = 0.3
    begin_s = [[copy.after_s for copy in heard.cast("n0", 3, 0.02, 5.0)] for _ in range(20)]
    came_s = [each for each in begin_s if each]
    assert all(before[-1] < after[0] for before, after in pairwise(came_s))


def test_another_node_need_not_wait():
    heard = Field.of(line(1.0, 3), RadioSpec(), Random(1))
    for _ in range(10):
        heard.cast("n0", 3, 0.02, 0.0)
    (copy,) = heard.cast("n1", 3, 0.02, 0.0)
    assert copy.after_s <= DELAY_MAX_S


def test_what_is_too_much_for_a_node_s_queue_is_dropped():
    heard = Field.of(line(1.0, 3), RadioSpec(), Random(1))
    sent = sum(bool(heard.cast("n0", 3, 0.02, 0.0)) for _ in range(100))
    assert 100 == sent + heard.dropped
    assert QUEUE_MAX_S / (2 * 0.02 + DELAY_MAX_S + 0.005) <= sent < 60
    assert heard.cast("n0", 3, 0.02, QUEUE_MAX_S * 2)
