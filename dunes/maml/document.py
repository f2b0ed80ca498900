"""Read a MAML document: front matter, sections, fences, and where each stands.

The reader is tolerant: whatever it can understand it gives back, and what is
wrong goes into `Document.faults` with its line and column. Only a document that is
too large or not UTF-8 is refused. Nothing in a document is ever run.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from dunes.maml.findings import Finding, MamlError, Severity
from dunes.maml.lines import Lines
from dunes.maml.markdown import Fence, Heading, Item, scan, section_key
from dunes.maml.yaml_tree import YamlTree, read_yaml

SIZE_DEFAULT_BYTES = 256 * 1024
SIZE_MAX_BYTES = 1_000_000
"""The hard limit of the format; no option raises it."""

RULER = "---"
EMBEDDED_TRIES = 8
"""How many rulers deeper in the text are tried as the start of front matter."""
PROFILE_KEYS = ("maml_version", "schema", "mode", "mu_version")
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
MARKS_SHOWN = 5
CFG_SCHEMAS = ("dunes.maml.v1", "glastonbury.maml.v1")


@dataclass(frozen=True, slots=True)
class Section:
    """A `## ` section.

    Attributes:
        key: its folded name, e.g. `input_schema`.
        title: as written.
        heading: index of the heading's line.
        start: index of its content.
        end: index after its content: the next section or the end.
        text: its content.
    """

    key: str
    title: str
    heading: int
    start: int
    end: int
    text: str


@dataclass(slots=True)
class Document:
    """A MAML document as read.

    Attributes:
        data: the bytes it was read from.
        text: the decoded text, without a byte order mark.
        lines: its lines.
        profile: core, key, schema, cfg, config, guide or loose.
        embedded: the front matter stands deeper in the text, not at its start.
        front: the front matter as plain values; None if there is none.
        tree: the same with the place of each value.
        front_start: index of the front matter's first character in `text`.
        sections: the `## ` sections in order.
        headings: all headings.
        fences: all fenced blocks.
        items: all list items `- key: value`.
        body_start: index after the front matter.
        faults: what the reader found wrong or remarkable.
    """

    data: bytes
    text: str
    lines: Lines
    profile: str = "loose"
    embedded: bool = False
    front: dict[str, Any] | None = None
    tree: YamlTree = field(default_factory=YamlTree)
    front_start: int = 0
    sections: list[Section] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    body_start: int = 0
    faults: list[Finding] = field(default_factory=list)

    def section(self, key: str) -> Section | None:
        """Give the first section of that folded name, if there is one."""
        return next((s for s in self.sections if s.key == key), None)

    def fences_in(self, section: Section) -> list[Fence]:
        """Give the fenced blocks of a section."""
        return [f for f in self.fences if section.start <= f.start < section.end]

    def position(self, index: int) -> tuple[int, int]:
        """Give (line, column), both from 1, of a character of `text`."""
        return self.lines.position(index)

    def position_of(self, *path: str | int) -> tuple[int, int]:
        """Give (line, column) of a value of the front matter, or of where it would be."""
        index = self.tree.values.get(path)
        return self.position(self.front_start + index) if index is not None else (1, 1)

    def position_of_key(self, *path: str | int) -> tuple[int, int]:
        """Give (line, column) of a key of the front matter."""
        index = self.tree.keys.get(path)
        return self.position(self.front_start + index) if index is not None else (1, 1)

    def written(self, *path: str | int) -> str:
        """Give a scalar of the front matter as it was written, `45s` or `1.0`."""
        if path in self.tree.written:
            return self.tree.written[path]
        value: Any = self.front
        for step in path:
            value = value[step]
        return str(value)

    def fault(self, severity: Severity, code: str, message: str, index: int) -> None:
        """Record something about the character at `index`."""
        self.faults.append(Finding(severity, code, message, *self.position(index)))

    @property
    def signed(self) -> bool:
        """Whether it carries a signature over its own bytes, as key documents do."""
        return self.section("signature") is not None

    def require_sound(self) -> "Document":
        """Give the document back if the reader found no error in it.

        Raises:
            MamlError: the first error, with its place.
        """
        for fault in self.faults:
            if fault.severity is Severity.ERROR:
                raise MamlError(fault, hint="dunes maml validate FILE shows all that is wrong")
        return self


def parse(data: bytes, *, max_bytes: int = SIZE_DEFAULT_BYTES) -> Document:
    """Read a document, tolerantly.

    Args:
        data: the file's bytes: UTF-8, LF, CRLF or CR, with or without byte order mark.
        max_bytes: the largest size to read; never above 1 MB.

    Raises:
        MamlError: too large (`too-large`), or not UTF-8 (`not-utf-8`).
    """
    text = _decode(data, min(max_bytes, SIZE_MAX_BYTES))
    document = Document(data, text, Lines(text))
    _find_marks(document)
    first = _take_front(document)
    found = scan(document.lines, first)
    document.headings, document.fences = found.headings, found.fences
    document.items = found.items
    if document.front is None:
        _seek_embedded(document)
    _take_sections(document)
    document.profile = profile_of(document.front)
    for fence in document.fences:
        if not fence.closed:
            message = "fence is never closed: everything after it is inside"
            document.fault(Severity.WARNING, "fence-open", message, fence.start)
    return document


def profile_of(front: dict[str, Any] | None) -> str:
    """Name the profile that a front matter asks for."""
    if not front:
        return "loose"
    schema = front.get("schema")
    profile = "loose"
    if "maml_version" in front:
        profile = "key" if front.get("type") == "key" else "core"
    elif schema is None:
        profile = "guide" if "mode" in front else "loose"
    elif schema == "maml_v1":
        profile = "schema"
    elif schema in CFG_SCHEMAS:
        profile = "cfg"
    elif str(schema).endswith("_config_v1"):
        profile = "config"
    return profile


def _decode(data: bytes, max_bytes: int) -> str:
    if len(data) > max_bytes:
        message = f"{len(data)} bytes; at most {max_bytes} are read"
        hint = "--max-size raises the limit up to 1 MB" if len(data) <= SIZE_MAX_BYTES else None
        raise MamlError(Finding(Severity.ERROR, "too-large", message, 1, 1), hint=hint)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as e:
        good = data[: e.start].decode("utf-8")
        line, column = Lines(good + "?").position(len(good))
        message = f"byte 0x{data[e.start]:02x} is not UTF-8"
        finding = Finding(Severity.ERROR, "not-utf-8", message, line, column)
        raise MamlError(finding, hint="save the file as UTF-8") from e
    return text.lstrip("\ufeff")


def _find_marks(document: Document) -> None:
    """Warn of characters that make a text look other than it is."""
    for pattern, code, what in (
        (BIDI, "bidi-control", "changes the direction of what follows on a screen"),
        (CONTROLS, "control-character", "is a control character"),
    ):
        for count, mark in enumerate(pattern.finditer(document.text)):
            if count == MARKS_SHOWN:
                break
            message = f"U+{ord(mark[0]):04X} {what}"
            document.fault(Severity.WARNING, code, message, mark.start())


def _take_front(document: Document) -> int:
    """Read front matter at the start; give the number of the body's first line."""
    lines = document.lines
    if not len(lines) or lines[0].rstrip(" \t") != RULER:
        return 0
    end = _closing_ruler(lines, 1)
    if end is None:
        message = "front matter is never closed: no line '---' follows"
        document.fault(Severity.ERROR, "front-matter-open", message, 0)
        return 0
    _read_front(document, 1, end)
    return end + 1


def _closing_ruler(lines: Lines, number: int) -> int | None:
    """Give the number of the next line that is a ruler."""
    return next((n for n in range(number, len(lines)) if lines[n].rstrip(" \t") == RULER), None)


def _read_front(document: Document, first: int, end: int) -> None:
    """Read the front matter in lines `first` to `end`, and record what is wrong with it."""
    lines = document.lines
    document.front_start = lines.starts[first]
    document.body_start = lines.after(end)
    tree = read_yaml(document.text[lines.starts[first] : lines.starts[end]])
    document.tree = tree
    document.front = tree.value if isinstance(tree.value, dict) else {}
    for fault in tree.faults:
        at = document.front_start + fault.index
        document.fault(Severity.ERROR, fault.code, fault.message, at)
    if tree.value is not None and not isinstance(tree.value, dict):
        message = "front matter is not a mapping of keys to values"
        document.fault(Severity.ERROR, "front-matter-kind", message, document.front_start)
    for path in tree.loose:
        message = f"{document.written(*path)[:40]!r} is text here; other readers differ: quote it"
        at = document.front_start + tree.values[path]
        document.fault(Severity.WARNING, "ambiguous-scalar", message, at)


def _seek_embedded(document: Document) -> None:
    """Take front matter that stands deeper in the text, as some documents have it."""
    lines, number = document.lines, 0
    for _ in range(EMBEDDED_TRIES):
        begin = _closing_ruler(lines, number)
        end = None if begin is None else _closing_ruler(lines, begin + 1)
        if begin is None or end is None:
            return
        text = document.text[lines.starts[begin + 1] : lines.starts[end]]
        if any(f"{key}:" in text for key in PROFILE_KEYS):
            tree = read_yaml(text)
            value = tree.value
            if isinstance(value, dict) and any(key in value for key in PROFILE_KEYS):
                document.embedded = True
                _read_front(document, begin + 1, end)
                return
        number = end


def _take_sections(document: Document) -> None:
    """Cut the body at its `## ` headings."""
    heads = [h for h in document.headings if h.level == 2]  # noqa: PLR2004 - `##`
    ends = [*(h.start for h in heads[1:]), len(document.text)][: len(heads)]
    document.sections = [
        Section(
            section_key(head.text),
            head.text,
            head.start,
            head.after,
            end,
            document.text[head.after : end],
        )
        for head, end in zip(heads, ends, strict=True)
    ]
