from pathlib import Path
from typing import Annotated, Literal

import typer

from dunes.console import Entry, Screen, command, lazy_app
from dunes.console.tree import Option, program_names, walk
from dunes.settings import SETTINGS


@command(schema="dunes.try/1", report="tests:nothing")
def attempt(
    screen: Screen,
    files: Annotated[list[Path] | None, typer.Argument(help="Files.")] = None,
    key: Annotated[str, typer.Option("--key", "-k", metavar="KEY", help="A setting.")] = "",
    power: Annotated[Literal["low", "high"], typer.Option(help="How strong.")] = "low",
    mode: Annotated[str, typer.Option(metavar="a|b", help="Which.")] = "a",
    table: Annotated[str, typer.Option(help="Which table.")] = "",
    secret: Annotated[bool, typer.Option(hidden=True)] = False,
) -> int:
    """Try all kinds of options.

    A second paragraph.
    """
    del screen, files, key, power, mode, table, secret
    return 0


TABLE = {
    "try": Entry("test_tree:attempt", "Try all kinds of options."),
    "ghost": Entry("test_tree:attempt", "Unseen.", hidden=True),
}


def node(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "test_tree", sys.modules[__name__])
    root = walk(lazy_app("prog", "About it.", TABLE), "prog")
    assert ("prog",) == root.path
    (child,) = root.children
    return child


def test_stubs_are_resolved_and_hidden_ones_skipped(monkeypatch):
    child = node(monkeypatch)
    assert "prog try" == child.typed
    assert "Try all kinds of options." == child.summary
    assert child.help.endswith("A second paragraph.")
    assert ("dunes.try/1", "tests:nothing") == child.output


def test_options_are_plain_data(monkeypatch):
    child = node(monkeypatch)
    by_name = {option.names[-1]: option for option in child.options}
    assert "--secret" not in by_name
    assert ("low", "high") == by_name["--power"].choices
    assert ("a", "b") == by_name["--mode"].choices
    assert "tables" == by_name["--table"].kind
    assert ("-k", "--key") == by_name["--key"].names
    assert tuple(SETTINGS) == by_name["--key"].choices
    assert Option(("--json",), "Print the result as JSON.", takes_value=False) == by_name["--json"]
    assert ("-h", "--help") == by_name["--help"].names
    assert not by_name["--verbose"].takes_value
    assert by_name["--verbose"].shared
    assert not by_name["--power"].shared


def test_arguments_know_files_and_repetition(monkeypatch):
    (argument,) = node(monkeypatch).arguments
    assert (True, True, False) == (argument.is_path, argument.repeatable, argument.required)


def test_every_script_of_the_distribution_is_known():
    expected = {"dunes", "mcp", "dunes-mcp", "torgo", "arachnid", "sakina", "qiskit"}
    assert expected == set(program_names())
