"""The one call: this place's policies, its ledger, its record."""

import json
import threading

import pytest

from dunes.authority.audit import AuditTrail
from dunes.authority.auditread import read_audit
from dunes.authority.gate import (
    Gate,
    NotAuthorised,
    authorise,
    local_subject,
)
from dunes.authority.ledger import append_events, load_ledger
from dunes.authority.model import Request, Resource, Subject
from dunes.authority.policy import Document, Rule
from dunes.authority.record import Recorder
from dunes.authority.standing import Event, Kind
from dunes.authority.store import (
    PolicyFile,
    is_logged,
    policies_path,
    read_local,
    save_policies,
)
from dunes.crypto.identity import create_identity
from dunes.errors import ConfigError, DataError, Exit
from dunes.mu.errors import LogDamaged
from dunes.mu.log import ENTRIES, log_directory


@pytest.fixture
def pen(paths):
    return Recorder(paths, create_identity(paths))


def recorded(paths):
    return read_audit(AuditTrail.at(paths).folder).rows


def restrict(pen, **given):
    before, _ = read_local(pen.paths)
    rule = Rule(f"r{before.version + 1}", "deny", **given)
    save_policies(pen.paths, before.next(rules=(*before.rules, rule)), "a test", pen)


def test_a_place_without_policies_lets_its_owner_and_writes_it_down(paths):
    assert authorise(paths, "config.apply").allow
    [row] = recorded(paths)
    assert ("config.apply", "allow", "rule:owner") == (row["kind"], row["value"], row["by"])


def test_a_restriction_is_exit_77_with_its_reason_and_how_to_lift_it(paths, pen):
    restrict(pen, actions=("sync.push",), tables=("vitals_data",), reason="vitals stay here")
    with pytest.raises(NotAuthorised) as e:
        authorise(paths, "sync.push", Resource("vitals_data", destination="earth-gs"))
    assert Exit.NOPERM == e.value.exit
    assert "may not sync.push on table vitals_data, destination earth-gs: vitals stay here" in (
        e.value.message
    )
    assert "sakina restrict --lift r1" == e.value.hint
    assert "deny" == recorded(paths)[-1]["value"]
    assert authorise(paths, "sync.push", Resource("iot_data")).allow


def test_policies_that_cannot_be_read_allow_nothing(paths):
    paths.ready(paths.config)
    for text in ("{", "[]", '{"rules":[{"id":"a","effect":"allow","everything":true}]}'):
        policies_path(paths).write_text(text)
        with pytest.raises(ConfigError):
            authorise(paths, "config.apply")


def test_a_change_is_a_signed_entry_and_a_change_by_hand_is_seen(paths, pen):
    assert is_logged(paths) is None
    restrict(pen, reason="all of it")
    assert is_logged(paths) is True
    body = json.loads(policies_path(paths).read_text())
    policies_path(paths).write_text(json.dumps(body | {"rules": []}))
    assert is_logged(paths) is False
    assert authorise(paths, "config.apply").allow


def test_two_changes_of_one_version_do_not_overwrite_each_other(paths, pen):
    mine = Document().next(rules=(Rule("a", "deny", devices=("x",)),))
    save_policies(paths, mine, "first", pen)
    with pytest.raises(DataError, match="another change came first"):
        save_policies(paths, mine, "second", pen)


def test_of_many_changes_at_once_none_is_lost_without_a_word(paths, pen):
    from concurrent.futures import ThreadPoolExecutor

    def change(n):
        before, _ = read_local(paths)
        rules = (*before.rules, Rule(f"n{n}", "deny", devices=(f"d{n}",)))
        try:
            save_policies(paths, before.next(rules=rules), "at once", pen)
        except DataError:
            return 0
        return 1

    with ThreadPoolExecutor(6) as pool:
        done = sum(pool.map(change, range(12)))
    found, _ = read_local(paths)
    assert done >= 1
    assert (done, done) == (found.version, len(found.rules))
    assert is_logged(paths)


def test_a_program_that_runs_on_sees_a_change(paths, pen):
    gate = Gate(paths)
    request = Request(Subject("gateway", "mars-001"), "ground.accept", Resource("iot_data"))
    assert gate.decide(request).allow
    restrict(pen, subject="gateway:mars-001", reason="not any more")
    assert "not any more" == gate.decide(request).reason
    append_events(pen, [Event("mars-002", Kind.QUARANTINE, 1, reason="cloned")])
    other = Request(Subject("gateway", "mars-002"), "ground.accept", Resource("iot_data"))
    assert "gateway:mars-002 is in quarantine: cloned" == gate.decide(other).reason


def test_a_log_that_cannot_be_read_stops_no_delivery_and_frees_nobody(paths, pen):
    append_events(pen, [Event("rover-002", Kind.QUARANTINE, 1, reason="captured")])
    append_events(pen, [Event("rover-003", Kind.VERIFIED, 1)])
    with (log_directory(paths.state) / ENTRIES).open("r+b") as file:
        file.truncate(5000)
    said = Gate(paths).decide(Request(local_subject(paths), "sync.push", Resource("iot_data")))
    assert said.allow
    assert "the trust ledger is as it was known last" in said.reasons[-1]
    with pytest.raises(NotAuthorised, match="captured"):
        authorise(paths, "actuator.command", Resource(device="rover-002"))
    with pytest.raises(LogDamaged):
        load_ledger(paths)


def test_policies_are_read_once_while_they_do_not_change(paths, pen):
    file = PolicyFile(paths)
    assert file.current() is file.current()
    first = file.current()
    restrict(pen, devices=("x",))
    assert first is not file.current()


def test_another_user_of_the_machine_is_another(paths):
    paths.ready(paths.state)
    assert "local" == local_subject(paths).kind
    assert "other" == local_subject(paths, uid=54321).kind
    assert "local" == local_subject(paths, uid=0).kind
    with pytest.raises(NotAuthorised, match=r"other:uid-54321 may not config\.apply"):
        authorise(paths, "config.apply", subject=local_subject(paths, uid=54321))


def test_nobody_commands_a_device_in_quarantine(paths, pen):
    authorise(paths, "actuator.command", Resource(device="valve-2", name="onoff on"))
    append_events(pen, [Event("valve-2", Kind.QUARANTINE, 1, reason="opened at night")])
    with pytest.raises(NotAuthorised, match="device valve-2 is in quarantine") as e:
        authorise(paths, "actuator.command", Resource(device="valve-2", name="onoff on"))
    assert "sakina status; sakina quarantine NAME --lift" == e.value.hint
    assert ["allow", "deny"] == [row["value"] for row in recorded(paths)]


def test_threads_share_a_gate(paths):
    gate = Gate(paths)
    request = Request(Subject("gateway", "a"), "ground.accept", Resource("iot_data"))

    def ask():
        for _ in range(200):
            assert gate.decide(request).allow

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gate.flush()
    [row] = recorded(paths)
    assert 800 == row["count"]
