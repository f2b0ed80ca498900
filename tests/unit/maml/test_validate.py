"""The validator: rules by profile, and the published schemas."""

import json
import time
from pathlib import Path

import jsonschema
import pytest

from dunes.maml import PROFILES, Severity, json_schema, parse, validate
from dunes.maml.sarif import sarif
from dunes.maml.strict_json import JsonFault, read_json
from dunes.maml.validate import schema_complaint

VECTORS = Path(__file__).parents[2] / "vectors" / "maml"
EXPECTED = {
    "core-01-habitat-workflow.maml": [],
    "core-02-quirks.maml.md": [],
    "core-03-history-and-fences.maml.md": [],
    "core-90-broken.maml": [
        ("key-absent", 2),
        ("section-absent", 2),
        ("bad-value", 3),
        ("duplicate-key", 5),
        ("bad-value", 7),
    ],
    "guide-01-mesh-backup.maml": [],
    "guide-02-large-buffer.maml": [],
    "guide-03-crlf-bom.maml": [],
    "guide-90-bad-units.maml": [("bad-value", 3), ("bad-value", 4), ("bad-value", 5)],
    "key-01-habitat-key.pub.maml": [],
    "key-02-rotated-key.pub.maml": [],
    "key-90-wrong-kid-key.pub.maml": [("kid-mismatch", 9)],
    "loose-01-no-front-matter.maml": [],
    "loose-02-embedded-front-matter.maml.md": [],
    "loose-03-schema-key.maml": [],
    "loose-90-unclosed.maml": [("front-matter-open", 1)],
    "worked-example.maml": [],
}
CORE = """---
maml_version: "1.0.0"
id: "urn:uuid:5b1f0a52-3f0e-4b0a-9c7e-6d1a2b3c4d5e"
type: workflow
origin: "agent://gateway-01"
permissions: {read: ["agent://*"]}
created_at: 2026-01-05T08:00:00Z
---
## Intent
x
## Context
y
"""


def read(name):
    return parse((VECTORS / name).read_bytes())


def check(text, **options):
    return validate(parse(text.encode()), **options)


def codes(findings):
    return [f.code for f in findings]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_fixtures_get_their_verdicts(name):
    errors = validate(read(name)).errors
    assert EXPECTED[name] == [(f.code, f.line) for f in errors]


def test_every_fixture_has_an_expected_verdict():
    found = {p.name for p in VECTORS.iterdir() if p.name.endswith((".maml", ".maml.md"))}
    assert set(EXPECTED) == found


def test_the_quirks_are_warnings():
    assert codes(validate(read("core-02-quirks.maml.md")).warnings) == [
        "bad-uuid",
        "permissions-flat",
    ]


def test_an_embedded_document_is_held_to_core_rules_only_if_strict():
    document = read("loose-02-embedded-front-matter.maml.md")
    assert validate(document).ok
    strict = validate(document, strict=True)
    assert [f.code for f in strict.errors] == ["key-absent"] * 3 + ["section-absent"]


def test_strict_wants_core_keys_whatever_the_profile():
    document = read("loose-03-schema-key.maml")
    assert codes(validate(document)) == ["core-absent"]
    assert len(validate(document, strict=True).errors) == 8


def test_a_profile_can_be_demanded():
    document = read("guide-01-mesh-backup.maml")
    assert not validate(document, profile="core").ok
    assert validate(document).ok


def test_front_matter_can_be_absent_in_the_loose_profile_only():
    assert check("text").ok
    assert codes(check("text", profile="core").errors) == [
        "front-matter-absent",
        "section-absent",
        "section-absent",
    ]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('origin: "agent://gateway-01"', "origin: 12", "bad-value"),
        ('origin: "agent://gateway-01"', "origin: mailto:x@y", "origin-form"),
        ('read: ["agent://*"]', "execute: ['*']", "execute-anyone"),
        ('read: ["agent://*"]', "execute: '*'", "execute-anyone"),
        ('read: ["agent://*"]', "read: {a: b}", "bad-value"),
        ("created_at: 2026-01-05T08:00:00Z", "created_at: 2026-13-05T08:00:00Z", "bad-value"),
        ("created_at: 2026-01-05T08:00:00Z", 'created_at: "2026-01-05T08:00:00Z\\n"', "bad-value"),
        ("type: workflow", "type: api_request", "section-absent"),
        ("type: workflow", "type:", "bad-value"),
        ("type: workflow", "type: workflow\nverification: {level: maybe}", "verification-level"),
        ("type: workflow", "type: workflow\ntimeout_seconds: soon", "bad-value"),
        ("type: workflow", "type: workflow\ndebug: 1", "bad-value"),
        ("## Context\ny\n", "## Context\n\n", "section-empty"),
        ("## Context\ny\n", "## Context\ny\n## Intent\nz\n", "section-twice"),
        ("## Context\ny\n", "## Context\ny\n## Code_Blocks\n```\nx\n```\n", "fence-language"),
        ("## Context\ny\n", "## Context\ny\n## Input_Schema\nwords\n", "json-syntax"),
        ("## Context\ny\n", '## Context\ny\n## Input_Schema\n{"type": "thing"}', "json-schema"),
        ("## Context\ny\n", "## Context\ny\n## History\n- yesterday I ran it\n", "history-entry"),
        (
            "## Context\ny\n",
            "## Context\ny\n## History\n- 2026-01-05: [DANCE] x\n",
            "history-verb",
        ),
        ("## Context\ny\n", "## Context\ny\n## History\n- someday: [CREATE] x\n", "history-time"),
    ],
)
def test_a_broken_rule_has_its_code(old, new, code):
    assert codes(check(CORE)) == []
    assert old in CORE
    assert codes(check(CORE.replace(old, new))) == [code]


def test_an_extension_key_and_an_empty_optional_key_are_no_fault():
    assert codes(check(CORE.replace("type: w", "x-mine: [1]\nrequires:\ntype: w"))) == []


def test_a_fenced_schema_that_is_not_json_is_an_error_at_its_place():
    text = (
        CORE
        + '## Input_Schema\n```json\n{"a": 1,\n "a": 2}\n```\n'
        + "## Output_Schema\n```json\n{x}\n```\n"
    )
    found = check(text).errors
    assert [(f.code, f.line, f.column) for f in found] == [
        ("json-syntax", 15, 1),
        ("json-syntax", 20, 2),
    ]


def test_execute_by_anyone_is_an_error_if_strict():
    text = CORE.replace('read: ["agent://*"]', "execute: ['*']")
    assert check(text).ok
    assert not check(text, strict=True).ok


def test_sections_of_the_cfg_profile_stand_in_order():
    text = "---\nschema: dunes.maml.v1\ncontext: c\nsecurity: s\n"
    text += "timestamp: 2026-01-05T08:00:00Z\n---\n"
    good = text + "".join(
        f"## {s}\n{{}}\n" for s in ("Context", "Input_Schema", "Output_Schema", "Code_Blocks")
    )
    bad = text + "".join(
        f"## {s}\n{{}}\n" for s in ("Input_Schema", "Context", "Output_Schema", "Code_Blocks")
    )
    assert codes(check(good)) == ["core-absent"]
    assert codes(check(bad)) == ["core-absent", "section-order"]
    assert "section-absent" in codes(check(text).errors)


def test_a_config_document_has_one_section_of_items():
    head = "---\nschema: gateway_config_v1\n---\n"
    assert codes(check(head + "## A\n- Key: value\n")) == ["core-absent"]
    assert "items-absent" in codes(check(head + "## A\nwords\n").errors)
    assert "section-absent" in codes(check(head).errors)
    assert "section-twice" in codes(check(head + "## A\n- k: v\n## B\n- k: v\n").warnings)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("---\nmode: backup-mesh\nmesh-id: x\n---\n- mesh-id: y\n", "duplicate-key", (5, 12)),
        ("---\nmode: backup-mesh\n---\n- mesh-id: Not A Name\n", "bad-value", (4, 12)),
        ("---\nmode: backup-mesh\n---\n- mesh_id: a\n", "unknown-key", (4, 12)),
        ("---\nmode: backup-mesh\nbufer-size: 1GB\n---\n", "unknown-key", (3, 1)),
        ("---\nmode: other\n---\n", "unknown-mode", (2, 7)),
        ("---\nmode: backup-mesh\n---\n- failover: moon\n", "unknown-failover", (4, 13)),
        ("---\nmode: backup-mesh\n---\n- failover:\n", "bad-value", (4, 12)),
        ("---\nmode: backup-mesh\n---\n- table: 1 2\n", "bad-value", (4, 10)),
        ("---\nmode: backup-mesh\nstarlink-poll-interval: 0s\n---\n", "bad-value", (3, 25)),
        ("---\nmode: backup-mesh\nbuffer-size: true\n---\n", "bad-value", (3, 14)),
        ("---\nmode: backup-mesh\nsignal-threshold: 100.5%\n---\n", "bad-value", (3, 19)),
    ],
)
def test_the_guide_profile_knows_its_keys(text, code, place):
    found = [f for f in check(text) if f.code == code]
    assert [place] == [(f.line, f.column) for f in found]


def test_misspelled_keys_get_a_suggestion():
    found = check("---\nmode: backup-mesh\nbufer-size: 1GB\n---\n- mesh_id: x\n").warnings
    assert "did you mean buffer-size?" in found[0].message
    assert "did you mean mesh-id?" in found[1].message


def test_a_clear_private_key_is_an_error():
    text = (VECTORS / "key-01-habitat-key.pub.maml").read_text()
    begin, end = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
    found = check(text + f"\n```pem\n{begin}\nMDQCAQA=\n{end}\n```\n")
    assert codes(found.errors) == ["clear-private-key"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("alg: ML-DSA-65", "alg: ML-DSA-44", "alg-mismatch"),
        ("MIIHsjAL", "MIIHsj*L", "key-block-absent"),
        ("MIIHsjAL", "MIIHsj=L", "bad-pem"),
        ("visibility: public", "visibility: secret", "bad-value"),
        ("PUBLIC KEY", "CERTIFICATE", "key-block-absent"),
    ],
)
def test_a_key_document_must_agree_with_its_key(old, new, code):
    text = (VECTORS / "key-01-habitat-key.pub.maml").read_text()
    assert code in codes(check(text.replace(old, new)).errors)


@pytest.mark.parametrize("name", PROFILES)
def test_the_published_schemas_are_json_schemas(name):
    schema = json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == json.loads(json.dumps(schema))


FIELD_CODES = {"key-absent", "bad-value", "front-matter-absent"}


def agree(text, profile):
    """Compare the validator with jsonschema over the published schema."""
    document = parse(text.encode())
    front = document.front if document.front is not None else {}
    ours = [
        f
        for f in validate(document, profile=profile, strict=document.embedded).errors
        if f.code in FIELD_CODES and f.line < document.position(document.body_start)[0]
    ]
    theirs = list(jsonschema.Draft202012Validator(json_schema(profile)).iter_errors(front))
    assert bool(ours) == bool(theirs), (text, ours, theirs)


@pytest.mark.parametrize(
    "name", [n for n in EXPECTED if "loose-9" not in n and "loose-01" not in n]
)
def test_an_independent_json_schema_validator_agrees_on_the_fixtures(name):
    text = (VECTORS / name).read_text()
    agree(text, "schema" if "loose-03" in name else parse(text.encode()).profile)


@pytest.mark.parametrize(
    "value",
    [
        "12",
        "x",
        "[a]",
        "{a: b}",
        "true",
        "",
        "urn:a:b",
        "45s",
        "-1s",
        "7%",
        "2026-01-05",
        '" "',
        '"45s\\n"',
        "[[1]]",
        "{a: [1]}",
        "public",
        "key",
        "0a" * 16,
        "[" + "0a" * 16 + "]",
    ],
)
@pytest.mark.parametrize("profile", ["core", "key", "schema", "cfg", "config", "guide"])
def test_an_independent_json_schema_validator_agrees_on_each_key(profile, value):
    for key in PROFILES[profile].fields:
        document = parse(f"---\n{key}: {value}\n---\n".encode())
        wrong = any(f.code == "bad-value" for f in validate(document, profile=profile).errors)
        schema = json_schema(profile)["properties"][key]
        theirs = list(jsonschema.Draft202012Validator(schema).iter_errors(document.front[key]))
        assert wrong == bool(theirs), (key, value, theirs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "twice"),
        ("[NaN]", "NaN"),
        ("[-Infinity]", "Infinity"),
        ("[" * 65 + "]" * 65, "deeper"),
        ("[" * 100_000, "deeper"),
        ("{", "not JSON"),
        ("9" * 10_000, "not JSON"),
        ("", "not JSON"),
    ],
)
def test_strict_json_refuses(text, message):
    with pytest.raises(JsonFault, match=message):
        read_json(text)


def test_strict_json_reads():
    assert read_json('{"a": ["[[[", 1.5, null]}') == {"a": ["[[[", 1.5, None]}


@pytest.mark.parametrize(
    ("schema", "good"),
    [
        (True, True),
        ({}, True),
        ({"type": ["null", "string"]}, True),
        (3, False),
        ({"type": 3}, False),
        ({"properties": []}, False),
        ({"required": "a"}, False),
    ],
)
def test_the_shape_of_a_json_schema_is_checked(schema, good):
    assert good == (schema_complaint(schema) is None)


def test_findings_become_sarif():
    found = validate(read("core-90-broken.maml"))
    log = sarif("1.2.3", [("a.maml", found)])
    run = log["runs"][0]
    assert run["tool"]["driver"]["version"] == "1.2.3"
    assert len(found) == len(run["results"])
    first = run["results"][3]
    assert first["ruleId"] == "duplicate-key"
    assert first["level"] == "error"
    assert first["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 5,
        "startColumn": 1,
    }


def test_messages_hold_no_raw_control_characters():
    text = CORE.replace('"agent://gateway-01"', '"\u202eevil\\e[31m"')
    for finding in check(text):
        assert finding.message.isprintable()
    assert any(f.severity is Severity.ERROR for f in check(text))


@pytest.mark.parametrize(
    "text",
    [
        "## History\n" + "```\n```\n" * 30_000,
        "## History\n" + "- x\n" * 60_000,
        "---\nmode: backup-mesh\n---\n" + "".join(f"- k{n}: x\n" for n in range(20_000)),
        "---\nmode: x\n" + "".join(f"k{n}: no\n" for n in range(9_000)) + "---\n",
        "---\nmaml_version: 1\n---\n" + "## Intent\n" * 20_000,
        "---\nmaml_version: 1\ntype: key\n---\n" + "-----BEGIN PUBLIC KEY-----\n" * 9_000,
        "---\nmaml_version: 1\ntype: key\n---\n```\n-----BEGIN A-----" + "A" * 240_000 + "\n```\n",
        "---\nmaml_version: 1\npermissions: {" + "a: [b], " * 9_000 + "}\n---\n",
        "---\nmaml_version: 1\n---\n## Input_Schema\n" + "[" * 200_000,
        "---\nmode: backup-mesh\nbuffer-size: '" + " " * 200_000 + "x'\n---\n",
        "---\nmode: backup-mesh\nsignal-threshold: '" + "9" * 200_000 + "'\n---\n",
        "## History\n- [" + "x] [" * 60_000,
    ],
)
def test_hostile_documents_take_no_long_time_and_give_bounded_findings(text):
    begun = time.perf_counter()
    found = check(text)
    assert time.perf_counter() - begun < 2
    assert len(found) <= 1002
    assert all(len(f.message) < 1000 for f in found)
