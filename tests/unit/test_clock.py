from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.clock import Clock, from_us, rfc3339, to_us

MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS)
def test_a_moment_survives_microseconds_exactly(at):
    assert at == from_us(to_us(at))


def test_another_time_zone_is_the_same_moment():
    east = timezone(timedelta(hours=5, minutes=30))
    assert to_us(datetime(2026, 1, 1, 0, 0, tzinfo=UTC)) == to_us(
        datetime(2026, 1, 1, 5, 30, tzinfo=east)
    )


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="without a zone"):
        to_us(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("ts_us", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000, "1970-01-01T00:00:01.5Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ],
)
def test_a_moment_is_written_as_rfc_3339(ts_us, expected):
    assert expected == rfc3339(ts_us)


def test_a_given_clock_is_asked():
    assert datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC) == Clock(unix_us=lambda: 2_000_000).now()
