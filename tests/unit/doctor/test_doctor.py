import os
import sqlite3
import time
from datetime import UTC, datetime

import pytest

from dunes.clock import Clock, to_us
from dunes.doctor import engine, machine, radio, store, trust
from dunes.doctor.check import Check, Given, Result, examine
from dunes.doctor.checks import CHECKS
from dunes.errors import StorageError
from dunes.settings import load


@pytest.fixture
def given(tmp_path):
    environ = {"DUNES_HOME": str(tmp_path / "dunes"), "PATH": os.environ["PATH"]}
    return Given(load(environ, folder=tmp_path), environ)


def test_checks_run_at_once_and_a_late_one_does_not_hold_the_others_up(given):
    def sleepy(_given):
        time.sleep(5)
        return Result("ok", "never seen")

    def quick(_given):
        return Result("ok", "here")

    began = time.monotonic()
    report = examine([Check("a", sleepy), Check("b", quick)], given._replace(limit_s=0.2))
    assert time.monotonic() - began < 2
    assert [("a", "fail"), ("b", "ok")] == [(f.name, f.state) for f in report.findings]
    assert "no verdict within 0.2 s" == report.findings[0].message
    assert not report.healthy


def test_an_error_of_a_check_is_its_finding(given):
    def broken(_given):
        raise StorageError("disk gone", hint="look")

    def bug(_given):
        raise KeyError("x")

    report = examine([Check("a", broken), Check("b", bug)], given)
    first = report.findings[0]
    assert ("fail", "disk gone", "look") == (first.state, first.message, first.hint)
    assert "KeyError" in report.findings[1].message


def test_a_warning_does_not_make_a_gateway_unfit(given):
    assert examine([Check("a", lambda _given: Result("warn", "x"))], given).healthy


@pytest.mark.parametrize(("year", "state"), [(1970, "fail"), (2024, "fail"), (2150, "fail")])
def test_an_implausible_year_is_a_failure(given, year, state):
    source = Clock(unix_us=lambda: to_us(datetime(year, 6, 1, tzinfo=UTC)))
    result = machine.clock(given, source=source)
    assert state == result.state
    assert str(year) in result.message


def test_the_kernel_is_asked_whether_its_clock_is_steered(given, monkeypatch):
    assert machine.kernel_synchronised() in {True, False, None}
    source = Clock(unix_us=lambda: to_us(datetime(2026, 6, 1, tzinfo=UTC)))
    for answer, state in ((True, "ok"), (False, "warn"), (None, "warn")):
        monkeypatch.setattr(machine, "kernel_synchronised", lambda answer=answer: answer)
        assert state == machine.clock(given, source=source).state


def test_too_small_a_disk_for_the_quota_is_told_with_a_quota_that_fits(given, tmp_path):
    big = load({"DUNES_HOME": str(tmp_path), "DUNES_BUFFER_CAP": "900TB"}, folder=tmp_path)
    result = machine.disk(given._replace(settings=big))
    assert "warn" == result.state
    assert result.hint.startswith("dunes config set buffer.cap ")
    assert (
        "ok"
        == machine.disk(
            given._replace(
                settings=load(
                    {"DUNES_HOME": str(tmp_path), "DUNES_BUFFER_CAP": "1MB"}, folder=tmp_path
                )
            )
        ).state
    )


def test_another_program_of_our_name_on_path_is_named(given, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    other = folder / "mcp"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    path = f"{folder}:{given.environ['PATH']}"
    result = machine.scripts(given._replace(environ={"PATH": path}))
    assert "warn" == result.state
    assert f"mcp is {other}" in result.message
    missing = machine.scripts(given._replace(environ={"PATH": str(tmp_path)}))
    assert "not on PATH" in missing.message


def test_a_link_to_our_script_is_ours(given, tmp_path):
    import sysconfig
    from pathlib import Path

    for name in ("dunes", "mcp", "dunes-mcp", "torgo", "arachnid", "sakina", "qiskit"):
        (tmp_path / name).symlink_to(Path(sysconfig.get_path("scripts")) / name)
    assert "ok" == machine.scripts(given._replace(environ={"PATH": str(tmp_path)})).state


def test_no_adapter_is_a_warning_and_a_blocked_one_a_failure(given, tmp_path):
    assert "warn" == radio.adapter(given, sysfs=tmp_path).state
    (tmp_path / "bluetooth/hci0").mkdir(parents=True)
    (tmp_path / "bluetooth/hci0:64").mkdir()
    assert Result("ok", "hci0") == radio.adapter(given, sysfs=tmp_path)
    kill = tmp_path / "rfkill/rfkill0"
    kill.mkdir(parents=True)
    for name, text in {"type": "bluetooth", "name": "hci0", "soft": "1", "hard": "0"}.items():
        (kill / name).write_text(text + "\n")
    blocked = radio.adapter(given, sysfs=tmp_path)
    assert ("fail", "rfkill unblock bluetooth") == (blocked.state, blocked.hint)


def test_a_bus_that_does_not_answer_ends_in_time(given, tmp_path, monkeypatch):
    import socket

    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        monkeypatch.setenv(radio.BUS_VARIABLE, f"unix:path={path}")
        environ = {radio.BUS_VARIABLE: f"unix:path={path}"}
        result = radio.dbus(given._replace(environ=environ, limit_s=0.3))
    assert ("fail", "the system bus gave no answer in 0.3 s") == (result.state, result.message)


def test_a_database_is_told_by_its_revision(given):
    from dunes.buffer.schema import REVISION
    from dunes.buffer.store import open_buffer

    assert "none yet" in store.database(given).message
    open_buffer(given.settings, "gw-1").close()
    assert f"revision {REVISION}" in store.database(given).message
    path = given.settings.paths.data / "buffer.db"
    with sqlite3.connect(path) as db:
        db.execute("UPDATE dunes_revision SET version_num = '9999'")
    db.close()
    assert "fail" == store.database(given).state


def test_a_file_that_is_no_database_is_a_failure_with_its_place(given):
    path = given.settings.paths.ready(given.settings.paths.data) / "buffer.db"
    path.write_bytes(b"this is not a database, it only has the name of one" * 40)
    (finding,) = examine([Check("database", store.database)], given).findings
    assert "fail" == finding.state
    assert "buffer.db" in finding.message


def test_a_key_that_others_can_read_is_a_failure_with_the_chmod(given):
    from dunes.crypto.identity import create_identity, identity_path

    assert "none yet" in store.keys(given).message
    made = create_identity(given.settings.paths)
    assert made.kid in store.keys(given).message
    path = identity_path(given.settings.paths)
    path.chmod(0o644)
    result = store.keys(given)
    assert ("fail", f"chmod 600 {path}") == (result.state, result.hint)
    path.chmod(0o600)
    given.settings.paths.keys.chmod(0o755)
    assert "chmod 700" in store.keys(given).hint


def test_policies_changed_by_hand_and_a_record_that_was_changed_are_told(given):
    from dunes.authority.audit import AuditTrail, segments
    from dunes.authority.gate import authorise
    from dunes.authority.policy import Document, Rule
    from dunes.authority.record import Recorder
    from dunes.authority.store import policies_path, save_policies

    paths = given.settings.paths
    assert "the shipped ones; 0 decisions on record" == trust.policies(given).message
    document = Document(1, rules=(Rule("r1", "deny", devices=("x",)),))
    save_policies(paths, document, "test", Recorder.at(paths))
    authorise(paths, "config.apply")
    assert ("ok", "version 1, signed; 1 decisions on record") == trust.policies(given)[:2]
    policies_path(paths).write_text(policies_path(paths).read_text() + " ")
    assert "warn" == trust.policies(given).state
    policies_path(paths).write_text("{")
    (finding,) = examine([Check("policies", trust.policies)], given).findings
    assert "fail" == finding.state
    policies_path(paths).unlink()
    (file,) = segments(AuditTrail.at(paths).folder)
    file.write_bytes(b"rubbish\n")
    assert ("fail", "sakina log") == (trust.policies(given).state, trust.policies(given).hint)


def test_without_liboqs_the_house_works_on(given):
    result = engine.liboqs(given)
    if "not here" in result.message:
        assert "ok" == result.state
    else:
        assert "agrees" in result.message


def test_public_keys_may_be_read_by_all_and_a_lost_machine_key_is_told(given):
    from dunes.crypto.identity import create_identity, public_path

    made = create_identity(given.settings.paths)
    public_path(given.settings.paths, made.kid).chmod(0o644)
    assert "ok" == store.keys(given).state
    (given.settings.paths.keys / "machine.key").unlink()
    (finding,) = examine([Check("keys", store.keys)], given).findings
    assert "fail" == finding.state
    assert "machine.key" in finding.message


def test_the_command_s_list_of_checks_is_the_table():
    from dunes.commands.doctor import NAMES

    assert NAMES.split("|") == [check.name for check in CHECKS]
