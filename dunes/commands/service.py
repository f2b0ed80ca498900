"""`dunes service`: a systemd unit for what runs on its own, printed."""

from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError

NAMES = "sync|ingest|ground-station"


@command(schema="dunes.service/1", report="dunes.service:ServiceReport")
def service(
    screen: Screen,
    name: Annotated[
        str, typer.Option("--print", metavar=NAMES, help="Which service's unit to print.")
    ],
    table: Annotated[
        str, typer.Option(help="The buffer table that is ingested or synced.")
    ] = "lunar_telemetry",
    file: Annotated[
        str, typer.Option(metavar="FILE", help="The pipe or growing file to ingest.")
    ] = "/run/dunes/readings",
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the ground station listens.")
    ] = "0.0.0.0:8443",
) -> int:
    """Print a systemd unit for sync, ingest or a ground station; install nothing."""
    import sysconfig
    from pathlib import Path

    from dunes.model import table_name
    from dunes.service import UNITS, unit_file

    if name not in UNITS:
        raise UsageError(f"no service {name[:80]!r}", hint=f"one of: {', '.join(UNITS)}")
    places = {"table": table_name(table), "file": file, "listen": listen}
    report = unit_file(name, Path(sysconfig.get_path("scripts")), places)
    screen.show(report, lambda made: [made.unit.rstrip("\n")])
    return Exit.OK
