"""`dunes query`: readings back out of the buffer."""

from typing import Annotated

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
from dunes.errors import UsageError


@command(schema="dunes.query/1", report="dunes.buffer.answer:QueryReport")
def query(
    screen: Screen,
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="Table or buffer to read.")
    ],
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
    """Read readings back, by device, kind, time and priority; the oldest first."""
    from dunes.authority.masking import masked_name
    from dunes.buffer.keyring import Keyring
    from dunes.buffer.query import query as find
    from dunes.buffer.store import open_buffer
    from dunes.model import table_name
    from dunes.readout import FORMATS, parse_query, show_readings
    from dunes.settings import load

    if format_ not in FORMATS:
        raise UsageError(f"no format {format_!r}", hint="--format table, json or csv")
    settings = load()
    wanted = parse_query(
        device=masked_name(settings.paths, table_name(table), device),
        kind=kind,
        since=since,
        until=until,
        priority=priority,
        gateway=gateway,
        limit=limit,
        after=after,
    )
    keys = Keyring.load(settings)
    with open_buffer(settings, create=False) as buffer:
        answer = find(buffer, buffer.need_table(table), wanted, keys.opener_for(buffer))
        advice = f"dunes check-buffer --table {table} --deep tells which readings that concerns"
        return show_readings(screen, answer, format_, advice)
