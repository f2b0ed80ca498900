from dataclasses import replace
from random import Random

import pytest

from dunes.uplink.errors import BadReceipt, GroundWentBack, OtherHistory
from dunes.uplink.receipt import LaneReceipt, Receipt
from dunes.uplink.sender import TRANSITIONS, Ask, Event, Send, Sender, State

EPOCH = bytes(16)
OTHER = b"o" * 16
HASH = b"h" * 32


def receipt(no=1, **lanes):
    said = {}
    for name, (cum, gaps, top) in lanes.items():
        lane = int(name[1:])
        said[lane] = LaneReceipt(cum, cum, HASH if cum else bytes(32), top, cum + 1, top, gaps)
    return Receipt("gw", "t", EPOCH, no, 0, said)


def make(*, routine=0, alerts=0, receipt_no=0, cum=0, **more):
    sender = Sender(Random(7), **more)
    sender.set_stream(EPOCH, receipt_no)
    sender.set_lane(EPOCH, 0, last=alerts, cum=0)
    sender.set_lane(EPOCH, 2, last=routine, cum=cum)
    return sender


def drain(sender, now_s=0.0, size=1000):
    sends = []
    while send := sender.next_send(now_s):
        sends.append(send)
        if isinstance(send, Send):
            sender.on_loaded(send.id, send.last, size, now_s)
    return sends


def flowing(**given):
    sender = make(**given)
    sender.on_link(up=True, now_s=0.0)
    ask = sender.next_send(0.0)
    assert isinstance(ask, Ask)
    sender.on_receipt(receipt(given.get("receipt_no", 0)), {}, 0.02)
    sender.on_reply(ask.id, 0.02)
    assert State.FLOWING is sender.state
    return sender


def spans(sends):
    return [(s.lane, s.first, s.last) for s in sends if isinstance(s, Send)]


def test_nothing_is_sent_while_the_link_is_down():
    assert [] == drain(make(routine=10))


def test_it_asks_before_it_sends_routine_but_alerts_do_not_wait():
    sender = make(routine=500, alerts=2)
    sender.on_link(up=True, now_s=0.0)
    sends = drain(sender)
    assert isinstance(sends[0], Ask)
    assert [(0, 1, 2)] == spans(sends)


def test_a_small_backlog_does_not_wait_for_the_answer():
    sender = make(routine=150)
    sender.on_link(up=True, now_s=0.0)
    assert [(2, 1, 100), (2, 101, 150)] == spans(drain(sender))


def test_it_fills_the_window_without_waiting_for_an_acknowledgement():
    sender = flowing(routine=2000)
    assert [(2, 1, 100), (2, 101, 200), (2, 201, 300), (2, 301, 400)] == spans(drain(sender))


def test_alerts_go_before_routine_and_besides_a_full_window():
    sender = flowing(routine=2000)
    drain(sender)
    sender.set_lane(EPOCH, 0, last=1, cum=0)
    assert [(0, 1, 1)] == spans(drain(sender))


def test_few_new_frames_wait_while_a_batch_of_their_lane_is_under_way():
    sender = flowing(routine=100)
    drain(sender)
    sender.set_lane(EPOCH, 2, last=110, cum=0)
    assert [] == spans(drain(sender))
    sender.on_receipt(receipt(1, l2=(100, (), 100)), {2: HASH}, 0.1)
    sender.on_reply(2, 0.1)
    assert [(2, 101, 110)] == spans(drain(sender))


def test_only_gaps_are_sent_again_and_not_what_is_under_way():
    sender = flowing(routine=400)
    sends = drain(sender)
    gaps = ((1, 100), (131, 140), (201, 300))
    sender.on_receipt(receipt(1, l2=(0, gaps, 400)), {2: None}, 0.1)
    sender.on_reply(sends[1].id, 0.1)
    assert [(2, 131, 140)] == spans(drain(sender, 0.1))


def test_a_failed_batch_is_sent_again_after_a_wait():
    sender = flowing(routine=100)
    send = drain(sender)[0]
    sender.on_failed(send.id, 1.0, retry_after_s=5.0)
    assert (State.WAITING, 6.0) == (sender.state, sender.next_deadline(1.0))
    assert [] == drain(sender, 5.9)
    ask = drain(sender, 6.0)[0]
    assert isinstance(ask, Ask)
    sender.on_receipt(receipt(0), {}, 6.1)
    sender.on_reply(ask.id, 6.1)
    assert [(2, 1, 100)] == spans(drain(sender, 6.1))


def test_what_arrived_though_its_answer_was_lost_is_not_sent_again():
    sender = flowing(routine=300)
    first, second, _ = drain(sender)
    sender.on_failed(first.id, 1.0)
    sender.on_failed(second.id, 1.0)
    ask = drain(sender, 100.0)[0]
    sender.on_receipt(receipt(2, l2=(0, ((1, 100),), 300)), {}, 100.0)
    sender.on_reply(ask.id, 100.0)
    assert [(2, 1, 100)] == spans(drain(sender, 100.0))


def test_after_a_restart_it_goes_on_above_what_is_acknowledged():
    sender = make(routine=500, cum=200, receipt_no=3)
    sender.on_link(up=True, now_s=0.0)
    ask = sender.next_send(0.0)
    sender.on_receipt(receipt(9, l2=(250, ((301, 350),), 400)), {2: HASH}, 0.1)
    sender.on_reply(ask.id, 0.1)
    assert [(2, 301, 350), (2, 401, 500)] == spans(drain(sender, 0.1))
    assert 250 == sender.lanes[EPOCH, 2].cum


def test_a_batch_that_was_cut_to_size_goes_on_behind_the_cut():
    sender = flowing(routine=300)
    send = sender.next_send(0.0)
    sender.on_loaded(send.id, 60, 400_000, 0.0)
    assert [(2, 61, 160), (2, 161, 260), (2, 261, 300)] == spans(drain(sender))


def test_a_tombstone_that_reaches_further_takes_its_numbers_along():
    sender = flowing(routine=300)
    send = sender.next_send(0.0)
    sender.on_loaded(send.id, 250, 3500, 0.0)
    assert [(2, 251, 300)] == spans(drain(sender))


def test_an_older_receipt_is_ignored():
    sender = flowing(routine=300)
    drain(sender)
    assert sender.on_receipt(receipt(5, l2=(200, (), 200)), {2: HASH}, 0.1)
    assert not sender.on_receipt(receipt(4, l2=(100, (), 100)), {2: HASH}, 0.2)
    assert 200 == sender.lanes[EPOCH, 2].cum


def test_a_receipt_of_an_unknown_stream_is_ignored():
    sender = flowing(routine=300)
    assert not sender.on_receipt(replace(receipt(5), epoch=b"x" * 16), {}, 0.1)


def test_an_acknowledgement_beyond_what_was_written_is_not_believed():
    sender = flowing(routine=300)
    with pytest.raises(OtherHistory, match="only 300 were ever written"):
        sender.on_receipt(receipt(5, l2=(301, (), 301)), {2: None}, 0.1)
    assert 0 == sender.lanes[EPOCH, 2].cum


def test_an_acknowledgement_with_another_hash_is_not_believed():
    sender = flowing(routine=300)
    with pytest.raises(OtherHistory, match="but ours is"):
        sender.on_receipt(receipt(5, l2=(200, (), 200)), {2: b"x" * 32}, 0.1)
    assert 0 == sender.lanes[EPOCH, 2].cum


def test_a_ground_station_that_forgot_is_told_so():
    sender = make(routine=300, receipt_no=7)
    sender.on_link(up=True, now_s=0.0)
    sender.next_send(0.0)
    with pytest.raises(GroundWentBack, match="receipt 7 is stored here, it now gives 3"):
        sender.on_receipt(receipt(3, l2=(100, (), 100)), {2: HASH}, 0.1)


def test_a_newer_receipt_with_less_is_one_of_a_store_that_was_set_back():
    sender = make(routine=300, receipt_no=7, cum=200)
    sender.on_link(up=True, now_s=0.0)
    sender.next_send(0.0)
    with pytest.raises(GroundWentBack, match="with less"):
        sender.on_receipt(receipt(8, l2=(100, (), 100)), {2: HASH}, 0.1)


def test_a_peer_that_accepts_and_does_not_store_is_found_out():
    sender = flowing(routine=100)

    def accept_all():
        for _ in range(50):
            for send in drain(sender):
                sender.on_receipt(receipt(0, l2=(0, (), 0)), {}, 0.1)
                sender.on_reply(send.id, 0.1)

    with pytest.raises(BadReceipt, match="does not have them"):
        accept_all()
    assert 0 == sender.lanes[EPOCH, 2].cum


def test_the_window_grows_to_what_the_link_carries():
    sender = flowing(routine=100_000)
    sender.window.rtt_s = 0.6
    now, flights = 0.0, []
    for _ in range(200):
        flights += [(now + 0.6, s) for s in drain(sender, now, size=400_000)]
        now, send = flights.pop(0)
        sender.on_receipt(receipt(1), {}, now)
        sender.lanes[EPOCH, 2].seen = 10**9
        sender.on_reply(send.id, now)
    assert len(flights) > 30


def test_a_link_that_goes_down_loses_what_was_under_way():
    sender = flowing(routine=250)
    drain(sender)
    sender.on_link(up=False, now_s=1.0)
    assert [] == drain(sender, 2.0)
    sender.on_link(up=True, now_s=3.0)
    ask = sender.next_send(3.0)
    sender.on_receipt(receipt(0), {}, 3.1)
    sender.on_reply(ask.id, 3.1)
    assert [(2, 1, 100), (2, 101, 200), (2, 201, 250)] == spans(drain(sender, 3.1))


def test_when_a_stream_is_dropped_the_others_begin_anew_with_nothing_under_way():
    sender = flowing(routine=2000)
    sender.set_stream(OTHER, 0)
    sender.set_lane(OTHER, 2, last=2000, cum=0)
    ask = sender.next_send(0.0)
    sender.set_lane(OTHER, 0, last=1, cum=0)
    assert [(0, 1, 1)] == spans(drain(sender))[:1]
    sender.drop_stream(EPOCH)
    sender.on_reply(ask.id, 0.1)  # nobody waits for this one any more
    ask, *sends = drain(sender, 0.2)
    assert ({OTHER}, [(0, 1, 1)]) == ({s.epoch for s in (ask, *sends)}, spans(sends)[:1])
    sender.on_receipt(replace(receipt(1, l0=(1, (), 1)), epoch=OTHER), {0: HASH}, 0.3)
    sender.on_reply(ask.id, 0.3)
    assert (State.FLOWING, 1) == (sender.state, sender.lanes[OTHER, 0].cum)


def test_a_question_about_a_stream_that_was_dropped_holds_up_no_other():
    sender = make(routine=2000)
    sender.on_link(up=True, now_s=0.0)
    assert [EPOCH] == [ask.epoch for ask in drain(sender)]
    sender.drop_stream(EPOCH)
    sender.set_stream(OTHER, 0)
    sender.set_lane(OTHER, 2, last=2000, cum=0)
    (ask,) = drain(sender, 0.1)
    sender.on_reply(ask.id, 0.2)
    assert (State.FLOWING, (2, 1, 100)) == (sender.state, spans(drain(sender, 0.2))[0])


def test_over_a_long_delay_the_backlog_goes_out_at_the_rate_of_the_link():
    sender = make(routine=100_000)
    sender.on_link(up=True, now_s=0.0, rate_bps=2e6, rtt_s=2880.0)
    sends = drain(sender, 0.0, size=250_000)
    assert isinstance(sends[0], Ask)
    assert 2 == len(spans(sends))
    assert 0.0 == sender.next_deadline(0.0)
    assert [] == drain(sender, 0.0)
    assert 1 == len(spans(drain(sender, 0.5, size=250_000)))


def test_over_a_long_delay_an_alert_is_sent_three_times():
    sender = make(alerts=1)
    sender.on_link(up=True, now_s=0.0, rate_bps=2e6, rtt_s=2880.0)
    sends = []
    for now in range(10):
        sends += spans(drain(sender, float(now), size=400))
    assert [(0, 1, 1)] * 3 == sends


def test_every_state_hears_of_link_and_answers():
    common = (Event.LINK_UP, Event.LINK_DOWN, Event.ANSWERED, Event.FAILED)
    assert set() == {(s, e) for s in State for e in common} - set(TRANSITIONS)
