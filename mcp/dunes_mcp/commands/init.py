"""`mcp init`: give the gateway its identity, its profile and its ground station."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes_mcp.profile import InitReport


@command(schema="dunes.mcp-init/1", report="dunes_mcp.profile:InitReport")
def init(
    screen: Screen,
    starlink_router: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The Starlink router's address."),
    ] = None,
    mesh_id: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the Bluetooth mesh around this gateway."),
    ] = None,
    destination: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=URL",
            help="A ground station, e.g. earth-gs=https://ground.example:8443; may be repeated. "
            "Without it: the simulated site's, while one is up.",
        ),
    ] = None,
    tls_sha256: Annotated[
        str,
        typer.Option(
            metavar="HEX",
            help="Trust this certificate of the destination alone; the ground station prints it.",
        ),
    ] = "",
    ca_file: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="PEM authorities for the destination, not the system's."
        ),
    ] = "",
    ground_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The destination's key document, station.pub.maml; of a .pem only the receipts "
            "can be checked, and nothing is sealed. Without it: taken on first use, and shown.",
        ),
    ] = None,
    proxy: Annotated[
        str, typer.Option(metavar="URL", help="HTTP proxy to the destination; default: none.")
    ] = "",
    gateway_id: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="This gateway's name; default: gw- and its key id."),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The key that this gateway presents to ground stations; without it, or "
            "DUNES_API_KEY, one is made.",
        ),
    ] = None,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long a ground station may take.")
    ] = "5s",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
    ] = False,
) -> int:
    """Give this gateway its identity, its profile and its ground station."""
    from dunes.secrets import given_secret
    from dunes.settings import load
    from dunes.site import running_site
    from dunes.units import duration_s
    from dunes.uplink.target import API_KEY
    from dunes_mcp.profile import Wanted, parse_destination, set_up

    settings = load()
    api_key = given_secret(API_KEY, file=api_key_file)
    if api_key is not None and api_key.warning:
        screen.warn(api_key.warning)
    wanted = Wanted(
        router=starlink_router,
        mesh_id=mesh_id,
        gateway=gateway_id,
        destinations=dict(parse_destination(text) for text in destination or []),
        tls_sha256=tls_sha256,
        ca_file=ca_file,
        proxy=proxy,
        ground_key=ground_key,
        api_key=api_key,
        timeout_s=duration_s(timeout),
        dry_run=dry_run,
    )
    report = set_up(wanted, settings, running_site(settings.paths))
    screen.show(report, lines)
    return Exit.OK


def lines(report: "InitReport") -> Iterator[str]:
    """Write the report for people."""
    yield f"gateway     {report.gateway or 'named after its key'}"
    yield f"key         {report.kid or 'to be made'} ({report.identity})"
    yield f"public key  {report.public_key}"
    yield f"API key     {report.api_key}"
    yield f"router      {report.router}"
    yield f"mesh        {report.mesh_id or 'no name'}"
    if report.destinations:
        yield ""
        yield from table_lines(
            ["DESTINATION", "ADDRESS", "RECEIPTS SIGNED BY", "KEY", "ENROLLED"],
            [
                [
                    row.name + (" *" if row.default else ""),
                    printable(row.url, 80) or "-",
                    row.station or "-",
                    row.key,
                    "yes" if row.enrolled else "not known",
                ]
                for row in report.destinations
            ],
        )
        yield ""
    for note in report.notes:
        yield f"note: {printable(note)}"
    if report.dry_run:
        yield "nothing was written: --dry-run"
    else:
        yield f"profile     {report.profile}" + ("" if report.changed else " (nothing to change)")
    if report.simulated:
        yield "the ground station is simulated (dunes sim status)"
    for hint in report.hints:
        yield f"hint: {printable(hint)}"
