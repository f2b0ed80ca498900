"""What the site and its air say to each other: one JSON object a line, both ways. Pure.

The site asks with a number, the air answers with the same one; events have none.
"""

from dataclasses import dataclass, field
from typing import Any

from dunes.sim.definition import SiteDefinition


@dataclass(frozen=True, slots=True)
class Begin:
    """The first line: what air to be.

    Attributes:
        definition: of the site.
        folder: where nodes keep their state.
        start_us: site time at which the worlds begin.
        anchors: the site's clock.
        nodes: how many; 0: as the definition says.
        port: of HCI, if it is free; 0: any.
        firmware: the folder of the site's firmware; empty: nodes cannot be flashed.
    """

    definition: SiteDefinition
    folder: str
    start_us: int
    anchors: tuple[tuple[int, int, float], ...]
    nodes: int = 0
    port: int = 0
    firmware: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """The site wants something.

    Attributes:
        number: of the answer.
        what: a name in the air's table.
        given: what goes with it.
    """

    number: int
    what: str
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """The air answers, or tells of an event.

    Attributes:
        number: of the question; 0: an event.
        what: of an event.
        result: of a question, or what goes with an event.
        error: why it could not be done; empty if it was.
    """

    number: int
    what: str = ""
    result: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Acted:
    """An actuator was set, or stands somewhere since before.

    Attributes:
        name: of the node.
        table: whose world it may move.
        place: its number there, from 1.
        what: it is, e.g. `heater`.
        value: 0 or 1; a level.
    """

    name: str
    table: str
    place: int
    what: str
    value: int


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node, as `dunes sim` and its tests see it.

    Attributes:
        unicast: its primary address; 0: unprovisioned.
        address: its Bluetooth address.
        uuid: its Device UUID, hexadecimal.
        label: what its label says of static OOB, hexadecimal.
        publications: messages with readings that it has sent.
        readings: values in them.
        alerts: of them.
        sequence: the next number of its reports, modulo 2^14.
        commands: actuator commands that it has carried out.
        actuators: where they stand.
        faults: ordered ones that last.
    """

    unicast: int
    address: str
    uuid: str
    label: str = field(repr=False)
    publications: int = 0
    readings: int = 0
    alerts: int = 0
    sequence: int = 0
    commands: int = 0
    actuators: dict[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MeshState:
    """The site's mesh, exactly, at one moment.

    Attributes:
        radio: HCI of the gateway's controller: `127.0.0.1:PORT`; empty without a mesh.
        note: why there is none.
        site_us: site time of this account.
        nodes: by name.
    """

    radio: str = ""
    note: str = ""
    site_us: int = 0
    nodes: dict[str, NodeState] = field(default_factory=dict)

    @property
    def provisioned(self) -> int:
        """How many nodes are part of a network."""
        return sum(bool(each.unicast) for each in self.nodes.values())
