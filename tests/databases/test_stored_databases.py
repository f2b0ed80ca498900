"""Every database that an older program wrote is opened, verified and written on."""

import json
import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import dunes.gateway.tables
import dunes.uplink.tables  # noqa: F401 - both add their tables to the metadata
from dunes.buffer.ack import last_receipt
from dunes.buffer.appender import Appender
from dunes.buffer.cursor import load_position
from dunes.buffer.keyrecords import key_records
from dunes.buffer.migrate import VERSION_TABLE, stored_revision
from dunes.buffer.query import Query, query
from dunes.buffer.read import tombstones
from dunes.buffer.schema import REVISION, metadata
from dunes.buffer.store import Buffer
from dunes.buffer.verify import Checks, check
from dunes.crypto.framekeys import FrameOpener
from dunes.crypto.signing import SigningKey
from dunes.crypto.xwing import RecipientKey
from dunes.gateway import rows
from dunes.gateway.devicelinks import DeviceLink
from dunes.gateway.sealing import FieldSealer
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone, Progress
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, StackState
from dunes.model import Priority, Reading

HERE = Path(__file__).parent
STORED = sorted(HERE.glob("r*.db"))
SEED = bytes(range(32))
TABLE = "lunar_telemetry"


def reading(i: int, priority: Priority = Priority.ROUTINE) -> Reading:
    values = (600 + i % 9, 20.5, True, "ready")
    kind, unit = (("co2", "ppm"), ("o2", "%"), ("smoke", ""), ("status", ""))[i % 4]
    ts_us = 1_795_573_800_000_000 + i * 100_000
    return Reading(f"hab-{i % 3}", kind, values[i % 4], unit, ts_us, priority, i, i % 5 == 0)


def test_there_is_one_for_the_newest_revision():
    assert f"r{REVISION}.db" == STORED[-1].name


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.stem)
def test_a_stored_database_opens_is_sound_and_is_written_on(stored, tmp_path):
    about = json.loads(stored.with_suffix(".json").read_text())
    shutil.copy(stored, tmp_path / "buffer.db")
    key = SigningKey.from_seed(SEED)
    recipient = RecipientKey.from_xwing_seed("ab" * 16, SEED)
    with Buffer.open(f"sqlite:///{tmp_path}/buffer.db", "gw-stored") as buffer:

        def opener_for(stream):
            opener = FrameOpener([recipient], [key.public])
            with buffer.reading() as connection:
                for _, record in key_records(connection, stream.id):
                    opener.add_record(record)
            return opener

        with buffer.engine.connect() as connection:
            assert REVISION == stored_revision(connection)
            context = MigrationContext.configure(
                connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
            )
            assert [] == compare_metadata(context, metadata)
        checks = Checks(deep=True, opener_for=opener_for, keys={key.kid: key.public})
        report = check(buffer, TABLE, checks)
        assert [] == report.findings
        routine = report.lanes[2]
        assert (about["acknowledged"], about["dropped"], "good", "some") == (
            routine.acknowledged,
            routine.dropped,
            routine.signature,
            report.sealed,
        )
        found = [x.reading for x in query(buffer, TABLE, Query(), opener_for).readings]
        alerts = [reading(i, Priority.ALERT) for i in about["alerts"]]
        assert alerts == [x for x in found if x.priority is Priority.ALERT]
        assert [reading(i) for i in about["routine"]] == [
            x for x in found if x.priority is Priority.ROUTINE
        ]
        with buffer.reading() as connection:
            assert (1, b"a receipt") == last_receipt(connection, 1, "earth-gs")
            position = load_position(connection, "/var/lib/habitat/feed.jsonl", TABLE)
            assert (7, 99, 18_000) == (position.device, position.inode, position.offset)
            assert 20 == sum(tomb.n_msgs for tomb in tombstones(connection, 1, 2))
        appender = Appender(buffer, TABLE, signer=key)
        appender.add(reading(200))
        appender.close()
        report = check(buffer, TABLE, checks)
        assert ([], 201) == (report.findings, report.lanes[2].written)


MESH_CASES = [
    # revision, first address for nodes, our elements, alerts that were kept
    ("0003", 2, [], []),
    (
        "0004",
        9,
        [
            DeviceLink(1, "cube-sat-001", 1_795_573_800_000_000),
            DeviceLink(2, "", 1_795_573_800_000_001),
        ],
        [],
    ),
    (
        "0005",
        9,
        [
            DeviceLink(1, "cube-sat-001", 1_795_573_800_000_000, 77),
            DeviceLink(2, "", 1_795_573_800_000_001),
        ],
        [SEED[:16], SEED[16:]],
    ),
]


@pytest.mark.parametrize(
    ("revision", "low", "links", "alerts"), MESH_CASES, ids=[case[0] for case in MESH_CASES]
)
def test_a_stored_mesh_is_read_back_key_by_key(tmp_path, revision, low, links, alerts):
    shutil.copy(HERE / f"r{revision}.db", tmp_path / "buffer.db")
    nets = (NetKeyRecord(0, b"n" * 16, b"N" * 16, Phase.DISTRIBUTION), NetKeyRecord(5, b"m" * 16))
    apps = (AppKeyRecord(0, 0, b"a" * 16, b"A" * 16), AppKeyRecord(7, 5, b"b" * 16))
    nodes = (
        KnownNode(b"u" * 16, low, 3, b"d" * 16, Progress.CONFIGURED, 9, b"\x01\x02", "hab-1"),
        KnownNode(b"v" * 16, low + 3, 1, b"e" * 16, net_index=5),
    )
    stack = StackState(
        SeqRecord(6, 3000),
        IvRecord(7, updating=True, age_s=12.5, recovered_age_s=99.25),
        KeysRecord(nets, apps),
        (ReplayEntry(low, 6, 0xFFFFFF), ReplayEntry(low + 3, 7, 0)),
    )
    gone = (NodeGone(low + 4, 2, 5), NodeGone(low + 4, 2, 7))
    kid = SigningKey.from_seed(SEED).kid
    with (
        Buffer.open(f"sqlite:///{tmp_path}/buffer.db") as buffer,
        buffer.reading() as connection,
    ):
        network = rows.find_network(connection, "lunar-ble-001")
        wraps = rows.load_wraps(connection, network.id)
        own = [RecipientKey.from_xwing_seed(kid, SEED)]
        sealer = FieldSealer.unwrap(network.uuid, wraps, own)
        scribe = rows.Scribe(network.id, network.uuid, 1, sealer, network.iv_written_us)
        expected = ManagerState(1, stack, nodes, gone, low, 0x7FF, elements=1 + len(links))
        assert expected == rows.load_state(connection, network, scribe)
        assert links == rows.load_links(connection, network.id)
        assert alerts == rows.load_alerts(connection, network.id)
