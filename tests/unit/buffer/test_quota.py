"""A full buffer: what gives way, in which order, and what never does."""

from random import Random

import pytest

from dunes.buffer.ack import AckedLane, apply_receipt
from dunes.buffer.appender import Appender, State
from dunes.buffer.frameheader import NO_HASH
from dunes.buffer.quota import QuotaFull, live_bytes
from dunes.buffer.read import chain_point, stored_frames, tombstones
from dunes.buffer.records import DropReason
from dunes.model import Priority

KB = 1024
CAP = 520 * KB


@pytest.fixture
def buffer(open_at):
    return open_at(cap_bytes=CAP)


@pytest.fixture
def states():
    return []


@pytest.fixture
def appender(buffer, states):
    return Appender(buffer, "lunar_telemetry", on_state=lambda state, _: states.append(state))


@pytest.fixture
def fill(reading):
    """Append readings that do not compress: some 80 bytes each."""

    def append(appender, n, per_frame=20, start=0, **other):
        for first in range(start, start + n, per_frame):
            for i in range(first, min(first + per_frame, start + n)):
                appender.add(reading(i, value=Random(i).randbytes(60).hex(), **other))
            appender.commit()

    return append


def lanes(buffer, stream=0):
    with buffer.reading() as connection:
        return buffer.lanes(connection, buffer.streams()[stream])


def test_the_file_stays_at_its_cap_and_the_newest_stay(buffer, appender, fill, states):
    fill(appender, 6_000)
    with buffer.reading() as connection:
        assert live_bytes(connection) <= CAP * 95 // 100
        frames = stored_frames(connection, 1, 2, limit=1_000)
        tombs = tombstones(connection, 1, 2)
    lane = lanes(buffer)[2]
    assert 6_000 == frames[-1].last_msg == lane.last_msg
    assert lane.base_no + 1 == frames[0].no
    assert lane.dropped_msgs == 6_000 - lane.msgs > 0
    assert len(frames) == lane.frames == 300 - lane.dropped_frames
    assert (lane.dropped_frames, lane.dropped_msgs) == (
        appender.totals.dropped.frames,
        appender.totals.dropped.msgs,
    )
    # tombstones lie end to end from the first frame to the oldest that is left
    no, msg, hash_ = 0, 0, NO_HASH
    for tomb in tombs:
        assert (no + 1, msg + 1, hash_) == (tomb.from_no, tomb.first_msg, tomb.prev_hash)
        assert DropReason.QUOTA == tomb.reason
        no, msg, hash_ = tomb.to_no, tomb.first_msg + tomb.n_msgs - 1, tomb.last_hash
    assert (no, msg, hash_) == (lane.base_no, lane.base_msg, lane.base_hash)
    assert [State.EVICTING] == states
    assert buffer.path.stat().st_size <= CAP * 1.02


def test_room_is_told_when_nothing_gave_way_for_a_while(appender, fill, states, buffer, time):
    fill(appender, 5_000)
    assert [State.EVICTING] == states
    stream = buffer.streams()[0]
    lane = lanes(buffer)[2]
    apply_receipt(buffer, stream, "gs", 1, [AckedLane(2, lane.last_no, lane.head_hash)], b"")
    time.sleep(11)
    fill(appender, 20)
    assert [State.EVICTING, State.OK] == states


def test_an_alert_makes_routine_give_way_and_is_never_dropped(buffer, appender, fill):
    fill(appender, 500, per_frame=1, priority=Priority.ALERT)
    fill(appender, 5_000)
    fill(appender, 100, per_frame=1, priority=Priority.ALERT)
    found = lanes(buffer)
    assert (0, 600) == (found[0].dropped_msgs, found[0].msgs)
    assert found[2].dropped_msgs > 0


def test_a_routine_reading_does_not_make_a_warning_give_way(buffer, appender, fill):
    fill(appender, 5_000, priority=Priority.WARNING)
    before = lanes(buffer)
    for i in range(200):
        fill(appender, 20, start=i)
    after = lanes(buffer)
    assert before[1] == after[1]
    assert 4_000 == after[2].last_msg
    assert after[2].dropped_msgs > 3_000


def test_routine_is_refused_where_only_alerts_are_left(open_at, fill):
    buffer, states, used = open_at(cap_bytes=CAP, alert_reserve=20), [], 0
    appender = Appender(buffer, "lunar_telemetry", on_state=lambda state, _: states.append(state))
    while used < CAP * 80 // 100:
        fill(appender, 1, priority=Priority.ALERT)
        with buffer.reading() as connection:
            used = live_bytes(connection)
    fill(appender, 20)
    assert [State.ALERTS_ONLY] == states
    assert 20 == appender.totals.refused[2]
    fill(appender, 1, priority=Priority.ALERT)
    assert 20 == lanes(buffer)[2].refused_msgs  # told with the next commit
    stored = lanes(buffer)[0]
    point = AckedLane(0, stored.last_no, stored.head_hash)
    apply_receipt(buffer, buffer.streams()[0], "gs", 1, [point], b"")
    fill(appender, 20)
    assert [State.ALERTS_ONLY, State.OK] == states
    assert 20 == lanes(buffer)[2].msgs


def test_with_only_alerts_left_routine_is_refused_until_there_is_room(
    buffer, appender, fill, states, reading
):
    with pytest.raises(QuotaFull):
        fill(appender, 5_000, per_frame=1, priority=Priority.ALERT)
    waiting = len(appender)
    assert 1 == waiting
    stored = lanes(buffer)[0]
    assert 0 == stored.dropped_msgs
    appender.add(reading(0))
    with pytest.raises(QuotaFull):
        appender.commit()
    assert 2 == len(appender)  # an alert is never refused: all of it waits
    stream = buffer.streams()[0]
    apply_receipt(
        buffer, stream, "gs", 1, [AckedLane(0, stored.last_no, stored.head_hash)], b"receipt"
    )
    appender.commit()
    assert 0 == len(appender)
    assert stored.last_msg + 1 == lanes(buffer)[0].last_msg
    assert 1 == lanes(buffer)[2].msgs
    assert State.ALERTS_ONLY not in states


def test_the_reserve_for_alerts_is_not_for_others(buffer, appender, fill):
    fill(appender, 5_000, priority=Priority.WARNING)
    fill(appender, 3, per_frame=1, priority=Priority.ALERT)
    found = lanes(buffer)
    dropped = found[1].dropped_msgs
    assert 3 == found[0].msgs
    assert dropped == lanes(buffer)[1].dropped_msgs


def test_what_one_destination_has_gives_way_first(buffer, appender, fill):
    fill(appender, 100, per_frame=1, priority=Priority.ALERT)
    fill(appender, 2_000)
    stream = buffer.streams()[0]
    alerts = lanes(buffer)[0]
    apply_receipt(
        buffer,
        stream,
        "gs-1",
        1,
        [AckedLane(0, alerts.last_no, alerts.head_hash)],
        b"receipt",
        destinations=["gs-1", "gs-2"],
    )
    assert 100 == lanes(buffer)[0].msgs  # gs-2 still wants them
    while not appender.totals.dropped.frames:
        fill(appender, 20)
    found = lanes(buffer)
    assert found[0].dropped_msgs > 0
    assert 0 == found[2].dropped_msgs


def test_the_oldest_table_gives_way_first(buffer, fill):
    old = Appender(buffer, "lunar_telemetry")
    new = Appender(buffer, "vitals_data")
    fill(old, 1_000)
    while not new.totals.dropped.frames:
        fill(new, 20, start=100_000)
    assert lanes(buffer, 0)[2].dropped_msgs > 0
    assert 0 == lanes(buffer, 1)[2].dropped_msgs


def test_a_hole_in_the_middle_is_joined_by_the_tombstone_of_its_prefix(buffer, appender, fill):
    fill(appender, 5_000)
    lane = lanes(buffer)[2]
    with buffer.reading() as connection:
        for tomb in tombstones(connection, 1, 2, limit=3):
            assert (tomb.last_hash, tomb.first_msg + tomb.n_msgs - 1) == chain_point(
                connection, lane, tomb.to_no
            )
