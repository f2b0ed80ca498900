"""sakina's logins at a server that is not ours: npm oidc-provider, in its own process.

Each trap that this server sets was measured on it: see the names of the tests. The person
in the browser is an HTTP client with cookies that fills in the server's own forms.
"""

import json
import re
import shutil
import socket
import subprocess
import sysconfig
import threading
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from dunes.paths import find_paths
from dunes.secrets import Secret
from sakina.journal import Journal
from sakina.logout import log_out
from sakina.oauth.clientauth import ASSERTION_TYPE, Client, make_assertion
from sakina.oauth.device import GRANT_TYPE
from sakina.oauth.discovery import discover
from sakina.oauth.dpop import Prover
from sakina.oauth.errors import (
    IssuerRefused,
    LoginDeclined,
    LoginExpired,
    LoginTimedOut,
    NotAnIssuer,
    ScopeRefused,
    WrongIssuer,
)
from sakina.oauth.http import Http
from sakina.oauth.jose import SigningKey, peek_claims
from sakina.oauth.refresh import form, prover_of
from sakina.oauth.tokens import request_token
from sakina.oauth.wait import Wait
from sakina.preparing import Wishes, make_login
from sakina.session import Session, client_of
from sakina.store.file import FileStore

PEER = Path(__file__).parent / "peers/oidc-provider/idp.mjs"
INSTALLED = Path(__file__).resolve().parents[2] / ".venv-idp"
SCRIPTS = Path(sysconfig.get_path("scripts"))
START_S = 20.0
SECRET = "with:colon&%"
API = "urn:dunes:mission"

FAST = Wait(sleep_s=lambda s: time.sleep(s / 40))
"""The server names no interval, so polls are 5 s apart; here nobody waits as long as planned."""

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="needs node"),
    pytest.mark.skipif(
        not (INSTALLED / "node_modules").exists(), reason="needs oidc-provider: make peers"
    ),
]


class Idp:
    """A running server."""

    def __init__(self, folder, *, port=0, device_code_s=60):
        self.folder, self.device_code_s = folder, device_code_s
        self.port = port or free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        with PEER.open("rb") as program:
            self.process = subprocess.Popen(
                ["node", "--input-type=module", "-", str(self.port), folder, str(device_code_s)],
                cwd=INSTALLED,
                stdin=program,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert "ready\n" == self.process.stdout.readline()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def idp(tmp_path_factory):
    server = Idp(tmp_path_factory.mktemp("idp"))
    yield server
    server.stop()


# ---------------------------------------------------------------------- the person


class Forms(HTMLParser):
    """Finds the first form of a page: its action and its fields."""

    def __init__(self):
        super().__init__()
        self.action, self.fields = None, {}

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = values.get("action", "")
        elif tag == "input" and values.get("name"):
            self.fields[values["name"]] = values.get("value") or ""


class Browser:
    """A person who logs in and agrees, or does not.

    Attributes:
        login: the name that is typed.
        agree: or abort at the confirmation.
    """

    def __init__(self, login="mission-control", *, agree=True):
        self.login, self.agree = login, agree
        self.warnings, self.opened = [], None

    def show_code(self, code):
        self.code = code
        threading.Thread(target=self.visit, args=(code.verification_uri, code.user_code)).start()

    def show_page(self, url, *, opened):
        self.opened = opened
        threading.Thread(target=self.visit, args=(url, "")).start()

    def warn(self, text):
        self.warnings.append(text)

    def visit(self, url, user_code):
        with httpx.Client(follow_redirects=True, trust_env=False, timeout=10) as client:
            page = client.get(url)
            for _ in range(8):
                found = Forms()
                found.feed(page.text)
                if found.action is None:
                    return
                fields = dict(found.fields)
                if "user_code" in fields and not fields["user_code"]:
                    fields["user_code"] = user_code
                if "login" in fields:
                    fields |= {"login": self.login, "password": "any"}
                if 'name="confirm"' in page.text or 'name="abort"' in page.text:
                    fields.pop("abort", None)
                    fields |= {"confirm": "yes"} if self.agree else {"abort": "yes"}
                page = client.post(urljoin(str(page.url), found.action or url), data=fields)


class Nobody(Browser):
    """A person who never comes."""

    def show_code(self, code):
        self.code = code


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path / "dunes")})


@pytest.fixture
def log_in(idp, paths):
    def run(person=None, *, wait=FAST, issuer=None, environ=None, **wishes):
        given = {"client_id": "cli", "flow": "device", "token_store": "file"} | wishes
        wanted = Wishes(provider=issuer or idp.issuer, **given)
        grant, _ = make_login(paths, wanted, person or Browser(), environ=environ or {}, wait=wait)
        return grant

    return run


@pytest.fixture
def stored(paths):
    return lambda profile="default": FileStore(paths, {}).load(profile)


@pytest.fixture
def session(paths):
    opened = []

    def run(profile="default"):
        found = Session.open(paths, profile, asked_store="file", timeout_s=10)
        opened.append(found)
        return found

    yield run
    for each in opened:
        each.http.close()


# ---------------------------------------------------------------------- device flow


def test_a_login_on_another_screen_is_stored_with_all_that_it_needs(log_in, stored, idp):
    person = Browser()
    grant = log_in(person, profile="mission-control", scopes=("telemetry habitat-data",))
    assert 5.0 == person.code.interval_s, "the server names none"
    assert stored("mission-control") == grant
    assert ("mission-control", "mission-control") == (grant.subject, grant.profile)
    assert {"telemetry", "habitat-data"} <= set(grant.scopes)
    assert grant.refresh_token is not None
    header, claims = peek_claims(grant.access_token.reveal())
    assert ("at+jwt", API, idp.issuer) == (header["typ"], claims["aud"], claims["iss"])
    assert [] == person.warnings


def test_a_token_is_bound_to_a_key_where_the_server_offers_it(log_in):
    grant = log_in(scopes=("telemetry",))
    key = SigningKey.read(grant.dpop_key.reveal().encode(), "key")
    _, claims = peek_claims(grant.access_token.reveal())
    assert ("DPoP", key.kid) == (grant.token_type, claims["cnf"]["jkt"])
    plain = log_in(scopes=("telemetry",), dpop="off")
    assert ("Bearer", None) == (plain.token_type, plain.dpop_key)


def test_who_aborts_stores_nothing(log_in, stored):
    with pytest.raises(LoginDeclined):
        log_in(Browser(agree=False), scopes=("telemetry",))
    assert stored() is None


def test_a_code_that_nobody_types_expires(tmp_path_factory, log_in, stored):
    short = Idp(tmp_path_factory.mktemp("short"), device_code_s=2)
    try:
        wait = Wait(sleep_s=lambda s: time.sleep(min(s, 0.5)))
        with pytest.raises(LoginTimedOut) as caught:
            log_in(Nobody(), issuer=short.issuer, wait=wait)
    finally:
        short.stop()
    assert "expired" in caught.value.message
    assert stored() is None


def test_a_timeout_of_ours_ends_it_sooner(log_in):
    began_s = time.monotonic()
    with pytest.raises(LoginTimedOut, match="--timeout"):
        log_in(Nobody(), timeout="1s")
    assert time.monotonic() - began_s < 30, "the code lives for a minute"


def test_a_device_code_that_is_used_twice_ends_the_login(log_in, stored, session, idp):
    person = Browser()
    grant = log_in(person, scopes=("telemetry",), dpop="off")
    http = Http()
    again = {"grant_type": GRANT_TYPE, "device_code": person.code.device_code.reveal()}
    with pytest.raises(IssuerRefused) as caught:
        request_token(http, grant.metadata, Client("cli"), again)
    http.close()
    assert "invalid_grant" == caught.value.error
    with pytest.raises(LoginExpired):
        session().renew(force=True)
    assert stored().refresh_token is None, "what was refused for good is not shown again"
    idp_is_asked = session()
    idp_is_asked.http.post = lambda *_: pytest.fail("no second attempt")
    with pytest.raises(LoginExpired, match="cannot be renewed"):
        idp_is_asked.renew(force=True)


def test_another_name_than_the_profile_s_is_told(log_in):
    person = Browser("somebody-else")
    log_in(person, profile="mission-control", scopes=("telemetry",))
    assert ["somebody-else logged in, not mission-control"] == person.warnings


# ---------------------------------------------------------------------- browser flow


def test_a_browser_comes_back_to_any_port_of_loopback(log_in, stored):
    person = Browser()
    grant = log_in(person, flow="browser", browser=False, scopes=("rover-data",), wait=Wait())
    assert stored() == grant
    assert ("browser", "mission-control") == (grant.flow, grant.subject)
    assert grant.metadata.answers_iss
    assert grant.refresh_token is not None


def test_a_login_of_the_browser_is_renewed(log_in, session):
    before = log_in(flow="browser", browser=False, scopes=("rover-data",), wait=Wait())
    after = session().renew(force=True)
    assert before.access_token != after.access_token
    assert before.refresh_token != after.refresh_token, "it rotates"


# ---------------------------------------------------------------------- machines


def test_a_secret_with_special_characters_is_understood(log_in, tmp_path, idp):
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    grant = log_in(
        flow="auto",
        client_id="gateway",
        client_secret_file=str(file),
        scopes=("telemetry",),
        resource=API,
    )
    assert ("client-credentials", ("telemetry",)) == (grant.flow, grant.scopes)
    raw = httpx.post(
        f"{idp.issuer}/token",
        data={"grant_type": "client_credentials"},
        auth=httpx.BasicAuth("gateway", SECRET),
        trust_env=False,
    )
    assert 400 <= raw.status_code < 500, "httpx does not encode it, and is refused"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_either_way_to_send_a_secret_is_understood(idp, method):
    from dataclasses import replace

    http = Http()
    metadata = replace(discover(http, idp.issuer), auth_methods=(method,))
    client = Client("gateway", Secret(SECRET))
    answer = request_token(http, metadata, client, {"grant_type": "client_credentials"})
    http.close()
    assert "Bearer" == answer.token_type


def test_a_key_stands_in_for_a_secret_and_each_assertion_is_new(log_in, session, idp):
    key = idp.folder / "gw.jwk.json"
    key.chmod(0o600)
    grant = log_in(
        flow="auto",
        client_id="gateway-jwt",
        client_key=key,
        scopes=("telemetry",),
        resource=API,
    )
    assert str(key) == grant.key_file
    again = session().renew(force=True)
    assert grant.access_token != again.access_token
    assert "d" not in json.loads(json.dumps(client_of(again).key.jwk()))


def test_an_assertion_that_is_shown_twice_is_refused(idp):
    key = SigningKey.read((idp.folder / "gw.jwk.json").read_bytes(), "key")
    form_ = {
        "grant_type": "client_credentials",
        "client_id": "gateway-jwt",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": make_assertion("gateway-jwt", key, idp.issuer, int(time.time())),
    }
    answers = [httpx.post(f"{idp.issuer}/token", data=form_, trust_env=False) for _ in range(2)]
    assert [200, 401] == [answer.status_code for answer in answers], "so each is made anew"


def test_a_wrong_secret_is_refused_without_being_shown(log_in, tmp_path, stored):
    file = tmp_path / "secret"
    file.write_text("hush-wrong-secret\n")
    file.chmod(0o600)
    with pytest.raises(IssuerRefused) as caught:
        log_in(flow="auto", client_id="gateway", client_secret_file=str(file))
    assert "invalid_client" == caught.value.error
    assert "hush" not in caught.value.message
    assert stored() is None


# ---------------------------------------------------------------------- renewal


def test_a_refresh_token_rotates_and_the_new_one_is_stored(log_in, session, stored):
    before = log_in(scopes=("telemetry",))
    after = session().renew(force=True)
    assert stored() == after
    assert before.refresh_token != after.refresh_token
    assert before.dpop_key == after.dpop_key, "it stays bound to its key"


def test_a_stolen_refresh_token_ends_the_login_for_thief_and_owner(log_in, session):
    stolen = log_in(scopes=("telemetry",))
    mine = session()
    mine.renew(force=True)
    http = Http()
    with pytest.raises(IssuerRefused) as caught:
        request_token(http, stolen.metadata, Client("cli"), form(stolen), prover_of(stolen))
    http.close()
    assert "invalid_grant" == caught.value.error
    with pytest.raises(LoginExpired) as told:
        mine.renew(force=True)
    assert "sakina auth-flow" in told.value.hint


def test_four_processes_that_renew_at_once_leave_a_login_that_works(
    log_in, session, stored, paths
):
    before = log_in(scopes=("telemetry",))
    env = {"DUNES_HOME": str(paths.config), "HOME": str(paths.config), "PATH": "/usr/bin:/bin"}
    started = [
        subprocess.Popen(
            [SCRIPTS / "sakina", "auth", "refresh", "--token-store", "file", "--json"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    done = [process.communicate(timeout=60) for process in started]
    assert [0] * 4 == [process.returncode for process in started], done
    assert before.refresh_token != stored().refresh_token
    assert session().renew(force=True) == stored(), "nobody spent a token twice"


def test_a_server_that_was_restarted_knows_nobody(tmp_path_factory, log_in, session):
    folder = tmp_path_factory.mktemp("restart")
    first = Idp(folder)
    try:
        log_in(issuer=first.issuer, scopes=("telemetry",))
    finally:
        first.stop()
    second = Idp(folder, port=first.port)
    try:
        with pytest.raises(LoginExpired):
            session().renew(force=True)
    finally:
        second.stop()


def test_logging_out_revokes_what_was_given(log_in, paths, stored):
    grant = log_in(scopes=("telemetry",))
    report = log_out(paths, "default", asked_store="file", timeout_s=10)
    assert (True, True, "") == (
        report["forgotten"],
        report["revoked"],
        report["why_not_revoked"],
    )
    assert stored() is None
    http = Http()
    with pytest.raises(IssuerRefused):
        request_token(http, grant.metadata, Client("cli"), form(grant), prover_of(grant))
    http.close()


# ---------------------------------------------------------------------- scopes and names


def test_a_scope_that_the_server_does_not_know_is_not_taken_as_granted(log_in, tmp_path, stored):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    given = {
        "flow": "auto",
        "client_id": "gateway",
        "client_secret_file": str(file),
        "scopes": ("warp-drive",),
        "resource": API,
    }
    with pytest.raises(ScopeRefused) as caught:
        log_in(**given)
    assert "warp-drive" in caught.value.message
    assert stored() is None
    kept = log_in(**given, allow_less=True)
    assert () == kept.scopes


def test_an_issuer_is_its_exact_url(idp):
    http = Http()
    with pytest.raises((WrongIssuer, NotAnIssuer)):
        discover(http, idp.issuer + "/")
    with pytest.raises((WrongIssuer, NotAnIssuer)):
        discover(http, idp.issuer.replace("127.0.0.1", "localhost"))
    assert idp.issuer == discover(http, idp.issuer).issuer
    http.close()


def test_a_proof_is_accepted_where_tokens_are_asked_for(idp):
    http = Http()
    metadata = discover(http, idp.issuer)
    prover = Prover(SigningKey.generate())
    client = Client("gateway", Secret(SECRET))
    form_ = {"grant_type": "client_credentials", "resource": API, "scope": "telemetry"}
    answer = request_token(http, metadata, client, form_, prover)
    http.close()
    assert "DPoP" == answer.token_type


def test_no_journal_is_left_behind(log_in, paths):
    log_in(scopes=("telemetry",))
    assert [] == Journal(paths).look("default")
    left = [p for p in (paths.state / "sakina").iterdir() if p.stat().st_size]
    assert [] == left
    assert re.fullmatch("[a-z.]+", "".join(p.name for p in (paths.state / "sakina").iterdir()))
