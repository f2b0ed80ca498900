"""Documents of policies: what is accepted, and what is refused with its reason."""

import json

import pytest

from dunes.authority.policy import Document, Grant, Policies, Rule, Scope, matches
from dunes.authority.policydoc import read_document, write_document
from dunes.authority.store import defaults, encode
from dunes.errors import ConfigError

GUIDE_SCOPES = {
    "telemetry",
    "habitat-data",
    "rover-data",
    "rover-telemetry",
    "data-relay",
    "mesh-control",
    "health-data",
}


def test_the_guides_scopes_are_there_from_the_start():
    assert set(Policies.join(defaults()).scopes) == GUIDE_SCOPES


def test_what_is_written_reads_back_the_same():
    document = Document(
        3,
        (Scope("s", "x", ("table.read",), ("iot_data",), min_standing=0.7, tokenize=("device",)),),
        (Grant("device:a", ("s",), 5), Grant("role:operator", ("s",))),
        (Rule("r1", "deny", "gateway:*", ("sync.push",), reason="no"), Rule("r2", "allow")),
    )
    assert document == read_document(json.loads(encode(document)), "x")
    assert defaults() == read_document(write_document(defaults()), "x")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"scope": []}, "the document has an unknown key 'scope'"),
        ({"schema": "dunes.policies/2"}, "schema 'dunes.policies/2' is not dunes.policies/1"),
        ({"version": -1}, "version is not a whole number from 0"),
        ({"version": True}, "version is not a whole number from 0"),
        ({"rules": [{"id": "a", "effect": "maybe"}]}, "a rule's effect is allow or deny"),
        ({"rules": [{"id": "a", "effect": "deny", "table": []}]}, "a rule has an unknown key"),
        ({"rules": [{"id": "a", "effect": "deny", "tables": "x"}]}, "tables is not a list"),
        (
            {"rules": [{"id": "a", "effect": "deny", "actions": ["a*b"]}]},
            "actions: 'a*b' is no name or pattern",
        ),
        ({"rules": [{"id": "a", "effect": "deny", "subject": "x"}]}, "'x' names no subject"),
        ({"rules": [{"id": "a", "effect": "deny"}] * 2}, "two rules have one id"),
        ({"scopes": [{"name": "A", "actions": ["x"]}]}, "'A' cannot name a scope"),
        ({"scopes": [{"name": "a"}]}, "scope a names no action"),
        ({"scopes": [{"name": "a", "actions": ["x"], "min_standing": 2}]}, "not a number from 0"),
        ({"scopes": [{"name": "a", "actions": ["x"], "assurance": "faith"}]}, "assurance is one"),
        ({"grants": {"a": 1}}, "grants is not a list of tables"),
    ],
)
def test_a_document_that_cannot_be_meant_is_refused(body, said):
    with pytest.raises(ConfigError) as e:
        read_document(body, "policies.json")
    assert e.value.message.startswith("policies.json: ")
    assert said in e.value.message


def test_a_grant_of_a_scope_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="names the scope 'nope', which is not there"):
        Policies.join(defaults(), Document(1, grants=(Grant("device:a", ("nope",)),)))


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True), ("*", "x", True), ("a", "a", True), ("a", "ab", False),
        ("a*", "ab", True), ("a*", "a", True), ("a*", "", False), ("*b", "ab", True),
        ("*b", "ba", False), ("", "x", False),
    ],
)  # fmt: skip
def test_patterns(pattern, text, fits):
    assert fits is matches(pattern, text)


def test_a_tables_other_spelling_means_the_same_table():
    document = read_document(
        {"rules": [{"id": "a", "effect": "deny", "tables": ["lunar-data", "mars_*"]}]}, "x"
    )
    assert ("lunar_telemetry", "mars_*") == document.rules[0].tables
