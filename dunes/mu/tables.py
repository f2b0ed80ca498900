"""A buffer table as a receipt's source: canonical JSON Lines.

One reading a line, names sorted, no spaces, numbers as Python's shortest text, UTF-8.
The same readings in the same order give the same bytes on every machine.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dunes.errors import DataError
from dunes.model import Reading
from dunes.mu.receipt import SOURCE_MAX_BYTES


@dataclass(frozen=True, slots=True)
class TableSource:
    """Readings as a source.

    Attributes:
        data: JSON Lines.
        more: what the statement says of them: table, query, number of rows.
    """

    data: bytes
    more: Mapping[str, Any]


def canonical_line(reading: Reading) -> str:
    """Write one reading."""
    row: dict[str, Any] = {
        "device": reading.device,
        "kind": reading.kind,
        "priority": int(reading.priority),
        "ts_us": reading.ts_us,
        "unit": reading.unit,
        "value": reading.value,
    }
    if reading.seq is not None:
        row["seq"] = reading.seq
    if reading.simulated:
        row["simulated"] = True
    text = json.dumps(
        row, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text + "\n"


def table_source(table: str, query: Mapping[str, Any], readings: Iterable[Reading]) -> TableSource:
    """Make a source of readings.

    Args:
        table: folded name.
        query: which readings were asked for; names and plain values.
        readings: in the order in which the buffer gives them.

    Raises:
        DataError: more than 64 MiB.
    """
    parts, size, rows = [], 0, 0
    for reading in readings:
        line = canonical_line(reading).encode("utf-8")
        size, rows = size + len(line), rows + 1
        if size > SOURCE_MAX_BYTES:
            raise DataError(
                f"the readings are more than {SOURCE_MAX_BYTES} bytes, too many for one receipt",
                hint="narrow the query, e.g. with --since and --until",
                code="too-large",
            )
        parts.append(line)
    more = {"source": {"kind": "table", "table": table, "query": dict(query), "rows": rows}}
    return TableSource(b"".join(parts), more)
