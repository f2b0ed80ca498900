"""What a value of the front matter may be: one table for checks and JSON Schema."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dunes.errors import DunesError
from dunes.maml.findings import quoted
from dunes.units import DURATION_S, SIZE_BYTES, parse_quantity

URI = r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$"
TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:?[0-9]{2})?)?$"
)
KID = r"^[0-9a-f]{32}$"
PERCENT = r"^\s*(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)\s*%\s*$"
CONFIG_SCHEMA = r"_config_v1$"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Attributes:
        says: how it is called in a message, after "is not".
        schema: its JSON Schema.
        complaint: gives what is wrong with a value, or None.
    """

    says: str
    schema: Mapping[str, Any]
    complaint: Callable[[Any], str | None]


def _typed(says: str, schema: Mapping[str, Any], *types: type) -> Kind:
    def complaint(value: Any) -> str | None:
        good = isinstance(value, types) and (bool in types or not isinstance(value, bool))
        return None if good else f"{quoted(value)} is not {says}"

    return Kind(says, schema, complaint)


def _matching(says: str, pattern: str, more: Callable[[str], str | None] | None = None) -> Kind:
    compiled = re.compile(pattern.removesuffix("$") + r"\Z" if pattern.endswith("$") else pattern)

    def complaint(value: Any) -> str | None:
        if not isinstance(value, str) or compiled.search(value) is None:
            return f"{quoted(value)} is not {says}"
        return more(value) if more is not None else None

    return Kind(says, {"type": "string", "pattern": pattern}, complaint)


def _is_real_time(text: str) -> str | None:
    try:
        datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text.upper()))
    except ValueError:
        return f"{quoted(text)} is not a date and time that exists"
    return None


def _constant(value: str) -> Kind:
    def complaint(found: Any) -> str | None:
        return None if found == value else f"{quoted(found)} is not {value!r}"

    return Kind(repr(value), {"const": value}, complaint)


def one_of(*values: str) -> Kind:
    """Make the kind of a value out of a few."""
    says = " or ".join(values)

    def complaint(found: Any) -> str | None:
        return None if found in values else f"{quoted(found)} is not {says}"

    return Kind(says, {"enum": list(values)}, complaint)


def _quantity(what: str, says: str, units: Mapping[str, float]) -> Kind:
    spelled = "|".join("".join(f"[{c}{c.upper()}]" for c in unit) for unit in units)
    pattern = rf"^\s*[0-9]+(\.[0-9]+)?\s*({spelled})\s*$"

    def complaint(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return f"{quoted(value)} is not {says}"
        try:
            number = parse_quantity(str(value)[:60], units, what)
        except DunesError as e:
            return f"{e.message}: {e.hint}"
        if number == 0 or re.fullmatch(pattern, str(value)) is None:
            return f"{quoted(value)} is not {says}"
        return None

    return Kind(says, {"type": "string", "pattern": pattern}, complaint)


def _permissions(value: Any) -> str | None:
    if isinstance(value, list):
        return _texts(value)
    if not isinstance(value, dict):
        return f"{quoted(value)} is not a map of lists"
    for action, holders in value.items():
        if isinstance(holders, str):
            continue
        if (wrong := _texts(holders)) is not None:
            return f"{quoted(action)}: {wrong}"
    return None


def _texts(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return None
    return f"{quoted(value)} is not a list of texts"


def _kids(value: Any) -> str | None:
    values = value if isinstance(value, list) and value else [value]
    return next(filter(None, map(KID_KIND.complaint, values)), None)


def _as_text(value: str) -> str | None:
    return None if value.strip() else "the text is empty"


TEXTS_SCHEMA = {"type": "array", "items": {"type": "string"}}
ANY = Kind("a value", {}, lambda _: None)
TEXT = _matching("a text", r"\S", _as_text)
FLAG = _typed("true or false", {"type": "boolean"}, bool)
MAP = _typed("a map", {"type": "object"}, dict)
MAP_OR_LIST = _typed("a map or a list", {"type": ["object", "array"]}, dict, list)
MAP_OR_TEXT = _typed("a map or a text", {"type": ["object", "string"]}, dict, str)
NUMBER = _typed("a number", {"type": "number"}, int, float)
URI_KIND = _matching("a URI such as urn:uuid:…", URI)
TIME_KIND = _matching("an ISO 8601 date and time", TIME, _is_real_time)
KID_KIND = _matching("a key id: 32 lower-case hex digits", KID)
KIDS = Kind(
    "a key id or a list of them",
    {"anyOf": [KID_KIND.schema, {"type": "array", "minItems": 1, "items": KID_KIND.schema}]},
    _kids,
)
PERMISSIONS = Kind(
    "a map of lists",
    {
        "oneOf": [
            {
                "type": "object",
                "additionalProperties": {"oneOf": [TEXTS_SCHEMA, {"type": "string"}]},
            },
            TEXTS_SCHEMA,
        ]
    },
    _permissions,
)
INTERVAL = _quantity("interval", "a time above zero such as 45s or 2m", DURATION_S)
SIZE = _quantity("size", "a size above zero such as 64MB or 10GB", SIZE_BYTES)
PERCENT_KIND = _matching("a percentage from 0% to 100%", PERCENT)
CONFIG_SCHEMA_KIND = _matching("a schema name that ends in _config_v1", CONFIG_SCHEMA)
constant = _constant
