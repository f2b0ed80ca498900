"""Documents of policies as TOML and JSON hold them: read with every check, written again. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from dunes.authority.model import SUBJECT_KINDS, is_subject_id
from dunes.authority.policy import ASSURANCES, Document, Grant, Rule, Scope
from dunes.errors import ConfigError
from dunes.model import table_name

SCHEMA = "dunes.policies/1"
NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PATTERN = re.compile(r"\*|\*?[A-Za-z0-9._@:/+-]{1,128}|[A-Za-z0-9._@:/+-]{1,128}\*")
REASON_MAX = 200

_SCOPE_LISTS = ("actions", "tables", "devices", "destinations", "tokenize", "people")
_RULE_LISTS = ("actions", "tables", "devices", "destinations")


def read_document(body: Mapping[str, Any], where: str) -> Document:
    """Check a document as it came out of TOML or JSON.

    Args:
        body: its content.
        where: its file, for messages.

    Raises:
        ConfigError: an unknown key, a wrong type, a pattern that cannot be.
    """
    try:
        _only(body, {"schema", "version", "scopes", "grants", "rules"}, "the document")
        _schema(body.get("schema", SCHEMA))
        document = Document(
            _number(body.get("version", 0), "version"),
            tuple(_scope(each) for each in _rows(body, "scopes")),
            tuple(_grant(each) for each in _rows(body, "grants")),
            tuple(_rule(each) for each in _rows(body, "rules")),
        )
        _unique([rule.id for rule in document.rules])
    except (ValueError, TypeError, KeyError) as e:
        raise ConfigError(
            f"{where}: {e}",
            hint=f"mend {where}; sakina scope-list shows what holds",
            code="bad-policies",
        ) from e
    return document


def write_document(document: Document) -> dict[str, Any]:
    """Give a document as JSON takes it; what has its default value is left out."""
    return {
        "schema": SCHEMA,
        "version": document.version,
        "scopes": [_plain(each, Scope(each.name)) for each in document.scopes],
        "grants": [_plain(each, None) for each in document.grants],
        "rules": [_plain(each, Rule(each.id, "")) for each in document.rules],
    }


def _schema(said: Any) -> None:
    if said != SCHEMA:
        raise ValueError(f"schema {str(said)[:40]!r} is not {SCHEMA}")


def _unique(ids: list[str]) -> None:
    if len(set(ids)) != len(ids):
        raise ValueError("two rules have one id")


def _plain(row: Any, default: Any) -> dict[str, Any]:
    kept = {}
    for name in row.__slots__:
        value = getattr(row, name)
        if name in {"name", "id", "effect", "subject"} or (
            value is not None if default is None else value != getattr(default, name)
        ):
            kept[name] = list(value) if isinstance(value, tuple) else value
    return kept


def _rows(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = body.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError(f"{name} is not a list of tables")
    return rows


def _scope(row: Mapping[str, Any]) -> Scope:
    _only(row, set(Scope.__slots__), "a scope")
    name = _text(row["name"], "name")
    if NAME.fullmatch(name) is None:
        raise ValueError(f"{name[:60]!r} cannot name a scope (a-z, 0-9 and '-', a letter first)")
    found = Scope(
        name,
        about=_text(row.get("about", ""), "about")[:REASON_MAX],
        min_standing=_share(row.get("min_standing", 0.5), "min_standing"),
        assurance=_text(row.get("assurance", "mesh"), "assurance"),
        fresh_s=float(row.get("fresh_s", 900.0)),
        **{key: _patterns(row[key], key) for key in _SCOPE_LISTS if key in row},
    )
    if found.assurance not in ASSURANCES:
        raise ValueError(f"scope {name}: assurance is one of {', '.join(ASSURANCES)}")
    if not found.actions:
        raise ValueError(f"scope {name} names no action")
    return found


def _grant(row: Mapping[str, Any]) -> Grant:
    _only(row, set(Grant.__slots__), "a grant")
    until = row.get("until_us")
    return Grant(
        subject_pattern(_text(row["subject"], "subject")),
        _patterns(row["scopes"], "scopes"),
        None if until is None else _number(until, "until_us"),
    )


def _rule(row: Mapping[str, Any]) -> Rule:
    _only(row, set(Rule.__slots__), "a rule")
    if row["effect"] not in {"allow", "deny"}:
        raise ValueError("a rule's effect is allow or deny")
    until = row.get("until_us")
    return Rule(
        _text(row["id"], "id"),
        row["effect"],
        subject_pattern(_text(row.get("subject", "*"), "subject")),
        reason=_text(row.get("reason", ""), "reason")[:REASON_MAX],
        until_us=None if until is None else _number(until, "until_us"),
        **{key: _patterns(row[key], key) for key in _RULE_LISTS if key in row},
    )


def subject_pattern(text: str) -> str:
    """Give a subject's pattern back if it can be one: `*`, `kind:*`, `kind:name`, `kind:na*`.

    Raises:
        ValueError: it cannot.
    """
    if text == "*":
        return text
    kind, colon, rest = text.partition(":")
    stem = rest.removesuffix("*")
    known = kind in SUBJECT_KINDS or kind == "role"
    if not (colon and rest and known and (not stem or is_subject_id(stem))):
        raise ValueError(
            f"{text[:80]!r} names no subject; write KIND:NAME with a kind of "
            f"{', '.join(sorted(SUBJECT_KINDS))} or role"
        )
    return text


def table_pattern(text: str) -> str:
    """Give a table's one name where a whole one is meant; leave patterns alone."""
    return text if "*" in text else table_name(text)


def _patterns(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
        raise TypeError(f"{what} is not a list of texts")
    for each in value:
        if _PATTERN.fullmatch(each) is None:
            raise ValueError(f"{what}: {each[:60]!r} is no name or pattern")
    return tuple(table_pattern(each) for each in value) if what == "tables" else tuple(value)


def _only(row: Mapping[str, Any], known: set[str], what: str) -> None:
    if extra := sorted(set(row) - known):
        raise ValueError(f"{what} has an unknown key {str(extra[0])[:40]!r}")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} is not a text")
    return value


def _number(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{what} is not a whole number from 0")
    return value


def _share(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise TypeError(f"{what} is not a number from 0 to 1")
    return float(value)
