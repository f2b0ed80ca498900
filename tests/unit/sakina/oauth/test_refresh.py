"""Renewal: once, under a lock, and never after a lost answer."""

import dataclasses
import hashlib
import threading

import pytest

from dunes.crypto.compactjws import b64url
from dunes.errors import TryLater
from dunes.secrets import Secret
from sakina.grant import Grant, decode_grant, encode_grant
from sakina.journal import Journal
from sakina.logout import log_out
from sakina.oauth.discovery import Metadata
from sakina.oauth.errors import (
    IssuerRefused,
    IssuerSilent,
    LoginExpired,
    NoLogin,
    ScopeRefused,
)
from sakina.oauth.jose import SigningKey, parse_jws
from sakina.session import Session, client_of, environment_token
from sakina.store.file import FileStore

NOW_S = 1_800_000_000
FRESH = {"access_token": "at-2", "token_type": "Bearer", "expires_in": 300}


@pytest.fixture
def grant(issuer):
    return Grant(
        profile="default",
        provider=issuer.url,
        flow="device",
        metadata=Metadata(
            issuer.url, f"{issuer.url}/token", revocation_endpoint=f"{issuer.url}/revoke"
        ),
        client_id="cli",
        access_token=Secret("at-1"),
        token_type="Bearer",
        obtained_s=NOW_S - 280,
        expires_s=NOW_S + 20,
        scopes=("telemetry",),
        requested=("telemetry",),
        refresh_token=Secret("rt-1"),
    )


@pytest.fixture
def store(paths):
    return FileStore(paths, {})


@pytest.fixture
def session(paths, store, grant, http, time):
    store.save(grant)
    return Session(store, Journal(paths, time.wait), http, grant)


def tokens(issuer):
    return [post.form.get("refresh_token") for post in issuer.posts()]


@pytest.mark.parametrize(
    ("left_s", "asked"), [(31, 0), (30, 1), (29, 1), (0, 1), (-86_400, 1), (None, 0)]
)
def test_a_token_is_renewed_thirty_seconds_early(issuer, session, grant, store, left_s, asked):
    issuer.answers["/token"] = (200, FRESH)
    expires_s = None if left_s is None else NOW_S + left_s
    session.grant = dataclasses.replace(grant, expires_s=expires_s)
    store.save(session.grant)
    session.renew()
    assert asked == len(issuer.posts())


def test_a_clock_that_was_set_back_does_not_keep_a_token_alive(issuer, session, time):
    issuer.answers["/token"] = (200, FRESH)
    time.wall_s -= 86_400
    session.renew()
    assert 1 == len(issuer.posts())


def test_what_comes_is_stored_and_an_absent_refresh_token_is_the_old_one(issuer, session, store):
    issuer.answers["/token"] = (200, FRESH)
    renewed = session.renew()
    assert (Secret("at-2"), Secret("rt-1")) == (renewed.access_token, renewed.refresh_token)
    assert (NOW_S, NOW_S + 300) == (renewed.obtained_s, renewed.expires_s)
    assert renewed == store.load("default")


def test_a_rotated_refresh_token_takes_the_place_of_the_old_one(issuer, session, store):
    issuer.answers["/token"] = [
        (200, FRESH | {"refresh_token": "rt-2"}), (200, FRESH | {"refresh_token": "rt-3"}),
    ]  # fmt: skip
    session.renew(force=True)
    session.renew(force=True)
    assert ["rt-1", "rt-2"] == tokens(issuer)
    assert Secret("rt-3") == store.load("default").refresh_token


def test_another_process_that_was_faster_is_taken_over(issuer, session, store, grant):
    newer = dataclasses.replace(
        grant, access_token=Secret("theirs"), obtained_s=NOW_S, expires_s=NOW_S + 300,
        refresh_token=Secret("rt-9"),
    )  # fmt: skip
    store.save(newer)
    assert newer == session.renew()
    session.grant = grant
    assert newer == session.renew(force=True), "its token is not the one that was refused"
    assert [] == issuer.posts()


def test_ten_threads_that_renew_at_once_ask_once(issuer, session, store, grant, paths):
    issuer.answers["/token"] = (200, FRESH | {"refresh_token": "rt-2"})
    from sakina.oauth.http import Http
    from sakina.oauth.wait import Wait

    found, clock = [], session.http.wait.clock

    def renew():
        http = Http(wait=Wait(clock))
        found.append(Session(FileStore(paths, {}), Journal(paths), http, grant).renew())
        http.close()

    threads = [threading.Thread(target=renew) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["rt-1"] == tokens(issuer)
    assert [Secret("at-2")] * 10 == [each.access_token for each in found]


def test_what_is_refused_is_not_asked_again(issuer, session, store):
    issuer.answers["/token"] = (400, {"error": "invalid_grant"})
    with pytest.raises(LoginExpired) as caught:
        session.renew()
    assert f"sakina auth-flow --provider {issuer.url}" == caught.value.hint
    assert 77 == caught.value.exit
    session.grant = store.load("default")
    with pytest.raises(LoginExpired):
        session.renew()
    assert 1 == len(issuer.posts())


def test_another_refusal_keeps_the_refresh_token(issuer, session, store):
    issuer.answers["/token"] = (400, {"error": "invalid_scope"})
    with pytest.raises(IssuerRefused):
        session.renew()
    assert Secret("rt-1") == store.load("default").refresh_token


def test_a_lost_answer_is_not_asked_for_again_and_is_told(issuer, session, paths, store):
    issuer.answers["/token"] = lambda _: None
    with pytest.raises(IssuerSilent):
        session.renew()
    assert 1 == len(issuer.posts())
    (word,) = Journal(paths).look("default")
    assert "a renewal of profile default" in str(word)
    assert Secret("rt-1") == store.load("default").refresh_token
    issuer.answers["/token"] = (200, FRESH | {"refresh_token": "rt-2"})
    session.renew()
    assert [] == Journal(paths).look("default"), "it went well after all"


def test_an_issuer_that_was_never_reached_leaves_no_word(session, paths, issuer):
    issuer.close()
    with pytest.raises(IssuerSilent):
        session.renew()
    assert [] == Journal(paths).look("default")
    session.grant = dataclasses.replace(session.grant, simulated=True)
    with pytest.raises(IssuerSilent) as caught:
        session.renew()
    assert "dunes sim up" in caught.value.hint
    issuer.close = lambda: None


def test_another_process_that_hangs_is_not_waited_for_for_ever(session, paths, time, issuer):
    with Journal(paths).hold("default", "refresh", 0.0), pytest.raises(TryLater) as caught:
        session.renew()
    assert 75 == caught.value.exit
    assert sum(time.slept) == pytest.approx(10.0, abs=0.1)
    assert [] == issuer.posts()


def test_a_login_that_went_meanwhile_is_gone(session, store):
    store.delete("default")
    with pytest.raises(NoLogin):
        session.renew()


def test_a_machine_needs_no_refresh_token(issuer, session, store, grant, tmp_path):
    issuer.answers["/token"] = (200, FRESH)
    file = tmp_path / "secret"
    file.write_text("new-secret")
    file.chmod(0o600)
    session.grant = dataclasses.replace(
        grant, flow="client-credentials", refresh_token=None, resource="urn:x",
        client_secret=Secret("old-secret"), secret_file=str(file),
    )  # fmt: skip
    store.save(session.grant)
    session.renew()
    (post,) = issuer.posts()
    expected = {"grant_type": "client_credentials", "scope": "telemetry", "resource": "urn:x"}
    assert expected == post.form
    assert Secret("new-secret") == client_of(session.grant, {}).secret, "read anew where it lies"
    file.unlink()
    assert Secret("old-secret") == client_of(session.grant, {}).secret


def test_a_local_scope_is_not_sent_at_renewal(issuer, session, store, grant):
    issuer.answers["/token"] = (200, FRESH)
    session.grant = dataclasses.replace(
        grant, flow="client-credentials", refresh_token=None, client_secret=Secret("s"),
        local_scopes=("telemetry",),
    )  # fmt: skip
    store.save(session.grant)
    session.renew()
    assert {"grant_type": "client_credentials"} == issuer.posts()[0].form


def test_a_bound_token_is_renewed_with_its_own_key(issuer, session, store, grant):
    key = SigningKey.generate()
    session.grant = dataclasses.replace(grant, token_type="DPoP", dpop_key=Secret(key.pem()))
    store.save(session.grant)
    issuer.answers["/token"] = (200, FRESH | {"token_type": "DPoP"})
    session.renew()
    assert key.jwk() == parse_jws(issuer.posts()[0].headers["dpop"]).header["jwk"]


# ---------------------------------------------------------------------- resources


def test_a_token_that_a_resource_refuses_is_renewed_once(issuer, session, grant, store):
    session.grant = dataclasses.replace(grant, expires_s=NOW_S + 300)
    store.save(session.grant)
    issuer.answers["/token"] = (200, FRESH)
    issuer.answers["/api"] = lambda request: (
        (200, {"fine": True})
        if request.headers["authorization"] == "Bearer at-2"
        else (401, {"error": "invalid_token"})
    )
    assert {"fine": True} == session.get(f"{issuer.url}/api").body
    assert (2, 1) == (len(issuer.posts("/api")), len(issuer.posts()))


def test_a_resource_that_refuses_for_ever_is_left(issuer, session):
    issuer.answers["/token"] = (200, FRESH)
    issuer.answers["/api"] = (401, {"error": "invalid_token"})
    assert 401 == session.get(f"{issuer.url}/api").status
    assert 2 == len(issuer.posts("/api"))


def test_a_nonce_that_a_resource_demands_is_brought(issuer, session, grant, store):
    key = SigningKey.generate()
    session.grant = dataclasses.replace(
        grant, token_type="DPoP", dpop_key=Secret(key.pem()), expires_s=NOW_S + 300
    )
    seen = []

    def answer(request):
        claims = parse_jws(request.headers["dpop"]).claims
        seen.append((claims.get("nonce"), claims["ath"], claims["htu"]))
        if claims.get("nonce") == "n-1":
            return 200, {"fine": True}
        return 401, {}, {"dpop-nonce": "n-1", "www-authenticate": 'DPoP error="use_dpop_nonce"'}

    issuer.answers["/api"] = answer
    assert 200 == session.get(f"{issuer.url}/api?x=1").status
    digest = b64url(hashlib.sha256(b"at-1").digest())
    assert [(n, digest, f"{issuer.url}/api") for n in (None, "n-1")] == seen
    assert [] == issuer.posts(), "the token was never in doubt"


def test_a_renewal_that_grants_less_is_taken_at_its_word(issuer, session):
    issuer.answers["/token"] = (200, FRESH | {"scope": "nothing-much"})
    session.renew()
    with pytest.raises(ScopeRefused):
        session.need_scopes(("telemetry",))


def test_a_scope_that_is_enforced_here_is_enforced(session, grant):
    session.grant = dataclasses.replace(grant, local_scopes=("habitat-data",), scopes=())
    session.need_scopes(("habitat-data",))
    with pytest.raises(ScopeRefused, match="not for rover-data"):
        session.need_scopes(("habitat-data", "rover-data"))


# ---------------------------------------------------------------------- the end


def test_logging_out_tells_the_issuer_and_forgets(issuer, session, store, paths, time):
    issuer.answers["/revoke"] = (200, b"")
    report = log_out(paths, "default", asked_store="file", timeout_s=5, wait=time.wait)
    assert (True, True, "") == (
        report["forgotten"], report["revoked"], report["why_not_revoked"],
    )  # fmt: skip
    assert ["rt-1", "at-1"] == [post.form["token"] for post in issuer.posts("/revoke")]
    assert store.load("default") is None


@pytest.mark.parametrize("answer", [(503, b""), (400, {"error": "invalid_client"}), (404, b"x")])
def test_logging_out_forgets_though_the_issuer_does_not_hear(
    issuer, session, store, paths, time, answer
):
    issuer.answers["/revoke"] = answer
    report = log_out(paths, "default", asked_store="file", timeout_s=5, wait=time.wait)
    assert (True, False) == (report["forgotten"], report["revoked"])
    assert "rt-1" not in report["why_not_revoked"]
    assert store.load("default") is None


def test_logging_out_works_offline_and_of_what_cannot_be_read(issuer, session, store, paths, time):
    issuer.close()
    issuer.close = lambda: None
    offline = log_out(paths, "default", asked_store="file", timeout_s=5, wait=time.wait)
    assert (True, False) == (offline["forgotten"], offline["revoked"])
    assert "cannot be reached" in offline["why_not_revoked"]
    (store.folder / "broken.token").write_bytes(b"garbage")
    (store.folder / "broken.token").chmod(0o600)
    broken = log_out(paths, "broken", asked_store="file", timeout_s=5, wait=time.wait)
    assert broken["forgotten"]
    assert not (store.folder / "broken.token").exists()


def test_a_dry_run_ends_nothing(issuer, session, store, paths, time):
    report = log_out(
        paths, "default", asked_store="file", timeout_s=5, dry_run=True, wait=time.wait
    )
    assert (True, False, True) == (report["was_kept"], report["forgotten"], report["dry_run"])
    assert ([], True) == (issuer.received, store.load("default") is not None)


# ---------------------------------------------------------------------- as it is kept


def test_a_login_is_written_and_read_back_whole(grant):
    whole = dataclasses.replace(
        grant, client_secret=Secret("s"), dpop_key=Secret("k"), scopes=None
    )
    assert whole == decode_grant(encode_grant(whole), "x")


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"format":"sakina.grant/1"}', b'{"format":"sakina.grant/2"}',
     b'{"format":"sakina.grant/1","access_token":5,"metadata":{}}'],
)  # fmt: skip
def test_what_is_no_login_is_refused(raw):
    from dunes.errors import DataError

    with pytest.raises(DataError):
        decode_grant(raw, "x")


def test_a_token_of_the_environment_is_taken_as_it_is():
    assert Secret("t0ken") == environment_token({"SAKINA_TOKEN": "t0ken"})
    assert environment_token({"SAKINA_TOKEN": ""}) is None
