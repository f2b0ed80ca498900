"""`dunes sim`: the simulated site up, down, and how it is."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

import typer

from dunes.console import Entry, Screen, command, lazy_app
from dunes.errors import Exit

ABOUT = "Run a simulated site: Starlink, sensors and a ground station on this machine."

COMMANDS: dict[str, Entry] = {
    "up": Entry("dunes.commands.sim:up", "Start the simulated site, and wait until it answers."),
    "status": Entry(
        "dunes.commands.sim:status", "Tell whether the site is up, and what it is doing."
    ),
    "approve": Entry(
        "dunes.commands.sim_approve:approve",
        "Approve or refuse a login at the site's identity provider, as a person would.",
    ),
    "nodes": Entry(
        "dunes.commands.sim_mesh:nodes",
        "List the nodes of the simulated site's mesh, and what they have sent.",
    ),
    "fault": Entry(
        "dunes.commands.sim_mesh:fault",
        "Let something go wrong with a node of the simulated site.",
    ),
    "down": Entry("dunes.commands.sim:down", "End the simulated site; its files stay."),
}

app = lazy_app("sim", ABOUT, COMMANDS, top=False)


@dataclass(frozen=True, slots=True)
class TableMade:
    """What the sensors of a table have made since the site's first start."""

    readings: int
    alerts: int
    devices: int
    last: str
    file: str


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage that goes on; `left_s` in site seconds."""

    interface: str
    cause: str
    mode: str
    since: str
    left_s: float


@dataclass(frozen=True, slots=True)
class Mesh:
    """The site's Bluetooth Mesh: `nodes` in the air, and where its radio is.

    `radio` is a moniker for HCI; empty where there is no mesh, and `note` says why.
    """

    radio: str = ""
    nodes: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class SimReport:
    """The simulated site.

    Attributes:
        up: whether it runs.
        changed: whether this command made it so.
        name: of the site; empty while none is up.
        pid: its process.
        speed: site seconds in one of ours.
        site_time: what its clock shows, RFC 3339.
        sky: `open` or `cut`.
        outage: the outage that goes on; null while the sky is open.
        one_way_delay_s: to the ground station.
        rate_bps: to the ground station; 0 is no limit.
        destination: the ground station's name.
        endpoints: addresses that lead to the site, and where to.
        tables: what its sensors have made.
        mesh: its Bluetooth Mesh.
        log: the site's log file.
        issuer: its identity provider; empty if it has none.
        simulated: always true.
    """

    up: bool
    changed: bool
    name: str = ""
    pid: int = 0
    speed: float = 0.0
    site_time: str = ""
    sky: str = ""
    outage: Outage | None = None
    one_way_delay_s: float = 0.0
    rate_bps: float = 0.0
    destination: str = ""
    endpoints: dict[str, str] = field(default_factory=dict)
    tables: dict[str, TableMade] = field(default_factory=dict)
    mesh: Mesh = field(default_factory=Mesh)
    log: str = ""
    issuer: str = ""
    simulated: bool = True


def up_lines(report: SimReport) -> Iterator[str]:
    """Tell that a site was started, or found."""
    if not report.changed:
        yield "it was up before"
    yield from report_lines(report)


def report_lines(report: SimReport) -> Iterator[str]:
    """Tell about the site in words."""
    if not report.up:
        yield "the simulated site has ended" if report.changed else "no simulated site is up"
        return
    yield f"simulated site {report.name} is up (process {report.pid}, speed {report.speed:g})"
    yield f"  site time    {report.site_time}"
    if report.outage is None:
        yield "  sky          open"
    else:
        o = report.outage
        yield f"  sky          cut ({o.cause}) since {o.since}, {o.left_s:.0f} site seconds more"
    rate = f"{report.rate_bps / 1e6:g} Mbit/s" if report.rate_bps else "no rate limit"
    yield f"  ground       {report.destination}, {report.one_way_delay_s:g} s away, {rate}"
    for known, target in report.endpoints.items():
        yield f"  {known:<22} → {target}"
    for table, made in report.tables.items():
        yield (
            f"  {table}: {made.readings} readings of {made.devices} devices, "
            f"{made.alerts} alerts → {made.file}"
        )
    mesh = report.mesh
    if mesh.radio:
        yield f"  mesh         {mesh.nodes} nodes; the gateway's radio is {mesh.radio}"
    else:
        yield f"  mesh         none: {mesh.note}"
    if report.issuer:
        yield f"  issuer       {report.issuer}"
    yield f"  log          {report.log}"


@command(schema="dunes.sim-up/1", report="dunes.commands.sim:SimReport")
def up(
    screen: Screen,
    site: Annotated[str, typer.Option(help="Which site: lunar or mars.")] = "lunar",
    speed: Annotated[
        float | None,
        typer.Option(help="Site seconds that pass in one of ours. [default: 1]"),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(help="Nodes of its Bluetooth Mesh. [default: lunar 200, mars 50]"),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, and end the site with Ctrl-C.")
    ] = False,
) -> int:
    """Start the simulated site, and wait until it answers."""
    from dunes.settings import load
    from dunes.sim.lifecycle import check_nodes, check_speed

    settings = load()
    check_speed(speed)
    check_nodes(nodes)
    if foreground:
        return _stay(screen, site, speed or 1.0, nodes or 0)
    from dunes.sim.lifecycle import up as start

    with screen.progress(f"start the site {site}"):
        started = start(settings.paths, site, speed, nodes=nodes)
    _remember(screen, site)
    screen.show(_report(changed=not started.already), up_lines)
    return Exit.OK


def _stay(screen: Screen, site: str, speed: float, nodes: int) -> int:
    from dunes.settings import load, write_profile
    from dunes.sim.daemon import run_site
    from dunes.sim.definition import load_definition
    from dunes.site import site_directory

    settings = load()
    load_definition(site)
    _remember(screen, site)
    screen.note(f"the site {site} runs here; Ctrl-C ends it")
    try:
        run_site(site_directory(settings.paths), site, speed, nodes=nodes)
    finally:
        write_profile(load(), {"site.simulated": None})
    screen.show(SimReport(up=False, changed=True), report_lines)
    return Exit.OK


def _remember(screen: Screen, site: str | None) -> None:
    """Write into the profile which site is in use."""
    from dunes.settings import load, write_profile

    if write_profile(load(), {"site.simulated": site}):
        screen.warn(f"site.simulated is set elsewhere: {load().origin('site.simulated')}")


@command(schema="dunes.sim-status/1", report="dunes.commands.sim:SimReport")
def status(screen: Screen) -> int:
    """Tell whether the site is up, and what it is doing."""
    report = _report(changed=False)
    screen.show(report, report_lines)
    return Exit.OK if report.up else Exit.NO


@command(schema="dunes.sim-down/1", report="dunes.commands.sim:SimReport")
def down(screen: Screen) -> int:
    """End the simulated site; its files stay."""
    from dunes.settings import load
    from dunes.sim.lifecycle import down as end

    ended = end(load().paths)
    _remember(screen, None)
    screen.show(SimReport(up=False, changed=ended), report_lines)
    return Exit.OK


def _report(*, changed: bool) -> SimReport:
    from dunes.settings import load
    from dunes.sim.control import SiteControl
    from dunes.sim.lifecycle import log_path
    from dunes.site import running_site

    paths = load().paths
    site = running_site(paths)
    if site is None:
        return SimReport(up=False, changed=changed, log=str(log_path(paths)))
    state = SiteControl.of(site).request_state()
    cut = state.cut
    return SimReport(
        up=True,
        changed=changed,
        name=state.name,
        pid=state.pid,
        speed=state.speed,
        site_time=state.site_time,
        sky="open" if cut is None else "cut",
        outage=Outage(cut.interface, cut.cause, cut.mode, cut.since, cut.left_s) if cut else None,
        one_way_delay_s=state.link.one_way_delay_s,
        rate_bps=state.link.rate_bps,
        destination=state.destination,
        endpoints=state.endpoints,
        tables={
            name: TableMade(t.readings, t.alerts, t.devices, t.last, t.file)
            for name, t in state.tables.items()
        },
        mesh=Mesh(
            f"hci:tcp-client:{state.mesh.radio}" if state.mesh.radio else "",
            state.mesh.nodes,
            state.mesh.note,
        ),
        log=str(log_path(paths)),
        issuer=site.identity.get("issuer", ""),
    )
