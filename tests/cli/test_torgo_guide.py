"""The guide's lines, typed as they stand there."""

import json
import xml.etree.ElementTree as ET

import pytest


def words(line):
    return line.split()


GUIDE = [
    "torgo generate --env lunar-hab --redundancy 4 --range 1000m",
    "torgo generate --env mars-surface --redundancy 5",
    "torgo mars-mode --obstacles dynamic --hops-max 20",
    "torgo generate --env mars-surface --redundancy 3 --obstacles dynamic",
    "torgo generate --env mars-dust-storm --redundancy 5 --hops-max 15 --obstacles dynamic",
    "torgo generate --env remote-farm --redundancy 3 --obstacles dynamic",
    "torgo generate --env mars-surface --redundancy 4 --hops-max 20 --range 150m",
    "torgo generate --redundancy 5",
    "torgo evolve --env disaster-zone --hops-max 15",
    "torgo evolve --env disaster-zone --nodes 50 --obstacles dynamic",
    "torgo rescue-topology --density high --power low --range 500m",
]


@pytest.mark.parametrize("line", GUIDE)
def test_a_line_of_the_guide_gives_a_proven_plan_and_its_picture(typed, home, line):
    done = typed(*line.split(), "--json")
    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert report["fulfilled"]
    assert report["plan"]["proven"]
    assert ["torgo-output.json", "torgo-output.svg", "torgo-output.html"] == report["files"]
    assert report["assumptions"]
    ET.parse(home / "torgo-output.svg")
    plan = json.loads((home / "torgo-output.json").read_text())
    assert "torgo.plan/1" == plan["schema"]
    checked = typed("torgo", "status")
    assert 0 == checked.returncode, checked.stdout
    assert "verified" in checked.stdout


def test_the_lunar_line_gives_what_a_mission_planner_signs(typed, home):
    done = typed(*GUIDE[0].split())
    assert 0 == done.returncode, done.stderr
    for said in (
        "200 nodes, 3 gateways, redundancy 4: PROVEN",
        "any 3 leave every survivor connected",
        "leans on these assumptions:",
        "area.radius_m                1000 m  [option]",
        "hop range                    410 m between 2 m masts",
    ):
        assert said in done.stdout
    proof = typed("torgo", "prove", "torgo-output.json", "--uptime", "99.99%")
    assert (0, "PASS") == (proof.returncode, proof.stdout[:4])


def test_the_other_lines_of_the_guide_s_vocabulary(typed, home):
    assert (
        0 == typed("torgo", "init", "--mesh-id", "dunes-ble-001", "--base-nodes", "50").returncode
    )
    again = typed("torgo", "init", "--mesh-id", "dunes-ble-001", "--base-nodes", "50", "--json")
    assert (0, False) == (again.returncode, json.loads(again.stdout)["changed"])
    done = typed(
        *words("torgo env-set --type mars-surface --obstacles dynamic --signal-threshold 20dBm")
    )
    assert 0 == done.returncode, done.stderr
    assert "20 dB above sensitivity" in done.stdout
    refused = typed("torgo", "generate", "--no-pictures")
    assert 1 == refused.returncode, "20 dB of margin are too much for 50 nodes on 10 km2"
    assert "what would make it possible" in refused.stdout
    assert 0 == typed("torgo", "env-set", "--signal-threshold", "-85dBm").returncode
    made = typed("torgo", "generate", "--no-pictures", "--iterations", "50", "--json")
    assert 0 == made.returncode, made.stderr
    report = json.loads(made.stdout)
    assert ("dunes-ble-001", 50) == (report["plan"]["name"], report["plan"]["nodes"])
    assert report["rehearsal"]["served_ceiling"] >= report["rehearsal"]["served_adaptive"] > 0.9
    failed = typed(*words("torgo simulate-failure --nodes 10 --duration 5m"))
    assert failed.returncode in {0, 1}
    assert "repair    0 s" in failed.stdout
    assert 0 == typed(*words("torgo status --mesh-id dunes-ble-001")).returncode
    reading = {"kind": "acceleration", "device": "rover-001", "value": 3.7, "ts_s": 1.0}
    fed = typed(
        *words("torgo feedback --sensor accelerometer --interval 10s"),
        given=json.dumps(reading) + "\n",
    )
    assert 0 == fed.returncode, fed.stderr
    assert "the plan stays as it is" in fed.stdout


def test_mars_mode_keeps_its_hops_and_names_the_ceiling(typed, home):
    done = typed(*words("torgo mars-mode --obstacles dynamic --hops-max 20 --duration 2h --json"))
    assert 0 == done.returncode, done.stderr
    rehearsal = json.loads(done.stdout)["rehearsal"]
    assert rehearsal["hops_reached"] <= 20
    assert rehearsal["served_static"] < rehearsal["served_adaptive"] <= rehearsal["served_ceiling"]
    plan = json.loads((home / "torgo-output.json").read_text())
    assert rehearsal["changes"] == plan["rehearsal"]["changes"]
    assert {"at_s", "on", "off", "why"} == set(rehearsal["changes"][0])
    again = typed(
        *words("torgo mars-mode torgo-output.json --duration 1h --hops-max 12 --output later.json")
    )
    assert 0 == again.returncode, again.stderr
    assert 12 == json.loads((home / "later.json").read_text())["request"]["hops_max"]
