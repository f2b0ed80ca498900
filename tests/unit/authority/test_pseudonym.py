"""Tokens in place of people."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from dunes.authority.pseudonym import NAME_MAX_BYTES, Pseudonyms, is_token
from dunes.errors import DataError, Denied
from dunes.model import NAME

HERE, THERE = Pseudonyms(b"k" * 32), Pseudonyms(b"j" * 32)


@given(st.text(min_size=1, max_size=22).filter(lambda t: 0 < len(t.encode()) <= NAME_MAX_BYTES))
def test_a_name_becomes_a_token_and_comes_back(name):
    token = HERE.token(name, "device")
    assert is_token(token)
    assert NAME.fullmatch(token)
    assert name == HERE.name(token, "device")


def test_the_same_person_has_the_same_token_here_and_another_elsewhere():
    assert HERE.token("crew-001", "device") == HERE.token("crew-001", "device")
    assert HERE.token("crew-001", "device") != THERE.token("crew-001", "device")
    assert HERE.token("crew-001", "device") != HERE.token("crew-002", "device")
    assert HERE.token("crew-001", "device") != HERE.token("crew-001", "name")


def test_a_token_is_not_made_a_token_again():
    token = HERE.token("crew-001", "device")
    assert token == HERE.token(token, "device")


def test_another_place_cannot_turn_a_token_back():
    with pytest.raises(Denied, match="made at another place"):
        THERE.name(HERE.token("crew-001", "device"), "device")
    with pytest.raises(Denied, match="or for another field"):
        HERE.name(HERE.token("crew-001", "device"), "name")


def test_a_token_with_a_changed_letter_is_refused():
    token = HERE.token("crew-001", "device")
    changed = token[:-3] + ("a" if token[-3] != "a" else "b") + token[-2:]
    with pytest.raises(Denied):
        HERE.name(changed, "device")


def test_a_long_name_is_replaced_for_good():
    token = HERE.token("x" * 23, "name")
    assert token.startswith("h1-")
    assert token == HERE.token("x" * 23, "name")
    with pytest.raises(DataError, match="cannot be turned back"):
        HERE.name(token, "name")


def test_what_is_no_token_is_said_to_be_none():
    with pytest.raises(DataError, match="'crew-001' is no token"):
        HERE.name("crew-001", "device")


def test_the_cipher_agrees_with_rfc_5297():
    """Appendix A.1: the deterministic example."""
    key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    ad = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
    sealed = AESSIV(key).encrypt(bytes.fromhex("112233445566778899aabbccddee"), [ad])
    assert "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c" == sealed.hex()


def test_the_key_is_not_shown():
    assert "secret hidden" in repr(HERE)
