"""The profiles of MAML: which keys and sections each wants.

`PROFILES` is the one source of the validator's rules and of the JSON Schemas that
`dunes maml schema` prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dunes.maml import kinds
from dunes.maml.document import CFG_SCHEMAS
from dunes.maml.kinds import Kind


class Field(NamedTuple):
    """One key of the front matter."""

    kind: Kind
    required: bool
    help: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The rules of one profile.

    Attributes:
        name: as in `--profile`.
        about: one sentence.
        fields: the keys it knows; others are kept.
        sections: folded names of the sections that must be there.
        closed: a key it does not know deserves a warning (it may be a misspelling).
    """

    name: str
    about: str
    fields: Mapping[str, Field]
    sections: tuple[str, ...] = ()
    closed: bool = False


CORE_FIELDS: dict[str, Field] = {
    "maml_version": Field(kinds.TEXT, True, "Version of the format, e.g. 1.0.0."),
    "id": Field(kinds.URI_KIND, True, "URI of this document; urn:uuid: preferred."),
    "type": Field(kinds.TEXT, True, "What it is: workflow, prompt, dataset, …; an open list."),
    "origin": Field(kinds.URI_KIND, True, "Who made it: agent://name."),
    "permissions": Field(kinds.PERMISSIONS, True, "read, write, execute: who may."),
    "created_at": Field(kinds.TIME_KIND, True, "When it was made, ISO 8601."),
    "requires": Field(kinds.MAP_OR_LIST, False, "libs, apis, resources it needs."),
    "verification": Field(kinds.MAP_OR_TEXT, False, "method, spec_files, level strict or warn."),
    "encryption": Field(kinds.TEXT, False, "Free text."),
    "quantum_security_flag": Field(kinds.FLAG, False, "Post-quantum algorithms are used."),
    "security_mode": Field(kinds.TEXT, False, "advanced or lightweight."),
    "timeout_seconds": Field(kinds.NUMBER, False, "Longest run, in seconds."),
    "memory_hint": Field(kinds.ANY, False, "Memory it needs."),
    "loop_compatible": Field(kinds.FLAG, False, "It may be run repeatedly."),
    "debug": Field(kinds.FLAG, False, "Ask for more output."),
    "parameters": Field(kinds.MAP_OR_LIST, False, "Values for ${parameters.x} in Context."),
    "mu_validation_file": Field(kinds.TEXT, False, "Name of its receipt."),
    "wallet": Field(kinds.MAP, False, "address, hash, reputation, public_key."),
    "dunes_icon": Field(kinds.TEXT, False, "An emoji."),
}
CORE_SECTIONS = ("intent", "context")

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            "core",
            "A document with maml_version: the general form.",
            CORE_FIELDS,
            CORE_SECTIONS,
        ),
        Profile(
            "key",
            "A core document of type key: a public or encrypted private key.",
            CORE_FIELDS
            | {
                "type": Field(kinds.constant("key"), True, "key"),
                "quantum_security_flag": Field(kinds.FLAG, True, "Always true."),
                "kid": Field(kinds.KID_KIND, True, "First 32 hex digits of SHA-256 of the SPKI."),
                "alg": Field(kinds.TEXT, True, "ML-DSA-44, ML-DSA-65 or ML-DSA-87."),
                "visibility": Field(kinds.one_of("public", "private"), True, "Which half."),
                "rotate_after": Field(kinds.TIME_KIND, True, "When a new key is due."),
                "supersedes": Field(kinds.KIDS, False, "The key or keys before this one."),
                "status": Field(kinds.one_of("active", "verify-only"), False, "Its state."),
                "not_after": Field(kinds.TIME_KIND, False, "When it is no longer believed."),
            },
            (*CORE_SECTIONS, "content"),
        ),
        Profile(
            "schema",
            "schema: maml_v1, with the schemas in the front matter and a free body.",
            {
                "schema": Field(kinds.constant("maml_v1"), True, "maml_v1"),
                "version": Field(kinds.TEXT, True, "Version of this document."),
                "author": Field(kinds.TEXT, True, "Who wrote it."),
                "description": Field(kinds.TEXT, True, "What it does."),
                "context": Field(kinds.MAP, True, "Names and values."),
                "input_schema": Field(kinds.MAP, True, "JSON Schema of the input."),
                "output_schema": Field(kinds.MAP, True, "JSON Schema of the output."),
            },
        ),
        Profile(
            "cfg",
            "schema: dunes.maml.v1 or glastonbury.maml.v1, with four sections in order.",
            {
                "schema": Field(kinds.one_of(*CFG_SCHEMAS), True, "Which of the two."),
                "context": Field(kinds.TEXT, True, "One sentence."),
                "security": Field(kinds.TEXT, True, "Free text."),
                "timestamp": Field(kinds.TIME_KIND, True, "When it was made."),
            },
            ("context", "input_schema", "output_schema", "code_blocks"),
        ),
        Profile(
            "config",
            "schema: *_config_v1, with one section of `- Key: value` items.",
            {"schema": Field(kinds.CONFIG_SCHEMA_KIND, True, "Ends in _config_v1.")},
        ),
        Profile(
            "guide",
            "The guide's config.maml: mode and thresholds of a gateway.",
            {
                "mode": Field(kinds.TEXT, True, "backup-mesh."),
                "starlink-poll-interval": Field(kinds.INTERVAL, False, "Time between two looks."),
                "signal-threshold": Field(kinds.PERCENT_KIND, False, "Below it: buffer."),
                "buffer-size": Field(kinds.SIZE, False, "Cap of the buffer."),
            },
            closed=True,
        ),
        Profile("loose", "No front matter, or none that says what it is.", {}),
    )
}


def json_schema(name: str) -> dict[str, Any]:
    """Make the JSON Schema (2020-12) of a profile's front matter.

    It describes the values as this reader gives them: times are texts, as are
    values of keys that end in `version`. Rules on sections and across keys are the
    validator's alone.
    """
    profile = PROFILES[name]
    properties = {
        key: {"description": field.help}
        | dict(field.kind.schema if field.required else _or_null(field.kind.schema))
        for key, field in profile.fields.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:dunes-mcp:maml:{name}:1",
        "title": f"Front matter of a MAML document, profile {name}",
        "description": profile.about,
        "type": "object",
        "required": [key for key, field in profile.fields.items() if field.required],
        "properties": properties,
    }


def _or_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let an optional key stand without a value."""
    return {"anyOf": [schema, {"type": "null"}]} if schema else schema
