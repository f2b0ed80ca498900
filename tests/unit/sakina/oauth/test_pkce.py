"""What goes out through a browser and what may come back."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from dunes.errors import UsageError
from dunes.secrets import Secret
from sakina.oauth.discovery import Metadata
from sakina.oauth.errors import (
    ForgedCallback,
    IssuerRefused,
    LoginDeclined,
    LoginTimedOut,
    NotAnIssuer,
)
from sakina.oauth.loopback import Loopback
from sakina.oauth.pkce import BrowserLogin, challenge

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors/sakina/jose.json").read_text(encoding="utf-8")
)
ISSUER = Metadata(
    "https://i.example", "https://i.example/t", "https://i.example/a?tenant=7", answers_iss=True
)
SILENT = Metadata("https://i.example", "https://i.example/t", "https://i.example/a")


@pytest.fixture
def login():
    return BrowserLogin.begin(4711)


def back(login, **change):
    values = {"state": login.state, "iss": ISSUER.issuer, "code": "c0de"} | change
    return urlencode({name: value for name, value in values.items() if value is not None})


def test_the_challenge_is_that_of_the_specification():
    assert VECTORS["pkce"]["challenge"] == challenge(Secret(VECTORS["pkce"]["verifier"]))


def test_the_page_is_asked_for_with_all_that_ties_it_to_this_login(login):
    url = login.url(
        ISSUER, "cli", {"scope": "openid telemetry", "resource": "", "login_hint": "a"}
    )
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    assert ("https", "i.example", "/a") == (parts.scheme, parts.netloc, parts.path)
    expected = {
        "tenant": ["7"],
        "response_type": ["code"],
        "client_id": ["cli"],
        "redirect_uri": ["http://127.0.0.1:4711/callback"],
        "state": [login.state],
        "code_challenge": [challenge(login.verifier)],
        "code_challenge_method": ["S256"],
        "scope": ["openid telemetry"],
        "login_hint": ["a"],
        "nonce": [login.nonce],
    }
    assert expected == query
    assert 43 <= len(login.verifier.reveal()) <= 128
    assert login.verifier.reveal() not in url


def test_no_two_logins_are_alike():
    seen = {BrowserLogin.begin(1).state for _ in range(50)}
    assert 50 == len(seen)


def test_an_issuer_without_a_page_is_told_so(login):
    with pytest.raises(NotAnIssuer):
        login.url(Metadata("https://i.example", "https://i.example/t"), "cli", {})


def test_the_code_comes_back(login):
    assert Secret("c0de") == login.take_callback(back(login), ISSUER)
    assert Secret("c0de") == login.take_callback(back(login, iss=None), SILENT)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "other"}, "state"),
        ({"state": ""}, "state"),
        ({"state": None}, "state"),
        ({"state": "é"}, "state"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": "https://i.example/"}, "iss"),
        ({"iss": None}, "iss"),
        ({"code": None}, "without a code"),
        ({"state": "other", "error": "access_denied"}, "state"),
    ],
)
def test_what_belongs_to_another_login_is_refused(login, change, reason):
    with pytest.raises(ForgedCallback, match=reason):
        login.take_callback(back(login, **change), ISSUER)


def test_a_wrong_issuer_is_refused_though_none_was_promised(login):
    with pytest.raises(ForgedCallback):
        login.take_callback(back(login, iss="https://evil.example"), SILENT)


def test_a_parameter_twice_is_refused(login):
    with pytest.raises(ForgedCallback, match="twice"):
        login.take_callback(back(login) + "&code=other", ISSUER)


def test_a_refusal_is_told_apart_from_an_error(login):
    with pytest.raises(LoginDeclined):
        login.take_callback(back(login, error="access_denied", code=None), ISSUER)
    with pytest.raises(IssuerRefused) as caught:
        login.take_callback(
            back(login, error="server_error", error_description="a\x1b[2Jb", code=None), ISSUER
        )
    assert "\x1b" not in caught.value.message


# ---------------------------------------------------------------------- the listener


def get(url, **headers):
    return httpx.get(url, headers=headers, trust_env=False, timeout=5)


def test_the_browser_is_taken_in_once_and_sees_a_page_without_the_code():
    with Loopback().serving() as loopback:
        answer = get(f"http://127.0.0.1:{loopback.port}/callback?code=c0de&state=s")
        assert "code=c0de&state=s" == loopback.await_callback(2)
    assert 200 == answer.status_code
    assert "c0de" not in answer.text
    assert "no-store" == answer.headers["cache-control"]
    assert "no-referrer" == answer.headers["referrer-policy"]


def test_what_else_a_browser_asks_for_is_not_found():
    with Loopback().serving() as loopback:
        base = f"http://127.0.0.1:{loopback.port}"
        for path in ("/favicon.ico", "/", "/callback/x"):
            assert 404 == get(base + path).status_code
        assert 404 == get(f"{base}/callback?code=x", host="evil.example").status_code
        with pytest.raises(LoginTimedOut):
            loopback.await_callback(0.3)


def test_a_connection_that_says_nothing_is_in_nobody_s_way():
    import socket

    with (
        Loopback().serving() as loopback,
        socket.create_connection(("127.0.0.1", loopback.port)),
    ):
        assert 200 == get(f"http://127.0.0.1:{loopback.port}/callback?code=c").status_code


def test_a_port_that_is_taken_is_said_to_be():
    with Loopback().serving() as loopback, pytest.raises(UsageError, match="cannot listen"):
        Loopback(loopback.port)
