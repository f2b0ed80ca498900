"""Make the stored database of the newest revision: run once when a revision is added.

    python tests/databases/make_database.py

It writes rNNNN.db and rNNNN.json beside itself and refuses to change one that is there:
what an older program wrote is evidence, not output.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import apsw

import dunes.uplink.tables  # noqa: F401 - adds its tables to the metadata
from dunes.buffer.ack import AckedLane, apply_receipt
from dunes.buffer.appender import Appender, Mark
from dunes.buffer.cursor import Position
from dunes.buffer.read import stored_frame
from dunes.buffer.repair import repair
from dunes.buffer.schema import REVISION
from dunes.buffer.store import Buffer
from dunes.buffer.verify import Checks, check
from dunes.clock import Clock
from dunes.crypto.framekeys import FrameSealer
from dunes.crypto.identity import Identity
from dunes.crypto.signing import SigningKey
from dunes.crypto.xwing import RecipientKey
from dunes.gateway import saving, tables
from dunes.gateway.devicelinks import DeviceLink
from dunes.gateway.opening import insert_mesh
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone, Progress
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, StackState
from dunes.model import Priority, Reading

HERE = Path(__file__).parent
TABLE = "lunar_telemetry"
T0_US = 1_795_573_800_000_000
SEED = bytes(range(32))
RECIPIENT_KID = "ab" * 16


def reading(i: int, priority: Priority = Priority.ROUTINE) -> Reading:
    """Give reading number i, as every revision's database has it."""
    values = (600 + i % 9, 20.5, True, "ready")
    kinds = (("co2", "ppm"), ("o2", "%"), ("smoke", ""), ("status", ""))
    kind, unit = kinds[i % 4]
    ts_us = T0_US + i * 100_000
    return Reading(f"hab-{i % 3}", kind, values[i % 4], unit, ts_us, priority, i, i % 5 == 0)


def fill(buffer: Buffer, clock_s: list[float]) -> None:
    """Write what a database has after some life: every table has a row."""
    key = SigningKey.from_seed(SEED)
    recipient = RecipientKey.from_xwing_seed(RECIPIENT_KID, SEED)
    plain = Appender(buffer, TABLE, signer=key)
    sealed = Appender(
        buffer,
        TABLE,
        signer=key,
        make_sealer=lambda s: FrameSealer.new(
            [recipient.public], key, s.table, os.urandom(32), T0_US
        ),
    )
    for first in range(0, 200, 20):
        appender = plain if first < 100 else sealed
        appender.extend(reading(i) for i in range(first, first + 20))
        position = Position(7, 99, 100 * first, first, bytes(32), 0)
        appender.commit(mark=Mark("/var/lib/habitat/feed.jsonl", position))
        clock_s[0] += 4
    for i in range(3):
        plain.add(reading(i, Priority.ALERT))
        plain.commit()
    plain.close()
    sealed.close()
    stream = buffer.streams()[0]
    with buffer.reading() as connection:
        point = AckedLane(2, 2, stored_frame(connection, stream.id, 2, 2).hash)
    apply_receipt(buffer, stream, "earth-gs", 1, [point], b"a receipt")
    with buffer.writing() as connection:
        connection.exec_driver_sql("UPDATE frame SET body=zeroblob(9) WHERE lane=2 AND no=5")
    with tempfile.TemporaryDirectory() as aside:
        repair(buffer, check(buffer, TABLE, Checks()), Path(aside))


MESH_ID = "lunar-ble-001"
MESH_UUID = SEED[:16]


def mesh_state() -> ManagerState:
    """Give the mesh of a database; that of revision 0003 has its nodes 7 addresses lower."""
    nets = (NetKeyRecord(0, b"n" * 16, b"N" * 16, Phase.DISTRIBUTION), NetKeyRecord(5, b"m" * 16))
    apps = (AppKeyRecord(0, 0, b"a" * 16, b"A" * 16), AppKeyRecord(7, 5, b"b" * 16))
    nodes = (
        KnownNode(b"u" * 16, 9, 3, b"d" * 16, Progress.CONFIGURED, 9, b"\x01\x02", "hab-1"),
        KnownNode(b"v" * 16, 12, 1, b"e" * 16, net_index=5),
    )
    stack = StackState(
        SeqRecord(6, 3000),
        IvRecord(7, updating=True, age_s=12.5, recovered_age_s=99.25),
        KeysRecord(nets, apps),
        (ReplayEntry(9, 6, 0xFFFFFF), ReplayEntry(12, 7, 0)),
    )
    gone = (NodeGone(13, 2, 5), NodeGone(13, 2, 7))
    return ManagerState(1, stack, nodes, gone, 9, 0x7FF)


def mesh_identity() -> Identity:
    """Give the identity that the mesh's secret is wrapped to."""
    signing = SigningKey.from_seed(SEED)
    return Identity("gw-stored", signing, RecipientKey.from_xwing_seed(signing.kid, SEED))


def fill_mesh(buffer: Buffer) -> None:
    """Write a mesh: every table of it has a row."""
    made = insert_mesh(
        buffer,
        MESH_ID,
        mesh_state(),
        MESH_UUID,
        mesh_identity(),
        clock=buffer.clock,
        replace_it=False,
        above=0,
    )
    with buffer.writing() as connection:
        saving.save_seen(connection, made.id, {9: T0_US})
        group = {"network_id": made.id, "address": 0xC000, "name": "sensors", "parent": 0}
        saving.upsert(connection, tables.group, [group])
        label = {"network_id": made.id, "uuid": SEED[16:], "address": 0x8123, "name": "alarms"}
        saving.upsert(connection, tables.label, [label])
        links = [DeviceLink(1, "cube-sat-001", T0_US, 77), DeviceLink(2, "", T0_US + 1)]
        saving.save_links(connection, made.id, links)
        saving.save_alerts(connection, made.id, [SEED[:16], SEED[16:]])


def main() -> int:
    """Make it, unless it is there."""
    target = HERE / f"r{REVISION}.db"
    if target.exists():
        print(f"{target.name} is there already", file=sys.stderr)
        return 1
    clock_s = [0.0]
    clock = Clock(lambda: clock_s[0], lambda: T0_US + round(clock_s[0] * 1e6))
    with tempfile.TemporaryDirectory() as folder:
        with Buffer.open(f"sqlite:///{folder}/b.db", "gw-stored", clock=clock) as buffer:
            fill(buffer, clock_s)
            fill_mesh(buffer)
        connection = apsw.Connection(f"{folder}/b.db")
        connection.execute("VACUUM INTO ?", (str(target),))
        connection.close()
    about = {
        "revision": REVISION,
        "routine": [i for i in range(200) if i >= 40 and not 80 <= i < 100],
        "alerts": [0, 1, 2],
        "dropped": 20,
        "acknowledged": 40,
        "heads": "signed by the ML-DSA-65 key of seed 00 01 … 1f",
        "mesh": "lunar-ble-001, as mesh_state() of make_database.py was then; its secret is "
        "wrapped to the X-Wing key of the same seed under the kid of that ML-DSA key",
        "sealed": "readings 100 to 199, to the X-Wing key of the same seed, kid abab…",
    }
    (HERE / f"r{REVISION}.json").write_text(json.dumps(about, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
