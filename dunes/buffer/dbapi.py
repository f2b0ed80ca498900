"""A DB-API 2.0 face on apsw, as much of it as SQLAlchemy's SQLite dialect uses.

apsw brings a SQLite of its own that is newer than the interpreter's (see
`dunes.buffer.engine` for why that matters) and neither begins nor commits behind
anybody's back. Pass this module to `create_engine("sqlite:///…", module=dbapi)`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol

import apsw

apilevel = "2.0"
paramstyle = "qmark"
threadsafety = 1
sqlite_version = apsw.sqlite_lib_version()
sqlite_version_info = tuple(int(part) for part in sqlite_version.split("."))

PARSE_DECLTYPES = 1
PARSE_COLNAMES = 2
Binary = bytes


class Warning(Exception):  # noqa: A001 - the name that DB-API gives it
    """DB-API: an important warning."""


class Error(Exception):
    """DB-API: the base of what a database says.

    Attributes:
        code: SQLite's result code (8 bits), 0 if the error is none of SQLite's.
        extended: SQLite's extended result code.
        errno: what the operating system said, for an I/O error; 0 otherwise.
    """

    code = 0
    extended = 0
    errno = 0


class InterfaceError(Error):
    """DB-API: the interface, not the database."""


class DatabaseError(Error):
    """DB-API: the database; also a damaged file, or one that is none."""


class DataError(DatabaseError):
    """DB-API: the data."""


class OperationalError(DatabaseError):
    """DB-API: disk, locks, memory."""


class IntegrityError(DatabaseError):
    """DB-API: a constraint."""


class InternalError(DatabaseError):
    """DB-API: the database's own mistake."""


class ProgrammingError(DatabaseError):
    """DB-API: our mistake."""


class NotSupportedError(DatabaseError):
    """DB-API: what this database cannot do."""


def translate(error: Exception, db: apsw.Connection | None = None) -> Error:
    """Turn what apsw raises into what SQLAlchemy expects."""
    made: Error
    if isinstance(error, TypeError):
        return InterfaceError(str(error))
    if isinstance(error, apsw.ConstraintError):
        made = IntegrityError(str(error))
    elif isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        made = DatabaseError(str(error))
    elif isinstance(error, (apsw.ConnectionClosedError, apsw.CursorClosedError)):
        return ProgrammingError("Cannot operate on a closed database.")
    else:
        made = OperationalError(f"{type(error).__name__}: {error}")
    made.code = getattr(error, "result", 0)
    made.extended = getattr(error, "extendedresult", made.code)
    if db is not None and isinstance(error, apsw.IOError):
        made.errno = db.system_errno
    return made


@contextmanager
def _translated(db: apsw.Connection | None = None) -> Iterator[None]:
    try:
        yield
    except (apsw.Error, TypeError) as e:
        raise translate(e, db) from e


class WriteLock(Protocol):
    """What a connection holds while it writes, where SQLite alone is not enough."""

    def acquire(self) -> None:
        """Wait for the lock and take it."""
        ...

    def release(self) -> None:
        """Give it back; harmless if it is not held."""
        ...


class Cursor:
    """A DB-API cursor over an apsw cursor."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.arraysize = 1
        self.rowcount = -1
        self.description: tuple[tuple[Any, ...], ...] | None = None
        self.lastrowid: int | None = None
        self._cursor = connection.db.cursor()

    def _trace(self, cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
        """Take the description before the first step: an empty SELECT has none afterwards."""
        found = cursor.get_description()
        self.description = tuple((c[0], None, None, None, None, None, None) for c in found) or None
        return True

    def _forget(self) -> None:
        self.description = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "Cursor":
        """Run one statement."""
        db = self.connection.db
        before = db.total_changes()
        self._forget()
        self._cursor.exec_trace = self._trace
        try:
            self._cursor.execute(sql, parameters)
        except (apsw.Error, TypeError) as e:
            raise translate(e, db) from e
        finally:
            self._cursor.exec_trace = None  # a cycle would keep unfinished statements alive
        if self.description is None:
            self.rowcount = db.total_changes() - before
            self.lastrowid = db.last_insert_rowid()
        else:
            self.rowcount = -1
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> "Cursor":
        """Run one statement for each row (without a trace: it would be called for each)."""
        db = self.connection.db
        before = db.total_changes()
        self._forget()
        with _translated(db):
            self._cursor.executemany(sql, rows)
        self.rowcount = db.total_changes() - before
        return self

    # errors may show only while stepping, so the fetches translate too
    def fetchone(self) -> Any:
        """Give the next row or None."""
        with _translated(self.connection.db):
            return next(self._cursor, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Give up to `size` rows."""
        with _translated(self.connection.db):
            return list(islice(self._cursor, self.arraysize if size is None else size))

    def fetchall(self) -> list[Any]:
        """Give all rows that are left."""
        with _translated(self.connection.db):
            return list(self._cursor)

    def __iter__(self) -> Iterator[Any]:
        """Step over the rows that are left."""
        with _translated(self.connection.db):
            yield from self._cursor

    def close(self) -> None:
        """Forget the statement, finished or not."""
        self._cursor.close(True)

    def setinputsizes(self, _sizes: Any) -> None:
        """DB-API: nothing to do."""

    def setoutputsize(self, _size: int, _column: int | None = None) -> None:
        """DB-API: nothing to do."""


class Connection:
    """A DB-API connection over an apsw connection; begins nothing by itself.

    Attributes:
        db: the apsw connection.
        write_lock: held from `begin_writing` to the end of the transaction, if set.
        isolation_level: always None: transactions are begun by name.
    """

    isolation_level: str | None = None

    def __init__(self, database: str, *, timeout_s: float = 10.0, vfs: str | None = None) -> None:
        with _translated():
            self.db = apsw.Connection(database, vfs=vfs)
            self.db.set_busy_timeout(round(timeout_s * 1000))
        self.write_lock: WriteLock | None = None

    def cursor(self) -> Cursor:
        """Make a cursor."""
        return Cursor(self)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Run one statement on a new cursor."""
        return self.cursor().execute(sql, parameters)

    def begin_writing(self) -> None:
        """Begin a transaction that holds the right to write from the start."""
        if self.write_lock is not None:
            self.write_lock.acquire()
        try:
            with _translated(self.db):
                self.db.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._unlock()
            raise

    def commit(self) -> None:
        """End the transaction, if there is one; with FULL it is on the disk when this returns."""
        self._end("COMMIT")

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        self._end("ROLLBACK")

    def _end(self, how: str) -> None:
        try:
            if self.db.in_transaction:
                with _translated(self.db):
                    self.db.execute(how)
        finally:
            if not self.db.in_transaction:
                self._unlock()

    def _unlock(self) -> None:
        if self.write_lock is not None:
            self.write_lock.release()

    def create_function(
        self, name: str, n_arg: int, function: Callable[..., Any], *, deterministic: bool = False
    ) -> None:
        """Register a function (SQLAlchemy adds `regexp`)."""
        self.db.create_scalar_function(name, function, n_arg, deterministic=deterministic)

    def close(self) -> None:
        """Close; the last one of a database checkpoints, so it does that under the lock."""
        if self.write_lock is not None:
            self.write_lock.acquire()
        try:
            self.db.close(True)
        finally:
            self._unlock()


def connect(database: str, **options: Any) -> Connection:
    """Open a database file (DB-API)."""
    options.pop("check_same_thread", None)
    options.pop("detect_types", None)
    return Connection(database, **options)
