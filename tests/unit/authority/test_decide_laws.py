"""Laws of the decision, for any policies and any question."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dunes.authority.decide import decide
from dunes.authority.model import Action, Request, Resource, Standing, Subject
from dunes.authority.policy import Document, Grant, Policies, Rule, Scope
from dunes.authority.store import defaults

NOW_US = 1_800_000_000_000_000
names = st.sampled_from(["a", "b", "rover-001", "rover-002", "hab-1"])
tables = st.sampled_from(["", "iot_data", "mars_telemetry", "vitals_data"])
patterns = st.lists(
    st.sampled_from(["*", "rover-*", "*_data", "iot_data", "mars_telemetry", "rover-001"]),
    min_size=1, max_size=2,
).map(tuple)  # fmt: skip
actions = st.sampled_from(list(Action))
action_patterns = st.lists(
    st.one_of(actions.map(str), st.sampled_from(["*", "sync.*", "mesh.*"])), min_size=1, max_size=2
).map(tuple)
kinds = st.sampled_from(["local", "other", "gateway", "device", "key", "token"])
scope_names = st.sampled_from(["telemetry", "rover-data", "mesh-control", "s1", "s2"])
subjects = st.builds(
    Subject, kinds, names, st.frozensets(scope_names, max_size=2),
    st.frozensets(st.sampled_from(["device", "operator", "gateway"]), max_size=2),
)  # fmt: skip
subject_patterns = st.one_of(
    st.just("*"), st.builds("{}:*".format, kinds), st.builds("{}:{}".format, kinds, names),
    st.sampled_from(["role:device", "role:operator"]),
)  # fmt: skip
rules = st.builds(
    Rule, st.uuids().map(str), st.sampled_from(["allow", "deny"]), subject_patterns,
    action_patterns, patterns, patterns, st.just(("*",)), st.just("a rule"),
    st.sampled_from([None, NOW_US - 1, NOW_US + 1]),
)  # fmt: skip
documents = st.builds(
    lambda scopes, grants, rules: Document(1, scopes, grants, rules),
    st.tuples(
        st.builds(Scope, st.just("s1"), st.just(""), action_patterns, patterns, patterns),
        st.builds(Scope, st.just("s2"), st.just(""), action_patterns, patterns, patterns),
    ),
    st.lists(st.builds(Grant, subject_patterns, scope_names.map(lambda s: (s,))), max_size=3).map(
        tuple
    ),
    st.lists(rules, max_size=4).map(tuple),
)
requests = st.builds(
    Request, subjects, actions.map(str),
    st.builds(Resource, tables, st.one_of(st.just(""), names), st.just("")),
)  # fmt: skip
standings = st.dictionaries(
    names, st.builds(Standing, st.floats(0, 1), st.sampled_from(["", "", "stolen"])), max_size=3
)


def ask(document, request, standing):
    return decide(request, Policies.join(defaults(), document), standing, NOW_US)


@given(documents, requests, standings)
def test_every_answer_has_a_reason_and_is_the_same_twice(document, request, standing):
    said = ask(document, request, standing)
    assert said.reason
    assert said == ask(document, request, standing)
    assert said.by or not said.allow


@given(documents, requests, standings, rules)
def test_one_more_rule_that_denies_never_makes_a_yes_of_a_no(document, request, standing, rule):
    stricter = replace(document, rules=(*document.rules, replace(rule, effect="deny")))
    if not ask(document, request, standing).allow:
        assert not ask(stricter, request, standing).allow


@given(documents, requests, standings)
def test_who_is_in_quarantine_gets_no_yes(document, request, standing):
    caught = {**standing, request.subject.id: Standing(1.0, "caught")}
    assert not ask(document, request, caught).allow


@given(documents, requests, standings)
def test_a_lower_standing_never_makes_a_yes_of_a_no(document, request, standing):
    who = request.subject.id
    before = standing.get(who, Standing())
    lower = {**standing, who: replace(before, score=before.score / 2)}
    if not ask(document, request, standing).allow:
        assert not ask(document, request, lower).allow


@given(requests)
def test_who_has_no_scope_role_or_rule_gets_no_yes(request):
    bare = replace(
        request, subject=Subject("token", request.subject.id)
    )  # not the owner, not an enrolled gateway
    assert not ask(Document(), bare, {}).allow


@given(documents, requests, standings)
def test_a_rule_is_found_by_its_index_as_by_looking_at_all(document, request, standing):
    """The index by exact names changes no answer: hide the exactness, and compare."""
    policies = Policies.join(defaults(), document)
    said = decide(request, policies, standing, NOW_US)
    for effect, index in policies.rules.items():
        policies.rules[effect] = {"*": [rule for rules in index.values() for rule in rules]}
    assert said.allow == decide(request, policies, standing, NOW_US).allow
