"""How a command speaks: data to stdout, everything else to stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from dunes.text import printable

Color = Literal["auto", "always", "never"]

__all__ = ["Color", "Progress", "Screen", "printable", "table_lines"]


@dataclass(slots=True)
class Screen:
    """One command's way of speaking, as its options and the terminal ask.

    Attributes:
        schema: name and number of the output, e.g. `dunes.status/1`.
        json: data as one JSON object (a line each in streams).
        quiet: 1 and up: notes are left out.
        verbose: 1 and up: details are shown.
        color: when to colour.
        log_json: notes and progress as JSON Lines on stderr.
        may_ask: a person can be asked (a terminal, and no `--no-input`).
    """

    schema: str
    json: bool = False
    quiet: int = 0
    verbose: int = 0
    color: Color = "auto"
    log_json: bool = False
    may_ask: bool = False
    out: TextIO | None = None
    err: TextIO | None = None

    @property
    def stdout(self) -> TextIO:
        """Where data goes."""
        return self.out or sys.stdout

    @property
    def stderr(self) -> TextIO:
        """Where everything else goes."""
        return self.err or sys.stderr

    def colored(self, stream: TextIO) -> bool:
        """Say whether `stream` is to have colours."""
        if self.color != "auto":
            return self.color == "always"
        return (
            stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    @property
    def live(self) -> bool:
        """Whether progress may move on stderr: a terminal, and nobody asked for less."""
        return self.stderr.isatty() and not (self.quiet or self.log_json)

    def show(self, report: Any, lines: Callable[[Any], Iterable[str]] | None = None) -> None:
        """Print a result: as JSON under `--json`, else as the lines that `lines` makes of it.

        Args:
            report: a dataclass, msgspec Struct or dict; its fields are the JSON keys.
            lines: gives the text for people; without it the JSON is printed indented.
        """
        if self.json:
            self.stdout.write(self.encode(report) + "\n")
        elif lines is None:
            self.stdout.write(json.dumps(json.loads(self.encode(report)), indent=2) + "\n")
        else:
            for line in lines(report):
                self.stdout.write(line + "\n")
        self.stdout.flush()

    def encode(self, report: Any) -> str:
        """Write a report as its JSON object, schema name first, on one line."""
        import msgspec

        body = msgspec.json.encode(report).decode()
        head = f'{{"schema":{json.dumps(self.schema)}'
        return head + ("}" if body == "{}" else "," + body[1:])

    def note(self, text: str) -> None:
        """Tell a person something that is not data (stderr; not under `--quiet`)."""
        if not self.quiet:
            self._say("note", text)

    def detail(self, text: str) -> None:
        """Tell what only a curious person wants (`-v`)."""
        if self.verbose and not self.quiet:
            self._say("detail", text)

    def warn(self, text: str) -> None:
        """Warn on stderr, always."""
        self._say("warning", text)

    def _say(self, level: str, text: str) -> None:
        if self.log_json:
            from dunes.clock import SYSTEM_CLOCK, rfc3339

            row = {"time": rfc3339(SYSTEM_CLOCK.unix_us()), "level": level, "message": text}
            self.stderr.write(json.dumps(row, ensure_ascii=False) + "\n")
        elif level == "warning":
            mark = "\x1b[33mwarning:\x1b[0m" if self.colored(self.stderr) else "warning:"
            self.stderr.write(f"{mark} {text}\n")
        else:
            self.stderr.write(text + "\n")
        self.stderr.flush()

    @contextmanager
    def progress(
        self, what: str, total: float | None = None, unit: str = ""
    ) -> Iterator["Progress"]:
        """Show how far long work has come: a moving bar on a terminal, else a line a step.

        Args:
            what: what is being done, e.g. `sync lunar-data`.
            total: how much there is to do, if known.
            unit: what is counted, e.g. `frames`.
        """
        progress = Progress(self, what, total, unit)
        try:
            progress.start()
            yield progress
        finally:
            progress.stop()


class Progress:
    """The progress of one piece of work."""

    def __init__(self, screen: Screen, what: str, total: float | None, unit: str) -> None:
        self._screen = screen
        self._what = what
        self._total = total
        self._unit = unit
        self._done = 0.0
        self._bar: Any = None
        self._task: Any = None
        self._said = -1

    def start(self) -> None:
        """Begin to show."""
        if not self._screen.live:
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        console = Console(
            file=self._screen.stderr, no_color=not self._screen.colored(self._screen.stderr)
        )
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(self._unit),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(self._what, total=self._total)

    def update(self, done: float, *, total: float | None = None, note: str | None = None) -> None:
        """Say how much is done by now, and what is happening."""
        self._done = done
        if total is not None:
            self._total = total
        if self._bar is not None:
            described = self._what if note is None else f"{self._what}: {note}"
            self._bar.update(self._task, completed=done, total=self._total, description=described)
        elif note is not None:
            self._screen.note(f"{self._what}: {note}")
        elif self._total:
            tenth = int(10 * done / self._total)
            if tenth > self._said:
                self._said = tenth
                self._screen.detail(
                    f"{self._what}: {done:.0f} of {self._total:.0f} {self._unit}".rstrip()
                )

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


def table_lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Align rows under their heads, plain text, two spaces between columns."""
    cells = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    for row in cells:
        yield "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
