"""`dunes mesh-status`: the nodes of a mesh, how far each is, and when it was heard."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dunes.commands.mesh_options import MeshId
from dunes.console import Screen, command
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.gateway.standing import MeshNode, MeshStatusReport


@command(schema="dunes.mesh-status/1", report="dunes.gateway.standing:MeshStatusReport")
def mesh_status(screen: Screen, mesh_id: MeshId = None) -> int:
    """Show the nodes of a mesh, how far each is set up, and when it was heard."""
    import asyncio

    from dunes.gateway.standing import standing
    from dunes.settings import load

    screen.show(asyncio.run(standing(load(), mesh_id)), lines)
    return Exit.OK


def lines(report: "MeshStatusReport") -> Iterator[str]:
    """Write a table of nodes."""
    from dunes.console.screen import printable, table_lines

    total = len(report.nodes)
    yield f"mesh {report.mesh_id}: {report.configured} of {total} nodes are configured"
    yield f"  table        {report.table}"
    yield f"  used by      {printable(report.owner) if report.owner else 'nobody now'}"
    if report.live is not None:
        way = f"by the proxy {report.live.proxy}" if report.live.online else "no proxy in reach"
        yield f"  online       {way}, {printable(report.live.radio)}"
        yield f"  kept         {report.live.kept:,} readings"
        for reason, times in sorted(report.live.dropped.items()):
            yield f"  refused      {times:,} {reason}"
        if report.linked:
            count = report.live.published
            yield f"  published    {count:,} report{'' if count == 1 else 's'} of linked devices"
        for reason, times in sorted(report.live.skipped.items()):
            yield f"  not told     {times:,} for their {reason}"
    for each in report.linked:
        yield f"  linked       {printable(each.device)} speaks as {each.address:04x}"
    if report.nodes:
        heads = ("NODE", "ADDRESS", "STATE", "RELAY", "TTL", "PERIOD", "HEARD")
        yield from table_lines(heads, (_row(node) for node in report.nodes))


def _row(node: "MeshNode") -> tuple[str, ...]:
    from dunes.console.screen import printable
    from dunes.units import show_duration

    last = node.unicast + node.elements - 1
    span = f"{node.unicast:04x}" + (f"-{last:04x}" if node.elements > 1 else "")
    period = "" if node.publish_period_s is None else show_duration(node.publish_period_s)
    heard = "never" if node.age_s is None else f"{show_duration(node.age_s)} ago"
    ttl = "" if node.ttl is None else str(node.ttl)
    return printable(node.name, 40), span, node.state, node.relay, ttl, period, heard
