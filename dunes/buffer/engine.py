"""SQLAlchemy engines that keep what they acknowledge.

SQLite runs with WAL and `synchronous=FULL`: COMMIT returns after the disk has it.
Its WAL-reset bug (3.7.0 to 3.51.2, sqlite.org/wal.html#walresetbug) damages a database
that two processes write and checkpoint; apsw's wheels are past it. Where apsw was
built against an older library, a lock file of our own serialises the writers.

Transactions are begun by name: `BEGIN IMMEDIATE` unless the connection has the
execution option `dunes_reading`; a transaction that reads first and writes later
would lose against another one.
"""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from dunes.buffer import dbapi
from dunes.errors import ConfigError, DataError, Denied, DunesError, StorageError, StorageFull

SAFE_SQLITE = (3, 51, 3)
"""The first release without the WAL-reset bug."""
PAGE_BYTES = 4096
"""File over payload 1.13; 1.17 to 1.36 with larger pages (benchmarked with 4 kB frames)."""
BUSY_TIMEOUT_S = 10.0
WAL_KEPT_BYTES = 64 * 1024 * 1024
"""A log that a slow reader made grow is cut back to this."""
READING = "dunes_reading"

# sqlite.org/rescode.html
_PERM, _BUSY, _LOCKED, _READONLY = 3, 5, 6, 8
_CORRUPT, _FULL, _CANTOPEN, _NOTADB = 11, 13, 14, 26
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BufferDamaged(DataError):
    """The database file itself is damaged, or is no database."""

    code = "damaged-database"


class BufferBusy(StorageError):
    """Another process holds the right to write for too long."""

    code = "storage-busy"


def sqlite_is_safe() -> bool:
    """Say whether this SQLite is free of the WAL-reset bug."""
    return dbapi.sqlite_version_info >= SAFE_SQLITE


class FileLock:
    """A lock between processes, on a file beside the database.

    Never on the database itself: closing any descriptor of that file would drop the
    locks that SQLite holds on it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held = False

    def acquire(self) -> None:
        """Wait for the lock and take it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._held = True

    def release(self) -> None:
        """Give it back; harmless if it is not held."""
        if self._held:
            self._held = False
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def parse_url(url: str) -> URL:
    """Read a database URL.

    Raises:
        ConfigError: it is none.
    """
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as e:
        raise ConfigError(
            "buffer.url is not a database URL", hint="sqlite:////var/lib/dunes/buffer.db"
        ) from e


def make_engine(url: str, *, max_bytes: int | None = None) -> Engine:
    """Make the engine of a buffer.

    Args:
        url: `sqlite:////absolute/path` or `postgresql+psycopg://…`.
        max_bytes: SQLite only: where the file stops growing (`max_page_count`).

    Raises:
        ConfigError: a URL that is none, or of a database that is not supported here.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(url, parsed.database, max_bytes)
    if parsed.get_backend_name() == "postgresql":
        try:
            return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        except (NoSuchModuleError, ModuleNotFoundError) as e:
            raise ConfigError(
                "PostgreSQL needs the extra dunes-mcp[postgres]",
                hint="pip install 'dunes-mcp[postgres]'",
            ) from e
    raise ConfigError(
        f"buffer.url: {parsed.get_backend_name()} is not supported",
        hint="use sqlite:////path or postgresql+psycopg://user@host/name",
    )


def _sqlite_engine(url: str, database: str | None, max_bytes: int | None) -> Engine:
    if not database or database == ":memory:":
        raise ConfigError(
            "buffer.url: the buffer needs a file", hint="sqlite:////var/lib/dunes/buffer.db"
        )
    engine = create_engine(url, module=dbapi, connect_args={"timeout_s": BUSY_TIMEOUT_S})
    path = Path(database)

    @event.listens_for(engine, "do_connect")
    def make_private(*_ignored: Any) -> None:
        """Give a new database file mode 0600 from the start."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError:
            return  # it is there, or SQLite says better why it cannot be

    @event.listens_for(engine, "connect")
    def prepare(connection: dbapi.Connection, _record: ConnectionPoolEntry) -> None:
        if not sqlite_is_safe():
            connection.write_lock = FileLock(path.with_name(path.name + ".lock"))
        _set_pragmas(connection, max_bytes)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(READING):
            connection.exec_driver_sql("BEGIN DEFERRED")
        else:
            raw: Any = connection.connection.driver_connection
            try:
                raw.begin_writing()
            except dbapi.Error as e:
                raise DBAPIError.instance("BEGIN IMMEDIATE", None, e, dbapi.Error) from e

    return engine


def _set_pragmas(connection: dbapi.Connection, max_bytes: int | None) -> None:
    """Set what each SQLite connection of ours has."""

    def pragma(text: str) -> Any:
        # all rows: an unfinished statement would forbid the first COMMIT
        rows = connection.execute(f"PRAGMA {text}").fetchall()
        return rows[0][0] if rows else None

    pragma(f"page_size={PAGE_BYTES}")
    mode = pragma("journal_mode=WAL")
    # without WAL (a network file system) a commit needs its directory synced as well
    pragma("synchronous=" + ("FULL" if mode == "wal" else "EXTRA"))
    pragma("mmap_size=0")
    pragma("foreign_keys=ON")
    pragma(f"journal_size_limit={WAL_KEPT_BYTES}")
    if max_bytes is not None:
        pragma(f"max_page_count={max(1, max_bytes // PAGE_BYTES)}")


def storage_error(error: DBAPIError, where: str) -> DunesError:
    """Say what a database error means, in our tree.

    Args:
        error: what SQLAlchemy raised.
        where: the database, for people; no password in it.
    """
    original = error.orig
    text = str(original).strip().partition("\n")[0][:300] or "no answer"
    if isinstance(original, dbapi.Error):
        return _sqlite_error(original, text, where)
    if getattr(original, "sqlstate", None) == "53100":  # PostgreSQL: disk_full
        return StorageFull(f"{where}: {text}", hint="free space on the database server")
    return StorageError(f"{where}: {text}", hint="dunes config --show-origin")


def _sqlite_error(error: dbapi.Error, text: str, where: str) -> DunesError:
    code, folder = error.code, Path(where).parent
    if error.errno in _NO_SPACE:  # SQLite itself says "full" for the first of them only
        code = _FULL
    if code == _CANTOPEN and not os.access(folder, os.W_OK):
        code = _PERM
    known: dict[int, tuple[type[DunesError], str, str]] = {
        _FULL: (StorageFull, f"no space left for {where}", f"df -h {folder}"),
        _NOTADB: (
            BufferDamaged,
            f"{where} is not a buffer database",
            "dunes config --show-origin tells where buffer.url comes from",
        ),
        _CORRUPT: (
            BufferDamaged,
            f"{where} is damaged: {text}",
            "dunes check-buffer shows what is affected",
        ),
        _PERM: (Denied, f"{where} cannot be opened: {text}", f"ls -ld {folder} {where}"),
        _READONLY: (Denied, f"{where} cannot be written: {text}", f"ls -ld {folder} {where}"),
        _CANTOPEN: (StorageError, f"{where} cannot be opened: {text}", f"ls -l {folder}"),
        _BUSY: (
            BufferBusy,
            f"{where} is held by another process for over {BUSY_TIMEOUT_S:.0f} s",
            "end the program that holds it, then repeat",
        ),
    }
    known[_LOCKED] = known[_BUSY]
    kind, message, hint = known.get(code, (StorageError, f"{where}: {text}", "dunes doctor"))
    return kind(message, hint=hint)
