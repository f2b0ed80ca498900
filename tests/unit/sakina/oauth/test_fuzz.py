"""Whatever an issuer, a browser or a disk gives: a value, or an error that says whose fault."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.errors import DataError, PeerError
from sakina.grant import decode_grant
from sakina.oauth.device import parse_device_code
from sakina.oauth.discovery import Metadata, parse_metadata
from sakina.oauth.errors import IssuerRefused, LoginDeclined
from sakina.oauth.idtoken import Expected, verify_id_token
from sakina.oauth.jose import SigningKey, read_jwk, verify_jws
from sakina.oauth.pkce import BrowserLogin
from sakina.oauth.tokens import parse_token
from sakina.scopes import judge_scopes
from sakina.store.file import _split

ISSUER = "https://i.example"
KEY = SigningKey.generate()
JWKS = [{**KEY.jwk(), "kid": KEY.kid}]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=20)
    | st.sampled_from([ISSUER, "http://x", "https://[::1", "https://i.example:99999/", "Bearer"])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


def objects(*names):
    """Objects with some of these members, right or wrong."""
    return st.dictionaries(st.sampled_from(names), anything, max_size=len(names))


@given(
    objects(
        "token_endpoint", "authorization_endpoint", "jwks_uri", "scopes_supported",
        "token_endpoint_auth_methods_supported", "dpop_signing_alg_values_supported", "issuer",
    )
)  # fmt: skip
def test_any_metadata(body):
    for given_ in (body, {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/t"} | body):
        try:
            found = parse_metadata(given_, ISSUER)
        except PeerError:
            continue
        assert ISSUER == found.issuer


@given(objects("access_token", "token_type", "expires_in", "refresh_token", "id_token", "scope"))
def test_any_answer_of_the_token_endpoint(body):
    for given_ in (body, {"access_token": "t", "token_type": "bearer"} | body):
        try:
            answer = parse_token(given_, bound=False)
        except PeerError:
            continue
        judge_scopes(("a",), answer)
        assert "Bearer" == answer.token_type


@given(
    objects("device_code", "user_code", "verification_uri", "verification_uri_complete",
            "expires_in", "interval")
)  # fmt: skip
def test_any_device_code(body):
    good = {"device_code": "d", "user_code": "u", "verification_uri": ISSUER, "expires_in": 5}
    for given_ in (body, good | body):
        try:
            code = parse_device_code(given_)
        except PeerError:
            continue
        assert 0 <= code.interval_s <= 120


@given(
    objects("alg", "kid", "typ", "crit", "jwk"),
    objects("iss", "aud", "exp", "iat", "nbf", "sub", "nonce", "azp"),
)
def test_any_token_that_is_well_signed(header, claims):
    good = {"iss": ISSUER, "aud": "cli", "sub": "a", "iat": 1_800_000_000, "exp": 1_800_000_300}
    for body in (claims, good | claims):
        token = KEY.sign({"kid": KEY.kid} | header, body)
        try:
            found = verify_id_token(token, JWKS, Expected(ISSUER, "cli", 1_800_000_000, "n"))
        except PeerError:
            continue
        assert ("n", "cli" in found["aud"]) == (found["nonce"], True)


@given(
    st.lists(objects("kty", "crv", "x", "y", "n", "e", "kid", "use", "alg") | anything, max_size=3)
)
def test_any_keys(jwks):
    token = KEY.sign({"kid": KEY.kid}, {"sub": "a"})
    with pytest.raises(PeerError):
        verify_jws(token, jwks)
    for jwk in jwks:
        if isinstance(jwk, dict):
            try:
                assert read_jwk(jwk) is None
            except PeerError:
                continue


@given(
    st.text(max_size=60)
    | objects("code", "state", "iss", "error", "error_description").map(
        lambda values: urlencode({k: str(v).encode("utf-8", "replace") for k, v in values.items()})
    )
)
def test_any_callback(query):
    login = BrowserLogin.begin(1)
    metadata = Metadata(ISSUER, f"{ISSUER}/t", f"{ISSUER}/a")
    for given_ in (query, f"{query}&state={login.state}"):
        try:
            code = login.take_callback(given_, metadata)
        except (PeerError, IssuerRefused, LoginDeclined):
            continue
        assert code.reveal()


@given(st.binary(max_size=200))
def test_any_file(raw):
    from pathlib import Path

    for given_ in (raw, b"SAKINA-TOKEN/1\n" + raw, b"SAKINA-TOKEN/1\n{}\n" + raw):
        with pytest.raises(DataError):
            _split(given_, Path("x"))


@given(anything)
def test_any_login_that_was_kept(body):
    members = {"format": "sakina.grant/1", "access_token": "t", "metadata": {"issuer": ISSUER}}
    for given_ in (body, members | body if isinstance(body, dict) else body):
        with pytest.raises(DataError):
            decode_grant(json.dumps(given_).encode(), "x")
