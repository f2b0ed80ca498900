"""A buffer database: opened, migrated, and asked for its streams and lanes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sqlalchemy import Connection, Engine, bindparam, insert, select, update
from sqlalchemy.exc import DBAPIError

from dunes.buffer.engine import READING, make_engine, parse_url, storage_error
from dunes.buffer.frameheader import EPOCH_BYTES, NO_HASH
from dunes.buffer.migrate import migrate
from dunes.buffer.schema import lane as lane_table
from dunes.buffer.schema import stream as stream_table
from dunes.buffer.statements import Prepared
from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.errors import LocalError, NotFound
from dunes.model import GUIDE_TABLES, Priority, check_name, table_name, unknown_table

if TYPE_CHECKING:
    from dunes.settings import Settings

DEFAULT_CAP_BYTES = 10_000_000_000
DEFAULT_ALERT_RESERVE = 5
"""Percent of the cap."""
HARD_STOP = 1.02
"""The file stops growing (SQLITE_FULL) this little above the cap."""
FILE_NAME = "buffer.db"


@dataclass(frozen=True, slots=True)
class Stream:
    """What one gateway writes into one table in one epoch.

    Attributes:
        id: its key in this database.
        gateway: who writes it.
        table: the buffer table.
        epoch: 16 random bytes.
        created_us: when it was begun.
    """

    id: int
    gateway: str
    table: str
    epoch: bytes
    created_us: int


@dataclass(frozen=True, slots=True)
class Lane:
    """The counters of one lane; the names are those of `dunes.buffer.schema.lane`."""

    stream_id: int
    lane: int
    next_no: int
    next_msg: int
    head_hash: bytes
    base_no: int
    base_msg: int
    base_hash: bytes
    frames: int
    msgs: int
    size_bytes: int
    dropped_frames: int
    dropped_msgs: int
    refused_msgs: int
    cum_no: int
    cum_msg: int
    cum_hash: bytes

    @property
    def last_no(self) -> int:
        """The number of the newest frame; 0 before the first."""
        return self.next_no - 1

    @property
    def last_msg(self) -> int:
        """The number of the newest reading; 0 before the first."""
        return self.next_msg - 1


_SELECT_LANE = Prepared(
    select(lane_table).where(
        lane_table.c.stream_id == bindparam("stream_id"), lane_table.c.lane == bindparam("lane_no")
    )
)
_SELECT_LANE_LOCKED = Prepared(
    select(lane_table)
    .where(
        lane_table.c.stream_id == bindparam("stream_id"), lane_table.c.lane == bindparam("lane_no")
    )
    .with_for_update()
)


@dataclass(slots=True)
class Buffer:
    """One buffer database.

    Attributes:
        engine: its SQLAlchemy engine.
        where: its place, for people; no password in it.
        gateway: who writes here; empty at a ground station or for a mere reader.
        cap_bytes: size at which old routine frames give way.
        alert_reserve: percent of the cap kept for alerts.
        clock: for records and intervals.
    """

    engine: Engine
    where: str
    gateway: str = ""
    cap_bytes: int = DEFAULT_CAP_BYTES
    alert_reserve: int = DEFAULT_ALERT_RESERVE
    clock: Clock = SYSTEM_CLOCK
    _owned: list[Connection] = field(default_factory=list, init=False, repr=False)

    @classmethod
    def open(
        cls,
        url: str,
        gateway: str = "",
        *,
        cap_bytes: int = DEFAULT_CAP_BYTES,
        alert_reserve: int = DEFAULT_ALERT_RESERVE,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Open a database, making it or bringing it up to date where needed.

        Raises:
            ConfigError: the URL.
            BufferDamaged: not a database, or somebody else's.
            StorageError: it cannot be opened, or a newer program made it.
            Denied: file modes.
        """
        if gateway:
            check_name(gateway, "gateway")
        engine = make_engine(url, max_bytes=int(cap_bytes * HARD_STOP))
        shown = parse_url(url)
        where = shown.database or "" if shown.get_backend_name() == "sqlite" else repr(shown)
        try:
            migrate(engine)
        except DBAPIError as e:
            engine.dispose()
            raise storage_error(e, where) from e
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, where, gateway, cap_bytes, alert_reserve, clock)

    def own_connection(self) -> Connection:
        """Give a connection for one user who writes often; `close` closes it too."""
        connection = self.engine.connect()
        self._owned = [known for known in self._owned if not known.closed]
        self._owned.append(connection)
        return connection

    def close(self) -> None:
        """Close every connection; the last one of a SQLite file checkpoints it."""
        for connection in self._owned:
            connection.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        """Use the buffer in a `with` statement."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for a short, consistent read.

        Raises:
            StorageError, BufferDamaged, Denied: what the database says, in our words.
        """
        try:
            with (
                self.engine.connect().execution_options(**{READING: True}) as connection,
                connection.begin(),
            ):
                yield connection
        except DBAPIError as e:
            raise storage_error(e, self.where) from e

    @contextmanager
    def writing(self, kept: Connection | None = None) -> Iterator[Connection]:
        """Give a connection whose changes are on the disk, all of them, when this returns.

        Args:
            kept: from `own_connection`, for who writes often; default: one from the pool.

        Raises:
            StorageFull: no space; nothing was changed.
            StorageError, BufferDamaged, Denied: what the database says, in our words.
        """
        try:
            if kept is not None:
                with kept.begin():
                    yield kept
            else:
                with self.engine.begin() as connection:
                    yield connection
        except DBAPIError as e:
            raise storage_error(e, self.where) from e

    @property
    def path(self) -> Path | None:
        """The SQLite file; None on a database server."""
        return Path(self.where) if self.engine.dialect.name == "sqlite" else None

    # -- streams -------------------------------------------------------------------

    def tables(self) -> list[str]:
        """Name every table that was ever written to, in order."""
        with self.reading() as connection:
            query = select(stream_table.c.table_name).distinct()
            return sorted(connection.execute(query).scalars())

    def need_table(self, name: str) -> str:
        """Fold a table's or buffer's name, and make sure that it exists.

        The guide's tables exist from the start, empty.

        Raises:
            NotFound: it does not; the hint has the nearest that do.
            DataError: nothing that could be a table's name.
        """
        known = self.tables()
        folded = table_name(name)
        if folded not in known and folded not in GUIDE_TABLES:
            raise unknown_table(name, sorted({*known, *GUIDE_TABLES}))
        return folded

    def streams(self, table: str | None = None, gateway: str | None = None) -> list[Stream]:
        """List streams, oldest first.

        Args:
            table: only this table's (folded name).
            gateway: only this gateway's.
        """
        query = select(stream_table).order_by(stream_table.c.id)
        if table is not None:
            query = query.where(stream_table.c.table_name == table)
        if gateway is not None:
            query = query.where(stream_table.c.gateway == gateway)
        with self.reading() as connection:
            return [Stream(*row) for row in connection.execute(query)]

    def stream(self, gateway: str, table: str, epoch: bytes) -> Stream:
        """Give one stream.

        Raises:
            NotFound: it is not here.
        """
        with self.reading() as connection:
            found = _find_stream(connection, gateway, table, epoch)
        if found is None:
            raise NotFound(f"no stream {gateway}/{table}/{epoch.hex()}", code="unknown-stream")
        return found

    def add_stream(self, connection: Connection, gateway: str, table: str, epoch: bytes) -> Stream:
        """Find a stream, or make it with its three lanes, in the caller's transaction."""
        if len(epoch) != EPOCH_BYTES or table != table_name(table):
            raise LocalError(f"not a stream: {gateway}/{table}/{epoch.hex()}")
        found = _find_stream(connection, gateway, table, epoch)
        if found is not None:
            return found
        created_us = self.clock.unix_us()
        made = connection.execute(
            insert(stream_table).values(
                gateway=gateway, table_name=table, epoch=epoch, created_us=created_us
            )
        )
        stream_id = int(made.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
        fresh = {"next_no": 1, "next_msg": 1}
        fresh |= dict.fromkeys(("base_no", "base_msg", "cum_no", "cum_msg"), 0)
        fresh |= dict.fromkeys(("frames", "msgs", "size_bytes", "refused_msgs"), 0)
        fresh |= dict.fromkeys(("dropped_frames", "dropped_msgs"), 0)
        hashes = dict.fromkeys(("head_hash", "base_hash", "cum_hash"), NO_HASH)
        connection.execute(
            insert(lane_table),
            [{"stream_id": stream_id, "lane": int(p)} | fresh | hashes for p in Priority],
        )
        return Stream(stream_id, gateway, table, epoch, created_us)

    def writing_stream(self, connection: Connection, table: str) -> Stream:
        """Give the stream that this gateway writes now, making the first one of a table."""
        if not self.gateway:
            raise LocalError("a buffer that was opened without a gateway's name is only read")
        query = (
            select(stream_table)
            .where(stream_table.c.gateway == self.gateway, stream_table.c.table_name == table)
            .order_by(stream_table.c.id.desc())
            .limit(1)
        )
        row = connection.execute(query).first()
        if row is not None:
            return Stream(*row)
        return self.add_stream(connection, self.gateway, table, os.urandom(EPOCH_BYTES))

    def new_epoch(self, table: str) -> Stream:
        """Begin a new stream of a table; what the older ones hold still drains.

        For a buffer that was restored from a copy: its numbers from then on are others
        than those that the ground station knows under the old epoch.
        """
        with self.writing() as connection:
            return self.add_stream(connection, self.gateway, table, os.urandom(EPOCH_BYTES))

    # -- lanes ---------------------------------------------------------------------

    def lane(
        self, connection: Connection, stream_id: int, lane: int, *, lock: bool = False
    ) -> Lane:
        """Give one lane's counters; `lock` keeps other writers out (PostgreSQL)."""
        statement = _SELECT_LANE_LOCKED if lock else _SELECT_LANE
        row = statement(connection, stream_id=stream_id, lane_no=int(lane)).first()
        if row is None:
            raise LocalError(f"stream {stream_id} has no lane {lane}")
        return Lane(*tuple(row))

    def lanes(self, connection: Connection, stream: Stream) -> dict[int, Lane]:
        """Give the counters of a stream's lanes, alerts first."""
        return {int(p): self.lane(connection, stream.id, p) for p in Priority}

    def update_lane(
        self, connection: Connection, stream_id: int, lane: int, **changes: object
    ) -> None:
        """Change some counters of a lane."""
        connection.execute(
            update(lane_table)
            .where(lane_table.c.stream_id == stream_id, lane_table.c.lane == int(lane))
            .values(**changes)
        )


def _find_stream(connection: Connection, gateway: str, table: str, epoch: bytes) -> Stream | None:
    row = connection.execute(
        select(stream_table).where(
            stream_table.c.gateway == gateway,
            stream_table.c.table_name == table,
            stream_table.c.epoch == epoch,
        )
    ).first()
    return None if row is None else Stream(*row)


def buffer_url(settings: "Settings") -> str:
    """Say where the buffer of this installation is."""
    return settings["buffer.url"] or f"sqlite:///{settings.paths.data / FILE_NAME}"


def open_buffer(settings: "Settings", gateway: str = "", *, create: bool = True) -> Buffer:
    """Open the buffer of this installation.

    Args:
        settings: as loaded.
        gateway: who writes; empty for a mere reader.
        create: make the database if there is none.

    Raises:
        NotFound: there is none, and `create` is off.
    """
    url = buffer_url(settings)
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        path = Path(parsed.database)
        if create and not settings["buffer.url"]:
            settings.paths.ready(settings.paths.data)
        elif not create and not path.exists():
            raise NotFound(
                f"there is no buffer yet ({path})",
                hint="dunes ingest --table lunar_telemetry FILE",
                code="no-buffer",
            )
    return Buffer.open(
        url,
        gateway,
        cap_bytes=int(settings["buffer.cap"]),
        alert_reserve=settings["buffer.alert_reserve"],
    )
