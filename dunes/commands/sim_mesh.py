"""`dunes sim nodes` and `dunes sim fault`: the mesh of the simulated site."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import typer

from dunes.console import Screen, command
from dunes.console.screen import table_lines
from dunes.errors import Exit

Kind = Literal[
    "dead",
    "reboot",
    "reset-provisioning",
    "lose-complete",
    "drop-segments",
    "drop-messages",
    "late",
    "wrong-oob",
    "wrong-confirmation",
    "replay",
]
KINDS = (
    "What goes wrong: dead, reboot, reset-provisioning, lose-complete, drop-segments, "
    "drop-messages, late, "
    "wrong-oob, wrong-confirmation, replay."
)


@dataclass(frozen=True, slots=True)
class SimNode:
    """A node of the simulated site's mesh.

    Attributes:
        unicast: its primary address; 0 while it is unprovisioned.
        address: its Bluetooth address.
        uuid: its Device UUID, hexadecimal.
        static_oob: what is printed on it, hexadecimal.
        publications: messages with readings that it has sent.
        readings: values in them.
        alerts: of them.
        sequence: the number of its next report, modulo 2^14.
        commands: actuator commands that it has carried out.
        actuators: where they stand.
        faults: what goes wrong with it by order.
    """

    unicast: int
    address: str
    uuid: str
    static_oob: str
    publications: int
    readings: int
    alerts: int
    sequence: int
    commands: int
    actuators: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SimNodesReport:
    """The simulated site's mesh.

    Attributes:
        radio: of the gateway, a moniker for HCI.
        provisioned: how many nodes are part of a network.
        nodes: by name.
        simulated: always true.
    """

    radio: str
    provisioned: int
    nodes: dict[str, SimNode]
    simulated: bool = True


def node_lines(report: SimNodesReport) -> Iterator[str]:
    """Tell about the nodes in words."""
    rows = [
        [
            name,
            f"{node.unicast:04X}" if node.unicast else "-",
            node.address,
            str(node.readings),
            " ".join(f"{what}={value}" for what, value in node.actuators.items()) or "-",
            " ".join(node.faults) or "-",
        ]
        for name, node in report.nodes.items()
    ]
    yield from table_lines(["node", "unicast", "address", "readings", "actuators", "faults"], rows)
    yield f"{len(rows)} simulated nodes, {report.provisioned} provisioned; radio {report.radio}"


@command(schema="dunes.sim-nodes/1", report="dunes.commands.sim_mesh:SimNodesReport")
def nodes(screen: Screen) -> int:
    """List the nodes of the simulated site's mesh, and what they have sent."""
    from dunes.settings import load
    from dunes.sim.control import SiteControl
    from dunes.site import need_site

    control = SiteControl.of(need_site(load().paths))
    screen.show(_report(control), node_lines)
    return Exit.OK


@command(schema="dunes.sim-fault/1", report="dunes.commands.sim_mesh:SimNodesReport")
def fault(
    screen: Screen,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Which node, e.g. hab-sensor-001.")],
    kind: Annotated[
        Kind | None,
        typer.Argument(metavar="KIND", help=KINDS, show_default=False),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="End all faults of the node.")] = False,
) -> int:
    """Let something go wrong with a node of the simulated site."""
    from dunes.errors import UsageError
    from dunes.settings import load
    from dunes.sim.control import FaultRequest, SiteControl
    from dunes.site import need_site

    if clear == (kind is not None):
        raise UsageError(
            "name a fault, or --clear", hint=f"dunes sim fault {node} dead; dunes sim fault --help"
        )
    control = SiteControl.of(need_site(load().paths))
    control.request_fault(FaultRequest(node, kind or ""))
    screen.show(_report(control, only=node), node_lines)
    return Exit.OK


def _report(control: Any, only: str = "") -> SimNodesReport:
    state = control.request_mesh()
    if not state.radio:
        from dunes.errors import Unavailable

        raise Unavailable(state.note, hint="dunes sim status", code="no-mesh")
    shown = {
        name: SimNode(
            each.unicast,
            each.address,
            each.uuid,
            each.label,
            each.publications,
            each.readings,
            each.alerts,
            each.sequence,
            each.commands,
            each.actuators,
            list(each.faults),
        )
        for name, each in state.nodes.items()
        if only in ("", name)
    }
    return SimNodesReport(f"hci:tcp-client:{state.radio}", state.provisioned, shown)
