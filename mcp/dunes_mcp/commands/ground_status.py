"""`mcp ground-station status`: what it holds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dunes.console import Screen, command
from dunes.console.screen import table_lines
from dunes.errors import Exit
from dunes.units import show_size
from dunes_mcp.commands.ground_options import Data

if TYPE_CHECKING:
    from dunes.uplink.overlook import GroundStatus


@command(schema="dunes.ground-station-status/1", report="dunes.uplink.overlook:GroundStatus")
def status(screen: Screen, data: Data) -> int:
    """Say what this ground station holds, by gateway, table and lane."""
    from dunes.uplink.overlook import look_at_ground

    screen.show(look_at_ground(data), lines)
    return Exit.OK


def lines(report: "GroundStatus") -> Iterator[str]:
    """Write the report for people."""
    serving = f"served by process {report.running}" if report.running else "not served now"
    yield f"{report.data}: {serving}, {show_size(report.size_bytes)}"
    yield f"receipts signed by {report.station or 'no key yet'} ({report.public_key})"
    if report.rejected:
        yield f"{report.rejected} batches contradicted what was stored; see {report.data}/rejected"
    yield ""
    if report.gateways:
        yield from table_lines(
            ["GATEWAY", "STANDING", "KEY", "SINCE"],
            [[g.gateway, g.standing, g.kid, g.enrolled_at] for g in report.gateways],
        )
    else:
        yield "no gateway is enrolled"
    rows = [lane for lane in report.lanes if lane.frames or lane.dropped_readings]
    if rows:
        yield ""
        yield from table_lines(
            ["GATEWAY", "TABLE", "LANE", "READINGS", "FRAMES", "MISSING", "DROPPED", "NEWEST"],
            [
                [
                    lane.gateway,
                    lane.table,
                    lane.lane,
                    str(lane.readings),
                    str(lane.frames),
                    str(lane.missing_frames or "-"),
                    str(lane.dropped_readings or "-"),
                    lane.last_at or "-",
                ]
                for lane in rows
            ],
        )
