"""The decision: what says yes, what says no, and in which order."""

import time

import pytest

from dunes.authority.decide import decide
from dunes.authority.model import Action, Request, Resource, Standing, Subject
from dunes.authority.policy import Document, Grant, Policies, Rule, Scope
from dunes.authority.store import defaults

NOW_US = 1_800_000_000_000_000
OWNER = Subject("local", "root")


def rules(*found):
    return Policies.join(defaults(), Document(1, rules=found))


def ask(policies, subject, action, standings=None, **resource):
    return decide(
        Request(subject, action, Resource(**resource)), policies, standings or {}, NOW_US
    )


@pytest.mark.parametrize("action", list(Action))
def test_the_owner_at_the_shell_may_do_everything_by_default(policies, action):
    assert ask(policies, OWNER, action, table="vitals_data", device="rover-001").allow


@pytest.mark.parametrize("action", list(Action))
def test_another_user_of_the_machine_may_do_nothing_by_default(policies, action):
    said = ask(policies, Subject("other", "guest"), action, table="lunar_telemetry")
    assert not said.allow
    assert f"no scope of other:guest covers {action} on table lunar_telemetry" == said.reason


def test_an_enrolled_gateway_may_deliver_and_nothing_else(policies):
    gateway = Subject("gateway", "lunar-001")
    assert ask(policies, gateway, "ground.accept", table="vitals_data").allow
    assert not ask(policies, gateway, "config.apply").allow
    assert not ask(policies, gateway, "identity.reveal", table="vitals_data").allow


def test_a_rule_that_denies_outranks_the_owner():
    policies = rules(
        Rule("r1", "deny", "*", ("sync.push",), ("vitals_data",), reason="stays here")
    )
    said = ask(policies, OWNER, "sync.push", table="vitals_data", destination="earth-gs")
    assert (False, "stays here", "rule:r1") == (said.allow, said.reason, said.by)
    assert ask(policies, OWNER, "sync.push", table="lunar_telemetry").allow


def test_a_rule_that_names_a_destination_leaves_others_alone():
    policies = rules(Rule("r1", "deny", destinations=("mars-gs",)))
    assert not ask(policies, OWNER, "sync.push", table="iot_data", destination="mars-gs").allow
    assert ask(policies, OWNER, "sync.push", table="iot_data", destination="earth-gs").allow
    assert ask(policies, OWNER, "config.apply").allow


def test_a_rule_ends_at_its_time():
    assert not ask(rules(Rule("r1", "deny", until_us=NOW_US + 1)), OWNER, "mcp.tool").allow
    assert ask(rules(Rule("r1", "deny", until_us=NOW_US)), OWNER, "mcp.tool").allow


def test_a_token_brings_its_scopes_and_no_more(policies):
    token = Subject("token", "mission-control", frozenset({"rover-telemetry"}))
    assert ask(policies, token, "table.read", table="mars_telemetry", device="rover-002").allow
    assert not ask(policies, token, "table.read", table="mars_telemetry", device="crew-001").allow
    assert not ask(policies, token, "table.read", table="vitals_data", device="rover-002").allow
    assert not ask(policies, token, "actuator.command", device="rover-002").allow


def test_a_token_with_a_scope_that_nobody_defines_gives_nothing(policies):
    token = Subject("token", "x", frozenset({"root", "telemetry-"}))
    assert not ask(policies, token, "table.read", table="lunar_telemetry").allow


def test_a_grant_to_a_role_reaches_keys_of_that_role_alone(policies):
    operator = Subject("key", "a" * 32, roles=frozenset({"operator"}))
    device = Subject("device", "hab-sensor-001", roles=frozenset({"device"}))
    good = {operator.id: Standing(0.9), device.id: Standing(0.9)}
    assert ask(policies, operator, "mesh.configure", good, device="hab-valve-001").allow
    assert not ask(policies, device, "mesh.configure", good, device="hab-valve-001").allow


def test_a_grant_ends_at_its_time():
    def granted(until_us):
        grant = Grant("device:a", ("telemetry",), until_us)
        return Policies.join(defaults(), Document(1, grants=(grant,)))

    device = Subject("device", "a")
    assert ask(granted(NOW_US + 1), device, "telemetry.report", table="iot_data").allow
    assert not ask(granted(NOW_US), device, "telemetry.report", table="iot_data").allow


def test_a_low_standing_keeps_a_scope_from_counting(policies):
    token = Subject("token", "pilot", frozenset({"mesh-control"}))
    low = ask(policies, token, "actuator.command", {"pilot": Standing(0.79)}, device="valve-1")
    assert "scope mesh-control needs a standing of 0.8; token:pilot has 0.79" == low.reason
    good = {"pilot": Standing(0.8)}
    assert ask(policies, token, "actuator.command", good, device="valve-1").allow


def test_quarantine_outranks_everything_but_putting_the_device_out(policies):
    out = {"rover-002": Standing(0.9, "lost at the crater")}
    said = ask(policies, OWNER, "actuator.command", out, device="rover-002")
    assert (False, "device rover-002 is in quarantine: lost at the crater") == (
        said.allow,
        said.reason,
    )
    assert ask(policies, OWNER, "mesh.configure", out, device="rover-002").allow
    itself = Subject("device", "rover-002", roles=frozenset({"device"}))
    assert not ask(policies, itself, "telemetry.report", out, table="mars_telemetry").allow
    assert not ask(policies, itself, "mesh.configure", out, device="rover-002").allow


def test_a_scope_of_the_same_name_replaces_the_default():
    narrow = Scope("telemetry", actions=("table.read",), tables=("iot_data",))
    policies = Policies.join(defaults(), Document(1, scopes=(narrow,)))
    token = Subject("token", "x", frozenset({"telemetry"}))
    assert ask(policies, token, "table.read", table="iot_data").allow
    assert not ask(policies, token, "table.read", table="lunar_telemetry").allow
    assert not ask(policies, token, "sync.push", table="iot_data").allow


def test_the_same_rule_is_found_by_each_of_its_exact_names():
    for n, rule in enumerate(
        (
            Rule("a", "deny", devices=("rover-001",)),
            Rule("b", "deny", "local:root"),
            Rule("c", "deny", tables=("mars_telemetry",)),
            Rule("d", "deny", devices=("rover-*",), tables=("mars_*",)),
        )
    ):
        said = ask(rules(rule), OWNER, "table.read", table="mars_telemetry", device="rover-001")
        assert (n, False) == (n, said.allow)


def test_ten_thousand_rules_cost_a_decision_no_more_than_ten():
    def many(count):
        found = tuple(Rule(f"r{n}", "deny", devices=(f"rover-{n}",)) for n in range(count))
        return rules(*found)

    def cost_s(policies):
        request = Request(OWNER, "actuator.command", Resource(device="valve-1"))
        best = 1.0
        for _ in range(5):
            begin_s = time.perf_counter()
            for _ in range(200):
                decide(request, policies, {}, NOW_US)
            best = min(best, (time.perf_counter() - begin_s) / 200)
        return best

    assert cost_s(many(10_000)) < 5 * cost_s(many(10)) + 20e-6
