"""The history ring and GPS time."""

from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.starlink.gpstime import gps_ns_from_unix, unix_from_gps_ns
from dunes.starlink.history import Ring, spot_ring, summary


def filled(current: int, size: int) -> Ring:
    """Make a ring whose sample k has latency k."""
    slots = [nan] * size
    for k in range(max(0, current - size), current):
        slots[k % size] = float(k)
    return Ring(current, [0.0] * size, slots)


@given(st.integers(0, 5000), st.integers(1, 900), st.integers(0, 5000))
def test_each_sample_lies_in_its_slot(current, size, since):
    got = filled(current, size).samples(since)
    expected = list(range(max(since, current - min(current, size)), current))
    assert expected == [s.counter for s in got]
    assert [float(k) for k in expected] == [s.latency_ms for s in got]


def test_a_ring_of_900_gives_the_newest_15():
    assert [*range(985, 1000)] == [s.counter for s in filled(1000, 900).last(15)]


def test_a_fresh_boot_gives_what_there_is():
    assert [0, 1] == [s.counter for s in filled(2, 900).last(15)]


def test_a_ring_shorter_than_900_is_walked_by_its_own_length():
    assert [*range(90, 100)] == [s.counter for s in filled(100, 10).samples(0)]


def test_a_series_shorter_than_the_ring_is_not_there_rather_than_wrong():
    ring = Ring(4, [0.0] * 4, [1.0, 2.0])
    latencies = [s.latency_ms for s in ring.samples(0)]
    assert latencies[:2] == [1.0, 2.0]
    assert all(isnan(x) for x in latencies[2:])


@pytest.mark.parametrize(
    ("drops", "expected"),
    [
        ([0.0] * 20, 0),
        ([1.0] * 8 + [0.0] * 12, 8),
        ([1.0] * 12 + [0.0] * 8, 12),
        ([1.0] * 7 + [0.0] * 13, 0),
        ([1.0, 1.0, nan, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0] + [0.0] * 11, 9),
    ],
)
def test_the_end_of_the_newest_outage_is_found(drops, expected):
    assert expected == Ring(20, drops).after_last_run(8)


def test_an_empty_ring_has_no_samples():
    assert Ring(10, []).samples(0) == []
    assert isnan(Ring(10, []).newest([]))


def test_a_summary_leaves_out_what_was_not_measured():
    ring = Ring(4, [0.0, nan, 1.0, 0.5], [20.0, 30.0, 0.0, 40.0])
    got = summary(ring.samples(0))
    assert got.mean_drop == 0.5
    assert got.median_latency_ms == 30.0


def test_nothing_measured_is_no_number():
    assert all(isnan(x) for x in summary([]))


def test_a_single_reading_stands_for_five_seconds_at_most():
    ring = spot_ring(1000, 1.0)
    assert ring is not None
    assert [995, 996, 997, 998, 999] == [s.counter for s in ring.samples(0)]
    assert spot_ring(0, 1.0) is None


@pytest.mark.parametrize(
    ("gps_ns", "unix_s"),
    [
        # 2017-01-01T00:00:00Z is GPS week 1930 (rollover counted), second 18 of its day
        (1_167_264_018_000_000_000, 1_483_228_800.0),
        # the GPS epoch itself: 1980-01-06 UTC, of which our constant is right from 2017 on
        (18_000_000_000, 315_964_800.0),
    ],
)
def test_gps_time_is_ahead_of_utc_by_the_leap_seconds(gps_ns, unix_s):
    assert unix_s == unix_from_gps_ns(gps_ns)
    assert gps_ns == gps_ns_from_unix(unix_s)
