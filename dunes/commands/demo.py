"""`dunes demo`: the guide's story, typed and measured."""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.sim.demo import DemoReport, Threshold

TABLES = {
    "dunes": "dunes.cli",
    "mcp": "dunes_mcp.cli",
    "qiskit": "dunes.keygen_cli",
    "torgo": "torgo.cli",
    "arachnid": "arachnid.cli",
    "sakina": "sakina.cli",
}
"""Where each program's command table is."""


@command(schema="dunes.demo/1", report="dunes.sim.demo:DemoReport")
def demo(
    screen: Screen,
    site: Annotated[str, typer.Option(help="Which story: lunar or mars.")] = "lunar",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave its files, to look at afterwards.")
    ] = False,
) -> int:
    """Show the guide's story on the simulated site, and measure what it promises.

    Types the guide's commands in a DUNES_HOME of its own, shows each with its output
    (on stderr), and ends with the figures. Exit status 1 if a threshold is not kept.
    """
    from dunes.sim.demo import Demo, demo_folder
    from dunes.sim.example import write_examples
    from dunes.sim.story import STORIES
    from dunes.text import printable

    if site not in STORIES:
        raise UsageError(f"no story {site[:40]!r}", hint="dunes demo --site lunar")
    with demo_folder(keep=keep) as folder:
        report = Demo(
            site, exists, lambda line: screen.note(printable(line, 400)), folder, write_examples
        ).run()
        if keep:
            report = replace(report, home=str(folder / "home"))
            screen.note(f"its files stay in {folder}")
    screen.show(report, lines)
    return Exit.OK if report.passed else Exit.NO


def exists(typed: str) -> bool:
    """Tell whether this release has the command of a line."""
    program, *words = typed.split()
    table = getattr(importlib.import_module(TABLES[program]), "COMMANDS", {})
    for word in words:
        if table is None or word.startswith("-"):
            return True
        if word not in table:
            return False
        module = table[word].target.partition(":")[0]
        table = getattr(importlib.import_module(module), "COMMANDS", None)
    return True


def lines(report: "DemoReport") -> Iterator[str]:
    """Write the figures."""
    typed = [step for step in report.steps if step.exit is not None]
    skipped = len(report.steps) - len(typed)
    yield (
        f"measured on the simulated site {report.site}, {len(typed)} commands"
        + (f" ({skipped} of the guide's are not in this release)" if skipped else "")
    )
    width = max(len(each.name) for each in report.thresholds)
    for each in report.thresholds:
        yield (
            f"  {'PASS' if each.passed else 'FAIL'}  {each.name:<{width}}  "
            f"{figure(each):>16}  (wanted {each.wanted} {each.unit})"
        )
    failed = sum(not each.passed for each in report.thresholds)
    if failed:
        yield f"FAIL: {failed} of {len(report.thresholds)} thresholds are not kept"
    else:
        yield f"PASS: all {len(report.thresholds)} thresholds are kept"


def figure(threshold: "Threshold") -> str:
    """Write a figure with its unit."""
    if threshold.measured is None:
        return "not measured"
    value = threshold.measured
    text = f"{value:.0f}" if value == int(value) else f"{value:.2f}"
    return f"{text} {threshold.unit}"
