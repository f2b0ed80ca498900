"""Documents, receipts, the log and the guide's configuration, as a person types them."""

import json
import stat
from pathlib import Path

import jsonschema
import pytest

from dunes.buffer.appender import Appender
from dunes.buffer.store import Buffer
from dunes.crypto.signing import SigningKey
from dunes.model import Reading

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors" / "maml"
EXAMPLE = ROOT / "examples" / "lunar-config.maml"


@pytest.fixture
def config(home, typed):
    (home / "lunar-config.maml").write_bytes(EXAMPLE.read_bytes())
    return typed


def test_the_guides_command_makes_a_receipt_beside_its_input(config, home):
    made = config("dunes", "markup-generate", "--input", "lunar-config.maml")
    assert made.returncode == 0, made.stderr
    assert "made an identity key" in made.stderr
    assert stat.S_IMODE((home / "lunar-config.mu").stat().st_mode) == 0o644
    judged = config("dunes", "markup-validate", "--file", "lunar-config.mu", "--json")
    assert judged.returncode == 0
    report = json.loads(judged.stdout)
    assert (report["valid"], report["level"], report["log_index"]) == (True, "logged", 0)


def test_json_output_is_what_its_schema_says(config):
    for argv in (
        ["markup-generate", "--input", "lunar-config.maml"],
        ["markup-validate", "--file", "lunar-config.mu"],
        ["maml", "validate", "lunar-config.maml", str(VECTORS / "core-90-broken.maml")],
        ["maml", "show", "lunar-config.maml"],
        ["maml", "schema"],
        ["maml", "fmt", "--check", "lunar-config.maml"],
        ["maml", "new", "new.maml"],
        ["apply-config", "--file", str(ROOT / "examples/config.maml")],
        ["log", "show"],
        ["log", "prove", "--index", "0", "--output", "p.tlog-proof"],
        ["log", "verify"],
    ):
        schema = json.loads(config("dunes", *argv, "--schema").stdout)
        answer = config("dunes", *argv, "--json")
        assert answer.returncode in {0, 1}, (argv, answer.stderr)
        report = json.loads(answer.stdout)
        jsonschema.validate(report, schema)
        assert next(iter(report)) == "schema", argv


def test_a_second_receipt_of_the_same_source_is_not_made(config, home):
    config("dunes", "markup-generate", "--input", "lunar-config.maml")
    before = (home / "lunar-config.mu").read_bytes()
    again = config("dunes", "markup-generate", "--input", "lunar-config.maml", "--json")
    assert json.loads(again.stdout)["written"] is False
    assert before == (home / "lunar-config.mu").read_bytes()
    (home / "lunar-config.maml").write_bytes(EXAMPLE.read_bytes().replace(b"5000", b"4000"))
    changed = config("dunes", "markup-generate", "--input", "lunar-config.maml", "--json")
    assert json.loads(changed.stdout)["log_index"] == 1


def test_another_file_is_not_replaced(config, home):
    (home / "lunar-config.mu").write_text("my notes\n")
    refused = config("dunes", "markup-generate", "--input", "lunar-config.maml")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (home / "lunar-config.mu").read_text() == "my notes\n"
    assert (
        config("dunes", "markup-generate", "--input", "lunar-config.maml", "--force").returncode
        == 0
    )


@pytest.mark.parametrize(
    ("name", "content", "exit_", "text"),
    [
        ("a.json", b'{"a": 1, "a": 2}', 65, "twice"),
        ("a.json", b'{"a": }', 65, "a.json:1:7"),
        ("a.yaml", b"a: &x 1\nb: *x\n", 65, "a.yaml:1:4"),
        ("a.maml", b"---\nmaml_version: 1\n---\n", 65, "a.maml:2:1"),
        ("a.txt", b"\xff\xfe", 65, "UTF-8"),
        ("a.mu", b"x", 2, "already"),
        ("a.maml", b"## Intent\n-----BEGIN ENCRYPTED PRIVATE KEY-----\n", 77, "private key"),
        ("a.json", None, 66, "no file"),
    ],
)  # fmt: skip
def test_a_source_that_is_not_what_its_name_says_is_refused(
    typed, home, name, content, exit_, text
):
    if content is not None:
        (home / name).write_bytes(content)
    refused = typed("dunes", "markup-generate", "--input", name, "--no-sign")
    assert exit_ == refused.returncode, refused.stderr
    assert text in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_refused_source_is_mirrored_all_the_same_if_asked(typed, home):
    (home / "a.json").write_text('{"a": 1, "a": 2}')
    assert (
        typed(
            "dunes", "markup-generate", "--input", "a.json", "--no-check", "--no-sign"
        ).returncode
        == 0
    )
    restored = typed("dunes", "markup-validate", "--file", "a.mu", "--restore", "-")
    assert restored.stdout == '{"a": 1, "a": 2}'
    assert "level digest" in restored.stderr


def test_without_a_signature_there_is_no_identity_and_no_log(config, home):
    config("dunes", "markup-generate", "--input", "lunar-config.maml", "--no-sign")
    assert not (home / "dunes" / "keys").exists()
    assert not (home / "dunes" / "state" / "log").exists()
    needed = config("dunes", "markup-validate", "--file", "lunar-config.mu", "--require-signature")
    assert needed.returncode == 1
    assert "level-too-low" in needed.stdout
    assert config("dunes", "markup-validate", "--file", "lunar-config.mu").returncode == 0


def test_stdin_becomes_stdout(typed):
    made = typed("dunes", "markup-generate", "--input", "-", "--no-sign", given="hello\n")
    assert made.stdout.startswith('---\nmu_version: "1.0"\n')
    judged = typed("dunes", "markup-validate", "--file", "-", given=made.stdout)
    assert judged.returncode == 0
    assert "source: stdin" in judged.stdout


def test_the_source_comes_back_and_nothing_else_is_replaced(config, home):
    config("dunes", "markup-generate", "--input", "lunar-config.maml")
    argv = ["dunes", "markup-validate", "--file", "lunar-config.mu", "--restore"]
    assert config(*argv, "again.maml").returncode == 0
    assert EXAMPLE.read_bytes() == (home / "again.maml").read_bytes()
    (home / "again.maml").write_text("mine")
    assert config(*argv, "again.maml").returncode == 2
    assert (home / "again.maml").read_text() == "mine"
    assert config(*argv, "again.maml", "--force").returncode == 0
    assert config(*argv, "no/such/folder").returncode == 66


def test_a_forged_receipt_is_invalid_and_gives_nothing_back(config, home):
    config("dunes", "markup-generate", "--input", "lunar-config.maml")
    data = (home / "lunar-config.mu").read_bytes()
    (home / "lunar-config.mu").write_bytes(data.replace(b"0005", b"0009"))
    judged = config(
        "dunes", "markup-validate", "--file", "lunar-config.mu", "--restore", "x", "--json"
    )
    assert judged.returncode == 1
    report = json.loads(judged.stdout)
    assert report["restored"] is None
    assert [c["code"] for c in report["checks"] if c["state"] == "fail"] == ["mirror-digest"]
    assert not (home / "x").exists()


def test_what_is_no_receipt_is_unreadable_input(typed, home):
    (home / "a.mu").write_text("nothing of the kind\n")
    judged = typed("dunes", "markup-validate", "--file", "a.mu", "--json")
    assert judged.returncode == 65
    assert json.loads(judged.stderr)["error"]["code"] == "not-a-receipt"


def test_a_file_cannot_reorder_the_screen(typed, home):
    (home / "a.txt").write_text("x\n")
    typed("dunes", "markup-generate", "--input", "a.txt", "--no-sign")
    data = (home / "a.mu").read_text().replace("Status", "").replace("receipt\n", "receipt\n", 1)
    (home / "a.mu").write_text(
        data.replace('source_maml: "a.txt"', 'source_maml: "\u202ea\\e[31m"')
    )
    judged = typed("dunes", "markup-validate", "--file", "a.mu")
    assert "\u202e" not in judged.stdout + judged.stderr
    assert "\x1b" not in judged.stdout + judged.stderr


def test_a_stranger_with_the_key_and_a_proof_sees_the_level_logged(config, home, tmp_path):
    config("dunes", "markup-generate", "--input", "lunar-config.maml")
    assert config("dunes", "log", "prove", "--file", "lunar-config.mu").returncode == 0
    [public] = (home / "dunes" / "keys" / "public").iterdir()
    argv = ["markup-validate", "--file", "lunar-config.mu", "--proof", "lunar-config.tlog-proof"]
    other = {"DUNES_HOME": str(tmp_path / "elsewhere")}
    alone = config("dunes", *argv, "--json", **other)
    assert json.loads(alone.stdout)["level"] == "digest"
    judged = config("dunes", *argv, "--key", str(public), "--json", "--require", "logged", **other)
    assert judged.returncode == 0, judged.stdout
    assert json.loads(judged.stdout)["level"] == "logged"


def test_a_pem_key_is_believed_for_one_run(typed, home):
    argv = ["dunes", "markup-validate", "--file", str(VECTORS / "worked-example.mu")]
    judged = typed(*argv, "--key", str(VECTORS / "worked-example.pub.pem"), "--require-signature")
    assert judged.returncode == 0
    assert "8f08b57e66634e6e2b862083edb01ee1 (worked-example.pub.pem)" in judged.stdout
    (home / "other.pem").write_text(SigningKey.generate().public.pem)
    assert typed(*argv, "--key", "other.pem", "--require-signature").returncode == 1
    (home / "bad.pem").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    assert typed(*argv, "--key", "bad.pem").returncode == 65


def test_the_log_is_verified_and_a_change_is_told(config, home):
    for limit in (b"1", b"2", b"3"):
        (home / "a.txt").write_bytes(limit)
        config("dunes", "markup-generate", "--input", "a.txt", "--force")
    shown = json.loads(config("dunes", "log", "show", "--last", "2", "--json").stdout)
    assert shown["size"] == 3
    assert [e["index"] for e in shown["entries"]] == [1, 2]
    assert config("dunes", "log", "verify").returncode == 0
    entries = home / "dunes" / "state" / "log" / "entries"
    whole = entries.read_bytes()
    entries.write_bytes(whole.replace(b'"payload"', b'"paylaod"', 1))
    broken = config("dunes", "log", "verify", "--json")
    assert broken.returncode == 1
    assert "entry 0" in json.loads(broken.stdout)["damaged"]
    assert config("dunes", "log", "prove", "--index", "0").returncode == 1
    assert config("dunes", "log", "show", "--last", "2").returncode == 0  # the others are good
    entries.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    shrunk = config("dunes", "log", "verify", "--json")
    assert json.loads(shrunk.stdout)["contradictions"] == [
        "checkpoint: it counts 3 entries, 2 are good"
    ]


def test_there_is_no_log_before_the_first_receipt(typed):
    for argv in (["show"], ["verify"], ["prove", "--index", "0"]):
        answer = typed("dunes", "log", *argv)
        assert answer.returncode == 66
        assert "hint: dunes markup-generate" in answer.stderr


def test_readings_of_a_table_become_a_receipt(typed, home):
    data = home / "dunes" / "data"
    data.mkdir(parents=True)
    with Buffer.open(f"sqlite:///{data / 'buffer.db'}", "gw-1") as buffer:
        appender = Appender(buffer, "lunar_telemetry")
        for n in range(5):
            appender.add(Reading("hab-1", "co2", 400.0 + n, "ppm", 1_767_600_000_000_000 + n))
        appender.commit()
    made = typed("dunes", "markup-generate", "--table", "lunar-data", "--no-log", "--json")
    assert made.returncode == 0, made.stderr
    report = json.loads(made.stdout)
    assert (report["rows"], report["source_name"], report["output"]) == (
        5,
        "lunar_telemetry.jsonl",
        "lunar_telemetry.mu",
    )
    restored = typed("dunes", "markup-validate", "--file", "lunar_telemetry.mu", "--restore", "-")
    rows = [json.loads(line) for line in restored.stdout.splitlines()]
    assert [400.0 + n for n in range(5)] == [row["value"] for row in rows]
    none = ["--table", "lunar_telemetry", "--device", "none", "--since", "2026-01-05T00:00:00Z"]
    one = typed("dunes", "markup-generate", *none, "--no-sign", "--output", "n.mu", "--json")
    assert json.loads(one.stdout)["rows"] == 0
    assert typed("dunes", "markup-generate", "--table", "x_data").returncode == 66
    assert (
        typed("dunes", "markup-generate", "--table", "lunar-data", "--since", "noon").returncode
        == 2
    )
    assert typed("dunes", "markup-generate").returncode == 2


def test_apply_config_writes_the_profile_once(typed, home):
    example = str(ROOT / "examples" / "config.maml")
    plan = typed("dunes", "apply-config", "--file", example, "--dry-run", "--json")
    assert not (home / "dunes" / "profile.json").exists()
    done = typed("dunes", "apply-config", "--file", example, "--json")
    states = [(r["key"], r["state"]) for r in json.loads(done.stdout)["rows"]]
    assert states == [(r["key"], r["state"]) for r in json.loads(plan.stdout)["rows"]]
    assert ("mesh-id", "set") in states
    settings = typed("dunes", "config", "get", "starlink.poll", "--json")
    assert json.loads(settings.stdout)["settings"][0]["value"] == 30.0
    again = typed("dunes", "apply-config", "--file", example, "--json")
    assert json.loads(again.stdout)["written"] is False


def test_apply_config_reports_what_it_does_not_know_and_what_outranks_it(typed, home):
    (home / "c.maml").write_text(
        "---\nmode: backup-mesh\ncolour: red\n---\n- mesh-id: lunar-ble-001\n- note: x\n"
    )
    done = typed("dunes", "apply-config", "--file", "c.maml", "--json", DUNES_MESH_ID="other")
    assert done.returncode == 0
    states = {r["key"]: r["state"] for r in json.loads(done.stdout)["rows"]}
    assert states == {
        "mode": "set",
        "colour": "unknown",
        "mesh-id": "outranked",
        "note": "unknown",
    }
    assert "unknown in this profile" in done.stderr


@pytest.mark.parametrize(
    "text",
    ["", "hello\n", "---\nmode: backup-mesh\nbuffer-size: 3\n---\n", "---\nmode: [*]\n---\n"],
)
def test_apply_config_changes_nothing_if_anything_is_wrong(typed, home, text):
    (home / "c.maml").write_text(text)
    refused = typed("dunes", "apply-config", "--file", "c.maml")
    assert refused.returncode == 78
    assert not (home / "dunes" / "profile.json").exists()


def test_validate_takes_many_files_and_tells_each(typed):
    files = sorted(str(p) for p in VECTORS.iterdir() if ".maml" in p.name)
    answer = typed("dunes", "maml", "validate", *files, "--json")
    assert answer.returncode == 1
    documents = json.loads(answer.stdout)["documents"]
    wrong = {Path(d["file"]).name for d in documents if not d["valid"]}
    assert wrong == {
        "core-90-broken.maml",
        "guide-90-bad-units.maml",
        "key-90-wrong-kid-key.pub.maml",
        "loose-90-unclosed.maml",
    }
    log = json.loads(typed("dunes", "maml", "validate", *files, "--sarif").stdout)
    assert log["version"] == "2.1.0"
    assert {r["level"] for r in log["runs"][0]["results"]} == {"error", "warning"}


def test_a_large_document_is_read_when_asked(typed, home):
    (home / "big.maml").write_bytes(b"## Intent\n" + b"x" * 300_000)
    refused = typed("dunes", "maml", "validate", "big.maml")
    assert refused.returncode == 1
    assert "[too-large]" in refused.stdout
    assert typed("dunes", "maml", "validate", "big.maml", "--max-size", "400kB").returncode == 0
    assert typed("dunes", "maml", "validate", "big.maml", "--max-size", "2MB").returncode == 2
    assert typed("dunes", "maml", "show", "big.maml").returncode == 65


def test_fmt_keeps_modes_and_links(typed, home):
    (home / "a.maml").write_text("## intent\nx")
    (home / "a.maml").chmod(0o600)
    (home / "link.maml").symlink_to("a.maml")
    assert typed("dunes", "maml", "fmt", "--check", "link.maml").returncode == 1
    assert typed("dunes", "maml", "fmt", "link.maml").returncode == 0
    assert (home / "link.maml").is_symlink()
    assert (home / "a.maml").read_text() == "## Intent\nx\n"
    assert stat.S_IMODE((home / "a.maml").stat().st_mode) == 0o600
    assert typed("dunes", "maml", "fmt", "-", given="## intent\nx").stdout == "## Intent\nx\n"
    refused = typed("dunes", "maml", "fmt", str(VECTORS / "core-90-broken.maml"))
    assert refused.returncode == 65


def test_new_documents_are_not_written_over_others(typed, home):
    assert typed("dunes", "maml", "new", "a.maml", "--profile", "guide").returncode == 0
    assert typed("dunes", "maml", "new", "a.maml").returncode == 2
    assert typed("dunes", "maml", "new", "a.maml", "--force").returncode == 0
    pem = str(VECTORS / "worked-example.pub.pem")
    assert (
        typed("dunes", "maml", "new", "k.maml", "--profile", "key", "--public-key", pem).returncode
        == 0
    )
    assert typed("dunes", "maml", "validate", "--strict", "a.maml", "k.maml").returncode == 0
    assert typed("dunes", "maml", "new", "b.maml", "--profile", "nothing").returncode == 2


@pytest.mark.parametrize(("mode", "expected"), [(0o600, 0o600), (0o640, 0o640), (0o755, 0o644)])
def test_a_receipt_and_what_it_gives_back_can_be_read_by_whom_the_source_can(
    config, home, mode, expected
):
    (home / "lunar-config.maml").chmod(mode)
    config("dunes", "markup-generate", "--input", "lunar-config.maml")
    config("dunes", "markup-validate", "--file", "lunar-config.mu", "--restore", "back.maml")
    for name in ("lunar-config.mu", "back.maml"):
        assert expected == stat.S_IMODE((home / name).stat().st_mode)


def test_a_form_that_lost_its_source_fails_if_the_source_is_asked_for(typed, home):
    (home / "old.mu").write_text("---\nschema: dunes.mu.v1\n---\nenoN\n")
    assert 0 == typed("dunes", "markup-validate", "--file", "old.mu").returncode
    asked = typed("dunes", "markup-validate", "--file", "old.mu", "--restore", "x.maml", "--json")
    assert 1 == asked.returncode
    assert "no-source" in {check["code"] for check in json.loads(asked.stdout)["checks"]}
    assert not (home / "x.maml").exists()


@pytest.mark.parametrize(
    ("role", "level"),
    [("gateway", "logged"), ("operator", "logged"), ("device", "digest"), ("", "digest")],
)
def test_a_key_is_believed_for_what_it_is_trusted_for(config, home, role, level):
    config("dunes", "markup-generate", "--input", "lunar-config.maml")
    config("dunes", "log", "prove", "--file", "lunar-config.mu")
    config("dunes", "keys", "export", "--output", "gw.pub.maml")
    other = {"DUNES_HOME": str(home / "other")}
    if role:
        trusted = ("dunes", "keys", "trust", "gw.pub.maml", "--role", role, "--yes")
        assert 0 == config(*trusted, **other).returncode
    words = ("--file", "lunar-config.mu", "--proof", "lunar-config.tlog-proof", "--json")
    judged = config("dunes", "markup-validate", *words, **other)
    assert level == json.loads(judged.stdout)["level"]
