"""`dunes mesh-remove`: take a node out of a mesh."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.mesh_options import MeshId, Timeout
from dunes.console import Screen, command
from dunes.console.radio_options import Ble
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.gateway.changing import MeshRemoveReport


@command(schema="dunes.mesh-remove/1", report="dunes.gateway.changing:MeshRemoveReport")
def mesh_remove(
    screen: Screen,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Name, address 0x0005, or UUID.")],
    exclude: Annotated[
        bool,
        typer.Option(
            "--exclude", help="Do not ask it: give all others new keys. For one lost or stolen."
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Forget it even if it is silent; with --exclude also leave other silent "
            "nodes behind.",
        ),
    ] = False,
    mesh_id: MeshId = None,
    ble: Ble = None,
    timeout: Timeout = "30s",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show which node it would be; change nothing.")
    ] = False,
) -> int:
    """Take a node out of a mesh: reset it, or lock it out with new keys for all others."""
    import asyncio

    from dunes.console.screen import printable
    from dunes.gateway.changing import MeshRemoveReport
    from dunes.gateway.store import MeshStore
    from dunes.gateway.verbs import use
    from dunes.settings import load
    from dunes.units import duration_s

    settings = load()
    if dry_run:
        with MeshStore.open(settings, mesh_id or "", write=False) as store:
            found, _ = store.find(node)
            report = MeshRemoveReport(store.mesh_id, found.shown, found.unicast, "not asked")
        screen.show(report, lines)
        return Exit.OK
    report = asyncio.run(
        use(
            settings,
            "remove",
            {"node": node, "exclude": exclude, "force": force},
            MeshRemoveReport,
            mesh_id=mesh_id,
            ble=ble,
            holder="dunes mesh-remove",
            timeout_s=duration_s(timeout),
            note=lambda text: screen.detail(printable(text)),
        )
    )
    screen.show(report, lines)
    return Exit.OK


def lines(report: "MeshRemoveReport") -> Iterator[str]:
    """Say what became of a node."""
    from dunes.console.screen import printable

    simulated = " (simulated)" if report.simulated else ""
    who = printable(f"{report.node} {report.unicast:#06x}")
    if report.reset == "not asked":
        yield f"{who} would be taken out of {report.mesh_id}"
        return
    yield f"{who} is out of {report.mesh_id}{simulated}"
    yield f"  reset        {report.reset}"
    if report.excluded:
        yield "  locked out   every other node has new keys"
