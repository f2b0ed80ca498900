"""Whole logins against an issuer that a test directs: faults, forgeries, and what is kept."""

import base64
import dataclasses
import os
import ssl
import threading
import time as time_
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import httpx
import pytest

from dunes.errors import ConfigError, DunesError, StorageError, UsageError
from dunes.secrets import Secret
from dunes.uplink.tls import find_certificate
from sakina.journal import Journal
from sakina.oauth.errors import (
    BadToken,
    ClockOff,
    ForgedCallback,
    IssuerBusy,
    IssuerRefused,
    IssuerSilent,
    LoginDeclined,
    LoginTimedOut,
    NoCredential,
    NotAnIssuer,
    ScopeRefused,
    StoreUnusable,
    WrongCertificate,
)
from sakina.oauth.jose import SigningKey, parse_jws, read_jwk, verify_jws
from sakina.oauth.wait import Wait
from sakina.preparing import Wishes, make_login
from sakina.session import Session
from sakina.store.file import FileStore

DEVICE = {
    "device_code": "dc-secret",
    "user_code": "ABCD-EFGH",
    "verification_uri": "http://127.0.0.1:1/device",
    "expires_in": 600,
}
TOKEN = {"access_token": "at-secret", "token_type": "Bearer", "expires_in": 300}
PENDING = (400, {"error": "authorization_pending"})
LATER = "Sat, 16 Jan 2027 08:00:00 GMT"
"""A day after the tests' clock."""


@pytest.fixture
def log_in(issuer, paths, time, somebody):
    def run(person=None, *, environ=None, wait=None, **wishes):
        given = {"client_id": "cli", "flow": "device", "token_store": "file"} | wishes
        wanted = Wishes(provider=issuer.url, **given)
        grant, _ = make_login(
            paths, wanted, person or somebody(), environ=environ or {}, wait=wait or time.wait
        )
        return grant

    return run


@pytest.fixture
def stored(paths):
    return lambda profile="default": FileStore(paths, {}).load(profile)


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text("with:colon&% +é\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture(autouse=True)
def _device(issuer):
    issuer.answers["/device"] = (200, DEVICE)
    issuer.answers["/token"] = (200, TOKEN)
    issuer.answers["/revoke"] = (200, {})


# ---------------------------------------------------------------------- device flow


def test_polls_keep_to_the_five_seconds_of_an_issuer_that_names_none(issuer, log_in, time):
    issuer.answers["/token"] = [PENDING, PENDING, (200, TOKEN)]
    log_in()
    assert [5.0, 5.0, 5.0] == time.slept
    assert {"cli"} == {post.form["client_id"] for post in issuer.posts()}


def test_slow_down_is_kept_to(issuer, log_in, time):
    issuer.answers["/token"] = [PENDING, (400, {"error": "slow_down"}), PENDING, (200, TOKEN)]
    log_in()
    assert [5.0, 5.0, 10.0, 10.0] == time.slept


def test_a_link_that_drops_in_the_middle_ends_no_login(issuer, log_in, stored, time):
    issuer.answers["/token"] = [
        PENDING, lambda _: None, (503, b"<html>"), (429, b""), PENDING, (200, TOKEN),
    ]  # fmt: skip
    log_in()
    assert Secret("at-secret") == stored().access_token
    assert 6 == len(issuer.posts())
    assert [5.0, 5.0, 10.0, 20.0, 40.0, 5.0] == time.slept


def test_a_token_is_asked_for_once(issuer, log_in):
    log_in()
    assert 1 == len(issuer.posts())


def test_nobody_in_time_is_no_login(issuer, log_in, stored, time):
    issuer.answers["/token"] = PENDING
    with pytest.raises(LoginTimedOut):
        log_in()
    assert 600.0 == sum(time.slept)
    assert stored() is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [("access_denied", LoginDeclined), ("expired_token", LoginTimedOut),
     ("invalid_grant", IssuerRefused)],
)  # fmt: skip
def test_an_end_is_an_end(issuer, log_in, stored, paths, error, expected):
    issuer.answers["/token"] = (400, {"error": error})
    with pytest.raises(expected):
        log_in()
    assert (None, 1) == (stored(), len(issuer.posts()))
    assert [] == Journal(paths).look("default")


def test_an_issuer_without_that_flow_says_so(issuer, log_in):
    body = issuer.metadata()
    del body["device_authorization_endpoint"]
    issuer.answers["/.well-known/openid-configuration"] = (200, body)
    with pytest.raises(NotAnIssuer, match="no device authorization"):
        log_in()


# ---------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>welcome"),
        (200, b""),
        (200, {}),
        (200, TOKEN | {"access_token": ""}),
        (200, TOKEN | {"access_token": 5}),
        (200, TOKEN | {"token_type": "mac"}),
        (200, TOKEN | {"token_type": None}),
        (200, TOKEN | {"token_type": "DPoP"}),
        (200, TOKEN | {"expires_in": "soon"}),
        (200, TOKEN | {"expires_in": -1}),
        (200, TOKEN | {"refresh_token": 5}),
        (200, TOKEN | {"id_token": {}}),
        (400, b"<html>error"),
        (400, {"message": "no"}),
        (401, b""),
    ],
    ids=repr,
)
def test_an_answer_that_is_none_is_no_login(issuer, log_in, stored, answer):
    issuer.answers["/token"] = answer
    with pytest.raises(NotAnIssuer):
        log_in()
    assert stored() is None


def test_a_careless_issuer_shows_none_of_our_secrets(issuer, log_in, secret_file):
    issuer.answers["/token"] = lambda post: (
        400,
        {
            "error": "invalid_grant",
            "error_description": f"bad {post.form['device_code']}\x1b[2J " + "x" * 5000,
        },
    )
    with pytest.raises(IssuerRefused) as caught:
        log_in()
    assert "bad <secret>" in caught.value.message
    assert "dc-secret" not in caught.value.message
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 400


def test_nothing_of_a_login_shows_by_accident(log_in, stored):
    log_in()
    assert "secret" not in repr(stored()).replace("<secret>", "").replace("client_secret", "") \
        .replace("secret_file", "")  # fmt: skip


# ---------------------------------------------------------------------- who the client is


def basic_of(post):
    pair = base64.b64decode(post.headers["authorization"].removeprefix("Basic ")).decode()
    return tuple(unquote_plus(part) for part in pair.split(":"))


def test_a_secret_with_special_characters_arrives_whole(issuer, log_in, secret_file, stored):
    log_in(flow="auto", client_id="gate:way", client_secret_file=secret_file)
    (post,) = issuer.posts()
    assert ("gate:way", "with:colon&% +é") == basic_of(post)
    assert {"grant_type": "client_credentials"} == post.form
    assert secret_file == stored().secret_file


def test_an_issuer_that_wants_it_in_the_form_gets_it_there(issuer, log_in, secret_file):
    only_post = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    issuer.answers["/.well-known/openid-configuration"] = (200, issuer.metadata(**only_post))
    log_in(flow="auto", client_secret_file=secret_file)
    (post,) = issuer.posts()
    assert ("cli", "with:colon&% +é") == (post.form["client_id"], post.form["client_secret"])
    assert "authorization" not in post.headers


def test_an_issuer_that_takes_nothing_of_ours_is_told_apart(issuer, log_in, secret_file):
    only_tls = {"token_endpoint_auth_methods_supported": ["tls_client_auth"]}
    issuer.answers["/.well-known/openid-configuration"] = (200, issuer.metadata(**only_tls))
    with pytest.raises(NoCredential, match="tls_client_auth"):
        log_in(flow="auto", client_secret_file=secret_file)
    assert [] == issuer.posts()


def key_file(tmp_path, key=None):
    path = tmp_path / "key.pem"
    path.write_text((key or SigningKey.generate()).pem())
    path.chmod(0o600)
    return path


def test_an_assertion_is_for_this_issuer_short_and_new(issuer, log_in, tmp_path, time):
    key = SigningKey.generate()
    file = key_file(tmp_path, key)
    for _ in range(2):
        log_in(flow="auto", client_id="gw", client_key=file)
    claims = [
        verify_jws(post.form["client_assertion"], [{**key.jwk(), "kid": key.kid}]).claims
        for post in issuer.posts()
    ]
    assert claims[0]["jti"] != claims[1]["jti"]
    now_s = int(time.wall_s)
    expected = {"iss": "gw", "sub": "gw", "aud": issuer.url, "iat": now_s, "exp": now_s + 60}
    assert expected == {name: value for name, value in claims[0].items() if name != "jti"}


def test_a_key_that_others_can_read_is_refused(issuer, log_in, tmp_path):
    file = key_file(tmp_path)
    file.chmod(0o644)
    with pytest.raises(DunesError, match="mode 0644"):
        log_in(client_id="gw", client_key=file)
    assert [] == issuer.received


def test_a_secret_from_the_environment_and_from_systemd(issuer, log_in, tmp_path):
    log_in(flow="auto", environ={"DUNES_CLIENT_SECRET": "from-env", "DUNES_CLIENT_ID": "x"})
    (tmp_path / "client-secret").write_text("from-systemd")
    log_in(flow="auto", environ={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert ["from-env", "from-systemd"] == [basic_of(post)[1] for post in issuer.posts()]


def test_without_a_client_id_nobody_is_asked(issuer, log_in):
    with pytest.raises(NoCredential, match="client id"):
        log_in(client_id=None)
    assert [] == issuer.posts()


@pytest.mark.parametrize(
    "wrong",
    [
        {"flow": "password"},
        {"dpop": "maybe"},
        {"client_key_alg": "RS256"},
        {"dpop": "on"},
        {"token_store": "usb-stick"},
        {"profile": "../x"},
        {"scopes": ('a"b',)},
        {"timeout": "30"},
        {"token_store": "none", "with_token": True},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_a_person_is_troubled(issuer, log_in, wrong, somebody,
                                                              monkeypatch):  # fmt: skip
    monkeypatch.setattr("sakina.preparing._stdin_token", lambda: Secret("t"))
    person = somebody()
    with pytest.raises(UsageError):
        log_in(person, **wrong)
    assert ([], []) == (person.codes, issuer.posts())


# ---------------------------------------------------------------------- id_token


DAY_S = 86_400
NOW_S = 1_800_000_000


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "somebody-else"},
        {"iss": "https://evil.example"},
        {"exp": NOW_S - 61},
        {"iat": NOW_S + DAY_S, "exp": NOW_S + 2 * DAY_S},
        {"nbf": NOW_S + DAY_S},
        {"sub": None},
    ],
    ids=str,
)
def test_a_login_that_cannot_be_believed_is_given_back(issuer, log_in, stored, claims):
    answer = TOKEN | {"id_token": issuer.id_token(**claims), "refresh_token": "rt-secret"}
    issuer.answers["/token"] = (200, answer)
    with pytest.raises(BadToken):
        log_in()
    assert stored() is None
    revoked = [post.form["token"] for post in issuer.posts("/revoke")]
    assert ["rt-secret", "at-secret"] == revoked


@pytest.mark.parametrize("trick", ["none", "swapped keys", "another key", "text"])
def test_a_forged_id_token_is_no_login(issuer, log_in, stored, trick):
    thief = SigningKey.generate()
    good = issuer.id_token()
    _, body, _ = good.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    forged = {
        "none": f"{unsigned}.{body}.",
        "swapped keys": good,
        "another key": issuer.id_token(key=thief),
        "text": "not a token",
    }[trick]
    if trick == "swapped keys":
        issuer.answers["/jwks"] = (200, {"keys": [{**thief.jwk(), "kid": issuer.key.kid}]})
    issuer.answers["/token"] = (200, TOKEN | {"id_token": forged})
    with pytest.raises(BadToken):
        log_in()
    assert stored() is None


@pytest.mark.parametrize("way", ["ahead of", "behind"])
def test_a_clock_that_is_a_day_off_is_named(issuer, log_in, time, way):
    time.wall_s += DAY_S if way == "ahead of" else -DAY_S - 60
    theirs = {"date": "Fri, 15 Jan 2027 08:00:00 GMT"}
    issuer.answers["/jwks"] = (200, {"keys": [issuer.jwk()]}, theirs)
    issuer.answers["/token"] = (200, TOKEN | {"id_token": issuer.id_token()})
    with pytest.raises(ClockOff, match=f"1d 0h {way} the issuer's") as caught:
        log_in()
    assert "timedatectl" in caught.value.hint


def test_a_refused_assertion_and_a_clock_that_is_off_are_put_together(issuer, log_in, tmp_path):
    refusal = {"error": "invalid_client", "error_description": "assertion is not active yet"}
    issuer.answers["/token"] = (401, refusal, {"date": LATER})
    with pytest.raises(ClockOff, match="behind"):
        log_in(flow="auto", client_key=key_file(tmp_path))
    issuer.answers["/token"] = (401, refusal, {"date": "Fri, 15 Jan 2027 08:00:05 GMT"})
    with pytest.raises(IssuerRefused):
        log_in(flow="auto", client_key=tmp_path / "key.pem")


# ---------------------------------------------------------------------- browser flow


def come_back(**change):
    """Be the browser: read the page's address, and come back to the redirect URI."""

    def visit(url):
        query = {name: many[0] for name, many in parse_qs(urlsplit(url).query).items()}
        values = {"code": "c0de-secret", "state": query["state"]} | change
        target = f"{query['redirect_uri']}?{urlencode(values)}"
        visit.asked = query
        Thread(target=lambda: httpx.get(target, trust_env=False)).start()

    return visit


def test_a_code_is_redeemed_once_with_its_verifier(issuer, log_in, somebody, stored):
    visit = come_back()

    def answer(_):
        return 200, TOKEN | {"id_token": issuer.id_token(nonce=visit.asked.get("nonce"))}

    issuer.answers["/.well-known/openid-configuration"] = (
        200,
        issuer.metadata(scopes_supported=["openid", "offline_access"]),
    )
    issuer.answers["/token"] = answer
    person = somebody(visit)
    log_in(person, flow="pkce", browser=False, scopes=("telemetry",), profile="ada")
    (post,) = issuer.posts()
    assert ("authorization_code", "c0de-secret") == (post.form["grant_type"], post.form["code"])
    assert 64 == len(post.form["code_verifier"])
    assert visit.asked["redirect_uri"] == post.form["redirect_uri"]
    assert ("consent", "ada") == (visit.asked["prompt"], visit.asked["login_hint"])
    assert ("browser", "ada") == (stored("ada").flow, stored("ada").subject)
    assert [False] == [opened for _, opened in person.pages]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"state": "of-another-login"}, ForgedCallback),
        ({"iss": "https://evil.example"}, ForgedCallback),
        ({"error": "access_denied"}, LoginDeclined),
        ({"error": "server_error"}, IssuerRefused),
    ],
)
def test_a_callback_that_is_not_ours_redeems_nothing(
    issuer, log_in, somebody, stored, change, expected
):
    with pytest.raises(expected):
        log_in(somebody(come_back(**change)), flow="browser", browser=False)
    assert ([], None) == (issuer.posts(), stored())


def test_an_id_token_of_another_login_is_refused(issuer, log_in, somebody, stored):
    issuer.answers["/.well-known/openid-configuration"] = (
        200, issuer.metadata(scopes_supported=["openid"]),
    )  # fmt: skip
    for token in (issuer.id_token(nonce="of-another-login"), issuer.id_token(), None):
        issuer.answers["/token"] = (200, TOKEN | {"id_token": token})
        with pytest.raises(BadToken):
            log_in(somebody(come_back()), flow="browser", browser=False)
    assert stored() is None


def test_a_browser_that_never_comes_back_is_waited_for_so_long(log_in):
    with pytest.raises(LoginTimedOut, match="did not come back"):
        log_in(flow="browser", browser=False, timeout="400ms")


# ---------------------------------------------------------------------- DPoP


@pytest.fixture
def dpop(issuer):
    issuer.answers["/.well-known/openid-configuration"] = (
        200, issuer.metadata(dpop_signing_alg_values_supported=["ES256"]),
    )  # fmt: skip


def proof_of(post):
    jws = parse_jws(post.headers["dpop"])
    verify_jws(post.headers["dpop"], [jws.header["jwk"]])
    return jws


@pytest.mark.usefixtures("dpop")
def test_a_nonce_that_the_issuer_demands_is_brought_once(issuer, log_in, stored):
    demand = (400, {"error": "use_dpop_nonce"}, {"dpop-nonce": "n-1"})
    issuer.answers["/token"] = [demand, (200, TOKEN | {"token_type": "DPoP"})]
    log_in()
    first, second = (proof_of(post) for post in issuer.posts())
    assert ("nonce" in first.claims, second.claims["nonce"]) == (False, "n-1")
    assert first.claims["jti"] != second.claims["jti"]
    assert ("POST", f"{issuer.url}/token") == (second.claims["htm"], second.claims["htu"])
    assert "dpop+jwt" == first.header["typ"]
    assert "d" not in first.header["jwk"]
    assert read_jwk(first.header["jwk"]) is not None
    assert "DPoP" == stored().token_type


@pytest.mark.usefixtures("dpop")
def test_an_issuer_that_demands_nonces_for_ever_is_left(issuer, log_in):
    issuer.answers["/token"] = lambda _: (
        400, {"error": "use_dpop_nonce"}, {"dpop-nonce": os.urandom(4).hex()},
    )  # fmt: skip
    with pytest.raises(IssuerRefused, match="use_dpop_nonce"):
        log_in()
    assert 2 == len(issuer.posts())


@pytest.mark.usefixtures("dpop")
def test_an_issuer_that_ignores_the_proof_gives_a_plain_token(log_in, stored):
    log_in()
    assert ("Bearer", None) == (stored().token_type, stored().dpop_key)


# ---------------------------------------------------------------------- scopes


def jwt_with(header, claims):
    return SigningKey.generate().sign(header, claims)


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ({"scope": "telemetry"}, ["rover-data"]),
        ({"scope": ""}, ["telemetry", "rover-data"]),
        ({"access_token": jwt_with({"typ": "at+jwt"}, {})}, ["telemetry", "rover-data"]),
        ({"access_token": jwt_with({"typ": "at+jwt"}, {"scope": "rover-data"})}, ["telemetry"]),
        ({"access_token": jwt_with({}, {"scp": ["telemetry"]})}, ["rover-data"]),
    ],
    ids=["less", "none", "silent and worth nothing", "said inside", "said as a list"],
)
def test_less_than_was_asked_for_is_no_login(issuer, log_in, stored, answer, missing):
    issuer.answers["/token"] = (200, TOKEN | answer)
    with pytest.raises(ScopeRefused) as caught:
        log_in(scopes=("telemetry rover-data",))
    assert " ".join(missing) in caught.value.message
    assert 1 == caught.value.exit
    assert stored() is None
    assert 1 == len(issuer.posts("/revoke")), "what came is given back"
    kept = log_in(scopes=("telemetry rover-data",), allow_less=True)
    assert set(missing).isdisjoint(kept.allowed_scopes)


def test_an_issuer_that_does_not_tell_is_warned_of(log_in, somebody):
    person = somebody()
    grant = log_in(person, scopes=("telemetry",))
    assert (None, ("telemetry",)) == (grant.scopes, grant.allowed_scopes)
    assert any("does not say which scopes" in text for text in person.warnings)


# ---------------------------------------------------------------------- the store comes first


def test_a_store_that_cannot_be_written_is_found_out_before_the_login(issuer, log_in, paths,
                                                                     somebody):  # fmt: skip
    paths.keys.parent.mkdir(parents=True)
    paths.keys.write_text("a file where a directory should be")
    person = somebody()
    with pytest.raises(StorageError) as caught:
        log_in(person)
    assert 74 == caught.value.exit
    assert ([], []) == (person.codes, issuer.received)


def test_a_keyring_that_does_not_work_is_found_out_before_the_login(issuer, log_in, somebody):
    person = somebody()
    with pytest.raises(StoreUnusable, match="no keyring works here"):
        log_in(person, token_store="keyring")
    assert ([], []) == (person.codes, issuer.received)


def test_a_store_that_fails_after_all_gives_the_tokens_back(issuer, log_in, monkeypatch, paths):
    issuer.answers["/token"] = (200, TOKEN | {"refresh_token": "rt-secret"})

    def full(*_):
        raise StorageError("no space left on device")

    monkeypatch.setattr(FileStore, "save", full)
    with pytest.raises(StorageError, match="no space"):
        log_in()
    revoked = [post.form["token"] for post in issuer.posts("/revoke")]
    assert ["rt-secret", "at-secret"] == revoked
    assert [] == Journal(paths).look("default")


def test_without_a_store_nothing_is_kept_and_the_token_is_given_back(issuer, log_in, stored,
                                                                    somebody):  # fmt: skip
    person = somebody()
    log_in(person, token_store="none")
    assert stored() is None
    assert ["at-secret"] == [post.form["token"] for post in issuer.posts("/revoke")]
    assert any("nothing was kept" in text for text in person.warnings)


def test_the_store_is_remembered(log_in, stored, paths):
    log_in()
    assert '"token_store": "file"' in (paths.config / "sakina.json").read_text()
    log_in(token_store="none", profile="trial")
    log_in(token_store=None, profile="second")
    assert stored("second") is not None, "a trial without a store changes no habit"


def test_a_renewal_under_way_is_not_stored_over_a_new_login(issuer, log_in, stored, paths):
    """The old login's renewal holds the lock; the new login waits for it."""
    issuer.answers["/token"] = (200, TOKEN)
    order = []
    journal = Journal(paths)
    started = threading.Event()

    def renew():
        with journal.hold("default", "refresh", 0.0):
            started.set()
            time_.sleep(0.5)
            order.append("renewal")

    thread = threading.Thread(target=renew)
    thread.start()
    assert started.wait(5)
    log_in(flow="auto", environ={"DUNES_CLIENT_SECRET": "s"}, wait=Wait())
    order.append("login")
    thread.join()
    assert ["renewal", "login"] == order
    assert stored() is not None


# ---------------------------------------------------------------------- an answer that is lost


def test_an_answer_that_is_lost_is_told_to_the_next_run(issuer, log_in, paths, secret_file,
                                                       somebody):  # fmt: skip
    issuer.answers["/token"] = [lambda _: None, (200, TOKEN)]
    with pytest.raises(IssuerSilent):
        log_in(flow="auto", client_secret_file=secret_file)
    assert 1 == len(issuer.posts()), "it is not repeated"
    (word,) = Journal(paths).look("default")
    assert (issuer.url, "2027-01-15T08:00:00Z") == (word.issuer, word.at)
    person = somebody()
    log_in(person, flow="auto", client_secret_file=secret_file)
    assert [str(word)] == person.warnings
    assert [] == Journal(paths).look("default")


@pytest.mark.parametrize("answer", [(429, b""), (503, b"<html>")])
def test_an_issuer_that_is_busy_has_issued_nothing(issuer, log_in, paths, secret_file, answer):
    issuer.answers["/token"] = answer
    with pytest.raises(IssuerBusy):
        log_in(flow="auto", client_secret_file=secret_file)
    assert [] == Journal(paths).look("default")


def test_two_logins_of_a_profile_at_once_are_one_too_many(log_in, paths, issuer):
    journal = Journal(paths)
    with journal.hold("default", "login", 0.0), pytest.raises(DunesError) as caught:
        log_in()
    assert ("login-busy", 75) == (caught.value.code, caught.value.exit)
    assert [] == issuer.posts()


# ---------------------------------------------------------------------- Starlink's preset


def test_starlink_without_a_credential_says_how_to_come_to_one(paths, somebody, time):
    with pytest.raises(NoCredential) as caught:
        make_login(
            paths,
            Wishes(provider="starlink", scopes=("habitat-data",), profile="mission-control"),
            somebody(),
            environ={},
            wait=time.wait,
        )
    assert isinstance(caught.value, ConfigError)
    assert 78 == caught.value.exit
    assert "service account" in caught.value.hint


@pytest.mark.parametrize("flow", ["device", "browser"])
def test_starlink_is_no_login_for_persons(paths, somebody, time, secret_file, flow):
    wishes = Wishes(
        provider="starlink", flow=flow, client_id="x", client_secret_file=secret_file,
        token_store="file",
    )  # fmt: skip
    with pytest.raises(UsageError, match="not logged in at by"):
        make_login(paths, wishes, somebody(), environ={}, wait=time.wait)


def test_a_local_scope_is_not_sent_and_is_kept(issuer, paths, time, somebody, secret_file,
                                              monkeypatch, stored):  # fmt: skip
    import sakina.preparing
    from sakina.providers import find_provider

    def to_the_test(name, site, asked):
        real = find_provider(name, site, asked)
        pinned = dataclasses.replace(real.pinned, token_endpoint=f"{issuer.url}/token")
        return dataclasses.replace(real, pinned=pinned)

    monkeypatch.setattr(sakina.preparing, "find_provider", to_the_test)
    wishes = Wishes(
        provider="starlink", scopes=("habitat-data",), profile="mission-control",
        client_id="account", client_secret_file=secret_file, token_store="file",
    )  # fmt: skip
    make_login(paths, wishes, somebody(), environ={}, wait=time.wait)
    (post,) = issuer.posts()
    expected = {
        "grant_type": "client_credentials",
        "client_id": "account",
        "client_secret": Path(secret_file).read_text().strip(),
    }
    assert expected == post.form
    kept = stored("mission-control")
    assert (("habitat-data",), ("habitat-data",)) == (kept.local_scopes, kept.allowed_scopes)
    assert "https://api.starlink.com/auth" == kept.metadata.issuer


# ---------------------------------------------------------------------- TLS, all the way


def test_a_login_behind_an_authority_of_one_s_own_is_made_and_renewed(
    make_issuer, paths, somebody, secret_file, tmp_path
):
    certificate = find_certificate(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_path, certificate.key_path)
    issuer = make_issuer(context)
    issuer.answers["/token"] = [(200, TOKEN), (200, TOKEN | {"access_token": "at-2"})]
    wishes = Wishes(
        provider=issuer.url, client_id="gw", client_secret_file=secret_file, token_store="file"
    )
    with pytest.raises(WrongCertificate):
        make_login(paths, wishes, somebody(), environ={})
    assert [] == issuer.received, "no secret goes to who cannot show a certificate"
    believed = dataclasses.replace(wishes, ca_file=certificate.cert_path)
    grant, _ = make_login(paths, believed, somebody(), environ={})
    assert str(certificate.cert_path) == grant.ca_file
    session = Session.open(paths, "default", asked_store="file", timeout_s=5)
    assert Secret("at-2") == session.renew(force=True).access_token
    session.http.close()
