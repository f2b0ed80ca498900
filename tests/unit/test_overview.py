from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import insert

from dunes.buffer import schema
from dunes.buffer.store import open_buffer
from dunes.clock import Clock
from dunes.gateway.store import MeshStore
from dunes.mesh.managerstate import KnownNode, ManagerState, Progress
from dunes.model import Priority
from dunes.overview import NO_MESH, look
from dunes.settings import load
from dunes.uplink.hold import set_hold

NOW_US = 1_800_000_000_000_000
CLOCK = Clock(unix_us=lambda: NOW_US)


@pytest.fixture
def settings(tmp_path):
    environ = {
        "DUNES_HOME": str(tmp_path),
        "DUNES_STARLINK_DISH_IP": "127.0.0.1",
        "DUNES_STARLINK_ROUTER_IP": "127.0.0.1",
        "DUNES_MESH_ID": "lunar-ble-001",
        "DUNES_GATEWAY_ID": "gw-1",
    }
    (tmp_path / "config.toml").write_text(
        '[uplink.destinations.earth-gs]\nurl = "https://192.0.2.1:8443"\n'
    )
    return load(environ, folder=tmp_path)


def test_an_empty_gateway_says_so_honestly(settings):
    status = look(settings, timeout_s=0.5, clock=CLOCK)
    assert "gw-1" == status.gateway
    assert "unreachable" == status.link.state
    assert (NO_MESH, "lunar-ble-001") == (status.mesh.state, status.mesh.id)
    assert () == status.tables
    (destination,) = status.destinations
    assert ("earth-gs", "", None) == (
        destination.name,
        destination.last_receipt,
        destination.last_receipt_age_s,
    )
    assert not (settings.paths.data / "buffer.db").exists()


def test_a_mesh_is_told_with_its_nodes_and_who_uses_it(settings):
    half = KnownNode(b"u" * 16, 2, 1, b"k" * 16)
    done = KnownNode(b"v" * 16, 3, 1, b"k" * 16, Progress.CONFIGURED)
    state = replace(ManagerState.new(Random(1)), nodes=(half, done))
    with MeshStore.create(settings, "lunar-ble-001", state, holder="dunes mesh-listen"):
        mesh = look(settings, timeout_s=0.5, clock=CLOCK).mesh
        assert mesh.owner.startswith("dunes mesh-listen (process ")
    mesh = look(settings, timeout_s=0.5, clock=CLOCK).mesh
    assert ("lunar-ble-001", "1 of 2 nodes configured", 2, 1, "") == (
        mesh.id,
        mesh.state,
        mesh.nodes,
        mesh.configured,
        mesh.owner,
    )


def add_frames(buffer, *, stored, base_no, next_no, ts_us, acked):
    """Put three frames' worth of counters there, without the frames' content."""
    with buffer.writing() as connection:
        stream = buffer.writing_stream(connection, "lunar_telemetry")
        buffer.update_lane(
            connection, stream.id, Priority.ALERT,
            next_no=next_no, next_msg=next_no, base_no=base_no, base_msg=base_no,
            frames=stored, msgs=stored * 10, size_bytes=stored * 500,
            dropped_msgs=7, refused_msgs=2,
        )  # fmt: skip
        for no in range(base_no + 1, next_no):
            connection.execute(
                insert(schema.frame).values(
                    stream_id=stream.id, lane=0, no=no, n=10, first_msg=no, ts_min=ts_us,
                    ts_max=ts_us, hash=bytes(32), header=bytes(120), body=b"x",
                )
            )  # fmt: skip
        if acked:
            connection.execute(
                insert(schema.ack).values(
                    stream_id=stream.id, destination="earth-gs", lane=0, cum_no=acked,
                    cum_hash=bytes(32),
                )
            )  # fmt: skip
            connection.execute(
                insert(schema.receipt).values(
                    stream_id=stream.id, destination="earth-gs", receipt_no=1,
                    ts_us=NOW_US - 60_000_000, body=b"{}",
                )
            )  # fmt: skip


def test_the_queue_is_told_by_table_and_lane_with_the_age_of_its_oldest(settings):
    with open_buffer(settings, "gw-1") as buffer:
        add_frames(buffer, stored=3, base_no=2, next_no=6, ts_us=NOW_US - 90_000_000, acked=3)
    status = look(settings, timeout_s=0.5, clock=CLOCK)
    (table,) = status.tables
    alert, warning, routine = table.lanes
    assert ("lunar_telemetry", "alert", 30, 3, 1500, 90.0, 7, 2) == (
        table.table, alert.lane, alert.readings, alert.frames, alert.size_bytes,
        alert.oldest_age_s, alert.dropped_readings, alert.refused_readings,
    )  # fmt: skip
    assert (None, 0) == (warning.oldest_age_s, routine.readings)
    (destination,) = status.destinations
    assert ("2027-01-15T07:59:00Z", 60.0) == (
        destination.last_receipt,
        destination.last_receipt_age_s,
    )
    assert [("lunar_telemetry", 2)] == [(w.table, w.frames) for w in destination.waiting]


def test_a_destination_that_never_answered_waits_for_everything(settings):
    with open_buffer(settings, "gw-1") as buffer:
        add_frames(buffer, stored=3, base_no=0, next_no=4, ts_us=NOW_US, acked=0)
    (destination,) = look(settings, timeout_s=0.5, clock=CLOCK).destinations
    assert [3] == [waiting.frames for waiting in destination.waiting]


def test_a_rehearsed_outage_is_told_with_its_end(settings):
    assert "" == look(settings, timeout_s=0.5, clock=CLOCK).held_until
    set_hold(settings.paths, NOW_US - 1, NOW_US + 60_000_000, "rehearsal")
    assert "2027-01-15T08:01:00Z" == look(settings, timeout_s=0.5, clock=CLOCK).held_until
