"""The six published forms: recognised, read, and never taken for more than they are."""

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.mu import BadReceipt, Level, judge
from dunes.mu.dialects import read_dialect
from dunes.mu.mirror import mirror, mirror_words

MAML = """---
created_at: "2026-01-05T08:00:00Z"
id: "urn:uuid:3f1c7f0e-6a55-4c0b-9a37-2d0f4b8e51aa"
maml_version: "1.0.0"
origin: "agent://gateway-01"
permissions: {read: ["agent://*", "b"]}
timeout_seconds: 30
type: workflow
---
## Intent
Warn the crew when CO₂ climbs.

## Code_Blocks
```python
alarm = reading > 5000
```
"""


def turned(value, turn):
    if isinstance(value, str):
        return turn(value)
    if isinstance(value, list):
        return [turned(v, turn) for v in reversed(value)]
    if isinstance(value, dict):
        return {turn(k): turned(v, turn) for k, v in value.items()}
    return value


def structural(turn, more=""):
    """Write D2 or D3 of MAML as the published generators do."""
    front = {
        "created_at": "2026-01-05T08:00:00Z",
        "id": "urn:uuid:3f1c7f0e-6a55-4c0b-9a37-2d0f4b8e51aa",
        "maml_version": "1.0.0",
        "origin": "agent://gateway-01",
        "permissions": {"read": ["agent://*", "b"]},
        "timeout_seconds": 30,
        "type": "workflow",
    }
    rows = sorted(
        f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in turned(front, turn).items()
    )
    parts = MAML.split("---\n")[2].split("## ")[1:]
    body = []
    for part in reversed(parts):
        title, *lines = part.rstrip("\n").split("\n")
        body.append(f"## {turn(title)}")
        body += [
            line if line.strip().startswith("```") else turn(line) for line in reversed(lines)
        ]
    return "\n".join(["---", *rows, *([more] if more else []), "---", *body]) + "\n"


D2 = structural(mirror)
D3 = structural(mirror_words, "type: receipt")
D4 = """---
mu_version: "1.0"
id: "urn:uuid:8d2b0c8e-7a13-4f0f-8f5b-5f0a6d7c1e42"
type: validation
source_maml: "a.maml"
verification: {method: reverse_check}
created_at: "2026-01-05T08:00:00Z"
---
## Validation
Reversed Intent: "dlroW olleH"
Original: "Hello World"
Reversed words: olleH dlroW
Original words: Hello World
Status: Valid
"""
D5 = """---
schema: dunes.mu.v1
context: "noitatibah"
security: x
timestamp: "2026-01-05T08:00:00Z"
---
## txetnoC
.nus eht
"""
D6 = """# Report
## Receipt.mu
Name: "dlroW olleH" (mirrored from "Hello World")
- Site: bah-ranul (mirrored from lunar-hab)
"""


@pytest.mark.parametrize(
    ("text", "dialect", "level"),
    [
        (mirror(MAML), "D1", Level.MIRROR),
        (mirror(MAML.rstrip("\n")), "D1", Level.MIRROR),
        (mirror("## Intent\nx\n## Context\ny\n"), "D1", Level.MIRROR),
        (D2, "D2", Level.NONE),
        (D3, "D3", Level.NONE),
        (D4, "D4", Level.NONE),
        (D5, "D5", Level.NONE),
        (D6, "D6", Level.NONE),
    ],
)
def test_the_form_is_recognised(text, dialect, level):
    verdict = judge(text.encode(), find=lambda _: None)
    assert verdict.valid
    assert (dialect, level) == (verdict.dialect, verdict.level)
    assert verdict.lossless == (dialect == "D1")


def test_d1_gives_its_source_back():
    assert read_dialect(mirror(MAML).encode()).source == MAML.encode()
    bare = MAML.rstrip("\n")
    assert read_dialect(mirror(bare).encode()).source.rstrip(b"\n") == bare.encode()


def test_d2_can_be_read_again_but_is_no_source():
    reading = read_dialect(D2.encode())
    assert reading.source is None
    assert reading.kind == "workflow"
    assert 'maml_version: "1.0.0"' in reading.text
    assert 'permissions: {"read": ["agent://*", "b"]}' in reading.text
    assert "timeout_seconds: 30" in reading.text
    assert reading.text.index("## Intent\nWarn the crew when CO₂ climbs.") < reading.text.index(
        "## Code_Blocks\n```python\nalarm = reading > 5000\n```"
    )


def test_d3_can_be_read_again_word_by_word():
    reading = read_dialect(D3.encode())
    assert reading.source is None
    assert "Warn the crew when CO₂ climbs." in reading.text


def test_pairs_of_d4_and_d6_are_compared():
    assert (read_dialect(D4.encode()).pairs, read_dialect(D6.encode()).pairs) == (2, 2)
    for text in (D4, D6):
        wrong = judge(text.replace("dlroW", "dlroV", 1).encode(), find=lambda _: None)
        assert not wrong.valid
        assert wrong.failure.code == "wrong-mirror"
        assert "1 of 2" in wrong.failure.message


def test_a_changed_file_that_was_mirrored_again_is_only_a_mirror():
    forged = mirror(MAML.replace("5000", "9000"))
    assert judge(forged.encode(), find=lambda _: None).level is Level.MIRROR


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-a-receipt"),
        (MAML.encode(), "not-a-receipt"),
        (b'{"a": 1}', "not-a-receipt"),
        (b"\xff\xfe", "not-utf-8"),
        (b"x" * 1_000_001, "too-large"),
        (bytes(range(128)), "not-a-receipt"),
    ],
)
def test_what_is_no_receipt_is_refused(data, code):
    with pytest.raises(BadReceipt) as caught:
        judge(data, find=lambda _: None)
    assert code == caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        "## Receipt.mu\n" + ("a: " + " " * 1900 + "\n") * 500,
        "## Receipt.mu\n" + (" " * 1900 + "(mirrored from x)\n") * 500,
        "---\nmu_version: 1\n---\n" + ("-" * 1900 + "Reversed\n") * 500,
        mirror("## Intent\n" + "- [" * 300_000),
        "---\nnoisrev_lmam: x\n---\n" + "## a\n```\n" * 100_000,
        "-->\n" * 200_000,
    ],
)
def test_hostile_texts_take_no_long_time(text):
    begun = time.process_time()
    with contextlib.suppress(BadReceipt):
        judge(text.encode(), find=lambda _: None)
    assert time.process_time() - begun < 5


PIECES = st.sampled_from(
    [
        *(D2, D3, D4, D5, D6, mirror(MAML)),
        *("---\n", "\n", "## ", "```", "Reversed a: b\n", "Original: b\n", "mu_version: 1\n"),
        *("noisrev_lmam: 1\n", "schema: dunes.mu.v1\n", "(mirrored from x)", ": ", "\u202e"),
        *("## Receipt.mu\n", "type: receipt\n"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_pieces_are_judged_or_refused(text):
    try:
        verdict = judge(text.encode(), find=lambda _: None)
    except BadReceipt:
        return
    assert verdict.level <= Level.MIRROR
