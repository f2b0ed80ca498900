from dataclasses import replace

import pytest

from dunes.buffer.frame import make_frame
from dunes.buffer.payload import pack_readings
from dunes.model import Priority, Reading
from dunes.uplink.errors import BadRecord, Conflict, OtherKey, Unvouched
from dunes.uplink.protocol import encode_batch
from dunes.uplink.rangeset import RangeSet
from dunes.uplink.receipt import parse_receipt
from dunes.uplink.receiver import Cum, lane_receipt


def fill(writer, n, lane=2):
    for _ in range(n):
        writer.append(lane, n=2)


def test_frames_in_order_are_acknowledged_as_far_as_they_go(writer, station):
    fill(writer, 5)
    taken = station.take(writer.batch(2, 1, 5))
    assert (5, 10, 0) == (taken.frames, taken.readings, taken.duplicates)
    assert Cum(5, writer.hash_of(2, 5), 10) == station.ledger.cum(2)


def test_frames_out_of_order_wait_for_the_gap(writer, station):
    fill(writer, 9)
    station.take(writer.batch(2, 4, 5))
    station.take(writer.batch(2, 8, 9))
    said = station.receipt().lanes[2]
    assert (0, 9, ((1, 3), (6, 7))) == (said.cum, said.max_seen, said.gaps)
    station.take(writer.batch(2, 1, 3))
    assert 5 == station.ledger.cum(2).no
    station.take(writer.batch(2, 6, 7))
    assert 9 == station.ledger.cum(2).no
    assert list(range(1, 19)) == station.delivered(2)


def test_what_was_here_before_is_counted_and_not_stored_again(writer, station):
    fill(writer, 4)
    station.take(writer.batch(2, 1, 3))
    taken = station.take(writer.batch(2, 2, 4))
    assert (1, 2) == (taken.frames, taken.duplicates)
    taken = station.take(writer.batch(2, 1, 4))
    assert (0, 4, False) == (taken.frames, taken.duplicates, taken.changed)


def test_a_frame_without_a_head_is_refused(writer, station):
    fill(writer, 2)
    with pytest.raises(Unvouched) as caught:
        station.take(encode_batch([f.encoded for f in writer.frames[2]]))
    assert 1 == caught.value.index
    assert not station.ledger.frames


def test_a_damaged_frame_is_named_and_nothing_is_stored(writer, station):
    fill(writer, 3)
    bent = bytearray(writer.frames[2][1].encoded)
    bent[-1] ^= 1
    parts = [writer.frames[2][0].encoded, bytes(bent), writer.frames[2][2].encoded]
    with pytest.raises(BadRecord) as caught:
        station.take(encode_batch([*parts, writer.head(2, 3).encoded]))
    assert 1 == caught.value.index
    assert not station.ledger.frames


def test_a_head_of_somebody_else_is_refused(writer, station, fake_key):
    fill(writer, 1)
    forged = writer.head(2, 1, fake_key(b"mallory"))
    with pytest.raises(OtherKey, match="signed by"):
        station.take(encode_batch([writer.frames[2][0].encoded, forged.encoded]))
    renamed = replace(forged, kid=writer.head(2, 1).kid)
    with pytest.raises(BadRecord, match="not signed by that key"):
        station.take(encode_batch([writer.frames[2][0].encoded, renamed.encoded]))


def test_another_stream_in_the_batch_is_refused(writer, make_writer, station):
    other = make_writer(epoch=b"x" * 16)
    other.append()
    with pytest.raises(BadRecord, match="epoch"):
        station.take(other.batch(2, 1, 1))
    fill(writer, 1)
    head = replace(writer.head(2, 1), gateway="gw-two")
    with pytest.raises(BadRecord, match="a head of gw-two"):
        station.take(encode_batch([writer.frames[2][0].encoded, head.encoded]))


def test_a_second_history_is_a_conflict_and_overwrites_nothing(writer, make_writer, station):
    fill(writer, 3)
    station.take(writer.batch(2, 1, 3))
    clone = make_writer()
    clone.frames[2] = writer.frames[2][:2]
    clone.append(2, device="another")
    before = dict(station.ledger.frames)
    with pytest.raises(Conflict) as caught:
        station.take(clone.batch(2, 3, 3))
    assert (2, 3) == (caught.value.lane, caught.value.no)
    assert before == station.ledger.frames


def test_a_history_that_forks_below_what_is_complete_is_a_conflict(writer, make_writer, station):
    fill(writer, 3)
    station.take(writer.batch(2, 1, 3))
    clone = make_writer()
    clone.frames[2] = writer.frames[2][:2]
    for _ in range(4):
        clone.append(2, device="another")
    with pytest.raises(Conflict):
        station.take(clone.batch(2, 4, 6))


def test_a_fork_that_arrives_above_a_gap_is_found_when_the_gap_closes(
    writer, make_writer, station
):
    fill(writer, 3)
    clone = make_writer()
    for _ in range(5):
        clone.append(2, device="another")
    station.take(clone.batch(2, 4, 5))
    with pytest.raises(Conflict):
        station.take(writer.batch(2, 1, 3))


def test_a_tombstone_lets_the_count_go_on(writer, station):
    fill(writer, 6)
    station.take(writer.batch(2, 1, 2))
    station.take(writer.batch(2, 5, 6))
    taken = station.take(writer.batch_of(writer.sign_tomb(writer.tomb(2, 3, 4))))
    assert (1, True) == (taken.tombs, taken.changed)
    assert Cum(6, writer.hash_of(2, 6), 12) == station.ledger.cum(2)
    assert [1, 2, 3, 4, 9, 10, 11, 12] == station.delivered(2)


def test_a_longer_tombstone_takes_the_place_of_a_shorter_one(writer, station):
    fill(writer, 8)
    for first, last in ((1, 2), (3, 4), (1, 4), (1, 6), (2, 5)):
        station.take(writer.batch_of(writer.sign_tomb(writer.tomb(2, first, last))))
    assert 6 == station.ledger.cum(2).no
    station.take(writer.batch(2, 7, 8))
    assert [13, 14, 15, 16] == station.delivered(2)


def test_data_beat_a_tombstone(writer, station):
    fill(writer, 6)
    station.take(writer.batch_of(writer.sign_tomb(writer.tomb(2, 1, 4))))
    taken = station.take(writer.batch(2, 3, 6))
    assert 4 == taken.frames
    assert 6 == station.ledger.cum(2).no
    assert list(range(5, 13)) == station.delivered(2)


def test_an_unsigned_tombstone_is_refused(writer, station):
    fill(writer, 2)
    tomb = replace(writer.sign_tomb(writer.tomb(2, 1, 2)), signature=b"x" * 32)
    with pytest.raises(BadRecord):
        station.take(writer.batch_of(tomb))
    assert not station.ledger.tombstones


def test_a_tombstone_that_contradicts_the_chain_is_a_conflict(writer, station):
    fill(writer, 4)
    station.take(writer.batch(2, 1, 2))
    wrong = replace(writer.tomb(2, 3, 4), prev_hash=b"x" * 32)
    with pytest.raises(Conflict):
        station.take(writer.batch_of(writer.sign_tomb(wrong)))


def test_lanes_do_not_wait_for_each_other(writer, station):
    fill(writer, 3, lane=0)
    fill(writer, 4, lane=2)
    station.take(writer.batch(2, 3, 4))
    station.take(writer.batch(0, 1, 3))
    receipt = parse_receipt(station.receipt().encoded)
    assert [3, 0, 0] == [receipt.lanes[lane].cum for lane in (0, 1, 2)]


def test_a_frame_that_does_not_follow_its_neighbour_never_takes_its_number(
    writer, station, make_writer
):
    fill(writer, 4)
    station.take(writer.batch(2, 3, 4))
    readings = pack_readings([Reading("d", "k", 2.0, "", 9, Priority.ROUTINE)], 2, level=0)
    frame = make_frame(readings, epoch=writer.epoch, no=2, first_msg=3, prev_hash=b"p" * 32)
    liar = make_writer()
    liar.frames[2] = [writer.frames[2][0], frame]
    with pytest.raises(Conflict):
        station.take(liar.batch(2, 2, 2))
    station.take(writer.batch(2, 1, 2))
    assert 4 == station.ledger.cum(2).no


def test_more_gaps_than_a_receipt_holds_are_told_in_turn():
    held = RangeSet((n, n) for n in range(2, 1202, 2))
    first = lane_receipt(Cum(), held)
    assert (256, 1) == (len(first.gaps), first.known_from)
    second = lane_receipt(Cum(), held, first.known_to + 1)
    assert first.gaps[-1][1] + 2 == second.gaps[0][0]
    third = lane_receipt(Cum(), held, second.known_to + 1)
    told = [*first.gaps, *second.gaps, *third.gaps]
    assert [(n, n) for n in range(1, 1201, 2)] == told
    assert 1200 == third.known_to
    assert lane_receipt(Cum(), held, third.known_to + 1).gaps == first.gaps
