"""Lane heads and tombstones: one value, one encoding; anything else is refused."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.buffer.records import (
    BadHead,
    BadTombstone,
    DropReason,
    Head,
    Tombstone,
    parse_head,
    parse_tombstone,
)
from dunes.crypto.errors import BadSignature
from dunes.crypto.signing import SigningKey

HASHES = st.binary(min_size=32, max_size=32)
EPOCHS = st.binary(min_size=16, max_size=16)
COUNTS = st.integers(1, 2**40)

HEADS = st.builds(
    lambda total, **other: Head(n_total=total + other["no"], dropped_total=total, **other),
    total=COUNTS,
    gateway=st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?", fullmatch=True),
    table=st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True),
    epoch=EPOCHS,
    lane=st.integers(0, 2),
    no=COUNTS,
    frame_hash=HASHES,
    ts_us=st.integers(-(2**62), 2**62),
    kid=st.binary(min_size=16, max_size=16).map(bytes.hex),
    signature=st.binary(max_size=100),
)
TOMBSTONES = st.builds(
    lambda span, more, **other: Tombstone(
        to_no=other["from_no"] + span,
        first_msg=other["from_no"] + more,
        n_msgs=span + 1 + more,
        **other,
    ),
    span=COUNTS,
    more=st.integers(0, 2**40),
    epoch=EPOCHS,
    lane=st.integers(0, 2),
    from_no=COUNTS,
    prev_hash=HASHES,
    last_hash=HASHES,
    reason=st.sampled_from(DropReason),
    ts_us=st.integers(-(2**62), 2**62),
)

HEAD = Head("gw-1", "lunar_telemetry", bytes(16), 2, 10, b"\x01" * 32, 1000, 5, 123)
TOMB = Tombstone(bytes(16), 2, 3, 5, 30, 9, b"\1" * 32, b"\2" * 32, DropReason.QUOTA, 77)


@given(HEADS)
def test_a_head_is_read_as_it_was_written(head):
    assert head == parse_head(head.encoded)


@given(TOMBSTONES)
def test_a_tombstone_is_read_as_it_was_written(tomb):
    assert 128 == len(tomb.encoded)
    assert tomb == parse_tombstone(tomb.encoded)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_head_or_refused(data):
    with contextlib.suppress(BadHead):
        assert data == parse_head(data).encoded


@given(HEADS, st.data())
def test_a_changed_head_is_another_head_or_refused(head, data):
    encoded = bytearray(head.encoded)
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        changed = parse_head(bytes(encoded))
    except BadHead:
        return
    assert bytes(encoded) == changed.encoded
    assert head != changed


@given(st.binary(min_size=128, max_size=128) | st.binary(max_size=140))
def test_any_bytes_are_a_tombstone_or_refused(data):
    with contextlib.suppress(BadTombstone):
        assert data == parse_tombstone(data).encoded


def test_a_signed_head_verifies_with_its_key_and_only_unchanged():
    key, stranger = SigningKey.generate(), SigningKey.generate()
    signed = parse_head(HEAD.sign(key).encoded)
    signed.verify(key.public)
    with pytest.raises(BadHead, match=stranger.kid):
        signed.verify(stranger.public)
    for change in ({"no": 11}, {"table": "vitals_data"}, {"dropped_total": 0}, {"lane": 1}):
        with pytest.raises(BadSignature):
            replace(signed, **change).verify(key.public)
    forged = replace(signed, kid=stranger.kid)
    with pytest.raises(BadSignature):
        forged.verify(stranger.public)


@pytest.mark.parametrize(
    "change", [{"lane": 3}, {"no": 0}, {"n_total": 9}, {"dropped_total": 1001}], ids=str
)
def test_a_head_with_impossible_counts_is_refused(change):
    with pytest.raises(BadHead):
        parse_head(replace(HEAD, **change).encoded)


@pytest.mark.parametrize(
    "change",
    [{"lane": 3}, {"from_no": 0}, {"to_no": 2}, {"first_msg": 2}, {"n_msgs": 2}],
    ids=str,
)
def test_a_tombstone_with_impossible_counts_is_refused(change):
    with pytest.raises(BadTombstone):
        parse_tombstone(replace(TOMB, **change).encoded)
