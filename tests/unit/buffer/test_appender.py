"""The writing side: what commit gives back is stored, chained and counted."""

import hashlib
import itertools
import os
from dataclasses import replace

import pytest

from dunes.buffer.appender import Appender, Mark
from dunes.buffer.cursor import Position, load_position
from dunes.buffer.frame import check_link, open_readings, parse_frame
from dunes.buffer.frameheader import NO_HASH
from dunes.buffer.group import Group, Limits
from dunes.buffer.heads import stored_heads
from dunes.buffer.keyrecords import key_records
from dunes.buffer.read import chain_point, stored_frame, stored_frames
from dunes.buffer.thread import AppenderThread
from dunes.clock import SYSTEM_CLOCK
from dunes.crypto.framekeys import FrameOpener, FrameSealer
from dunes.crypto.xwing import RecipientKey
from dunes.errors import LocalError, NotFound
from dunes.model import Priority


def lane_of(buffer, lane=Priority.ROUTINE):
    stream = buffer.streams()[-1]
    with buffer.reading() as connection:
        return buffer.lane(connection, stream.id, lane)


def frames_of(buffer, lane=Priority.ROUTINE):
    with buffer.reading() as connection:
        stream = buffer.streams()[-1]
        return [parse_frame(x.encoded) for x in stored_frames(connection, stream.id, int(lane))]


def test_what_was_committed_is_stored_in_a_chain(buffer, appender, fill, reading):
    fill(appender, 35)
    frames = frames_of(buffer)
    no, msg, prev = 1, 1, NO_HASH
    for frame in frames:
        check_link(frame.header, no=no, first_msg=msg, prev_hash=prev)
        no, msg, prev = no + 1, frame.header.last_msg + 1, frame.hash
    lane = lane_of(buffer)
    assert (5, 36, prev, 4, 35) == (
        lane.next_no,
        lane.next_msg,
        lane.head_hash,
        lane.frames,
        lane.msgs,
    )
    assert sum(len(frame.encoded) for frame in frames) == lane.size_bytes
    stored = itertools.chain.from_iterable(map(open_readings, frames))
    assert [reading(i) for i in range(35)] == list(stored)


def test_lanes_are_counted_and_chained_apart(appender, reading):
    appender.extend(
        reading(i, priority)
        for priority in (Priority.ROUTINE, Priority.ALERT, Priority.WARNING)
        for i in range(3)
    )
    stored = appender.commit()
    assert [0, 1, 2] == [x.lane for x in stored]
    assert [1, 1, 1] == [x.no for x in stored]
    assert {0: 3, 1: 3, 2: 3} == appender.totals.accepted


def test_an_alert_is_due_at_once_and_alone(appender, reading, time):
    appender.add(reading(0))
    assert [] == appender.commit_due()
    appender.add(reading(1, Priority.ALERT))
    assert [0] == [x.lane for x in appender.commit_due()]
    assert 1 == len(appender)
    time.sleep(0.11)
    assert [2] == [x.lane for x in appender.commit_due()]


@pytest.mark.parametrize(
    "limits", [Limits(readings=5), Limits(size_bytes=300)], ids=["readings", "bytes"]
)
def test_a_full_group_is_due(limits, reading):
    group = Group(limits)
    for i in range(4):
        group.add(reading(i, value="x" * 10), 0.0)
    group.add(reading(4), 0.0)
    assert [0, 1, 2] == group.ready(0.0)


def test_a_group_is_due_by_its_oldest_reading(reading):
    group = Group()
    assert None is group.next_due_s()
    group.add(reading(0), 5.0)
    group.add(reading(1), 5.09)
    assert 5.1 == group.next_due_s()
    assert [] == group.ready(5.05)
    assert [0, 1, 2] == group.ready(5.1)


def test_more_than_a_frame_holds_becomes_several(buffer, reading):
    appender = Appender(buffer, "lunar_telemetry", limits=Limits(readings=10))
    appender.extend(reading(i) for i in range(25))
    assert [10, 10, 5] == [x.n for x in appender.commit()]


def test_what_cannot_be_committed_is_kept_in_order(buffer, appender, reading, monkeypatch):
    appender.extend(reading(i) for i in range(3))
    with monkeypatch.context() as patch:
        patch.setattr(type(buffer), "writing", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            appender.commit()
    appender.extend(reading(i) for i in range(3, 5))
    appender.commit()
    assert [reading(i) for i in range(5)] == open_readings(frames_of(buffer)[0])


def test_a_reading_that_cannot_be_written_costs_only_itself(buffer, appender, reading):
    appender.extend([reading(0), reading(1, value=float("nan")), reading(2)])
    appender.commit()
    kept = [x for frame in frames_of(buffer) for x in open_readings(frame)]
    assert [reading(0), reading(2)] == kept
    assert 1 == appender.totals.unpackable


def test_two_appenders_share_a_chain(open_at, fill):
    one, two = (Appender(open_at(), "lunar_telemetry") for _ in range(2))
    for i in range(6):
        fill((one, two)[i % 2], 10, start=10 * i)
    frames = frames_of(one.buffer)
    assert list(range(1, 7)) == [frame.header.no for frame in frames]
    for before, after in itertools.pairwise(frames):
        assert before.hash == after.header.prev_hash


def test_a_new_epoch_is_written_from_then_on(buffer, appender, fill):
    fill(appender, 10)
    fresh = buffer.new_epoch("lunar_telemetry")
    fill(appender, 10)
    first, second = buffer.streams("lunar_telemetry")
    assert fresh == second
    assert first.epoch != second.epoch
    with buffer.reading() as connection:
        assert [1, 1] == [
            buffer.lane(connection, stream.id, 2).last_no for stream in (first, second)
        ]


def test_an_unknown_table_is_named_with_the_nearest(buffer, appender, fill):
    fill(appender, 1)
    assert "lunar_telemetry" == buffer.need_table("lunar-data")
    with pytest.raises(NotFound) as caught:
        buffer.need_table("lunar_telemetri")
    assert "lunar_telemetry" in caught.value.hint


# -- heads ---------------------------------------------------------------------------


def test_heads_are_signed_at_their_cadence(buffer, reading, key, time, fill):
    appender = Appender(buffer, "lunar_telemetry", signer=key)

    def heads(lane=2):
        with buffer.reading() as connection:
            return [head.no for head in stored_heads(connection, 1, lane)]

    fill(appender, 10)
    assert [1] == heads()  # the first frame
    time.sleep(3)
    fill(appender, 20)
    assert [1] == heads()
    time.sleep(8)
    assert [] == appender.commit_due()  # traffic has ended, the head is due all the same
    assert [3, 1] == heads()
    appender.add(reading(0, Priority.ALERT))
    appender.commit_due()
    assert [1] == heads(0)
    fill(appender, 10)
    assert [3, 1] == heads()
    appender.close()
    assert [4, 3, 1] == heads()


def test_a_new_epoch_is_signed_from_its_first_frame_on(buffer, reading, key, fill, time):
    appender = Appender(buffer, "lunar_telemetry", signer=key)
    fill(appender, 20)
    fresh = buffer.new_epoch("lunar_telemetry")
    time.sleep(20)
    appender.sign_due()  # the old stream's, by the old knowledge
    appender.add(reading(0, Priority.WARNING))
    appender.commit()
    time.sleep(20)
    appender.sign_due()  # no routine frame in the new stream yet
    appender.close()
    with buffer.reading() as connection:
        assert [] == stored_heads(connection, fresh.id, 2)
        assert [1] == [head.no for head in stored_heads(connection, fresh.id, 1)]


def test_a_head_vouches_for_its_frame(buffer, key, fill):
    appender = Appender(buffer, "lunar_telemetry", signer=key)
    fill(appender, 25)
    appender.close()
    with buffer.reading() as connection:
        (head, *_) = stored_heads(connection, 1, 2)
    head.verify(key.public)
    lane = lane_of(buffer)
    assert ("gw-1", "lunar_telemetry", 3, lane.head_hash, 25, 0) == (
        head.gateway,
        head.table,
        head.no,
        head.frame_hash,
        head.n_total,
        head.dropped_total,
    )


def test_old_heads_are_forgotten(buffer, key, fill, time):
    appender = Appender(buffer, "lunar_telemetry", signer=key)
    for i in range(7):
        fill(appender, 1, start=i)
        time.sleep(10)
    with buffer.reading() as connection:
        assert [7, 6, 5, 4] == [head.no for head in stored_heads(connection, 1, 2)]


# -- seals ---------------------------------------------------------------------------


def test_sealed_frames_open_with_the_stored_key_record(buffer, key, fill, reading):
    recipient = RecipientKey.from_xwing_seed("ab" * 16, bytes(32))
    made = []

    def make_sealer(stream):
        made.append(stream)
        return FrameSealer.new([recipient.public], key, stream.table, bytes(range(32)), 1)

    appender = Appender(buffer, "lunar_telemetry", make_sealer=make_sealer)
    fill(appender, 20)
    assert 1 == len(made)
    opener = FrameOpener([recipient], [key.public])
    with buffer.reading() as connection:
        records = key_records(connection, 1)
    assert [records[0][0]] == [opener.add_record(record) for _, record in records]
    frames = frames_of(buffer)
    assert b"co2" not in b"".join(frame.body for frame in frames)
    assert 2 == len({frame.header.salt for frame in frames})
    opened = [x for frame in frames for x in open_readings(frame, opener)]
    assert [reading(i) for i in range(20)] == opened


def test_a_long_lived_writer_takes_a_new_secret_and_whoever_is_trusted_by_then(
    buffer, key, fill, time
):
    recipient = RecipientKey.from_xwing_seed("ab" * 16, bytes(32))
    trusted = []

    def make_sealer(stream):
        if not trusted:
            return None
        return FrameSealer.new(trusted, key, stream.table, os.urandom(32), 1)

    appender = Appender(buffer, "lunar_telemetry", make_sealer=make_sealer)
    fill(appender, 10)
    trusted.append(recipient.public)
    time.sleep(61)
    fill(appender, 20)
    time.sleep(3601)
    fill(appender, 10)
    ids = [frame.header.key_id for frame in frames_of(buffer)]
    assert bytes(8) == ids[0]
    assert ids[1] == ids[2] != ids[3]
    with buffer.reading() as connection:
        assert {ids[1], ids[3]} == {key_id for key_id, _ in key_records(connection, 1)}


# -- cursors -------------------------------------------------------------------------


def test_a_mark_is_stored_with_its_readings(buffer, appender, reading, monkeypatch):
    def mark(offset):
        return Mark("/a.jsonl", Position(1, 2, offset, 3, hashlib.sha256().digest(), 0))

    def stored():
        with buffer.reading() as connection:
            found = load_position(connection, "/a.jsonl", "lunar_telemetry")
        return None if found is None else replace(found, seen_us=0)

    assert None is stored()
    appender.add(reading(0))
    appender.commit(mark=mark(10))
    assert mark(10).position == stored()
    appender.add(reading(1))
    with monkeypatch.context() as patch:
        patch.setattr(appender._committer, "append", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            appender.commit(mark=mark(20))
    assert mark(10).position == stored()
    appender.commit(mark=mark(20))
    assert mark(20).position == stored()
    assert 2 == lane_of(buffer).last_msg


# -- reading frames ------------------------------------------------------------------


def test_frames_are_read_by_page(buffer, appender, fill):
    fill(appender, 50)
    with buffer.reading() as connection:
        page = stored_frames(connection, 1, 2, after_no=1, limit=2)
        assert [2, 3] == [x.no for x in page]
        assert [3] == [x.no for x in stored_frames(connection, 1, 2, 2, max_bytes=1)]
        assert page[0] == stored_frame(connection, 1, 2, 2)
        assert None is stored_frame(connection, 1, 2, 99)


def test_a_point_of_the_chain_is_found(buffer, appender, fill):
    fill(appender, 30)
    lane = lane_of(buffer)
    with buffer.reading() as connection:
        assert (NO_HASH, 0) == chain_point(connection, lane, 0)
        assert (frames_of(buffer)[1].hash, 20) == chain_point(connection, lane, 2)
        assert (lane.head_hash, 30) == chain_point(connection, lane, 3)
        assert None is chain_point(connection, lane, 4)


# -- the thread ----------------------------------------------------------------------


def test_a_future_is_done_when_its_readings_are_stored(open_at, reading):
    buffer = open_at(clock=SYSTEM_CLOCK)
    thread = AppenderThread(lambda: Appender(buffer, "lunar_telemetry"))
    thread.start()
    futures = [thread.submit([reading(i)]) for i in range(100)]
    futures[-1].result(timeout=5)
    thread.close(timeout_s=5)
    assert all(future.done() for future in futures)
    assert 100 == lane_of(buffer).msgs
    assert lane_of(buffer).frames < 100
    with pytest.raises(LocalError, match="closed"):
        thread.submit([reading(0)])


def test_a_thread_that_fails_tells_everyone_who_waits(reading):
    def broken():
        msg = "no database"
        raise NotFound(msg)

    thread = AppenderThread(broken)
    future = thread.submit([reading(0)])
    thread.start()
    with pytest.raises(NotFound):
        future.result(timeout=5)
    thread.close(timeout_s=5)
