"""`torgo explain`: one node of a plan."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command

if TYPE_CHECKING:
    from torgo.explain import Explanation


@command(schema="torgo.explain/1", report="torgo.explain:Explanation")
def explain(
    screen: Screen,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan.")],
    node: Annotated[str, typer.Argument(metavar="NODE", help="The name of a node.")],
) -> None:
    """Say what a node does, why, and what hangs on it."""
    from torgo.commands import files
    from torgo.explain import explain as find_out

    found = find_out(files.load_plan(plan), node)
    screen.show(found, lambda shown: lines(shown, screen.verbose))


def lines(node: "Explanation", verbose: int = 0) -> Iterator[str]:
    """Write what there is to know."""
    yield f"{node.id}: {node.role} ({node.kind}) at {node.x_m:g} m east, {node.y_m:g} m north"
    for reason in node.why:
        yield f"  {reason}"
    yield (
        f"  {node.hops} hops to a gateway, {node.worst_hops} after the worst "
        f"{node.redundancy - 1} losses; TTL {node.ttl}; reports every "
        f"{node.publish_period_s:g} s; sends {node.load_events_per_s:g} advertising events/s"
    )
    for n, path in enumerate(node.paths, 1):
        yield f"  way {n}: {' - '.join(path)}"
    if node.friend:
        yield f"  its friend {node.friend} keeps its messages while it sleeps"
    if node.friend_of:
        yield f"  it keeps messages for {', '.join(node.friend_of)}"
    if node.depends_on_it:
        yield f"  on the edge without it: {', '.join(node.depends_on_it[:12])}"
    if node.cut_off_without_it:
        yield f"  cut off without it: {', '.join(node.cut_off_without_it[:12])}"
    else:
        yield "  nobody is cut off without it"
    yield f"  hears {len(node.neighbours)} nodes, {node.relay_neighbours} of them relays:"
    for other in node.neighbours if verbose else node.neighbours[:6]:
        yield (
            f"    {other.id:<18} {other.role:<8} {other.rssi_dbm:g} dBm, "
            f"{other.spare_db:g} dB to spare"
        )
