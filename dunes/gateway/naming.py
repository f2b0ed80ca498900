"""What nodes and meshes are called, and which node somebody means.

A node has a name of people's choice; without one it is called after its address. An element
that is not the first has its number behind the name: `hab-sensor-001.1` is the second one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from dunes.errors import NotFound, UsageError
from dunes.model import table_name
from dunes.text import printable

_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{1,4}")
_UUID = re.compile(r"[0-9a-f]{32}")
_MESH_ENDING = re.compile(r"[-_.](?:ble|mesh|bt)(?:[-_.]?\d+)?$|[-_.]\d+$")
_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class NodeName:
    """What is known of a node without any key.

    Attributes:
        unicast: primary address.
        elements: addresses it has.
        uuid: device UUID.
        name: given by people, or empty.
    """

    unicast: int
    elements: int
    uuid: bytes
    name: str

    @property
    def shown(self) -> str:
        """What to call it."""
        return self.name or default_name(self.unicast)


def default_name(unicast: int) -> str:
    """Name a node that nobody named: `node-0005`."""
    return f"node-{unicast:04x}"


def element_name(node: NodeName, address: int) -> str:
    """Name an element: the node's name, and from the second one on its number."""
    number = address - node.unicast
    return node.shown if number == 0 else f"{node.shown}.{number}"


def mesh_table(mesh_id: str) -> str:
    """Say which buffer table the readings of a mesh belong to.

    The words before `-ble-001` name it, with `_telemetry` behind: `lunar-ble-001` fills
    `lunar_telemetry`, as `mars-ble-001` fills `mars_telemetry`.

    Raises:
        DataError: the name cannot name a table.
    """
    stem = mesh_id
    while (shorter := _MESH_ENDING.sub("", stem)) not in {stem, ""}:
        stem = shorter
    folded = table_name(stem)
    if folded.endswith(("_telemetry", "_data")):
        return folded
    return table_name(f"{folded}_telemetry")


def find_address(nodes: Sequence[NodeName], text: str) -> tuple[NodeName, int]:
    """Find the node, and its element's address, that somebody means.

    Args:
        nodes: all of the mesh.
        text: a name, a name with an element's number, `0x0005`, or a UUID.

    Raises:
        NotFound: none; the hint has the nearest.
        UsageError: several are called so.
    """
    wanted = text.strip()
    if _ADDRESS.fullmatch(wanted):
        address = int(wanted, 16)
        for node in nodes:
            if node.unicast <= address < node.unicast + node.elements:
                return node, address
        raise _miss(nodes, f"no node of this mesh has address {address:#06x}", wanted)
    digits = wanted.lower().replace("-", "")
    if _UUID.fullmatch(digits):
        found = [node for node in nodes if node.uuid.hex() == digits]
        if found:
            return found[-1], found[-1].unicast
    return _by_name(nodes, wanted)


def _by_name(nodes: Sequence[NodeName], wanted: str) -> tuple[NodeName, int]:
    named = [node for node in nodes if node.shown == wanted]
    if len(named) > 1:
        addresses = " or ".join(f"{node.unicast:#06x}" for node in named[:_SHOWN_MAX])
        raise UsageError(f"several nodes are called {printable(wanted, 64)}", hint=addresses)
    if named:
        return named[0], named[0].unicast
    stem, dot, number = wanted.rpartition(".")
    if dot and number.isascii() and number.isdecimal():
        for node in nodes:
            if node.shown == stem and 0 < int(number) < node.elements:
                return node, node.unicast + int(number)
    raise _miss(nodes, f"no node of this mesh is called {printable(wanted, 64)!r}", wanted)


def _miss(nodes: Iterable[NodeName], message: str, wanted: str) -> NotFound:
    known = [node.shown for node in nodes]
    near = get_close_matches(wanted, known, n=3, cutoff=0.5)
    if near:
        hint = "did you mean " + " or ".join(near) + "?"
    elif known:
        hint = f"there are {', '.join(known[:_SHOWN_MAX])}" + (
            f" and {len(known) - _SHOWN_MAX} more" if len(known) > _SHOWN_MAX else ""
        )
    else:
        hint = "the mesh has no nodes yet: dunes mesh-init --nodes 20 --range 1000m"
    return NotFound(message, hint=hint, code="unknown-node")
