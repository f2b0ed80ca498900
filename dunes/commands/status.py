"""`dunes status`: link, mesh, queue and destinations on one page."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit
from dunes.units import duration_s, show_duration, show_size

if TYPE_CHECKING:
    from dunes.overview import DestinationPart, LinkPart, Status


@command(schema="dunes.status/1", report="dunes.overview:Status")
def status(
    screen: Screen,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, a line for each look, until Ctrl-C.")
    ] = False,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="With --watch: time between two looks.")
    ] = "2s",
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="With --watch: stop after this long."),
    ] = None,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the dish may take to answer.")
    ] = "2s",
) -> int:
    """Say how things stand: link, mesh, what is queued, what was delivered."""
    from dunes.overview import look
    from dunes.settings import load

    timeout_s, every_s = duration_s(timeout), duration_s(every)
    stop_after_s = duration_s(for_) if for_ is not None else None
    settings = load()
    if not watch:
        screen.show(look(settings, timeout_s=timeout_s), lines)
        return Exit.OK
    import time

    began_s = time.monotonic()
    while stop_after_s is None or time.monotonic() - began_s < stop_after_s:
        looked_s = time.monotonic()
        screen.show(look(settings, timeout_s=timeout_s), brief)
        time.sleep(max(0.0, looked_s + every_s - time.monotonic()))
    return Exit.OK


def lines(report: "Status") -> Iterator[str]:
    """Write the page."""
    yield f"gateway      {report.gateway or 'no name yet (mcp init)'}"
    if report.site:
        yield f"site         {report.site} (simulated)"
    yield f"link         {link_line(report.link)}"
    if report.held_until:
        yield f"uplink       held until {report.held_until} (a rehearsed outage)"
    yield f"mesh         {report.mesh.state}" + (f" ({report.mesh.id})" if report.mesh.id else "")
    if report.mesh.owner:
        yield f"             used by {report.mesh.owner}"
    if not report.tables:
        yield "queue        nothing buffered yet (dunes ingest)"
    else:
        yield ""
        rows = [
            [
                table.table,
                lane.lane,
                str(lane.readings),
                str(lane.frames),
                show_size(lane.size_bytes),
                "-" if lane.oldest_age_s is None else show_duration(lane.oldest_age_s),
                str(lane.dropped_readings + lane.refused_readings or "-"),
            ]
            for table in report.tables
            for lane in table.lanes
        ]
        heads = ["TABLE", "LANE", "READINGS", "FRAMES", "SIZE", "OLDEST", "LOST"]
        yield from table_lines(heads, rows)
    if not report.destinations:
        yield "destination  none yet (mcp init)"
        return
    yield ""
    yield from table_lines(
        ["DESTINATION", "LAST RECEIPT", "WAITING", "URL"],
        [destination_row(row) for row in report.destinations],
    )


def link_line(link: "LinkPart") -> str:
    """Write the link in one line."""
    words = [link.state]
    if link.cause:
        words.append(f"({printable(link.cause)})")
    if link.since:
        words.append(f"since {link.since}")
    if link.degraded:
        words.append("degraded: " + ", ".join(link.degraded))
    if link.simulated:
        words.append("(simulated)")
    return " ".join(words)


def destination_row(row: "DestinationPart") -> list[str]:
    """Write a destination as a row of the table."""
    age_s = row.last_receipt_age_s
    frames = sum(part.frames for part in row.waiting)
    return [
        row.name + (" (simulated)" if row.simulated else ""),
        "never" if age_s is None else f"{show_duration(max(0.0, age_s))} ago",
        f"{frames} frames",
        printable(row.url) or "not in the profile",
    ]


def brief(report: "Status") -> Iterator[str]:
    """Write one look as one line."""
    lanes = [lane for table in report.tables for lane in table.lanes]
    readings = sum(lane.readings for lane in lanes)
    size = sum(lane.size_bytes for lane in lanes)
    ages = [lane.oldest_age_s for lane in lanes if lane.oldest_age_s is not None]
    oldest = f", oldest {show_duration(max(ages))}" if ages else ""
    queued = f"queued {readings} readings, {show_size(size)}{oldest}"
    yield f"{report.at}  link {link_line(report.link)}; {queued}"
