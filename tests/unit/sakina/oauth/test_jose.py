"""Signed JSON: published vectors, another implementation, and forgeries."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt

from dunes.crypto.compactjws import b64url, thumbprint, unb64url
from dunes.errors import DataError
from sakina.oauth.errors import BadToken
from sakina.oauth.idtoken import Expected, verify_id_token
from sakina.oauth.jose import (
    SigningKey,
    check_signature,
    parse_jws,
    peek_claims,
    read_jwk,
    verify_jws,
)

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors/sakina/jose.json").read_text(encoding="utf-8")
)
NOW_S = 1_800_000_000
ISSUER = "https://issuer.example"


@pytest.mark.parametrize("case", VECTORS["signatures"], ids=lambda case: case["name"])
def test_the_signatures_of_the_specifications_are_good(case):
    key = read_jwk(case["jwk"])
    jws = parse_jws(case["jws"])
    check_signature(jws, key)
    head, body, signature = case["jws"].split(".")
    spoilt = bytearray(unb64url(signature))
    spoilt[5] ^= 1
    with pytest.raises(BadToken):
        check_signature(parse_jws(f"{head}.{body}.{b64url(bytes(spoilt))}"), key)


def test_the_thumbprint_is_that_of_the_specification():
    case = VECTORS["thumbprint"]
    assert case["jkt"] == thumbprint(case["jwk"])


def test_what_is_signed_here_is_read_by_another_implementation():
    key = SigningKey.generate()
    token = key.sign({"typ": "JWT", "kid": key.kid}, {"sub": "ada", "n": 1})
    read = jwt.decode(token, jwk.ECKey.import_key(key.jwk()), ["ES256"])
    assert {"sub": "ada", "n": 1} == read.claims
    assert key.kid == jwk.ECKey.import_key(key.jwk()).thumbprint()


@pytest.mark.parametrize(
    ("algorithm", "make"),
    [
        ("ES256", lambda: jwk.ECKey.generate_key("P-256")),
        ("ES384", lambda: jwk.ECKey.generate_key("P-384")),
        ("RS256", lambda: jwk.RSAKey.generate_key(2048)),
        ("RS512", lambda: jwk.RSAKey.generate_key(2048)),
        ("PS256", lambda: jwk.RSAKey.generate_key(2048)),
        ("Ed25519", lambda: jwk.OKPKey.generate_key("Ed25519")),
    ],
)
def test_what_another_implementation_signs_is_read_here(algorithm, make):
    key = make()
    token = jwt.encode({"alg": algorithm, "kid": "k"}, {"sub": "ada"}, key, [algorithm])
    public = {**key.as_dict(private=False), "kid": "k"}
    assert {"sub": "ada"} == verify_jws(token, [public]).claims
    other = {**make().as_dict(private=False), "kid": "k"}
    with pytest.raises(BadToken, match="not signed by"):
        verify_jws(token, [other])


# ---------------------------------------------------------------------- forgeries


@pytest.fixture(scope="module")
def key():
    return SigningKey.generate()


@pytest.fixture(scope="module")
def keys(key):
    return [{**key.jwk(), "kid": key.kid, "use": "sig", "alg": "ES256"}]


def claims(**more):
    body = {"iss": ISSUER, "aud": "cli", "sub": "ada", "iat": NOW_S, "exp": NOW_S + 300}
    return {name: value for name, value in (body | more).items() if value is not None}


def token_of(header, body, signature=b""):
    parts = [json.dumps(header).encode(), json.dumps(body).encode(), signature]
    return ".".join(b64url(part) for part in parts)


@pytest.mark.parametrize("name", ["none", "None", "nOnE", "", None, "HS256", ["ES256"], 5])
def test_an_algorithm_of_the_token_s_own_choice_is_refused(name, keys, key):
    import hashlib
    import hmac as hmac_

    header = {"alg": name, "kid": key.kid}
    unsigned = token_of(header, claims())
    secret = json.dumps(key.jwk()).encode()
    signed = unsigned.rpartition(".")[0]
    mac = hmac_.new(secret, signed.encode(), hashlib.sha256).digest()
    for token in (unsigned, f"{signed}.{b64url(mac)}", f"{signed}.{b64url(bytes(64))}"):
        with pytest.raises(BadToken):
            verify_jws(token, keys)


def test_a_key_that_the_token_brings_along_is_not_used(keys, key):
    thief = SigningKey.generate()
    token = thief.sign({"kid": key.kid, "jwk": thief.jwk()}, claims())
    with pytest.raises(BadToken, match="not signed by"):
        verify_jws(token, keys)


def test_a_key_for_encryption_signs_nothing(key):
    token = key.sign({"kid": key.kid}, claims())
    with pytest.raises(BadToken, match="no key"):
        verify_jws(token, [{**key.jwk(), "kid": key.kid, "use": "enc"}])


def test_without_a_kid_each_key_is_tried(keys, key):
    others = [{**SigningKey.generate().jwk(), "kid": str(n)} for n in range(3)]
    token = key.sign({}, claims())
    assert "ada" == verify_jws(token, [*others, *keys]).claims["sub"]
    with pytest.raises(BadToken):
        verify_jws(token, others)


def test_an_extension_that_is_not_known_is_refused(keys, key):
    with pytest.raises(BadToken, match="extension"):
        verify_jws(key.sign({"kid": key.kid, "crit": ["b64"], "b64": False}, claims()), keys)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://other.example"}, "another issuer"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"aud": "someone-else"}, "another audience"),
        ({"aud": ["a", "b"]}, "another audience"),
        ({"aud": None}, "no claim 'aud'"),
        ({"aud": ["cli", "b"], "azp": "b"}, "another client"),
        ({"exp": NOW_S - 61}, "expired"),
        ({"exp": NOW_S - 86_400}, "expired"),
        ({"exp": None}, "no claim 'exp'"),
        ({"exp": "soon"}, "no time"),
        ({"exp": True}, "no time"),
        ({"iat": NOW_S + 86_400}, "in the future"),
        ({"nbf": NOW_S + 61}, "in the future"),
        ({"nonce": "other"}, "another login"),
        ({"nonce": None}, "another login"),
        ({"nonce": 5}, "another login"),
        ({"sub": None}, "no claim 'sub'"),
    ],
)
def test_each_claim_is_checked(changed, reason, keys, key):
    token = key.sign({"kid": key.kid}, claims(**({"nonce": "n"} | changed)))
    with pytest.raises(BadToken, match=reason):
        verify_id_token(token, keys, Expected(ISSUER, "cli", NOW_S, "n"))


def test_a_good_token_passes_and_a_minute_of_clock_is_forgiven(keys, key):
    for shift_s in (-59, 0, 359):
        token = key.sign({"kid": key.kid}, claims(nonce="n", aud=["cli", "b"], azp="cli"))
        read = verify_id_token(token, keys, Expected(ISSUER, "cli", NOW_S + shift_s, "n"))
        assert "ada" == read["sub"]


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "a.b.c.d", "=.e30.x", "e30.e30.=", "bnVsbA.e30.x", "e30.W10.x", "é.e30.x",
     "x" * 70_000, "e30." + "W" * 10 + ".x", "e30.e30.a+b/"],
)  # fmt: skip
def test_what_is_no_token_is_said_to_be_none(text):
    with pytest.raises(BadToken):
        parse_jws(text)
    assert peek_claims(text) is None


@given(st.text(max_size=200))
def test_any_text_gives_a_token_or_an_error(text):
    assert peek_claims(text) is None or "." in text


@given(st.binary(max_size=100))
def test_base64url_is_its_own_inverse(data):
    text = b64url(data)
    assert data == unb64url(text)
    assert text == base64.urlsafe_b64encode(data).rstrip(b"=").decode()


WEAK = rsa.generate_private_key(65537, 1024).public_key().public_numbers()


@pytest.mark.parametrize(
    "bad",
    [
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": b64url(bytes(32)), "y": b64url(bytes(32))},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": "P-256", "x": 5, "y": None},
        {"kty": "RSA", "n": b64url(WEAK.n.to_bytes(128)), "e": "AQAB"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
    ],
)
def test_a_key_that_is_none_or_weak_is_refused(bad):
    with pytest.raises(BadToken):
        read_jwk(bad)


@pytest.mark.parametrize(
    "other", [{"kty": "oct", "k": "AA"}, {"kty": "EC", "crv": "secp256k1"}, {}, {"kty": None}]
)
def test_a_key_of_another_kind_is_left_alone(other):
    assert read_jwk(other) is None


# ---------------------------------------------------------------------- our own keys


def test_a_key_is_read_as_pem_and_as_jwk():
    key = SigningKey.generate()
    assert key.kid == SigningKey.read(key.pem().encode(), "x").kid
    private = jwk.ECKey.import_key(key.pem()).as_dict(private=True)
    read = SigningKey.read(json.dumps({**private, "kid": "mine"}).encode(), "x")
    assert ("mine", key.jwk()) == (read.kid, read.jwk())


SECRET_PART = "c2VjcmV0LXBhcnQ"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no key",
        b"{}",
        b'{"crv": "P-256", "d": "' + SECRET_PART.encode() + b'=="}',
        b'{"crv": "P-256", "d": "AA"}',
        b'{"crv": "P-521", "d": "' + SECRET_PART.encode() + b'"}',
        b"[1]",
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"pass"),
        ),
    ],
)
def test_what_is_no_key_is_refused_without_being_quoted(raw):
    import traceback

    with pytest.raises(DataError) as caught:
        SigningKey.read(raw, "the file")
    assert SECRET_PART not in "".join(traceback.format_exception(caught.value, chain=True))
