"""Snapshots restored, disks cloned, destinations added late, frames dropped or damaged."""

import shutil
import sqlite3
from random import Random

import pytest

from dunes.buffer.appender import Appender
from dunes.buffer.keyrecords import key_records
from dunes.buffer.query import Query, query
from dunes.buffer.store import open_buffer
from dunes.crypto.framekeys import FrameSealer
from dunes.errors import Denied, PeerError
from dunes.model import Priority, Reading
from dunes.secrets import load_secret
from dunes.settings import write_profile
from dunes.uplink.carriers.https import HttpsCarrier
from dunes.uplink.enroll import enroll_gateway, revoke_gateway
from dunes.uplink.errors import GroundWentBack
from dunes.uplink.grounddir import station_identity
from dunes.uplink.sync import open_sync
from dunes.uplink.target import pin_key


def copy_database(gateway, to):
    """Copy the gateway's database as a snapshot of its disk would."""
    with sqlite3.connect(gateway.paths.data / "buffer.db") as raw:
        raw.execute(f"VACUUM INTO '{to}'")
    raw.close()


def restore_database(gateway, snapshot):
    for name in ("buffer.db", "buffer.db-wal", "buffer.db-shm"):
        (gateway.paths.data / name).unlink(missing_ok=True)
    shutil.copy(snapshot, gateway.paths.data / "buffer.db")


def test_a_restored_snapshot_goes_on_under_a_new_epoch_and_loses_nothing(
    gateway, ground, tmp_path
):
    gateway.write(frames=4)
    gateway.sync()
    copy_database(gateway, tmp_path / "snapshot.db")
    gateway.write(frames=4)
    gateway.sync()
    restore_database(gateway, tmp_path / "snapshot.db")
    gateway.write(frames=3, device="after")
    report = gateway.sync()
    assert report.complete
    assert [note for note in report.notes if "set back to an older copy" in note]
    assert 9 == report.readings
    # what was made after the restore is there, once; what was there before, too
    assert sorted([*range(1, 25), *range(25, 34)]) == sorted(ground.seqs())
    assert 0 == gateway.stored_frames()
    gateway.write(frames=1)
    again = gateway.sync()
    assert (3, []) == (again.readings, again.notes)
    with ground.buffer() as buffer:
        assert 2 == len(buffer.streams())


def test_a_restored_snapshot_with_nothing_new_in_it_is_settled_too(gateway, ground, tmp_path):
    gateway.write(frames=4)
    copy_database(gateway, tmp_path / "snapshot.db")
    gateway.write(frames=4)
    gateway.sync()
    restore_database(gateway, tmp_path / "snapshot.db")
    report = gateway.sync()
    assert report.complete
    assert list(range(1, 25)) == ground.seqs()


def test_frames_not_yet_delivered_before_the_restore_are_not_sent_twice(gateway, ground, tmp_path):
    gateway.write(frames=2)
    gateway.sync()
    gateway.write(frames=2)
    copy_database(gateway, tmp_path / "snapshot.db")
    gateway.write(frames=2)
    gateway.sync()
    restore_database(gateway, tmp_path / "snapshot.db")
    gateway.write(frames=2, device="after")
    assert gateway.sync().complete
    assert list(range(1, 25)) == sorted(ground.seqs())


def test_two_senders_with_one_identity_are_told_and_both_deliver(
    gateway, ground, make_gateway, tmp_path
):
    gateway.write(frames=2)
    shutil.copytree(gateway.home, tmp_path / "clone")
    clone = make_gateway("clone")
    clone.seq = dict(gateway.seq)
    gateway.write(frames=3, device="original")
    clone.write(frames=3, device="clone")
    assert gateway.sync().complete
    report = clone.sync()
    assert [note for note in report.notes if "a second gateway has its identity" in note]
    assert report.complete
    devices = [reading.device for reading in ground.readings()]
    assert {"hab-1": 6, "original": 9, "clone": 9} == {d: devices.count(d) for d in set(devices)}
    assert not [note for note in gateway.sync().notes if "identity" in note]


def test_a_conflict_is_kept_as_evidence(gateway, ground, make_gateway, tmp_path):
    gateway.write(frames=1)
    shutil.copytree(gateway.home, tmp_path / "clone")
    clone = make_gateway("clone")
    gateway.write(frames=5, device="original")
    clone.write(frames=2, device="clone")
    gateway.sync()
    clone.sync()
    kept = list((ground.data / "rejected").glob("*.batch"))
    assert 1 == len(kept)
    assert kept[0].stat().st_size > 100


def test_a_contradiction_without_our_own_signature_is_a_lie(
    gateway, ground, monkeypatch, tmp_path
):
    gateway.write(frames=2)
    copy_database(gateway, tmp_path / "snapshot.db")
    gateway.write(frames=2)
    gateway.sync()
    restore_database(gateway, tmp_path / "snapshot.db")

    async def nothing(_self, _gateway, _table):
        return {"streams": []}

    monkeypatch.setattr(HttpsCarrier, "heads", nothing)
    with pytest.raises(PeerError, match="only 2 were ever written here"):
        gateway.sync()
    assert 2 == gateway.stored_frames()


def test_a_destination_that_comes_late_learns_what_it_will_not_get(gateway, ground, make_ground):
    gateway.write(frames=5)
    gateway.sync()
    gateway.write(frames=2)
    late = make_ground(name="late")
    pem = gateway.identity.signing.public.pem
    with late.buffer() as buffer:
        enroll_gateway(buffer, gateway.name, pem, load_secret(gateway.paths, "api-key"))
    entries = dict(gateway.settings["uplink.destinations"])
    entries["late"] = {"url": late.running.url, "tls_sha256": late.running.tls_sha256}
    write_profile(gateway.settings, {"uplink.destinations": entries})
    pin_key(gateway.paths, "late", station_identity(late.data).signing.public)
    report = gateway.sync("late")
    assert (True, 7) == (report.complete, report.frames)
    assert list(range(16, 22)) == late.seqs()
    assert 2 == gateway.stored_frames()  # earth-gs does not have them yet
    assert gateway.sync("earth-gs").complete
    assert list(range(1, 22)) == ground.seqs()
    assert 0 == gateway.stored_frames()


def test_dropped_frames_leave_a_hole_that_is_known_and_the_count_goes_on(gateway, ground):
    buffer = open_buffer(gateway.settings, gateway.name)
    buffer.cap_bytes = 400_000
    appender = Appender(buffer, "lunar_telemetry", signer=gateway.identity.signing)
    for n in range(1, 601):
        text = Random(n).randbytes(600).hex()
        appender.add(Reading("hab", "note", text, "", n, Priority.ROUTINE, n))
        appender.commit()
    appender.close()
    dropped = appender.totals.dropped.msgs
    buffer.close()
    assert dropped > 0
    report = gateway.sync()
    assert report.complete
    assert list(range(dropped + 1, 601)) == ground.seqs()
    with ground.buffer() as opened:
        stream = opened.streams()[0]
        with opened.reading() as connection:
            lane = opened.lanes(connection, stream)[2]
    assert (600, dropped) == (lane.cum_no, lane.dropped_msgs)


def test_a_damaged_frame_costs_only_itself(gateway, ground):
    gateway.write(frames=5)
    with sqlite3.connect(gateway.paths.data / "buffer.db") as raw:
        raw.execute("UPDATE frame SET body = zeroblob(length(body)) WHERE lane = 2 AND no = 3")
    raw.close()
    report = gateway.sync()
    assert (False, 1) == (report.complete, report.lanes[2].damaged_frames)
    assert [note for note in report.notes if "check-buffer" in note and "--repair" in note]
    assert [1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15] == ground.seqs()


def test_sealed_frames_travel_with_their_keys(gateway, ground):
    station = station_identity(ground.data)

    def sealer(stream):
        recipients = [station.recipient.public, gateway.identity.recipient.public]
        random = b"r" * 31 + stream.table[:1].encode()
        return FrameSealer.new(recipients, gateway.identity.signing, stream.table, random, 7)

    buffer = open_buffer(gateway.settings, gateway.name)
    appender = Appender(
        buffer, "lunar_telemetry", signer=gateway.identity.signing, make_sealer=sealer
    )
    for n in range(1, 251):
        appender.add(Reading("hab", "co2", float(n), "ppm", n, Priority.ROUTINE, n))
        appender.commit()
    appender.close()
    buffer.close()
    assert gateway.sync().complete
    with ground.buffer() as opened:

        def opener_for(stream):
            opener = station.frame_opener([gateway.identity.signing.public])
            with opened.reading() as connection:
                for _, record in key_records(connection, stream.id):
                    opener.add_record(record)
            return opener

        found = query(opened, "lunar_telemetry", Query(), opener_for)
        assert list(range(1, 251)) == [item.reading.seq for item in found.readings]


def test_sealed_frames_move_to_a_new_epoch_too(gateway, ground, tmp_path):
    station = station_identity(ground.data)

    def write(first, last):
        def sealer(stream):
            recipients = [station.recipient.public, gateway.identity.recipient.public]
            random = bytes([first]) * 32
            return FrameSealer.new(recipients, gateway.identity.signing, stream.table, random, 7)

        buffer = open_buffer(gateway.settings, gateway.name)
        appender = Appender(
            buffer, "lunar_telemetry", signer=gateway.identity.signing, make_sealer=sealer
        )
        for n in range(first, last + 1):
            appender.add(Reading("hab", "co2", float(n), "ppm", n, Priority.ROUTINE, n))
            appender.commit()
        appender.close()
        buffer.close()

    write(1, 5)
    copy_database(gateway, tmp_path / "snapshot.db")
    write(6, 9)
    gateway.sync()
    restore_database(gateway, tmp_path / "snapshot.db")
    write(10, 12)
    report = gateway.sync()
    assert report.complete
    with ground.buffer() as opened:

        def opener_for(stream):
            opener = station.frame_opener([gateway.identity.signing.public])
            with opened.reading() as connection:
                for _, record in key_records(connection, stream.id):
                    opener.add_record(record)
            return opener

        found = query(opened, "lunar_telemetry", Query(), opener_for)
        assert list(range(1, 13)) == sorted(item.reading.seq for item in found.readings)


def test_a_revoked_gateway_keeps_its_frames(gateway, ground):
    gateway.write()
    with ground.buffer() as buffer:
        assert revoke_gateway(buffer, gateway.name)
    with pytest.raises(Denied, match="may not write here any more"):
        gateway.sync()
    assert 1 == gateway.stored_frames()


def test_a_ground_station_with_a_new_key_begins_anew(gateway, ground, make_ground):
    gateway.write(frames=3)
    gateway.sync()
    gateway.write(frames=1)
    new = make_ground(name="new")
    gateway.join(new)
    report = gateway.sync()
    assert [note for note in report.notes if "has another key than before" in note]
    assert report.complete
    assert [10, 11, 12] == new.seqs()
    assert 0 == gateway.stored_frames()
    assert [] == gateway.sync().notes


def test_a_store_that_is_lost_for_good_is_written_off_on_request(gateway, ground):
    gateway.write(frames=3)
    gateway.sync()
    ground.stop()
    for path in ground.data.glob("ground.db*"):
        path.unlink()
    ground.start()
    gateway.join(ground)
    gateway.write(frames=1)
    with pytest.raises(GroundWentBack) as caught:
        gateway.sync()
    assert "--forget-receipts" in caught.value.hint
    work = open_sync(gateway.settings, "lunar-data", None, timeout_s=5.0)
    work.forget_receipts()
    assert work.run().complete
    work.buffer.close()
    assert [10, 11, 12] == ground.seqs()
    with ground.buffer() as opened, opened.reading() as connection:
        assert 9 == opened.lanes(connection, opened.streams()[0])[2].dropped_msgs
