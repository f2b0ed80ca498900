"""Key records as they are stored: who can open a stream's sealed frames."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from dunes.buffer import schema
from dunes.buffer.statements import Prepared
from dunes.crypto.keyrecord import KeyRecord

_K = schema.key_record.c
_ALL = Prepared(
    select(_K.key_id, _K.record)
    .where(_K.stream_id == bindparam("stream_id"))
    .order_by(_K.created_us)
)
_ONE = Prepared(
    select(_K.key_id).where(
        _K.stream_id == bindparam("stream_id"), _K.key_id == bindparam("id_of_key")
    )
)
_ADD = Prepared(insert(schema.key_record))


def key_records(connection: Connection, stream_id: int) -> list[tuple[bytes, bytes]]:
    """Give (key id, record) of every seal epoch that the stream's frames may name.

    Grants are among them, each under an id of its own that no frame names.
    """
    rows: list[Any] = list(_ALL(connection, stream_id=stream_id).fetchall())
    return [(bytes(key_id), bytes(record)) for key_id, record in rows]


def add_key_records(connection: Connection, stream_id: int, records: Iterable[bytes]) -> None:
    """Store key records of a stream; ones that are there stay as they are.

    Raises:
        BadRecord, SuiteRefused: not a key record.
    """
    for encoded in records:
        record = KeyRecord.parse(encoded)
        if _ONE(connection, stream_id=stream_id, id_of_key=record.key_id).first() is None:
            _ADD(
                connection,
                stream_id=stream_id,
                key_id=record.key_id,
                created_us=record.created_us,
                record=encoded,
            )
