"""The clock of the site."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.sim.siteclock import SiteClock

S = 1_000_000


def test_a_faster_clock_shows_ten_minutes_after_ten_seconds():
    clock = SiteClock.start(0, 5000 * S, 60.0)

    assert 5600 * S == clock.site_us(10 * S)


def test_a_change_of_speed_keeps_what_has_passed():
    clock = SiteClock.start(0, 0, 60.0)
    clock.set_speed(1.0, 10 * S)

    assert 600 * S == clock.site_us(10 * S)
    assert 605 * S == clock.site_us(15 * S)
    assert 300 * S == clock.site_us(5 * S)
    assert 5 * S == clock.real_us(300 * S)


@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.floats(0.1, 1000)), max_size=5),
    st.integers(0, 10**10),
)
def test_a_moment_is_carried_both_ways(changes, real_us):
    clock = SiteClock.start(0, 10**15, 1.0)
    now_us = 0
    for passed_us, speed in changes:
        now_us += passed_us
        clock.set_speed(speed, now_us)

    assert clock.real_us(clock.site_us(real_us)) == pytest.approx(real_us, abs=10)


def test_no_speed_stops_or_turns_the_clock():
    clock = SiteClock.start(0, 0, 1.0)

    for speed in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="not above 0"):
            clock.set_speed(speed, 1)
