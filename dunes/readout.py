"""Readings for people and programs: what `dunes query` and the ground station's share."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dunes.console import Screen
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.buffer.query import Answer, Found, Query
    from dunes.model import Priority

FORMATS = ("table", "json", "csv")
DEFAULT_LIMIT = 1000
COLUMNS = ("time", "device", "kind", "value", "unit", "priority", "seq", "simulated")


def parse_query(
    *,
    device: str | None,
    kind: str | None,
    since: str | None,
    until: str | None,
    priority: str | None,
    gateway: str | None,
    limit: int,
    after: str,
) -> "Query":
    """Make a query of what options say.

    Raises:
        UsageError: a time or a priority.
    """
    from dunes.buffer.kinds import fold_kind
    from dunes.buffer.query import Query
    from dunes.clock import SYSTEM_CLOCK

    now_us = SYSTEM_CLOCK.unix_us()
    return Query(
        device,
        None if kind is None else fold_kind(kind),
        None if since is None else moment_us(since, now_us),
        None if until is None else moment_us(until, now_us),
        priority_of(priority),
        gateway,
        limit or None,
        after,
    )


def show_readings(screen: Screen, answer: "Answer", format_: str, advice: str) -> int:
    """Print readings as a table, JSON or CSV, and say what could not be read.

    Args:
        screen: where to.
        answer: what was found; its readings are used up.
        format_: one of `FORMATS`; `--json` outranks it.
        advice: what to do about frames that cannot be read.

    Returns:
        The exit status.

    Raises:
        UsageError: another format.
    """
    if format_ not in FORMATS:
        raise UsageError(f"no format {format_!r}", hint="--format table, json or csv")
    write = {"table": _table, "json": _json, "csv": _csv}["json" if screen.json else format_]
    write(screen, answer)
    if answer.more:
        screen.note(f"there are more: --after {answer.next_cursor}")
    for place, error in answer.problems[:3]:
        screen.warn(f"frame {place.no} of lane {place.lane}: {error.message}")
    if answer.unreadable:
        screen.warn(f"{answer.unreadable:,} frames could not be read; {advice}")
        return Exit.NO
    return Exit.OK


def moment_us(text: str, now_us: int) -> int:
    """Read `10m` (ago) or an RFC 3339 time into µs since 1970 UTC."""
    from dunes.buffer.intake.fields import Rejected, parse_time
    from dunes.clock import US_PER_S
    from dunes.units import duration_s

    if "T" in text.upper() or text.count("-") > 1:
        try:
            return parse_time(text)
        except Rejected as e:
            raise UsageError(e.detail, hint="write it like 2026-11-25T02:30:00Z or 10m") from e
    return now_us - round(duration_s(text) * US_PER_S)


def priority_of(text: str | None) -> "Priority | None":
    """Read a priority's name."""
    from dunes.model import Priority

    if text is None:
        return None
    try:
        return Priority[text.upper()]
    except KeyError as e:
        raise UsageError(
            f"no priority {text!r}", hint="--priority alert, warning or routine"
        ) from e


def _row(found: "Found") -> dict[str, object]:
    """Write a reading the way `dunes ingest` reads it."""
    from dunes.clock import rfc3339

    reading = found.reading
    row: dict[str, object] = {
        "device": reading.device,
        "kind": reading.kind,
        "value": reading.value,
        "unit": reading.unit,
        "time": rfc3339(reading.ts_us),
        "priority": reading.priority.name.lower(),
    }
    if reading.seq is not None:
        row["seq"] = reading.seq
    if reading.simulated:
        row["simulated"] = True
    return row


def _json(screen: Screen, answer: "Answer") -> None:
    """Write one object, a reading a line, as they come."""
    import json

    import msgspec

    encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
    out = screen.stdout
    out.write(f'{{"schema":{json.dumps(screen.schema)},"readings":[')
    n = 0
    for found in answer.readings:
        out.write(("," if n else "") + "\n" + encode(_row(found)).decode())
        n += 1
    tail = {
        "count": n,
        "more": answer.more,
        "next": answer.next_cursor,
        "unreadable": answer.unreadable,
    }
    out.write(("\n" if n else "") + "]," + encode(tail).decode()[1:] + "\n")
    out.flush()


def _csv(screen: Screen, answer: "Answer") -> None:
    import csv

    writer = csv.DictWriter(screen.stdout, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for found in answer.readings:
        cells = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in _row(found).items()
        }
        writer.writerow(cells)
    screen.stdout.flush()


def _table(screen: Screen, answer: "Answer") -> None:
    """Write aligned columns, a page at a time, so that memory stays flat."""
    from itertools import islice

    from dunes.buffer.kinds import symbol
    from dunes.clock import rfc3339
    from dunes.console.screen import printable, table_lines

    def rows(page: list["Found"]) -> Iterator[tuple[str, ...]]:
        for found in page:
            reading = found.reading
            value = reading.value
            yield (
                rfc3339(reading.ts_us),
                reading.device,
                reading.kind,
                str(value).lower() if isinstance(value, bool) else printable(str(value), 60),
                symbol(reading.unit),
                reading.priority.name.lower(),
                "" if reading.seq is None else str(reading.seq),
                "simulated" if reading.simulated else "",
            )

    shown = 0
    heads = ("time", "device", "kind", "value", "unit", "priority", "seq", "")
    while page := list(islice(answer.readings, DEFAULT_LIMIT)):
        block = table_lines(heads, rows(page))
        if shown:
            next(block)
        for line in block:
            screen.stdout.write(line + "\n")
        shown += len(page)
    if not shown:
        screen.note("no readings")
    screen.stdout.flush()
