"""`mcp sync`: bring what is buffered to the ground station."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit
from dunes.units import duration_s, show_duration, show_size

if TYPE_CHECKING:
    from dunes.uplink.report import SyncReport


@command(schema="dunes.mcp-sync/1", report="dunes.uplink.report:SyncReport")
def sync(
    screen: Screen,
    buffer: Annotated[
        str, typer.Option(metavar="NAME", help="Which buffer: lunar-data, iot-data, …")
    ],
    destination: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|URL",
            help="Which ground station: a name of the profile, or an https address; default: "
            "the profile's.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what comes, until Ctrl-C.")
    ] = False,
    forget_receipts: Annotated[
        bool,
        typer.Option(
            "--forget-receipts",
            help="The ground station lost its store for good: forget what it acknowledged.",
        ),
    ] = False,
    timeout: Annotated[
        str,
        typer.Option(
            metavar="DURATION", help="Silence after which the link counts as down; then exit 75."
        ),
    ] = "30s",
) -> int:
    """Bring what is buffered to the ground station: each reading once, alerts first."""
    from dunes.errors import TryLater
    from dunes.settings import load
    from dunes.uplink.sync import open_sync

    work = open_sync(load(), buffer, destination, timeout_s=duration_s(timeout))
    if forget_receipts:
        work.forget_receipts()
    left = sum(frames for frames, _ in work.left().values())
    try:
        with screen.progress(f"sync {work.report.buffer}", left, "frames") as progress:

            def show(report: "SyncReport", trouble: str) -> None:
                total = report.frames + report.left_frames
                note = printable(trouble, 120) if trouble and screen.live else None
                progress.update(report.frames, total=total, note=note)
                if watch and screen.json:
                    screen.show(report)

            report = work.run(watch=watch, on_progress=show)
    except TryLater as e:
        if e.hint is None:
            e.hint = "mcp sync again later, or --watch; dunes starlink-status tells about the link"
        queued = work.report
        e.message = (
            f"{e.message}; queued: {queued.left_readings} readings in {queued.left_frames} frames"
        )
        if queued.frames and not screen.json:
            screen.note(f"delivered before that: {queued.readings} readings")
        raise
    finally:
        work.buffer.close()
    screen.show(report, lines)
    return Exit.OK if report.complete or watch else Exit.NO


def lines(report: "SyncReport") -> Iterator[str]:
    """Write the report for people."""
    where = f"{report.destination}{' (simulated)' if report.simulated else ''}"
    if not report.frames and report.complete:
        yield f"{report.buffer} to {where}: nothing was left to send"
    else:
        yield (
            f"{report.buffer} to {where}: {report.readings} readings in {report.frames} frames, "
            f"{show_size(report.sent_bytes)} in {show_duration(report.duration_s)} "
            f"({report.readings_per_s:.0f} readings/s)"
        )
        yield from table_lines(
            ["LANE", "READINGS", "FRAMES", "LEFT"],
            [
                [lane.lane, str(lane.readings), str(lane.frames), str(lane.left_readings or "-")]
                for lane in report.lanes
            ],
        )
        yield (
            f"{report.requests} batches, {report.repeated_frames} frames repeated, "
            f"{report.freed_frames} freed here; receipts signed by {report.station}"
        )
    if report.log_entries is not None:
        entries = "1 entry" if report.log_entries == 1 else f"{report.log_entries} entries"
        yield f"log of receipts: {entries} countersigned by {report.station}"
    for note in report.notes:
        yield f"note: {printable(note)}"
    if not report.complete:
        yield f"left: {report.left_readings} readings in {report.left_frames} frames"
