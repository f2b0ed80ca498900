"""What torgo's commands answer about a plan, and that it is what their schemas say."""

import io
import json
import stat
import subprocess
import sysconfig
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import networkx as nx
import pytest


@pytest.fixture(scope="module")
def mars_plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "torgo", "generate", "--env", "mars-surface",
         "--iterations", "100", "--no-pictures"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "torgo-output.json").read_text()


@pytest.fixture
def torgo(typed, home, mars_plan):
    (home / "torgo-output.json").write_text(mars_plan)
    return lambda *argv, **more: typed("torgo", *argv, **more)


ANSWERS = [
    "simulate --duration 20s",
    "simulate --rate 4/s --duration 20s --fail 20% --alerts 6/min --sir 8dB --loss 5%",
    "simulate-failure --nodes 5 --duration 20s",
    "simulate-failure --fail 10% --pattern region --duration 10s",
    "prove --uptime 99.99% --draws 300",
    "explain torgo-output.json rover-003",
    "compare torgo-output.json torgo-output.json",
    "status",
    "environments",
    "environments mars-surface",
    "export --format graphml --output x.graphml",
    "generate --env space-hab --iterations 10 --no-pictures --output y.json",
    "generate --env space-hab --redundancy 30",
    "scale --nodes 60 --range 600m --iterations 10 --no-pictures --output z.json",
    "rescue-topology --density low --iterations 10 --no-pictures --output r.json",
    "mars-mode torgo-output.json --duration 10m --no-pictures --output m.json",
    "evolve torgo-output.json --iterations 20 --duration 2m --no-pictures --output e.json",
    "init --mesh-id mars-1",
    "env-set --type mars-surface",
    "feedback --sensor battery --output f.json",
]


@pytest.mark.parametrize("line", ANSWERS)
def test_the_answer_is_what_its_schema_says(torgo, line):
    reading = json.dumps({"device": "rover-001", "kind": "battery", "value": 9}) + "\n"
    schema = json.loads(torgo(line.split()[0], "--schema").stdout)
    done = torgo(*line.split(), "--json", given=reading)
    assert done.returncode in {0, 1}, done.stderr
    report = json.loads(done.stdout)
    assert "schema" == next(iter(report))
    assert f"torgo.{line.split()[0]}/1" == report["schema"]
    jsonschema.Draft202012Validator(schema).validate(report)
    plain = torgo(*line.split(), given=reading)
    assert done.returncode == plain.returncode
    assert plain.stdout.strip()


def test_a_simulation_reports_delivery_latency_airtime_and_energy_per_node(torgo):
    report = json.loads(torgo("simulate", "--duration", "60s", "--json").stdout)
    (telemetry,) = report["deliveries"]
    assert telemetry["share"] > 0.97
    assert telemetry["share_low"] <= telemetry["share"] <= telemetry["share_high"]
    assert telemetry["p50_ms"] < telemetry["p95_ms"] <= telemetry["worst_ms"]
    assert 50 == len(report["nodes"])
    relay = next(node for node in report["nodes"] if node["role"] == "relay")
    leaf = next(node for node in report["nodes"] if node["role"] == "leaf")
    assert relay["airtime"] > leaf["airtime"]
    assert relay["energy_j"] == pytest.approx(relay["power_mw"] * 0.06, abs=0.01)
    again = json.loads(torgo("simulate", "--duration", "60s", "--json").stdout)
    assert report == again
    more = torgo("simulate", "--duration", "10s", "-v").stdout
    assert "rover-001" in more


def test_exit_codes_tell_whether_the_claim_holds(torgo):
    assert 0 == torgo("prove", "--uptime", "99.99%").returncode
    assert 1 == torgo("prove", "--uptime", "99.9999999%").returncode
    assert 0 == torgo("simulate-failure", "--nodes", "4", "--duration", "10s").returncode
    worst = torgo("simulate-failure", "--nodes", "30", "--pattern", "busiest", "--duration", "10s")
    assert 1 == worst.returncode
    assert "cut off" in worst.stdout


def test_every_export_is_read_by_its_kind_of_reader(torgo, home):
    for kind in ("svg", "html", "geojson", "graphml", "cdb", "babblesim"):
        done = torgo("export", "torgo-output.json", "--format", kind, "--output", f"plan.{kind}")
        assert 0 == done.returncode, done.stderr
        assert f"wrote plan.{kind}" in done.stdout
    ET.parse(home / "plan.svg")
    graph = nx.read_graphml(io.BytesIO((home / "plan.graphml").read_bytes()))
    assert {"relay", "gateway", "x_m", "y_m"} <= set(graph.nodes["rover-001"])
    assert all("rssi_dbm" in data for _, _, data in graph.edges(data=True))
    assert "FeatureCollection" == json.loads((home / "plan.geojson").read_text())["type"]
    cdb = json.loads((home / "plan.cdb").read_text())
    assert 51 == len(cdb["nodes"])
    assert 0o600 == stat.S_IMODE((home / "plan.cdb").stat().st_mode), "it holds a key"
    other = torgo("export", "--format", "cdb", "--output", "other.cdb")
    assert 0 == other.returncode
    assert (
        cdb["netKeys"][0]["key"]
        != json.loads((home / "other.cdb").read_text())["netKeys"][0]["key"]
    )
    assert (home / "plan.html").read_text().startswith("<!DOCTYPE html>")
    assert 50 * 49 == sum(
        ":" in x for x in (home / "plan.babblesim").read_text().splitlines() if x[0] != "#"
    )


def test_an_export_to_stdout_is_the_file(torgo, home):
    torgo("export", "--format", "graphml", "--output", "x.graphml")
    assert (home / "x.graphml").read_text() == torgo("export", "--format", "graphml").stdout


def test_a_layout_and_measurements_of_one_s_own(typed, home):
    rows = [f"n{x}{y},{60 * x},{60 * y}" for x in range(-3, 4) for y in range(-3, 4)]
    (home / "places.csv").write_text("id,x_m,y_m\n" + "\n".join(rows) + "\n")
    done = typed(
        "torgo", "generate", "--env", "remote-farm", "--layout", "places.csv", "--json",
        "--iterations", "50",
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout + done.stderr
    plan = json.loads((home / "torgo-output.json").read_text())
    assert ("given", 49) == (plan["site"]["positions"], len(plan["nodes"]))
    assert {"n00", "n33"} <= {node["id"] for node in plan["nodes"]}
    lines = ["a,b,rssi_dbm"]
    for a, b, rssi in plan["links"]:
        one, other = plan["nodes"][a]["id"], plan["nodes"][b]["id"]
        lines += [f"{one},{other},{rssi}", f"{other},{one},{rssi - 1.5}"]
    (home / "rssi.csv").write_text("\n".join(lines) + "\n")
    measured = typed(
        "torgo", "generate", "--env", "remote-farm", "--links", "rssi.csv", "--json",
        "--output", "measured.json", "--iterations", "50",
    )  # fmt: skip
    assert 0 == measured.returncode, measured.stdout + measured.stderr
    plan = json.loads((home / "measured.json").read_text())
    assert (True, "drawn") == (plan["measured"], plan["site"]["positions"])
    assert plan["proof"]["holds"]
    assert 0 == typed("torgo", "simulate", "measured.json", "--duration", "10s").returncode
    assert 0 == typed("torgo", "status", "measured.json").returncode


def test_an_environment_of_one_s_own(typed, home):
    text = typed("torgo", "environments", "space-hab").stdout
    (home / "mine.toml").write_text(text.replace("nodes = 60", "nodes = 44"))
    done = typed(
        "torgo", "generate", "--env", "mine.toml", "--iterations", "10", "--no-pictures", "--json"
    )
    assert 0 == done.returncode, done.stderr
    assert 44 == json.loads(done.stdout)["plan"]["nodes"]


def test_options_are_named_among_the_assumptions(typed):
    done = typed(
        "torgo", "generate", "--env", "space-hab", "--tx-power", "8dBm", "--iterations", "0",
        "--no-pictures", "--json",
    )  # fmt: skip
    origins = {row["name"]: row["origin"] for row in json.loads(done.stdout)["assumptions"]}
    assert ("option", "environment") == (
        origins["radio.tx_power_dbm"],
        origins["radio.margin_db"],
    )


def test_dunes_torgo_is_torgo(typed):
    assert typed("torgo", "environments").stdout == typed("dunes", "torgo", "environments").stdout


def test_more_effort_is_never_worse_and_the_seed_decides(typed, home):
    relays = {}
    for iterations in (0, 100):
        for name in ("a", "b"):
            done = typed(
                "torgo", "generate", "--env", "mars-surface", "--iterations", str(iterations),
                "--no-pictures", "--output", f"{name}.json", "--json",
            )  # fmt: skip
            relays[iterations] = json.loads(done.stdout)["plan"]["relays"]
        assert (home / "a.json").read_bytes() == (home / "b.json").read_bytes()
    assert relays[100] <= relays[0]
