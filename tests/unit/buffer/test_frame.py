"""Frames: what goes in comes out; anything else is a BadFrame with its reason."""

import contextlib
import hashlib
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dunes.buffer.frame import Frame, check_link, make_frame, open_body, open_readings, parse_frame
from dunes.buffer.frameheader import CODEC_ZSTD_LINES, CODECS, NO_HASH, BadFrame, FrameReason
from dunes.buffer.payload import Batch, pack_readings, plain_text
from dunes.errors import LocalError
from dunes.model import Priority, Reading

EPOCH = bytes(range(16))

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
VALUES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
)
READINGS = st.builds(
    Reading,
    device=NAMES,
    kind=NAMES,
    value=VALUES,
    unit=st.sampled_from(["", "ppm", "%", "uSv/h"]),
    ts_us=st.integers(-(2**53), 2**53),
    priority=st.just(Priority.WARNING),
    seq=st.none() | st.integers(0, 2**53),
    simulated=st.booleans(),
)


class XorSealer:
    """A toy seal that is 16 bytes longer and depends on header and salt."""

    key_id = b"\x01" * 8
    key_record = b"record"

    def seal(self, plaintext: bytes, header_aad: bytes, salt: bytes) -> bytes:
        tag = hashlib.sha256(header_aad + salt + plaintext).digest()[:16]
        return bytes(b ^ 0x55 for b in plaintext) + tag

    def open(self, key_id: bytes, salt: bytes, body: bytes, aad: bytes) -> bytes:
        assert self.key_id == key_id
        plain = bytes(b ^ 0x55 for b in body[:-16])
        assert body == self.seal(plain, aad, salt)
        return plain


def reading(i: int = 0, **other) -> Reading:
    given = {"device": "hab-1", "kind": "co2", "value": 600.0 + i, "unit": "ppm", "ts_us": 10 + i}
    return Reading(**given | other)


def some_frame(n: int = 3, **place) -> Frame:
    batch = pack_readings([reading(i) for i in range(n)], Priority.ROUTINE)
    return make_frame(
        batch, **{"epoch": EPOCH, "no": 1, "first_msg": 1, "prev_hash": NO_HASH} | place
    )


@given(st.lists(READINGS, min_size=1, max_size=30), st.integers(0, 3))
def test_readings_come_out_as_they_went_in(readings, level):
    batch = pack_readings(readings, Priority.WARNING, level=level)
    made = make_frame(batch, epoch=EPOCH, no=7, first_msg=100, prev_hash=b"\x07" * 32)
    read = parse_frame(made.encoded)
    assert made == read
    assert readings == open_readings(read)
    assert any(r.simulated for r in readings) == read.header.simulated


@given(st.binary(max_size=400))
def test_any_bytes_are_a_frame_or_a_bad_frame(data):
    with contextlib.suppress(BadFrame):
        open_readings(parse_frame(data))


@given(st.data())
def test_a_changed_frame_has_another_hash_or_does_not_parse(data):
    good = some_frame()
    encoded = bytearray(good.encoded)
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        changed = parse_frame(bytes(encoded))
    except BadFrame:
        return
    assert changed.hash != good.hash
    with contextlib.suppress(BadFrame):
        open_readings(changed)


@given(st.binary(max_size=200), st.sampled_from(sorted(CODECS)))
def test_any_body_is_readings_or_a_bad_frame(body, codec):
    batch = Batch(2, 1, 0, 0, 0, codec, body or b"x")
    made = make_frame(batch, epoch=EPOCH, no=1, first_msg=1, prev_hash=NO_HASH)
    with pytest.raises(BadFrame) as caught:
        open_readings(made)
    assert caught.value.reason in {FrameReason.PACKED, FrameReason.PAYLOAD}


def test_the_header_has_the_documented_layout():
    made = some_frame(no=5, first_msg=9, prev_hash=b"\xaa" * 32)
    head = made.header_bytes
    assert 120 == len(head)
    assert b"DNF1\x01\x11\x02\x00" == head[:8]
    assert (3).to_bytes(4, "big") == head[8:12]
    assert EPOCH == head[12:28]
    assert (5).to_bytes(8, "big") + (9).to_bytes(8, "big") == head[28:44]
    assert (10).to_bytes(8, "big") + (12).to_bytes(8, "big") == head[44:60]
    assert bytes(24) + b"\xaa" * 32 == head[60:116]
    assert len(made.body).to_bytes(4, "big") == head[116:]
    assert hashlib.sha256(made.encoded).digest() == made.hash
    assert 11 == made.header.last_msg


def test_a_sealed_frame_opens_with_its_opener_only():
    batch = pack_readings([reading()], 0)
    place = {"epoch": EPOCH, "no": 1, "first_msg": 1, "prev_hash": NO_HASH}
    with pytest.raises(LocalError, match="random"):
        make_frame(batch, **place, sealer=XorSealer())
    made = make_frame(batch, **place, sealer=XorSealer(), salt=b"\x09" * 16)
    read = parse_frame(made.encoded)
    assert read.header.sealed
    assert [replace(reading(), priority=Priority.ALERT)] == open_readings(read, XorSealer())
    with pytest.raises(BadFrame) as caught:
        open_readings(read)
    assert FrameReason.NO_KEY == caught.value.reason


@pytest.mark.parametrize(
    "bad",
    [
        reading(value=float("nan")),
        reading(value=float("inf")),
        reading(device="\ud800"),
    ],
    ids=["nan", "infinity", "surrogate"],
)
def test_a_reading_that_could_not_be_read_back_is_not_packed(bad):
    with pytest.raises(LocalError):
        pack_readings([reading(), bad], 2)


def test_text_that_looks_like_a_missing_value_is_packed():
    tricky = reading(value='"v":null', unit="")
    assert (
        '"v":null'
        == open_readings(
            make_frame(
                pack_readings([tricky], 2), epoch=EPOCH, no=1, first_msg=1, prev_hash=NO_HASH
            )
        )[0].value
    )


def test_a_bomb_does_not_unfold():
    bomb = zstandard.ZstdCompressor().compress(bytes(200_000_000))
    batch = Batch(2, 1, 0, 0, 0, CODEC_ZSTD_LINES, bomb)
    made = make_frame(batch, epoch=EPOCH, no=1, first_msg=1, prev_hash=NO_HASH)
    with pytest.raises(BadFrame) as caught:
        open_readings(made)
    assert FrameReason.PACKED == caught.value.reason


def test_a_body_of_unknown_size_is_refused():
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(b"{}\n")
    batch = Batch(2, 1, 0, 0, 0, CODEC_ZSTD_LINES, unsized)
    made = make_frame(batch, epoch=EPOCH, no=1, first_msg=1, prev_hash=NO_HASH)
    with pytest.raises(BadFrame, match="unfold"):
        open_readings(made)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"codec": 0x21}, FrameReason.CODEC),
        ({"lane": 3}, FrameReason.LANE),
        ({"n": 0}, FrameReason.RANGE),
        ({"n": 70_000}, FrameReason.RANGE),
        ({"no": 0}, FrameReason.RANGE),
        ({"no": 2**63}, FrameReason.RANGE),
        ({"first_msg": 0}, FrameReason.RANGE),
        ({"first_msg": 2**63 - 1}, FrameReason.RANGE),
        ({"ts_min_us": 13}, FrameReason.RANGE),
        ({"salt": b"\x01" * 16}, FrameReason.RANGE),
        ({"body_len": 5_000_000}, FrameReason.RANGE),
        ({"body_len": 1}, FrameReason.LENGTH),
    ],
    ids=str,
)
def test_a_header_out_of_range_is_refused(change, reason):
    made = some_frame()
    with pytest.raises(BadFrame) as caught:
        parse_frame(replace(made.header, **change).pack() + made.body)
    assert reason == caught.value.reason


def test_a_frame_that_says_other_counts_or_times_is_refused():
    made = some_frame()
    for change in ({"n": 4}, {"ts_min_us": 9}, {"ts_max_us": 13}):
        head = replace(made.header, **change).pack()
        with pytest.raises(BadFrame) as caught:
            open_readings(parse_frame(head + made.body))
        assert FrameReason.PAYLOAD == caught.value.reason


def test_the_chain_is_checked_link_by_link():
    first = some_frame()
    second = some_frame(no=2, first_msg=4, prev_hash=first.hash)
    check_link(second.header, no=2, first_msg=4, prev_hash=first.hash)
    for wrong in (
        {"no": 3, "first_msg": 4, "prev_hash": first.hash},
        {"no": 2, "first_msg": 5, "prev_hash": first.hash},
        {"no": 2, "first_msg": 4, "prev_hash": second.hash},
    ):
        with pytest.raises(BadFrame) as caught:
            check_link(second.header, **wrong)
        assert FrameReason.LINK == caught.value.reason


def test_a_scan_finds_what_a_payload_holds():
    plain = open_body(some_frame())
    assert all(text in plain for text in plain_text("hab-1", "co2"))
    assert not all(text in plain for text in plain_text("hab-", None))
