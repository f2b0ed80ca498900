"""Compact JWS with ML-DSA-65: the published example, a foreign verifier, and attacks."""

import base64
import json
from pathlib import Path

import pytest
from dilithium_py.ml_dsa import ML_DSA_65
from hypothesis import given
from hypothesis import strategies as st

from dunes.authority.jose import jwk_of, key_of, read_compact, sign_compact
from dunes.crypto.compactjws import BadToken, b64url, thumbprint, unb64url
from dunes.crypto.errors import BadKeyFile, BadSignature, SuiteRefused
from dunes.crypto.signing import SigningKey
from dunes.errors import DunesError

VECTORS = Path(__file__).resolve().parents[2] / "vectors/authority"
PUBLISHED = json.loads((VECTORS / "rfc9964_ml_dsa_65.json").read_text())
TYP = "dunes+jwt"


def head(**fields):
    return b64url(json.dumps(fields).encode())


def test_the_published_example_verifies():
    key = SigningKey.from_seed(bytes.fromhex(PUBLISHED["seed"])).public
    signing_input, _, signature = PUBLISHED["jws"].rpartition(".")
    key.verify(unb64url(signature), signing_input.encode(), b"")
    with pytest.raises(BadSignature):
        key.verify(unb64url(signature), signing_input.encode() + b"x", b"")


def test_the_published_key_and_thumbprint_are_ours():
    key = SigningKey.from_seed(bytes.fromhex(PUBLISHED["seed"])).public
    jwk = {"kty": "AKP", "alg": "ML-DSA-65", "pub": PUBLISHED["pub"]}
    assert key == key_of(jwk)
    assert PUBLISHED["pub"] == jwk_of(key)["pub"]
    assert PUBLISHED["thumbprint"] == thumbprint(jwk)


def test_another_implementation_verifies_what_we_sign(keys):
    text = sign_compact(b'{"a":1}', keys[0], TYP)
    first, payload, signature = text.split(".")
    padded = signature + "=" * (-len(signature) % 4)
    assert ML_DSA_65.verify(
        keys[0].public.raw, f"{first}.{payload}".encode(), base64.urlsafe_b64decode(padded)
    )
    assert {"alg": "ML-DSA-65", "kid": keys[0].kid, "typ": TYP} == json.loads(unb64url(first))


def test_what_another_implementation_signs_we_read(keys):
    seed = bytes([1]) * 32
    _, secret = ML_DSA_65.key_derive(seed)
    signing_input = head(alg="ML-DSA-65", kid=keys[0].kid, typ=TYP) + "." + b64url(b"{}")
    text = f"{signing_input}.{b64url(ML_DSA_65.sign(secret, signing_input.encode()))}"
    read_compact(text, TYP).verify(keys[0].public)


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "HS256", "ES256", "EdDSA", "ML-DSA-44", "ML-DSA-87", "ml-dsa-65", None, 1],
)
def test_another_algorithm_is_refused_before_anything_is_verified(keys, alg):
    good = sign_compact(b"{}", keys[0], TYP)
    _, payload, signature = good.split(".")
    for last in (signature, ""):
        with pytest.raises(SuiteRefused, match="only ML-DSA-65 is accepted"):
            read_compact(f"{head(alg=alg, kid=keys[0].kid, typ=TYP)}.{payload}.{last}", TYP)


def test_a_public_key_used_as_a_secret_is_refused(keys):
    """The old trick: HMAC under the public key, with the header saying so."""
    import hashlib
    import hmac

    signing_input = head(alg="HS256", kid=keys[0].kid, typ=TYP) + "." + b64url(b"{}")
    mac = hmac.digest(keys[0].public.raw, signing_input.encode(), hashlib.sha256)
    with pytest.raises(SuiteRefused):
        read_compact(f"{signing_input}.{b64url(mac)}", TYP)


@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": {}},
        {"jku": "https://x"},
        {"x5c": []},
        {"crit": ["b64"]},
        {"b64": False},
        {"zip": "DEF"},
    ],
)
def test_a_header_that_brings_a_key_or_an_extension_is_refused(keys, extra):
    good = sign_compact(b"{}", keys[0], TYP)
    _, payload, signature = good.split(".")
    header = head(alg="ML-DSA-65", kid=keys[0].kid, typ=TYP, **extra)
    with pytest.raises(BadToken, match="which is not accepted"):
        read_compact(f"{header}.{payload}.{signature}", TYP)


def test_a_header_with_a_name_twice_is_refused(keys):
    raw = f'{{"alg":"none","alg":"ML-DSA-65","kid":"{keys[0].kid}","typ":"{TYP}"}}'
    with pytest.raises(BadToken, match="not JSON"):
        read_compact(f"{b64url(raw.encode())}.e30.AA", TYP)


def test_another_keys_signature_is_refused_whatever_kid_is_named(keys):
    text = sign_compact(b"{}", keys[0], TYP)
    with pytest.raises(BadSignature, match="the token names key"):
        read_compact(text, TYP).verify(keys[1].public)
    _, payload, _ = text.split(".")
    signing_input = head(alg="ML-DSA-65", kid=keys[1].kid, typ=TYP) + "." + payload
    forged = f"{signing_input}.{b64url(keys[0].sign(signing_input.encode(), b''))}"
    with pytest.raises(BadSignature, match="not signed by key"):
        read_compact(forged, TYP).verify(keys[1].public)


def test_a_changed_payload_is_refused(keys):
    first, _, signature = sign_compact(b'{"a":1}', keys[0], TYP).split(".")
    changed = read_compact(f"{first}.{b64url(b'{}')}.{signature}", TYP)
    with pytest.raises(BadSignature):
        changed.verify(keys[0].public)


@pytest.mark.parametrize("length", [0, 1, 3308, 3310])
def test_a_signature_of_another_length_is_refused(keys, length):
    first, payload, _ = sign_compact(b"{}", keys[0], TYP).split(".")
    with pytest.raises(BadSignature):
        read_compact(f"{first}.{payload}.{b64url(bytes(length))}", TYP).verify(keys[0].public)


def test_one_type_is_not_taken_for_another(keys):
    with pytest.raises(BadToken, match="is of type 'dunes-witness"):
        read_compact(sign_compact(b"{}", keys[0], "dunes-witness+jws"), TYP)


@pytest.mark.parametrize("text", ["AA=", "A", "AB", "A+", "A/", "A A", "AA\n", "Ä"])
def test_base64url_has_one_spelling(text):
    with pytest.raises(BadToken):
        unb64url(text)


@given(st.text(max_size=200))
def test_any_text_is_a_token_or_refused(text):
    with pytest.raises(DunesError):
        read_compact(text, TYP)


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "OKP"},
        {"alg": "ML-DSA-44"},
        {"alg": None},
        {"pub": "AA"},
        {"pub": "="},
        {"priv": "AA"},
    ],
)
def test_a_jwk_that_is_not_of_our_kind_is_refused(keys, change):
    with pytest.raises(BadKeyFile):
        key_of({**jwk_of(keys[0].public), **change})
