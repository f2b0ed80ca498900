"""Load on what decides: many questions, forged tokens among them, and the issuer if one is up.

Every answer is judged: a question that must be refused and is not is a leak, and two
answers to one question that differ are an inconsistency. Speed is only told.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dunes.authority.decide import decide
from dunes.authority.gate import Gate, LedgerStandings
from dunes.authority.model import Request, Resource, Subject
from dunes.authority.policy import Policies, Scope
from dunes.authority.store import load_policies
from dunes.authority.token import (
    Authorities,
    Claims,
    check_token,
    make_token,
    read_token,
)
from dunes.clock import SYSTEM_CLOCK, US_PER_S
from dunes.crypto.signing import SigningKey
from dunes.errors import DunesError, NotFound
from dunes.paths import Paths
from dunes.site import Site

TARGET_US = 50.0
TOKENS_MAX = 200
"""Verifications of ML-DSA signatures; more tell nothing new."""
FORGED_EVERY = 10
THREADS = 4
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Speed:
    """How long one thing took, and how many a second.

    Attributes:
        count: how many.
        per_s: a second, all together.
        p50_us: half took no longer.
        p99_us: all but one in a hundred took no longer.
    """

    count: int
    per_s: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True, slots=True)
class StressReport:
    """What a load showed.

    Attributes:
        passed: no leak, no inconsistency, no failure.
        scope: that the questions were about.
        decisions: of the core alone.
        recorded: through the gate, with the record of decisions.
        within_target: half of the core's decisions took less than 50 µs.
        allowed: questions answered with yes.
        denied: questions answered with no.
        leaks: questions that had to be refused and were not.
        inconsistent: questions that got different answers from different threads.
        tokens: verified, each with one ML-DSA-65 signature.
        forged_accepted: forged tokens that were taken; has to be 0.
        issuer: token requests to the simulated site's issuer; null where none is up.
        issuer_failed: of those, refused or lost.
    """

    passed: bool
    scope: str
    decisions: Speed
    recorded: Speed
    within_target: bool
    allowed: int
    denied: int
    leaks: int
    inconsistent: int
    tokens: Speed
    forged_accepted: int
    issuer: Speed | None = None
    issuer_failed: int = 0


def questions(scope: Scope, policies: Policies, count: int) -> list[tuple[Request, bool]]:
    """Make questions about a scope, each with whether it must be refused.

    A stranger without scopes must always be refused, unless a rule allows it to everybody.
    """
    table = next((t for t in scope.tables if "*" not in t), "iot_data")
    device = next((d.rstrip("*") + "001" for d in scope.devices if d != "*"), "hab-sensor-001")
    action = scope.actions[0].rstrip("*") or "table.read"
    wide = any(rule.subject in {"*", "token:*"} for rules in policies.rules["allow"].values()
               for rule in rules)  # fmt: skip
    made = []
    for n in range(count):
        resource = Resource(table, device)
        if n % 3 == 0:
            who = Subject("token", f"friend-{n}", frozenset({scope.name}))
            made.append((Request(who, action, resource), False))
        elif n % 3 == 1:
            made.append((Request(Subject("token", f"stranger-{n}"), action, resource), not wide))
        else:
            who = Subject("token", f"greedy-{n}", frozenset({"no-such-scope"}))
            made.append((Request(who, action, resource), not wide))
    return made


def stress(paths: Paths, name: str, count: int, site: Site | None) -> StressReport:
    """Put load on what decides.

    Args:
        paths: of the installation.
        name: of the scope.
        count: how many questions.
        site: the running simulated site, whose issuer is asked too.

    Raises:
        NotFound: no such scope.
    """
    policies = load_policies(paths)
    if name not in policies.scopes:
        raise NotFound(f"no scope {name[:60]!r}", hint="sakina scope-list", code="unknown-scope")
    asked = questions(policies.scopes[name], policies, count)
    plain = [request for request, _ in asked]
    now_us = SYSTEM_CLOCK.unix_us()
    with tempfile.TemporaryDirectory(prefix="stress-", dir=paths.ready(paths.state)) as record:
        gate = Gate(paths, audit=Path(record))
        standings = LedgerStandings(gate.ledger(), now_us)
        decide(plain[0], policies, standings, now_us)
        said, decisions = measure(lambda r: decide(r, policies, standings, now_us).allow, plain)
        again, recorded = measure(lambda r: gate.decide(r).allow, plain)
        with ThreadPoolExecutor(THREADS) as pool:
            others = list(pool.map(lambda r: gate.decide(r).allow, plain))
        gate.flush()
    leaks = sum(
        yes and must for (_, must), yes in zip(asked, said, strict=True)
    )  # what had to be refused
    inconsistent = sum(len(set(each)) > 1 for each in zip(said, again, others, strict=True))
    tokens, forged = verify_tokens(min(count, TOKENS_MAX), name)
    issuer, failed = (None, 0) if site is None else ask_issuer(site, count)
    return StressReport(
        not (leaks or inconsistent or forged or failed),
        name,
        decisions,
        recorded,
        decisions.p50_us < TARGET_US,
        sum(said),
        len(said) - sum(said),
        leaks,
        inconsistent,
        tokens,
        forged,
        issuer,
        failed,
    )


def measure(call: Callable[[T], bool], given: Sequence[T]) -> tuple[list[bool], Speed]:
    """Do a thing with each that is given; give what it said, and how long it took."""
    taken_us, said = [], []
    begin_ns = time.perf_counter_ns()
    for each in given:
        before_ns = time.perf_counter_ns()
        said.append(call(each))
        taken_us.append((time.perf_counter_ns() - before_ns) / 1000)
    return said, speed(taken_us, (time.perf_counter_ns() - begin_ns) / 1e9)


def speed(taken_us: list[float], whole_s: float) -> Speed:
    """Sum up how long things took."""
    if not taken_us:
        return Speed(0, 0.0, 0.0, 0.0)
    ordered = sorted(taken_us)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * (len(ordered) - 1)))]
    return Speed(
        len(taken_us),
        round(len(taken_us) / max(whole_s, 1e-9), 1),
        round(statistics.median(ordered), 2),
        round(p99, 2),
    )


def verify_tokens(count: int, scope: str) -> tuple[Speed, int]:
    """Verify tokens of one issuer, every tenth of them forged; give how many forged were taken."""
    now_s = SYSTEM_CLOCK.unix_us() // US_PER_S
    key, thief = SigningKey.generate(), SigningKey.generate()
    claims = Claims(key.kid, "load", "", (scope,), now_s, now_s, now_s + 900, "load-1")
    good = read_token(make_token(claims, key))
    stolen = make_token(
        Claims(thief.kid, "load", "", (scope,), now_s, now_s, now_s + 900, "load-2"), thief
    )
    head, payload, _ = good.text.split(".")
    forged = read_token(f"{head}.{payload}.{stolen.rpartition('.')[2]}")
    known = Authorities({key.kid: key.public}.get, {key.kid})
    tokens = [good if n % FORGED_EVERY else forged for n in range(count)]
    said, found = measure(lambda t: check_token(t, known, now_s).ok, tokens)
    return found, sum(yes and token is forged for token, yes in zip(tokens, said, strict=True))


def ask_issuer(site: Site, count: int) -> tuple[Speed | None, int]:
    """Ask the simulated site's issuer for tokens, some at a time."""
    if not site.identity:
        return None, 0
    from sakina.oauth.discovery import discover
    from sakina.oauth.http import Http
    from sakina.oauth.tokens import request_token
    from sakina.preparing import read_service_account

    client = read_service_account(Path(site.identity["service_account"]))

    def one(http: Http) -> float | None:
        before_ns = time.perf_counter_ns()
        try:
            request_token(http, metadata, client, {"grant_type": "client_credentials"})
        except DunesError:
            return None
        return (time.perf_counter_ns() - before_ns) / 1000

    def some(number: int) -> list[float | None]:
        http = Http()
        try:
            return [one(http) for _ in range(number)]
        finally:
            http.close()

    http = Http()
    try:
        metadata = discover(http, site.identity["issuer"])
    finally:
        http.close()
    shares = [count // THREADS + (n < count % THREADS) for n in range(THREADS)]
    begin_ns = time.perf_counter_ns()
    with ThreadPoolExecutor(THREADS) as pool:
        taken = [each for share in pool.map(some, shares) for each in share]
    whole_s = (time.perf_counter_ns() - begin_ns) / 1e9
    good = [each for each in taken if each is not None]
    return speed(good, whole_s), len(taken) - len(good)
