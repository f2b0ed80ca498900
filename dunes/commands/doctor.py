"""`dunes doctor`: is this gateway fit for its work, and if not, what to do."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.doctor.check import DoctorReport

NAMES = "scripts|clock|disk|sqlite|database|keys|policies|liboqs|dbus|adapter|router"
COLORS = {"ok": "32", "warn": "33", "fail": "31"}


@command(schema="dunes.doctor/1", report="dunes.doctor.check:DoctorReport")
def doctor(
    screen: Screen,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar=NAMES, help="Look at this alone; may be repeated."),
    ] = None,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long all of it may take.")
    ] = "8s",
) -> int:
    """Examine this gateway: scripts, clock, disk, database, keys, radio, router."""
    from dunes.doctor.check import Given, examine
    from dunes.doctor.checks import CHECKS
    from dunes.settings import load
    from dunes.units import duration_s

    wanted = set(only or [check.name for check in CHECKS])
    if unknown := wanted - {check.name for check in CHECKS}:
        raise UsageError(f"no check {', '.join(sorted(unknown))[:80]!r}", hint=f"one of: {NAMES}")
    given = Given(load(), os.environ, duration_s(timeout))
    report = examine([check for check in CHECKS if check.name in wanted], given)
    colored = screen.colored(screen.stdout)
    screen.show(report, lambda found: lines(found, colored=colored))
    return Exit.OK if report.healthy else Exit.NO


def lines(report: "DoctorReport", *, colored: bool) -> Iterator[str]:
    """Write each finding, and its hint below."""
    from dunes.console.screen import printable

    for finding in report.findings:
        state = finding.state.ljust(4)
        if colored:
            state = f"\x1b[{COLORS[finding.state]}m{state}\x1b[0m"
        yield f"{state}  {finding.name:<9} {printable(finding.message)}"
        if finding.hint:
            yield f"      hint: {printable(finding.hint)}"
