"""`dunes mesh-config`: show and change how mesh nodes are set; give the network new keys."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.commands.mesh_options import MeshId, Timeout
from dunes.console import Screen, command
from dunes.console.radio_options import Ble
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.gateway.changing import MeshConfigReport, NodeSettings

TTL_MAX, SENDS_MAX = 127, 8
SWITCH = {"on": True, "off": False}


@command(schema="dunes.mesh-config/1", report="dunes.gateway.changing:MeshConfigReport")
def mesh_config(
    screen: Screen,
    node: Annotated[
        str, typer.Argument(metavar="[NODE]", help="Name, address 0x0005, UUID, or all.")
    ] = "",
    period: Annotated[
        str | None,
        typer.Option("--period", metavar="DURATION", help="Publish period of its sensors."),
    ] = None,
    ttl: Annotated[int | None, typer.Option("--ttl", help="Default TTL: 0, or 2 to 127.")] = None,
    relay: Annotated[
        str | None,
        typer.Option("--relay", metavar="on|off", help="Whether it passes on messages of others."),
    ] = None,
    transmissions: Annotated[
        int | None,
        typer.Option("--transmissions", help="How often it sends its own messages, 1 to 8."),
    ] = None,
    relay_transmissions: Annotated[
        int | None,
        typer.Option("--relay-transmissions", help="How often it sends those of others, 1 to 8."),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option("--proxy", metavar="on|off", help="Whether gateways may connect to it."),
    ] = None,
    friend: Annotated[
        str | None,
        typer.Option("--friend", metavar="on|off", help="Whether it serves low-power nodes."),
    ] = None,
    beacon: Annotated[
        str | None, typer.Option("--beacon", metavar="on|off", help="Whether it sends beacons.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Call it so from now on.")
    ] = None,
    refresh_keys: Annotated[
        bool,
        typer.Option("--refresh-keys", help="Give the network and all its nodes new keys."),
    ] = False,
    skip_silent: Annotated[
        bool,
        typer.Option("--skip-silent", help="With --refresh-keys: leave silent nodes behind."),
    ] = False,
    mesh_id: MeshId = None,
    ble: Ble = None,
    timeout: Timeout = "30s",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how it is set now; change nothing.")
    ] = False,
) -> int:
    """Show how a mesh node is set, change it, or give the whole network new keys."""
    import asyncio

    from dunes.console.screen import printable
    from dunes.gateway.changing import MeshConfigReport
    from dunes.gateway.verbs import use
    from dunes.model import check_name
    from dunes.settings import load
    from dunes.units import duration_s

    if refresh_keys == bool(node):
        raise UsageError("name a node, or all; or --refresh-keys without one", hint="all")
    args: dict[str, Any] = {"skip": skip_silent} if refresh_keys else {"node": node}
    numbers = {"transmissions": transmissions, "relay_transmissions": relay_transmissions}
    for key, number in numbers.items():
        if number is not None and not 1 <= number <= SENDS_MAX:
            raise UsageError(f"--{key.replace('_', '-')} {number}", hint="1 to 8")
    if ttl is not None and (not 0 <= ttl <= TTL_MAX or ttl == 1):
        raise UsageError(f"--ttl {ttl}", hint="0, or 2 to 127")
    switches = {"relay": relay, "proxy": proxy, "friend": friend, "beacon": beacon}
    for key, text in switches.items():
        if text is not None and text not in SWITCH:
            raise UsageError(f"--{key} {text[:20]!r}", hint=f"--{key} on, or --{key} off")
    changes: dict[str, Any] = {"ttl": ttl} | numbers
    changes |= {key: None if text is None else SWITCH[text] for key, text in switches.items()}
    changes["period_s"] = None if period is None else duration_s(period)
    changes["name"] = None if name is None else check_name(name, "node")
    given = {key: value for key, value in changes.items() if value is not None}
    if refresh_keys and (given or dry_run):
        raise UsageError("--refresh-keys goes alone", hint="dunes mesh-config --refresh-keys")
    report = asyncio.run(
        use(
            load(),
            "refresh" if refresh_keys else "config",
            args if dry_run else args | given,
            MeshConfigReport,
            mesh_id=mesh_id,
            ble=ble,
            holder="dunes mesh-config",
            timeout_s=duration_s(timeout),
            note=lambda text: screen.detail(printable(text)),
        )
    )
    screen.show(report, lines)
    if report.holding or (report.nodes and all(each.failed for each in report.nodes)):
        return Exit.UNAVAILABLE
    return Exit.NO if any(each.failed for each in report.nodes) else Exit.OK


def lines(report: "MeshConfigReport") -> Iterator[str]:
    """Write the settings of each node."""
    from dunes.console.screen import printable

    simulated = " (simulated)" if report.simulated else ""
    if report.refreshed is not None:
        done = "every node has the new keys" if report.refreshed == 3 else "it goes on"  # noqa: PLR2004
        yield f"key refresh of {report.mesh_id}: {report.refreshed} of 3 rounds, {done}{simulated}"
        if report.holding:
            yield printable(f"  silent       {', '.join(report.holding)}")
            yield "  repeat it when they answer, or leave them behind: --skip-silent"
    for node in report.nodes:
        yield printable(f"{node.node} {node.unicast:#06x}") + simulated
        if node.changed:
            yield f"  changed      {', '.join(node.changed)}"
        if node.failed:
            yield printable(f"  failed       {node.failed}")
        elif node.ttl is not None:
            yield from _settings(node)


def _settings(node: "NodeSettings") -> Iterator[str]:
    from dunes.units import show_duration

    relay = f"{node.relay}, {node.relay_transmissions} transmissions"
    yield f"  ttl          {node.ttl}"
    yield f"  relay        {relay if node.relay == 'on' else node.relay}"
    yield f"  own          {node.transmissions} transmissions"
    yield f"  proxy        {node.proxy}"
    yield f"  friend       {node.friend}"
    yield f"  beacon       {node.beacon}"
    if node.publish_period_s is not None:
        period = (
            "when asked" if not node.publish_period_s else show_duration(node.publish_period_s)
        )
        yield f"  publishes    every {period} to {node.publish_to}"
