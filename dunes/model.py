"""The nouns that every room shares: readings, priorities, names."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum

from dunes.errors import DataError, NotFound

Value = float | int | str | bool


class Priority(IntEnum):
    """How urgent a reading is; also the number of its lane. Lower goes first."""

    ALERT = 0
    """A person may be in danger: own frame, sent at once, never dropped unacknowledged."""
    WARNING = 1
    """Needs attention within hours."""
    ROUTINE = 2
    """The daily log."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement of one sensor.

    Attributes:
        device: who measured, e.g. `hab-sensor-001`.
        kind: what was measured, e.g. `co2`.
        value: a finite number, a truth value or a short text.
        unit: UCUM-like unit of the value, e.g. `ppm`; empty where there is none.
        ts_us: when, in microseconds since 1970 UTC, by the sensor's or the gateway's clock.
        priority: which lane it travels in.
        seq: the sensor's own running number, where it has one.
        simulated: made by the simulated site, not by a sensor.
    """

    device: str
    kind: str
    value: Value
    unit: str
    ts_us: int
    priority: Priority = Priority.ROUTINE
    seq: int | None = None
    simulated: bool = False


NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}[a-z0-9]|[a-z0-9]")


def check_name(text: str, what: str) -> str:
    """Give `text` back if it can name a `what` (gateway, device, destination).

    Raises:
        DataError: it is empty, too long (64) or holds other characters than
            lower-case letters, digits, `.`, `_` and `-`.
    """
    if NAME.fullmatch(text) is None:
        raise DataError(
            f"{what} name {text[:80]!r} is not 1 to 64 of a-z, 0-9, '.', '_', '-'",
            hint=f"choose a {what} name such as lunar-001",
            code="bad-name",
        )
    return text


TABLE_ENDINGS = {"data": "telemetry"}
"""The guide calls one store both `lunar-data` (buffer) and `lunar_telemetry` (table)."""

KEPT_TABLES = frozenset({"iot_data", "vitals_data", "mesh_data"})
"""Tables whose own name ends in `data`; their buffers are `iot-data` and so on."""

GUIDE_TABLES = KEPT_TABLES | {"lunar_telemetry", "mars_telemetry", "rover_telemetry"}
"""Tables that the guide names: known before anything is in them, as runbooks sync them."""


def table_name(name: str) -> str:
    """Fold any spelling of a buffer or table to the table's one name.

    Lower case, `-` becomes `_`, and `x_data` becomes `x_telemetry` but for the
    guide's tables that are really called so: `lunar-data`, `lunar_data` and
    `lunar_telemetry` are one store; `iot-data` is `iot_data`.

    Raises:
        DataError: nothing that could be a table's name.
    """
    folded = name.strip().lower().replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", folded):
        raise DataError(
            f"{name[:80]!r} cannot name a table: use letters, digits, '-' and '_', letter first",
            hint="a table is named like lunar_telemetry or lunar-data",
            code="bad-table",
        )
    stem, _, ending = folded.rpartition("_")
    if stem and ending in TABLE_ENDINGS and folded not in KEPT_TABLES:
        return f"{stem}_{TABLE_ENDINGS[ending]}"
    return folded


def buffer_name(table: str) -> str:
    """Give the guide's buffer spelling of a table: `lunar_telemetry` → `lunar-data`."""
    stem, _, ending = table_name(table).rpartition("_")
    return f"{stem}-data" if ending in {"telemetry", "data"} else table_name(table)


def unknown_table(name: str, known: list[str]) -> NotFound:
    """Make the error for a table that is not there, with the nearest that are."""
    near = get_close_matches(table_name(name), known, n=3, cutoff=0.5) or sorted(known)[:5]
    if near:
        hint = "did you mean " + " or ".join(near) + "?"
    else:
        hint = f"nothing is buffered yet: dunes ingest --table {table_name(name)} FILE"
    return NotFound(
        f"no table {table_name(name)!r} in the buffer", hint=hint, code="unknown-table"
    )
