"""The virtual sky as a pure function of time, plan and seed."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from dunes.sim.starlink_sky import Planned, VirtualSky, noise, planned

T0 = 1_800_000_000


def sky(*outages: Planned) -> VirtualSky:
    return VirtualSky(outages, handover_share=0.0)


@given(st.integers(0, 2**40), st.integers(0, 2**32))
def test_the_same_second_measures_the_same_however_often_it_is_asked(number, seed):
    first = VirtualSky(seed=seed).second(number)
    assert first == VirtualSky(seed=seed).second(number)
    assert 0.0 <= first.drop <= 1.0


@given(st.integers(), st.integers(), st.integers(0, 9))
def test_noise_stays_between_nought_and_one(seed, second, channel):
    assert 0.0 <= noise(seed, second, channel) < 1.0


def test_noise_is_spread_evenly():
    values = [noise(1, second, 0) for second in range(4000)]
    assert abs(sum(values) / len(values) - 0.5) < 0.02
    assert 300 < sum(v < 0.1 for v in values) < 500


def test_a_second_within_an_outage_is_lost_and_has_no_latency():
    second = sky(Planned(T0, 10, "NO_SATS")).second(T0 + 5)
    assert (second.drop, second.latency_ms, second.down_bps) == (1.0, 0.0, 0.0)


def test_a_second_half_within_an_outage_loses_half():
    second = sky(Planned(T0 + 0.5, 10, "NO_SATS")).second(T0)
    assert second.drop == 0.5
    assert second.latency_ms > 0


def test_a_schedule_counts_from_the_start():
    assert planned([[15, 14, "NO_SATS"]], 100.0) == (Planned(115.0, 14.0, "NO_SATS"),)


def test_an_outage_is_on_from_its_start_until_before_its_end():
    one = Planned(T0, 10, "NO_SATS")
    above = sky(one)
    found = [above.outage_at(T0 + at) for at in (-0.1, 0, 9.9, 10)]
    assert [None, one, one, None] == found


def test_restoring_ends_what_is_going_on_and_nothing_else():
    past, now, later = (
        Planned(T0, 5, "NO_SATS"),
        Planned(T0 + 10, inf, "NO_PINGS"),
        Planned(T0 + 100, 5, "OBSTRUCTED"),
    )
    restored = sky(past, now, later).restored(T0 + 20)
    assert (past, Planned(T0 + 10, 10, "NO_PINGS"), later) == restored.plan


def test_restoring_one_cause_leaves_the_others():
    stowed, cut = Planned(T0, inf, "STOWED"), Planned(T0, inf, "NO_SATS")
    restored = sky(stowed, cut).restored(T0 + 5, {"STOWED"})
    assert restored.outage_at(T0 + 6) == cut


def test_ordinary_handovers_take_single_seconds():
    above = VirtualSky(handover_share=1 / 50)
    lost = [above.second(T0 + k).drop >= 1 for k in range(5000)]
    assert 60 < sum(lost) < 150
