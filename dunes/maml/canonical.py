"""The one way to lay a document out: what `dunes maml fmt` does.

Changed: byte order mark and CR go; rulers, front matter and headings lose trailing
blanks; known sections get their usual spelling; times, versions and words that YAML
readers disagree about are quoted; the file ends with one line end. Nothing else:
not the order of keys, not comments, not the inside of a fence, not front matter that
stands deeper in the text, not History. A document that would read differently
afterwards is refused.
"""

import re
from typing import Any

from dunes.errors import DataError, LocalError
from dunes.maml.document import Document, parse
from dunes.maml.kinds import TIME

SPELLING = {
    name.casefold(): name
    for name in (
        "Intent",
        "Context",
        "Content",
        "Code_Blocks",
        "Input_Schema",
        "Output_Schema",
        "History",
        "Environment",
        "Verification",
        "Execution_Plan",
        "Agent_Blocks",
        "Quantum_Circuit",
        "Recovery_Steps",
    )
}
TIME_PATTERN = re.compile(TIME)
PLAIN_NUMBER = re.compile(r"[0-9.]+")


def format_document(data: bytes) -> bytes:
    """Give a document in its usual layout; applying it twice changes nothing more.

    Args:
        data: the document.

    Raises:
        MamlError: it has errors that the reader reports.
        DataError: it is signed.
        LocalError: it would read differently afterwards (a bug of ours).
    """
    document = parse(data, max_bytes=len(data) + 1).require_sound()
    if document.signed:
        raise DataError("the document is signed: another layout would break its signature")
    text = _with_edits(document.text, sorted(_quotes(document) + _headings(document)))
    laid_out = parse(text.encode("utf-8"), max_bytes=len(text.encode("utf-8")) + 1)
    text = _trimmed(laid_out)
    result = text.encode("utf-8")
    _compare(document, parse(result, max_bytes=len(result) + 1))
    return result


Edit = tuple[int, int, str]


def _quotes(document: Document) -> list[Edit]:
    """Quote plain scalars whose meaning depends on the reader."""
    edits: list[Edit] = []
    if document.embedded:
        return edits
    loose = set(document.tree.loose)
    for path, index in document.tree.values.items():
        value: Any = document.front
        for step in path:
            value = value[step]
        if not isinstance(value, str) or not value:
            continue
        start = document.front_start + index
        shown = document.text[start : start + len(value)]
        name = str(path[-1]) if path else ""
        wanted = (
            path in loose
            or TIME_PATTERN.search(value) is not None
            or (name.endswith("version") and PLAIN_NUMBER.fullmatch(value) is not None)
        )
        if wanted and shown == value:
            edits.append((start, start + len(value), f'"{value}"'))
    return edits


def _headings(document: Document) -> list[Edit]:
    edits = []
    for section in document.sections:
        usual = SPELLING.get(section.key)
        line = document.lines.number_at(section.heading)
        end = document.lines.ends[line]
        if usual is not None:
            edits.append((section.heading, end, f"## {usual}"))
        else:
            kept = document.lines[line].rstrip(" \t")
            edits.append((section.heading + len(kept), end, ""))
    return edits


def _with_edits(text: str, edits: list[Edit]) -> str:
    parts, at = [], 0
    for start, end, new in edits:
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def _trimmed(document: Document) -> str:
    """Give LF line ends, a trimmed front matter, one line end at the end."""
    lines = document.lines
    in_front = range(0)
    if document.front is not None and not document.embedded:
        first = lines.number_at(document.front_start) - 1
        last = lines.number_at(max(document.body_start - 1, 0))
        in_front = range(first, last + 1)
    rows = [
        lines[n].rstrip(" \t") if n in in_front and not _in_block_scalar(lines[n]) else lines[n]
        for n in range(len(lines))
    ]
    while rows and not rows[-1].strip(" \t"):
        rows.pop()
    return "\n".join(rows) + "\n" if rows else ""


def _in_block_scalar(line: str) -> bool:
    """Keep indented lines: trailing blanks may belong to a text of several lines."""
    return line.startswith((" ", "\t"))


def _compare(before: Document, after: Document) -> None:
    same = (
        before.front == after.front
        and [s.key for s in before.sections] == [s.key for s in after.sections]
        and [_plain(f.text) for f in before.fences] == [_plain(f.text) for f in after.fences]
    )
    if not same:
        raise LocalError("formatting would change what the document says; nothing was changed")


def _plain(text: str) -> str:
    return re.sub(r"\r\n?", "\n", text).rstrip()
