"""Whatever is wrong is said, with its reason and a way on; nothing is a traceback."""

import json
import signal
import subprocess
import sysconfig
from pathlib import Path

import pytest


def words(line):
    return line.split()


USAGE = [
    ("generate --nodes 0", "2 to 32,767 nodes"),
    ("generate --nodes 1", "2 to 32,767 nodes"),
    ("generate --nodes 40000", "2 to 32,767 nodes"),
    ("generate --nodes -5", "2 to 32,767 nodes"),
    ("generate --nodes many", "many"),
    ("generate --redundancy 0", "--redundancy 0 is below 1"),
    ("generate --range 1000s", "'s' is no unit of it"),
    ("generate --range -5m", "is negative"),
    ("generate --range 0m", "the radius of a site is 1 m to 100 km"),
    ("generate --range nanm", "not a number with a unit"),
    ("generate --range 1000", "has no unit"),
    ("generate --range 900km", "the radius of a site is 1 m to 100 km"),
    ("generate --hops-max 0", "--hops-max 0 is below 1"),
    ("generate --hops-max 500", "127 hops at most"),
    ("generate --obstacles some", "choose static or dynamic"),
    ("generate --gateways 0", "--gateways 0 is below 1"),
    ("generate --nodes 3 --gateways 3", "3 nodes with 3 gateways are no mesh"),
    ("generate --tx-power loud", "not a number with a unit"),
    ("generate --tx-power 90dBm", "not between -40 and 30"),
    ("generate --antenna-height 0m", "is not 1 cm to 1 km"),
    ("generate --margin 10", "has no unit"),
    ("generate --exponent 99", "not between 1 and 8"),
    ("generate --iterations -1", "--iterations -1 is below 0"),
    ("rescue-topology --density dense", "choose one of low, medium, high"),
    ("rescue-topology --power max", "choose one of low, medium, high"),
    ("mars-mode --duration 1s --step 1h", "does not fit into"),
    ("mars-mode --obstacles maybe", "choose static or dynamic"),
    ("scale", "--nodes"),
    ("scale --nodes 40000", "2 to 32,767 nodes"),
    ("init", "--mesh-id"),
    ("env-set --signal-threshold -120dBm", "below the radio's sensitivity"),
    ("env-set --obstacles often", "choose static or dynamic"),
]


@pytest.mark.parametrize(("line", "said"), USAGE, ids=[line for line, _ in USAGE])
def test_a_wish_that_cannot_be_meant_is_exit_2(typed, home, line, said):
    done = typed("torgo", *line.split())
    assert 2 == done.returncode, done.stdout + done.stderr
    assert said in done.stderr
    assert [] == list(home.iterdir())


def test_ten_parsec_are_refused(typed):
    done = typed("torgo", "generate", "--range", "10 parsec")
    assert (2, True) == (done.returncode, "'parsec' is no unit of it" in done.stderr)
    assert "units: mm, cm, m, km" in done.stderr


def test_an_unknown_environment_comes_with_suggestions(typed):
    done = typed("torgo", "generate", "--env", "mars-surfase")
    assert 66 == done.returncode
    assert "do you mean mars-surface" in done.stderr
    other = typed("torgo", "generate", "--env", "xyzzy", "--json")
    error = json.loads(other.stderr)["error"]
    assert ("unknown-environment", 66) == (error["code"], error["exit"])
    assert "lunar-hab" in error["hint"]


def test_redundancy_above_what_any_plan_could_have_is_exit_1_with_ways_out(typed, home):
    done = typed("torgo", "generate", "--env", "space-hab", "--redundancy", "12", "--json")
    assert 1 == done.returncode
    refusal = json.loads(done.stdout)["refusal"]
    assert "redundancy 12 is more than this site can have" in refusal["reason"]
    assert 3 <= refusal["reached"] < 12
    assert refusal["cut"] or refusal["lonely"]
    assert {"masts", "power", "antennas", "range", "nodes", "gateways"} == {
        remedy["what"] for remedy in refusal["remedies"]
    }
    for remedy in refusal["remedies"]:
        if remedy["works"] and remedy["what"] == "power":
            again = typed(
                "torgo", "generate", "--env", "space-hab", "--redundancy", "12", "--no-pictures",
                "--iterations", "0", *remedy["option"].split(),
            )  # fmt: skip
            assert 0 == again.returncode, again.stdout
    absurd = typed("torgo", "generate", "--env", "space-hab", "--redundancy", "900")
    assert 1 == absurd.returncode
    assert "needs 901 nodes that may relay" in absurd.stdout


def test_positions_outside_the_site_are_named(typed, home):
    (home / "places.csv").write_text("id,x_m,y_m\na,0,0\nb,10,0\nfar,5000,0\n")
    done = typed("torgo", "generate", "--env", "remote-farm", "--layout", "places.csv")
    assert 65 == done.returncode
    assert "far (5000 m)" in done.stderr
    assert "--range 5000m takes them in" in done.stderr


def test_a_broken_layout_says_its_line(typed, home):
    (home / "places.csv").write_text("id,x_m,y_m\na,0,0\nb,x,0\n")
    done = typed("torgo", "generate", "--layout", "places.csv")
    assert (65, True) == (done.returncode, "places.csv:3" in done.stderr)
    (home / "binary.csv").write_bytes(b"\xff\xfe\x00")
    done = typed("torgo", "generate", "--layout", "binary.csv")
    assert (65, True) == (done.returncode, "not UTF-8" in done.stderr)
    done = typed("torgo", "generate", "--layout", "missing.csv")
    assert 66 == done.returncode


READERS = [
    "simulate", "prove", "status", "export", "simulate-failure", "feedback", "mars-mode", "evolve",
]  # fmt: skip


@pytest.mark.parametrize("command", READERS)
def test_a_plan_that_is_broken_is_exit_65_and_one_that_is_not_there_66(typed, home, command):
    (home / "cut.json").write_text('{"schema": "torgo.plan/1", "nodes": [')
    (home / "other.json").write_text('{"schema": "somebody.else/3"}')
    for name, expected in (("cut.json", 65), ("other.json", 65), ("none.json", 66)):
        done = typed("torgo", command, name)
        assert expected == done.returncode, done.stderr
        assert done.stderr.startswith(f"torgo: {'no plan' if expected == 66 else name}")
        assert "hint: torgo generate" in done.stderr


def test_nothing_but_a_plan_is_written_over(typed, home):
    (home / "torgo-output.json").write_text('{"my": "thesis"}')
    done = typed("torgo", "generate", "--env", "space-hab")
    assert 2 == done.returncode
    assert "something else than a plan" in done.stderr
    assert '{"my": "thesis"}' == (home / "torgo-output.json").read_text()


def test_a_folder_that_cannot_be_written_to_is_exit_74(typed, home):
    (home / "file").write_text("")
    done = typed(
        "torgo", "generate", "--env", "space-hab", "--iterations", "0", "--no-pictures",
        "--output", "file/plan.json",
    )  # fmt: skip
    assert 74 == done.returncode, done.stderr


def test_a_broken_project_file_is_said_and_not_ignored(typed, home):
    (home / "torgo.toml").write_text("mesh_id = [")
    for line in ("generate", "init --mesh-id a", "env-set --obstacles static"):
        done = typed("torgo", *line.split())
        assert (65, True) == (done.returncode, "torgo.toml: not TOML" in done.stderr)
    assert 0 == typed("torgo", "init", "--mesh-id", "a", "--force").returncode
    other = typed("torgo", "init", "--mesh-id", "b")
    assert (2, True) == (other.returncode, "--force overwrites" in other.stderr)


def test_ctrl_c_writes_the_best_plan_so_far_and_says_so(home, environment):
    home.mkdir()
    process = subprocess.Popen(
        ["torgo", "generate", "--env", "lunar-hab", "--iterations", "100000000", "-v"],
        env=environment,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("choosing relays"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert 130 == process.returncode, err
    assert "interrupted after" in out
    assert "wrote torgo-output.json" in out
    plan = json.loads((home / "torgo-output.json").read_text())
    assert plan["search"]["interrupted"]
    assert plan["proof"]["holds"]
    assert plan["search"]["iterations"] < 100_000_000
    status = subprocess.run(
        ["torgo", "status"], env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    assert "the search was interrupted" in status.stdout
    assert "PROVEN" in status.stdout


def test_a_tampered_plan_does_not_pass_as_proven(typed, home):
    assert (
        0
        == typed(*words("torgo generate --env space-hab --iterations 20 --no-pictures")).returncode
    )
    path = home / "torgo-output.json"
    plan = json.loads(path.read_text())
    relay = next(node for node in plan["nodes"] if node["role"] == "relay")
    relay["role"], relay["relay_transmissions"] = "leaf", 0
    path.write_text(json.dumps(plan))
    done = typed("torgo", "status")
    assert 1 == done.returncode
    assert "from its nodes and links it is" in done.stdout


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("simulate --duration 0s", 2, "is not 1 to"),
        ("simulate --rate 4", 2, "has no unit"),
        ("simulate --fail 120%", 2, "not between 0 and 100"),
        ("simulate-failure --nodes 500", 2, "nodes cannot fail"),
        ("simulate-failure --nodes 3 --fail 5%", 2, "give one"),
        ("simulate-failure --pattern cruel", 2, "choose one of"),
        ("prove --uptime 100%", 2, "nothing shows exactly 0 or 100"),
        ("prove --uptime 0.99", 2, "has no unit"),
        ("prove --draws -1", 2, "--draws -1"),
        ("prove --node-down 100%", 2, "always down"),
        ("explain torgo-output.json nobody", 66, "no node 'nobody'"),
        ("export --format pdf", 2, "choose one of svg, html"),
        ("export --format geojson", 1, "free space"),
        ("export --format svg --json", 2, "both want stdout"),
        ("status --mesh-id other", 66, "not for 'other'"),
        ("feedback --sensor nose", 2, "choose one of accelerometer"),
        ("evolve torgo-output.json --nodes 9", 2, "would need a new one"),
        ("evolve torgo-output.json --hops-max 1", 1, "more than 1 hops"),
    ],
)
def test_questions_about_a_plan_that_make_no_sense(typed, home, small_plan, line, status, said):
    (home / "torgo-output.json").write_text(small_plan)
    done = typed("torgo", *line.split())
    assert status == done.returncode, done.stdout + done.stderr
    assert said in done.stderr


@pytest.fixture(scope="module")
def small_plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    torgo = Path(sysconfig.get_path("scripts")) / "torgo"
    options = words("--env space-hab --iterations 50 --no-pictures --name hab")
    subprocess.run(
        [torgo, "generate", *options], cwd=folder, check=True, capture_output=True, timeout=60
    )
    plan = json.loads((folder / "torgo-output.json").read_text())
    plan["mesh_id"] = "hab-1"
    return json.dumps(plan)
