"""Challenge and answer: replayed, swapped, late and foreign answers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.authority.challenge import (
    BadAnswer,
    Challenge,
    answer,
    check_answer,
    read_challenge,
)
from dunes.crypto.errors import BadSignature

NOW = 1_800_000_000


@pytest.fixture
def asked(keys):
    return Challenge("hab-sensor-001", keys[0].kid, b"n" * 32, NOW, NOW + 60)


def test_a_device_that_has_its_key_proves_it(keys, asked):
    assert asked == read_challenge(asked.encode())
    said = answer(asked.encode(), "hab-sensor-001", keys[1], NOW)
    check_answer(asked, said, keys[1].public, NOW + 1)


def test_an_answer_to_an_earlier_challenge_is_refused(keys, asked):
    old = answer(replace(asked, nonce=b"o" * 32).encode(), "hab-sensor-001", keys[1], NOW)
    with pytest.raises(BadAnswer, match="to another challenge"):
        check_answer(asked, old, keys[1].public, NOW)


def test_an_old_signature_under_a_new_nonce_is_refused(keys, asked):
    import json

    old = replace(asked, nonce=b"o" * 32)
    body = json.loads(answer(old.encode(), "hab-sensor-001", keys[1], NOW))
    fresh = json.loads(answer(asked.encode(), "hab-sensor-001", keys[1], NOW))
    spliced = json.dumps(body | {"nonce": fresh["nonce"]}).encode()
    with pytest.raises(BadSignature):
        check_answer(asked, spliced, keys[1].public, NOW)


def test_an_answer_with_another_key_is_refused(keys, asked):
    said = answer(asked.encode(), "hab-sensor-001", keys[2], NOW)
    with pytest.raises(BadSignature, match="not with the trusted"):
        check_answer(asked, said, keys[1].public, NOW)
    renamed = said.replace(keys[2].kid.encode(), keys[1].kid.encode())
    with pytest.raises(BadSignature):
        check_answer(asked, renamed, keys[1].public, NOW)


def test_an_answer_made_for_another_verifier_is_refused(keys, asked):
    relayed = answer(replace(asked, verifier=keys[3].kid).encode(), "hab-sensor-001", keys[1], NOW)
    with pytest.raises(BadSignature):
        check_answer(asked, relayed, keys[1].public, NOW)


def test_a_late_answer_is_refused_by_both_sides(keys, asked):
    said = answer(asked.encode(), "hab-sensor-001", keys[1], NOW)
    with pytest.raises(BadAnswer, match="too late"):
        check_answer(asked, said, keys[1].public, NOW + 60)
    with pytest.raises(BadAnswer, match="has ended"):
        answer(asked.encode(), "hab-sensor-001", keys[1], NOW + 60)


def test_a_device_answers_for_itself_only(keys, asked):
    with pytest.raises(BadAnswer, match="is for hab-sensor-001, and this is hab-sensor-002"):
        answer(asked.encode(), "hab-sensor-002", keys[1], NOW)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_challenge_and_answer(data):
    with pytest.raises(BadAnswer):
        read_challenge(data)
