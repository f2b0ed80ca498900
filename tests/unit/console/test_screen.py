import io
import json
from dataclasses import dataclass

import pytest

from dunes.console.screen import Screen, table_lines


@dataclass(slots=True)
class Report:
    age_s: float
    name: str


class Terminal(io.StringIO):
    def isatty(self):
        return True


def screen(**given):
    return Screen("dunes.test/1", out=io.StringIO(), err=io.StringIO(), **given)


def test_json_is_one_line_with_the_schema_first():
    s = screen(json=True)
    s.show(Report(1.5, "é"), lambda _r: ["never"])
    assert '{"schema":"dunes.test/1","age_s":1.5,"name":"é"}\n' == s.stdout.getvalue()


def test_an_empty_report_still_names_its_schema():
    assert {"schema": "dunes.test/1"} == json.loads(screen().encode({}))


def test_people_get_lines_and_without_lines_indented_json():
    s = screen()
    s.show(Report(1, "x"), lambda r: [r.name, "second"])
    assert "x\nsecond\n" == s.stdout.getvalue()
    s = screen()
    s.show(Report(1, "x"))
    assert {"schema": "dunes.test/1", "age_s": 1, "name": "x"} == json.loads(s.stdout.getvalue())


def test_quiet_drops_notes_but_never_warnings():
    s = screen(quiet=1, verbose=1)
    s.note("a")
    s.detail("b")
    s.warn("c")
    assert "warning: c\n" == s.stderr.getvalue()
    assert "" == s.stdout.getvalue()


def test_details_show_only_when_asked_for():
    quiet, curious = screen(), screen(verbose=1)
    for s in (quiet, curious):
        s.detail("x")
    assert ("", "x\n") == (quiet.stderr.getvalue(), curious.stderr.getvalue())


def test_notes_for_programs_are_json_lines():
    s = screen(log_json=True)
    s.warn("hot")
    row = json.loads(s.stderr.getvalue())
    assert ("warning", "hot") == (row["level"], row["message"])
    assert row["time"].endswith("Z")


@pytest.mark.parametrize(
    ("env", "color", "expected"),
    [
        ({}, "auto", True),
        ({"NO_COLOR": "1"}, "auto", False),
        ({"TERM": "dumb"}, "auto", False),
        ({"NO_COLOR": "1"}, "always", True),
        ({}, "never", False),
    ],
)
def test_colour_obeys_the_option_then_the_environment(monkeypatch, env, color, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert expected == Screen("x/1", color=color).colored(Terminal())
    assert (color == "always") == Screen("x/1", color=color).colored(io.StringIO())


def test_off_a_terminal_progress_is_notes_not_a_bar():
    s = screen(verbose=1)
    with s.progress("sync", total=20, unit="frames") as progress:
        for done in range(21):
            progress.update(done)
        progress.update(20, note="waiting")
    lines = s.stderr.getvalue().splitlines()
    assert "sync: 0 of 20 frames" == lines[0]
    assert "sync: waiting" == lines[-1]
    assert 12 == len(lines)


def test_on_a_terminal_progress_moves_and_goes_away(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    err = Terminal()
    s = Screen("x/1", err=err)
    assert s.live
    with s.progress("sync", total=2, unit="frames") as progress:
        progress.update(1)
        progress.update(2, total=3, note="alerts")
    assert "sync" in err.getvalue()
    assert not Screen("x/1", err=err, quiet=1).live


def test_a_table_is_aligned_without_trailing_blanks():
    rows = [["a", "1"], ["long name", ""]]
    assert ["NAME       N", "a          1", "long name"] == list(table_lines(["NAME", "N"], rows))
