"""`sakina quarantine`: cut somebody off, and let somebody in again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.radio_options import Ble
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError
from dunes.units import duration_s
from sakina.commands.reputation import Subject

if TYPE_CHECKING:
    from dunes.settings import Settings


@dataclass(frozen=True, slots=True)
class QuarantineReport:
    """What was decided and done.

    Attributes:
        subject: who.
        quarantined: the reason; empty if it was lifted.
        log_index: where the decision stands in the transparency log; null with --dry-run.
        mesh: `locked-out` (all others have new keys), `no-node` (no node of that name),
            `not-asked`, or `failed`.
        mesh_id: of the mesh that it was locked out of; empty otherwise.
        left: what remains to be done; empty if nothing does.
        dry_run: nothing was changed.
        simulated: the node is one of the simulated site.
    """

    subject: str
    quarantined: str
    log_index: int | None
    mesh: str
    mesh_id: str = ""
    left: str = ""
    dry_run: bool = False
    simulated: bool = False


@command(schema="sakina.quarantine/1", report="sakina.commands.quarantine:QuarantineReport")
def quarantine(
    screen: Screen,
    subject: Subject,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; whoever is refused reads it.")
    ] = "",
    lift: Annotated[bool, typer.Option("--lift", help="End it.")] = False,
    mesh: Annotated[
        bool,
        typer.Option("--mesh/--no-mesh", help="Lock a node out with new keys for all others."),
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Leave other nodes that are silent behind too.")
    ] = False,
    ble: Ble = None,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long to look for a way into the mesh.")
    ] = "30s",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")
    ] = False,
) -> int:
    """Cut somebody off: what it asks for is refused, and the mesh gets keys it does not have.

    Its tokens and signatures count no longer, and nobody commands it. What a wired sensor of
    that name writes into a file that is ingested is still taken in. The decision holds at once
    and is logged. Locking a node out of the mesh takes a radio; where that fails the command
    says what remains to be done, and exits with 75.
    """
    from dunes.authority.standing import Event, Kind
    from dunes.clock import SYSTEM_CLOCK
    from dunes.settings import load
    from sakina.commands.reputation import append
    from sakina.evidence import has_node

    if not lift and not reason:
        raise UsageError("whoever is cut off is told why", hint="--reason TEXT")
    settings = load()
    in_mesh = mesh and not lift and has_node(settings, subject)
    if dry_run:
        left = f"dunes mesh-remove {subject} --exclude" if in_mesh else ""
        report = QuarantineReport(
            subject, "" if lift else reason, None, "not-asked", left=left, dry_run=True
        )
        screen.show(report, lines)
        return Exit.OK
    kind = Kind.RELEASE if lift else Kind.QUARANTINE
    index = append(Event(subject, kind, SYSTEM_CLOCK.unix_us(), reason=reason[:200]))
    if lift:
        left = f"if it was locked out of a mesh: dunes mesh-init lets {subject} in again"
        screen.show(QuarantineReport(subject, "", index, "not-asked", left=left), lines)
        return Exit.OK
    report = QuarantineReport(subject, reason, index, "no-node" if mesh else "not-asked")
    if in_mesh:
        report = lock_out(screen, settings, report, ble, duration_s(timeout), force=force)
    screen.show(report, lines)
    return Exit.TEMPFAIL if report.mesh == "failed" else Exit.OK


def lock_out(
    screen: Screen,
    settings: "Settings",
    report: QuarantineReport,
    ble: str | None,
    timeout_s: float,
    *,
    force: bool,
) -> QuarantineReport:
    """Give all other nodes of the mesh new keys; the decision stands whatever comes of it."""
    import asyncio
    from dataclasses import replace

    from dunes.errors import DunesError
    from dunes.gateway.changing import MeshRemoveReport
    from dunes.gateway.verbs import use

    subject = report.subject
    try:
        done = asyncio.run(
            use(
                settings,
                "remove",
                {"node": subject, "exclude": True, "force": force},
                MeshRemoveReport,
                mesh_id=None,
                ble=ble,
                holder="sakina quarantine",
                timeout_s=timeout_s,
                note=lambda text: screen.detail(printable(text)),
            )
        )
    except DunesError as e:
        screen.warn(printable(f"{subject} is not locked out of the mesh: {e.message}", 300))
        left = e.hint or f"dunes mesh-remove {subject} --exclude"
        return replace(report, mesh="failed", left=left)
    return replace(report, mesh="locked-out", mesh_id=done.mesh_id, simulated=done.simulated)


def lines(report: QuarantineReport) -> Iterator[str]:
    """Tell what was decided and done."""
    who = printable(report.subject)
    simulated = " (simulated)" if report.simulated else ""
    if report.dry_run:
        yield f"{who} would be {'let in again' if not report.quarantined else 'cut off'}"
    elif report.quarantined:
        yield f"{who} is in quarantine: {printable(report.quarantined)}"
    else:
        yield f"{who} is not in quarantine any more"
    if report.mesh == "locked-out":
        yield f"  locked out of {report.mesh_id}{simulated}: every other node has new keys"
    elif report.mesh == "no-node":
        yield "  no node of the mesh has that name: there is nobody to lock out"
    if report.left:
        yield f"  left to do: {printable(report.left, 200)}"
    if report.log_index is not None:
        yield f"  entry {report.log_index} of the log"
