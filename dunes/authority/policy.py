"""Policies as data: scopes, grants and rules, checked and indexed for decisions. Pure.

A document of policies has three lists. A *scope* names actions on tables, devices and
destinations; a *grant* gives scopes to a subject; a *rule* allows or denies outright. In
patterns one `*` may stand at the beginning or the end. What a document adds comes on top
of `defaults.toml`; a scope of the same name replaces the default one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from dunes.errors import ConfigError

ASSURANCES = ("seen", "enrolled", "mesh", "challenge")
"""What a verification of a device can reach, the weakest first."""
ANY = ("*",)


@dataclass(frozen=True, slots=True)
class Scope:
    """A name for some actions on some things.

    Attributes:
        name: e.g. `rover-telemetry`.
        about: one sentence for people.
        actions: patterns of actions.
        tables: patterns of tables.
        devices: patterns of devices.
        destinations: patterns of ground stations.
        min_standing: below this score the scope does not count.
        assurance: what a device has to prove for PASS (`ASSURANCES`).
        fresh_s: how old a device's last reading may be.
        tokenize: fields of its tables that identify people: `device`, or kinds of text values.
        people: patterns of devices that are called after people, in whatever table they report.
    """

    name: str
    about: str = ""
    actions: tuple[str, ...] = ()
    tables: tuple[str, ...] = ANY
    devices: tuple[str, ...] = ANY
    destinations: tuple[str, ...] = ANY
    min_standing: float = 0.5
    assurance: str = "mesh"
    fresh_s: float = 900.0
    tokenize: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """Scopes for a subject (`device:…`, `key:KID`, `role:operator`, …) until a time."""

    subject: str
    scopes: tuple[str, ...]
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """An outright yes or no; a no outranks every yes.

    Attributes:
        id: to name it, and to lift it.
        effect: `allow` or `deny`.
        subject: a pattern, e.g. `gateway:lunar-001`.
        actions: patterns.
        tables: patterns.
        devices: patterns.
        destinations: patterns.
        reason: a sentence, repeated in decisions.
        until_us: when it ends; None: not by itself.
    """

    id: str
    effect: str
    subject: str = "*"
    actions: tuple[str, ...] = ANY
    tables: tuple[str, ...] = ANY
    devices: tuple[str, ...] = ANY
    destinations: tuple[str, ...] = ANY
    reason: str = ""
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document of policies.

    Attributes:
        version: raised by one with each change.
        scopes: by order.
        grants: by order.
        rules: by order.
    """

    version: int = 0
    scopes: tuple[Scope, ...] = ()
    grants: tuple[Grant, ...] = ()
    rules: tuple[Rule, ...] = ()

    def next(self, **changes: Any) -> "Document":
        """Give the next version with other lists."""
        return replace(self, version=self.version + 1, **changes)


def matches(pattern: str, text: str) -> bool:
    """Compare a text with a pattern that may begin or end with one `*`."""
    if pattern == "*":
        return True
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return pattern == text


def matches_any(patterns: Iterable[str], text: str) -> bool:
    """Tell whether one of the patterns fits; nothing asked for fits every pattern."""
    return not text or any(matches(pattern, text) for pattern in patterns)


@dataclass(slots=True)
class Policies:
    """Documents joined and indexed; `decide` reads it and nothing else.

    Attributes:
        scopes: by name.
        version: of the local document; 0 without one.
        grants_exact: grants by the exact subject.
        grants_wide: grants whose subject is a pattern.
        rules: by effect, then by what is exact about them: see `_key`.
    """

    scopes: dict[str, Scope] = field(default_factory=dict)
    version: int = 0
    grants_exact: dict[str, list[Grant]] = field(default_factory=dict)
    grants_wide: list[Grant] = field(default_factory=list)
    rules: dict[str, dict[str, list[Rule]]] = field(
        default_factory=lambda: {"allow": {}, "deny": {}}
    )
    documents: tuple[Document, ...] = ()

    @classmethod
    def join(cls, *documents: Document) -> "Policies":
        """Join documents; later ones replace scopes of the same name.

        Raises:
            ConfigError: a grant names a scope that nobody defines.
        """
        found = cls(documents=documents)
        for document in documents:
            found.version = document.version
            for scope in document.scopes:
                found.scopes[scope.name] = scope
            for grant in document.grants:
                if "*" in grant.subject:
                    found.grants_wide.append(grant)
                else:
                    found.grants_exact.setdefault(grant.subject, []).append(grant)
            for rule in document.rules:
                found.rules[rule.effect].setdefault(_key(rule), []).append(rule)
        for grant in (*found.grants_wide, *(g for gs in found.grants_exact.values() for g in gs)):
            for name in grant.scopes:
                if name not in found.scopes:
                    raise ConfigError(
                        f"a grant to {grant.subject} names the scope {name!r}, which is not there",
                        hint="sakina scope-list",
                        code="unknown-scope",
                    )
        return found

    def scopes_of_table(self, table: str) -> list[Scope]:
        """Give the scopes that name a table outright or by pattern, in order."""
        return [
            scope
            for scope in self.scopes.values()
            if scope.tables != ANY and matches_any(scope.tables, table)
        ]

    @property
    def people(self) -> tuple[str, ...]:
        """Give the patterns of devices that are called after people."""
        return tuple(p for scope in self.scopes.values() for p in scope.people)

    def tokenized(self, table: str) -> frozenset[str]:
        """Give the fields of a table that identify people."""
        return frozenset(
            name
            for scope in self.scopes.values()
            if scope.tokenize and scope.tables != ANY and matches_any(scope.tables, table)
            for name in scope.tokenize
        )


def _key(rule: Rule) -> str:
    """Give the one exact thing by which a rule is found; `*` if it is looked at each time."""
    if len(rule.devices) == 1 and "*" not in rule.devices[0]:
        return "device:" + rule.devices[0]
    if "*" not in rule.subject:
        return "subject:" + rule.subject
    if len(rule.tables) == 1 and "*" not in rule.tables[0]:
        return "table:" + rule.tables[0]
    return "*"
