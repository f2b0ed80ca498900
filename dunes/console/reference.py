"""The reference of all commands as one Markdown page, from the command trees."""

from collections.abc import Iterable, Iterator

from dunes.console.topics import TOPICS
from dunes.console.tree import Argument, Node, Option

HEAD = """\
# Command reference

Made by `make generated` from the commands themselves; do not edit. The same text is in each
command's `--help` and in the man pages.
"""


def reference(roots: Iterable[Node]) -> str:
    """Write docs/cli-reference.md.

    Args:
        roots: the programs' own nodes.
    """
    nodes = list(roots)
    lines = [HEAD, "## Options of every command", ""]
    shared = next((n for root in nodes for n in root.walk() if n.output is not None), None)
    if shared is not None:
        kept = [option for option in shared.options if option.shared]
        lines += [*_options(kept), ""]
    for root in nodes:
        lines += [f"## {root.typed}", "", *_help(root.help), ""]
        for node in root.walk():
            if len(node.path) > 1 and (node.output is not None or not node.children):
                lines += _command(node)
    lines += ["## Common ground", ""]
    for topic in TOPICS.values():
        lines += [f"### {topic.title}", "", topic.about, "", "| | |", "|---|---|"]
        lines += [f"| `{row.name}` | {_cell(row.meaning)} |" for row in topic.rows]
        lines += [""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _help(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _command(node: Node) -> Iterator[str]:
    usage = [node.typed, "[OPTIONS]", *(_usage(argument) for argument in node.arguments)]
    yield from (f"### `{' '.join(usage)}`", "", *_help(node.help), "")
    if node.output is not None:
        yield from (f"Output: `{node.output[0]}`.", "")
    own = [option for option in node.options if not option.shared]
    rows = [*_arguments(node.arguments), *_options(own)]
    if rows:
        yield from (*rows, "")


def _usage(argument: Argument) -> str:
    name = argument.name + ("..." if argument.repeatable else "")
    return name if argument.required else f"[{name}]"


def _arguments(arguments: Iterable[Argument]) -> Iterator[str]:
    for argument in arguments:
        if argument.help:
            yield f"- `{argument.name}`: {_sentence(argument.help)}{_choices(argument)}"


def _options(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        names = ", ".join(f"`{name}`" for name in option.names)
        need = " Required." if option.required else ""
        yield f"- {names}: {_sentence(option.help)}{_choices(option)}{need}"


def _sentence(text: str) -> str:
    return " ".join(text.split())


def _choices(of: Option | Argument) -> str:
    return f" One of {', '.join(f'`{choice}`' for choice in of.choices)}." if of.choices else ""
