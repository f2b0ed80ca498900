"""The link monitor: thresholds, timelines, odd inputs, and no flaps."""

import json
from dataclasses import replace
from itertools import groupby, pairwise
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.starlink.history import Outage, Ring
from dunes.starlink.monitor import (
    GOOD_SAMPLES_UP,
    LOST_SAMPLES_DOWN,
    MEMORY_S,
    Monitor,
    Observation,
    State,
)

T0 = 1_800_000_000.0


def ring_of(drops, current=None, size=900, latency_ms=30.0) -> Ring:
    """Make a ring whose newest samples are `drops`."""
    current = len(drops) if current is None else current
    slots = [0.0] * size
    for offset, drop in enumerate(reversed(drops[-size:])):
        slots[(current - 1 - offset) % size] = drop
    return Ring(current, slots, [latency_ms] * size)


def seen(drops=(), *, current=None, at_s=0.0, **more) -> Observation:
    ring = ring_of(list(drops), current) if drops or current is not None else None
    return Observation("ut1", T0 + at_s, ring, **more)


def up_monitor() -> Monitor:
    monitor = Monitor()
    monitor.receive_observation(seen([0.0] * 100), 0.0)
    assert monitor.state is State.UP
    return monitor


def feed(monitor: Monitor, drops, now_s=100.0, **more):
    """Give the monitor the next samples after its cursor."""
    observation = seen([0.0] * monitor.cursor + list(drops), at_s=now_s, **more)
    return monitor.receive_observation(observation, now_s)


# ---------------------------------------------------------------- thresholds


def test_three_good_samples_make_a_first_look_up():
    monitor = Monitor()
    monitor.receive_observation(seen([1.0, 0.0, 0.0]), 0.0)
    assert monitor.state is State.UNKNOWN
    feed(monitor, [0.0])
    assert monitor.state is State.UP


def test_a_first_look_counts_at_most_fifteen_samples():
    monitor = Monitor()
    monitor.receive_observation(seen([1.0] * 100 + [0.0] * 15), 0.0)
    assert monitor.state is State.UP
    assert monitor.good_run == 15


def test_a_first_look_dates_the_link_by_all_that_the_ring_remembers():
    monitor = Monitor()
    [change] = monitor.receive_observation(seen([1.0] * 20 + [0.0] * 300), 0.0)
    assert change.since_unix_s == T0 - 300


def test_a_first_look_at_a_dead_link_is_down():
    monitor = Monitor()
    monitor.receive_observation(seen([1.0] * 8), 0.0)
    assert (monitor.state, monitor.cause) == (State.DOWN, "NO_PINGS")


def test_seven_lost_samples_are_a_handover_and_eight_are_an_outage():
    monitor = up_monitor()
    assert feed(monitor, [1.0] * 7) == []
    [change] = feed(monitor, [1.0])
    assert (change.state, change.cause) == (State.DOWN, "NO_PINGS")


def test_the_change_is_dated_by_the_samples_not_by_the_poll():
    monitor = up_monitor()
    [change] = feed(monitor, [0.0] * 3 + [1.0] * 10 + [0.0] * 5, now_s=500.0)
    assert change.since_unix_s == T0 + 500.0 - 15


@pytest.mark.parametrize(("drop", "state"), [(0.49, State.UP), (0.5, State.DOWN)])
def test_fifteen_samples_that_lose_less_than_half_make_it_up(drop, state):
    monitor = up_monitor()
    feed(monitor, [1.0] * 8)
    feed(monitor, [drop] * 15)
    assert monitor.state is state


def test_fourteen_good_samples_are_not_enough():
    monitor = up_monitor()
    feed(monitor, [1.0] * 8)
    assert feed(monitor, [0.0] * 14) == []
    [change] = feed(monitor, [0.0])
    assert change.state is State.UP


@pytest.mark.parametrize(("age_s", "state"), [(7.9, State.UP), (8.0, State.DOWN)])
def test_an_outage_counts_from_eight_seconds_on(age_s, state):
    monitor = up_monitor()
    feed(monitor, [0.0], outage=Outage("OBSTRUCTED", T0, age_s))
    assert monitor.state is state


def test_an_outage_that_tells_no_duration_ages_since_it_was_first_seen():
    monitor = up_monitor()
    outage = Outage("NO_SATS", T0, 0.0)
    feed(monitor, [0.0], now_s=100.0, outage=outage)
    feed(monitor, [0.0], now_s=107.9, outage=outage)
    assert monitor.state is State.UP
    feed(monitor, [0.0], now_s=108.0, outage=outage)
    assert (monitor.state, monitor.cause) == (State.DOWN, "NO_SATS")


def test_it_is_not_up_while_the_device_is_in_an_outage():
    monitor = up_monitor()
    outage = Outage("NO_SATS", T0 + 90, 30.0)
    feed(monitor, [1.0] * 8, outage=outage)
    feed(monitor, [0.0] * 20, now_s=130.0, outage=outage)
    assert monitor.state is State.DOWN
    feed(monitor, [0.0], now_s=131.0)
    assert monitor.state is State.UP


def test_the_cause_comes_from_the_devices_list_where_the_outage_is_over():
    monitor = up_monitor()
    past = (Outage("OBSTRUCTED", T0 + 85.0, 10.0), Outage("NO_SATS", T0 - 500, 3.0))
    [change] = feed(monitor, [1.0] * 10 + [0.0] * 5, outages=past)
    assert change.cause == "OBSTRUCTED"


def test_a_long_gap_shows_its_outages_when_it_is_walked():
    monitor = up_monitor()
    changes = feed(monitor, [0.0] * 50 + [1.0] * 20 + [0.0] * 200, now_s=370.0)
    assert [State.DOWN, State.UP] == [c.state for c in changes]
    assert changes[1].since_unix_s - changes[0].since_unix_s == 20


# ---------------------------------------------------------------- silence


def test_silence_is_unreachable_after_fifteen_seconds():
    monitor = up_monitor()
    assert monitor.receive_silence(14.9, T0) == []
    [change] = monitor.receive_silence(15.0, T0 + 15)
    assert change.state is State.UNREACHABLE
    assert change.since_unix_s == T0


def test_a_device_that_never_answered_is_unreachable_at_once():
    monitor = Monitor()
    [change] = monitor.receive_silence(0.0, T0)
    assert change.state is State.UNREACHABLE


def test_coming_back_needs_fifteen_samples_from_there_on():
    monitor = up_monitor()
    monitor.receive_silence(20.0, T0 + 20)
    [change] = feed(monitor, [0.0] * 25, now_s=25.0)
    assert (change.state, change.cause) == (State.DOWN, "recovering")
    assert feed(monitor, [0.0] * 14, now_s=39.0) == []
    [change] = feed(monitor, [0.0], now_s=40.0)
    assert change.state is State.UP


def test_a_first_answer_after_silence_from_the_start_is_a_first_look():
    monitor = Monitor()
    monitor.receive_silence(0.0, T0)
    monitor.receive_observation(seen([0.0] * 15), 5.0)
    assert monitor.state is State.UP


# ---------------------------------------------------------------- odd devices


def test_a_reboot_starts_the_counter_again():
    monitor = up_monitor()
    monitor.bootcount = 3
    feed(monitor, [1.0] * 8, bootcount=3)
    after = replace(seen([0.0] * 20, at_s=200.0), bootcount=4)
    [change] = monitor.receive_observation(after, 200.0)
    assert (change.state, monitor.cursor) == (State.UP, 20)


def test_a_counter_that_goes_back_looks_at_the_newest_only():
    monitor = up_monitor()
    old_outage_in_the_ring = [1.0] * 30 + [0.0] * 20
    monitor.receive_observation(seen(old_outage_in_the_ring), 1.0)
    assert (monitor.state, monitor.cursor) == (State.UP, 50)


def test_a_counter_far_ahead_takes_what_the_ring_has():
    monitor = up_monitor()
    monitor.receive_observation(seen([1.0] * 20, current=10**6), 1.0)
    assert (monitor.state, monitor.cursor) == (State.DOWN, 10**6)


def test_samples_that_are_no_numbers_count_for_nothing():
    monitor = up_monitor()
    feed(monitor, [1.0, nan] * 7)
    assert (monitor.state, monitor.lost_run) == (State.UP, 7)
    feed(monitor, [nan, 1.0])
    assert monitor.state is State.DOWN


def test_a_ring_shorter_than_900_works():
    monitor = Monitor()
    monitor.receive_observation(Observation("ut1", T0, ring_of([0.0] * 5, 100, 10)), 0.0)
    monitor.receive_observation(Observation("ut1", T0, ring_of([1.0] * 8, 108, 10)), 8.0)
    assert monitor.state is State.DOWN


def test_another_device_starts_anew():
    monitor = up_monitor()
    other = Observation("ut2", T0, ring_of([1.0] * 8, 8))
    monitor.receive_observation(other, 1.0)
    assert (monitor.state, monitor.device) == (State.DOWN, "ut2")


def test_a_device_that_tells_nothing_of_its_link_leaves_it_unknown():
    monitor = Monitor()
    monitor.receive_observation(seen(), 0.0)
    assert monitor.state is State.UNKNOWN
    monitor.receive_silence(20.0, T0)
    monitor.receive_observation(seen(), 25.0)
    assert monitor.state is State.UNKNOWN


def test_a_disabled_account_is_down_though_the_sky_is_fine():
    monitor = up_monitor()
    feed(monitor, [0.0] * 30, disabled="NO_ACTIVE_ACCOUNT")
    assert (monitor.state, monitor.cause) == (State.DOWN, "disabled")
    feed(monitor, [0.0] * 30)
    assert monitor.state is State.UP


@pytest.mark.parametrize("cause", ["STOWED", "SLEEPING", "ACTUATOR_ACTIVITY", "INHIBIT_RF"])
def test_what_somebody_chose_is_no_alarm(cause):
    monitor = up_monitor()
    feed(monitor, [1.0] * 9, outage=Outage(cause, T0, 60.0))
    assert monitor.link.operator_made


def test_a_scheduled_sleep_is_no_alarm():
    monitor = up_monitor()
    feed(monitor, [1.0] * 9, asleep=True)
    assert monitor.link.operator_made


def test_an_outage_of_the_sky_is_one():
    monitor = up_monitor()
    feed(monitor, [1.0] * 9, outage=Outage("NO_SATS", T0, 60.0))
    assert not monitor.link.operator_made


# ---------------------------------------------------------------- degraded


@pytest.mark.parametrize(
    ("drops", "latency_ms", "expected"),
    [
        ([0.0] * 60, 30.0, ()),
        ([0.0] * 60, 150.0, ()),
        ([0.0] * 60, 151.0, ("latency",)),
        ([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] * 3, 30.0, ()),
        ([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0] * 6, 30.0, ("loss",)),
    ],
)
def test_a_link_is_degraded_by_a_minute_of_loss_or_latency(drops, latency_ms, expected):
    monitor = up_monitor()
    ring = ring_of([0.0] * 100 + list(drops), latency_ms=latency_ms)
    monitor.receive_observation(Observation("ut1", T0, ring), 60.0)
    assert (monitor.state, expected) == (State.UP, monitor.link.degraded)


def test_what_the_device_says_degrades_an_up_link_only():
    monitor = up_monitor()
    feed(monitor, [0.0], impaired=("thermal_throttle",))
    assert monitor.link.degraded == ("thermal_throttle",)
    feed(monitor, [1.0] * 8, impaired=("thermal_throttle",))
    assert monitor.link.degraded == ()


# ---------------------------------------------------------------- memory


def test_the_state_survives_as_json_and_the_hysteresis_with_it():
    monitor = up_monitor()
    feed(monitor, [1.0] * 6, now_s=106.0)
    saved = json.loads(json.dumps(monitor.save(107.0)))
    again = Monitor.restore(saved, now_s=5.0, slept_s=2.0)
    [change] = feed(again, [1.0] * 2, now_s=7.0)
    assert (change.state, change.previous) == (State.DOWN, State.UP)


def test_silence_goes_on_counting_through_a_restart():
    monitor = up_monitor()
    again = Monitor.restore(monitor.save(10.0), now_s=1000.0, slept_s=4.0)
    assert again.receive_silence(1000.9, T0) == []
    assert again.receive_silence(1001.0, T0) != []


def test_an_outages_age_goes_on_through_a_restart():
    monitor = up_monitor()
    outage = Outage("NO_SATS", T0, 0.0)
    feed(monitor, [0.0], now_s=100.0, outage=outage)
    again = Monitor.restore(monitor.save(102.0), now_s=0.0, slept_s=3.0)
    feed(again, [0.0], now_s=2.9, outage=outage)
    assert again.state is State.UP
    feed(again, [0.0], now_s=3.0, outage=outage)
    assert again.state is State.DOWN


@pytest.mark.parametrize("slept_s", [MEMORY_S, 1e9, -1e9, nan])
def test_a_state_older_than_the_device_remembers_is_forgotten(slept_s):
    saved = up_monitor().save(0.0)
    assert Monitor.restore(saved, 0.0, slept_s).state is State.UNKNOWN


def test_a_clock_set_back_a_little_does_not_lose_the_state():
    saved = up_monitor().save(0.0)
    assert Monitor.restore(saved, 0.0, -30.0).state is State.UP


@pytest.mark.parametrize(
    "damaged", [{}, {"state": "sideways"}, {"cursor": "x"}, {"silent_s": []}, {"good_run": None}]
)
def test_a_damaged_state_starts_anew(damaged):
    saved = {**up_monitor().save(0.0), **damaged} if damaged else {}
    assert Monitor.restore(saved, 0.0, 1.0).state is State.UNKNOWN


# ---------------------------------------------------------------- timelines


def test_a_blip_of_three_seconds_is_no_event(bench):
    assert [(0.0, "up")] == bench([[15, 3, "NO_SATS"]]).run(60, 1.0)


def test_an_outage_of_14_seconds_polled_each_second(bench):
    made = bench([[15, 14, "NO_SATS"]])
    assert [(0.0, "up"), (23.0, "down:NO_SATS"), (44.0, "up")] == made.run(60, 1.0)


def test_an_outage_of_14_seconds_polled_each_five_seconds(bench):
    made = bench([[15, 14, "NO_SATS"]])
    assert [(0.0, "up"), (25.0, "down:NO_SATS"), (45.0, "up")] == made.run(60, 5.0)


def test_with_a_threshold_of_five_seconds_the_same_outage_is_seen_earlier(bench):
    each_second = bench([[15, 14, "NO_SATS"]], outage_age_down_s=5.0)
    assert [(0.0, "up"), (20.0, "down:NO_SATS"), (44.0, "up")] == each_second.run(60, 1.0)
    each_five = bench([[15, 14, "NO_SATS"]], outage_age_down_s=5.0)
    assert [(0.0, "up"), (20.0, "down:NO_SATS"), (45.0, "up")] == each_five.run(60, 5.0)


@pytest.mark.parametrize("poll_s", [1.0, 5.0])
def test_a_flap_of_six_and_six_seconds_is_not_seen(bench, poll_s):
    flap = [[55, 6, "NO_SATS"], [65, 6, "NO_SATS"]]
    assert [(0.0, "up")] == bench(flap).run(120, poll_s)


def test_a_flap_is_one_event_once_its_first_part_is_long_enough(bench):
    flap = [[55, 6, "NO_SATS"], [65, 6, "NO_SATS"]]
    made = bench(flap, outage_age_down_s=5.0)
    assert [(0.0, "up"), (60.0, "down:NO_SATS"), (86.0, "up")] == made.run(120, 1.0)


@pytest.mark.parametrize("poll_s", [1.0, 5.0, 60.0, 300.0])
def test_the_edges_are_the_same_whatever_the_rhythm(bench, poll_s):
    made = bench([[100, 60, "OBSTRUCTED"]])
    made.run(400 if poll_s < 300 else 900, poll_s)
    edges = [(c.state.value, c.since_unix_s - 1_800_000_000) for _, c in made.changes[1:]]
    assert [("down", pytest.approx(100, abs=1)), ("up", pytest.approx(160, abs=1))] == edges


def test_ordinary_handovers_are_no_events(bench):
    assert [(0.0, "up")] == bench(handover_share=1 / 100).run(3000, 5.0)


def test_a_reboot_is_silence_then_recovery(bench):
    made = bench()
    made.run(30, 1.0)
    made.world.reboot()
    story = made.run(120, 1.0)
    states = [what for _, what in story]
    assert ["up", "unreachable", "down:recovering", "up"] == states
    assert made.look().snapshot.bootcount == 8


def test_a_stowed_dish_is_down_and_no_alarm(bench):
    made = bench([[10, 30, "STOWED"]])
    made.run(30, 1.0)
    link = made.monitor.link
    assert (link.cause, link.operator_made) == ("STOWED", True)


# ---------------------------------------------------------------- no flaps


def runs_of(drops, kind, length) -> int:
    """Count the runs of a kind that are at least so long."""
    return sum(matches and len(list(run)) >= length for matches, run in groupby(drops, kind))


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 0.6, 1.0, nan]), st.integers(1, 25)), max_size=25
    ),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_no_event_is_shorter_than_its_threshold(runs, rhythm):
    """Whatever the losses and the polls: down after 8 lost in a row, up after 15 good."""
    drops = [0.0] * 20 + [drop for drop, length in runs for _ in range(length)]
    monitor = Monitor()
    changes = []
    at = 20
    steps = 0
    while True:
        observation = seen(drops[:at], at_s=at)
        changes += monitor.receive_observation(observation, float(at))
        if at >= len(drops):
            break
        at = min(at + rhythm[steps % len(rhythm)], len(drops))
        steps += 1
    counted = [d for d in drops if not isnan(d)]
    lost = runs_of(counted, lambda d: d >= 1, LOST_SAMPLES_DOWN)
    good = runs_of(counted, lambda d: d < 0.5, GOOD_SAMPLES_UP)
    downs = [c for c in changes if c.state is State.DOWN]
    ups = [c for c in changes if c.state is State.UP]
    assert len(downs) <= lost
    assert len(ups) <= good
    states = [c.state for c in changes]
    assert all(a is not b for a, b in pairwise(states))


@given(st.lists(st.floats(0, 1) | st.just(nan), min_size=20, max_size=200), st.integers(1, 60))
def test_the_rhythm_of_the_polls_does_not_change_the_verdict(drops, poll):
    def final(step: int) -> State:
        monitor = up_monitor()
        for at in [*range(100 + step, 100 + len(drops), step), 100 + len(drops)]:
            whole = [0.0] * 100 + drops
            monitor.receive_observation(seen(whole[:at], at_s=at), float(at))
        return monitor.state

    assert final(1) is final(poll)
