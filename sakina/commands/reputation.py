"""`sakina reputation-set` and `sakina reputation-check`: how far somebody is trusted."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.authority.standing import Event
    from sakina.trust import ReputationReport

Subject = Annotated[
    str, typer.Argument(metavar="NAME", help="A device's, gateway's or key's name.")
]
EVIDENCE = ("verified", "failed-verification", "replay", "bad-mic")


@command(schema="sakina.reputation/1", report="sakina.trust:ReputationReport")
def reputation_set(
    screen: Screen,
    subject: Subject,
    score: Annotated[
        float | None,
        typer.Option("--score", min=0, max=1, help="Your own assessment, from 0 to 1."),
    ] = None,
    evidence: Annotated[
        str,
        typer.Option(
            "--evidence",
            metavar="verified|failed-verification|replay|bad-mic",
            help="Instead: what was observed elsewhere.",
        ),
    ] = "",
    count: Annotated[int, typer.Option("--count", metavar="COUNT", min=1, help="How often.")] = 1,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for those who look later.")
    ] = "",
) -> int:
    """Say how far somebody is to be trusted, or what was observed; signed and logged.

    An assessment counts like ten observations, replaces those before it, and gives way to
    those that come after.
    """
    from dunes.authority.standing import Event, Kind
    from dunes.clock import SYSTEM_CLOCK

    if (score is None) == (not evidence):
        raise UsageError("give a score, or what was observed", hint="--score 0.8 --reason …")
    if evidence and evidence not in EVIDENCE:
        raise UsageError(f"no evidence {evidence[:40]!r}", hint=f"one of {', '.join(EVIDENCE)}")
    kind = Kind(evidence) if evidence else Kind.SET
    made = Event(subject, kind, SYSTEM_CLOCK.unix_us(), count, score, reason[:200])
    index = append(made)
    screen.show(report_of(subject, 0.0, index), lines)
    return Exit.OK


@command(schema="sakina.reputation/1", report="sakina.trust:ReputationReport")
def reputation_check(
    screen: Screen,
    subject: Subject,
    minimum: Annotated[
        float, typer.Option("--min", min=0, max=1, help="The score that is enough.")
    ] = 0.5,
    gather: Annotated[
        bool,
        typer.Option("--gather", help="First take in what `dunes mesh-listen` counted."),
    ] = False,
) -> int:
    """Say whether somebody is trusted far enough: exit 0 or 1."""
    if gather:
        from dunes.settings import load
        from sakina.evidence import gather as look

        seen = look(load())
        if seen.simulated:
            screen.note("the mesh is simulated: what its nodes do is no evidence of real ones")
        for event in seen.events:
            screen.note(f"{event.subject}: {event.count} x {event.kind}")
        if seen.events:
            append(*seen.events)
        seen.remember()
    report = report_of(subject, minimum, None)
    screen.show(report, lines)
    return Exit.OK if report.enough else Exit.NO


def append(*events: "Event") -> int | None:
    """Sign events and enter them in the log; give where the last of them is."""
    from dunes.authority.ledger import append_events
    from dunes.authority.model import is_subject_id
    from dunes.authority.record import Recorder
    from dunes.errors import DataError
    from dunes.settings import load

    settings = load()
    for event in events:
        if not is_subject_id(event.subject):
            raise DataError(f"{event.subject[:60]!r} names nobody", hint="sakina status")
    recorder = Recorder.at(settings.paths, settings["gateway.id"] or "gateway")
    return append_events(recorder, list(events))[-1].log_index


def report_of(subject: str, floor: float, index: int | None) -> "ReputationReport":
    """Say how somebody stands now."""
    from dunes.authority.gate import Gate
    from dunes.clock import SYSTEM_CLOCK
    from dunes.paths import find_paths
    from sakina.trust import ReputationReport, row_of

    ledger = Gate(find_paths()).ledger()
    standing = ledger.standing(subject, SYSTEM_CLOCK.unix_us())
    row = row_of(subject, ledger.tallies.get(subject), standing)
    enough = standing.score >= floor and not standing.quarantined
    return ReputationReport(enough, floor, row, index)


def lines(report: "ReputationReport") -> Iterator[str]:
    """Write it for people."""
    trust = report.trust
    state = (
        f"in quarantine: {printable(trust.quarantined)}"
        if trust.quarantined
        else "not in quarantine"
    )
    yield f"{printable(trust.subject)}: {trust.score:.2f}, {state}"
    yield (
        f"  proved itself {trust.verified} times, failed {trust.failed}, replays {trust.replays}, "
        f"bad MICs {trust.bad_mics}"
    )
    if report.log_index is not None:
        yield f"  entry {report.log_index} of the log"
    elif report.floor:
        yield f"  {'enough' if report.enough else 'NOT enough'}: {report.floor:g} is asked for"
