"""The judge of an outage: it must see what is lost and what came twice."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.model import Priority, Reading
from dunes.sim.judge import RUNS_MAX, Judge, MissingRun

S = 1_000_000


def reading(seq, device="a", priority=Priority.ROUTINE):
    return Reading(device, "co2", 2400, "ppm", seq * S, priority, seq, simulated=True)


def judge(readings, before, after):
    judge = Judge(before)
    for each in readings:
        judge.see(each)
    return judge, judge.verdict(after)


def test_all_once_in_whatever_order_is_flawless():
    readings = [reading(seq) for seq in (5, 3, 4, 6)] + [reading(1, "b")]

    _, verdict = judge(readings, {"a": 2, "b": 0}, {"a": 6, "b": 1})

    assert verdict.flawless
    assert (5, 5, 0, 0) == (
        verdict.made,
        verdict.delivered,
        verdict.missing,
        verdict.duplicated,
    )


def test_a_lost_reading_is_seen_and_named():
    readings = [reading(seq) for seq in range(1, 101) if seq != 57]

    _, verdict = judge(readings, {"a": 0}, {"a": 100})

    assert not verdict.flawless
    assert (1, 99, 0) == (verdict.missing, verdict.delivered, verdict.duplicated)
    assert (MissingRun("a", 57, 57),) == verdict.missing_runs
    assert 2.0 == verdict.longest_gap_s
    assert "a" == verdict.gap_device


def test_a_reading_that_came_twice_is_seen():
    readings = [reading(seq) for seq in range(1, 101)]

    _, verdict = judge([*readings, readings[56]], {"a": 0}, {"a": 100})

    assert not verdict.flawless
    assert (0, 1) == (verdict.missing, verdict.duplicated)


def test_a_repetition_with_another_value_is_a_repetition():
    readings = [reading(1), replace(reading(1), value=1)]

    assert 1 == judge(readings, {"a": 0}, {"a": 1})[1].duplicated


def test_the_end_that_did_not_arrive_is_lost():
    _, verdict = judge([reading(1)], {"a": 0, "b": 7}, {"a": 3, "b": 9})

    assert 4 == verdict.missing
    assert (MissingRun("a", 2, 3), MissingRun("b", 8, 9)) == verdict.missing_runs


def test_what_was_made_before_or_after_the_trial_does_not_count():
    readings = [reading(seq) for seq in (1, 1, 2, 3, 4, 4)]
    readings += [reading(1, "stranger"), replace(reading(9), seq=None), reading(2**60)]

    judged, verdict = judge(readings, {"a": 1}, {"a": 3})

    assert verdict.flawless
    assert 2 == verdict.made
    assert 5 == judged.foreign


def test_the_newest_are_there_when_each_device_has_its_last():
    judged = Judge({"a": 0, "b": 4})
    judged.see(reading(3))

    assert judged.newest_there({"a": 3, "b": 4})
    assert not judged.newest_there({"a": 3, "b": 5})
    assert not judged.newest_there({"a": 2})


def test_missing_goes_down_as_readings_arrive():
    judged = Judge({"a": 0})
    after = {"a": 3}

    assert 3 == judged.missing(after)
    for left in (2, 1, 0):
        judged.see(reading(3 - left))
        assert left == judged.missing(after)


def test_alerts_of_the_trial_are_counted_once():
    readings = [reading(1, priority=Priority.ALERT)] * 2 + [reading(2)]

    assert 1 == judge(readings, {"a": 0}, {"a": 2})[1].alerts


def test_many_losses_are_told_in_bounds():
    readings = [reading(seq) for seq in range(1, 201) if seq % 2]

    _, verdict = judge(readings, {"a": 0}, {"a": 200})

    assert 100 == verdict.missing
    assert RUNS_MAX == len(verdict.missing_runs)


@given(st.lists(st.integers(1, 60), max_size=120), st.integers(0, 20), st.integers(20, 60))
def test_the_judge_agrees_with_a_plain_count(seqs, before, after):
    _, verdict = judge([reading(seq) for seq in seqs], {"a": before}, {"a": after})

    wanted = [seq for seq in seqs if before < seq <= after]
    assert verdict.missing == len(set(range(before + 1, after + 1)) - set(wanted))
    assert verdict.duplicated == len(wanted) - len(set(wanted))
    listed = [s for run in verdict.missing_runs for s in range(run.first, run.last + 1)]
    if len(verdict.missing_runs) < RUNS_MAX:
        assert sorted(set(range(before + 1, after + 1)) - set(wanted)) == listed


@pytest.mark.parametrize("after", [{}, {"a": 0}, {"a": 2}])
def test_a_trial_without_readings_is_judged_too(after):
    _, verdict = judge([], {"a": 2}, after)

    assert (0, 0.0) == (verdict.made, verdict.longest_gap_s)
