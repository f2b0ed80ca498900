"""A gateway that was given another name takes its undelivered readings along.

What was taken in before `mcp init` is under the name that follows from the key. Streams
that no ground station has acknowledged anything of are signed anew under the new name;
others are known on Earth under the old one, and stay.
"""

from collections.abc import Container, Iterator

from sqlalchemy import Connection, delete, exists, select, update

from dunes.buffer import schema
from dunes.buffer.heads import sign_head, store_head, stored_heads
from dunes.buffer.records import Signer
from dunes.buffer.store import Buffer, Stream
from dunes.errors import ConfigError
from dunes.model import Priority

_S, _R, _H = schema.stream.c, schema.receipt.c, schema.head_sig.c


def take_along(buffer: Buffer, table: str, signer: Signer, own_kids: Container[str]) -> int:
    """Give this gateway's present name to what it wrote under another one.

    Args:
        buffer: opened with the present name.
        table: folded name of the table.
        signer: signs the heads anew.
        own_kids: keys under which this gateway ever signed: only streams with a head by
            one of them are ours (a database server may hold those of others).

    Returns:
        How many readings go under the present name from now on.

    Raises:
        ConfigError: some are known to a ground station under the old name, and wait.
    """
    moved = 0
    with buffer.writing() as connection:
        for stream in list(_misnamed(buffer, connection, table, own_kids)):
            waiting = sum(lane.msgs for lane in buffer.lanes(connection, stream).values())
            known = connection.execute(
                select(exists().where(_R.stream_id == stream.id))
            ).scalar_one()
            if known and waiting:
                raise ConfigError(
                    f"{waiting} readings of {table} wait under the name {stream.gateway}, by "
                    f"which ground stations know them; this gateway is now {buffer.gateway}",
                    hint=f"dunes config set gateway.id {stream.gateway}, then mcp sync",
                    code="gateway-renamed",
                )
            if not known:
                _rename(buffer, connection, stream, signer)
                moved += waiting
    return moved


def _misnamed(
    buffer: Buffer, connection: Connection, table: str, own_kids: Container[str]
) -> Iterator[Stream]:
    """Find the streams of a table that we signed under another name."""
    rows = connection.execute(
        select(_S.id, _S.gateway, _S.table_name, _S.epoch, _S.created_us).where(
            _S.table_name == table, _S.gateway != buffer.gateway
        )
    )
    for stream in [Stream(*row) for row in rows]:
        heads = [h for lane in Priority for h in stored_heads(connection, stream.id, lane)]
        if any(head.kid in own_kids for head in heads):
            yield stream


def _rename(buffer: Buffer, connection: Connection, stream: Stream, signer: Signer) -> None:
    """Rename a stream and sign the heads of its lanes anew."""
    connection.execute(
        update(schema.stream).where(_S.id == stream.id).values(gateway=buffer.gateway)
    )
    connection.execute(delete(schema.head_sig).where(_H.stream_id == stream.id))
    renamed = Stream(stream.id, buffer.gateway, stream.table, stream.epoch, stream.created_us)
    now_us = buffer.clock.unix_us()
    for lane in buffer.lanes(connection, renamed).values():
        if lane.last_no > 0:
            head = sign_head(connection, renamed, lane, lane.last_no, signer, now_us)
            store_head(connection, renamed.id, head)
