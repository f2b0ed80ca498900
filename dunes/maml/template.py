"""New documents: one for each profile, valid from the start."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dunes.errors import UsageError
from dunes.maml.history import URI, new_entry
from dunes.maml.pem import pem_blocks

ROTATE_AFTER = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a new document is made of.

    Attributes:
        at: when it is made; aware.
        uuid: its own.
        origin: URI of who makes it, e.g. `agent://gateway-01`.
        kind: `type` of a core document.
        pem: the public key of a key document, PEM SPKI.
    """

    at: datetime
    uuid: UUID
    origin: str
    kind: str = "workflow"
    pem: str = ""


def new_document(profile: str, facts: Facts) -> bytes:
    """Write a new document of a profile.

    Raises:
        UsageError: no such profile; an origin or type that cannot be written; a key
            document without a public key.
    """
    if profile not in WRITERS:
        known = ", ".join(WRITERS)
        raise UsageError(f"{profile[:40]!r} is no profile", hint=f"profiles: {known}")
    if URI.fullmatch(facts.origin) is None or '"' in facts.origin or "\\" in facts.origin:
        raise UsageError(
            f"origin {facts.origin[:60]!r} is not a URI", hint="e.g. agent://gateway-01"
        )
    if not facts.kind.replace("_", "").replace("-", "").isalnum():
        raise UsageError(f"type {facts.kind[:40]!r} is not a word", hint="e.g. workflow")
    return WRITERS[profile](facts).encode("utf-8")


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _core_front(facts: Facts, kind: str, more: str = "") -> str:
    return f"""---
maml_version: "1.0.0"
id: "urn:uuid:{facts.uuid}"
type: {kind}
origin: "{facts.origin}"
permissions:
  read: ["agent://*"]
  write: ["{facts.origin}"]
  execute: ["gateway://local"]
created_at: "{_stamp(facts.at)}"
{more}---
"""


def _history(facts: Facts, text: str) -> str:
    entry = new_entry(facts.at, "CREATE", text, facts.origin)
    return f"\n## History\n- {entry.at}: [{entry.verb}] {entry.text}\n"


SCHEMAS = """
## Input_Schema
```json
{"type": "object", "properties": {"co2_ppm": {"type": "number", "minimum": 0}}}
```

## Output_Schema
```json
{"type": "object", "properties": {"alarm": {"type": "boolean"}}}
```

## Code_Blocks
```python
def execute_skill(input_data):
    return {"alarm": input_data["co2_ppm"] > 5000}
```
"""


def _core(facts: Facts) -> str:
    body = "## Intent\nSay in one sentence what this is for.\n\n## Context\nlimit_ppm: 5000\n"
    return (
        _core_front(facts, facts.kind) + body + SCHEMAS + _history(facts, "Made from a template")
    )


def _key(facts: Facts) -> str:
    block = next((b for b in pem_blocks(facts.pem) if b.label == "PUBLIC KEY"), None)
    if block is None or block.kid is None or block.algorithm is None:
        raise UsageError(
            "a key document needs an ML-DSA public key in PEM",
            hint="give --public-key FILE; dunes keygen makes a key and its document",
        )
    more = f"""quantum_security_flag: true
kid: "{block.kid}"
alg: {block.algorithm}
visibility: public
rotate_after: "{_stamp(facts.at + ROTATE_AFTER)}"
"""
    body = f"""## Intent
Let others check what this key signs.

## Context
provided: {block.algorithm} (FIPS 204)

## Content
```pem
{facts.pem.strip()}
```
"""
    return _core_front(facts, "key", more) + body


def _schema(facts: Facts) -> str:
    return f"""---
schema: maml_v1
version: "1.0"
author: "{facts.origin}"
description: Say in one sentence what this is for
context: {{site: lunar-hab}}
input_schema: {{type: object, properties: {{co2_ppm: {{type: number}}}}}}
output_schema: {{type: object, properties: {{alarm: {{type: boolean}}}}}}
---
The body of this profile is free text.
"""


def _cfg(facts: Facts) -> str:
    return f"""---
schema: dunes.maml.v1
context: Say in one sentence what this is for
security: 2048-AES/1
timestamp: "{_stamp(facts.at)}"
---
## Context
limit_ppm: 5000
{SCHEMAS}"""


def _config(_: Facts) -> str:
    return """---
schema: gateway_config_v1
---
## Gateway
- Mesh: lunar-ble-001
- Mode: backup-mesh
"""


def _guide(_: Facts) -> str:
    return """---
mode: backup-mesh
starlink-poll-interval: 30s
signal-threshold: 20%
buffer-size: 10GB
---
# Backup over the mesh
- mesh-id: lunar-ble-001
- failover: local
"""


def _loose(_: Facts) -> str:
    return """```ai
task: drop readings outside three sigma
```

output: lunar_telemetry
"""


WRITERS: dict[str, Callable[[Facts], str]] = {
    "core": _core,
    "key": _key,
    "schema": _schema,
    "cfg": _cfg,
    "config": _config,
    "guide": _guide,
    "loose": _loose,
}
