"""`dunes starlink-status`: the link's state, its cause, and what the dish says."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.starlink.link import LinkStatus, LinkWatch
    from dunes.starlink.status import Snapshot

WATCH_POLL_S = 1.0
EXITS = {
    "up": Exit.OK,
    "down": Exit.TEMPFAIL,
    "unknown": Exit.TEMPFAIL,
    "unreachable": Exit.UNAVAILABLE,
}


@command(schema="dunes.starlink-status/1", report="dunes.starlink.link:LinkStatus")
def starlink_status(
    screen: Screen,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on looking, once a second, until Ctrl-C.")
    ] = False,
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="With --watch: stop after this long."),
    ] = None,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long one answer may take.")
    ] = "4s",
) -> int:
    """Say whether the Starlink link is up, and why not."""
    from dunes.settings import load
    from dunes.site import running_site
    from dunes.starlink.link import link_watch
    from dunes.units import duration_s

    settings = load()
    timeout_s = duration_s(timeout)
    stop_after_s = duration_s(for_) if for_ is not None else None
    link = link_watch(settings, running_site(settings.paths), timeout_s=timeout_s)
    try:
        if watch:
            return keep_watching(screen, link, stop_after_s)
        status = link.poll()
        remember(screen, link)
        screen.show(status, lines)
        return EXITS[status.state]
    finally:
        link.close()


def keep_watching(screen: Screen, link: "LinkWatch", stop_after_s: float | None) -> int:
    """Show a line a second until stopped; the exit status is that of the last look."""
    import time

    began_s = time.monotonic()
    state = "unknown"
    try:
        while stop_after_s is None or time.monotonic() - began_s < stop_after_s:
            looked_s = time.monotonic()
            status = link.poll()
            state = status.state
            screen.show(status, brief)
            time.sleep(max(0.0, looked_s + WATCH_POLL_S - time.monotonic()))
    finally:
        remember(screen, link)
    return EXITS[state]


def remember(screen: Screen, link: "LinkWatch") -> None:
    """Keep the state for the next run; not being able to is worth a warning, no more."""
    from dunes.errors import StorageError

    try:
        link.remember()
    except StorageError as e:
        screen.warn(e.message)


def brief(status: "LinkStatus") -> Iterator[str]:
    """Write one look as one line, after a line for each change."""
    for change in status.changes:
        cause = f" ({change.cause})" if change.cause else ""
        yield f"{change.since}  {change.previous} → {change.state}{cause}"
    figures = ""
    if status.device is not None:
        figures = f"  {latency(status.device)}  {traffic(status.device)}"
    yield f"{status.at}  {headline(status)}{figures}"


def lines(status: "LinkStatus") -> Iterator[str]:
    """Write one look in full."""
    yield f"link         {headline(status)}"
    if status.since:
        yield f"since        {status.since}"
    if status.trouble:
        yield f"no answer    {status.trouble}"
    if status.device is not None:
        yield from device_lines(status.device)
    if status.witness is not None:
        yield from witness_lines(status.witness)
    if status.endpoint:
        yield f"asked        {status.endpoint}"
    if status.simulated:
        yield "simulated    yes (dunes sim status)"


def headline(status: "LinkStatus") -> str:
    """Write state, cause and what is remarkable in a few words."""
    from dunes.units import show_duration

    words = [status.state]
    if status.cause:
        words.append(f"({status.cause})")
    if status.for_s is not None:
        words.append(f"for {show_duration(status.for_s)}")
    if status.degraded:
        words.append("degraded: " + ", ".join(status.degraded))
    if status.operator_made:
        words.append("as somebody chose")
    return " ".join(words)


def device_lines(device: "Snapshot") -> Iterator[str]:
    """Write what a dish or router says of itself."""
    from dunes.units import show_duration

    yield f"last minute  {latency(device)}"
    if device.downlink_bps is not None:
        yield f"traffic      {traffic(device)} now (not what the link could carry)"
    if device.obstructed_fraction is not None:
        now = ", obstructed now" if device.obstructed_now else ""
        yield f"obstruction  {device.obstructed_fraction:.2%} of the sky{now}"
    yield f"alerts       {', '.join(device.alerts) or 'none'}"
    if device.disablement:
        yield f"disabled     {device.disablement}"
    if device.limits:
        yield f"limited      {', '.join(device.limits)}"
    if device.reboot_expected:
        yield "update       a reboot is to be expected"
    for outage in device.outages:
        yield f"outage       {outage.start} {outage.cause}, {show_duration(outage.duration_s)}"
    up = f", up {show_duration(device.uptime_s)}" if device.uptime_s else ""
    yield f"{device.role:<12} {device.device_id}, {device.hardware}, {device.software}{up}"


def witness_lines(router: "Snapshot") -> Iterator[str]:
    """Write what the router says while the dish is silent."""
    yield f"router       {router.device_id} answers"
    for name, rate in (
        ("the dish", router.cable_drop_rate),
        ("the sky", router.sky_drop_rate),
        ("the internet", router.internet_drop_rate),
    ):
        if rate is not None:
            yield f"             loses {rate:.0%} of its pings to {name}"


def latency(device: "Snapshot") -> str:
    """Write latency and loss."""
    time = "no answer" if device.latency_ms is None else f"{device.latency_ms:.0f} ms"
    loss = "loss not told" if device.drop_rate is None else f"loss {device.drop_rate:.1%}"
    return f"{time}, {loss}"


def traffic(device: "Snapshot") -> str:
    """Write the present traffic."""
    down, up = (device.downlink_bps or 0.0) / 1e6, (device.uplink_bps or 0.0) / 1e6
    return f"down {down:.1f} Mbit/s, up {up:.1f} Mbit/s"
