"""`dunes help`: what holds for every command, and any command's own help."""

from dataclasses import dataclass
from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import table_lines
from dunes.console.topics import TOPICS, Row
from dunes.errors import Exit, NotFound


@dataclass(frozen=True, slots=True)
class HelpReport:
    """A topic, or the list of topics."""

    topic: str
    title: str
    about: str
    rows: tuple[Row, ...]


def lines(report: HelpReport) -> list[str]:
    """Write a topic for people."""
    table = table_lines(["", ""], [[row.name, row.meaning] for row in report.rows])
    return [report.title, "", report.about, *table]


def topic_report(name: str) -> HelpReport:
    """Look a topic up; an empty name gives the list of topics.

    Raises:
        NotFound: there is no such topic.
    """
    if not name:
        rows = tuple(Row(topic.name, topic.title) for topic in TOPICS.values())
        return HelpReport(
            "", "Topics", "dunes help TOPIC shows one; dunes --help lists the commands.", rows
        )
    topic = TOPICS.get(name)
    if topic is None:
        raise NotFound(
            f"no help topic {name[:80]!r}",
            hint=f"topics: {', '.join(TOPICS)}; a command's help: dunes {name[:80]} --help",
            code="unknown-topic",
        )
    return HelpReport(topic.name, topic.title, topic.about, topic.rows)


@command(schema="dunes.help/1", report="dunes.commands.help:HelpReport")
def show_help(
    screen: Screen,
    topic: Annotated[
        str,
        typer.Argument(
            help="What to explain; none: list the topics.",
            metavar="[" + "|".join(TOPICS) + "]",
        ),
    ] = "",
) -> int:
    """Explain what holds for every command: exit codes, variables, files, units."""
    screen.show(topic_report(topic), lines)
    return Exit.OK
