"""`dunes mesh-listen`: what the nodes of a mesh say, shown and kept in the buffer."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.mesh_options import MeshId
from dunes.console import Screen, command
from dunes.console.radio_options import Ble
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.gateway.listening import MeshListenLine
    from dunes.model import Reading


@command(schema="dunes.mesh-listen/1", report="dunes.gateway.listening:MeshListenLine")
def mesh_listen(
    screen: Screen,
    mesh_id: MeshId = None,
    table: Annotated[
        str | None,
        typer.Option("--table", metavar="NAME", help="Table to write to. [default: the mesh's]"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the first reading.")] = False,
    count: Annotated[
        int | None, typer.Option("--count", help="End after so many readings.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", metavar="DURATION", help="End after so long.")
    ] = None,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout", metavar="DURATION", help="For a node to be found to connect to."
        ),
    ] = "30s",
    ble: Ble = None,
) -> int:
    """Show what the nodes of a mesh measure, and keep it in the buffer; until Ctrl-C."""
    import asyncio

    from dunes.console.pour import Pour
    from dunes.console.screen import printable
    from dunes.gateway.listening import line_of, listen
    from dunes.model import table_name
    from dunes.settings import load
    from dunes.units import duration_s

    if count is not None and count < 1:
        raise UsageError("--count is 1 or more", hint="--count 10")

    with Pour(lambda line: screen.show(line, lines)) as pour:

        def tell(reading: "Reading", goes_to: str) -> bool:
            pour.put(line_of(reading, goes_to))
            return pour.broken is None

        heard = asyncio.run(
            listen(
                load(),
                mesh_id=mesh_id,
                ble=ble,
                table=None if table is None else table_name(table),
                count=1 if once else count,
                duration_s=None if duration is None else duration_s(duration),
                timeout_s=duration_s(timeout),
                tell=tell,
                note=lambda text: screen.note(printable(text)),
                warn=lambda text: screen.warn(printable(text)),
            )
        )
    if pour.broken is not None:
        raise pour.broken
    if pour.lost:
        screen.warn(f"{pour.lost:,} lines were not printed, as nobody read them; all are kept")
    plural = "s" * (heard.readings != 1)
    screen.note(f"{heard.readings:,} reading{plural} of {heard.mesh_id} into {heard.table}")
    if once and not heard.readings:
        return Exit.UNAVAILABLE
    return Exit.OK


def lines(reading: "MeshListenLine") -> Iterator[str]:
    """Write a reading on one line."""
    from dunes.console.screen import printable

    urgent = "" if reading.priority == "routine" else f"  {reading.priority.upper()}"
    value = f"{reading.value:.6g}" if isinstance(reading.value, float) else str(reading.value)
    simulated = "  simulated" if reading.simulated else ""
    yield printable(
        f"{reading.time}  {reading.device}  {reading.kind} {value} {reading.unit}".rstrip()
        + urgent
        + simulated
    )
