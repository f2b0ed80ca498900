"""`mcp ground-station query` and `verify`: what was received, and whether it is sound."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.query_options import (
    DEFAULT_LIMIT,
    After,
    Device,
    Format,
    Gateway,
    Kind,
    Limit,
    Since,
    Until,
    Urgency,
)
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit, UsageError
from dunes_mcp.commands.ground_options import Data

if TYPE_CHECKING:
    from dunes.buffer.findings import VerifyReport

FINDINGS_SHOWN = 20
Table = Annotated[str, typer.Option("--table", metavar="NAME", help="Which table or buffer.")]


@command(schema="dunes.query/1", report="dunes.buffer.answer:QueryReport")
def query(
    screen: Screen,
    data: Data,
    table: Table,
    device: Device = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
    priority: Urgency = None,
    gateway: Gateway = None,
    limit: Limit = DEFAULT_LIMIT,
    after: After = "",
    format_: Format = "table",
) -> int:
    """Read received readings back, by gateway, device, kind, time and priority."""
    from dunes.buffer.query import query as find
    from dunes.readout import FORMATS, parse_query, show_readings
    from dunes.uplink.audit import ground_opener
    from dunes.uplink.grounddir import ground_buffer

    if format_ not in FORMATS:
        raise UsageError(f"no format {format_!r}", hint="--format table, json or csv")
    wanted = parse_query(
        device=device,
        kind=kind,
        since=since,
        until=until,
        priority=priority,
        gateway=gateway,
        limit=limit,
        after=after,
    )
    with ground_buffer(data) as buffer:
        answer = find(buffer, buffer.need_table(table), wanted, ground_opener(data, buffer))
        advice = f"mcp ground-station verify --table {table} --deep tells which"
        return show_readings(screen, answer, format_, advice)


@command(schema="dunes.check-buffer/1", report="dunes.buffer.findings:VerifyReport")
def verify(
    screen: Screen,
    data: Data,
    table: Table,
    deep: Annotated[
        bool, typer.Option("--deep", help="Open and read every frame too, not only its hash.")
    ] = False,
) -> int:
    """Verify every received frame of a table: chain, gaps, signatures."""
    from dunes.uplink.audit import audit
    from dunes.uplink.grounddir import ground_buffer

    with ground_buffer(data) as buffer:
        folded = buffer.need_table(table)
        with screen.progress(f"verify {folded}", None, "frames") as bar:
            report = audit(data, buffer, folded, deep=deep, progress=bar.update)
    screen.show(report, lines)
    return Exit.OK if report.intact else Exit.NO


def lines(report: "VerifyReport") -> Iterator[str]:
    """Say what was found, for people."""
    from dunes.units import show_duration

    verdict = "sound" if report.intact else "DAMAGED"
    yield (
        f"{report.table}: {verdict}; {report.readings:,} readings in {report.frames:,} frames, "
        f"checked in {show_duration(report.duration_s)} ({', '.join(report.levels)})"
    )
    rows = [lane for lane in report.lanes if lane.frames or lane.dropped]
    if rows:
        yield from table_lines(
            ["GATEWAY", "EPOCH", "LANE", "READINGS", "FRAMES", "DROPPED", "SIGNATURE"],
            [
                [
                    lane.gateway,
                    lane.epoch[:8],
                    lane.lane,
                    str(lane.readings),
                    str(lane.frames),
                    str(lane.dropped or "-"),
                    lane.signature,
                ]
                for lane in rows
            ],
        )
    for finding in report.findings[:FINDINGS_SHOWN]:
        where = f"{finding.gateway} {finding.lane or ''}".strip()
        yield f"{finding.kind.value}: {where}: {printable(finding.detail)}"
    hidden = len(report.findings) - FINDINGS_SHOWN + report.more_findings
    if hidden > 0:
        yield f"and {hidden:,} more (--json has them)"
    if report.affected:
        yield f"{report.affected:,} readings are affected"
