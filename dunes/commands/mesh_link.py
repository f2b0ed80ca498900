"""`dunes mesh-link`: let the gateway speak in a mesh for a device that is no node."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.mesh_options import MeshId
from dunes.console import Screen, command
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.gateway.linking import MeshLinkReport


@command(schema="dunes.mesh-link/1", report="dunes.gateway.linking:MeshLinkReport")
def mesh_link(
    screen: Screen,
    iot_device: Annotated[
        str,
        typer.Option(
            "--iot-device",
            metavar="NAME",
            help="Device that is no mesh node, by the name that its readings have.",
        ),
    ],
    mesh_id: MeshId = None,
    unlink: Annotated[
        bool, typer.Option("--unlink", help="Take its element back: it is told no more.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which element it would be; change nothing.")
    ] = False,
) -> int:
    """Tell a mesh the readings of a device that is no node: a satellite, a buoy."""
    import asyncio

    from dunes.gateway.linking import link_device
    from dunes.settings import load

    report = asyncio.run(
        link_device(load(), iot_device, mesh_id=mesh_id, unlink=unlink, dry_run=dry_run)
    )
    screen.show(report, lines)
    return Exit.OK


def lines(report: "MeshLinkReport") -> Iterator[str]:
    """Say how the device is linked now."""
    from dunes.console.screen import printable

    who, mesh = printable(report.device), report.mesh_id
    element = f"element {report.element} of the gateway, {report.address or 0:#06x}"
    would = "would be" if report.dry_run else "is"
    if not report.linked:
        if not report.changed:
            yield f"{who} is not linked to {mesh}; nothing to do"
            return
        yield f"{who} {would} no longer linked to {mesh}"
        yield f"  free         {element}: for the next device"
        return
    if not report.changed:
        yield f"{who} is linked to {mesh} already, as {element}; nothing to do"
        return
    yield f"{who} {would} linked to {mesh}"
    yield f"  speaks as    {element}"
    when = "from now on" if report.told else "while dunes mesh-listen runs"
    yield f"  is told      what comes into the buffer of it, {when}"
