"""A program's man page, from its command tree."""

import textwrap
from collections.abc import Iterable

from dunes import __version__
from dunes.console.topics import ENVIRONMENT, EXIT_CODES, FILES, Topic
from dunes.console.tree import Argument, Node, Option


def man_page(root: Node, others: list[str]) -> str:
    """Write the section 1 page of a program, as groff -man reads it.

    Args:
        root: the program's own node.
        others: names of the other programs' pages.
    """
    prog = root.path[0]
    full = next((node for node in root.walk() if node.output is not None), root)
    shared = [option for option in full.options if option.shared]
    lines = [
        f'.TH {_text(prog.upper())} 1 "" "dunes\\-mcp {_text(__version__)}" "dunes\\-mcp"',
        ".SH NAME",
        f"{_text(prog)} \\- {_text(_phrase(root.help))}",
        ".SH SYNOPSIS",
        f".B {_text(prog)}",
        ".I COMMAND",
        "[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]",
        ".SH DESCRIPTION",
        *_paragraphs(root.help),
        *_options(root.options),
        ".SH OPTIONS OF EVERY COMMAND",
        *_options(shared),
        ".SH COMMANDS",
    ]
    for node in root.walk():
        if len(node.path) > 1:
            lines += _command(node)
    for heading, topic in (
        ("EXIT STATUS", EXIT_CODES),
        ("ENVIRONMENT", ENVIRONMENT),
        ("FILES", FILES),
    ):
        lines += [f".SH {heading}", *_topic(topic)]
    if others:
        lines += [".SH SEE ALSO", *_listed(others)]
    return "\n".join(lines) + "\n"


def _listed(names: list[str]) -> list[str]:
    last = len(names) - 1
    return [f".BR {_text(name)} (1){',' if at < last else ''}" for at, name in enumerate(names)]


def _phrase(text: str) -> str:
    """Turn a help line into the NAME section's phrase: no capital, no full stop."""
    line = text.partition("\n")[0].rstrip(".")
    return line[:1].lower() + line[1:]


def _text(text: str) -> str:
    """Escape what groff would read as a request or as markup."""
    flat = text.replace("\\", "\\e").replace("-", "\\-")
    flat = "".join(c if c.isascii() else f"\\[u{ord(c):04X}]" for c in flat)
    return "\\&" + flat if flat.startswith((".", "'")) else flat


def _paragraphs(text: str) -> list[str]:
    lines = []
    for number, block in enumerate(text.split("\n\n")):
        if number:
            lines.append(".PP")
        lines += [_text(line.strip()) for line in block.splitlines() if line.strip()]
    return lines


def _topic(topic: Topic) -> list[str]:
    lines = [_text(row) for row in textwrap.wrap(topic.about, 90)]
    for row in topic.rows:
        lines += [".TP", f"\\fB{_text(row.name)}\\fR", _text(row.meaning)]
    return lines


def _command(node: Node) -> list[str]:
    usage = " ".join(_argument_usage(argument) for argument in node.arguments)
    lines = [f".SS {_text(node.typed)}" + (f" {usage}" if usage else "")]
    lines += _paragraphs(node.help)
    for argument in node.arguments:
        if argument.help:
            lines += [".TP", f"\\fI{_text(argument.name)}\\fR", *_paragraphs(argument.help)]
    return lines + _options([option for option in node.options if not option.shared])


def _argument_usage(argument: Argument) -> str:
    text = f"\\fI{_text(argument.name)}\\fR" + ("..." if argument.repeatable else "")
    return text if argument.required else f"[{text}]"


def _options(options: Iterable[Option]) -> list[str]:
    lines = []
    for option in options:
        names = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.names)
        lines += [".TP", names + _value(option), *(_paragraphs(option.help) or ["\\&"])]
    return lines


def _value(option: Option) -> str:
    if not option.takes_value:
        return ""
    called = "|".join(option.choices) or option.metavar or option.names[-1][2:].upper()
    return f" \\fI{_text(called)}\\fR"
