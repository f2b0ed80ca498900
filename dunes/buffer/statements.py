"""Core statements, compiled once for a dialect and then run by the driver.

Running a statement through Core costs some 30 to 60 µs, more than all else that a
commit of a few hundred readings does in Python (benchmarks/bench_buffer.py). The
statements of the hot paths are few, so each is compiled once; it keeps Core's
portability between SQLite and PostgreSQL and runs in the caller's transaction.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import apsw
from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.exc import DBAPIError, NoResultFound

from dunes.buffer import dbapi
from dunes.errors import LocalError

Row = tuple[Any, ...]


class _Compiled(NamedTuple):
    """A statement's text for a dialect.

    Attributes:
        sql: with the driver's placeholders.
        order: names of the parameters by position; None if they go by name.
        fixed: values that are part of the statement.
    """

    sql: str
    order: tuple[str, ...] | None
    fixed: dict[str, Any]


class Rows:
    """What a statement gives: rows as tuples, fetched as they are asked for."""

    __slots__ = ("_db", "_rows")

    def __init__(self, rows: Any, db: apsw.Connection | None) -> None:
        self._rows, self._db = rows, db

    def __iter__(self) -> Iterator[Row]:
        """Give row after row."""
        try:
            yield from self._rows
        except apsw.Error as e:
            raise _translated(e, self._db) from e

    def fetchall(self) -> list[Row]:
        """Give all rows that are left."""
        try:
            return list(self._rows)
        except apsw.Error as e:
            raise _translated(e, self._db) from e

    def first(self) -> Row | None:
        """Give the first row, None if there is none, and end the statement."""
        try:
            row: Row | None = next(self._rows, None)
        except apsw.Error as e:
            raise _translated(e, self._db) from e
        self.close()
        return row

    def one(self) -> Row:
        """Give the first row; there is one."""
        row = self.first()
        if row is None:
            raise NoResultFound("no row where there must be one")
        return row

    def scalar(self) -> Any:
        """Give the first column of the first row; None if there is no row."""
        row = self.first()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        """Give the first column of the first row; there is one."""
        return self.one()[0]

    def close(self) -> None:
        """End the statement, finished or not."""
        if self._db is None:
            self._rows.close()
        else:
            self._rows.close(True)


def _translated(error: Exception, db: apsw.Connection | None) -> Exception:
    """Say what apsw says the way SQLAlchemy does."""
    return DBAPIError.instance(None, None, dbapi.translate(error, db), dbapi.Error)


class Prepared:
    """One statement with named parameters."""

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def __call__(self, connection: Connection, **given: Any) -> Rows:
        """Run it in the caller's transaction; values go to the driver as they are.

        Raises:
            LocalError: no transaction was begun.
            DBAPIError: what the database says.
        """
        if not connection.in_transaction():
            raise LocalError("a statement outside a transaction")
        dialect = connection.dialect
        sql, order, fixed = self._compiled.get(dialect.name) or self._compile(dialect)
        values = fixed | given if fixed else given
        if order is None:
            return Rows(connection.exec_driver_sql(sql, values), None)
        raw: Any = connection.connection.driver_connection
        db: apsw.Connection = raw.db
        try:
            return Rows(db.execute(sql, [values[name] for name in order]), db)
        except (apsw.Error, TypeError) as e:
            raise _translated(e, db) from e

    def _compile(self, dialect: Dialect) -> _Compiled:
        made: Any = self._statement.compile(dialect=dialect)
        fixed = {name: value for name, value in made.params.items() if value is not None}
        order = None if made.positiontup is None else tuple(made.positiontup)
        found = self._compiled[dialect.name] = _Compiled(str(made), order, fixed)
        return found


def data_version(connection: Connection) -> int | None:
    """Give a number that changes when another connection writes (SQLite); None: unknown."""
    if connection.dialect.name != "sqlite":
        return None
    raw: Any = connection.connection.driver_connection
    return int(raw.db.execute("PRAGMA data_version").get)
