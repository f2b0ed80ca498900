"""Signatures, key ids and their refusals."""

import contextlib
import hashlib
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.crypto.errors import BadKeyFile, BadSignature
from dunes.crypto.signing import SigningKey, VerifyKey, is_kid
from dunes.errors import Exit, LocalError

SEED = bytes(range(32))


@pytest.fixture(scope="module")
def key():
    return SigningKey.from_seed(SEED)


def test_a_signature_is_verified_by_the_public_key_alone(key):
    public = VerifyKey.from_spki(key.public.spki_der)
    public.verify(key.sign(b"data", b"ctx"), b"data", b"ctx")
    assert key.kid == public.kid


def test_the_key_id_is_the_hash_of_the_der_spki(key):
    expected = hashlib.sha256(key.public.spki_der).hexdigest()[:32]
    assert expected == key.kid
    assert is_kid(key.kid)


def test_der_and_pem_as_text_and_bytes_give_the_same_key(key):
    pem = key.public.pem
    for spki in (key.public.spki_der, pem, pem.encode(), "\n\n" + pem):
        assert key.public == VerifyKey.from_spki(spki)
    assert key.public == VerifyKey.from_raw(key.public.raw)


@pytest.mark.parametrize("context", [b"", b"other", b"ctx\x00"])
def test_a_signature_of_one_purpose_is_refused_as_another(key, context):
    signature = key.sign(b"data", b"ctx")
    with pytest.raises(BadSignature) as caught:
        key.public.verify(signature, b"data", context)
    assert ("bad-signature", Exit.NO) == (caught.value.code, caught.value.exit)


@pytest.mark.parametrize("cut", [b"", b"\x00" * 3308, b"\x00" * 3309, b"\x00" * 3310])
def test_a_signature_of_any_length_is_refused_not_raised(key, cut):
    with pytest.raises(BadSignature):
        key.public.verify(cut, b"data", b"ctx")


def test_a_stranger_cannot_sign(key):
    stranger = SigningKey.generate()
    with pytest.raises(BadSignature, match=key.kid):
        key.public.verify(stranger.sign(b"data", b"ctx"), b"data", b"ctx")


def test_signing_is_hedged_and_both_signatures_verify(key):
    one, two = key.sign(b"d", b"c"), key.sign(b"d", b"c")
    assert one != two
    key.public.verify(one, b"d", b"c")
    key.public.verify(two, b"d", b"c")


def test_other_parameter_sets_are_accepted_only_where_they_are_asked_for():
    other = SigningKey.generate("ML-DSA-87")
    with pytest.raises(BadKeyFile, match="an ML-DSA-87 key, where ML-DSA-65 is accepted"):
        VerifyKey.from_spki(other.public.spki_der)
    allowed = VerifyKey.from_spki(other.public.spki_der, allow=frozenset({"ML-DSA-87"}))
    assert other.public == allowed


def test_a_key_for_something_else_is_refused():
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import ed25519

    der = (
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(BadKeyFile, match="not one that signs with ML-DSA"):
        VerifyKey.from_spki(der)


def test_a_context_over_255_bytes_is_our_own_mistake(key):
    with pytest.raises(LocalError):
        key.sign(b"", b"c" * 256)


def test_the_seed_is_never_shown_or_pickled(key):
    shown = f"{key!r} {key} {key.public!r}"
    assert SEED.hex() not in shown
    assert repr(SEED)[2:-1] not in shown
    with pytest.raises(LocalError):
        pickle.dumps(key)


@settings(max_examples=200)
@given(st.binary(max_size=3000))
def test_any_bytes_as_a_public_key_are_a_key_or_our_error(data):
    with contextlib.suppress(BadKeyFile):
        VerifyKey.from_spki(data)
