"""The guide's config.maml: mode and thresholds in front, a list in the body.

`MAPPING` says which setting of the house each key is; `dunes apply-config` writes
them, the validator checks them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from dunes.errors import DunesError
from dunes.maml.document import Document
from dunes.maml.findings import Severity, quoted
from dunes.maml.profiles import PROFILES
from dunes.model import check_name, table_name

MODES = ("backup-mesh",)
FAILOVERS = ("local",)
Complaint = tuple[Severity, str, str, tuple[int, int]]


class Target(NamedTuple):
    """Where a key of the document goes."""

    setting: str
    """Key of `dunes.settings.SETTINGS`; empty: checked, but nothing to set."""
    convert: Callable[[str], Any]
    """From the text as written to what the profile holds."""


def _percent(text: str) -> int:
    return round(float(re.sub(r"\s*%\s*", "", text)))


MAPPING: dict[str, Target] = {
    "mode": Target("profile.mode", str),
    "starlink-poll-interval": Target("starlink.poll", str),
    "signal-threshold": Target("profile.signal_threshold", _percent),
    "buffer-size": Target("buffer.cap", str),
    "mesh-id": Target("mesh.id", str),
    "failover": Target("profile.failover", str),
    "table": Target("", table_name),
}
SUGGESTED_MAX = 20
"""Keys of one document that get a suggestion; comparing costs."""
BODY_KEYS = ("mesh-id", "failover", "table")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a guide config document.

    Attributes:
        key: as in the document.
        written: the text as written, `45s`.
        setting: key of the house's settings; empty if it sets nothing.
        value: what the profile is to hold.
        line: where it stands, from 1.
    """

    key: str
    written: str
    setting: str
    value: Any
    line: int


def read_settings(document: Document) -> Iterator[Setting]:
    """Give the settings of a valid guide config document, in order.

    Values are as written where the house reads quantities itself.
    """
    for key, written, at in _pairs(document):
        if (target := MAPPING.get(key)) is not None:
            yield Setting(key, written, target.setting, target.convert(written), at[0])


def read_unknown(document: Document) -> Iterator[tuple[str, str, int]]:
    """Give (key, text as written, line) of what sets nothing as its key is unknown."""
    for key, written, at in _pairs(document):
        if key not in MAPPING:
            yield key, written, at[0]


def _pairs(document: Document) -> Iterator[tuple[str, str, tuple[int, int]]]:
    for key in document.front or {}:
        yield key, document.written(key), document.position_of(key)
    for item in document.items:
        yield item.key, item.value, document.position(item.start)


def complaints(document: Document) -> Iterator[Complaint]:
    """Give what is wrong or remarkable beyond the kinds of the front matter's values."""
    front = document.front or {}
    mode = front.get("mode")
    if isinstance(mode, str) and mode not in MODES:
        message = f"mode {quoted(mode)} is not one this version knows: {', '.join(MODES)}"
        yield Severity.WARNING, "unknown-mode", message, document.position_of("mode")
    seen: set[str] = set()
    for item in document.items:
        at = document.position(item.start)
        key = item.key
        if key in seen or (key in front and key in MAPPING):
            yield Severity.ERROR, "duplicate-key", f"{quoted(key)} stands twice", at
        seen.add(key)
        if key not in BODY_KEYS and key not in PROFILES["guide"].fields:
            near = get_close_matches(key, BODY_KEYS, n=1) if len(seen) < SUGGESTED_MAX else []
            ask = f"; did you mean {near[0]}?" if near else ""
            yield Severity.WARNING, "unknown-key", f"item {quoted(key)} is unknown{ask}", at
        elif (wrong := _item_complaint(key, item.value)) is not None:
            yield Severity.ERROR, "bad-value", f"{key}: {wrong}", at
        elif key == "failover" and item.value not in FAILOVERS:
            message = f"failover {quoted(item.value)} is not one this version knows: local"
            yield Severity.WARNING, "unknown-failover", message, at


def _item_complaint(key: str, value: str) -> str | None:
    if key in PROFILES["guide"].fields:
        return PROFILES["guide"].fields[key].kind.complaint(value)
    try:
        if key == "table":
            table_name(value)
        elif key == "mesh-id":
            check_name(value, "mesh")
        elif not value:
            return "there is no value"
    except DunesError as e:
        return e.message
    return None
