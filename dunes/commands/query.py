"""`dunes query`: readings back out of the buffer."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.buffer.query import Answer, Found
    from dunes.model import Priority

FORMATS = ("table", "json", "csv")
DEFAULT_LIMIT = 1000
COLUMNS = ("time", "device", "kind", "value", "unit", "priority", "seq", "simulated")


@command(schema="dunes.query/1", report="dunes.buffer.answer:QueryReport")
def query(
    screen: Screen,
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="Table or buffer to read.")
    ],
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="Only this device.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="Only this kind, e.g. co2.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="10m|TIME", help="Not older: an age, or RFC 3339."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="10m|TIME", help="Older: an age, or RFC 3339."),
    ] = None,
    priority: Annotated[
        str | None,
        typer.Option(
            "--priority", metavar="alert|warning|routine", help="Only readings this urgent."
        ),
    ] = None,
    gateway: Annotated[
        str | None, typer.Option("--gateway", metavar="NAME", help="Only this gateway's.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="At most so many; 0: all.")
    ] = DEFAULT_LIMIT,
    after: Annotated[
        str, typer.Option("--after", metavar="CURSOR", help="Go on after an earlier answer.")
    ] = "",
    format_: Annotated[
        str, typer.Option("--format", metavar="table|json|csv", help="How to print them.")
    ] = "table",
) -> int:
    """Read readings back, by device, kind, time and priority; the oldest first."""
    from dunes.buffer.keyring import Keyring
    from dunes.buffer.kinds import fold_kind
    from dunes.buffer.query import Query
    from dunes.buffer.query import query as find
    from dunes.buffer.store import open_buffer
    from dunes.clock import SYSTEM_CLOCK
    from dunes.settings import load

    if format_ not in FORMATS:
        raise UsageError(f"no format {format_!r}", hint="--format table, json or csv")
    now_us = SYSTEM_CLOCK.unix_us()
    wanted = Query(
        device,
        None if kind is None else fold_kind(kind),
        None if since is None else moment_us(since, now_us),
        None if until is None else moment_us(until, now_us),
        _priority(priority),
        gateway,
        limit or None,
        after,
    )
    settings = load()
    keys = Keyring.load(settings)
    with open_buffer(settings, create=False) as buffer:
        answer = find(buffer, buffer.need_table(table), wanted, keys.opener_for(buffer))
        write = {"table": _table, "json": _json, "csv": _csv}["json" if screen.json else format_]
        write(screen, answer)
    if answer.more:
        screen.note(f"there are more: --after {answer.next_cursor}")
    for place, error in answer.problems[:3]:
        screen.warn(f"frame {place.no} of lane {place.lane}: {error.message}")
    if answer.unreadable:
        screen.warn(
            f"{answer.unreadable:,} frames could not be read; dunes check-buffer --table {table} "
            "--deep tells which readings that concerns"
        )
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


def _priority(text: str | None) -> "Priority | None":
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
        row = _row(found)
        row["value"] = str(row["value"]).lower() if row["value"] in (True, False) else row["value"]
        writer.writerow(row)
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
