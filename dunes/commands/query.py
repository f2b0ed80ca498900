"""`dunes query`: readings back out of the buffer."""

from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import UsageError

DEFAULT_LIMIT = 1000


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
    from dunes.buffer.query import query as find
    from dunes.buffer.store import open_buffer
    from dunes.readout import FORMATS, parse_query, show_readings
    from dunes.settings import load

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
    settings = load()
    keys = Keyring.load(settings)
    with open_buffer(settings, create=False) as buffer:
        answer = find(buffer, buffer.need_table(table), wanted, keys.opener_for(buffer))
        advice = f"dunes check-buffer --table {table} --deep tells which readings that concerns"
        return show_readings(screen, answer, format_, advice)
