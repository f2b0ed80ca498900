"""Running the house's commands as a person types them."""

import os
import subprocess
import sys
import time

import pytest

from dunes import __version__
from dunes.sim.typed import TIMED_OUT, Background, argv_of, run_typed


@pytest.fixture
def environ(tmp_path):
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DUNES_HOME": str(tmp_path / "d")}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("dunes --version", f"dunes {__version__}"),
        ("mcp --version", f"mcp {__version__}"),
        ("qiskit --version", f"qiskit {__version__}"),
    ],
)
def test_a_line_runs_as_its_own_program(tmp_path, environ, typed, said):
    lines = []
    ran = run_typed(typed, environ=environ, folder=tmp_path, timeout_s=30, on_line=lines.append)

    assert (0, said) == (ran.exit, ran.output)
    assert [said] == lines
    assert ran.seconds > 0


def test_a_failed_line_has_its_exit_status_and_both_streams(tmp_path, environ):
    ran = run_typed("dunes sim up --site venus", environ=environ, folder=tmp_path, timeout_s=30)

    assert 66 == ran.exit
    assert "hint: dunes sim up" in ran.output


def test_a_line_that_takes_too_long_is_ended(tmp_path, environ):
    ran = run_typed(
        "dunes ingest --table x --follow nothing", environ=environ, folder=tmp_path, timeout_s=1.0
    )

    assert TIMED_OUT == ran.exit
    assert ran.seconds < 10


def test_what_is_no_program_of_the_house_is_not_run():
    with pytest.raises(ValueError, match="rm is no program"):
        argv_of("rm -rf /")


def test_a_command_in_the_background_is_ended_in_good_order(tmp_path, environ):
    child = Background("dunes ingest --table x --follow nothing", tmp_path / "log")
    assert child.exit is None
    child.start(environ)
    deadline_s = time.monotonic() + 20
    while not list((tmp_path / "d").glob("run/follow-*")):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)

    assert 0 == child.stop()
    assert "0 readings into x" in child.tail()


def test_a_program_ends_with_whoever_started_it(tmp_path, environ):
    line = "dunes ingest --table x --follow nothing"
    starter = (
        "import time\n"
        "from subprocess import DEVNULL, Popen\n"
        "from dunes.sim.typed import argv_of\n"
        f"p = Popen(argv_of({line!r}), stdout=DEVNULL, stderr=DEVNULL)\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", starter], env=environ, stdout=subprocess.PIPE, cwd=tmp_path
    ) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline_s = time.monotonic() + 20
    while running(pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def running(pid):
    """Say whether a process works (a zombie that nobody reaps does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - procfs
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
