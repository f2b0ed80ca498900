"""Damage in the stored file itself: found, bounded to what it hit, and survivable.

Bytes are flipped, cut and zeroed below SQLite, then the commands are run as typed.
"""

import contextlib
import io
import json
import os
import shutil
from pathlib import Path
from random import Random
from typing import NamedTuple

import apsw
import pytest

import dunes.buffer.intake.run as intake
from dunes.buffer.appender import Appender
from dunes.buffer.group import Limits
from dunes.cli import app
from dunes.console import run

TABLE = "lunar_telemetry"
N = 3000


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def dunes(home: Path, *arguments: str) -> Done:
    """Run a command as typed, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setenv("DUNES_HOME", str(home))
        status = run(app, "dunes", list(arguments))
    return Done(int(status), out.getvalue(), err.getvalue())


def line(i: int) -> str:
    row = {"device": f"d-{i % 7}", "kind": "co2", "value": 600 + i % 31, "unit": "ppm", "seq": i}
    return json.dumps(row | {"ts_us": 1_000_000 * i}) + "\n"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A home with 3000 readings, in frames of 100."""
    home = tmp_path_factory.mktemp("sound")
    source = home / "in.jsonl"
    source.write_text("".join(map(line, range(N))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Appender.__init__.__kwdefaults__, "limits", Limits(readings=100))
        patch.setattr(intake, "COMMIT_EVERY", 100)
        assert 0 == dunes(home, "ingest", "--table", TABLE, str(source)).returncode
    return home


@pytest.fixture
def home(sound, tmp_path) -> Path:
    shutil.copytree(sound, tmp_path / "home")
    return tmp_path / "home"


def database(home: Path) -> Path:
    return home / "data" / "buffer.db"


def check(home: Path, *more: str) -> tuple[int, dict]:
    done = dunes(home, "check-buffer", "--table", TABLE, "--json", *more)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else json.loads(done.stderr)


def seqs(home: Path) -> list[int]:
    done = dunes(home, "query", "--table", TABLE, "--limit", "0", "--json")
    assert "Traceback" not in done.stderr
    return [x["seq"] for x in json.loads(done.stdout)["readings"]]


def body_offset(home: Path, no: int) -> int:
    """Find where in the file a frame's body lies."""
    connection = apsw.Connection(str(database(home)))
    query = "SELECT body FROM frame WHERE lane=2 AND no=?"
    body = connection.execute(query, (no,)).get
    connection.close()
    found = database(home).read_bytes().find(body[:200])
    assert found > 0
    return found


def flip(path: Path, at: int, count: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(count)
        file.seek(at)
        file.write(bytes(b ^ 0x40 for b in old))


def test_a_sound_buffer_exits_0(home):
    status, report = check(home, "--deep")
    assert (0, True, N) == (status, report["intact"], report["readings"])
    assert list(range(N)) == seqs(home)


def test_a_flipped_bit_costs_its_frame_and_no_other(home):
    flip(database(home), body_offset(home, 7) + 50)
    status, report = check(home)
    assert 1 == status
    (found,) = report["findings"]
    assert ("bitrot", "routine", 7, 7, 601, 700, 100) == (
        found["kind"],
        found["lane"],
        found["from_no"],
        found["to_no"],
        found["from_msg"],
        found["to_msg"],
        found["readings"],
    )
    assert [i for i in range(N) if not 600 <= i < 700] == seqs(home)


def test_a_repair_makes_it_sound_and_keeps_the_bytes(home):
    flip(database(home), body_offset(home, 7) + 50)
    plan = dunes(home, "check-buffer", "--table", TABLE, "--repair", "--dry-run")
    assert (1, True) == (plan.returncode, "frames 7 to 7 aside" in plan.stdout)
    assert 1 == check(home)[0]
    status, report = check(home, "--repair")
    assert (0, True) == (status, report["intact"])
    assert 100 == sum(lane["dropped"] for lane in report["lanes"])
    assert 1 == len(list((home / "data" / "damaged").glob("*.frame")))
    assert 0 == check(home, "--deep")[0]
    (home / "more.jsonl").write_text(line(N))
    done = dunes(home, "ingest", "--table", TABLE, str(home / "more.jsonl"))
    assert 0 == done.returncode
    assert 0 == check(home, "--deep")[0]


@pytest.mark.parametrize("seed", range(12))
def test_any_damaged_page_is_found_or_harmless_and_never_a_traceback(home, seed):
    dice = Random(seed)
    path = database(home)
    pages = path.stat().st_size // 4096
    page = dice.randrange(1, pages)  # the first page is the next test's
    flip(path, page * 4096 + dice.randrange(4000), dice.choice([1, 64]))
    status, report = check(home, "--deep")
    readable = seqs_or_none(home)
    if status == 0:  # it hit free space, an index that is not read, or unused bytes
        assert list(range(N)) == readable
    else:
        assert status in {1, 65, 74}
        assert report.get("findings") or report.get("error")
        if readable is not None:
            assert set(readable) <= set(range(N))
            assert len(readable) == len(set(readable))


def seqs_or_none(home: Path) -> list[int] | None:
    done = dunes(home, "query", "--table", TABLE, "--limit", "0", "--json")
    assert "Traceback" not in done.stderr
    if done.returncode in {65, 74}:
        return None
    return [x["seq"] for x in json.loads(done.stdout)["readings"]]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"not a database at all, but a long letter" * 300),
        lambda path: path.write_bytes(b"\x00" * 8192),
        lambda path: flip(path, 0, 16),
        lambda path: os.truncate(path, 5000),
        lambda path: flip(path, 100, 60),
    ],
    ids=["letter", "zeros", "magic", "cut", "first page"],
)
def test_an_unreadable_database_is_said_with_a_hint(home, damage):
    damage(database(home))
    for command in ("check-buffer", "query"):
        done = dunes(home, command, "--table", TABLE, "--json")
        assert done.returncode in {1, 65, 74}, done.stdout
        assert "Traceback" not in done.stderr
        if done.returncode != 1:
            error = json.loads(done.stderr.splitlines()[-1])["error"]
            assert error["hint"]


def test_a_missing_buffer_and_an_unknown_table_are_told_apart(tmp_path, home):
    none = dunes(tmp_path / "other", "check-buffer", "--table", TABLE)
    assert (66, True) == (none.returncode, "no buffer yet" in none.stderr)
    typo = dunes(home, "check-buffer", "--table", "lunar_telemtry")
    assert (66, True) == (typo.returncode, "did you mean lunar_telemetry" in typo.stderr)
