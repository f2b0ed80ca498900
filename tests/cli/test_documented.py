"""Whatever a person can type has help, an example, and an output that is described."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import typer

from dunes.console.command import json_schema
from dunes.console.lazy import LazyCommand
from dunes.console.tree import apps, programs

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("guide-*.md"))]
EXAMPLES = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS if path.exists())
ROOTS = programs()
SAME = {
    "dunes mcp": "mcp",
    "dunes-mcp": "mcp",
    "dunes torgo": "torgo",
    "dunes sakina": "sakina",
}
"""Other spellings of a program; an example of one is an example of all."""


def nodes():
    for root in ROOTS.values():
        yield from root.walk()


def commands():
    return [node for node in nodes() if node.output is not None or not node.children]


def canonical(typed):
    for other, name in SAME.items():
        if typed.startswith(other + " "):
            return name + typed.removeprefix(other)
    return typed


@pytest.mark.parametrize("node", commands(), ids=lambda node: node.typed)
def test_every_command_explains_itself(node):
    assert node.summary.endswith("."), "its first docstring line is a sentence"
    for option in node.options:
        assert option.help, f"{option.names[-1]} has no help"
    for argument in node.arguments:
        assert argument.help, f"{argument.name} has no help"
    names = {option.names[-1] for option in node.options}
    assert {"--json", "--schema", "--quiet", "--verbose", "--color"} <= names


@pytest.mark.parametrize("typed", sorted({canonical(n.typed) for n in commands()}))
def test_every_command_has_an_example_that_is_run(typed):
    example = re.compile(rf"^[$>] (?:\S+=\S+ )*{re.escape(typed)}(?: |$)", re.MULTILINE)
    found = example.search(EXAMPLES) is not None
    assert found, f"no example of {typed} in README.md or docs/guide-*.md"


@pytest.mark.parametrize("node", commands(), ids=lambda node: node.typed)
def test_every_output_has_a_name_a_number_and_a_valid_schema(node):
    name, report = node.output
    assert re.fullmatch(r"[a-z-]+(\.[a-z-]+)+/[1-9]\d*", name)
    schema = json.loads(json_schema(name, report))
    jsonschema.Draft202012Validator.check_schema(schema)


def lazy_commands():
    for prog, app in apps():
        yield from stubs(typer.main.get_command(app), prog)


def stubs(group, path):
    for name, command in getattr(group, "commands", {}).items():
        if isinstance(command, LazyCommand):
            real = command.resolve()
            yield f"{path} {name}", command.entry.help, real
            yield from stubs(real, f"{path} {name}")


@pytest.mark.parametrize(
    ("typed", "line", "real"), list(lazy_commands()), ids=lambda v: str(v)[:40]
)
def test_the_table_s_line_is_the_docstring_s_first(typed, line, real):
    if not getattr(real, "commands", None) or real.help:
        assert line == (real.help or "").strip().partition("\n")[0].replace("\f", ""), typed


CHEAP = [
    ("dunes", "config"),
    ("dunes", "config", "get", "mesh.id"),
    ("dunes", "config", "set", "mesh.id", "m1", "--dry-run"),
    ("dunes", "config", "unset", "mesh.id", "--dry-run"),
    ("dunes", "help"),
    ("dunes", "help", "exit-codes"),
    ("dunes", "completions", "fish"),
    ("dunes", "service", "--print", "sync"),
    ("dunes", "status", "--timeout", "200ms"),
    ("dunes", "doctor", "--only", "sqlite", "--only", "clock"),
]


@pytest.mark.parametrize("argv", CHEAP, ids=" ".join)
def test_real_output_is_what_its_schema_says(argv, typed):
    loopback = {"DUNES_STARLINK_DISH_IP": "127.0.0.1", "DUNES_STARLINK_ROUTER_IP": "127.0.0.1"}
    schema = json.loads(typed(*argv, "--schema", **loopback).stdout)
    done = typed(*argv, "--json", **loopback)
    report = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schema).validate(report)
    assert "schema" == next(iter(report))
