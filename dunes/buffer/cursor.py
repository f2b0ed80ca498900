"""How far a followed file was read; written in the transaction that adds its readings.

So a file is taken over exactly once, whatever kills the reader and whenever.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, insert, select

from dunes.buffer import schema
from dunes.buffer.statements import Prepared

MARK_MAX_BYTES = 1024

_C = schema.source_cursor.c
_OF = (_C.source == bindparam("of_source"), _C.table_name == bindparam("of_table"))
_SELECT = Prepared(
    select(_C.device, _C.inode, _C.offset, _C.line, _C.mark, _C.mark_len, _C.updated_us).where(
        *_OF
    )
)
_DELETE = Prepared(delete(schema.source_cursor).where(*_OF))
_INSERT = Prepared(insert(schema.source_cursor))


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file, with what is needed to find the same file again.

    Attributes:
        device: `st_dev`, as a signed 64-bit number.
        inode: `st_ino`, likewise.
        offset: bytes before it were read, and their readings stored.
        line: number of lines before it.
        mark: SHA-256 of the file's first `mark_len` bytes: the inode may be another
            file's by now.
        mark_len: at most 1024 and at most `offset`.
        seen_us: when it was stored; filled in by `load_position`.
    """

    device: int
    inode: int
    offset: int
    line: int
    mark: bytes
    mark_len: int
    seen_us: int = 0


def signed64(number: int) -> int:
    """Fold an unsigned 64-bit number into what the column holds."""
    return number - 2**64 if number >= 2**63 else number


def mark_of(head: bytes) -> bytes:
    """Give the mark of a file that begins with `head`."""
    return hashlib.sha256(head).digest()


def load_position(connection: Connection, source: str, table: str) -> Position | None:
    """Say how far a source was read into a table; None if it never was."""
    row = _SELECT(connection, of_source=source, of_table=table).first()
    return None if row is None else Position(*tuple(row))


def save_position(
    connection: Connection, source: str, table: str, position: Position, now_us: int
) -> None:
    """Store how far a source was read, in the caller's transaction."""
    _DELETE(connection, of_source=source, of_table=table)
    _INSERT(
        connection,
        source=source,
        table_name=table,
        device=position.device,
        inode=position.inode,
        offset=position.offset,
        line=position.line,
        mark=position.mark,
        mark_len=position.mark_len,
        updated_us=now_us,
    )
