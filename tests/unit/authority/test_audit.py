"""The record of decisions: chained, sealed, grouped, bounded."""

import json
import multiprocessing
from dataclasses import replace

import pytest

from dunes.authority import audit
from dunes.authority.audit import AuditTrail, segments
from dunes.authority.auditread import read_audit
from dunes.authority.model import Decision, Request, Resource, Subject
from dunes.buffer.intake.fields import Defaults, parse_record
from dunes.clock import Clock


class Times:
    """A clock that is set by hand."""

    def __init__(self):
        self.s = 1000.0

    @property
    def clock(self):
        return Clock(lambda: self.s, lambda: int(1.8e15 + self.s * 1e6))


@pytest.fixture
def times():
    return Times()


@pytest.fixture
def trail(tmp_path, times):
    return AuditTrail(tmp_path / "audit", times.clock)


def said(allow, table="lunar_telemetry", who="root", by="rule:owner"):
    request = Request(Subject("local", who), "sync.push", Resource(table, destination="earth-gs"))
    return Decision(allow, ("because",), by, request)


def rows(trail, **given):
    return read_audit(trail.folder, **given).rows


def test_a_no_is_written_at_once_and_a_yes_within_a_minute(trail, times):
    trail.note(said(True))
    assert [] == segments(trail.folder)
    trail.note(said(False))
    assert ["allow", "deny"] == [row["value"] for row in rows(trail)]
    times.s += 1
    trail.note(said(True))
    times.s += audit.GROUP_S
    trail.note(said(True))
    assert [1, 1, 2] == [row.get("count", 1) for row in rows(trail)]


def test_the_same_no_again_and_again_does_not_fill_the_record(trail, times):
    for _ in range(1000):
        times.s += 0.01
        trail.note(said(False))
    trail.flush()
    assert [1, 999] == [row.get("count", 1) for row in rows(trail)]
    times.s += audit.GROUP_S
    trail.note(said(False))
    assert [1, 999, 1] == [row.get("count", 1) for row in rows(trail)]


def test_equal_answers_are_one_line_with_a_count(trail, times):
    for _ in range(500):
        times.s += 0.01
        trail.note(said(True))
    trail.note(said(True, table="iot_data"))
    trail.flush()
    assert [500, 1] == [row.get("count", 1) for row in rows(trail)]


def test_a_line_tells_who_what_on_what_and_why(trail):
    trail.note(said(False, by="rule:r1"))
    [row] = rows(trail)
    assert {
        "no": 1,
        "sealed": 0,
        "time": "2027-01-15T08:16:40Z",
        "device": "local.root",
        "kind": "sync.push",
        "value": "deny",
        "subject": "local:root",
        "table": "lunar_telemetry",
        "destination": "earth-gs",
        "reason": "because",
        "by": "rule:r1",
        "priority": "warning",
        "prev": "0" * 64,
    } == row


def test_a_line_is_also_a_reading(trail):
    trail.note(said(False, who="Zoë van Dijk"))
    [row] = rows(trail)
    reading = parse_record(row, Defaults(0))
    assert ("local.zoë.van.dijk".replace("ë", "."), "sync.push", "deny") == (
        reading.device,
        reading.kind,
        reading.value,
    )


def test_a_seal_is_also_a_reading(trail, keys):
    trail.note(said(False))
    audit.seal(trail.folder, keys[0])
    [path] = segments(trail.folder)
    reading = parse_record(json.loads(path.read_bytes().splitlines()[-1]), Defaults(0))
    assert ("auth-audit", "seal", keys[0].kid) == (reading.device, reading.kind, reading.value)


@pytest.mark.parametrize("change", ["cut", "swap", "edit", "drop"])
def test_whoever_changes_the_file_is_noticed(trail, change):
    for n in range(5):
        trail.note(said(False, table=f"t{n}"))
    [path] = segments(trail.folder)
    lines = path.read_bytes().splitlines(keepends=True)
    match change:
        case "cut":
            lines = lines[1:]
        case "swap":
            lines[1], lines[2] = lines[2], lines[1]
        case "edit":
            lines[2] = lines[2].replace(b"deny", b"allow")
        case "drop":
            del lines[2]
    path.write_bytes(b"".join(lines))
    report = read_audit(trail.folder)
    if change == "cut":  # as the oldest go by themselves: the numbers tell
        assert 2 == report.first_no
    else:
        assert not report.intact


def test_a_seal_covers_what_stands_before_it(trail, keys):
    known = {keys[0].kid: keys[0].public}
    trail.note(said(False))
    assert 1 == audit.seal(trail.folder, keys[0])
    trail.note(said(False, table="iot_data"))
    report = read_audit(trail.folder, known.get)
    assert (True, 3, 2, keys[0].kid) == (
        report.intact,
        report.last_no,
        report.sealed_no,
        report.sealed_by,
    )
    assert 2 == len(report.rows)
    assert 0 == read_audit(trail.folder).sealed_no


def test_a_chain_that_was_written_anew_has_no_seal_of_ours(trail, keys):
    trail.note(said(False))
    audit.seal(trail.folder, keys[0])
    [path] = segments(trail.folder)
    path.write_bytes(path.read_bytes().replace(b'"deny"', b'"allow"'))
    lines = path.read_bytes().splitlines(keepends=True)
    forged = json.loads(lines[1]) | {"prev": audit.hash_line(lines[0])}
    path.write_bytes(lines[0] + audit._line(forged))
    report = read_audit(trail.folder, {keys[0].kid: keys[0].public}.get)
    assert ["the seal in line 2 is not one of the key that it names"] == report.wrong


def test_a_key_that_is_open_seals_now_and_then(trail, keys):
    trail.signer = keys[0]
    for n in range(audit.SEAL_EVERY + 3):
        trail.note(said(False, table=f"t{n}"))
    report = read_audit(trail.folder, {keys[0].kid: keys[0].public}.get, last=1000)
    assert (audit.SEAL_EVERY + 4, audit.SEAL_EVERY + 1) == (report.last_no, report.sealed_no)


def test_the_files_are_bounded_and_the_chain_goes_on(trail, monkeypatch):
    monkeypatch.setattr(audit, "SEGMENT_BYTES", 2000)
    monkeypatch.setattr(audit, "SEGMENTS_MAX", 3)
    for n in range(60):
        trail.note(said(False, table=f"t{n}"))
    files = segments(trail.folder)
    report = read_audit(trail.folder, last=100)
    assert 3 == len(files)
    assert all(path.stat().st_size <= 2000 for path in files)
    assert (True, 60) == (report.intact, report.last_no)
    assert report.first_no > 30


def test_a_torn_line_is_cut_off_and_the_chain_goes_on(trail):
    trail.note(said(False))
    [path] = segments(trail.folder)
    with path.open("ab") as file:
        file.write(b'{"no":2,"device"')
    trail.note(said(False, table="iot_data"))
    report = read_audit(trail.folder)
    assert (True, 2) == (report.intact, report.last_no)


@pytest.mark.parametrize("damage", [b"\x00" * 50 + b"\n", b"{}\n", b"[1]\n\xff\n"])
def test_a_line_that_the_disk_lost_is_told_and_the_record_goes_on(trail, damage):
    trail.note(said(False))
    [path] = segments(trail.folder)
    path.write_bytes(path.read_bytes() + damage)
    trail.note(said(False, table="iot_data"))
    assert 0 == trail.lost
    report = read_audit(trail.folder)
    assert (False, 2) == (report.intact, len(report.rows))
    assert all("cannot be read" in text for text in report.wrong)


def test_an_empty_file_after_a_crash_does_not_begin_the_chain_anew(trail):
    trail.note(said(False))
    [path] = segments(trail.folder)
    path.with_name("auth_audit.000002.jsonl").touch()
    trail.note(said(False, table="iot_data"))
    report = read_audit(trail.folder)
    assert (True, 2) == (report.intact, report.last_no)


def test_a_disk_that_says_no_stops_no_decision_and_is_told_afterwards(trail):
    trail.folder.parent.mkdir(exist_ok=True)
    trail.folder.write_text("in the way")
    trail.note(said(False))
    assert 1 == trail.lost
    trail.folder.unlink()
    trail.note(said(False))
    assert [1] == [row["lost_before"] for row in rows(trail)]
    assert 0 == trail.lost


def write_some(folder, count):
    trail = AuditTrail(folder)
    for n in range(count):
        trail.note(said(False, table=f"t{n}"))


def test_processes_share_one_chain(trail):
    context = multiprocessing.get_context("spawn")
    group = [context.Process(target=write_some, args=(trail.folder, 40)) for _ in range(3)]
    for process in group:
        process.start()
    for process in group:
        process.join(30)
    report = read_audit(trail.folder, last=1000)
    assert (True, 120) == (report.intact, report.last_no)


def test_a_decision_without_its_request_is_not_written(trail):
    trail.note(replace(said(False), request=None))
    assert [] == segments(trail.folder)
