"""Tokens and witnesses: whose word counts, when, and for whom."""

import json
from dataclasses import replace

import pytest

from dunes.authority.jose import sign_compact
from dunes.authority.token import (
    TYP,
    Authorities,
    Claims,
    bear_witness,
    check_token,
    make_token,
    read_token,
)
from dunes.crypto.compactjws import BadToken, b64url

NOW = 1_800_000_000


@pytest.fixture
def claims(keys):
    return Claims(
        keys[0].kid, "hab-sensor-001", "lunar-001", ("telemetry",), NOW, NOW, NOW + 900, "j-1"
    )


@pytest.fixture
def known(keys):
    by_kid = {key.kid: key.public for key in keys}
    return Authorities(
        by_kid.get,
        issuers={keys[0].kid},
        witnesses={key.kid for key in keys[1:5]},
    )


def wrong(checked):
    return [check.name for check in checked.checks if not check.ok]


def test_a_token_of_an_issuer_that_may_gives_its_scopes(keys, claims, known):
    token = read_token(make_token(claims, keys[0]))
    assert claims == token.claims
    checked = check_token(token, known, NOW, audience="lunar-001")
    assert (True, frozenset({"telemetry"})) == (checked.ok, checked.scopes)


def test_a_device_cannot_give_itself_scopes(keys, claims, known):
    mine = replace(claims, iss=keys[5].kid, scopes=("mesh-control",))
    checked = check_token(read_token(make_token(mine, keys[5])), known, NOW)
    assert ["authority"] == wrong(checked)
    assert frozenset() == checked.scopes


def test_a_stranger_is_not_believed(keys, claims, known):
    token = read_token(make_token(claims, keys[0]))
    checked = check_token(token, replace(known, find=lambda _: None), NOW)
    assert ["issuer"] == wrong(checked)


@pytest.mark.parametrize(
    ("now_s", "good"),
    [
        (NOW - 61, False), (NOW - 60, True), (NOW, True), (NOW + 900, True), (NOW + 959, True),
        (NOW + 960, False), (NOW - 86_400, False), (NOW + 86_400, False),
    ],
)  # fmt: skip
def test_a_token_counts_between_its_times_give_or_take_a_minute(keys, claims, known, now_s, good):
    checked = check_token(read_token(make_token(claims, keys[0])), known, now_s)
    assert good is checked.ok


def test_a_clock_that_is_off_by_a_day_is_named(keys, claims, known):
    token = read_token(make_token(claims, keys[0]))
    early = check_token(token, known, NOW - 86_400)
    late = check_token(token, known, NOW + 86_400 + 900)
    assert "it is not valid for another 1 d 0 h, or this clock is slow" == early.checks[1].text
    assert "it expired 1 d 0 h ago" == late.checks[1].text


def test_a_revoked_token_counts_no_longer(keys, claims, known):
    token = read_token(make_token(claims, keys[0]))
    assert ["revocation"] == wrong(check_token(token, replace(known, revoked={"j-1"}), NOW))


def test_a_token_for_another_gateway_is_refused(keys, claims, known):
    token = read_token(make_token(claims, keys[0]))
    assert ["audience"] == wrong(check_token(token, known, NOW, audience="mars-001"))
    everywhere = read_token(make_token(replace(claims, aud=""), keys[0]))
    assert check_token(everywhere, known, NOW, audience="mars-001").ok


def test_three_witnesses_are_enough_where_three_are_asked_for(keys, claims, known):
    mine = replace(claims, iss=keys[5].kid)
    token = read_token(make_token(mine, keys[5]))
    signed = [bear_witness(token, key) for key in keys[1:4]]
    checked = check_token(token, known, NOW, signatures=signed, threshold=3)
    assert (True, frozenset({"telemetry"})) == (checked.ok, checked.scopes)
    assert tuple(key.kid for key in keys[1:4]) == checked.witnesses
    assert ["witnesses"] == wrong(
        check_token(token, known, NOW, signatures=signed[:2], threshold=3)
    )


def test_one_witness_three_times_is_one_witness(keys, claims, known):
    token = read_token(make_token(claims, keys[0]))
    signed = [bear_witness(token, keys[1]) for _ in range(3)]
    checked = check_token(token, known, NOW, signatures=signed, threshold=3)
    assert "1 of 3 witnesses signed; 4 are known" == checked.checks[-1].text


def test_the_issuer_and_the_subject_bear_no_witness_to_themselves(keys, claims, known):
    mine = replace(claims, iss=keys[1].kid, cnf=keys[2].kid)
    token = read_token(make_token(mine, keys[1]))
    signed = [bear_witness(token, key) for key in keys[1:5]]
    checked = check_token(token, known, NOW, signatures=signed, threshold=3)
    assert tuple(key.kid for key in keys[3:5]) == checked.witnesses
    assert not checked.ok


def test_a_witness_to_one_token_is_none_to_another(keys, claims, known):
    one = read_token(make_token(claims, keys[0]))
    other = read_token(make_token(replace(claims, jti="j-2"), keys[0]))
    signed = [bear_witness(one, key) for key in keys[1:4]]
    checked = check_token(other, known, NOW, signatures=signed, threshold=1)
    assert ((), False) == (checked.witnesses, checked.ok)


def test_the_same_claims_signed_again_need_new_witnesses(keys, claims, known):
    """Signing is hedged: the witness vouches for the token's bytes, not for what they say."""
    one, again = (read_token(make_token(claims, keys[0])) for _ in range(2))
    signed = [bear_witness(one, keys[1])]
    assert not check_token(again, known, NOW, signatures=signed, threshold=1).ok


def test_a_stranger_is_no_witness(keys, claims, known):
    token = read_token(make_token(claims, keys[0]))
    checked = check_token(
        token, known, NOW, signatures=[bear_witness(token, keys[5]), "rubbish"], threshold=1
    )
    assert f"{keys[5].kid} is no witness that is believed here" in checked.checks[-1].text


def test_witnesses_do_not_revive_a_token_that_has_ended(keys, claims, known):
    token = read_token(make_token(claims, keys[0]))
    signed = [bear_witness(token, key) for key in keys[1:4]]
    assert ["time"] == wrong(
        check_token(token, known, NOW + 10_000, signatures=signed, threshold=3)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"exp": "soon"}, {"exp": True}, {"exp": 1e9}, {"exp": NOW - 1}, {"exp": NOW + 40 * 86_400},
        {"scope": ""}, {"scope": "A"}, {"scope": ["telemetry"]}, {"sub": ""}, {"sub": "a\nb"},
        {"cnf": {"kid": "x"}}, {"cnf": {"jwk": {}}}, {"admin": True}, {"iss": "f" * 32},
        {"jti": None},
    ],
)  # fmt: skip
def test_claims_that_cannot_be_are_refused(keys, claims, change):
    body = json.loads(claims.encode()) | change
    text = sign_compact(json.dumps(body).encode(), keys[0], TYP)
    with pytest.raises(BadToken):
        read_token(text)


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"\xff", b'{"a":1,"a":2}', b"{"])
def test_a_payload_that_is_no_object_is_refused(keys, payload):
    with pytest.raises(BadToken):
        read_token(sign_compact(payload, keys[0], TYP))


def test_a_token_without_its_signature_is_refused(keys, claims, known):
    first, payload, _ = make_token(claims, keys[0]).split(".")
    checked = check_token(read_token(f"{first}.{payload}."), known, NOW)
    assert ["issuer"] == wrong(checked)
    assert b64url(b"") == ""
