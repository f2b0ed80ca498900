"""`dunes mesh-send`: command an actuator of a mesh node, and read its state back."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.commands.mesh_options import MeshId, Timeout
from dunes.console import Screen, command
from dunes.console.radio_options import Ble
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.gateway.sending import MeshSendReport


@command(schema="dunes.mesh-send/1", report="dunes.gateway.sending:MeshSendReport")
def mesh_send(
    screen: Screen,
    device: Annotated[
        str,
        typer.Option(
            "--device", metavar="NODE", help="Name, name.ELEMENT, address 0x0005, or UUID."
        ),
    ],
    onoff: Annotated[
        str | None, typer.Option("--onoff", metavar="on|off", help="Switch it on or off.")
    ] = None,
    level: Annotated[
        int | None, typer.Option("--level", help="Set its level, -32768 to 32767.")
    ] = None,
    vendor: Annotated[
        str | None,
        typer.Option("--vendor", metavar="HEX", help="Send a vendor's access message as it is."),
    ] = None,
    get: Annotated[
        bool,
        typer.Option("--get", help="Read its state only; with --vendor wait for its answer."),
    ] = False,
    mesh_id: MeshId = None,
    ble: Ble = None,
    timeout: Timeout = "30s",
) -> int:
    """Command an actuator of a mesh node, wait until it obeys, and read its state back."""
    import asyncio

    from dunes.console.screen import printable
    from dunes.gateway.sending import MeshSendReport
    from dunes.gateway.verbs import use
    from dunes.settings import load
    from dunes.units import duration_s

    given = {"onoff": onoff, "level": level, "vendor": vendor}
    args: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if len(args) > 1 or (not args and not get):
        raise UsageError("give one of --onoff, --level, --vendor, or --get", hint="--onoff on")
    report = asyncio.run(
        use(
            load(),
            "send",
            args | {"device": device, "get": get},
            MeshSendReport,
            mesh_id=mesh_id,
            ble=ble,
            holder="dunes mesh-send",
            timeout_s=duration_s(timeout),
            note=lambda text: screen.detail(printable(text)),
        )
    )
    screen.show(report, lines)
    wanted = report.asked if report.command in {"onoff", "level"} else None
    if wanted is not None and str(report.state.get(report.command)) != wanted:
        return Exit.NO
    return Exit.OK


def lines(report: "MeshSendReport") -> Iterator[str]:
    """Say what became of a command."""
    from dunes.console.screen import printable

    simulated = " (simulated)" if report.simulated else ""
    who = printable(f"{report.device} {report.address:#06x}")
    if report.asked is not None:
        took = "" if report.round_trip_ms is None else f" after {report.round_trip_ms:.0f} ms"
        said = f"acknowledged{took}" if report.acknowledged else "sent, not acknowledged"
        yield f"{who}: {report.command} {report.asked} {said}{simulated}"
    for what, value in report.state.items():
        yield f"{who}: {what} is {value}{simulated if report.asked is None else ''}"
