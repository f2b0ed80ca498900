"""`dunes simulate-disconnect`: rehearse an outage, and judge what it did to the readings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, Unavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dunes.console.screen import Progress as Bar
    from dunes.settings import Settings
    from dunes.sim.outage import OutageReport, Progress
    from dunes.site import Site

LONG_S = 120.0
"""An outage that takes longer than this in our time is worth a word about --speed."""

DRAIN_EVERY_S = 5.0
FIRST_TABLE = "lunar_telemetry"


@command(schema="dunes.simulate-disconnect/1", report="dunes.sim.outage:OutageReport")
def simulate_disconnect(
    screen: Screen,
    duration: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the link is down, in site time.")
    ] = "10m",
    interface: Annotated[str, typer.Option(help="What is cut.")] = "starlink",
    speed: Annotated[
        float | None,
        typer.Option(
            help="Site seconds in one of ours, for the rehearsal. [default: as the site runs]",
        ),
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="Buffer table to watch. [default: the site's first]")
    ] = None,
    destination: Annotated[
        str | None, typer.Option(help="Ground station to judge by. [default: the only one]")
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            metavar="silent|reset",
            help="What connections see: silence, as in a real outage, or a reset.",
        ),
    ] = "silent",
    cause: Annotated[
        str | None,
        typer.Option(help="What the virtual dish reports, e.g. OBSTRUCTED. [default: NO_SATS]"),
    ] = None,
) -> int:
    """Rehearse a link outage, and judge by the ground station what it did.

    On the simulated site the virtual sky is cut; on a real gateway the uplink behaves
    as if it were. What does not run yet (ingest, sync) is started for the rehearsal.
    Ctrl-C restores the link and tells what is so far. Exit status 1 if readings were
    lost or came twice.
    """
    from dunes.model import table_name
    from dunes.settings import load
    from dunes.sim.lifecycle import check_speed
    from dunes.site import running_site
    from dunes.units import duration_s

    length_s = duration_s(duration)
    if length_s <= 0:
        raise UsageError(f"an outage of {duration} is none", hint="--duration 10m")
    check_speed(speed)
    folded = table_name(table) if table is not None else None
    settings = load()
    site = running_site(settings.paths)
    with sigterm_as_ctrl_c():
        if site is not None:
            report = on_site(
                screen,
                settings,
                site,
                folded,
                destination,
                interface,
                length_s,
                speed,
                mode,
                cause,
            )
        else:
            report = on_gateway(screen, settings, folded, destination, length_s, speed)
    keep(screen, settings, report)
    screen.show(report, lines)
    if report.interrupted:
        return Exit.INTERRUPTED
    return Exit.OK if report.passed else Exit.NO


def keep(screen: Screen, settings: "Settings", report: "OutageReport") -> None:
    """Leave the report in the state directory, for whoever looks later."""
    from dunes.paths import write_atomic
    from dunes.sim.outage import REHEARSAL

    write_atomic(
        settings.paths.ready(settings.paths.state) / REHEARSAL, screen.encode(report).encode()
    )


def on_site(
    screen: Screen,
    settings: "Settings",
    site: "Site",
    table: str | None,
    destination: str | None,
    interface: str,
    length_s: float,
    speed: float | None,
    mode: str,
    cause: str | None,
) -> "OutageReport":
    """Cut the virtual sky."""
    from dunes.sim.meshtrial import MeshTrial, mesh_of
    from dunes.sim.trial import Plan, SkyTrial, need_enrolment
    from dunes.units import show_duration
    from dunes.uplink.target import find_target

    table = table or next(iter(site.telemetry))
    if table not in site.telemetry:
        raise UsageError(
            f"no sensor of the site {site.name} writes to {table}",
            hint="--table " + " or ".join(site.telemetry),
        )
    target = find_target(settings, site, destination)
    if not target.simulated:
        raise UsageError(
            f"destination {target.name} is no part of the simulated site",
            hint="--destination " + " or ".join(site.destinations),
        )
    need_enrolment(settings, site)
    plan = Plan(table, target.name, interface, length_s, speed or site.speed, mode, cause or "")
    if plan.outage_s > LONG_S:
        screen.note(f"this takes {show_duration(plan.outage_s)}; --speed 60 makes it shorter")
    mesh_id = mesh_of(settings, site, table)
    with screen.progress("outage", length_s, "s") as bar:
        tell = teller(screen, bar)
        if mesh_id is not None:
            return MeshTrial(settings, site, plan, tell, mesh_id=mesh_id).run()
        return SkyTrial(settings, site, plan, tell).run()


def on_gateway(
    screen: Screen,
    settings: "Settings",
    table: str | None,
    destination: str | None,
    length_s: float,
    speed: float | None,
) -> "OutageReport":
    """Hold the uplink of a real gateway."""
    if not settings["uplink.destinations"]:
        raise Unavailable(
            "no simulated site is up, and this gateway has no ground station",
            hint="dunes sim up, or for a real one: mcp init --destination NAME=https://HOST:PORT",
            code="nothing-to-cut",
        )
    if speed not in {None, 1.0}:
        raise UsageError(
            "time on a real gateway has one speed", hint="leave --speed away, or: dunes sim up"
        )
    from dunes.sim.holdtrial import HoldTrial
    from dunes.units import show_duration
    from dunes.uplink.target import find_target

    target = find_target(settings, None, destination)
    trial_table = table or FIRST_TABLE
    screen.note(
        f"the uplink to {target.name} is held for {show_duration(length_s)}; Ctrl-C ends it"
    )
    with screen.progress("outage", length_s, "s") as bar:
        tell = teller(screen, bar)
        return HoldTrial(settings, trial_table, target.name, length_s, tell).run()


def teller(screen: Screen, bar: "Bar") -> "Callable[[Progress], None]":
    """Make what shows progress: the bar on a terminal, else a line now and then."""
    import time

    said: dict[str, float] = {}

    def tell(progress: "Progress") -> None:
        if screen.live:
            bar.update(round(progress.done_s), note=short_text(progress))
            return
        # lines: each tenth of the outage, every few seconds of the drain, each new note
        step = 10 * progress.done_s // progress.total_s if progress.total_s else 0.0
        if progress.phase == "drain":
            step = time.monotonic() // DRAIN_EVERY_S
        key = progress.phase + progress.note
        if said.get(key) != step:
            said[key] = step
            screen.note(progress_text(progress))

    return tell


def short_text(progress: "Progress") -> str:
    """Write one look for a bar, which shows the time itself."""
    if progress.note:
        return progress.phase
    state = "down" if progress.phase == "cut" else "up"
    return f"{state}, {progress.buffered:,} buffered, {progress.delivered:,} delivered"


def progress_text(progress: "Progress") -> str:
    """Write one look in words."""
    if progress.note:
        waiting = f" ({progress.buffered:,} in the buffer)" if progress.buffered else ""
        return f"{progress.note}{waiting}"
    state = "link down" if progress.phase == "cut" else "link up"
    return (
        f"{state} {progress.done_s:.0f}/{progress.total_s:.0f} s: {progress.made:,} made, "
        f"{progress.buffered:,} in the buffer, {progress.delivered:,} delivered"
    )


def lines(report: "OutageReport") -> Iterator[str]:
    """Write the judgement."""
    from dunes.units import show_duration

    where = f" ({report.site}, simulated)" if report.simulated else ""
    how = "sky cut" if report.how == "sky" else "uplink held"
    yield (
        f"outage of {show_duration(report.duration_s)}, {how}: "
        f"{report.table} → {report.destination}{where}"
    )
    yield from mesh_lines(report)
    yield f"  {'heard' if report.mesh else 'made':12} {report.made:,} readings"
    yield f"  buffered     {report.buffered:,} at most"
    yield f"  delivered    {report.delivered:,} ({report.delivered_percent:.2f} %)"
    if report.late:
        yield f"  late         {report.late:,} still in the gateway's buffer"
    yield f"  lost         {report.lost:,}"
    if report.duplicated is not None:
        yield f"  duplicated   {report.duplicated:,}"
    if report.drain_s is None:
        yield "  drained      not yet"
    else:
        yield f"  drained      {show_duration(report.drain_s)} after the link came back"
    if report.longest_gap_s is not None and report.gap_device:
        yield f"  longest gap  {report.longest_gap_s:.3g} s of site time ({report.gap_device})"
    yield from alert_lines(report)
    if report.accepted_percent is not None:
        whose = "all that the mesh brought" if report.mesh else "all"
        yield (
            f"  local        {report.accepted_percent:.2f} % of {report.accepted_looks} looks: "
            f"{whose} on the gateway's disk within 2 s"
        )
    for run in report.missing_runs:
        yield f"  missing      {run.device} number {run.first} to {run.last}"
    yield judgement(report)


def mesh_lines(report: "OutageReport") -> Iterator[str]:
    """Write how the mesh did."""
    mesh = report.mesh
    if mesh is None:
        return
    share = "" if mesh.heard_percent is None else f" ({mesh.heard_percent:.2f} %)"
    yield (
        f"  mesh         {mesh.mesh_id}, {mesh.nodes} nodes: {mesh.heard:,} of {mesh.reports:,} "
        f"numbered reports heard{share}"
    )


def alert_lines(report: "OutageReport") -> Iterator[str]:
    """Write how alerts fared."""
    from dunes.units import show_duration

    alerts = report.alerts
    if not alerts.delivered:
        return
    text = f"  alerts       {alerts.delivered} delivered"
    if alerts.delay_max_s is not None:
        text += f", within {show_duration(alerts.delay_max_s)} while the link was up"
    if alerts.after_restore_max_s is not None:
        text += (
            f"; the {alerts.hit_by_outage} that the outage held up, within "
            f"{show_duration(alerts.after_restore_max_s)} of its end"
        )
    yield text


def judgement(report: "OutageReport") -> str:
    """Write the last line."""
    if report.interrupted:
        return "INTERRUPTED: the link is restored; the figures are what is so far"
    if report.passed:
        return "PASS: nothing lost" + ("" if report.duplicated is None else ", nothing twice")
    if not report.made:
        return "FAIL: no reading was made, so nothing is shown"
    if report.mesh is not None and not report.mesh.passed:
        return "FAIL: the mesh lost more than 5 % of what nodes sent"
    if report.lost or report.duplicated:
        return f"FAIL: {report.lost:,} lost, {report.duplicated or 0:,} came twice"
    return f"FAIL: {report.late:,} readings are late; mcp sync goes on"


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that the link is restored."""
    import signal

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
