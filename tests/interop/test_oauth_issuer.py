"""The simulated site's identity provider, served for real, and clients that are not ours.

npm openid-client runs in a process of its own and does every flow. What it cannot be made to
do wrong is done by hand: raw requests, and sakina against its own site.
"""

import asyncio
import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from dunes.paths import find_paths
from dunes.sim.issuer import start_issuer
from sakina.oauth.clientauth import ASSERTION_TYPE, make_assertion
from sakina.oauth.jose import SigningKey
from sakina.preparing import Wishes, make_login
from sakina.session import Session

CLIENT = Path(__file__).parent / "peers/oidc-provider/client.mjs"
INSTALLED = Path(__file__).resolve().parents[2] / ".venv-idp"
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (INSTALLED / "node_modules/openid-client").exists(),
    reason="needs node, and openid-client: make peers",
)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory):
    """The issuer in a thread of its own, as the site runs it."""
    folder = tmp_path_factory.mktemp("identity")
    began, loop, found = threading.Event(), asyncio.new_event_loop(), {}

    async def serve():
        found["stop"] = asyncio.Event()
        async with start_issuer(folder, print) as running:
            found["issuer"] = running
            began.set()
            await found["stop"].wait()

    def run():
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(20)
    yield found["issuer"]
    loop.call_soon_threadsafe(found["stop"].set)
    thread.join(20)


@pytest.fixture
def foreign(issuer):
    def run(flow, *more):
        with CLIENT.open("rb") as program:
            done = subprocess.run(
                ["node", "--input-type=module", "-", issuer.url, flow, *map(str, more)],
                cwd=INSTALLED,
                stdin=program,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert 0 == done.returncode, done.stdout + done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {row.pop("step"): row for row in rows}

    return run


@pytest.fixture
def http(issuer):
    with httpx.Client(base_url=issuer.url, trust_env=False) as client:
        yield client


# ---------------------------------------------------------------------- openid-client


@needs_node
@pytest.mark.parametrize(("flow", "kind"), [("device", "bearer"), ("device-dpop", "dpop")])
def test_a_foreign_client_logs_in_on_another_screen(foreign, flow, kind):
    steps = foreign(flow)
    assert {"interval": 1, "expires": 600} == steps["code"]
    assert {"status": 200} == steps["approved"]
    tokens = steps["tokens"]
    assert (kind, "openid offline_access telemetry", "ada") == tuple(tokens.values())
    assert {"rotated": True, "type": kind} == steps["refreshed"]
    assert {"sub": "ada"} == steps["userinfo"]
    assert {"error": "invalid_grant"} == steps["stolen"]
    assert {"error": "invalid_grant"} == steps["family"], "the thief's attempt ended all of it"


@needs_node
def test_a_foreign_client_logs_in_through_a_browser(foreign, issuer):
    steps = foreign("code")
    assert {"iss": issuer.url} == steps["callback"]
    assert "ada" == steps["tokens"]["sub"]
    assert {"sub": "ada"} == steps["userinfo"]


@needs_node
@pytest.mark.parametrize(
    ("flow", "file", "client"),
    [
        ("basic", "service-account.json", "site-service-account"),
        ("post", "service-account.json", "site-service-account"),
        ("key", "gateway-key.pem", "gateway"),
    ],
)
def test_a_foreign_machine_shows_who_it_is(foreign, issuer, flow, file, client):
    steps = foreign(flow, issuer.folder / file)
    assert {"type": "bearer", "scope": "telemetry"} == steps["tokens"]
    assert {"aud": "urn:x:y", "sub": client, "iss": issuer.url} == steps["claims"]
    assert "revoked" in steps


# ---------------------------------------------------------------------- sakina itself


class Person:
    """Approves what is shown to it."""

    def __init__(self, issuer):
        self.issuer, self.warnings = issuer, []

    def show_code(self, code):
        self.issuer.decide(code.user_code, "ada", approve=True)

    def show_page(self, url, *, opened):
        raise AssertionError(url, opened)

    def warn(self, text):
        self.warnings.append(text)


def test_a_bound_token_of_sakina_opens_the_site_s_own_resource(issuer, tmp_path):
    paths = find_paths({"DUNES_HOME": str(tmp_path / "dunes")})
    wishes = Wishes(
        provider=issuer.url, client_id="sakina", flow="device", scopes=("telemetry",),
        profile="ada", token_store="file",
    )  # fmt: skip
    person = Person(issuer)
    grant, _ = make_login(paths, wishes, person, environ={})
    session = Session.open(paths, "ada", asked_store="file", timeout_s=5)
    answer = session.get(f"{issuer.url}/userinfo")
    session.http.close()
    assert (200, "ada", "DPoP") == (answer.status, answer.body["sub"], grant.token_type)
    assert [] == person.warnings


def test_an_assertion_is_good_once(issuer, http):
    key = SigningKey.read((issuer.folder / "gateway-key.pem").read_bytes(), "key")
    form = {
        "grant_type": "client_credentials",
        "client_id": "gateway",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": make_assertion("gateway", key, issuer.url, int(time.time())),
    }
    assert 200 == http.post("/token", data=form).status_code
    again = http.post("/token", data=form)
    assert "invalid_client" == again.json()["error"]


# ---------------------------------------------------------------------- by hand


def start(http, **more):
    answer = http.post("/device_authorization", data={"client_id": "sakina", **more})
    assert 200 == answer.status_code
    return answer.json()


def poll(http, code):
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_id": "sakina",
        "device_code": code,
    }
    return http.post("/token", data=form).json()


def test_what_it_offers_says_that_it_is_simulated(http, issuer):
    for path in ("openid-configuration", "oauth-authorization-server"):
        body = http.get(f"/.well-known/{path}").json()
        assert (issuer.url, True) == (body["issuer"], body["simulated"])


def test_who_asks_too_fast_is_slowed_down(http):
    code = start(http)["device_code"]
    errors = [poll(http, code)["error"] for _ in range(3)]
    assert ["authorization_pending", "slow_down", "slow_down"] == errors


def test_a_device_code_is_good_once_and_its_second_use_revokes_the_first(http, issuer):
    begun = start(http, scope="telemetry offline_access")
    issuer.decide(begun["user_code"], "ada", approve=True)
    token = poll(http, begun["device_code"])
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    assert 200 == http.get("/userinfo", headers=bearer).status_code
    assert "invalid_grant" == poll(http, begun["device_code"])["error"]
    assert 401 == http.get("/userinfo", headers=bearer).status_code


def test_a_refused_login_is_refused(http, issuer):
    begun = start(http)
    issuer.decide(begun["user_code"].lower(), "ada", approve=False)
    assert "access_denied" == poll(http, begun["device_code"])["error"]


def test_a_code_that_was_never_given_out_is_no_grant(http):
    assert "invalid_grant" == poll(http, "made-up")["error"]


def test_an_unknown_scope_is_named_as_such(http):
    answer = http.post("/device_authorization", data={"client_id": "sakina", "scope": "warp"})
    assert "invalid_scope" == answer.json()["error"]


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:5/other",
        "http://127.0.0.1.evil.example/callback",
        "https://127.0.0.1/callback",
        "http://evil.example/callback",
        "http://evil.example@127.0.0.1/callback",
        "http://127.0.0.1/callback?x=1",
        "http://127.0.0.1/callback#x",
    ],
)
def test_no_browser_is_sent_to_a_place_that_is_not_registered(http, uri):
    query = {
        "response_type": "code",
        "client_id": "sakina",
        "redirect_uri": uri,
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "state": "s",
    }
    answer = http.get("/authorize", params=query)
    assert (400, None) == (answer.status_code, answer.headers.get("location"))


def test_a_browser_without_pkce_is_sent_back(http):
    query = {
        "response_type": "code",
        "client_id": "sakina",
        "redirect_uri": "http://127.0.0.1:5/callback",
        "state": "s",
    }
    answer = http.get("/authorize", params=query)
    assert "error=invalid_request" in answer.headers["location"]


def test_an_approval_cannot_be_forged_from_another_page(http):
    answer = http.post("/authorize", data={"ticket": "guess", "login": "x", "decision": "approve"})
    assert 400 == answer.status_code


def test_text_of_a_client_is_no_markup(http):
    page = http.get("/device", params={"user_code": "<script>alert(1)</script>"}).text
    assert "<script>" not in page
    query = {
        "response_type": "code",
        "client_id": "sakina",
        "redirect_uri": "http://127.0.0.1:5/callback",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "login_hint": '"><script>alert(1)</script>',
    }
    shown = http.get("/authorize", params=query).text
    assert 'name="login"' in shown
    assert "<script>" not in shown


def test_a_secret_is_compared_whole(http, issuer):
    account = json.loads((issuer.folder / "service-account.json").read_bytes())
    assert account["simulated"] is True
    form = {"grant_type": "client_credentials", "client_id": account["client_id"]}
    for secret in ("", "x", account["client_secret"][:-1]):
        answer = http.post("/token", data=form | {"client_secret": secret})
        assert "invalid_client" == answer.json()["error"]
    good = http.post("/token", data=form | {"client_secret": account["client_secret"]})
    assert 200 == good.status_code


def test_its_secrets_are_for_its_owner_alone(issuer):
    modes = {path.name: path.stat().st_mode & 0o077 for path in issuer.folder.iterdir()}
    assert {0} == set(modes.values()), modes
    assert 0 == issuer.folder.stat().st_mode & 0o077
