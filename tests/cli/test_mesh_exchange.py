"""dunes mesh-export and mesh-import, as typed."""

import json
import stat
from pathlib import Path

import pytest

from dunes.gateway.cdbread import read_cdb

APP = str(Path(__file__).parents[2] / "examples/app-mesh.json")
ID = ("--mesh-id", "farm-ble-001")
SITE = ("--mesh-id", "lunar-ble-001")


def error_of(done):
    return json.loads(done.stderr.splitlines()[-1])["error"]


def test_a_mesh_goes_from_an_app_to_a_gateway_to_its_replacement(typed, home):
    done = typed("dunes", "mesh-import", APP, *ID, "--json")
    report = json.loads(done.stdout)
    assert ("dunes.mesh-import/1", 2, None, "cdb") == (
        report["schema"],
        report["nodes"],
        report["iv_index"],
        report["format"],
    )
    done = typed("dunes", "mesh-export", *ID, "--format", "state", "--output", "-")
    assert 0 == done.returncode, done.stderr
    assert "dunes.mesh-state/1" == json.loads(done.stdout)["format"]
    there = {"DUNES_HOME": str(home / "there")}
    taken = typed("dunes", "mesh-import", "-", "--json", given=done.stdout, **there)
    report = json.loads(taken.stdout)
    assert (0, True) == (report["seq"], "sending goes on from 0x" in report["notes"][0])


def test_a_dry_run_says_what_would_be_and_leaves_no_trace(typed, home):
    done = typed("dunes", "mesh-import", APP, *ID, "--dry-run")
    assert done.stdout.startswith("would take the mesh farm-ble-001 in from ")
    assert not (home / "dunes").exists()
    typed("dunes", "mesh-import", APP, *ID)
    done = typed("dunes", "mesh-export", *ID, "--format", "state", "--move", "--dry-run")
    assert "would write the whole state" in done.stdout
    assert "given away   would be" in done.stdout
    assert not list(home.glob("*.json"))
    assert 0 == typed("dunes", "mesh-export", *ID).returncode


def test_what_is_written_is_for_its_owner_alone_and_not_replaced_by_accident(typed, home):
    typed("dunes", "mesh-import", APP, *ID)
    file = home / "farm-ble-001.cdb.json"
    assert 0 == typed("dunes", "mesh-export", *ID).returncode
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    done = typed("dunes", "mesh-export", *ID, "--json")
    assert (77, "key-exists") == (done.returncode, error_of(done)["code"])
    assert 0 == typed("dunes", "mesh-export", *ID, "--force").returncode


def test_no_output_but_the_export_itself_holds_a_key(typed, home):
    keys = {
        key["key"]
        for name in ("netKeys", "appKeys")
        for key in json.loads(Path(APP).read_text())[name]
    }
    keys |= {node["deviceKey"] for node in json.loads(Path(APP).read_text())["nodes"]}
    said = ""
    for line in (
        ("mesh-import", APP, *ID, "-vv"),
        ("mesh-import", APP, *ID, "--json"),
        ("mesh-import", APP, *ID, "--force", "--json"),
        ("mesh-export", *ID, "--json", "-vv"),
        ("mesh-export", *ID, "--format", "state", "-vv"),
    ):
        done = typed("dunes", *line, DUNES_DEBUG="1")
        said += done.stdout + done.stderr
    for key in keys:
        assert key not in said.upper()
    stored = b"".join(path.read_bytes() for path in (home / "dunes").rglob("*") if path.is_file())
    for key in keys:
        assert bytes.fromhex(key) not in stored
        assert key.encode() not in stored.upper()


def test_bad_input_says_what_where_and_what_next(typed, home):
    bad = home / "bad.json"
    content = json.loads(Path(APP).read_text())
    content["nodes"][1]["deviceKey"] = "no key"
    bad.write_text(json.dumps(content))
    for argv, exit_, code, word in (
        (("mesh-export", "--format", "xml"), 2, "usage", "--format cdb or state"),
        (("mesh-export", "--move"), 2, "usage", "--format state --move"),
        (("mesh-export", "--output", "-", "--json"), 2, "usage", "--output FILE"),
        (("mesh-export",), 66, "unknown-mesh", "mesh-init"),
        (("mesh-import", "no.json"), 66, "not-found", "ls"),
        (("mesh-import", str(bad), *ID), 65, "bad-cdb", "export it anew"),
        (("mesh-import", APP, "--mesh-id", "Farm!"), 65, "bad-name", "choose a mesh name"),
    ):
        done = typed("dunes", *argv, "--json")
        error = error_of(done)
        assert (exit_, code) == (done.returncode, error["code"]), (argv, done.stderr)
        assert word in error["hint"]
    assert (
        "nodes[1].deviceKey"
        in error_of(typed("dunes", "mesh-import", str(bad), "--json"))["message"]
    )


def test_a_locked_identity_is_opened_by_its_passphrase(typed, home):
    (home / "word").write_text("correct horse battery staple\n")
    (home / "word").chmod(0o600)
    locked = {"DUNES_PASSPHRASE_FILE": str(home / "word")}
    typed("dunes", "keygen", "--output", "gw.maml", "-q", **locked)
    assert 0 == typed("dunes", "mesh-import", APP, *ID, **locked).returncode
    done = typed("dunes", "mesh-export", *ID, "--json", "--no-input")
    assert (77, "wrong-passphrase") == (done.returncode, error_of(done)["code"])
    done = typed("dunes", "mesh-export", *ID, "--passphrase-file", str(home / "word"))
    assert 0 == done.returncode, done.stderr


@pytest.fixture
def site(typed):
    """A simulated site with one node, let in as lunar-ble-001."""
    done = typed("dunes", "sim", "up", "--nodes", "1")
    assert 0 == done.returncode, done.stderr
    done = typed("dunes", "mesh-init", "--nodes", "1", "--range", "100m", *SITE, "--json")
    assert 0 == done.returncode, done.stderr
    yield typed
    typed("dunes", "sim", "down")


def test_nodes_obey_a_gateway_that_joined_and_one_that_took_over(site):
    """One learns the IV index from a beacon; the other's numbers are above all that was used."""
    command = ("dunes", "mesh-send", "--device", "hab-sensor-001", "--json", "--onoff")
    assert 0 == site(*command, "on", *SITE).returncode
    assert 0 == site("dunes", "mesh-export", *SITE, "--output", "site.json").returncode
    joined = ("--mesh-id", "lunar-ble-002")
    assert 0 == site("dunes", "mesh-import", "site.json", *joined).returncode
    done = site(*command, "off", *joined)
    assert 0 == done.returncode, done.stderr
    moved = site("dunes", "mesh-export", *SITE, "--format", "state", "--move")
    assert 0 == moved.returncode, moved.stderr
    refused = site(*command, "on", *SITE)
    assert (77, "mesh-moved") == (refused.returncode, error_of(refused)["code"])
    taken = site("dunes", "mesh-import", "lunar-ble-001.state.json", "--force", "--json")
    assert json.loads(taken.stdout)["seq"] > 131_072
    done = site(*command, "on", *SITE)
    assert 0 == done.returncode, done.stderr


def test_a_gateway_that_joined_lets_nodes_in_at_addresses_of_its_own(typed, home):
    try:
        typed("dunes", "sim", "up", "--nodes", "2")
        init = ("dunes", "mesh-init", "--range", "100m", "--json")
        assert 0 == typed(*init, "--nodes", "1", *SITE).returncode
        assert 0 == typed("dunes", "mesh-export", *SITE, "--output", "site.json").returncode
        joined = ("--mesh-id", "lunar-ble-002")
        taken = typed("dunes", "mesh-import", "site.json", *joined, "--json")
        low, high = (int(end, 16) for end in json.loads(taken.stdout)["range"].split("-"))
        done = typed(*init, "--nodes", "2", *joined)
        assert 0 == done.returncode, done.stderr
        assert 2 == json.loads(done.stdout.splitlines()[-1])["configured"]
        assert 0 == typed("dunes", "mesh-export", *joined, "--output", "both.json").returncode
    finally:
        typed("dunes", "sim", "down")
    nodes = read_cdb(json.loads((home / "both.json").read_text())).nodes
    assert 2 == len(nodes)
    assert [True] == [low <= node.unicast <= high for node in nodes if node.unicast > 0x100]
