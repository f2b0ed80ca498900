"""A receipt up to the highest level, as typed: gateway, ground station, and a stranger."""

import json
import shutil

import pytest

TABLE = "lunar_telemetry"
ROW = {"device": "hab-1", "kind": "co2", "value": 400, "unit": "ppm"}
ROWS = "".join(json.dumps(ROW | {"seq": n, "ts_s": n}) + "\n" for n in range(1, 21))


@pytest.fixture
def site(typed, home):
    """A gateway at the simulated site, with readings and a receipt."""
    for words in (
        "dunes sim up --speed 60",
        "mcp init --mesh-id lunar-ble-001",
        "dunes markup-generate --input swarm.yaml",
        f"dunes ingest --table {TABLE} rows.jsonl",
    ):
        (home / "rows.jsonl").write_text(ROWS)
        (home / "swarm.yaml").write_text("valve: open\n")
        done = typed(*words.split())
        assert 0 == done.returncode, done.stderr
    yield typed
    typed("dunes", "sim", "down")


def level(typed, *more, **env):
    words = ("dunes", "markup-validate", "--file", "swarm.mu", "--json", *more)
    return json.loads(typed(*words, **env).stdout)["level"]


def test_a_sync_brings_receipts_to_the_level_cosigned(site, home):
    assert "logged" == level(site)
    done = site("mcp", "sync", "--buffer", "lunar-data", "--json")
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert (20, 1) == (report["readings"], report["log_entries"])
    assert "cosigned" == level(site, "--require", "cosigned")

    # a stranger needs the receipt, the proof and two public keys, and no log
    site("dunes", "log", "prove", "--file", "swarm.mu")
    ground = home / "dunes/state/sim/lunar/ground"
    shutil.copy(ground / "station.pub.pem", home / "station.pub.pem")
    stranger = {"DUNES_HOME": str(home / "stranger")}
    proof = ("--proof", "swarm.tlog-proof", "--key", "dunes/gateway.pub.pem")
    assert "logged" == level(site, *proof, **stranger)
    assert "cosigned" == level(site, *proof, "--key", "station.pub.pem", **stranger)

    # a rotated key goes on: readings, log and countersignature
    for words in (
        ("keys", "rotate"),
        ("ingest", "--table", TABLE, "rows.jsonl"),
        ("markup-generate", "--input", "rows.jsonl"),
    ):
        assert 0 == site("dunes", *words).returncode
    done = site("mcp", "sync", "--buffer", "lunar-data", "--json")
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert (20, 2) == (report["readings"], report["log_entries"])
    assert "cosigned" == level(site)
    read = site(
        "mcp", "ground-station", "query", "--data", str(ground), "--table", TABLE, "--json"
    )
    assert (40, 0) == tuple(json.loads(read.stdout)[name] for name in ("count", "unreadable"))
