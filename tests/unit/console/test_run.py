import json
import subprocess
import sys
from typing import Annotated

import pytest
import typer

from dunes.console import Screen, command, run
from dunes.console.lazy import Entry, lazy_app
from dunes.errors import ConfigError, Exit


def tool(function):
    app = typer.Typer(add_completion=False, rich_markup_mode=None)

    @app.callback()
    def root() -> None:
        """Try."""

    app.command("go")(function)
    return app


def fails_with(error):
    def go() -> None:
        """Fail."""
        raise error

    return tool(go)


def test_an_error_of_ours_is_a_line_and_a_hint(capsys):
    app = fails_with(ConfigError("no mesh id", hint="mcp init"))
    assert Exit.CONFIG == run(app, "dunes", ["go"])
    out, err = capsys.readouterr()
    assert ("", "dunes: no mesh id\nhint: mcp init\n") == (out, err)


def test_with_json_an_error_is_one_object_on_stderr(capsys):
    @command(schema="dunes.test/1", report="tests:nothing")
    def go(_screen: Screen) -> int:
        """Fail."""
        raise ConfigError("no mesh id", hint="mcp init")

    assert 78 == run(tool(go), "dunes", ["go", "--json"])
    expected = {"code": "config", "message": "no mesh id", "hint": "mcp init", "exit": 78}
    out, err = capsys.readouterr()
    assert ({"error": expected}, "") == (json.loads(err), out)


def test_a_usage_error_is_2_and_json_too_if_asked(capsys):
    app = fails_with(ConfigError("never"))
    assert Exit.USAGE == run(app, "dunes", ["gone"])
    assert "No such command 'gone'" in capsys.readouterr().err
    assert Exit.USAGE == run(app, "dunes", ["gone", "--json"])
    assert "usage" == json.loads(capsys.readouterr().err)["error"]["code"]


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (typer.Abort(), 1), (EOFError(), 1)]
)
def test_an_interrupted_command_has_its_own_status(error, status, capsys):
    assert status == run(fails_with(error), "dunes", ["go"])
    assert "Traceback" not in capsys.readouterr().err


def test_anything_else_is_a_bug_with_a_trace_only_if_asked_for(capsys, monkeypatch):
    monkeypatch.delenv("DUNES_DEBUG", raising=False)
    assert Exit.SOFTWARE == run(fails_with(ValueError("odd")), "dunes", ["go"])
    err = capsys.readouterr().err
    assert "unexpected ValueError: odd" in err
    assert "Traceback" not in err
    monkeypatch.setenv("DUNES_DEBUG", "1")
    run(fails_with(ValueError("odd")), "dunes", ["go"])
    assert "Traceback" in capsys.readouterr().err


def test_what_a_command_returns_is_the_status():
    def go() -> int:
        """Say no."""
        return Exit.NO

    assert Exit.NO == run(tool(go), "dunes", ["go"])
    assert Exit.OK == run(tool(lambda: None), "dunes", ["go"])


def test_a_bare_program_prints_its_help_and_is_a_usage_error(capsys):
    app = lazy_app("dunes", "About.", {"go": Entry("x:y", "Go.")})
    assert Exit.USAGE == run(app, "dunes", [])
    printed = "".join(capsys.readouterr())
    assert "Go." in printed
    assert 1 == printed.count("Usage:")


def test_a_typo_is_answered_with_the_nearest_command(capsys):
    app = lazy_app("dunes", "About.", {"flash-node": Entry("x:y", "Flash.")})
    assert Exit.USAGE == run(app, "dunes", ["flash-nod"])
    assert "flash-node" in capsys.readouterr().err


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    program = tmp_path / "chatty.py"
    program.write_text(
        "import sys\n"
        "import typer\n"
        "from dunes.console import run\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def go() -> None:\n"
        "    for _ in range(100_000): print('line')\n"
        "sys.exit(run(app, 'chatty', []))\n"
    )
    pipe = f"set -o pipefail; '{sys.executable}' '{program}' | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", pipe], capture_output=True, text=True, timeout=20, check=False
    )
    assert "line\n0\n" == done.stdout
    assert "" == done.stderr


def test_a_pipe_broken_elsewhere_is_not_success(capfd):
    assert Exit.SOFTWARE == run(fails_with(BrokenPipeError(32, "peer gone")), "dunes", ["go"])
    assert "peer gone" in capfd.readouterr().err


@command(schema="dunes.test/1", report="tests:nothing")
def polite(screen: Screen, name: Annotated[str, typer.Option(help="Whom.")] = "you") -> int:
    """Greet somebody."""
    screen.note("greeting")
    screen.show({"name": name, "may_ask": screen.may_ask}, lambda r: [f"hello {r['name']}"])
    return Exit.OK


def test_a_command_of_the_house_has_the_common_options(capsys):
    app = tool(polite)
    assert Exit.OK == run(app, "dunes", ["go", "--name", "ann", "-q"])
    assert ("hello ann\n", "") == tuple(capsys.readouterr())
    assert Exit.OK == run(app, "dunes", ["go", "--json"])
    out, err = capsys.readouterr()
    assert {"schema": "dunes.test/1", "name": "you", "may_ask": False} == json.loads(out)
    assert "greeting\n" == err
    assert Exit.USAGE == run(app, "dunes", ["go", "--log-format", "xml"])
    assert Exit.USAGE == run(app, "dunes", ["go", "--color", "red"])


def test_a_command_keeps_its_docstring_and_tells_its_output():
    assert "Greet somebody." == polite.__doc__
    assert ("dunes.test/1", "tests:nothing") == polite.__dunes_output__
