"""`torgo feedback`: work what sensors say into the plan."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import NotFound, UsageError
from torgo.commands import options as o

if TYPE_CHECKING:
    from torgo.reports import FeedbackReport

MOST_CHARACTERS = 200_000_000


@command(schema="torgo.feedback/1", report="torgo.reports:FeedbackReport")
def feedback(
    screen: Screen,
    plan: o.PlanFile = None,
    sensor: Annotated[
        str,
        typer.Option(
            "--sensor",
            metavar="accelerometer|rssi|battery|temperature|rf-noise",
            help="Whose readings are taken.",
        ),
    ] = "rssi",
    interval: Annotated[
        str,
        typer.Option(
            "--interval", metavar="DURATION", help="The readings of the last so much time count."
        ),
    ] = "10s",
    input_: Annotated[
        str,
        typer.Option("--input", metavar="FILE", help="Readings as JSON Lines; - is stdin."),
    ] = "-",
    iterations: Annotated[
        int, typer.Option("--iterations", metavar="N", help="Effort of the search.")
    ] = 500,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where; default: the plan itself."),
    ] = None,
) -> int | None:
    """Work what sensors say into the plan, changing few roles."""
    from dunes.units import duration_s
    from torgo.commands import files
    from torgo.feedback import SENSORS, latest, parse_samples, work_in
    from torgo.planfile import encode_plan
    from torgo.reports import FeedbackReport, summarise

    if sensor not in SENSORS:
        raise UsageError(f"--sensor {sensor[:40]!r}: choose one of {', '.join(SENSORS)}")
    network = files.load_plan(plan)
    if input_ == "-" and sys.stdin.isatty():
        raise NotFound(
            "no readings on stdin", hint=f"torgo feedback --sensor {sensor} --input FILE"
        )
    text = (
        sys.stdin.read(MOST_CHARACTERS)
        if input_ == "-"
        else files.read_text(Path(input_), "readings")
    )
    samples = latest(parse_samples(text, input_, SENSORS[sensor]), duration_s(interval))
    after, findings = work_in(network, sensor, samples, iterations)
    target = Path(output or plan or files.PLAN)
    if findings:
        files.check_output(target)
        files.save(target, encode_plan(after))
    before, now = network.relay_mask, after.relay_mask
    report = FeedbackReport(
        sensor,
        len(samples),
        findings,
        after.names(i for i in range(len(after.nodes)) if now & ~before & 1 << i),
        after.names(i for i in range(len(after.nodes)) if before & ~now & 1 << i),
        summarise(after),
        str(target) if findings else "",
    )
    screen.show(report, lines)
    return None


def lines(report: "FeedbackReport") -> Iterator[str]:
    """Write what the readings mean and what changes."""
    from torgo.reports import summary_lines

    yield f"{report.readings} readings of {report.sensor}: {len(report.findings)} findings"
    for finding in report.findings[:20]:
        yield f"  {finding.node}: {finding.what}" + ("" if finding.relay else "; must not relay")
    if not report.findings:
        yield "the plan stays as it is"
        return
    yield f"  relay now: {', '.join(report.on) or 'no more than before'}"
    yield f"  relay no more: {', '.join(report.off) or 'none'}"
    yield from summary_lines(report.plan)
    yield f"wrote {report.file}"
