"""Front matter: a safe subset of YAML, with the place of every value.

Read from the parser's events, never from its constructors: no alias, anchor or tag
is followed, and depth and number of values are bounded while reading, so a small
text cannot grow ("YAML bomb"). Plain scalars follow the core schema of YAML 1.2,
less what readers disagree about: timestamps, `yes`/`no`, sexagesimals and numbers
with a leading zero stay text, as do values of keys that name a version.
"""

import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Path = tuple[str | int, ...]

DEPTH_MAX = 32
VALUES_MAX = 20_000
"""More than any real front matter (the longest published one has 400)."""

UNPRINTABLE = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
)
"""What YAML 1.2 (section 5.1) does not allow in a stream."""
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})|0x[0-9a-fA-F]{1,15}|0o[0-7]{1,20}")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]{1,30}|(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,3})?"
)
STARTS_NUMBER = frozenset("0123456789+-.")
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
YAML_1_1_TRUTHS = frozenset(
    {"yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "y", "n"}
)
YAML_1_1_NUMBERS = re.compile(r"[-+]?0[0-9]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with the YAML.

    Attributes:
        code: a stable word.
        message: a sentence.
        index: place in the text that was read, in characters.
        fatal: reading stopped here.
    """

    code: str
    message: str
    index: int
    fatal: bool = True


@dataclass(slots=True)
class YamlTree:
    """What was read, as plain dicts, lists and scalars, and where.

    Attributes:
        value: the root; partial if a fault was fatal, None if there is nothing.
        keys: index of the key of each mapping entry, by path.
        values: index of each value, by path.
        written: the text as written of each plain scalar that did not become text, or that
            is in `loose`.
        loose: paths of text that YAML 1.1 readers take for a truth value or a number.
        faults: what is wrong.
    """

    value: Any = None
    keys: dict[Path, int] = field(default_factory=dict)
    values: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    loose: list[Path] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@cache
def _engine() -> tuple[Any, Any]:
    """Import yaml once, with libyaml where the build has it (18 times faster)."""
    import yaml

    return yaml, getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> YamlTree:
    """Read one YAML document.

    Never raises for what the text holds: faults are in the result.
    """
    tree = YamlTree()
    if (bad := UNPRINTABLE.search(text)) is not None:
        message = f"character U+{ord(bad[0]):04X} is not allowed in YAML"
        tree.faults.append(Fault("yaml-character", message, bad.start()))
        return tree
    yaml, loader_type = _engine()
    loader = loader_type(text)
    try:
        _Builder(tree, yaml).run(loader)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        said = " ".join(part for part in (e.context, e.problem) if part)
        index = mark.index if mark is not None else 0
        code = "yaml-depth" if "nesting depth" in said else "yaml-syntax"
        tree.faults.append(Fault(code, f"not YAML: {said}", index))
    except yaml.YAMLError as e:
        tree.faults.append(Fault("yaml-syntax", f"not YAML: {str(e)[:200]}", 0))
    except RecursionError:
        tree.faults.append(Fault("yaml-depth", f"nested deeper than {DEPTH_MAX}", 0))
    finally:
        loader.dispose()
    return tree


class _Stop(Exception):
    """A fatal fault has been recorded."""


class _Builder:
    """Builds a tree from events; the stack of open collections is its only state."""

    def __init__(self, tree: YamlTree, yaml: Any) -> None:
        self.tree = tree
        self.yaml = yaml
        # one entry per open collection: container, its path, key that waits for a value
        self.stack: list[tuple[Any, Path]] = []
        self.key: list[str | None] = []
        self.count = 0
        self.skipping = 0

    def run(self, loader: Any) -> None:
        yaml = self.yaml
        scalar, alias = yaml.ScalarEvent, yaml.AliasEvent
        mapping, sequence = yaml.MappingStartEvent, yaml.SequenceStartEvent
        ends = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
        documents = 0
        try:
            while True:
                event = loader.get_event()
                kind = type(event)
                if kind is scalar:
                    self.start(event)
                    self.take_scalar(event)
                elif kind is mapping or kind is sequence:
                    self.start(event)
                    self.open(event, {} if kind is mapping else [])
                elif kind in ends:
                    self.stack.pop()
                    self.key.pop()
                elif kind is alias:
                    message = f"alias *{event.anchor[:40]} is refused: write the value itself"
                    self.fail("yaml-alias", message, event)
                elif kind is yaml.DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        self.fail("yaml-documents", "more than one YAML document", event)
                elif kind is yaml.StreamEndEvent:
                    return
        except _Stop:
            return

    def fail(self, code: str, message: str, event: Any) -> None:
        self.tree.faults.append(Fault(code, message, event.start_mark.index))
        raise _Stop

    def start(self, event: Any) -> None:
        """Refuse anchors and tags, count the value."""
        if event.anchor is not None:
            self.fail("yaml-alias", f"anchor &{event.anchor[:40]} is refused", event)
        if event.tag is not None:
            self.fail("yaml-tag", f"tag {event.tag[:60]} is refused", event)
        self.count += 1
        if self.count > VALUES_MAX:
            self.fail("yaml-values", f"more than {VALUES_MAX} values", event)

    def open(self, event: Any, container: Any) -> None:
        if len(self.stack) >= DEPTH_MAX:
            self.fail("yaml-depth", f"nested deeper than {DEPTH_MAX}", event)
        if self.stack and self.key[-1] is None and isinstance(self.stack[-1][0], dict):
            self.fail("yaml-key", "a key must be a plain word or a quoted text", event)
        path = self.place(container, event)
        self.stack.append((container, path))
        self.key.append(None)

    def take_scalar(self, event: Any) -> None:
        text = event.value
        if self.stack and self.key[-1] is None and isinstance(self.stack[-1][0], dict):
            self.take_key(text, event)
            return
        value: Any = text
        loose = False
        if event.implicit[0]:
            value, loose = resolve(text)
        path = self.place(value, event)
        if path and isinstance(path[-1], str) and path[-1].endswith("version"):
            self.put(path, text)
        elif value is not text or loose:
            self.tree.written[path] = text
        if loose:
            self.tree.loose.append(path)

    def take_key(self, text: str, event: Any) -> None:
        container, path = self.stack[-1]
        key_path = (*path, text)
        if text in container:
            line = f"key {text[:60]!r} stands here for the second time"
            index = event.start_mark.index
            self.tree.faults.append(Fault("duplicate-key", line, index, fatal=False))
            # the first value stays; the second is read under a name of its own and dropped
            self.key[-1] = "\0again"
            return
        self.tree.keys[key_path] = event.start_mark.index
        self.key[-1] = text

    def place(self, value: Any, event: Any) -> Path:
        """Put a value where it belongs and give its path."""
        if not self.stack:
            self.tree.value = value
            path: Path = ()
        else:
            container, base = self.stack[-1]
            if isinstance(container, list):
                path = (*base, len(container))
                container.append(value)
            else:
                key = self.key[-1] or ""
                path = (*base, key)
                if key != "\0again":
                    container[key] = value
                self.key[-1] = None
        self.tree.values[path] = event.start_mark.index
        return path

    def put(self, path: Path, text: str) -> None:
        """Replace the value that was placed last by its text."""
        container = self.stack[-1][0]
        if path[-1] != "\0again":
            container[path[-1]] = text


def resolve(text: str) -> tuple[Any, bool]:
    """Give the value of a plain scalar, and whether YAML 1.1 readers see another.

    An integer beyond 18 digits and a float that is not finite stay text.
    """
    if text[:1] in STARTS_NUMBER:
        if INTEGER.fullmatch(text):
            return int(text, 0), False
        if FLOAT.fullmatch(text):
            number = float(text)
            held = math.isfinite(number) and not text.lstrip("+-").isdigit()
            return (number, False) if held else (text, True)
        return text, YAML_1_1_NUMBERS.fullmatch(text) is not None
    if text in NULLS:
        return None, False
    if text in TRUTHS:
        return TRUTHS[text], False
    return text, text in YAML_1_1_TRUTHS
