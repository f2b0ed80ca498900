"""A ground station's store, looked at and verified."""

import sqlite3

import pytest

from dunes.buffer.frame import make_frame, parse_frame
from dunes.buffer.frameheader import NO_HASH
from dunes.buffer.payload import pack_readings
from dunes.buffer.records import DropReason, Head, Tombstone
from dunes.crypto.signing import SigningKey
from dunes.model import Priority, Reading
from dunes.secrets import Secret
from dunes.uplink.audit import audit
from dunes.uplink.enroll import AlreadyEnrolled, Standing, enroll, find_gateway, revoke_gateway
from dunes.uplink.ground import GroundStation
from dunes.uplink.overlook import look_at_ground
from dunes.uplink.protocol import SignedTombstone, encode_batch, split_batch

GATEWAY, TABLE, EPOCH = "gw-one", "lunar_telemetry", bytes(range(16))


@pytest.fixture(scope="module")
def signer():
    return SigningKey.generate()


@pytest.fixture
def station(tmp_path, signer):
    enroll(tmp_path, GATEWAY, signer.public.pem, Secret("right"))
    made = GroundStation.open(tmp_path)
    yield made
    made.close()


@pytest.fixture
def batch(signer):
    frames, prev = [], NO_HASH
    for no in range(1, 21):
        packed = pack_readings([Reading("d", "co2", 1.0, "ppm", no, Priority.ROUTINE, no)], 2)
        frames.append(make_frame(packed, epoch=EPOCH, no=no, first_msg=no, prev_hash=prev))
        prev = frames[-1].hash

    def make(first, last):
        top = frames[last - 1]
        head = Head(GATEWAY, TABLE, EPOCH, 2, last, top.hash, last, 0, 5).sign(signer)
        return encode_batch([*(f.encoded for f in frames[first - 1 : last]), head.encoded])

    return make


def take(station, batch):
    return station.take(find_gateway(station.buffer, GATEWAY), TABLE, EPOCH, batch)


def test_a_gap_that_is_owed_is_no_damage(station, batch, tmp_path):
    for first, last in ((1, 5), (9, 12), (16, 20)):
        take(station, batch(first, last))
    report = audit(tmp_path, station.buffer, TABLE, deep=True)
    assert (True, []) == (report.intact, report.findings)
    row = next(r for r in look_at_ground(tmp_path).lanes if r.lane == "routine")
    assert (14, 5, 6) == (row.readings, row.complete_readings, row.missing_frames)
    take(station, batch(6, 8))
    take(station, batch(13, 15))
    report = audit(tmp_path, station.buffer, TABLE, deep=True)
    assert (True, 20) == (report.intact, report.readings)
    row = next(r for r in look_at_ground(tmp_path).lanes if r.lane == "routine")
    assert (20, 20, 0) == (row.readings, row.complete_readings, row.missing_frames)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE frame SET body = zeroblob(length(body)) WHERE no = 3",
        "DELETE FROM frame WHERE no = 3",
        "DELETE FROM frame WHERE no = 20",
        "UPDATE head_sig SET record = zeroblob(length(record))",
    ],
)
def test_damage_to_the_store_is_found(station, batch, tmp_path, damage):
    take(station, batch(1, 20))
    station.close()
    with sqlite3.connect(tmp_path / "ground.db") as raw:
        raw.execute(damage)
    raw.close()
    assert not audit(tmp_path, station.buffer, TABLE, deep=True).intact


def test_counting_survives_a_restart_with_frames_above_a_gap(station, batch, tmp_path):
    take(station, batch(9, 12))
    station.close()
    again = GroundStation.open(tmp_path)
    receipt, _ = take(again, batch(1, 5))
    assert (5, 12, ((6, 8),)) == (
        receipt.lanes[2].cum,
        receipt.lanes[2].max_seen,
        receipt.lanes[2].gaps,
    )
    receipt, _ = take(again, batch(6, 8))
    assert (12, ()) == (receipt.lanes[2].cum, receipt.lanes[2].gaps)
    again.close()


def test_a_receipt_number_grows_with_what_is_stored_and_with_nothing_else(station, batch):
    numbers = [take(station, batch(1, 5))[0].receipt_no for _ in range(2)]
    numbers.append(station.receipt(GATEWAY, TABLE, EPOCH).receipt_no)
    numbers.append(take(station, batch(4, 7))[0].receipt_no)
    assert [1, 1, 1, 2] == numbers


def test_a_stream_never_heard_of_is_an_empty_receipt(station):
    receipt = station.receipt(GATEWAY, TABLE, b"x" * 16)
    receipt.verify(station.public)
    assert (0, 0) == (receipt.receipt_no, receipt.lanes[2].cum)


def test_enrolling_again_is_harmless_and_another_key_is_refused(tmp_path, station, signer):
    assert not enroll(tmp_path, GATEWAY, signer.public.pem, Secret("right"))
    assert enroll(tmp_path, GATEWAY, signer.public.pem, Secret("changed"))
    other = SigningKey.generate().public.pem
    with pytest.raises(AlreadyEnrolled):
        enroll(tmp_path, GATEWAY, other, Secret("right"))
    assert revoke_gateway(station.buffer, GATEWAY)
    assert not revoke_gateway(station.buffer, GATEWAY)
    assert Standing.REVOKED is find_gateway(station.buffer, GATEWAY).standing
    assert enroll(tmp_path, GATEWAY, signer.public.pem, Secret("right"))
    assert Standing.ENROLLED is find_gateway(station.buffer, GATEWAY).standing


def test_the_api_key_itself_is_nowhere_in_the_store(tmp_path, signer):
    secret = "a-planted-secret-key"
    enroll(tmp_path, GATEWAY, signer.public.pem, Secret(secret))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


def test_what_is_dropped_is_counted_once_however_it_is_declared(station, signer, batch):
    _, records = zip(*split_batch(batch(1, 20)), strict=True)
    frames = [parse_frame(record) for record in records[:-1]]

    def tomb(first, last):
        record = Tombstone(
            EPOCH,
            2,
            first,
            last,
            first,
            last - first + 1,
            frames[first - 1].header.prev_hash,
            frames[last - 1].hash,
            DropReason.QUOTA,
            5,
        )
        return encode_batch([SignedTombstone.make(record, signer).encoded])

    counts = []
    for given in (tomb(1, 2), tomb(3, 4), tomb(1, 4), tomb(1, 8), batch(7, 9), tomb(1, 6)):
        take(station, given)
        with station.buffer.reading() as connection:
            lane = station.buffer.lanes(connection, station.buffer.streams()[0])[2]
        counts.append((lane.cum_no, lane.dropped_msgs, lane.msgs))
    assert [(2, 2, 0), (4, 4, 0), (4, 4, 0), (8, 8, 0), (9, 6, 3), (9, 6, 3)] == counts
