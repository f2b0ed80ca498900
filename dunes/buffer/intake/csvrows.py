"""CSV: a header names the fields, then each line is a record. Pure.

RFC 4180 with one exception: a field has no line breaks in it, so that one bad line
costs only itself. The header's names are those of `dunes.buffer.intake.fields`, in any
case and order; a comma, a semicolon or a tab separates.
"""

import csv
from collections.abc import Mapping, Sequence

from dunes.buffer.intake.fields import (
    DEVICE_FIELDS,
    KIND_FIELDS,
    NUMBER_TIMES,
    TIME_FIELDS,
    UNIT_FIELDS,
    Reason,
    Rejected,
)
from dunes.errors import DataError

SEPARATORS = ",;\t"
KNOWN = frozenset(
    {*DEVICE_FIELDS, *KIND_FIELDS, *UNIT_FIELDS, *TIME_FIELDS, *NUMBER_TIMES}
    | {"value", "seq", "priority", "alert", "simulated"}
)


class CsvHeader:
    """The first line of a CSV file.

    Args:
        line: without its line end.

    Raises:
        DataError: it names no kind or no value.
    """

    def __init__(self, line: str) -> None:
        text = line.removeprefix("\ufeff")
        self.separator = max(SEPARATORS, key=text.count)
        self.names = [name.strip().lower() for name in _cells(text, self.separator)]
        if "value" not in self.names or not set(KIND_FIELDS) & set(self.names):
            raise DataError(
                "line 1: the CSV header names no kind and value: " + text[:80],
                hint="begin the file with: time,device,kind,value,unit",
                code="bad-csv-header",
            )

    def record(self, line: str) -> Mapping[str, str]:
        """Read a row.

        Raises:
            Rejected: it has more or fewer cells than the header, or a stray quote.
        """
        cells = _cells(line, self.separator)
        if len(cells) != len(self.names):
            detail = f"{len(cells)} cells under a header of {len(self.names)}"
            raise Rejected(Reason.BAD_ROW, detail)
        return dict(zip(self.names, map(str.strip, cells), strict=True))


def _cells(line: str, separator: str) -> Sequence[str]:
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error as e:
        raise Rejected(Reason.BAD_ROW, str(e)) from e


def is_header(line: str) -> bool:
    """Tell whether a line could be a CSV header of telemetry."""
    names = {name.strip().strip('"').lower() for name in line.replace(";", ",").split(",")}
    names |= {name.strip().lower() for name in line.split("\t")}
    return len(names & KNOWN) > 1
