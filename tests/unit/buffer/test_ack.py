"""Acknowledgements: nothing is deleted that is not surely there."""

import pytest

from dunes.buffer import ack
from dunes.buffer.ack import AckedLane, AckRefused, Applied, apply_receipt, last_receipt, prune
from dunes.buffer.frameheader import NO_HASH
from dunes.buffer.keyrecords import key_records
from dunes.buffer.read import stored_frame, stored_frames
from dunes.model import Priority


@pytest.fixture
def stream(buffer, appender, fill):
    fill(appender, 50)
    fill(appender, 3, per_frame=1, priority=Priority.ALERT)
    return buffer.streams()[0]


def lane(buffer, stream, lane_no=2):
    with buffer.reading() as connection:
        return buffer.lane(connection, stream.id, lane_no)


def acked(buffer, stream, no, lane_no=2):
    if no == 0:
        return AckedLane(lane_no, 0, NO_HASH)
    with buffer.reading() as connection:
        return AckedLane(lane_no, no, stored_frame(connection, stream.id, lane_no, no).hash)


def numbers(buffer, stream, lane_no=2):
    with buffer.reading() as connection:
        return [x.no for x in stored_frames(connection, stream.id, lane_no)]


def test_what_is_acknowledged_goes_and_the_chain_goes_on(buffer, stream, appender, fill):
    point = acked(buffer, stream, 3)
    done = apply_receipt(buffer, stream, "gs", 7, [point], b"receipt 7")
    assert Applied(frames=3, msgs=30) == done
    assert [4, 5] == numbers(buffer, stream)
    assert [1, 2, 3] == numbers(buffer, stream, 0)
    found = lane(buffer, stream)
    assert (3, 30, point.cum_hash) == (found.base_no, found.base_msg, found.base_hash)
    assert (3, 30, point.cum_hash) == (found.cum_no, found.cum_msg, found.cum_hash)
    assert (2, 20, 0) == (found.frames, found.msgs, found.dropped_msgs)
    with buffer.reading() as connection:
        left = stored_frames(connection, stream.id, 2)
        assert sum(len(x.encoded) for x in left) == found.size_bytes
        assert (7, b"receipt 7") == last_receipt(connection, stream.id, "gs")
    fill(appender, 10)
    assert [4, 5, 6] == numbers(buffer, stream)


def test_an_old_receipt_is_ignored(buffer, stream):
    apply_receipt(buffer, stream, "gs", 7, [acked(buffer, stream, 2)], b"7")
    for old in (6, 7):
        assert apply_receipt(buffer, stream, "gs", old, [AckedLane(2, 99, NO_HASH)], b"").stale
    assert [3, 4, 5] == numbers(buffer, stream)


def test_a_receipt_for_more_than_was_written_changes_nothing(buffer, stream):
    good = acked(buffer, stream, 2)
    with pytest.raises(AckRefused, match="only 3 were written") as caught:
        apply_receipt(buffer, stream, "gs", 1, [good, AckedLane(0, 4, NO_HASH)], b"1")
    assert "ack-beyond" == caught.value.code
    assert [1, 2, 3, 4, 5] == numbers(buffer, stream)
    with buffer.reading() as connection:
        assert None is last_receipt(connection, stream.id, "gs")


def test_a_receipt_for_another_frame_changes_nothing(buffer, stream):
    with pytest.raises(AckRefused) as caught:
        apply_receipt(buffer, stream, "gs", 1, [AckedLane(2, 2, b"\x01" * 32)], b"1")
    assert "ack-conflict" == caught.value.code
    with pytest.raises(AckRefused):
        apply_receipt(buffer, stream, "gs", 1, [AckedLane(2, 0, b"\x01" * 32)], b"1")
    assert [1, 2, 3, 4, 5] == numbers(buffer, stream)


def test_only_what_every_destination_has_is_deleted(buffer, stream):
    both = ["gs-1", "gs-2"]
    four, two = acked(buffer, stream, 4), acked(buffer, stream, 2)
    apply_receipt(buffer, stream, "gs-1", 1, [four], b"", both)
    assert [1, 2, 3, 4, 5] == numbers(buffer, stream)
    apply_receipt(buffer, stream, "gs-2", 1, [two], b"", both)
    assert [3, 4, 5] == numbers(buffer, stream)
    # who once acknowledged counts, even where the caller forgets to name it
    apply_receipt(buffer, stream, "gs-1", 2, [acked(buffer, stream, 5)], b"")
    assert [3, 4, 5] == numbers(buffer, stream)


def test_a_destination_that_was_restored_is_told(buffer, stream):
    both = ["gs-1", "gs-2"]
    apply_receipt(buffer, stream, "gs-1", 1, [acked(buffer, stream, 4)], b"", both)
    done = apply_receipt(buffer, stream, "gs-1", 2, [acked(buffer, stream, 1)], b"", both)
    assert [2] == done.regressed
    apply_receipt(buffer, stream, "gs-2", 1, [acked(buffer, stream, 5)], b"", both)
    assert [2, 3, 4, 5] == numbers(buffer, stream)


def test_a_large_deletion_is_several_transactions_and_can_be_resumed(
    buffer, stream, appender, fill, monkeypatch
):
    monkeypatch.setattr(ack, "DELETE_FRAMES", 4)
    fill(appender, 100, start=50)
    point = acked(buffer, stream, 14)
    calls = []
    original = ack._prune_some

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(ack, "_prune_some", interrupted)
        with pytest.raises(KeyboardInterrupt):
            apply_receipt(buffer, stream, "gs", 1, [point], b"")
    assert [9, 10, 11, 12, 13, 14, 15] == numbers(buffer, stream)
    done = Applied()
    prune(buffer, stream, ["gs"], done)
    assert [15] == numbers(buffer, stream)
    assert 6 == done.frames


def test_keys_are_forgotten_with_the_last_frame(buffer, fill, key):
    from dunes.buffer.appender import Appender
    from dunes.crypto.framekeys import FrameSealer
    from dunes.crypto.xwing import RecipientKey

    recipient = RecipientKey.from_xwing_seed("ab" * 16, bytes(32))
    appender = Appender(
        buffer,
        "lunar_telemetry",
        make_sealer=lambda s: FrameSealer.new([recipient.public], key, s.table, bytes(32), 1),
    )
    fill(appender, 20)
    stream = buffer.streams()[0]
    apply_receipt(buffer, stream, "gs", 1, [acked(buffer, stream, 1)], b"")
    with buffer.reading() as connection:
        assert 1 == len(key_records(connection, stream.id))
    apply_receipt(buffer, stream, "gs", 2, [acked(buffer, stream, 2)], b"")
    with buffer.reading() as connection:
        assert [] == key_records(connection, stream.id)
    fill(appender, 10)  # the same writer goes on under the same key
    with buffer.reading() as connection:
        assert 1 == len(key_records(connection, stream.id))
