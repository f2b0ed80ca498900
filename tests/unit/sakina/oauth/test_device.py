"""The patience of the device flow, and what ends it; no network."""

import pytest

from dunes.secrets import Secret
from sakina.oauth.device import DeviceCode, DeviceFlow, parse_device_code
from sakina.oauth.errors import (
    IssuerBusy,
    IssuerRefused,
    IssuerSilent,
    LoginDeclined,
    LoginTimedOut,
    NotAnIssuer,
    WrongCertificate,
)

CODE = DeviceCode(Secret("dc"), "ABCD-EFGH", "https://i.example/d", "", 600.0, 5.0)
ANSWER = {
    "device_code": "dc",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://i.example/d",
    "expires_in": 600,
    "interval": 7,
}


def refused(error):
    return IssuerRefused("refused", error=error)


@pytest.fixture
def flow():
    return DeviceFlow(CODE, 1000.0)


def waits(flow, *errors):
    """Poll as planned, and give the times between."""
    now_s, found = 1000.0, []
    for error in errors:
        found.append(flow.next_poll_s - now_s)
        now_s = flow.next_poll_s
        flow.check_time(now_s)
        flow.pending(error, now_s)
    return [*found, flow.next_poll_s - now_s]


def test_pending_keeps_the_interval(flow):
    assert [5.0] * 4 == waits(flow, *[refused("authorization_pending")] * 3)


def test_slow_down_adds_five_seconds_for_good(flow):
    slow, pending = refused("slow_down"), refused("authorization_pending")
    assert [5.0, 10.0, 10.0, 15.0, 15.0] == waits(flow, slow, pending, slow, pending)


def test_a_dead_link_is_waited_out_longer_and_longer_then_as_before(flow):
    silent = IssuerSilent("no answer")
    assert [5.0, 10.0, 20.0, 40.0] == waits(flow, silent, silent, silent)
    flow.pending(refused("authorization_pending"), 1100.0)
    assert 1105.0 == flow.next_poll_s


def test_a_busy_issuer_is_asked_again_when_it_says(flow):
    assert [5.0, 90.0] == waits(flow, IssuerBusy("429", 90.0))
    assert [5.0, 10.0] == waits(DeviceFlow(CODE, 1000.0), IssuerBusy("429 without Retry-After"))


def test_a_link_that_comes_back_near_the_end_is_still_used(flow):
    flow.pending(IssuerSilent("x"), 1500.0)
    for _ in range(6):
        flow.pending(IssuerSilent("x"), 1560.0)
    assert flow.next_poll_s <= flow.deadline_s - CODE.interval_s


def test_it_ends_when_the_code_does(flow):
    flow.check_time(1599.9)
    with pytest.raises(LoginTimedOut, match="expired"):
        flow.check_time(1600.0)


def test_it_ends_earlier_when_somebody_said_so():
    flow = DeviceFlow(CODE, 1000.0, timeout_s=30.0)
    with pytest.raises(LoginTimedOut, match="--timeout"):
        flow.check_time(1030.0)
    with pytest.raises(LoginTimedOut, match="expired"):
        DeviceFlow(CODE, 1000.0, timeout_s=9999.0).check_time(1600.0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused("access_denied"), LoginDeclined),
        (refused("expired_token"), LoginTimedOut),
        (refused("invalid_client"), IssuerRefused),
        (refused("invalid_grant"), IssuerRefused),
        (WrongCertificate("x"), WrongCertificate),
        (NotAnIssuer("x"), NotAnIssuer),
    ],
)
def test_what_ends_a_login_ends_it(flow, error, expected):
    with pytest.raises(expected):
        flow.pending(error, 1005.0)


def test_a_token_that_was_lost_on_the_way_is_said_to_be_lost(flow):
    flow.pending(IssuerSilent("no answer"), 1005.0)
    with pytest.raises(LoginTimedOut, match="lost on the way"):
        flow.pending(refused("invalid_grant"), 1015.0)


def test_an_interval_that_is_absent_is_five_seconds():
    body = {name: value for name, value in ANSWER.items() if name != "interval"}
    assert 5.0 == parse_device_code(body).interval_s
    assert 7.0 == parse_device_code(ANSWER).interval_s
    assert 7.5 == parse_device_code(ANSWER | {"interval": "7.5"}).interval_s


def test_the_page_with_the_code_filled_in_is_kept():
    body = ANSWER | {"verification_uri_complete": "https://i.example/d?user_code=ABCD-EFGH"}
    assert body["verification_uri_complete"] == parse_device_code(body).verification_uri_complete
    old = {n: v for n, v in ANSWER.items() if n != "verification_uri"}
    assert (
        "https://g.example/"
        == parse_device_code(old | {"verification_url": "https://g.example/"}).verification_uri
    )


def test_a_code_is_safe_to_print():
    body = ANSWER | {"user_code": "\x1b[2J" + "A" * 500}
    assert "\x1b" not in parse_device_code(body).user_code
    assert len(parse_device_code(body).user_code) < 100


@pytest.mark.parametrize(
    "change",
    [
        {"device_code": None},
        {"device_code": 5},
        {"user_code": ""},
        {"verification_uri": ["x"]},
        {"verification_uri_complete": 5},
        {"expires_in": None},
        {"expires_in": "soon"},
        {"expires_in": True},
        {"expires_in": float("nan")},
        {"expires_in": -1},
        {"interval": {}},
    ],
)
def test_an_answer_that_is_none_is_refused(change):
    with pytest.raises(NotAnIssuer):
        parse_device_code(ANSWER | change)


def test_nobody_is_sent_to_a_page_without_tls():
    for uri in ("http://i.example/d", "javascript:alert(1)", "file:///etc/passwd"):
        with pytest.raises(NotAnIssuer):
            parse_device_code(ANSWER | {"verification_uri": uri})


def test_no_answer_makes_it_wait_for_ever():
    code = parse_device_code(ANSWER | {"expires_in": 1e12, "interval": 1e9})
    assert (86_400.0, 120.0) == (code.expires_in_s, code.interval_s)
