"""A buffer table as the source of a receipt."""

from pathlib import Path
from typing import TYPE_CHECKING

from dunes.commands.markup_generate import ENDING, Source
from dunes.errors import DataError, UsageError

if TYPE_CHECKING:
    from dunes.settings import Settings


def from_table(
    settings: "Settings", name: str, device: str | None, since: str | None, until: str | None
) -> Source:
    """Read a table's readings as canonical JSON Lines.

    Args:
        settings: tells where buffer and keys are.
        name: table or buffer, in any spelling.
        device: only this device's.
        since: at or after this time, RFC 3339.
        until: before this time, RFC 3339.

    Raises:
        NotFound: no buffer, no such table.
        UsageError: a time that is none.
        DataError: a frame cannot be read, or there are too many readings.
    """
    from dunes.buffer.keyring import Keyring
    from dunes.buffer.query import Query, query
    from dunes.buffer.store import open_buffer
    from dunes.mu.tables import table_source

    asked = {"device": device, "since": since, "until": until}
    wanted = Query(device=device, since_us=_moment(since), until_us=_moment(until))
    keys = Keyring.load(settings)
    with open_buffer(settings, create=False) as buffer:
        table = buffer.need_table(name)
        answer = query(buffer, table, wanted, keys.opener_for(buffer))
        source = table_source(
            table,
            {key: value for key, value in asked.items() if value is not None},
            (found.reading for found in answer.readings),
        )
    if answer.unreadable:
        place, why = answer.problems[0]
        raise DataError(
            f"{answer.unreadable} frames of {table} cannot be read; the first is lane "
            f"{place.lane} frame {place.no}: {why}",
            hint=f"dunes check-buffer --table {table}",
            code="table-unreadable",
        )
    return Source(f"{table}.jsonl", source.data, Path(table + ENDING), source.more)


def _moment(text: str | None) -> int | None:
    """Read an RFC 3339 time into microseconds since 1970."""
    from datetime import datetime

    from dunes.clock import to_us

    if text is None:
        return None
    try:
        return to_us(datetime.fromisoformat(text))
    except ValueError as e:
        raise UsageError(
            f"{text[:40]!r} is not a time with a zone", hint="e.g. 2026-01-05T08:00:00Z"
        ) from e
