"""`sakina` as typed: verify, tokens, policies and what they forbid, trust, tokens for people."""

import json
import signal
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
VITALS = "".join(
    json.dumps(
        {"device": f"crew-00{n % 2 + 1}", "kind": "heart_rate", "value": 60 + n, "unit": "/min",
         "ts_s": 1.8e9 + n}
    )
    + "\n"
    for n in range(20)
)  # fmt: skip
SENSOR = '{"device":"hab-1","kind":"co2","value":612,"unit":"ppm"}\n'


@pytest.fixture
def said(typed):
    """Run a command that has to succeed, with --json; gives its report."""

    def run(*argv, exit_=0, given=""):
        done = typed(*argv, "--json", given=given)
        assert exit_ == done.returncode, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def site(typed):
    """A lunar site without much of a mesh; ended with the test."""
    up = typed("dunes", "sim", "up", "--site", "lunar", "--nodes", "3")
    assert 0 == up.returncode, up.stderr
    yield "lunar"
    typed("dunes", "sim", "down")


@pytest.fixture
def ground(typed, home, environment):
    """Serve a ground station until the test ends; gives its ready report."""
    process = subprocess.Popen(
        ["mcp", "ground-station", "serve", "--listen", "127.0.0.1:0", "--data", home / "ground",
         "--json"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield json.loads(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


@pytest.fixture
def joined(typed, home, ground):
    """A gateway that is enrolled at the ground station, with readings in two tables."""
    done = typed(
        "mcp", "init", "--destination", f"earth-gs={ground['url']}", "--tls-sha256",
        ground["tls_sha256"], "--ground-key", ground["public_key"], "--json",
    )  # fmt: skip
    report = json.loads(done.stdout)
    enrolled = typed(
        "mcp", "ground-station", "enroll", report["gateway"], "--key", report["public_key"],
        "--api-key-file", home / "dunes/keys/api-key.secret", "--data", home / "ground",
    )  # fmt: skip
    assert 0 == enrolled.returncode, enrolled.stderr
    assert 0 == typed("dunes", "ingest", "--table", "lunar_telemetry", given=SENSOR).returncode
    assert 0 == typed("dunes", "ingest", "--table", "vitals_data", given=VITALS).returncode


def test_the_guides_line_verifies_a_sensor_of_the_site(said, typed, site):
    report = said("sakina", "verify", "--scope", "telemetry", "--device", "hab-sensor-001")
    [verdict] = report["devices"]
    assert (True, "challenge", True) == (
        verdict["passed"],
        verdict["level"],
        verdict["simulated"],
    )
    jsonschema.validate(report, json.loads(typed("sakina", "verify", "--schema").stdout))
    stranger = typed("sakina", "verify", "--scope", "telemetry", "--device", "hab-sensor-999")
    assert 1 == stranger.returncode
    assert stranger.stdout.startswith("FAIL  hab-sensor-999: none: nothing is known of it\n")


def test_a_simulated_identity_never_enters_the_trust_store_or_the_ledger(said, site, home):
    said("sakina", "verify", "--scope", "telemetry")
    assert not (home / "dunes/keys/trusted").exists()
    assert 0 == said("sakina", "status")["ledger_events"]


def test_a_verdict_is_a_receipt_if_that_is_asked_for(said, typed, site, home):
    said(
        "sakina", "verify", "--scope", "telemetry", "--device", "hab-sensor-002", "--receipt",
        "verdict.mu",
    )  # fmt: skip
    checked = typed("dunes", "markup-validate", "--file", "verdict.mu")
    assert "level logged" in checked.stdout
    assert 0 == checked.returncode


def test_a_restriction_forbids_a_sync_until_it_is_lifted(said, typed, joined, home):
    added = said(
        "sakina", "restrict", "--table", "vitals-data", "--action", "sync.push", "--reason",
        "vitals stay on the Moon",
    )  # fmt: skip
    assert ("vitals_data",) == tuple(added["rules"][-1]["tables"])
    refused = typed("mcp", "sync", "--buffer", "vitals-data")
    assert 77 == refused.returncode
    assert "vitals stay on the Moon" in refused.stderr
    assert "hint: sakina restrict --lift r1" in refused.stderr
    assert 0 == typed("mcp", "sync", "--buffer", "lunar-data").returncode
    assert 0 == typed("sakina", "restrict", "--lift", "r1").returncode
    assert 0 == typed("mcp", "sync", "--buffer", "vitals-data").returncode
    log = said("sakina", "log", "--table", "auth_audit")
    assert (True, ["deny", "allow", "allow"]) == (
        log["intact"],
        [row["value"] for row in log["rows"]],
    )
    assert ["deny"] == [row["value"] for row in said("sakina", "log", "--denied")["rows"]]


def test_a_ground_station_refuses_what_its_own_policies_forbid(typed, joined, home):
    forbidden = typed(
        "sakina", "restrict", "--subject", "gateway:*", "--table", "vitals_data", "--reason",
        "not for this station", "--data", home / "ground",
    )  # fmt: skip
    assert 0 == forbidden.returncode, forbidden.stderr
    refused = typed("mcp", "sync", "--buffer", "vitals-data")
    assert 77 == refused.returncode
    assert "the ground station refuses this gateway: not for this station" in refused.stderr
    assert 0 == typed("mcp", "sync", "--buffer", "lunar-data").returncode
    there = typed("sakina", "log", "--data", home / "ground", "--denied", "--json")
    [row, *_] = json.loads(there.stdout)["rows"]
    assert "ground.accept" == row["kind"]


def test_a_sync_that_runs_on_ends_when_it_is_forbidden(typed, joined, home, environment):
    process = subprocess.Popen(
        ["mcp", "sync", "--buffer", "lunar-data", "--watch"],
        env=environment, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        time.sleep(3)
        assert process.poll() is None
        assert 0 == typed("sakina", "restrict", "--destination", "earth-gs").returncode
        _, err = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
    assert 77 == process.returncode, err


def test_people_are_tokens_on_the_ground_and_names_for_their_gateway(said, typed, joined, home):
    here = typed(
        "dunes", "query", "--table", "vitals_data", "--device", "crew-001", "--format", "csv"
    )
    assert 10 == here.stdout.count("t1-")
    synced = typed("mcp", "sync", "--buffer", "vitals-data")
    assert 0 == synced.returncode, synced.stderr
    there = typed(
        "mcp", "ground-station", "query", "--table", "vitals_data", "--data", home / "ground",
        "--format", "csv",
    )  # fmt: skip
    assert 20 == there.stdout.count("t1-")
    assert "crew-00" not in there.stdout
    back = typed("sakina", "detokenize", "-", given=here.stdout)
    assert (10, 0) == (back.stdout.count("crew-001"), back.stdout.count("t1-"))
    [row] = said("sakina", "tokenize", "crew-001")["rows"]
    assert row["token"] in here.stdout
    log = said("sakina", "log")["rows"]
    assert "identity.reveal" == log[-1]["kind"]


def test_revealing_can_be_forbidden(typed, said):
    token = said("sakina", "tokenize", "crew-001")["rows"][0]["token"]
    assert 0 == typed("sakina", "restrict", "--action", "identity.reveal").returncode
    refused = typed("sakina", "detokenize", token)
    assert (77, "") == (refused.returncode, refused.stdout)


def test_a_configuration_can_be_forbidden_and_a_dry_run_not(typed, home):
    config = home / "config.maml"
    written = typed("dunes", "maml", "new", "--profile", "guide", config)
    assert 0 == written.returncode, written.stderr
    assert 0 == typed("sakina", "restrict", "--action", "config.apply").returncode
    assert 0 == typed("dunes", "apply-config", "--file", config, "--dry-run").returncode
    assert 77 == typed("dunes", "apply-config", "--file", config).returncode


@pytest.fixture
def crew(typed, home, environment):
    """Four places with keys; the first trusts the others as gateways."""
    homes = {name: str(home / name) for name in ("a", "b", "c", "d")}

    def at(name, *argv, given=""):
        return typed(*argv, given=given, DUNES_HOME=homes[name])

    for name in homes:
        made = at(name, "dunes", "keygen", "--name", f"gw-{name}", "--output", f"{name}.maml")
        assert 0 == made.returncode, made.stderr
        at(name, "dunes", "keys", "export", "--output", f"{name}.pub")
    for name in ("b", "c", "d"):
        trusted = at("a", "dunes", "keys", "trust", f"{name}.pub", "--role", "gateway", "--yes")
        assert 0 == trusted.returncode, trusted.stderr
    return at


def test_three_of_four_witnesses_vouch_for_a_token_offline(crew, home):
    asked = crew("a", "sakina", "token-request", "--scope", "telemetry", "--output", "t.jwt")
    assert 0 == asked.returncode, asked.stderr
    assert 0o600 == (home / "t.jwt").stat().st_mode & 0o777
    line = ("sakina", "offline-verify", "--token", "t.jwt", "--threshold", "3")
    for name in ("b", "c"):
        assert 0 == crew(name, "sakina", "sign", "--token", "t.jwt", "--yes").returncode
    two = crew("a", *line)
    assert (1, True) == (two.returncode, "NO  witnesses: 2 of 3 witnesses signed" in two.stdout)
    crew("d", "sakina", "sign", "--token", "t.jwt", "--yes")
    assert 0 == crew("a", *line).returncode
    elsewhere = crew("b", *line)
    assert 1 == elsewhere.returncode
    assert "is not believed here" in elsewhere.stdout
    assert 0 == crew("a", "sakina", "token-revoke", "t.jwt", "--reason", "lost").returncode
    assert "NO  revocation" in crew("a", *line).stdout


def test_a_witness_in_quarantine_counts_no_longer(crew):
    crew("a", "sakina", "token-request", "--scope", "telemetry", "--output", "t.jwt")
    crew("b", "sakina", "sign", "--token", "t.jwt", "--yes")
    line = ("sakina", "offline-verify", "--token", "t.jwt", "--threshold", "1")
    assert 0 == crew("a", *line).returncode
    crew("a", "sakina", "quarantine", "gw-b", "--reason", "captured")
    assert 1 == crew("a", *line).returncode
    crew("a", "sakina", "quarantine", "gw-b", "--lift")
    assert 0 == crew("a", *line).returncode


def test_a_witness_is_asked_and_signs_nothing_by_itself(crew):
    crew("a", "sakina", "token-request", "--scope", "telemetry", "--output", "t.jwt")
    unasked = crew("b", "sakina", "sign", "--token", "t.jwt")
    assert (2, True) == (unasked.returncode, "hint: --yes" in unasked.stderr)
    own = crew("a", "sakina", "sign", "--token", "t.jwt", "--yes")
    assert "bears no witness to it" in own.stderr


@pytest.mark.parametrize("content", ["", "x", "a.b.c", "\x00\xff", "e30.e30.e30"])
def test_what_is_no_token_is_said_to_be_none(typed, home, content):
    home.mkdir(exist_ok=True)
    (home / "bad.jwt").write_text(content)
    done = typed("sakina", "offline-verify", "--token", "bad.jwt")
    assert done.returncode in {65, 78}
    assert "Traceback" not in done.stderr


def test_a_challenge_goes_to_a_device_by_hand_and_is_good_once(crew, home):
    crew("a", "dunes", "keys", "trust", "d.pub", "--role", "device", "--yes")
    ask = ("sakina", "verify", "--scope", "telemetry", "--device", "gw-d")
    assert 0 == crew("a", *ask, "--challenge", "c.json").returncode
    assert 0 == crew("d", "sakina", "answer", "c.json", "--output", "a.json").returncode
    passed = crew("a", *ask, "--answer", "a.json")
    assert 0 == passed.returncode, passed.stdout
    assert passed.stdout.startswith("PASS  gw-d: challenge:")
    again = crew("a", *ask, "--answer", "a.json")
    assert (66, True) == (again.returncode, "was used before" in again.stderr)
    wrong = crew("c", "sakina", "answer", "c.json")
    assert "is for gw-d, and this is gw-c" in wrong.stderr


def test_a_device_answers_on_the_network(crew, home, environment):
    crew("a", "dunes", "keys", "trust", "d.pub", "--role", "device", "--yes")
    server = subprocess.Popen(
        ["sakina", "answer", "--serve", "127.0.0.1:0", "--json"],
        env=environment | {"DUNES_HOME": str(home / "d")}, cwd=home, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        address = json.loads(server.stdout.readline())["address"]
        ask = ("sakina", "verify", "--scope", "telemetry", "--device", "gw-d", "--agent", address)
        assert 0 == crew("a", *ask).returncode
        trust = json.loads(crew("a", "sakina", "reputation-check", "gw-d", "--json").stdout)
        assert 1 == trust["trust"]["verified"]
    finally:
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=20)
    assert (0, "") == (server.returncode, err)


def test_trust_is_set_checked_and_lost(said, typed):
    first = said(
        "sakina", "reputation-set", "rover-002", "--score", "0.9", "--reason", "long known"
    )
    assert 0.833 == first["trust"]["score"]
    assert 0 == typed("sakina", "reputation-check", "rover-002", "--min", "0.8").returncode
    said(
        "sakina",
        "reputation-set",
        "rover-002",
        "--evidence",
        "failed-verification",
        "--count",
        "3",
    )
    said("sakina", "reputation-check", "rover-002", "--min", "0.8", exit_=1)
    cut = said("sakina", "quarantine", "rover-002", "--reason", "captured")
    assert ("captured", "no-node") == (cut["quarantined"], cut["mesh"])
    said("sakina", "reputation-check", "rover-002", "--min", "0", exit_=1)
    said("sakina", "quarantine", "rover-002", "--lift")
    said("sakina", "reputation-check", "rover-002", "--min", "0")
    status = said("sakina", "status", "--replay")
    assert 4 == status["ledger_events"]
    verified = typed("dunes", "log", "verify")
    assert verified.stdout.startswith("log: intact, 4 entries read")


def test_a_dry_run_changes_nothing(said, typed, home):
    said("sakina", "restrict", "--table", "iot_data", "--dry-run")
    said("sakina", "scope-add", "telemetry", "--to", "device:a", "--dry-run")
    said("sakina", "quarantine", "a", "--reason", "b", "--dry-run")
    assert 0 == said("sakina", "scope-list")["version"]
    assert not (home / "dunes/policies.json").exists()


@pytest.mark.parametrize(
    ("argv", "exit_", "said_"),
    [
        (["restrict"], 2, "say what is forbidden"),
        (["restrict", "--subject", "everybody"], 2, "names no subject"),
        (["restrict", "--table", "a b"], 2, "is no name or pattern"),
        (["restrict", "--action", "sync.pus"], 2, "hint: --action sync.push"),
        (["restrict", "--lift", "r1"], 66, "no local rule 'r1'"),
        (["scope-add", "x-y"], 66, "no scope 'x-y'"),
        (["scope-add", "telemetry"], 2, "nothing is to be changed"),
        (["scope-add", "X", "--action", "table.read"], 2, "cannot name a scope"),
        (["scope-add", "telemetry", "--assurance", "faith"], 2, "assurance is one of"),
        (["scope-add", "telemetry", "--from", "device:a"], 66, "no local grant"),
        (["scope-list", "--data", "nowhere"], 66, "no ground station has its data"),
        (["verify", "--scope", "telemetri"], 66, "no scope 'telemetri'"),
        (["verify", "--scope", "telemetry", "--agent", "x"], 2, "name the one device"),
        (["verify", "--scope", "telemetry", "--device", "A B"], 65, "name 'A B' is not"),
        (["verify", "--scope", "telemetry", "--device", "a", "--agent", "x"], 2, "HOST:PORT"),
        (["verify", "--scope", "telemetry"], 66, "no device is known"),
        (["token-request", "--scope", "nope"], 66, "no scope 'nope'"),
        (["token-request", "--scope", "telemetry"], 66, "no identity key yet"),
        (["offline-verify", "--token", "nowhere"], 66, "no file nowhere"),
        (["reputation-set", "a"], 2, "give a score, or what was observed"),
        (["reputation-set", "a", "--evidence", "praise"], 2, "no evidence 'praise'"),
        (["reputation-set", "a\tb", "--score", "1"], 65, "names nobody"),
        (["quarantine", "a"], 2, "is told why"),
        (["detokenize", "t1-x"], 66, "no person was ever given a token"),
        (["log"], 66, "nothing was decided here yet"),
        (["log", "--table", "security_audit"], 66, "no record 'security_audit'"),
        (["answer"], 2, "give a challenge's file"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_reason(typed, argv, exit_, said_):
    done = typed("sakina", *argv)
    assert (exit_, True) == (done.returncode, said_ in done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_no_secret_is_in_any_output(typed, home):
    planted = "correct-horse-battery-staple"
    outputs = []

    def run(*argv, given="", exit_=0):
        for more in ((), ("--json",), ("-vv", "--log-format", "json")):
            done = typed(*argv, *more, given=given, DUNES_DEBUG="1")
            outputs.append(done.stdout + done.stderr)
        assert exit_ == done.returncode, done.stderr

    assert 0 == typed("dunes", "keygen", "--name", "gw-1", "--output", "k.maml").returncode
    assert 0 == typed("sakina", "wallet-init").returncode
    run("sakina", "wallet-add", "--seal", "api-key", given=planted)
    run("sakina", "wallet-show")
    run("sakina", "wallet-export", "--output", "shared.md", "--with-secrets")
    run("sakina", "tokenize", "crew-001")
    run("sakina", "token-request", "--scope", "telemetry", "--output", "t.jwt")
    run("sakina", "offline-verify", "--token", "t.jwt", "--threshold", "0")
    run("sakina", "status")
    run("sakina", "scope-list")
    (home / "bad.jwt").write_text(planted)
    run("sakina", "offline-verify", "--token", "bad.jwt", exit_=65)
    key = (home / "dunes/keys/pseudonyms.secret").read_text().strip()
    token = (home / "t.jwt").read_text().strip()
    for secret in (planted, key, token, token.rpartition(".")[2]):
        assert [] == [text for text in outputs if secret in text]
    for path in (home / "dunes").rglob("*"):
        if path.is_file():
            assert planted.encode() not in path.read_bytes(), path
    assert planted not in (home / "shared.md").read_text()
    opened = typed("sakina", "wallet-export", "--unseal", "api-key", "--output", "opened")
    assert (0, "") == (opened.returncode, opened.stdout)
    assert (planted + "\n", 0o600) == (
        (home / "opened").read_text(),
        (home / "opened").stat().st_mode & 0o777,
    )
    assert 2 == typed("sakina", "wallet-export", "--unseal", "api-key", "--output", "-").returncode
