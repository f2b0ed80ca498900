"""Replay list, IV index, SEQ, segmentation and SAR, by example and by property."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.errors import LocalError, NotFound, PeerError, TryLater
from dunes.mesh.beacon import (
    NetworkState,
    decode_beacon,
    encode_private,
    encode_secure,
    read_proxy_service_data,
)
from dunes.mesh.errors import BadPdu, NotAuthentic, Replayed
from dunes.mesh.incoming import FINISHED_MAX, Reassembler
from dunes.mesh.ivindex import HOUR_S, STATE_MIN_S, IvIndex, IvRecord
from dunes.mesh.keyring import KeyRing
from dunes.mesh.keys import (
    NetKey,
    NetKeyRecord,
    Phase,
    dev_key,
    private_network_hash,
    private_node_hash,
)
from dunes.mesh.lower import Access, Ack, Control, Segment, parse_lower, seq_auth_of, split
from dunes.mesh.managerstate import NodeGone, free_address
from dunes.mesh.network import NetworkPdu, decode_network, encode_network
from dunes.mesh.outbox import QUEUE_MAX, Message
from dunes.mesh.outgoing import Fate, Transfer, Transfers
from dunes.mesh.proxy import (
    ChangeAddresses,
    FilterStatus,
    FilterType,
    ProxyFilter,
    SetFilterType,
    parse_proxy,
)
from dunes.mesh.replay import ReplayList
from dunes.mesh.sar import MESSAGE_BYTES_MAX, MessageType, ProxyReassembler, split_proxy
from dunes.mesh.sequence import SeqRecord, Sequence
from dunes.mesh.stack import Stack
from dunes.mesh.state import KeysRecord, StackState

SRC, DST = 0x0010, 0x0020


# ------------------------------------------------------------------- replay


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3), st.integers(0, 20)), max_size=80))
def test_nothing_is_accepted_twice_and_nothing_older_than_accepted(arrivals):
    known, accepted = ReplayList(4), []
    for src, iv_index, seq in arrivals:
        try:
            known.check(src, iv_index, seq)
        except Replayed:
            continue
        known.accept(src, iv_index, seq)
        accepted.append((src, iv_index, seq))
    for src in {each[0] for each in accepted}:
        own = [each[1:] for each in accepted if each[0] == src]
        assert own == sorted(set(own))
    assert len(known.last) <= 4


def test_a_full_replay_list_refuses_new_sources_only():
    known = ReplayList(1)
    known.accept(1, 0, 5)
    known.check(1, 0, 6)
    with pytest.raises(Replayed, match="full"):
        known.check(2, 0, 6)
    known.purge(2)
    known.check(2, 2, 0)


# ------------------------------------------------------------------- IV index


def seen(index, *, update=False):
    return NetworkState(index, refresh=False, update=update)


@pytest.mark.parametrize(
    ("now", "beacon", "expected"),
    [
        ((5, False), seen(5), (5, False)),
        ((5, False), seen(5, update=True), (5, False)),
        ((5, False), seen(6, update=True), (6, True)),
        ((5, False), seen(6), (6, False)),
        ((5, False), seen(47), (47, False)),
        ((5, False), seen(48), (5, False)),
        ((5, False), seen(4), (5, False)),
        ((5, True), seen(5), (5, False)),
        ((5, True), seen(5, update=True), (5, True)),
        ((5, True), seen(6, update=True), (6, True)),
    ],
)
def test_beacons_move_the_iv_index_as_specified(now, beacon, expected):
    iv = IvIndex(*now)
    moved = iv.receive(beacon, 0.0, busy=False)
    assert expected == (iv.index, iv.updating)
    assert (now != expected) == moved


def test_a_state_lasts_96_hours_and_an_update_144_at_most():
    iv = IvIndex()
    assert iv.begin_update(0.0)
    assert not iv.receive(seen(1), 95 * HOUR_S, busy=False)
    assert iv.next_timer_s() == 144 * HOUR_S
    assert not iv.handle_timer(143 * HOUR_S, busy=False)
    assert not iv.handle_timer(144 * HOUR_S, busy=True), "segments are out"
    assert iv.handle_timer(145 * HOUR_S, busy=False)
    assert not iv.begin_update(200 * HOUR_S)
    assert not iv.receive(seen(2, update=True), 200 * HOUR_S, busy=False)
    assert iv.begin_update(241 * HOUR_S)


def test_recoveries_are_192_hours_apart():
    iv = IvIndex(5)
    assert iv.receive(seen(10), 0.0, busy=False)
    assert not iv.receive(seen(20), 191 * HOUR_S, busy=False)
    assert iv.receive(seen(20), 192 * HOUR_S, busy=False)


def test_the_age_of_a_state_survives_a_restart():
    iv = IvIndex()
    iv.begin_update(1000.0)
    record = iv.record(1000.0 + 50 * HOUR_S)
    again = IvIndex.restore(record, 7.0, slept_s=47 * HOUR_S)
    assert again.end_update(7.0, busy=False)
    assert IvRecord(1, True, 50 * HOUR_S) == record


@given(
    st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.floats(0, 400 * HOUR_S)), max_size=40)
)
def test_the_index_to_send_with_never_falls(beacons):
    iv, now_s, last = IvIndex(), 0.0, 0
    for index, update, pause_s in beacons:
        now_s += pause_s
        iv.handle_timer(now_s, busy=False)
        iv.receive(seen(index, update=update), now_s, busy=False)
        assert last <= iv.transmit <= iv.index <= iv.transmit + 1
        last = iv.transmit


# ------------------------------------------------------------------- SEQ


@given(
    st.lists(st.sampled_from(["take", "store", "crash", "iv"]), max_size=200), st.integers(1, 20)
)
def test_no_number_is_taken_twice_whatever_crashes(steps, block):
    stored, iv = SeqRecord(), 0
    sequence = Sequence.restore(stored, iv, block)
    asked, used = [], set()
    for step in steps:
        match step:
            case "take":
                number = sequence.take()
                if number is not None:
                    assert (iv, number) not in used
                    used.add((iv, number))
                record = sequence.reservation()
                if record is not None:
                    asked.append(record)
            case "store" if asked:
                stored = asked.pop(0)
                sequence.stored(stored)
            case "crash":
                asked.clear()
                sequence = Sequence.restore(stored, iv, block)
            case "iv":
                iv += 1
                asked.clear()
                sequence.restart(iv)


def test_a_sequence_ends_at_its_end():
    sequence = Sequence.restore(SeqRecord(0, 0xFFFFFE), 0, 10)
    sequence.stored(sequence.reservation())
    assert [0xFFFFFE, 0xFFFFFF, None] == [sequence.take() for _ in range(3)]
    assert sequence.reservation() is None
    assert 0 == sequence.left


# ------------------------------------------------------------------- segmentation


def arrive(reassembler, segment, seq, now_s=0.0, dst=DST, ttl=5):
    pdu = NetworkPdu(segment.ctl, ttl, seq, SRC, dst, segment.encode(), 0)
    return reassembler.receive(pdu, segment, now_s)


@given(
    st.binary(min_size=1, max_size=384),
    st.integers(0, 0xFFF000),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_segments_in_any_order_and_repeated_give_the_message_once(upper, seq, ctl, dice):
    upper = upper[:256] if ctl else upper
    segments = split(upper, ctl=ctl, first=5, szmic=False, seq_auth=seq)
    assert segments == [parse_lower(ctl, each.encode()) for each in segments]
    order = [*segments, *dice.choices(segments, k=len(segments))]
    dice.shuffle(order)
    reassembler = Reassembler()
    found = []
    for offset, segment in enumerate(order):
        whole = arrive(reassembler, segment, seq + offset)
        if whole is not None:
            found.append((whole.upper, whole.seq_auth))
    assert [(upper, seq)] == found
    assert 0 == reassembler.unfinished


@pytest.mark.parametrize(
    ("seq", "seq_zero", "expected"), [(0x647262, 0x1849, 0x645849), (0x647262, 0x1263, 0x645263)]
)
def test_seq_auth_is_found_as_in_the_specification(seq, seq_zero, expected):
    assert expected == seq_auth_of(seq, seq_zero)


def test_a_seq_zero_that_cannot_be_is_refused():
    with pytest.raises(BadPdu):
        seq_auth_of(5, 6)


def test_a_reassembler_is_bounded_and_says_so():
    reassembler = Reassembler(capacity=3)
    segment = split(bytes(20), ctl=False, first=5, szmic=False, seq_auth=0)[0]
    for src in range(1, 6):
        pdu = NetworkPdu(False, 5, 0, src, DST, segment.encode(), 0)
        reassembler.receive(pdu, segment, 0.0)
    assert 3 == reassembler.unfinished
    assert [0, 0] == [due.ack.acked for due in reassembler.take_acks()]
    reassembler.handle_timer(10.0)
    assert (0, 3) == (reassembler.unfinished, reassembler.discarded)
    for src in range(1, FINISHED_MAX + 50):
        for each in split(bytes(5), ctl=False, first=5, szmic=False, seq_auth=0):
            pdu = NetworkPdu(False, 5, 0, src, DST, each.encode(), 0)
            assert reassembler.receive(pdu, each, 20.0)
            reassembler.take_acks()
    assert FINISHED_MAX == len(reassembler._finished)


def test_segments_are_acknowledged_at_the_end_after_a_pause_and_again():
    reassembler = Reassembler()
    one, two, three = split(bytes(30), ctl=False, first=5, szmic=False, seq_auth=100)
    arrive(reassembler, one, 100, 0.0)
    assert 0.15 == pytest.approx(reassembler.next_timer_s())
    arrive(reassembler, three, 102, 0.1)
    reassembler.handle_timer(0.2)
    assert [] == reassembler.take_acks(), "a new segment begins the pause again"
    reassembler.handle_timer(0.26)
    assert [0b101] == [due.ack.acked for due in reassembler.take_acks()]
    assert arrive(reassembler, two, 103, 0.3).upper == bytes(30)
    assert [0b111] == [due.ack.acked for due in reassembler.take_acks()]
    arrive(reassembler, two, 104, 0.31)
    assert [] == reassembler.take_acks(), "not more often than the pause"
    arrive(reassembler, two, 105, 0.5)
    assert [0b111] == [due.ack.acked for due in reassembler.take_acks()]


def test_groups_are_not_acknowledged_and_ttl_0_is_answered_by_ttl_0():
    reassembler = Reassembler()
    (only,) = split(bytes(5), ctl=False, first=5, szmic=False, seq_auth=1)
    arrive(reassembler, only, 1, dst=0xC000)
    assert [] == reassembler.take_acks()
    arrive(reassembler, only, 1, ttl=0)
    assert [0] == [due.ttl for due in reassembler.take_acks()]


def transfer(size=30, dst=DST, seq=100):
    segments = split(bytes(size), ctl=False, first=5, szmic=False, seq_auth=seq)
    return Transfer(1, SRC, dst, 5, 0, 0, seq, segments)


def play(transfers, until_s, *, react=None, seq=101, step_s=0.01):
    """Let time pass; gives (time, segment number) of what was sent."""
    sent, now_s = [], 0.0
    while now_s <= until_s and transfers.active:
        due = transfers.next_segment(now_s, seq)
        if due is not None:
            seq += 1
            sent.append((round(now_s, 3), due[1].seg_o))
            if react is not None:
                react(due[1].seg_o, now_s)
            continue
        now_s += step_s
    return sent


def test_an_unanswered_transfer_is_tried_three_times():
    transfers = Transfers()
    assert 0 == transfers.begin(transfer(), 0.0).seg_o
    sent = [0, *(number for _, number in play(transfers, 5.0))]
    assert [0, 1, 2] * 3 == sent
    assert [Fate.SILENT] == [fate for _, fate in transfers.take_ended()]


def test_a_group_gets_three_passes():
    transfers = Transfers()
    transfers.begin(transfer(dst=0xC000), 0.0)
    assert 8 == len(play(transfers, 5.0))
    assert [Fate.DELIVERED] == [fate for _, fate in transfers.take_ended()]


def test_only_what_is_missing_is_sent_again():
    transfers = Transfers()
    transfers.begin(transfer(), 0.0)
    acks = iter([0b101, 0b111])

    def react(number, now_s):
        if number == 2 or len(sent_after) > 0:
            sent_after.append(number)
            transfers.receive_ack(DST, SRC, Ack(False, 100, next(acks)), now_s)

    sent_after = []
    sent = play(transfers, 5.0, react=react)
    assert [1, 2, 1] == [number for _, number in sent]
    assert [Fate.DELIVERED] == [fate for _, fate in transfers.take_ended()]


def test_foreign_acknowledgements_do_not_count():
    transfers = Transfers()
    transfers.begin(transfer(), 0.0)
    assert not transfers.receive_ack(0x99, SRC, Ack(False, 100, 7), 0.0)
    assert not transfers.receive_ack(DST, SRC, Ack(False, 101, 7), 0.0)
    assert not transfers.receive_ack(DST, 0x77, Ack(False, 100, 7), 0.0)
    assert transfers.receive_ack(0x99, SRC, Ack(True, 100, 7), 0.0), "a friend may answer"


def test_an_empty_acknowledgement_cancels():
    transfers = Transfers()
    transfers.begin(transfer(), 0.0)
    transfers.receive_ack(DST, SRC, Ack(False, 100, 0), 0.0)
    assert [Fate.REFUSED] == [fate for _, fate in transfers.take_ended()]


def test_a_transfer_dies_when_seq_has_run_too_far():
    transfers = Transfers()
    transfers.begin(transfer(), 0.0)
    assert transfers.next_segment(1.0, 100 + 8192) is None
    assert [Fate.TOO_OLD] == [fate for _, fate in transfers.take_ended()]


# ------------------------------------------------------------------- lower, network


@given(st.booleans(), st.binary(min_size=1, max_size=16))
def test_any_lower_pdu_is_read_or_refused(ctl, data):
    try:
        lower = parse_lower(ctl, data)
    except BadPdu:
        return
    if isinstance(lower, Access | Control | Segment):
        again = parse_lower(ctl, lower.encode())
        assert lower == again


@given(st.binary(max_size=40))
def test_foreign_octets_are_refused(data):
    keys = KeyRing()
    keys.add_net(0, bytes(16))
    with pytest.raises(PeerError):
        decode_network(keys, 5, data)


@given(
    st.booleans(), st.integers(0, 127), st.integers(0, 2**24 - 1), st.integers(1, 0x7FFF),
    st.integers(1, 0x7FFF), st.binary(min_size=1, max_size=12), st.integers(1, 2**32 - 1),
)  # fmt: skip
def test_network_pdus_come_back_for_this_iv_index_and_the_last(ctl, ttl, seq, src, dst, data, iv):
    keys = KeyRing()
    keys.add_net(7, bytes(16))
    pdu = NetworkPdu(ctl, ttl, seq, src, dst, data, iv, 7)
    sealed = encode_network(keys.subnets[7].current.flooding, pdu)
    assert pdu == decode_network(keys, iv, sealed)
    if iv < 2**32 - 2:
        assert pdu == decode_network(keys, iv + 1, sealed)
        with pytest.raises(NotAuthentic):
            decode_network(keys, iv + 2, sealed)


def test_both_keys_are_accepted_during_a_refresh_and_the_old_one_not_after():
    keys = KeyRing()
    keys.add_net(0, b"o" * 16)
    old, new = NetKey(b"o" * 16), NetKey(b"n" * 16)
    keys.update_net(0, b"n" * 16)
    pdu = NetworkPdu(False, 5, 1, SRC, DST, bytes(8), 0)
    by_old, by_new = (encode_network(key.flooding, pdu) for key in (old, new))
    assert b"o" * 16 == keys.subnets[0].transmit.key
    for sealed in (by_old, by_new):
        assert pdu == decode_network(keys, 0, sealed)
    assert not keys.change_phase(0, Phase.DISTRIBUTION)
    keys.change_phase(0, Phase.SWITCHING)
    assert b"n" * 16 == keys.subnets[0].transmit.key
    assert pdu == decode_network(keys, 0, by_old)
    keys.change_phase(0, Phase.REVOKING)
    with pytest.raises(NotAuthentic):
        decode_network(keys, 0, by_old)
    assert pdu == decode_network(keys, 0, by_new)


# ------------------------------------------------------------------- beacons


def test_private_beacons_are_read_with_our_key_only():
    keys = KeyRing()
    keys.add_net(0, bytes(16))
    state = NetworkState(9, True, True)
    beacon = encode_private(keys.subnets[0].current, state, b"r" * 13)
    assert 27 == len(beacon)
    assert state == decode_beacon(keys, beacon)
    assert decode_beacon(keys, beacon[:-1] + b"x") is None


def test_a_wrong_tag_under_our_network_id_is_an_offence():
    keys = KeyRing()
    keys.add_net(0, bytes(16))
    beacon = encode_secure(keys.subnets[0].current, NetworkState(9, False, False))
    with pytest.raises(NotAuthentic):
        decode_beacon(keys, beacon[:-1] + bytes([beacon[-1] ^ 1]))
    other = encode_secure(NetKey(b"x" * 16), NetworkState(9, False, False))
    assert decode_beacon(keys, other) is None


def test_private_identities_are_recognised():
    keys = KeyRing()
    keys.add_net(0, bytes(16))
    key, random = keys.subnets[0].current, b"12345678"
    network = b"\x02" + private_network_hash(key, random) + random
    node = b"\x03" + private_node_hash(key, random, 0x77) + random
    assert 0 == read_proxy_service_data(keys, network).net_index
    assert 0x77 == read_proxy_service_data(keys, node, [0x76, 0x77]).unicast
    assert read_proxy_service_data(keys, node, [0x76]) is None
    assert read_proxy_service_data(keys, b"\x09" + bytes(16)) is None


# ------------------------------------------------------------------- proxy


@given(st.sampled_from(MessageType), st.data(), st.integers(20, 100))
def test_proxy_messages_come_back_at_any_size_of_a_write(kind, data, room):
    message = data.draw(st.binary(min_size=1, max_size=MESSAGE_BYTES_MAX[kind]))
    values = split_proxy(kind, message, room)
    assert all(len(value) == room for value in values[:-1])
    assert len(values[-1]) <= room
    reassembler = ProxyReassembler()
    results = [reassembler.receive(value, 0.0) for value in values]
    assert (kind, message) == results[-1]
    assert {None} >= set(results[:-1])
    assert reassembler.next_timer_s() is None


@pytest.mark.parametrize(
    "values",
    [
        ["80aa"],
        ["c0aa"],
        ["40aa", "40aa"],
        ["40aa", "00aa"],
        ["40aa", "81aa"],
        [""],
        ["43" + "aa" * 60, "83" + "aa" * 10],
    ],
)
def test_parts_out_of_order_end_the_link(values):
    reassembler = ProxyReassembler()
    *before, last = (bytes.fromhex(value) for value in values)
    for value in before:
        assert reassembler.receive(value, 0.0) is None
    with pytest.raises(BadPdu):
        reassembler.receive(last, 0.0)


def test_a_message_that_is_not_whole_after_20_s_ends_the_link():
    reassembler = ProxyReassembler()
    reassembler.receive(b"\x40a", 5.0)
    assert 25.0 == reassembler.next_timer_s()
    reassembler.handle_timer(24.9)
    with pytest.raises(BadPdu):
        reassembler.handle_timer(25.0)


def test_unknown_proxy_message_types_are_ignored():
    assert ProxyReassembler().receive(b"\x3fabc", 0.0) is None


def test_a_filter_begins_as_an_empty_accept_list():
    known = ProxyFilter()
    assert not known.passes(0xC000)
    known.note_source(5)
    assert known.passes(5)
    assert FilterStatus(FilterType.ACCEPT, 2) == known.receive(ChangeAddresses((0xC000,)))
    status = known.receive(parse_proxy(b"\x00\x01"))
    assert "03010000" == status.encode().hex()
    assert known.passes(0xC000)
    known.receive(ChangeAddresses((0xC000,)))
    assert not known.passes(0xC000)
    known.receive(ChangeAddresses((0xC000,), remove=True))
    assert known.passes(0xC000)


@pytest.mark.parametrize("data", ["00", "0002", "000101", "01", "0100", "02010203", "03", "0301"])
def test_bad_proxy_configuration_is_refused(data):
    with pytest.raises(BadPdu):
        parse_proxy(bytes.fromhex(data))


def test_an_unknown_proxy_opcode_is_ignored():
    assert parse_proxy(b"\x09abc") is None
    assert SetFilterType(FilterType.REJECT) == parse_proxy(b"\x00\x01")


# ------------------------------------------------------------------- addresses, queue


def test_addresses_are_the_lowest_that_are_free_and_rested():
    gone = [NodeGone(2, 3, iv_index=5)]

    def give(iv, taken=()):
        return free_address(2, low=2, high=20, taken=taken, gone=gone, iv_index=iv)

    assert [5, 5, 2] == [give(5), give(6), give(7)]
    assert 9 == give(5, [(5, 2), (8, 1)])
    with pytest.raises(NotFound, match="no 2 unicast addresses"):
        give(5, [(5, 15)])


def make_stack(block=1000, **more):
    keys = KeysRecord((NetKeyRecord(0, bytes(16)),), ())
    state = StackState(keys=keys, **more)
    stack = Stack.restore(
        state, unicast=SRC, elements=1, now_s=0.0, replay_capacity=8, block=block
    )
    stack.device_keys[DST] = dev_key(bytes(16))
    return stack


def test_nothing_leaves_before_its_numbers_are_stored():
    stack = make_stack(block=3)
    for _ in range(5):
        stack.send(Message(DST, b"\x80\x08\x00", None))
    assert [] == stack.pdus_to_send(0.0)
    store = stack.journal.take()
    assert (SeqRecord(0, 3),) == store.changes
    stack.stored(store.ticket)
    assert 3 == len(stack.pdus_to_send(0.0))
    assert [] == stack.pdus_to_send(0.0)
    store = stack.journal.take()
    stack.stored(store.ticket)
    assert 2 == len(stack.pdus_to_send(0.0))


def test_keys_are_stored_before_anything_else_is_sent():
    stack = make_stack()
    stack.stored(stack.journal.take().ticket)
    stack.keys_changed()
    stack.send(Message(DST, b"\x80\x08\x00", None))
    assert [] == stack.pdus_to_send(0.0)
    store = stack.journal.take()
    assert store.before_sending
    assert [] == stack.pdus_to_send(0.0)
    stack.stored(store.ticket)
    assert 1 == len(stack.pdus_to_send(0.0))


def test_the_queue_is_bounded():
    stack = make_stack()
    for _ in range(QUEUE_MAX):
        stack.send(Message(DST, b"\x80\x08\x00", None))
    with pytest.raises(TryLater):
        stack.send(Message(DST, b"\x80\x08\x00", None))


@pytest.mark.parametrize(
    "message",
    [
        Message(DST, b"\x01", None, ttl=1),
        Message(0, b"\x01", None),
        Message(DST, b"", None),
        Message(DST, bytes(381), None),
        Message(DST, bytes(377), None, szmic=True),
        Message(DST, b"\x01", 9),
        Message(0x0999, b"\x01", None),
        Message(0xC000, b"\x01", None, label=bytes(16)),
    ],
)
def test_what_cannot_be_sealed_is_refused_at_once(message):
    with pytest.raises(LocalError):
        make_stack().send(message)


@given(st.integers(1, 380), st.booleans(), st.integers(0, 5))
def test_a_message_of_any_size_arrives_between_two_stacks(size, szmic, seed):
    size = min(size, 376) if szmic else size
    one, other = make_stack(), make_stack()
    other.unicast = DST
    payload = b"\x02" + Random(seed).randbytes(size - 1)
    one.stored(one.journal.take().ticket)
    other.stored(other.journal.take().ticket)
    one.send(Message(DST, payload, None, szmic=szmic))
    now_s = 0.0
    while not other.events:
        for sealed in one.pdus_to_send(now_s):
            other.receive_network(sealed.data, now_s)
        now_s += 0.06
        assert now_s < 10
    (message,) = other.events
    assert payload == bytes([message.opcode]) + message.parameters
    for sealed in other.pdus_to_send(now_s):
        one.receive_network(sealed.data, now_s)
    one.pdus_to_send(now_s)
    assert [Fate.DELIVERED] == [event.fate for event in one.events]


def test_state_min_is_four_days():
    assert 4 * 24 * 3600 == STATE_MIN_S


def test_messages_that_wait_keep_their_order():
    stack = make_stack()
    stack.stored(stack.journal.take().ticket)
    stack.device_keys[0x21] = dev_key(bytes(16))
    long = [bytes([0x02]) + bytes([number]) * 20 for number in range(3)]
    for payload in long:
        stack.send(Message(DST, payload, None))
        stack.send(Message(0x21, b"\x02", None))
    stack.pdus_to_send(0.0)
    assert long[1:] == [each.message.payload for each in stack.outbox._queue]
