"""`dunes init-starlink`: find the dish and the router, and write the profile."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import table_lines
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.starlink.setup import InitReport


@command(schema="dunes.init-starlink/1", report="dunes.starlink.setup:InitReport")
def init_starlink(
    screen: Screen,
    router_ip: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The router's address; default: 192.168.1.1."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY|-",
            help="The mission's uplink credential; '-' reads it from stdin. Also "
            "DUNES_API_KEY or $CREDENTIALS_DIRECTORY/api-key. Never sent to a device.",
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file that holds that credential.")
    ] = None,
    dish_ip: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The dish's address; default: 192.168.100.1."),
    ] = None,
    transport: Annotated[
        str | None,
        typer.Option(
            metavar="auto|grpc|grpc-web",
            help="How to ask; auto tries gRPC (9200, 9000) and gRPC-Web (9201, 9001).",
        ),
    ] = None,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long each endpoint may take.")
    ] = "4s",
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help="Ask the devices first; --no-verify just writes."
        ),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask and report, but write nothing.")
    ] = False,
) -> int:
    """Find the Starlink dish and router, and write them into the profile."""
    from dunes.secrets import given_secret
    from dunes.settings import load
    from dunes.site import running_site
    from dunes.starlink.setup import KEY_NAME, Plan, set_up
    from dunes.units import duration_s

    settings = load()
    key = given_secret(KEY_NAME, value=api_key, file=api_key_file)
    if key is not None and key.warning:
        screen.warn(key.warning)
    plan = Plan(
        router_ip=router_ip or settings["starlink.router_ip"],
        dish_ip=dish_ip or settings["starlink.dish_ip"],
        transport=transport or settings["starlink.transport"],
        timeout_s=duration_s(timeout),
        verify=verify,
        dry_run=dry_run,
    )
    report = set_up(plan, key, settings, running_site(settings.paths))
    screen.show(report, lines)
    return Exit.OK if report.found or not report.verified else Exit.UNAVAILABLE


def lines(report: "InitReport") -> Iterator[str]:
    """Write the report for people."""
    if report.verdicts:
        yield from table_lines(
            ["ENDPOINT", "BY", "VERDICT", "TIME", "ANSWER"],
            [
                [v.address, v.transport, v.verdict, f"{v.elapsed_ms:.0f} ms", v.detail]
                for v in report.verdicts
            ],
        )
    for role, device in report.devices.items():
        yield f"{role}: {device.id} ({device.hardware}) at {device.address} by {device.transport}"
    if report.simulated:
        yield "these devices are simulated (dunes sim status)"
    for note in report.notes:
        yield f"note: {note}"
    if report.verified and not report.found:
        yield "no Starlink device answered; nothing was written"
    elif report.written:
        yield f"profile: {report.profile}"
    else:
        yield "nothing was written: --dry-run"
    yield f"API key: {report.api_key}"
    for hint in report.hints:
        yield f"hint: {hint}"
