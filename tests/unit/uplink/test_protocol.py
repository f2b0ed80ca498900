import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.buffer.frameheader import NO_HASH
from dunes.errors import PeerError
from dunes.uplink.errors import BadReceipt, BadRecord
from dunes.uplink.protocol import (
    RECORD_MAX_BYTES,
    Ask,
    KeyRecordBytes,
    encode_batch,
    parse_batch,
    split_batch,
)
from dunes.uplink.receipt import LaneReceipt, Receipt, parse_receipt


def test_every_record_survives_the_wire(writer):
    for _ in range(3):
        writer.append()
    records = [
        writer.frames[2][2],
        writer.head(2, 3),
        writer.sign_tomb(writer.tomb(2, 1, 2)),
        KeyRecordBytes(b"DUNESKEYS" + bytes(100)),
        Ask("gw-one", "lunar_telemetry", bytes(16)),
    ]
    assert records == parse_batch(encode_batch(r.encoded for r in records))


def test_a_batch_that_is_cut_names_the_record(writer):
    writer.append()
    writer.append()
    whole = writer.batch(2, 1, 2)
    with pytest.raises(BadRecord) as caught:
        parse_batch(whole[:-1])
    assert 2 == caught.value.index


def test_an_announced_size_is_refused_before_it_is_read():
    with pytest.raises(BadRecord, match="more than any record has"):
        list(split_batch((RECORD_MAX_BYTES + 1).to_bytes(4, "big") + b"DNF1"))


def test_too_many_records_are_refused():
    with pytest.raises(BadRecord, match="more than 4096"):
        list(split_batch(bytes(4) * 5000))


def test_an_unknown_kind_is_refused():
    with pytest.raises(BadRecord, match="unknown kind"):
        parse_batch(encode_batch([b"WHAT" * 50]))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_batch_or_an_error(data):
    with contextlib.suppress(PeerError):
        parse_batch(data)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_receipt_or_an_error(data, with_magic):
    with contextlib.suppress(BadReceipt):
        parse_receipt((b"DNR1\x01" if with_magic else b"") + data)


NUMBERS = st.integers(1, 2**40)


@given(
    st.dictionaries(st.integers(0, 2), st.lists(NUMBERS, min_size=1, max_size=9, unique=True)),
    st.integers(0, 2**63),
)
def test_a_receipt_survives_the_wire(lanes, receipt_no):
    said = {}
    for lane, numbers in lanes.items():
        cum, *rest = sorted(numbers)
        gaps = tuple((n, n) for n in rest if n > cum + 1)
        gaps = tuple(g for i, g in enumerate(gaps) if not i or g[0] > gaps[i - 1][1] + 1)
        top = max([cum, *rest]) + 1
        said[lane] = LaneReceipt(cum, cum, b"h" * 32, top, cum + 1, top, gaps)
    receipt = Receipt("gw", "t", bytes(16), receipt_no, 5, dict(sorted(said.items())))
    assert receipt == parse_receipt(receipt.encoded)


def test_a_signed_receipt_verifies_and_another_does_not(fake_key):
    ground, stranger = fake_key(b"ground"), fake_key(b"stranger")
    receipt = Receipt("gw", "t", bytes(16), 1, 5, {}).sign(ground)
    parse_receipt(receipt.encoded).verify(ground)
    with pytest.raises(BadReceipt, match="not by the ground station's key"):
        receipt.sign(stranger).verify(ground)


def test_a_receipt_says_nothing_of_an_empty_lane():
    receipt = Receipt("gw", "t", bytes(16), 0, 0, {2: LaneReceipt()})
    assert NO_HASH == parse_receipt(receipt.encoded).lanes[2].cum_hash


@pytest.mark.parametrize(
    "lane",
    [
        LaneReceipt(5, 5, b"h" * 32, 4, 6, 5),
        LaneReceipt(5, 5, NO_HASH, 5, 6, 5),
        LaneReceipt(5, 5, b"h" * 32, 9, 6, 9, ((4, 6),)),
        LaneReceipt(5, 5, b"h" * 32, 9, 6, 9, ((8, 7),)),
        LaneReceipt(5, 5, b"h" * 32, 9, 6, 8, ((7, 9),)),
    ],
)
def test_a_lane_that_cannot_be_is_refused(lane):
    receipt = Receipt("gw", "t", bytes(16), 0, 0, {2: lane})
    with pytest.raises(BadReceipt):
        parse_receipt(receipt.encoded)
