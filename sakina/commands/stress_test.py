"""`sakina stress-test`: does what decides hold under load?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit

if TYPE_CHECKING:
    from sakina.stress import Speed, StressReport

REQUESTS_MAX = 1_000_000


@command(schema="sakina.stress-test/1", report="sakina.stress:StressReport")
def stress_test(
    screen: Screen,
    scope: Annotated[
        str, typer.Option("--scope", metavar="SCOPE", help="What the questions are about.")
    ],
    requests: Annotated[
        int,
        typer.Option("--requests", metavar="COUNT", min=1, max=REQUESTS_MAX, help="How many."),
    ] = 1000,
    issuer: Annotated[
        bool,
        typer.Option("--issuer/--no-issuer", help="Ask the simulated site's issuer too, if up."),
    ] = True,
) -> int:
    """Put load on decisions, tokens and the simulated issuer, and judge every answer.

    Exit 1 if anything was allowed that had to be refused, two answers to one question
    differ, a forged token was taken, or the issuer failed a request.
    """
    from dunes.paths import find_paths
    from dunes.site import running_site
    from sakina.stress import stress

    paths = find_paths()
    report = stress(paths, scope, requests, running_site(paths) if issuer else None)
    screen.show(report, lines)
    return Exit.OK if report.passed else Exit.NO


def lines(report: "StressReport") -> Iterator[str]:
    """Write the figures for people."""
    word = "PASS" if report.passed else "FAIL"
    yield f"{word}: {report.decisions.count} questions about {report.scope}"
    yield f"  answers    {report.allowed} yes, {report.denied} no"
    yield f"  leaks      {report.leaks}; inconsistent {report.inconsistent}"
    mark = "below" if report.within_target else "NOT below"
    yield f"  decision   {said(report.decisions)}; half of them {mark} 50 µs"
    yield f"  recorded   {said(report.recorded)}, written down"
    yield f"  tokens     {said(report.tokens)}; forged ones taken: {report.forged_accepted}"
    if report.issuer is None:
        yield "  issuer     none is up: dunes sim up"
    else:
        yield f"  issuer     {said(report.issuer)}; failed: {report.issuer_failed} (simulated)"


def said(speed: "Speed") -> str:
    """Write a speed."""
    return f"{speed.p50_us:.1f} µs (99 %: {speed.p99_us:.1f} µs), {speed.per_s:.0f}/s"
