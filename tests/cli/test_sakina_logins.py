"""sakina's logins as a person types them, at the site's identity provider.

The issuer is the simulated site's own, served in a thread. What it remembers tells every
token, code and secret there is: none of them may show anywhere but where it is asked for.
"""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import jsonschema
import pytest

from dunes.paths import find_paths
from dunes.sim.issuer import start_issuer
from sakina.store.file import FileStore

READY_S = 20.0


@contextlib.contextmanager
def serving(folder):
    """Run the issuer in a thread of its own."""
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
    assert began.wait(READY_S)
    try:
        yield found["issuer"]
    finally:
        loop.call_soon_threadsafe(found["stop"].set)
        thread.join(READY_S)


@pytest.fixture
def issuer(tmp_path):
    with serving(tmp_path / "identity") as running:
        yield running


@pytest.fixture
def account(issuer):
    body = json.loads((issuer.folder / "service-account.json").read_bytes())
    return {"DUNES_CLIENT_ID": body["client_id"], "DUNES_CLIENT_SECRET": body["client_secret"]}


@pytest.fixture
def store(home):
    return FileStore(find_paths({"DUNES_HOME": str(home / "dunes")}), {})


@pytest.fixture
def begin(environment, home):
    """Start a program, and end it whatever happens."""
    started = []

    def run(*argv, **env):
        home.mkdir(exist_ok=True)
        process = subprocess.Popen(
            argv,
            env=environment | env,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def flow_of(issuer, *more):
    return ("sakina", "auth-flow", "--provider", issuer.url, "--client-id", "sakina", *more)


def await_waiting(issuer):
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        waiting = [each for each in issuer.records.devices.values() if each.decision is None]
        if waiting:
            return waiting[0]
        time.sleep(0.02)
    raise AssertionError("nobody began a login")


# ---------------------------------------------------------------------- a person


def test_a_person_is_told_where_to_go_on_stderr_and_the_result_is_on_stdout(
    issuer, typed, begin, store
):
    process = begin(*flow_of(issuer, "--scope", "telemetry", "--user", "ada", "--json", "-q"))
    login = await_waiting(issuer)
    issuer.decide(login.user_code, "ada", approve=True)
    out, err = process.communicate(timeout=30)
    assert 0 == process.returncode, err
    assert f"{issuer.url}/device\nand type  {login.user_code}\n" in err
    assert f"or open   {issuer.url}/device?user_code={login.user_code}" in err
    report = json.loads(out)
    assert ("ada", "device", "DPoP", "file") == (
        report["subject"], report["flow"], report["token_type"], report["store"],
    )  # fmt: skip
    assert "telemetry" in report["scopes"]
    assert report["subject"] == store.load("ada").subject
    status = typed("sakina", "auth", "status", "--json")
    assert ("good", 0) == (json.loads(status.stdout)["logins"][0]["state"], status.returncode)


def test_a_declined_login_is_a_no(issuer, begin, store):
    process = begin(*flow_of(issuer))
    issuer.decide(await_waiting(issuer).user_code, "ada", approve=False)
    _, err = process.communicate(timeout=30)
    assert 1 == process.returncode
    assert "sakina: the login was declined" in err
    assert [] == store.profiles()


def test_ctrl_c_ends_a_login_and_leaves_nothing(issuer, begin, home, typed):
    process = begin(*flow_of(issuer))
    await_waiting(issuer)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert 130 == process.returncode
    assert "Traceback" not in err
    assert [] == list((home / "dunes").rglob("*.token"))
    status = typed("sakina", "auth", "status")
    assert (1, "no login is kept") == (status.returncode, status.stdout[:16])
    assert "ended between" not in status.stdout


def test_a_timeout_is_kept(issuer, typed):
    began_s = time.monotonic()
    done = typed(*flow_of(issuer, "--timeout", "2s"))
    assert 69 == done.returncode
    assert "nobody approved the login within --timeout" in done.stderr
    assert time.monotonic() - began_s < 15


def test_a_browser_is_sent_there_and_comes_back(issuer, begin, store):
    process = begin(
        *flow_of(issuer, "--flow", "browser", "--no-browser", "--scope", "rover-data", "-q")
    )
    url = ""
    while not url.startswith("  http"):
        url = process.stderr.readline()
    with httpx.Client(trust_env=False) as client:
        page = client.get(url.strip()).text
        ticket = re.search('name="ticket" value="([^"]+)"', page)[1]
        form = {"ticket": ticket, "login": "ada", "decision": "approve"}
        back = client.post(f"{issuer.url}/authorize", data=form)
        assert back.headers["location"].startswith("http://127.0.0.1:")
        assert 200 == client.get(back.headers["location"]).status_code
    process.communicate(timeout=30)
    assert 0 == process.returncode
    assert ("browser", "ada") == (store.load("default").flow, store.load("default").subject)


KILLED = """
import os, signal
from dunes.paths import find_paths
from sakina.session import Session
from sakina.store.file import FileStore

session = Session.open(find_paths(), "default", asked_store="file", timeout_s=10)
FileStore.save = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
session.renew(force=True)
"""


def test_a_kill_after_a_rotation_costs_the_login_and_is_told(
    issuer, begin, typed, environment, home
):
    process = begin(*flow_of(issuer, "--scope", "telemetry", "--token-store", "file"))
    issuer.decide(await_waiting(issuer).user_code, "ada", approve=True)
    process.communicate(timeout=30)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], env=environment, cwd=home, timeout=60, check=False
    )
    assert -signal.SIGKILL == killed.returncode
    told = typed("sakina", "auth", "status")
    assert "a renewal of profile default at" in told.stdout
    assert "ended between asking" in told.stdout
    lost = typed("sakina", "auth", "refresh")
    assert 77 == lost.returncode, "the new token died with the process, the old one was spent"
    assert "warning: a renewal of profile default" in lost.stderr
    assert f"hint: sakina auth-flow --provider {issuer.url}" in lost.stderr
    assert "ended between" not in typed("sakina", "auth", "status").stdout, "it is settled"


# ---------------------------------------------------------------------- a machine


def test_a_machine_logs_in_prints_renews_and_ends(issuer, typed, account, store):
    done = typed(
        "sakina", "auth-flow", "--provider", issuer.url, "--scope", "telemetry", **account
    )
    assert 0 == done.returncode, done.stderr
    first = typed("sakina", "auth", "token", "--scope", "telemetry").stdout.strip()
    assert first == store.load("default").access_token.reveal()
    assert first == typed("sakina", "auth", "token").stdout.strip(), "reused while it is good"
    assert 0 == typed("sakina", "auth", "refresh").returncode
    second = typed("sakina", "auth", "token", "--json").stdout
    assert first != json.loads(second)["access_token"]
    asked = httpx.get(
        f"{issuer.url}/userinfo",
        headers={"authorization": f"Bearer {json.loads(second)['access_token']}"},
        trust_env=False,
    )
    assert 200 == asked.status_code
    refused = typed("sakina", "auth", "token", "--scope", "rover-data")
    assert (1, "") == (refused.returncode, refused.stdout)
    dry = typed("sakina", "auth", "logout", "--dry-run", "--json")
    assert (True, False) == tuple(json.loads(dry.stdout)[k] for k in ("was_kept", "forgotten"))
    assert "revoked at the issuer" in typed("sakina", "auth", "logout").stdout
    assert 0 == typed("sakina", "auth", "logout").returncode, "once more is no error"
    gone = typed("sakina", "auth", "token")
    assert (66, True) == (gone.returncode, "hint: sakina auth-flow" in gone.stderr)
    spent = httpx.get(
        f"{issuer.url}/userinfo",
        headers={"authorization": f"Bearer {json.loads(second)['access_token']}"},
        trust_env=False,
    )
    assert 401 == spent.status_code


def test_a_secret_comes_over_stdin_too(issuer, typed, account):
    argv = ("sakina", "auth-flow", "--provider", issuer.url, "--client-id",
            account["DUNES_CLIENT_ID"], "--client-secret-file", "-", "--json")  # fmt: skip
    done = typed(*argv, given=account["DUNES_CLIENT_SECRET"] + "\n")
    assert (0, "client-credentials") == (done.returncode, json.loads(done.stdout)["flow"])


def test_a_key_in_a_file_logs_in(issuer, typed):
    key = issuer.folder / "gateway-key.pem"
    argv = ("sakina", "auth-flow", "--provider", issuer.url, "--client-id", "gateway",
            "--client-key", str(key), "--client-key-alg", "ES256", "--dpop", "on",
            "--scope", "rover-telemetry", "--json")  # fmt: skip
    done = typed(*argv)
    assert 0 == done.returncode, done.stderr
    assert "DPoP" == json.loads(done.stdout)["token_type"]
    headers = typed("sakina", "auth", "token", "--headers", f"{issuer.url}/userinfo").stdout
    assert {"authorization", "dpop"} == {row.partition(":")[0] for row in headers.splitlines()}


def test_a_token_of_somebody_else_is_kept_as_it_is(issuer, typed, store):
    argv = ("sakina", "auth-flow", "--provider", issuer.url, "--with-token", "--user", "ci")
    done = typed(*argv, given="opaque-token-hush\n")
    assert 0 == done.returncode, done.stderr
    assert "hush" not in done.stdout + done.stderr
    assert "opaque-token-hush\n" == typed("sakina", "auth", "token", "--user", "ci").stdout
    assert 77 == typed("sakina", "auth", "refresh", "--user", "ci").returncode
    empty = typed(*argv, given="")
    assert 65 == empty.returncode


def test_the_environment_s_token_wins(issuer, typed, account):
    typed("sakina", "auth-flow", "--provider", issuer.url, **account)
    done = typed("sakina", "auth", "token", SAKINA_TOKEN="from-outside")
    assert "from-outside\n" == done.stdout
    status = typed("sakina", "auth", "status", SAKINA_TOKEN="from-outside")
    assert "SAKINA_TOKEN is set" in status.stdout
    assert "from-outside" not in status.stdout


def test_nothing_is_kept_without_a_store(issuer, typed, account, store):
    argv = ("sakina", "auth-flow", "--provider", issuer.url, "--token-store", "none", "--json")
    done = typed(*argv, **account)
    assert (0, "none") == (done.returncode, json.loads(done.stdout)["store"])
    assert [] == store.profiles()
    assert all(token.family.revoked for token in issuer.records.tokens.values())


def test_sakina_init_tries_the_store_and_remembers(typed, home):
    done = typed("sakina", "init", "--token-store", "file", "--provider", "starlink", "--json")
    report = json.loads(done.stdout)
    assert ("file", "machine", "starlink", True) == tuple(
        report[name] for name in ("store", "lock", "provider", "changed")
    )
    again = json.loads(typed("sakina", "init", "--json").stdout)
    assert (False, "file") == (again["changed"], again["store"])
    dry = json.loads(
        typed("sakina", "init", "--token-store", "none", "--dry-run", "--json").stdout
    )
    assert ("none", False) == (dry["store"], dry["changed"])
    keyring = typed("sakina", "init", "--token-store", "keyring")
    assert (74, True) == (keyring.returncode, "no keyring works here" in keyring.stderr)
    locked = typed("sakina", "init", "--json", DUNES_PASSPHRASE="a long enough phrase")
    assert "passphrase" == json.loads(locked.stdout)["lock"]


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("auth-flow --provider starlink --scope habitat-data", 78, "no client id and secret"),
        ("auth-flow --provider starlnk", 2, "did you mean starlink?"),
        ("auth-flow --provider site", 66, "dunes sim up"),
        ("auth-flow --provider http://example.com", 2, "no https URL"),
        ("auth-flow --provider starlink --scope warp", 2, "could stand for"),
        ("auth-flow --provider starlink --user ../x", 2, "profile name"),
        ("auth-flow --provider https://127.0.0.1:9 --client-id x --timeout 2s", 69, "reached"),
        ("auth-flow --provider starlink --flow password", 2, "no flow"),
        ("auth token", 66, "no login is stored"),
        ("auth refresh --user nobody", 66, "sakina auth-flow --user nobody"),
        ("auth status --user nobody", 1, ""),
        ("auth token --token-store usb", 2, "no token store"),
        ("init --provider nowhere", 2, "no provider"),
    ],
)
def test_what_cannot_be_is_told_with_what_to_do(typed, line, status, said):
    done = typed("sakina", *line.split())
    assert status == done.returncode, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if status not in {1, 2}:
        failed = typed("sakina", *line.split(), "--json")
        assert status == json.loads(failed.stderr.splitlines()[-1])["error"]["exit"]


REAL = [
    ("auth", "status"),
    ("auth", "token", "--headers", "https://example.com/x"),
    ("auth", "refresh"),
    ("auth", "logout", "--dry-run"),
    ("init",),
    ("auth", "logout"),
]


def test_real_output_is_what_its_schema_says(issuer, typed, account):
    first = ("auth-flow", "--provider", issuer.url)
    for argv in (first, *REAL):
        schema = json.loads(typed("sakina", *argv, "--schema").stdout)
        done = typed("sakina", *argv, "--json", **account)
        assert 0 == done.returncode, done.stderr
        jsonschema.Draft202012Validator(schema).validate(json.loads(done.stdout))


# ---------------------------------------------------------------------- secrets


def test_no_token_code_or_secret_shows_but_where_it_is_asked_for(
    issuer, typed, account, begin, home
):
    loud = {"DUNES_DEBUG": "1"}
    more = ("-vv", "--log-format", "json")
    shown = []
    machine = ("sakina", "auth-flow", "--provider", issuer.url, "--user", "machine", *more)
    shown.append(typed(*machine, **account, **loud))
    process = begin(*flow_of(issuer, "--scope", "telemetry", "--user", "ada", *more), **loud)
    issuer.decide(await_waiting(issuer).user_code, "ada", approve=True)
    out, err = process.communicate(timeout=30)
    assert 0 == process.returncode, err
    arguments = [
        ("auth", "status"), ("auth", "status", "--json"), ("auth", "refresh", "--user", "ada"),
        ("auth", "refresh", "--user", "machine", "--json"), ("init",),
        ("auth", "logout", "--user", "machine"), ("auth", "logout", "--user", "ada", "--local"),
    ]  # fmt: skip
    shown += [typed("sakina", *argv, *more, **loud) for argv in arguments]
    wrong = account | {"DUNES_CLIENT_SECRET": "hush-wrong-secret"}
    shown.append(typed(*machine, **wrong, **loud))
    unknown = account | {"DUNES_CLIENT_SECRET": "hush-wrong\x07secret"}
    shown.append(typed(*machine, **unknown, **loud))
    assert [0] * (len(shown) - 2) == [done.returncode for done in shown[:-2]]
    assert {1, 65} == {done.returncode for done in shown[-2:]}
    records = issuer.records
    secrets = {
        account["DUNES_CLIENT_SECRET"], "hush-wrong",
        *records.tokens, *records.devices, *records.codes,
    }  # fmt: skip
    assert len(secrets) > 6
    text = out + err + "".join(done.stdout + done.stderr for done in shown)
    assert [] == [secret for secret in secrets if secret in text]
    files = [path for path in home.rglob("*") if path.is_file()]
    assert [] == [p for p in files for s in secrets if s.encode() in p.read_bytes()]


def test_no_secret_is_in_the_arguments_of_a_process(issuer, begin, account):
    process = begin("sakina", "auth-flow", "--provider", issuer.url, "--client-id", "sakina")
    await_waiting(issuer)
    (login,) = issuer.records.devices
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            lines.append(path.read_bytes())
    assert lines
    assert [] == [line for line in lines if login.encode() in line]
    process.kill()
