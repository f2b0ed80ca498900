"""Periods under a clock that runs ahead, as that of a simulation does."""

from dunes.mesh.models.node_config import Publication
from dunes.mesh.publishing import ModelKey, Schedule
from dunes.mesh.wire import ModelId

KEY = ModelKey(0, ModelId(0x1100))
TEN_SECONDS = 0x40 | 10


def schedule(pace=1.0):
    made = Schedule(pace=pace)
    made.follow({KEY: Publication(0xC001, period=TEN_SECONDS)}, 100.0)
    return made


def test_a_pace_shortens_periods():
    made = schedule(pace=20.0)
    assert 100.5 == made.next_timer_s()
    assert [KEY] == made.take_due(100.5, {})
    assert 101.0 == made.next_timer_s()


def test_a_period_that_has_begun_goes_on_at_the_new_pace():
    made = schedule()
    made.set_pace(5.0, 104.0)
    assert 105.2 == made.next_timer_s()
    made.set_pace(1.0, 104.2)
    assert 109.2 == round(made.next_timer_s(), 6)


def test_no_pace_makes_a_period_shorter_than_can_be_configured():
    assert 100.1 == schedule(pace=3600.0).next_timer_s()
