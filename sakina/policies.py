"""Change and show policies: at this gateway, or at a ground station by its data directory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dunes.authority.model import Action
from dunes.authority.policy import ANY, Document, Grant, Policies, Rule, Scope, matches
from dunes.authority.policydoc import read_document, subject_pattern, write_document
from dunes.authority.record import Recorder
from dunes.authority.store import (
    defaults,
    is_logged,
    policies_path,
    read_local,
    save_policies,
)
from dunes.clock import rfc3339
from dunes.errors import ConfigError, NotFound, UsageError
from dunes.paths import Paths, find_paths


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """A scope.

    Attributes:
        name: its name.
        about: one sentence.
        actions: patterns.
        tables: patterns.
        devices: patterns.
        destinations: patterns.
        min_standing: below this score it does not count.
        assurance: what `sakina verify` asks of a device.
        fresh_s: how old a device's last reading may be.
        tokenize: fields of its tables that identify people.
        people: patterns of devices that are called after people.
        origin: `default` or `local`.
    """

    name: str
    about: str
    actions: tuple[str, ...]
    tables: tuple[str, ...]
    devices: tuple[str, ...]
    destinations: tuple[str, ...]
    min_standing: float
    assurance: str
    fresh_s: float
    tokenize: tuple[str, ...]
    people: tuple[str, ...]
    origin: str


@dataclass(frozen=True, slots=True)
class GrantRow:
    """Scopes that somebody has.

    Attributes:
        subject: who.
        scopes: which.
        until: RFC 3339; null if open.
        origin: `default` or `local`.
    """

    subject: str
    scopes: tuple[str, ...]
    until: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """An outright yes or no.

    Attributes:
        id: to lift it by.
        effect: allow or deny.
        subject: who.
        actions: patterns.
        tables: patterns.
        devices: patterns.
        destinations: patterns.
        reason: a sentence.
        until: RFC 3339; null if open.
        origin: `default` or `local`.
    """

    id: str
    effect: str
    subject: str
    actions: tuple[str, ...]
    tables: tuple[str, ...]
    devices: tuple[str, ...]
    destinations: tuple[str, ...]
    reason: str
    until: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """The policies of a place.

    Attributes:
        file: the local document.
        version: of that; 0 if there is none.
        signed: it is as it was signed last; null if there is none.
        scopes: what there is to have.
        grants: who has what.
        rules: what is allowed or denied outright.
        changed: a sentence for each change that was made.
        log_index: where the change stands in the transparency log; null without one.
        dry_run: nothing was written.
    """

    file: str
    version: int
    signed: bool | None
    scopes: tuple[ScopeRow, ...]
    grants: tuple[GrantRow, ...]
    rules: tuple[RuleRow, ...]
    changed: tuple[str, ...] = ()
    log_index: int | None = None
    dry_run: bool = False


def place(data: Path | None) -> Paths:
    """Give the paths of this gateway, or of the ground station with a data directory.

    Raises:
        NotFound: no ground station has its data there.
    """
    if data is None:
        return find_paths()
    from dunes.uplink.grounddir import DATABASE, ground_paths

    if not (data / DATABASE).exists():
        raise NotFound(
            f"no ground station has its data in {data}",
            hint=f"mcp ground-station serve --data {data}",
            code="no-ground-data",
        )
    return ground_paths(data)


def describe(paths: Paths, document: Document | None = None, **more: Any) -> PolicyReport:
    """Describe the policies of a place, or what they would be."""
    local, _ = read_local(paths)
    shown = local if document is None else document
    both = ((defaults(), "default"), (shown, "local"))
    replaced = {scope.name for scope in shown.scopes}
    return PolicyReport(
        str(policies_path(paths)),
        shown.version,
        is_logged(paths) if document is None else None,
        tuple(
            _scope_row(scope, origin)
            for each, origin in both
            for scope in each.scopes
            if origin == "local" or scope.name not in replaced
        ),
        tuple(
            GrantRow(grant.subject, grant.scopes, _time(grant.until_us), origin)
            for each, origin in both
            for grant in each.grants
        ),
        tuple(_rule_row(rule, origin) for each, origin in both for rule in each.rules),
        **more,
    )


def _scope_row(scope: Scope, origin: str) -> ScopeRow:
    return ScopeRow(
        scope.name,
        scope.about,
        scope.actions,
        scope.tables,
        scope.devices,
        scope.destinations,
        scope.min_standing,
        scope.assurance,
        scope.fresh_s,
        scope.tokenize,
        scope.people,
        origin,
    )


def _rule_row(rule: Rule, origin: str) -> RuleRow:
    return RuleRow(
        rule.id,
        rule.effect,
        rule.subject,
        rule.actions,
        rule.tables,
        rule.devices,
        rule.destinations,
        rule.reason,
        _time(rule.until_us),
        origin,
    )


def _time(until_us: int | None) -> str | None:
    return None if until_us is None else rfc3339(until_us)


def change(
    paths: Paths, document: Document, said: Sequence[str], *, dry_run: bool, name: str = "gateway"
) -> PolicyReport:
    """Check a new version as its file would be, write it unless nothing is to be written.

    Raises:
        UsageError: it cannot be.
    """
    try:
        checked = read_document(write_document(document), "the change")
        Policies.join(defaults(), checked)
    except ConfigError as e:
        raise UsageError(e.message, hint="sakina scope-list shows what holds") from e
    if dry_run:
        return describe(paths, checked, changed=tuple(said), dry_run=True)
    index = save_policies(paths, checked, "; ".join(said), Recorder.at(paths, name))
    return describe(paths, changed=tuple(said), log_index=index)


def find_scope(document: Document, name: str) -> Scope | None:
    """Find a scope in the local document, else in the defaults."""
    found = {scope.name: scope for each in (defaults(), document) for scope in each.scopes}
    return found.get(name)


def with_scope(document: Document, scope: Scope) -> Document:
    """Put a scope in, in the place of one of the same name."""
    kept = tuple(each for each in document.scopes if each.name != scope.name)
    return replace(document, scopes=(*kept, scope))


def with_grant(document: Document, subject: str, scope: str, until_us: int | None) -> Document:
    """Give a subject a scope; a grant of the same scope is replaced.

    Raises:
        UsageError: no possible subject.
    """
    try:
        subject_pattern(subject)
    except ValueError as e:
        raise UsageError(str(e), hint="--to device:hab-sensor-001") from e
    kept = tuple(
        each
        for each in document.grants
        if not (each.subject == subject and each.scopes == (scope,))
    )
    return replace(document, grants=(*kept, Grant(subject, (scope,), until_us)))


def without_grant(document: Document, subject: str, scope: str) -> Document:
    """Take a scope from a subject.

    Raises:
        NotFound: it was not given here.
    """
    grants = []
    for each in document.grants:
        if each.subject == subject and scope in each.scopes:
            left = tuple(name for name in each.scopes if name != scope)
            if left:
                grants.append(replace(each, scopes=left))
        else:
            grants.append(each)
    if tuple(grants) == document.grants:
        raise NotFound(
            f"no local grant of {scope} to {subject}", hint="sakina scope-list", code="no-grant"
        )
    return replace(document, grants=tuple(grants))


def new_rule_id(document: Document) -> str:
    """Give an id that no rule has."""
    taken = {rule.id for each in (defaults(), document) for rule in each.rules}
    number = len(document.rules) + 1
    while f"r{number}" in taken:
        number += 1
    return f"r{number}"


def without_rule(document: Document, rule_id: str) -> Document:
    """Lift a rule.

    Raises:
        NotFound: there is none of that id here.
    """
    kept = tuple(rule for rule in document.rules if rule.id != rule_id)
    if kept == document.rules:
        known = ", ".join(rule.id for rule in document.rules) or "none"
        raise NotFound(
            f"no local rule {rule_id[:60]!r}; there is {known}",
            hint="sakina scope-list",
            code="no-rule",
        )
    return replace(document, rules=kept)


def check_actions(given: Sequence[str] | None) -> None:
    """Make sure that each action that was typed is one that is ever asked for.

    Raises:
        UsageError: one fits none; the hint has the nearest.
    """
    from difflib import get_close_matches

    known = list(map(str, Action))
    for pattern in given or ():
        if not any(matches(pattern, action) for action in known):
            near = get_close_matches(pattern, known, n=2, cutoff=0.5) or known
            raise UsageError(
                f"no action {pattern[:60]!r} is ever asked for", hint="--action " + ", ".join(near)
            )


def patterns(given: Sequence[str] | None) -> tuple[str, ...]:
    """Take an option's values; nothing means everything."""
    return tuple(given) if given else ANY
