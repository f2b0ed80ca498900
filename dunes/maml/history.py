"""History: what was done to a document, one line each, only ever appended.

Appending changes no other byte of the document: the new line takes the line end
that the document has, and goes after the last entry of the last History section;
a document without the section gets one at its end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from dunes.errors import DataError
from dunes.maml.document import Document, parse

VERBS = (
    "CREATE",
    "VERIFY",
    "WRAP",
    "EXECUTE",
    "VALIDATE",
    "TICKET",
    "REFLECT",
    "ERROR",
)
ENTRY = re.compile(
    r"-[ \t]+(?:\[([^\]]{4,40})\]|([^\s\[]{4,40}):)[ \t]*\[([A-Z]{2,20})\][ \t]*(.*)"
)
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s`]+")
TEXT_MAX = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a History section.

    Attributes:
        at: the time as written.
        verb: e.g. CREATE.
        text: the rest of the line.
        index: place of the line in the document's text; 0 for one not yet written.
    """

    at: str
    verb: str
    text: str
    index: int = 0


def new_entry(at: datetime, verb: str, text: str, by: str) -> Entry:
    """Make an entry to append.

    Args:
        at: when; aware.
        verb: one of `VERBS`.
        text: one line, without backticks.
        by: URI of who did it, e.g. `agent://gateway-01`.

    Raises:
        DataError: an unknown verb, a text of several lines or with backticks or
            control characters, no URI, a time without a zone.
    """
    if verb not in VERBS:
        raise DataError(f"{verb[:20]!r} is no verb of History", hint=f"one of {', '.join(VERBS)}")
    if not text.strip() or len(text) > TEXT_MAX or "`" in text or not text.isprintable():
        raise DataError(
            f"a History text is one line of 1 to {TEXT_MAX} printable characters, no backtick"
        )
    if URI.fullmatch(by) is None or not by.isprintable():
        raise DataError(f"{by[:60]!r} is not a URI", hint="e.g. agent://gateway-01")
    if at.tzinfo is None:
        raise DataError("a History time needs a zone")
    shown = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Entry(shown, verb, f"{text.strip().removesuffix('.')} by `{by}`.")


def entries(document: Document) -> Iterator[Entry]:
    """Read the entries of all History sections, in order."""
    for index, line in _lines(document):
        if found := ENTRY.fullmatch(line):
            yield Entry(found[1] or found[2], found[3], found[4].strip(), index)


def strangers(document: Document) -> Iterator[tuple[int, str]]:
    """Give the list items of History sections that are no entries."""
    for index, line in _lines(document):
        if line.startswith("-") and ENTRY.fullmatch(line) is None:
            yield index, line


def _lines(document: Document) -> Iterator[tuple[int, str]]:
    """Give (index, text) of the lines of History sections that are in no fence."""
    lines = document.lines
    spans = [(f.start, f.inside + len(f.text)) for f in document.fences]
    at = 0
    for section in document.sections:
        if section.key != "history" or section.start >= section.end:
            continue
        for number in range(lines.number_at(section.start), len(lines)):
            start = lines.starts[number]
            if start >= section.end:
                break
            while at < len(spans) and spans[at][1] <= start:
                at += 1
            if at == len(spans) or start < spans[at][0]:
                yield start, lines[number].rstrip(" \t")


def append_history(data: bytes, entry: Entry) -> bytes:
    """Give the document with one more History entry and no other byte changed.

    Args:
        data: the document.
        entry: from `new_entry`.

    Raises:
        MamlError: the document cannot be read.
        DataError: its last fence is never closed, so the entry would be inside it; or
            it is signed.
    """
    document = parse(data, max_bytes=len(data) + 1)
    if document.signed:
        raise DataError("the document is signed: an entry would break its signature")
    if document.fences and not document.fences[-1].closed:
        line, _ = document.position(document.fences[-1].start)
        raise DataError(f"line {line}: the fence is never closed; an entry would be inside it")
    text, end = document.text, _line_end(document.text)
    section = next((s for s in reversed(document.sections) if s.key == "history"), None)
    row = f"- {entry.at}: [{entry.verb}] {entry.text}{end}"
    if section is None:
        gap = "" if not text or text.endswith(("\n", "\r")) else end
        at, row = len(text), f"{gap}{end}## History{end}{row}"
    else:
        kept = text[: section.end].rstrip(" \t\r\n")
        number = document.lines.number_at(max(len(kept) - 1, section.heading))
        at = document.lines.after(number)
        if at == document.lines.ends[number]:  # the last line has no line end yet
            row = end + row.removesuffix(end)
    byte = len(data) - len(text[at:].encode("utf-8"))
    return data[:byte] + row.encode("utf-8") + data[byte:]


def _line_end(text: str) -> str:
    """Give the line end that a text uses: that of its first line, or LF."""
    found = re.search(r"\r\n|\n|\r", text)
    return found[0] if found else "\n"
