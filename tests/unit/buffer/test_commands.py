"""`dunes ingest`, `query` and `check-buffer` as typed, in this process."""

import csv
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from random import Random
from typing import NamedTuple

import jsonschema
import pytest

from dunes.cli import app
from dunes.clock import SYSTEM_CLOCK
from dunes.console import run
from dunes.crypto.identity import create_identity
from dunes.crypto.truststore import Role, TrustStore
from dunes.paths import find_paths

TABLE = "lunar_telemetry"


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DUNES_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dunes(home):
    def typed(*arguments: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = run(app, "dunes", list(arguments))
        assert "Traceback" not in err.getvalue()
        return Done(int(status), out.getvalue(), err.getvalue())

    return typed


def line(i, **changes):
    row = {"device": f"d-{i % 3}", "kind": "co2", "value": 600 + i, "unit": "ppm", "seq": i}
    return json.dumps(row | {"time": f"2026-11-25T03:00:{i % 60:02d}Z"} | changes) + "\n"


@pytest.fixture
def filled(home, dunes):
    text = "".join(line(i) for i in range(50))
    text += line(50, kind="note", value="\x1b[31mred\u202e", unit="", priority="warning")
    text += line(51, kind="smoke", value=True, unit="", simulated=True)
    (home / "a.jsonl").write_text(text)
    assert 0 == dunes("ingest", "--table", TABLE, "a.jsonl").status
    return dunes


@pytest.mark.parametrize(
    "command",
    [
        ("ingest", "--table", TABLE, "a.jsonl"),
        ("query", "--table", TABLE),
        ("check-buffer", "--table", TABLE, "--deep"),
    ],
    ids=lambda command: command[0],
)
def test_json_output_is_what_its_schema_says(filled, command):
    schema = json.loads(filled(command[0], "--schema").out)
    done = filled(*command, "--json")
    jsonschema.validate(json.loads(done.out), schema)
    assert schema["$schema"].startswith("https://json-schema.org")


def test_what_was_ingested_is_queried(filled):
    report = json.loads(filled("query", "--table", "lunar-data", "--json").out)
    assert ("dunes.query/1", 52, False) == (report["schema"], report["count"], report["more"])
    first = report["readings"][0]
    assert {
        "device": "d-0",
        "kind": "co2",
        "value": 600,
        "unit": "ppm",
        "time": "2026-11-25T03:00:00Z",
        "priority": "routine",
        "seq": 0,
    } == first
    alert = filled("query", "--table", TABLE, "--priority", "alert", "--json")
    assert ["smoke"] == [x["kind"] for x in json.loads(alert.out)["readings"]]


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_what_query_prints_can_be_ingested_again(filled, home, format_):
    printed = filled("query", "--table", TABLE, "--format", format_).out
    (home / f"again.{format_}").write_text(printed)
    done = filled("ingest", "--table", "copy", f"again.{format_}")
    assert (0, True) == (done.status, done.out.startswith("52 readings into copy")), done

    def readings(table):
        return json.loads(filled("query", "--table", table, "--json").out)["readings"]

    assert readings(TABLE) == readings("copy")


def test_hostile_text_does_not_reach_the_terminal(filled):
    shown = filled("query", "--table", TABLE, "--kind", "note").out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\\x1b[31mred" in shown


def test_csv_has_a_row_for_each_reading(filled):
    rows = list(
        csv.DictReader(io.StringIO(filled("query", "--table", TABLE, "--format", "csv").out))
    )
    assert 52 == len(rows)
    assert ("true", "true") == (rows[-1]["value"], rows[-1]["simulated"])


def test_pages_are_joined_by_the_cursor(filled):
    seqs, after = [], ""
    for _ in range(20):
        done = filled("query", "--table", TABLE, "--limit", "7", "--json", "--after", after)
        report = json.loads(done.out)
        seqs += [x["seq"] for x in report["readings"]]
        after = report["next"]
        if not report["more"]:
            break
    assert sorted(range(52)) == sorted(seqs)


def test_times_are_an_age_or_rfc_3339(filled):
    def count(*arguments):
        done = filled("query", "--table", TABLE, "--json", *arguments)
        return json.loads(done.out)["count"]

    window = ("--since", "2026-11-25T03:00:10Z", "--until", "2026-11-25T03:00:20Z")
    assert 10 == count(*window)
    assert 0 == count("--until", "9000d")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("ingest", "--table", TABLE, "missing.jsonl"), 66, "no file missing.jsonl"),
        (("ingest", "--table", TABLE, "missing.jsonl", "--format", "xml"), 2, "no format 'xml'"),
        (("ingest", "--table", "9 lives", "a.jsonl"), 65, "cannot name a table"),
        (("query", "--table", "nothing"), 66, "no table 'nothing'"),
        (("query", "--table", TABLE, "--since", "10"), 2, "no unit"),
        (("query", "--table", TABLE, "--since", "2026-11-25T03:00:10"), 2, "no zone"),
        (("query", "--table", TABLE, "--priority", "urgent"), 2, "no priority 'urgent'"),
        (("query", "--table", TABLE, "--after", "x"), 2, "is not a cursor"),
        (("query", "--table", TABLE, "--format", "xml"), 2, "no format 'xml'"),
        (("check-buffer", "--table", TABLE, "--dry-run"), 2, "belongs to --repair"),
        (("check-buffer", "--table", TABLE, "--against", "nowhere"), 66, "no destination"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_a_mistake_is_said_with_its_status_and_a_hint(filled, arguments, status, says):
    done = filled(*arguments)
    assert (status, True, True) == (done.status, says in done.err, "hint: " in done.err), done.err


def test_rejected_records_are_status_65_and_the_good_ones_are_kept(home, dunes):
    (home / "a.jsonl").write_text(line(0) + "rubbish\n" + line(1, unit="kPa") + line(2))
    done = dunes("ingest", "--table", TABLE, "a.jsonl", "--json")
    report = json.loads(done.out)
    assert (65, 2, 2) == (done.status, report["accepted"], report["rejected"])
    assert {"not-json": 1, "bad-unit": 1} == report["reasons"]
    assert ["line 2", "line 3"] == [x["place"] for x in report["rejects"]]


def test_strict_reports_and_stops(home, dunes):
    (home / "a.jsonl").write_text(line(0) + "rubbish\n" + line(2))
    done = dunes("ingest", "--table", TABLE, "a.jsonl", "--strict")
    assert (65, True) == (done.status, "1 reading into" in done.out)
    assert "line 2" in done.err


def test_a_quota_full_of_alerts_is_status_74(home, dunes, monkeypatch):
    monkeypatch.setenv("DUNES_BUFFER_CAP", "700kB")
    monkeypatch.setenv("DUNES_BUFFER_ALERT_RESERVE", "40")
    monkeypatch.setattr("dunes.buffer.intake.run.GIVE_UP_TRIES", 1)
    monkeypatch.setattr("dunes.buffer.intake.run.RETRY_S", 0.01)
    alerts = [
        line(i, kind="note", value=Random(i).randbytes(500).hex(), unit="", alert=True)
        for i in range(1500)
    ]
    (home / "alerts.jsonl").write_text("".join(alerts))
    (home / "routine.jsonl").write_text("".join(line(i) for i in range(100)))
    first = dunes("ingest", "--table", TABLE, "alerts.jsonl", "--json")
    assert (74, True) == (first.status, "quota-full" in first.err)
    done = dunes("ingest", "--table", TABLE, "routine.jsonl", "--json")
    report = json.loads(done.out)
    assert (74, 100, "alerts-only") == (done.status, report["refused"], report["state"])
    assert "mcp sync" in first.err


def test_frames_are_sealed_from_the_first_on(home, dunes):
    earth = create_identity(find_paths({"DUNES_HOME": str(home / "earth")}), "earth-gs")
    paths = find_paths()
    (home / "a.jsonl").write_text(line(0))
    (home / "b.jsonl").write_text(line(1))
    assert "not sealed" not in dunes("ingest", "--table", TABLE, "a.jsonl").out
    TrustStore.at(paths).add(earth.document, [Role.GROUND_STATION], SYSTEM_CLOCK.unix_us())
    done = dunes("ingest", "--table", TABLE, "b.jsonl")
    assert "not sealed" not in done.out
    report = json.loads(dunes("check-buffer", "--table", TABLE, "--deep", "--json").out)
    assert ("all", True, []) == (report["sealed"], report["intact"], report["findings"])
    seqs = [
        x["seq"] for x in json.loads(dunes("query", "--table", TABLE, "--json").out)["readings"]
    ]
    assert [0, 1] == seqs
    database = (paths.data / "buffer.db").read_bytes()
    database += (
        (paths.data / "buffer.db-wal").read_bytes()
        if (paths.data / "buffer.db-wal").exists()
        else b""
    )
    assert b"d-1" not in database
