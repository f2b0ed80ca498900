"""`mcp init`, `mcp sync` and `mcp ground-station`, typed by hand against a real server."""

import json
import signal
import stat
import subprocess

import pytest

ROWS = "".join(
    json.dumps(
        {"device": "hab-1", "kind": "co2", "value": 400 + n, "unit": "ppm", "ts_s": 1.8e9 + n}
        | {"seq": n, "priority": "routine"}
    )
    + "\n"
    for n in range(1, 301)
)
ALERT = json.dumps(
    {"device": "hab-rad", "kind": "radiation", "value": 900.0, "unit": "uSv/h", "ts_s": 1.8e9}
    | {"seq": 1, "priority": "alert"}
)


@pytest.fixture
def ground(typed, home, environment):
    """Serve a ground station until the test ends; gives its ready report."""
    data = home / "ground"
    process = subprocess.Popen(
        ["mcp", "ground-station", "serve", "--listen", "127.0.0.1:0", "--data", data, "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ready = json.loads(process.stdout.readline())
    yield ready
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (0, "") == (process.returncode, out), err


@pytest.fixture
def joined(typed, home, ground):
    """Make a gateway, enrol it by hand as an operator would, and fill its buffer."""
    done = typed(
        "mcp", "init", "--starlink-router", "192.168.1.1", "--mesh-id", "lunar-ble-001",
        "--destination", f"earth-gs={ground['url']}", "--tls-sha256", ground["tls_sha256"],
        "--ground-key", ground["public_key"], "--json",
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    enrolled = typed(
        "mcp", "ground-station", "enroll", report["gateway"], "--key", report["public_key"],
        "--api-key-file", home / "dunes/keys/api-key.secret", "--data", home / "ground",
    )  # fmt: skip
    assert 0 == enrolled.returncode, enrolled.stderr
    filled = typed("dunes", "ingest", "--table", "lunar_telemetry", given=ROWS + ALERT + "\n")
    assert 0 == filled.returncode, filled.stderr
    return report


def test_init_is_idempotent_and_pins_the_given_key(typed, joined, ground):
    (row,) = joined["destinations"]
    assert ("earth-gs", ground["station"], "given") == (row["name"], row["station"], row["key"])
    assert joined["gateway"] == f"gw-{joined['kid'][:12]}"
    again = json.loads(
        typed("mcp", "init", "--destination", f"earth-gs={ground['url']}", "--json").stdout
    )
    assert (False, "kept", "kept") == (again["changed"], again["identity"], again["api_key"])
    assert "kept" == again["destinations"][0]["key"]


def test_the_guides_line_delivers_everything_once(typed, joined, home):
    done = typed("mcp", "sync", "--buffer", "lunar-data", "--destination", "earth-gs")
    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("lunar-data to earth-gs: 301 readings in ")
    again = typed("dunes", "mcp", "sync", "--buffer", "lunar-data")
    assert (0, "lunar-data to earth-gs: nothing was left to send\n") == (
        again.returncode,
        again.stdout,
    )
    data = ["--data", home / "ground"]
    found = typed(
        "mcp", "ground-station", "query", *data, "--table", "lunar-data", "--format", "csv"
    )
    assert 302 == len(found.stdout.splitlines()), found.stderr
    verified = typed("mcp", "ground-station", "verify", *data, "--table", "lunar-data", "--deep")
    assert 0 == verified.returncode
    assert "sound; 301 readings" in verified.stdout
    status = json.loads(typed("mcp", "ground-station", "status", *data, "--json").stdout)
    assert {"alert": 1, "routine": 300} == {
        lane["lane"]: lane["readings"] for lane in status["lanes"] if lane["readings"]
    }
    against = typed("dunes", "check-buffer", "--table", "lunar_telemetry", "--against", "earth-gs")
    assert 0 == against.returncode, against.stdout + against.stderr


def test_what_was_sealed_before_a_station_was_known_is_granted_to_it(typed, home, ground):
    first = typed("dunes", "ingest", "--table", "lunar_telemetry", given=ROWS)
    assert 0 == first.returncode, first.stderr
    report = json.loads(
        typed(
            "mcp", "init", "--mesh-id", "lunar-ble-001", "--json",
            "--destination", f"earth-gs={ground['url']}", "--tls-sha256", ground["tls_sha256"],
        ).stdout
    )  # fmt: skip
    assert "first use" == report["destinations"][0]["key"]
    typed(
        "mcp", "ground-station", "enroll", report["gateway"], "--key", report["public_key"],
        "--api-key-file", home / "dunes/keys/api-key.secret", "--data", home / "ground",
    )  # fmt: skip
    sealed = json.loads(
        typed("dunes", "check-buffer", "--table", "lunar_telemetry", "--json").stdout
    )
    assert "all" == sealed["sealed"]
    done = typed("mcp", "sync", "--buffer", "lunar-data")
    assert 0 == done.returncode, done.stderr
    assert "may read from now on what was sealed before" in done.stdout
    data = ["--data", home / "ground"]
    found = typed("mcp", "ground-station", "query", *data, "--table", "lunar-data", "--json")
    assert list(range(1, 101)) == [x["seq"] for x in json.loads(found.stdout)["readings"]][:100]
    verified = typed("mcp", "ground-station", "verify", *data, "--table", "lunar-data", "--deep")
    assert 0 == verified.returncode, verified.stdout
    again = typed("mcp", "sync", "--buffer", "lunar-data")
    assert "granted" not in again.stdout
    assert 0 == again.returncode


def named(typed, home, ground, name):
    """Name the gateway as an operator would, and enrol it."""
    report = json.loads(
        typed(
            "mcp", "init", "--gateway-id", name, "--json",
            "--destination", f"earth-gs={ground['url']}", "--tls-sha256", ground["tls_sha256"],
        ).stdout
    )  # fmt: skip
    assert name == report["gateway"]
    return typed(
        "mcp", "ground-station", "enroll", name, "--key", report["public_key"],
        "--api-key-file", home / "dunes/keys/api-key.secret", "--data", home / "ground",
    )  # fmt: skip


def test_what_was_taken_in_before_the_gateway_was_named_goes_under_its_name(typed, home, ground):
    typed("dunes", "ingest", "--table", "lunar_telemetry", given=ROWS + ALERT + "\n")
    named(typed, home, ground, "gw-habitat")
    done = typed("mcp", "sync", "--buffer", "lunar-data")
    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("lunar-data to earth-gs: 301 readings in ")
    assert "301 readings that were taken in under another name go as gw-habitat" in done.stdout
    status = json.loads(
        typed("mcp", "ground-station", "status", "--data", home / "ground", "--json").stdout
    )
    assert {("gw-habitat", "alert", 1), ("gw-habitat", "routine", 300)} == {
        (lane["gateway"], lane["lane"], lane["readings"])
        for lane in status["lanes"]
        if lane["readings"]
    }


def test_a_name_that_a_ground_station_knows_keeps_its_readings(typed, home, joined, ground):
    first = typed("mcp", "sync", "--buffer", "lunar-data")
    assert 0 == first.returncode, first.stderr
    typed("dunes", "ingest", "--table", "lunar_telemetry", given=ALERT + "\n")
    named(typed, home, ground, "gw-other")
    refused = typed("mcp", "sync", "--buffer", "lunar-data")
    old = joined["gateway"]
    assert (78, f"hint: dunes config set gateway.id {old}, then mcp sync") == (
        refused.returncode,
        refused.stderr.splitlines()[-1],
    )
    assert f"1 readings of lunar_telemetry wait under the name {old}" in refused.stderr
    typed("dunes", "config", "set", "gateway.id", old)
    again = typed("mcp", "sync", "--buffer", "lunar-data")
    assert 0 == again.returncode, again.stderr
    assert again.stdout.startswith("lunar-data to earth-gs: 1 readings in ")


def test_an_unknown_buffer_or_destination_is_66_with_the_nearest(typed, joined):
    buffer = typed("mcp", "sync", "--buffer", "lunar-dta")
    assert (66, "hint: did you mean lunar_telemetry?") == (
        buffer.returncode,
        buffer.stderr.splitlines()[-1],
    )
    destination = typed("mcp", "sync", "--buffer", "lunar-data", "--destination", "earth")
    assert (66, "hint: did you mean earth-gs?") == (
        destination.returncode,
        destination.stderr.splitlines()[-1],
    )


def test_a_link_that_is_down_is_75_and_says_what_is_queued(typed, joined):
    typed("mcp", "init", "--destination", "nowhere=https://127.0.0.1:9", "--timeout", "1s")
    done = typed(
        "mcp", "sync", "--buffer", "lunar-data", "--destination", "nowhere", "--timeout", "1s",
        "--json",
    )  # fmt: skip
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert (75, "link-down", 75) == (done.returncode, error["code"], error["exit"])
    assert "queued: 301 readings in" in error["message"]


def test_a_revoked_gateway_is_77_and_a_second_station_on_one_directory_75(typed, joined, home):
    data = ["--data", home / "ground"]
    second = typed("mcp", "ground-station", "serve", "--listen", "127.0.0.1:0", *data)
    assert 75 == second.returncode
    assert "runs on" in second.stderr
    assert 0 == typed("mcp", "ground-station", "revoke", joined["gateway"], *data).returncode
    done = typed("mcp", "sync", "--buffer", "lunar-data")
    assert 77 == done.returncode
    listed = typed("mcp", "ground-station", "list", *data)
    assert "revoked" in listed.stdout
    nobody = typed("mcp", "ground-station", "revoke", "gw-nobody", *data)
    assert 66 == nobody.returncode


def test_dry_runs_change_nothing(typed, home, tmp_path):
    done = typed("mcp", "init", "--mesh-id", "m", "--destination", "a=https://h:1", "--dry-run")
    assert 0 == done.returncode, done.stderr
    assert not (home / "dunes").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ["init", "--destination", "earth-gs"],
        ["init", "--destination", "earth-gs=ftp://x"],
        ["init", "--tls-sha256", "ab" * 32],
        ["init", "--destination", "a=https://h:1", "--tls-sha256", "short"],
        ["ground-station", "serve", "--data", "d", "--listen", "nonsense"],
        ["ground-station", "serve", "--data", "d", "--tls-cert", "c.pem"],
        ["sync"],
        ["sync", "--buffer", "b", "--timeout", "10"],
    ],
)
def test_what_cannot_be_meant_is_2(typed, argv):
    done = typed("mcp", *argv)
    assert (2, "") == (done.returncode, done.stdout), done.stderr


def test_the_api_key_is_nowhere_but_in_its_file(typed, joined, home):
    secret = (home / "dunes/keys/api-key.secret").read_text().strip()
    shown = [
        typed("mcp", "init", "--json", "-v").stdout,
        typed("mcp", "sync", "--buffer", "lunar-data", "-vv").stderr,
        typed("mcp", "ground-station", "list", "--data", home / "ground", "--json").stdout,
    ]
    assert not [text for text in shown if secret in text]
    holders = [p for p in home.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
    assert ["api-key.secret"] == [path.name for path in holders]
    assert 0o600 == stat.S_IMODE(holders[0].stat().st_mode)


def test_a_key_made_at_the_ground_station_is_brought_to_the_gateway(typed, ground, home):
    report = json.loads(typed("mcp", "init", "--json").stdout)
    made = typed(
        "mcp", "ground-station", "enroll", report["gateway"], "--key", report["public_key"],
        "--data", home / "ground", "--json",
    )  # fmt: skip
    file = json.loads(made.stdout)["api_key_file"]
    given = json.loads(typed("mcp", "init", "--api-key-file", file, "--json").stdout)
    assert "given" == given["api_key"]
