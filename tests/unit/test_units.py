from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.errors import UsageError
from dunes.units import (
    duration_s,
    frequency_hz,
    length_m,
    rate_bps,
    show_duration,
    show_size,
    size_bytes,
)


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (duration_s, "10m", 600.0),
        (duration_s, "500ms", 0.5),
        (duration_s, "1.5 h", 5400.0),
        (length_m, "10m", 10.0),
        (length_m, "1000m", 1000.0),
        (length_m, "10km", 10_000.0),
        (frequency_hz, "435MHz", 435e6),
        (size_bytes, "10GB", 10_000_000_000),
        (size_bytes, "10GiB", 10 * 1024**3),
        (rate_bps, "10Mbps", 10e6),
    ],
)
def test_a_quantity_is_read_in_the_unit_of_its_option(read, text, expected):
    assert expected == read(text)


@pytest.mark.parametrize(
    "text", ["10", "", "m", "-1m", "1 parsec", "1m1s", "nan m", "1e999m", "٣m"]
)
def test_what_is_no_quantity_is_a_usage_error_with_the_known_units(text):
    with pytest.raises(UsageError) as caught:
        duration_s(text)
    assert "ms" in (caught.value.hint or "") or "0 up" in (caught.value.hint or "")


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_a_usage_error(text):
    with suppress(UsageError):
        assert size_bytes(text) >= 0


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (10e9, "10 GB"), (2e12, "2 TB")],
)
def test_a_size_is_shown_for_people(size, expected):
    assert expected == show_size(size)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.42, "0.42 s"),
        (59.4, "59.4 s"),
        (605, "10m 5s"),
        (3600 * 3 + 240, "3h 4m"),
        (2 * 86400 + 3 * 3600, "2d 3h"),
    ],
)
def test_a_duration_is_shown_for_people(seconds, expected):
    assert expected == show_duration(seconds)
