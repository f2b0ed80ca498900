"""One record, a map of names to values, becomes one reading, or a reason why not. Pure.

Field names, the first that is there counts:

    device     device, sensor, node
    kind       kind, quantity, metric
    value      value
    unit       unit, units
    time       time, timestamp, ts: RFC 3339 with a zone
               ts_s, ts_ms, ts_us: a number since 1970 UTC
    seq        seq: the sensor's own running number
    priority   priority: alert, warning, routine (or 0, 1, 2); alert: true
    simulated  simulated: true

A record without a time gets that of its arrival. Other fields are ignored.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dunes.buffer.kinds import KINDS, fold_kind, known_unit, near_units, priority_of
from dunes.clock import US_PER_S, to_us
from dunes.errors import DataError
from dunes.model import NAME, Priority, Reading, Value

TEXT_MAX = 1024
"""Characters of a text value."""
TS_MAX_US = 2**53
"""The year 2255: what every JSON reader holds exactly."""
INT_MAX = 2**63 - 1

SHOWN_MAX = 60
"""Characters of a bad value that a message repeats."""

DEVICE_FIELDS = ("device", "sensor", "node")
KIND_FIELDS = ("kind", "quantity", "metric")
UNIT_FIELDS = ("unit", "units")
TIME_FIELDS = ("time", "timestamp", "ts")
NUMBER_TIMES = {"ts_us": 1, "ts_ms": 1000, "ts_s": US_PER_S}
_KIND = re.compile(r"[a-z][a-z0-9_.]{0,62}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")


class Reason(StrEnum):
    """Why a record is rejected."""

    NOT_UTF8 = "not-utf-8"
    """Bytes that are no text."""
    TOO_LONG = "too-long"
    """Over 1 MiB: nothing a sensor writes."""
    NOT_JSON = "not-json"
    """The JSON does not parse."""
    NOT_AN_OBJECT = "not-an-object"
    """JSON, but not an object."""
    BAD_ROW = "bad-row"
    """A CSV row that does not fit its header."""
    NO_DEVICE = "no-device"
    """Nobody says who measured."""
    BAD_DEVICE = "bad-device"
    """No possible name of a device."""
    NO_KIND = "no-kind"
    """Nobody says what was measured."""
    BAD_KIND = "bad-kind"
    """No possible name of a kind."""
    NO_VALUE = "no-value"
    """There is no value, or null."""
    BAD_VALUE = "bad-value"
    """A value of the wrong type, or out of all range."""
    NOT_FINITE = "not-finite"
    """NaN or infinity."""
    NO_UNIT = "no-unit"
    """This kind has units, and none is given."""
    BAD_UNIT = "bad-unit"
    """A unit that is not known, or not one of this kind."""
    BAD_TIME = "bad-time"
    """No RFC 3339, or out of all range."""
    NO_ZONE = "no-zone"
    """A time without a zone, or a number without its unit."""
    BAD_SEQ = "bad-seq"
    """The running number is no whole number from 0."""
    BAD_PRIORITY = "bad-priority"
    """Not alert, warning or routine."""
    BAD_SERIES = "bad-series"
    """A series without start, interval or values."""


class Rejected(DataError):
    """A record that cannot be a reading."""

    code = "rejected"

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a record need not say.

    Attributes:
        now_us: the time of arrival.
        text_values: values are text, to be read as numbers (CSV).
        device: for records that name none; empty: they are rejected.
    """

    now_us: int
    text_values: bool = False
    device: str = ""


def parse_record(record: Mapping[str, Any], defaults: Defaults) -> Reading:
    """Make a reading of a record.

    Raises:
        Rejected: with the reason.
    """
    device = _device(record, defaults)
    kind = _kind(record)
    value = _value(record, kind, text_values=defaults.text_values)
    unit = _unit(record, kind, value)
    return Reading(
        device,
        kind,
        value,
        unit,
        _time(record, defaults.now_us),
        _priority(record, kind, unit, value),
        _seq(record),
        _truth(record, "simulated"),
    )


def first_of(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Give the first of these fields that is there and not null or empty."""
    for name in names:
        found = record.get(name)
        if found is not None and found != "":
            return found
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


def _device(record: Mapping[str, Any], defaults: Defaults) -> str:
    found = first_of(record, DEVICE_FIELDS) or defaults.device
    if not found:
        raise Rejected(Reason.NO_DEVICE, "no field device says who measured")
    if not isinstance(found, str) or NAME.fullmatch(found) is None:
        raise Rejected(
            Reason.BAD_DEVICE,
            f"device {_shown(found)} is not 1 to 64 of a-z, 0-9, '.', '_', '-'",
        )
    return found


def _kind(record: Mapping[str, Any]) -> str:
    found = first_of(record, KIND_FIELDS)
    if not found:
        raise Rejected(Reason.NO_KIND, "no field kind says what was measured")
    if not isinstance(found, str) or _KIND.fullmatch(folded := fold_kind(found)) is None:
        raise Rejected(
            Reason.BAD_KIND, f"kind {_shown(found)} is not 1 to 63 of a-z, 0-9, '_', letter first"
        )
    return folded


def _value(record: Mapping[str, Any], kind: str, *, text_values: bool) -> Value:
    value = record.get("value")
    if text_values and isinstance(value, str):
        value = _from_text(value)
    if value is None:
        raise Rejected(Reason.NO_VALUE, "there is no value")
    if not isinstance(value, (bool, int, float, str)):
        raise Rejected(Reason.BAD_VALUE, f"value {_shown(value)} is no number, truth or text")
    spec = KINDS.get(kind)
    if spec is not None and isinstance(value, bool) is not spec.alarm:
        wanted = "true or false" if spec.alarm else "a number"
        raise Rejected(Reason.BAD_VALUE, f"{kind} is {wanted}, not {_shown(value)}")
    if isinstance(value, str):
        if spec is not None:
            raise Rejected(Reason.BAD_VALUE, f"{kind} is a number, not the text {_shown(value)}")
        if len(value) > TEXT_MAX:
            detail = f"a text of {len(value)} characters; {TEXT_MAX} at most"
            raise Rejected(Reason.BAD_VALUE, detail)
    else:
        _check_number(value)
    return value


def _check_number(value: float) -> None:
    """Refuse what no sensor measures."""
    if isinstance(value, int):
        if abs(value) > INT_MAX:
            raise Rejected(Reason.BAD_VALUE, "the value has more than 64 bits")
    elif not math.isfinite(value):
        raise Rejected(Reason.NOT_FINITE, f"value {value} is not a finite number")


def _from_text(text: str) -> Value | None:
    """Read a CSV cell: a number or a truth value where it is one, else text."""
    lowered = text.strip().lower()
    if not lowered:
        return None
    if lowered in {"true", "false"}:
        return lowered == "true"
    try:
        return int(lowered) if lowered.lstrip("+-").isdecimal() else float(lowered)
    except ValueError:
        return text


def _unit(record: Mapping[str, Any], kind: str, value: Value) -> str:
    found = first_of(record, UNIT_FIELDS)
    spec = KINDS.get(kind)
    if found is None:
        if spec is None or not spec.units:
            return ""
        if "1" in spec.units:
            return "1"
        raise Rejected(Reason.NO_UNIT, f"{kind} has no unit; it is one of {_list(spec.units)}")
    if not isinstance(found, str):
        raise Rejected(Reason.BAD_UNIT, f"unit {_shown(found)} is no text")
    unit = known_unit(found.strip())
    if isinstance(value, (bool, str)):
        raise Rejected(Reason.BAD_UNIT, f"unit {_shown(found)} of a value that is no number")
    if unit is None or (spec is not None and unit not in spec.units):
        near = near_units(found, kind)
        hint = f"; it is one of {_list(near)}" if near else ""
        raise Rejected(Reason.BAD_UNIT, f"unit {_shown(found)} of {kind} is not known{hint}")
    return unit


def _list(units: tuple[str, ...] | list[str]) -> str:
    return ", ".join(units)


def _time(record: Mapping[str, Any], now_us: int) -> int:
    for name, factor in NUMBER_TIMES.items():
        found = record.get(name)
        if found is not None and found != "":
            return _number_time(name, found, factor)
    found = first_of(record, TIME_FIELDS)
    return now_us if found is None else parse_time(found)


def _number_time(name: str, found: object, factor: int) -> int:
    if isinstance(found, str):
        try:
            found = int(found) if found.isdecimal() else float(found)
        except ValueError:
            found = None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise Rejected(Reason.BAD_TIME, f"{name} is not a number")
    return _in_range(round(found * factor))


def parse_time(found: object) -> int:
    """Read an RFC 3339 time with a zone into µs since 1970 UTC.

    Raises:
        Rejected: no zone, not RFC 3339, or before 1970 or after 2255.
    """
    if isinstance(found, (int, float)):
        raise Rejected(Reason.NO_ZONE, "a time that is a number is named ts_s, ts_ms or ts_us")
    if not isinstance(found, str):
        raise Rejected(Reason.BAD_TIME, f"time {_shown(found)} is no text")
    if _RFC3339.fullmatch(found) is None:
        if _RFC3339.fullmatch(found + "Z") is not None:
            raise Rejected(Reason.NO_ZONE, f"time {_shown(found)} has no zone; add Z for UTC")
        raise Rejected(Reason.BAD_TIME, f"time {_shown(found)} is not like 2026-11-25T02:30:00Z")
    try:
        return _in_range(to_us(datetime.fromisoformat(found.upper())))
    except (ValueError, OverflowError) as e:
        raise Rejected(Reason.BAD_TIME, f"time {_shown(found)}: {e}") from e


def _in_range(ts_us: int) -> int:
    if not 0 <= ts_us < TS_MAX_US:
        raise Rejected(Reason.BAD_TIME, "a time before 1970 or after 2255")
    return ts_us


def _seq(record: Mapping[str, Any]) -> int | None:
    found = record.get("seq")
    if found is None or found == "":
        return None
    if isinstance(found, str) and found.isdecimal():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= INT_MAX:
        raise Rejected(Reason.BAD_SEQ, f"seq {_shown(found)} is no whole number from 0")
    return found


def _priority(record: Mapping[str, Any], kind: str, unit: str, value: Value) -> Priority:
    """What the record says counts; else what the table of kinds says."""
    if _truth(record, "alert"):
        return Priority.ALERT
    found = record.get("priority")
    if found is None or found == "":
        return priority_of(kind, unit, value)
    if isinstance(found, str):
        name = found.strip().upper()
        if name in Priority.__members__:
            return Priority[name]
        if name in {"0", "1", "2"}:
            return Priority(int(name))
    elif isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= Priority.ROUTINE:
        return Priority(found)
    raise Rejected(
        Reason.BAD_PRIORITY, f"priority {_shown(found)} is not alert, warning or routine"
    )


def _truth(record: Mapping[str, Any], name: str) -> bool:
    found = record.get(name)
    return found is True or (isinstance(found, str) and found.strip().lower() in {"true", "1"})
