"""Core statements, compiled once for a dialect and then run as plain driver SQL.

Core's own overhead is some 30 µs an execution (benchmarks/bench_buffer.py); the
statements of the write path are few, so they are compiled once and keep Core's
portability between SQLite and PostgreSQL.
"""

from typing import Any

from sqlalchemy import ClauseElement, Connection, CursorResult, Dialect

# a value bound under this name is taken from the call
Parameters = dict[str, Any]


class Prepared:
    """One statement with named parameters."""

    __slots__ = ("_compiled", "_statement")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None, Parameters]] = {}

    def __call__(self, connection: Connection, **given: Any) -> CursorResult[*tuple[Any, ...]]:
        """Run it; values are handed to the driver as they are."""
        sql, order, fixed = self._for(connection.dialect)
        values = fixed | given if fixed else given
        if order is None:
            return connection.exec_driver_sql(sql, values)
        return connection.exec_driver_sql(sql, tuple([values[name] for name in order]))

    def _for(self, dialect: Dialect) -> tuple[str, tuple[str, ...] | None, Parameters]:
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled: Any = self._statement.compile(dialect=dialect)
            fixed = {k: v for k, v in compiled.params.items() if v is not None}
            order = tuple(compiled.positiontup) if compiled.positiontup is not None else None
            found = (str(compiled), order, fixed)
            self._compiled[dialect.name] = found
        return found
