"""Check a document against the rules of a profile.

Without `strict` a document is held to the rules of the profile it asks for, and
absent core keys are one warning; with it the core keys and sections must be there
whatever the profile, and an execute permission for everybody is an error.
"""

from collections.abc import Callable
from difflib import get_close_matches

from dunes.maml import guide, keydoc
from dunes.maml.document import Document, Section
from dunes.maml.findings import Finding, Findings, Severity, in_order, quoted
from dunes.maml.history import VERBS, entries, strangers
from dunes.maml.kinds import TIME_KIND
from dunes.maml.profiles import CORE_FIELDS, CORE_SECTIONS, PROFILES, Profile
from dunes.maml.strict_json import JsonFault, read_json

UUID_URN = "urn:uuid:"
KEPT_MAX = 500
JSON_TYPES = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
CORE_PROFILES = frozenset({"core", "key"})


class _Check:
    """A document being checked, and what was found."""

    def __init__(self, document: Document, profile: Profile, strict: bool) -> None:
        self.document = document
        self.profile = profile
        self.strict = strict
        self.front = document.front or {}
        self.found: list[Finding] = list(document.faults)
        # front matter deeper in the text is a sketch: what it lacks is a warning
        self.absent = Severity.WARNING if document.embedded and not strict else Severity.ERROR

    def add(self, severity: Severity, code: str, message: str, at: tuple[int, int]) -> None:
        self.found.append(Finding(severity, code, message, *at))

    def error(self, code: str, message: str, at: tuple[int, int]) -> None:
        self.add(Severity.ERROR, code, message, at)

    def warn(self, code: str, message: str, at: tuple[int, int]) -> None:
        self.add(Severity.WARNING, code, message, at)

    @property
    def top(self) -> tuple[int, int]:
        """Where absent keys are reported: the front matter's first line, or the top."""
        document = self.document
        return document.position(document.front_start) if document.front is not None else (1, 1)

    def at(self, section: Section) -> tuple[int, int]:
        """Place of a section's heading."""
        return self.document.position(section.heading)


def validate(document: Document, *, profile: str | None = None, strict: bool = False) -> Findings:
    """Check a document.

    Args:
        document: from `parse`.
        profile: rules to apply; default: those the document asks for.
        strict: hold it to the core rules too.

    Raises:
        KeyError: no such profile.
    """
    check = _Check(document, PROFILES[profile or document.profile], strict)
    _check_fields(check)
    _check_sections(check)
    _check_history(check)
    _check_core_absent(check)
    if (extra := EXTRA.get(check.profile.name)) is not None:
        extra(check)
    return Findings(check.profile.name, strict, _bounded(check.found))


def _bounded(found: list[Finding]) -> list[Finding]:
    """Keep so many errors and so many warnings; a document of faults needs no complete list."""
    kept = []
    for severity in Severity:
        mine = in_order(f for f in found if f.severity is severity)
        kept += mine[:KEPT_MAX]
        if len(mine) > KEPT_MAX:
            last = mine[KEPT_MAX]
            message = f"{len(mine) - KEPT_MAX} more of severity {severity} are not listed"
            kept.append(Finding(severity, "more", message, last.line, last.column))
    return in_order(kept)


def _check_fields(check: _Check) -> None:
    document, profile = check.document, check.profile
    if document.front is None and profile.fields:
        if not any(f.code == "front-matter-open" for f in check.found):
            check.error("front-matter-absent", "there is no front matter", (1, 1))
        return
    for key, field in profile.fields.items():
        if key not in check.front:
            if field.required:
                message = f"key {key!r} is absent: {field.help}"
                check.add(check.absent, "key-absent", message, check.top)
            continue
        value = check.front[key]
        if value is None and not field.required:
            continue
        complaint = field.kind.complaint(value)
        if complaint is not None:
            check.error("bad-value", f"{key}: {complaint}", document.position_of(key))
    if profile.closed:
        _check_unknown(check)


def _check_unknown(check: _Check) -> None:
    """Warn of keys that may be misspelled ones."""
    known = check.profile.fields
    for number, key in enumerate(check.front):
        if key not in known and not key.startswith("x-"):
            near = get_close_matches(key, known, n=1) if number < guide.SUGGESTED_MAX else []
            ask = f"; did you mean {near[0]}?" if near else ""
            message = f"key {quoted(key)} is unknown in this profile{ask}"
            check.warn("unknown-key", message, check.document.position_of_key(key))


def _check_sections(check: _Check) -> None:
    seen: dict[str, Section] = {}
    for section in check.document.sections:
        if section.key in seen and section.key in KNOWN_SECTIONS:
            line = check.at(seen[section.key])[0]
            message = f"section {quoted(section.title)} stands already in line {line}"
            check.warn("section-twice", message, check.at(section))
        seen.setdefault(section.key, section)
    for key in check.profile.sections:
        if key not in seen:
            message = f"section '## {key.title()}' is absent"
            check.add(check.absent, "section-absent", message, check.top)
        elif not seen[key].text.strip():
            check.warn(
                "section-empty", f"section '## {key.title()}' is empty", check.at(seen[key])
            )
    for key in ("input_schema", "output_schema"):
        if key in seen:
            _check_schema_section(check, seen[key])
    if "code_blocks" in seen:
        _check_code_blocks(check, seen["code_blocks"])


def _check_code_blocks(check: _Check, section: Section) -> None:
    for fence in check.document.fences_in(section):
        if not fence.language:
            at = check.document.position(fence.start)
            check.warn("fence-language", "this block does not name its language", at)


def _check_schema_section(check: _Check, section: Section) -> None:
    """Look whether a schema section holds a JSON Schema, fenced or not."""
    document = check.document
    fence = next(iter(document.fences_in(section)), None)
    text, start = (fence.text, fence.inside) if fence else (section.text, section.start)
    if not text.strip():
        return
    try:
        schema = read_json(text)
    except JsonFault as fault:
        at = document.position(min(start + fault.index, len(document.text)))
        severity = Severity.ERROR if fence and fence.language == "json" else Severity.WARNING
        check.add(severity, "json-syntax", f"{section.title[:40]}: {fault.message}", at)
        return
    message = schema_complaint(schema)
    if message is not None:
        check.error("json-schema", f"{section.title[:40]}: {message}", document.position(start))


def schema_complaint(schema: object) -> str | None:
    """Say why a JSON value cannot be a JSON Schema, or give None.

    Looks at its shape only: kind, `type`, `properties`, `required`.
    """
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, dict):
        return "a JSON Schema is an object"
    types = schema.get("type", [])
    names = types if isinstance(types, list) else [types]
    wrong = [t for t in names if not isinstance(t, str) or t not in JSON_TYPES]
    if wrong:
        return f"{quoted(wrong[0])} is no JSON type"
    if not isinstance(schema.get("properties", {}), dict):
        return "'properties' is not an object"
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return "'required' is not a list of names"
    return None


def _check_history(check: _Check) -> None:
    document = check.document
    for entry in entries(document):
        at = document.position(entry.index)
        if (complaint := TIME_KIND.complaint(entry.at)) is not None:
            check.warn("history-time", f"History: {complaint}", at)
        if entry.verb not in VERBS:
            check.warn("history-verb", f"History: {quoted(entry.verb)} is no known verb", at)
    for index, line in strangers(document):
        message = f"{quoted(line, 40)} is no History entry '- <time>: [VERB] text'"
        check.warn("history-entry", message, document.position(index))


def _check_core_absent(check: _Check) -> None:
    """Report the core keys and sections that a document of another profile lacks."""
    if check.profile.name in CORE_PROFILES:
        return
    required = [key for key, field in CORE_FIELDS.items() if field.required]
    keys = [key for key in required if key not in check.front]
    there = {s.key for s in check.document.sections}
    sections = [key for key in CORE_SECTIONS if key not in there]
    if check.strict:
        for key in keys:
            check.error("key-absent", f"key {key!r} is absent: {CORE_FIELDS[key].help}", check.top)
        for key in sections:
            check.error("section-absent", f"section '## {key.title()}' is absent", check.top)
    elif keys and check.profile.name != "guide":  # whose documents never have them
        check.warn("core-absent", f"core keys are absent: {', '.join(keys)}", check.top)


def _check_core(check: _Check) -> None:
    document, front = check.document, check.front
    named = front.get("id")
    if isinstance(named, str) and named.lower().startswith(UUID_URN) and not _is_uuid(named[9:]):
        check.warn("bad-uuid", f"id: {quoted(named[9:])} is no UUID", document.position_of("id"))
    origin = front.get("origin")
    if isinstance(origin, str) and not origin.startswith("agent://"):
        check.warn("origin-form", "origin is not agent://name", document.position_of("origin"))
    permissions = front.get("permissions")
    if isinstance(permissions, list):
        message = "permissions is a flat list: write read, write, execute"
        check.warn("permissions-flat", message, document.position_of("permissions"))
    elif isinstance(permissions, dict):
        holders = permissions.get("execute")
        if holders == "*" or (isinstance(holders, list) and "*" in holders):
            severity = Severity.ERROR if check.strict else Severity.WARNING
            at = document.position_of("permissions", "execute")
            check.add(severity, "execute-anyone", "everybody may execute this", at)
    verification = front.get("verification")
    if isinstance(verification, dict):
        level = verification.get("level", "strict")
        if level not in ("strict", "warn"):
            at = document.position_of("verification", "level")
            check.warn("verification-level", f"{quoted(level)} is neither strict nor warn", at)
    kind = front.get("type")
    is_api = isinstance(kind, str) and "api" in kind.lower().split("_")
    if is_api and document.section("input_schema") is None:
        message = "section '## Input_Schema' is absent: API types need it"
        check.add(check.absent, "section-absent", message, check.top)


def _is_uuid(text: str) -> bool:
    digits = text.replace("-", "")
    return [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12] and all(
        c in "0123456789abcdefABCDEF" for c in digits
    )


def _check_key(check: _Check) -> None:
    _check_core(check)
    for code, message, at in keydoc.complaints(check.document):
        check.error(code, message, at)


def _check_cfg(check: _Check) -> None:
    keys = [s.key for s in check.document.sections if s.key in check.profile.sections]
    wanted = [key for key in check.profile.sections if key in keys]
    first = list(dict.fromkeys(keys))
    if first != wanted:
        message = f"sections stand in another order than {', '.join(wanted)}"
        check.warn("section-order", message, check.at(check.document.sections[0]))


def _check_config(check: _Check) -> None:
    sections = check.document.sections
    if not sections:
        check.error("section-absent", "a config document has one section", check.top)
        return
    if len(sections) > 1:
        check.warn("section-twice", "a config document has one section", check.at(sections[1]))
    if not check.document.items:
        check.error("items-absent", "the section has no '- Key: value'", check.at(sections[0]))


def _check_guide(check: _Check) -> None:
    for severity, code, message, at in guide.complaints(check.document):
        check.add(severity, code, message, at)


KNOWN_SECTIONS = frozenset(
    {"intent", "context", "content", "code_blocks", "input_schema", "output_schema", "history"}
)
EXTRA: dict[str, Callable[[_Check], None]] = {
    "core": _check_core,
    "key": _check_key,
    "cfg": _check_cfg,
    "config": _check_config,
    "guide": _check_guide,
}
