"""The load test finds what it is there to find."""

from dunes.authority.audit import AuditTrail, segments
from dunes.authority.policy import Document, Rule, Scope
from dunes.authority.store import encode, policies_path
from dunes.paths import write_atomic
from sakina import stress
from sakina.stress import StressReport, verify_tokens


def run(paths, scope="health-data", count=60) -> StressReport:
    return stress.stress(paths, scope, count, None)


def test_a_healthy_place_passes(paths):
    report = run(paths)
    assert (True, 20, 40) == (report.passed, report.allowed, report.denied)
    assert (0, 0, 0) == (report.leaks, report.inconsistent, report.forged_accepted)
    assert report.issuer is None


def test_a_load_leaves_no_line_in_the_record_of_this_place(paths):
    run(paths)
    assert [] == segments(AuditTrail.at(paths).folder)
    assert [] == list(paths.state.glob("stress-*"))


def test_a_scope_that_is_given_to_everybody_is_a_leak(paths, monkeypatch):
    grant_all = Scope("no-such-scope", actions=("*",))
    write_atomic(policies_path(paths), encode(Document(1, (grant_all,))))
    report = run(paths)
    assert (False, 20) == (report.passed, report.leaks)


def test_a_rule_that_allows_everybody_is_meant(paths):
    everybody = Rule("r1", "allow", "*", reason="an exercise")
    write_atomic(policies_path(paths), encode(Document(1, rules=(everybody,))))
    assert (True, 60) == (run(paths).passed, run(paths).allowed)


def test_forged_tokens_are_among_those_verified_and_are_refused(monkeypatch):
    speed, forged = verify_tokens(20, "telemetry")
    assert (20, 0) == (speed.count, forged)
    monkeypatch.setattr(
        stress, "check_token", lambda *_: type("Checked", (), {"ok": True})
    )  # a verifier that believes everything
    assert 2 == verify_tokens(20, "telemetry")[1]
