"""The decision itself. Pure: no file, no clock, no dice; some microseconds.

In this order, the first that answers:

1. a subject or device in quarantine gets a no;
2. a rule that denies and matches says no;
3. a rule that allows and matches says yes;
4. a scope that the subject has (by its token or a grant) and that covers the action says
   yes, if the subject's standing reaches the scope's floor;
5. no.
"""

from collections.abc import Iterator

from dunes.authority.model import UNKNOWN, Action, Decision, Request, Standings, Subject
from dunes.authority.policy import Policies, Rule, Scope, matches, matches_any

PUT_OUT = Action.MESH_CONFIGURE
"""What may still be done to a device in quarantine: putting it out of the mesh."""


def decide(request: Request, policies: Policies, standings: Standings, now_us: int) -> Decision:
    """Say whether a subject may do something.

    Args:
        request: who, what, on what.
        policies: joined and indexed.
        standings: by id, of those about whom something is known.
        now_us: µs since 1970.
    """
    subject, resource = request.subject, request.resource
    if (quarantined := _quarantine(request, standings)) is not None:
        return quarantined
    if (rule := _first(policies, "deny", request, now_us)) is not None:
        return Decision(
            False, (rule.reason or f"rule {rule.id} forbids it",), f"rule:{rule.id}", request
        )
    if (rule := _first(policies, "allow", request, now_us)) is not None:
        return Decision(
            True, (rule.reason or f"rule {rule.id} allows it",), f"rule:{rule.id}", request
        )
    low: list[str] = []
    score = standings.get(subject.id, UNKNOWN).score
    for scope in scopes_of(subject, policies, now_us):
        if not covers(scope, request):
            continue
        if score >= scope.min_standing:
            return Decision(
                True,
                (f"scope {scope.name} covers {request.action}",),
                f"scope:{scope.name}",
                request,
            )
        low.append(
            f"scope {scope.name} needs a standing of {scope.min_standing:g}; {subject.name} "
            f"has {score:.2f}"
        )
    what = f"{request.action} on {resource}" if str(resource) else request.action
    return Decision(False, (*low, f"no scope of {subject.name} covers {what}"), "", request)


def scopes_of(subject: Subject, policies: Policies, now_us: int) -> Iterator[Scope]:
    """Give the scopes that a subject has now: its token's, then those granted to it."""
    for name in subject.scopes:
        if (found := policies.scopes.get(name)) is not None:
            yield found
    names = [subject.name, *(f"role:{role}" for role in subject.roles)]
    grants = [grant for name in names for grant in policies.grants_exact.get(name, ())]
    grants += [
        grant
        for grant in policies.grants_wide
        if any(matches(grant.subject, name) for name in names)
    ]
    for grant in grants:
        if grant.until_us is None or now_us < grant.until_us:
            for name in grant.scopes:
                yield policies.scopes[name]


def covers(scope: Scope, request: Request) -> bool:
    """Tell whether a scope names an action and what it is about."""
    resource = request.resource
    return (
        any(matches(pattern, request.action) for pattern in scope.actions)
        and matches_any(scope.tables, resource.table)
        and matches_any(scope.devices, resource.device)
        and matches_any(scope.destinations, resource.destination)
    )


def _quarantine(request: Request, standings: Standings) -> Decision | None:
    if not standings:
        return None
    subject, device = request.subject, request.resource.device
    for who, what in ((subject.id, subject.name), (device, f"device {device}")):
        reason = standings.get(who, UNKNOWN).quarantined
        if reason and not (who == device != subject.id and request.action == PUT_OUT):
            return Decision(False, (f"{what} is in quarantine: {reason}",), "quarantine", request)
    return None


def _first(policies: Policies, effect: str, request: Request, now_us: int) -> Rule | None:
    """Find the first rule of an effect that matches; exact ones by their index."""
    index = policies.rules[effect]
    if not index:
        return None
    subject, resource = request.subject, request.resource
    keys = [
        "*",
        "subject:" + subject.name,
        "device:" + resource.device,
        "table:" + resource.table,
        *("subject:role:" + role for role in subject.roles),
    ]
    for key in keys:
        for rule in index.get(key, ()):
            if _applies(rule, request) and (rule.until_us is None or now_us < rule.until_us):
                return rule
    return None


def _applies(rule: Rule, request: Request) -> bool:
    """Tell whether a rule is about a request; what it names, the request must have."""
    subject, resource = request.subject, request.resource
    who = matches(rule.subject, subject.name) or (
        rule.subject.startswith("role:") and rule.subject[5:] in subject.roles
    )
    return (
        who
        and any(matches(pattern, request.action) for pattern in rule.actions)
        and any(matches(pattern, resource.table) for pattern in rule.tables)
        and any(matches(pattern, resource.device) for pattern in rule.devices)
        and any(matches(pattern, resource.destination) for pattern in rule.destinations)
    )
