"""Read the six published forms of `.mu`, D1 to D6, none of which is signed.

===  ============================================================  ========
D1   the whole text mirrored                                        lossless
D2   keys, values, headings and lines mirrored where they stand     lossy
D3   the same, word by word                                         lossy
D4   front matter with `mu_version`, lines `Reversed …`/`Original`  no mirror
D5   front matter with `schema: dunes.mu.v1`                        lossy
D6   `## Receipt.mu`, lines `Key: <mirror> (mirrored from <value>)` lossy
===  ============================================================  ========
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dunes.maml.document import Document, parse
from dunes.maml.findings import MamlError
from dunes.maml.markdown import section_key
from dunes.mu.errors import BadReceipt
from dunes.mu.mirror import mirror, mirror_words

SIZE_MAX_BYTES = 1_000_000
"""These forms mirror MAML documents, which are no larger."""
MU_SCHEMAS = frozenset({"dunes.mu.v1", "glastonbury.mu.v1"})
MIRRORED_KEYS = frozenset({"noisrev_lmam", "amehcs"})
LABEL = re.compile(r"[\s\-*>#]*(Reversed|Original)\b[^:\n]{0,60}:[ \t]*(.*)", re.IGNORECASE)
ANNOTATION = "(mirrored from "
LINE_MAX = 2000
FENCE = "```"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one of the published forms says.

    Attributes:
        dialect: `D1` to `D6`.
        lossless: the source is given back exactly.
        source: the source's bytes (D1), else None.
        text: what the mirror says, readable (D2, D3: not the source itself).
        kind: its type, if it says.
        source_name: its source's name, if it says.
        pairs: mirrored values that stand beside their originals (D4, D6).
        pairs_wrong: how many of those are no mirrors.
    """

    dialect: str
    lossless: bool = False
    source: bytes | None = None
    text: str | None = None
    kind: str | None = None
    source_name: str | None = None
    pairs: int = 0
    pairs_wrong: int = 0


def read_dialect(data: bytes) -> Reading:
    """Recognise and read one of the published forms.

    Raises:
        BadReceipt: none of them (`not-a-receipt`), too large, not UTF-8.
    """
    try:
        document = parse(data, max_bytes=SIZE_MAX_BYTES)
    except MamlError as e:
        raise BadReceipt(f"not a .mu file: {e.message}", code=e.code) from e
    front = document.front or {}
    if "mu_version" in front:
        return _read_d4(document)
    if str(front.get("schema")) in MU_SCHEMAS:
        return Reading("D5", kind=_text(front.get("type")))
    if any(section_key(h.text) == "receipt.mu" for h in document.headings):
        return _paired("D6", list(_annotated(document)))
    if MIRRORED_KEYS & front.keys():
        return _read_structural(document, words=front.get("type") == "receipt")
    return _read_d1(document)


def _short_lines(document: Document) -> Iterator[str]:
    lines = document.lines
    for number in range(len(lines)):
        if lines.ends[number] - lines.starts[number] <= LINE_MAX:
            yield lines[number]


def _annotated(document: Document) -> Iterator[tuple[str, str]]:
    """Give (mirror, value) of each line `Key: <mirror> (mirrored from <value>)`."""
    for line in _short_lines(document):
        before, found, after = line.rstrip().partition(ANNOTATION)
        key, colon, shown = before.partition(":")
        if found and colon and key.strip() and after.endswith(")"):
            yield shown.strip(), after[:-1]


def _read_d4(document: Document) -> Reading:
    """Compare each `Reversed …:` line with the `Original:` that stands before or after it."""
    waiting: tuple[str, str] | None = None
    pairs = []
    for found in filter(None, map(LABEL.fullmatch, _short_lines(document))):
        label, value = found[1].lower(), _unquoted(found[2])
        if waiting is not None and waiting[0] != label:
            pairs.append((waiting[1], value))
            waiting = None
        else:
            waiting = (label, value)
    front = document.front or {}
    return _paired("D4", pairs, _text(front.get("type")), _text(front.get("source_maml")))


def _paired(
    dialect: str,
    pairs: list[tuple[str, str]],
    kind: str | None = None,
    source_name: str | None = None,
) -> Reading:
    wrong = sum(not _is_mirror(_unquoted(a), _unquoted(b)) for a, b in pairs)
    return Reading(
        dialect, kind=kind, source_name=source_name, pairs=len(pairs), pairs_wrong=wrong
    )


def _is_mirror(one: str, other: str) -> bool:
    """Tell whether two texts are mirrors, as a whole or word by word."""
    return one == mirror(other) or mirror_words(one) == " ".join(other.split())


def _unquoted(text: str) -> str:
    bare = text.strip()
    for quote in ('"', "'", "`"):
        if len(bare) > 1 and bare[0] == quote == bare[-1]:
            return bare[1:-1]
    return bare


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read_d1(document: Document) -> Reading:
    """Mirror the whole text; it is D1 if a document comes out."""
    tries = [document.text]
    if not document.text.endswith("\n"):
        tries.append("\n" + document.text)
    tries.append(document.text.rstrip("\r\n"))
    for tried in tries:
        text = mirror(tried)
        source = text.encode("utf-8")
        found = parse(source, max_bytes=SIZE_MAX_BYTES + 1)
        if found.front or any(s.key in ("intent", "context") for s in found.sections):
            kind = _text((found.front or {}).get("type"))
            return Reading("D1", lossless=True, source=source, text=text, kind=kind)
    raise BadReceipt(
        "not a .mu file: no trailer, no front matter of one, and its mirror is no document",
        hint="dunes markup-generate --input FILE makes a receipt",
        code="not-a-receipt",
    )


def _read_structural(document: Document, *, words: bool) -> Reading:
    """Undo D2 or D3 as far as it can be: a text to read, not the source."""
    turn = mirror_words if words else mirror
    front = document.front or {}
    rows = [f"{turn(k)}: {_json(_turned(v, turn))}" for k, v in front.items()]
    body = document.text[document.body_start :].rstrip("\r\n")
    parts: list[list[str]] = [[]]
    inside = False
    for line in re.split(r"\r\n|\n|\r", body):
        if line.lstrip().startswith(FENCE):
            inside = not inside
        if not inside and line.startswith("## "):
            parts.append([])
        parts[-1].append(line)
    shown = [line for part in reversed(parts[1:]) for line in _turned_section(part, turn)]
    text = "\n".join(["---", *rows, "---", *shown]) + "\n"
    kind = front.get("epyt")
    return Reading(
        "D3" if words else "D2", text=text, kind=turn(kind) if isinstance(kind, str) else None
    )


def _turned_section(part: list[str], turn: Callable[[str], str]) -> Iterator[str]:
    yield f"## {turn(part[0][3:].strip())}"
    for line in reversed(part[1:]):
        yield line if line.lstrip().startswith(FENCE) else turn(line)


def _turned(value: Any, turn: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return turn(value)
    if isinstance(value, list):
        return [_turned(v, turn) for v in reversed(value)]
    if isinstance(value, dict):
        return {turn(k): _turned(v, turn) for k, v in value.items()}
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
