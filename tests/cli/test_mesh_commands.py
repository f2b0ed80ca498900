"""`dunes mesh-…` as typed: real processes, the simulated site's air, HCI over TCP."""

import json
import os
import signal
import stat
import subprocess
import time

import jsonschema
import pytest

NODES = 12
"""Enough, on the site's disc, that each hears others."""


@pytest.fixture
def site(typed):
    """A simulated site with a few nodes in the air."""
    up = typed("dunes", "sim", "up", "--nodes", str(NODES))
    assert 0 == up.returncode, up.stderr
    yield typed
    typed("dunes", "sim", "down")


@pytest.fixture
def start(environment, home):
    """Start a program in the background; it is ended with the test."""
    running = []

    def begin(*argv, **more):
        process = subprocess.Popen(
            argv,
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            **{"stdout": subprocess.PIPE} | more,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def report_of(process):
    assert process.returncode in (0, 1), process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def names(typed):
    return [node["name"] for node in report_of(typed("dunes", "mesh-status", "--json"))["nodes"]]


def check_kept(typed, device):
    """A suit is called after who wears it: its name is not kept, any other is."""
    kept = typed("dunes", "query", "--table", "lunar_telemetry", "--json", "--limit", "0")
    assert json.loads(kept.stdout)["count"] > 0
    assert device.startswith("crew-") is not (device in kept.stdout)


def test_nodes_are_set_up_heard_commanded_changed_and_removed(site, start, home):
    init = ["dunes", "mesh-init", "--nodes", str(NODES), "--range", "1000m", "--period", "1s"]
    done = site(*init, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert 0 == done.returncode, done.stderr
    assert {"progress"} == {line["line"] for line in lines[:-1]}
    report = lines[-1]
    assert ("report", "lunar-ble-001", NODES, NODES, 0) == tuple(
        report[key] for key in ("line", "mesh_id", "wanted", "configured", "before")
    )
    assert ([], True, "lunar_telemetry") == (
        report["failed"],
        report["simulated"],
        report["table"],
    )
    schema = json.loads(site("dunes", "mesh-init", "--schema").stdout)
    for line in lines:
        jsonschema.validate(line, schema)

    again = site(*init)
    assert 0 == again.returncode
    assert f"all {NODES} nodes are configured; nothing to do" in again.stdout

    # what they measure is in the buffer
    listener = start("dunes", "mesh-listen", "--json")
    first = json.loads(listener.stdout.readline())
    assert ("dunes.mesh-listen/1", "lunar_telemetry", True) == (
        first["schema"],
        first["table"],
        first["simulated"],
    )
    jsonschema.validate(first, json.loads(site("dunes", "mesh-listen", "--schema").stdout))
    check_kept(site, first["device"])

    # who owns the mesh is asked by the others
    socket = home / "dunes" / "run" / "mesh-lunar-ble-001.sock"
    assert 0o600 == stat.S_IMODE(socket.stat().st_mode)
    status = report_of(site("dunes", "mesh-status", "--json"))
    assert status["live"]["online"]
    assert "dunes mesh-listen" in status["owner"]
    device = next(n["name"] for n in status["nodes"] if n["name"].startswith("hab-sensor"))
    for value in ("on", "off"):
        sent = site("dunes", "mesh-send", "--device", device, "--onoff", value, "--json")
        answer = report_of(sent)
        assert (0, True, {"onoff": value}) == (
            sent.returncode,
            answer["acknowledged"],
            answer["state"],
        )
    busy = site(*init)
    assert 75 == busy.returncode
    assert "in use by dunes mesh-listen" in busy.stderr

    listener.send_signal(signal.SIGTERM)
    _, said = listener.communicate(timeout=20)
    assert 0 == listener.returncode, said
    assert not socket.exists()

    # without an owner the same commands use the radio themselves
    level = site("dunes", "mesh-send", "--device", device, "--level", "-300", "--json")
    assert {"level": -300} == report_of(level)["state"]
    changed = site("dunes", "mesh-config", device, "--ttl", "11", "--period", "2s", "--json")
    (node,) = report_of(changed)["nodes"]
    assert (11, 2.0, ["ttl", "period"]) == (node["ttl"], node["publish_period_s"], node["changed"])

    removed = site("dunes", "mesh-remove", device, "--json")
    assert "confirmed" == report_of(removed)["reset"]
    assert device not in names(site)
    gone = site("dunes", "mesh-send", "--device", device, "--get")
    assert 66 == gone.returncode

    back = site(*init, "--json")
    assert NODES == report_of(back)["configured"]
    assert device in names(site)
    checked = site("dunes", "check-buffer", "--table", "lunar_telemetry")
    assert 0 == checked.returncode, checked.stdout


@pytest.mark.parametrize("after_s", [1.8, 2.8])
def test_killed_in_the_middle_a_rerun_finishes_and_no_node_has_two_addresses(site, start, after_s):
    init = ["dunes", "mesh-init", "--nodes", str(NODES), "--range", "1000m"]
    first = start(*init)
    time.sleep(after_s)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()

    done = site(*init, "--json")
    report = report_of(done)
    assert (0, NODES, []) == (done.returncode, report["configured"], report["failed"])
    nodes = report_of(site("dunes", "mesh-status", "--json"))["nodes"]
    assert NODES == len({node["uuid"] for node in nodes})
    assert {"configured"} == {node["state"] for node in nodes}


def test_who_lies_or_is_dead_is_named_who_lost_its_answer_is_found_again_and_the_rest_goes_on(
    site,
):
    faults = {
        "hab-sensor-001": "wrong-confirmation",
        "hab-sensor-002": "lose-complete",
        "hab-sensor-003": "dead",
        "hab-sensor-004": "reset-provisioning",
    }
    for name, kind in faults.items():
        assert 0 == site("dunes", "sim", "fault", name, kind).returncode
    init = ["dunes", "mesh-init", "--nodes", str(NODES), "--range", "1000m", "--json"]
    done = site(*init, "--quiet-after", "6s")
    report = report_of(done)
    assert (1, NODES - 2) == (done.returncode, report["configured"])
    (liar,) = report["failed"]
    assert "hab-sensor-001" == liar["name"]
    assert "confirmation is wrong" in liar["reason"]
    for name in faults:
        site("dunes", "sim", "fault", name, "--clear")
    again = site(*init)
    assert (0, NODES) == (again.returncode, report_of(again)["configured"])
    nodes = report_of(site("dunes", "mesh-status", "--json"))["nodes"]
    assert NODES == len({node["uuid"] for node in nodes})


def test_keys_are_refreshed_while_somebody_listens_and_telemetry_goes_on(site, start, home):
    init = ["dunes", "mesh-init", "--nodes", str(NODES), "--range", "1000m", "--period", "1s"]
    assert 0 == site(*init).returncode
    with (home / "heard.jsonl").open("w") as out:
        start("dunes", "mesh-listen", "--json", stdout=out)
    devices(home, set(), 2)
    refreshed = site("dunes", "mesh-config", "--refresh-keys", "--json")
    assert (0, 3) == (refreshed.returncode, report_of(refreshed)["refreshed"])
    before = devices(home, set(), 2)
    kept = (home / "heard.jsonl").stat().st_size
    assert before <= devices(home, before, len(before), since=kept)


def test_a_listener_that_is_killed_goes_on_without_a_reading_twice_and_is_still_obeyed(
    site, start, home
):
    init = ["dunes", "mesh-init", "--nodes", str(NODES), "--range", "1000m", "--period", "1s"]
    assert 0 == site(*init).returncode
    for _ in range(3):
        with (home / "heard.jsonl").open("w") as out:
            listener = start("dunes", "mesh-listen", "--json", stdout=out)
        devices(home, set(), 4)
        os.kill(listener.pid, signal.SIGKILL)
        listener.wait()
    status = report_of(site("dunes", "mesh-status", "--json"))
    assert (None, None) == (status["owner"], status["live"])
    device = next(n["name"] for n in status["nodes"] if n["name"].startswith("hab-sensor"))
    sent = report_of(site("dunes", "mesh-send", "--device", device, "--onoff", "on", "--json"))
    assert sent["acknowledged"]
    found = site("dunes", "query", "--table", "lunar_telemetry", "--json", "--limit", "0")
    readings = json.loads(found.stdout)["readings"]
    keys = [(each["device"], each["kind"], each["seq"]) for each in readings]
    assert len(keys) == len(set(keys)) > 0
    assert 0 == site("dunes", "check-buffer", "--table", "lunar_telemetry").returncode


def devices(home, wanted, at_least, since=0):
    """Wait until so many devices were heard, those wanted among them."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        whole = (home / "heard.jsonl").read_text()[since:].rpartition("\n")[0]
        heard = {json.loads(line)["device"] for line in whole.splitlines()[since > 0 :]}
        if len(heard) >= at_least and wanted <= heard:
            return heard
        time.sleep(0.1)
    raise AssertionError(f"only {heard} were heard")


def test_a_dry_run_touches_nothing_and_says_what_cannot_be(typed, home):
    done = typed(
        "dunes", "mesh-init", "--nodes", "200", "--range", "1000m", "--period", "100ms",
        "--dry-run", "--json",
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert (0, True, 0) == (done.returncode, report["dry_run"], report["configured"])
    (load,) = [text for text in report["warnings"] if text.startswith("load:")]
    assert "2,000 messages/s" in load
    assert "use --period" in load
    assert not (home / "dunes" / "data").exists()

    far = typed(
        "dunes", "mesh-init", "--nodes", "50", "--range", "10km", "--power-mode", "medium",
        "--dry-run", "--json",
    )  # fmt: skip
    (range_,) = json.loads(far.stdout)["warnings"]
    assert "50 nodes spread over 10,000 m" in range_


def test_profile_and_plan_may_be_configured_once(typed, home):
    home.mkdir(exist_ok=True)
    (home / "farm.toml").write_text('[power.low]\npublish_period = "7m"\n')
    argv = ["dunes", "mesh-init", "--nodes", "2", "--dry-run", "--json"]
    named = typed(*argv, DUNES_MESH_PROFILE=str(home / "farm.toml"))
    assert 420.0 == json.loads(named.stdout)["design"]["publish_period_s"]
    missing = typed(*argv, DUNES_MESH_PLAN="gone.json")
    assert (66, True) == (missing.returncode, "gone.json" in missing.stderr)


@pytest.mark.parametrize(
    ("argv", "exit_", "said"),
    [
        (["mesh-init", "--nodes", "0"], 2, "--nodes is 1 to"),
        (["mesh-init", "--nodes", "2", "--power-mode", "full"], 2, "no power mode 'full'"),
        (["mesh-init", "--nodes", "2", "--range", "10"], 2, "has no unit"),
        (["mesh-init", "--nodes", "2", "--plan", "none.json"], 66, "none.json"),
        (["mesh-init", "--nodes", "2", "--ble", "carrier-pigeon"], 2, "carrier-pigeon"),
        (["mesh-status"], 66, "mesh"),
        (["mesh-send", "--device", "a", "--onoff", "on"], 66, "mesh"),
        (["mesh-send", "--device", "a"], 2, "give one of"),
        (["mesh-send", "--device", "a", "--onoff", "on", "--level", "1"], 2, "give one of"),
        (["mesh-config", "a", "--ttl", "1"], 2, "--ttl 1"),
        (["mesh-config"], 2, "name a node"),
        (["mesh-remove", "a"], 66, "mesh"),
        (["mesh-listen", "--count", "0"], 2, "--count is 1 or more"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_what_is_wrong(typed, argv, exit_, said):
    done = typed("dunes", *argv)
    assert exit_ == done.returncode, done.stderr
    assert said in done.stderr


def test_files_that_are_none_are_refused(typed, home):
    home.mkdir(exist_ok=True)
    (home / "p.toml").write_text("[power.low]\nrelay = 'some'\n")
    (home / "plan.json").write_text('{"schema": "torgo.plan/2"}')
    (home / "oob.txt").write_text("1234 secretvalue\n")
    for option, name, said in (
        ("--profile", "p.toml", "relay is 'some'"),
        ("--plan", "plan.json", "schema is not torgo.plan/1"),
        ("--oob-file", "oob.txt", "line 1"),
    ):
        done = typed("dunes", "mesh-init", "--nodes", "2", option, name)
        assert 65 == done.returncode
        assert said in done.stderr
        assert "secretvalue" not in done.stderr + done.stdout
