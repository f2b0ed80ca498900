"""A program's commands as plain data: what completions, man pages and tests read.

The one place that knows how typer builds commands; everything else reads `Node`,
`Option` and `Argument`.
"""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from typing import Any

import typer

from dunes.console.command import COMMON
from dunes.console.lazy import LazyCommand
from dunes.settings import SETTINGS

DISTRIBUTION = "dunes-mcp"

CHOICES = re.compile(r"[a-z0-9][\w.-]*(?:\|[a-z0-9][\w.-]*)+")
"""A metavar that lists what may be given: `auto|always|never`."""

PATH_METAVARS = frozenset({"FILE", "PATH", "DIR", "FOLDER"})
PATH_TYPES = frozenset({"path", "filename", "file", "directory"})

KINDS = {
    "--table": "tables",
    "--buffer": "buffers",
    "--destination": "destinations",
    "--firmware": "firmware",
    "TABLE": "tables",
    "DESTINATION": "destinations",
}
"""Options and metavars whose values `dunes complete-names` knows."""

SHARED_NAMES = frozenset({"--schema", "--help"}).union(
    annotation.__metadata__[0].default for annotation, _ in COMMON.values()
)
"""Options of every command; pages explain them once. (`typer.Option("--json")` calls its
first name its default until it has met the function.)"""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command.

    Attributes:
        names: all spellings, long ones last, e.g. `("-h", "--help")`.
        help: one paragraph.
        takes_value: false for flags and counters.
        choices: the values it may have, where they are few.
        is_path: its value names a file or folder.
        kind: what `dunes complete-names` is asked for, or "".
        metavar: how its value is called in help, or "".
        required: the command does not run without it.
        repeatable: may be given several times.
    """

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...] = ()
    is_path: bool = False
    kind: str = ""
    metavar: str = ""
    required: bool = False
    repeatable: bool = False

    @property
    def shared(self) -> bool:
        """Whether every command has it."""
        return self.names[-1] in SHARED_NAMES


@dataclass(frozen=True, slots=True)
class Argument:
    """A positional argument of a command; fields as in `Option`."""

    name: str
    help: str
    choices: tuple[str, ...] = ()
    is_path: bool = False
    kind: str = ""
    required: bool = True
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A program, a group or a command.

    Attributes:
        path: how it is typed, e.g. `("dunes", "mcp", "sync")`.
        summary: its line in the help of the group above.
        help: its whole help text.
        options: without hidden ones.
        arguments: in order.
        children: without hidden ones, in the order of the table.
        output: schema name and report type of a command of the house, or None.
    """

    path: tuple[str, ...]
    summary: str
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    children: tuple["Node", ...]
    output: tuple[str, str] | None = None

    @property
    def typed(self) -> str:
        """The path as a person types it."""
        return " ".join(self.path)

    def walk(self) -> Iterator["Node"]:
        """Give this node and all below it, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()


def program_names() -> list[str]:
    """Name the scripts of the distribution, in alphabetical order."""
    points = distribution(DISTRIBUTION).entry_points
    return sorted(point.name for point in points if point.group == "console_scripts")


def apps() -> Iterator[tuple[str, typer.Typer]]:
    """Give every script of the distribution that has commands, with its application."""
    points = distribution(DISTRIBUTION).entry_points
    for point in sorted(points, key=lambda point: point.name):
        if point.group == "console_scripts":
            app = getattr(importlib.import_module(point.module), "app", None)
            if isinstance(app, typer.Typer):
                yield point.name, app


def programs() -> dict[str, Node]:
    """Walk every script of the distribution that has commands."""
    nodes = {prog: walk(app, prog) for prog, app in apps()}
    return {prog: node for prog, node in nodes.items() if node.children}


def walk(app: typer.Typer, prog: str) -> Node:
    """Read a whole program, importing its command modules."""
    return _node(typer.main.get_command(app), (prog,), None, None)


def _node(command: Any, path: tuple[str, ...], parent: Any, summary: str | None) -> Node:
    if isinstance(command, LazyCommand):
        summary = command.entry.help
        command = command.resolve()
    context = typer.Context(command, info_name=path[-1], parent=parent, **command.context_settings)
    text = re.sub(r"\n(?!\n)[ \t]*", "\n", (command.help or "").strip()).replace("\f", "")
    children = []
    for name in getattr(command, "commands", {}):
        child = command.commands[name]
        if not child.hidden:
            children.append(_node(child, (*path, name), context, None))
    options, arguments = [], []
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            arguments.append(_argument(parameter))
        elif not parameter.hidden:
            options.append(_option(parameter))
    return Node(
        path,
        summary or text.partition("\n")[0],
        text,
        tuple(options),
        tuple(arguments),
        tuple(children),
        getattr(command.callback, "__dunes_output__", None),
    )


def _option(parameter: Any) -> Option:
    names = [*parameter.opts, *parameter.secondary_opts]
    names.sort(key=lambda name: name.startswith("--"))
    takes_value = not (parameter.is_flag or parameter.count)
    metavar = (parameter.metavar or "") if takes_value else ""
    kind = next((KINDS[name] for name in names if name in KINDS), KINDS.get(metavar, ""))
    return Option(
        tuple(names),
        (parameter.help or "").strip(),
        takes_value,
        _choices(parameter),
        _is_path(parameter),
        kind if takes_value else "",
        metavar,
        bool(parameter.required),
        bool(parameter.multiple or parameter.count),
    )


def _argument(parameter: Any) -> Argument:
    name = (parameter.metavar or parameter.name).strip("[].").upper()
    return Argument(
        name,
        (getattr(parameter, "help", None) or "").strip(),
        _choices(parameter),
        _is_path(parameter),
        KINDS.get(name, ""),
        bool(parameter.required),
        parameter.nargs == -1,
    )


def _choices(parameter: Any) -> tuple[str, ...]:
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return tuple(str(getattr(choice, "value", choice)) for choice in choices)
    metavar = (parameter.metavar or "").strip("[].")
    if metavar == "KEY":
        return tuple(SETTINGS)
    return tuple(metavar.split("|")) if CHOICES.fullmatch(metavar) else ()


def _is_path(parameter: Any) -> bool:
    words = set(re.split(r"[^A-Z]+", parameter.metavar or ""))
    return parameter.type.name in PATH_TYPES or bool(words & PATH_METAVARS)
