import pytest

from dunes.errors import DataError
from dunes.model import buffer_name, check_name, table_name, unknown_table


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lunar-data", "lunar_telemetry"),
        ("lunar_data", "lunar_telemetry"),
        ("lunar_telemetry", "lunar_telemetry"),
        (" Lunar-Telemetry ", "lunar_telemetry"),
        ("iot-data", "iot_data"),
        ("vitals-data", "vitals_data"),
        ("rover", "rover"),
        ("data", "data"),
    ],
)
def test_every_spelling_folds_to_the_table_s_one_name(name, expected):
    assert expected == table_name(name)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a;drop table", "é", "x" * 64, "a.b"])
def test_what_cannot_name_a_table_is_refused(name):
    with pytest.raises(DataError):
        table_name(name)


@pytest.mark.parametrize(
    ("table", "expected"),
    [("lunar_telemetry", "lunar-data"), ("iot_data", "iot-data"), ("rover", "rover")],
)
def test_a_table_has_the_guide_s_buffer_name(table, expected):
    assert expected == buffer_name(table)
    assert table == table_name(buffer_name(table))


def test_an_unknown_table_is_answered_with_the_nearest():
    error = unknown_table("lunar_telemetri", ["lunar_telemetry", "iot_data"])
    assert "lunar_telemetry" in (error.hint or "")
    assert "dunes ingest" in (unknown_table("lunar-data", []).hint or "")


@pytest.mark.parametrize("name", ["gw-1", "a", "hab-sensor-001", "a.b_c", "x" * 64])
def test_a_name_of_small_letters_and_digits_passes(name):
    assert name == check_name(name, "device")


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "x" * 65, "a\n"])
def test_any_other_name_is_refused(name):
    with pytest.raises(DataError):
        check_name(name, "device")
