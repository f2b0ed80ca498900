"""One record becomes one reading, or is rejected for a reason that helps."""

import pytest

from dunes.buffer.intake.fields import Defaults, Reason, Rejected, parse_record
from dunes.buffer.kinds import KINDS, SPELLINGS, UNIT_OF, priority_of
from dunes.model import Priority, Reading

NOW_US = 1_764_038_000_123_456
GOOD = {
    "device": "hab-1",
    "kind": "co2",
    "value": 612.5,
    "unit": "ppm",
    "time": "2026-11-25T02:30:00.25Z",
}
T_US = 1_795_573_800_250_000


def parse(text_values=False, **changes):
    record = {k: v for k, v in (GOOD | changes).items() if v is not ...}
    return parse_record(record, Defaults(NOW_US, text_values))


def test_a_plain_record_is_a_reading():
    assert Reading("hab-1", "co2", 612.5, "ppm", T_US) == parse()


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"device": ..., "sensor": "s-1"}, "device", "s-1"),
        ({"kind": "CO2"}, "kind", "co2"),
        ({"kind": ..., "metric": "carbon-dioxide"}, "kind", "co2"),
        ({"kind": "temp", "unit": "°C"}, "unit", "Cel"),
        ({"kind": "radiation", "unit": "µSv/h", "value": 13}, "unit", "uSv/h"),
        ({"kind": "radiation", "unit": "μSv/h", "value": 13}, "unit", "uSv/h"),
        ({"kind": "hr", "unit": "bpm", "value": 60}, "unit", "/min"),
        ({"kind": "optical_depth", "unit": ...}, "unit", "1"),
        ({"kind": "door", "value": "open", "unit": ...}, "value", "open"),
        ({"kind": "smoke", "value": False, "unit": ...}, "value", False),
        ({"value": 7}, "value", 7),
        ({"time": "2026-11-25T04:30:00.25+02:00"}, "ts_us", T_US),
        ({"time": "2026-11-25t02:30:00.25z"}, "ts_us", T_US),
        ({"time": ..., "ts_us": T_US}, "ts_us", T_US),
        ({"time": ..., "ts_ms": T_US // 1000}, "ts_us", T_US),
        ({"time": ..., "ts_s": T_US / 1e6}, "ts_us", T_US),
        ({"time": ...}, "ts_us", NOW_US),
        ({"seq": 17}, "seq", 17),
        ({"simulated": True}, "simulated", True),
        ({"priority": "Warning"}, "priority", Priority.WARNING),
        ({"priority": 0}, "priority", Priority.ALERT),
        ({"alert": True}, "priority", Priority.ALERT),
        ({"value": 6000}, "priority", Priority.WARNING),
        ({"value": 9000}, "priority", Priority.ALERT),
        ({"value": 9000, "priority": "routine"}, "priority", Priority.ROUTINE),
        ({"kind": "o2", "value": 19.0, "unit": "%"}, "priority", Priority.ALERT),
        ({"kind": "smoke", "value": True, "unit": ...}, "priority", Priority.ALERT),
        ({"kind": "rover_mood", "unit": ...}, "kind", "rover_mood"),
    ],
    ids=str,
)
def test_what_is_understood(changes, field, value):
    assert value == getattr(parse(**changes), field)


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({"device": ...}, Reason.NO_DEVICE, "who measured"),
        ({"device": "HAB 1"}, Reason.BAD_DEVICE, "'HAB 1'"),
        ({"device": 5}, Reason.BAD_DEVICE, "5"),
        ({"kind": ...}, Reason.NO_KIND, "what was measured"),
        ({"kind": "2much"}, Reason.BAD_KIND, "letter first"),
        ({"kind": ["co2"]}, Reason.BAD_KIND, "co2"),
        ({"value": ...}, Reason.NO_VALUE, "no value"),
        ({"value": None}, Reason.NO_VALUE, "no value"),
        ({"value": "612"}, Reason.BAD_VALUE, "not the text '612'"),
        ({"value": True}, Reason.BAD_VALUE, "a number, not True"),
        ({"value": {"a": 1}}, Reason.BAD_VALUE, "no number, truth or text"),
        ({"value": 2**70}, Reason.BAD_VALUE, "64 bits"),
        ({"value": float("nan")}, Reason.NOT_FINITE, "finite"),
        ({"value": float("-inf")}, Reason.NOT_FINITE, "finite"),
        ({"kind": "smoke", "value": 1, "unit": ...}, Reason.BAD_VALUE, "true or false"),
        ({"kind": "note", "value": "x" * 1025, "unit": ...}, Reason.BAD_VALUE, "1024"),
        ({"unit": ...}, Reason.NO_UNIT, "one of ppm, %"),
        ({"unit": "pmm"}, Reason.BAD_UNIT, "one of ppm, %"),
        ({"unit": "kPa"}, Reason.BAD_UNIT, "one of ppm, %"),
        ({"unit": 5}, Reason.BAD_UNIT, "no text"),
        ({"kind": "rover_mood", "unit": "kPaa"}, Reason.BAD_UNIT, "one of kPa"),
        ({"kind": "door", "value": "open", "unit": "m"}, Reason.BAD_UNIT, "no number"),
        ({"time": "2026-11-25T02:30:00"}, Reason.NO_ZONE, "add Z"),
        ({"time": 1_764_038_000}, Reason.NO_ZONE, "ts_s"),
        ({"time": "yesterday"}, Reason.BAD_TIME, "like 2026"),
        ({"time": "2026-02-30T00:00:00Z"}, Reason.BAD_TIME, "day"),
        ({"time": "1969-12-31T23:59:59Z"}, Reason.BAD_TIME, "1970"),
        ({"time": ..., "ts_us": 2**60}, Reason.BAD_TIME, "2255"),
        ({"time": ..., "ts_us": True}, Reason.BAD_TIME, "not a number"),
        ({"time": ..., "ts_s": float("nan")}, Reason.BAD_TIME, "not a number"),
        ({"seq": -1}, Reason.BAD_SEQ, "from 0"),
        ({"seq": 1.5}, Reason.BAD_SEQ, "from 0"),
        ({"priority": "urgent"}, Reason.BAD_PRIORITY, "alert, warning or routine"),
        ({"priority": 3}, Reason.BAD_PRIORITY, "alert, warning or routine"),
    ],
    ids=str,
)
def test_what_is_rejected_and_why(changes, reason, says):
    with pytest.raises(Rejected) as caught:
        parse(**changes)
    assert reason == caught.value.reason
    assert says in caught.value.detail


@pytest.mark.parametrize(
    ("text", "value"), [("612", 612), ("6.5e2", 650.0), ("-3", -3), (" 7 ", 7)]
)
def test_csv_text_is_read_as_a_number(text, value):
    assert value == parse(text_values=True, value=text).value


def test_csv_text_that_is_no_number_stays_text_or_is_rejected():
    assert "open" == parse(text_values=True, kind="door", value="open", unit="").value
    assert parse(text_values=True, kind="smoke", value="TRUE", unit="").value is True
    for bad, reason in (
        ("nan", Reason.NOT_FINITE),
        ("", Reason.NO_VALUE),
        ("x", Reason.BAD_VALUE),
    ):
        with pytest.raises(Rejected) as caught:
            parse(text_values=True, value=bad)
        assert reason == caught.value.reason


def test_the_table_of_kinds_speaks_of_known_units_only():
    for kind, spec in KINDS.items():
        assert set(spec.units) <= set(SPELLINGS), kind
        assert set(spec.limits) <= set(spec.units), kind
        assert spec.alarm is not bool(spec.units), kind
    assert len(UNIT_OF) == sum(1 + len(others) for others in SPELLINGS.values())


def test_limits_do_not_cry_in_a_quiet_habitat():
    quiet = {"co2": (2500, "ppm"), "o2": (20.95, "%"), "radiation": (57, "uSv/h")}
    quiet |= {"heart_rate": (70, "/min"), "spo2": (97, "%"), "battery": (80, "%")}
    for kind, (value, unit) in quiet.items():
        assert Priority.ROUTINE == priority_of(kind, unit, value)
