"""The Markdown structure that MAML needs: sections, fences, list items.

Fences are tracked as CommonMark 0.31 (section 4.5) says before any heading is
sought: a heading or a ruler inside a fence is text. Not tracked: fences inside
block quotes and fences indented by four columns or more (both are rare, and
neither can open a section).
"""

import re
from dataclasses import dataclass

from dunes.maml.lines import Lines

FENCE_OPEN = re.compile(r" {0,3}(`{3,}|~{3,})(.*)", re.DOTALL)
HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
ITEM = re.compile(r" {0,3}[-*+][ \t]+([^\s:][^:]{0,63}?)[ \t]*:(?:[ \t]+(.*))?", re.DOTALL)
"""A list item `- key: value`."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block.

    Attributes:
        language: first word of the info string in lower case; empty if none.
        info: the whole info string.
        text: the content, line ends as in the document, no fence lines.
        start: index of the opening fence's line.
        inside: index of the content.
        closed: whether a closing fence was found.
    """

    language: str
    info: str
    text: str
    start: int
    inside: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Heading:
    """An ATX heading outside fences.

    Attributes:
        level: 1 to 6.
        text: the title as written.
        start: index of its line.
        after: index of the line that follows.
    """

    level: int
    text: str
    start: int
    after: int


@dataclass(frozen=True, slots=True)
class Item:
    """A list item `- key: value` outside fences.

    Attributes:
        key: as written.
        value: as written, empty if nothing follows the colon.
        start: index of the value (of the line's end if it is empty).
    """

    key: str
    value: str
    start: int


@dataclass(slots=True)
class Structure:
    """What stands in a body, in order of appearance."""

    headings: list[Heading]
    fences: list[Fence]
    items: list[Item]


def scan(lines: Lines, first: int) -> Structure:
    """Find headings, fences and items from line `first` (from 0) to the end."""
    found = Structure([], [], [])
    number, count = first, len(lines)
    in_comment = False
    while number < count:
        line = lines[number]
        if in_comment:
            in_comment = "-->" not in line
        elif (bare := line.lstrip(" ")) and (mark := bare[0]) in "`~#-*+<":
            if mark in "`~":
                if (opened := FENCE_OPEN.fullmatch(line)) and not (
                    mark == "`" and "`" in opened[2]
                ):
                    number = _take_fence(lines, number, opened, found)
                    continue
            elif mark == "#":
                if heading := HEADING.match(line):
                    text = _title(line[heading.end() :])
                    span = lines.starts[number], lines.after(number)
                    found.headings.append(Heading(len(heading[1]), text, *span))
            elif mark == "<":
                in_comment = bare.startswith("<!--") and "-->" not in bare
            elif item := ITEM.fullmatch(line):
                value = item[2] or ""
                at = item.start(2) if value else len(line)
                found.items.append(Item(item[1], value.strip(), lines.starts[number] + at))
        number += 1
    return found


def _title(rest: str) -> str:
    """Strip a heading's text of spaces and of a closing run of `#`."""
    text = rest.strip(" \t")
    shorter = text.rstrip("#")
    return shorter.rstrip(" \t") if not shorter or shorter[-1] in " \t" else text


def _take_fence(lines: Lines, number: int, opened: re.Match[str], found: Structure) -> int:
    """Read the fence that opens at line `number`; give the number of the line after it."""
    ticks, info = opened[1], opened[2].strip()
    mark, width = ticks[0], len(ticks)
    inside = lines.after(number)
    last = number + 1
    closed = False
    while last < len(lines):
        bare = lines[last].strip(" \t")
        if (
            bare[:1] == mark
            and len(bare) >= width
            and not bare.strip(mark)
            and len(lines[last]) - len(lines[last].lstrip(" ")) <= 3  # noqa: PLR2004 - CommonMark 4.5
        ):
            closed = True
            break
        last += 1
    end = lines.starts[last] if closed else len(lines.text)
    language = info.split(None, 1)[0].lower() if info else ""
    text = lines.text[inside:end]
    found.fences.append(Fence(language, info, text, lines.starts[number], inside, closed))
    return last + 1 if closed else len(lines)


def section_key(title: str) -> str:
    """Fold a section's title to its name: `🐪 Input Schema` → `input_schema`.

    Emoji, punctuation, case and the difference of space, `-` and `_` do not count.
    """
    kept = "".join(c if c.isalnum() or c == "." else " " for c in title)
    return "_".join(kept.split()).casefold()
