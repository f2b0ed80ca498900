"""Devices that are no nodes, and the elements of ours by which they speak in a mesh. Pure.

A node's elements have addresses in a row, so a gateway's follow its primary one. Element 0 is
the gateway's own; each further one is some device's, or waits for the next. An address that
was ours stays ours: nodes remember what number came from it last.

Source: Mesh Protocol 1.1, 2.3.4 (elements), 3.4.2.2 (unicast addresses).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dunes.errors import DataError, NotFound
from dunes.mesh.address import UNICAST_MAX
from dunes.mesh.managerstate import OWN_ELEMENTS, REUSE_AFTER, NodeGone

LINKS_MAX = OWN_ELEMENTS - 1


class NoElement(NotFound):
    """No element of the gateway can be given to a device."""

    code = "mesh-no-element"


@dataclass(frozen=True, slots=True)
class DeviceLink:
    """An element of ours.

    Attributes:
        element: its number, from 1.
        device: whose readings it tells; empty: nobody's now.
        since_us: since when, µs since 1970.
        sequence: of its next report, modulo 2^14; it goes on whoever the device is.
    """

    element: int
    device: str
    since_us: int
    sequence: int = 0


def count_elements(links: Iterable[DeviceLink]) -> int:
    """Say how many elements we have, our own included."""
    return 1 + max((each.element for each in links), default=0)


def choose_element(
    links: Sequence[DeviceLink],
    *,
    unicast: int,
    high: int,
    taken: Iterable[tuple[int, int, str]],
    gone: Iterable[NodeGone],
    iv_index: int,
) -> int:
    """Choose the element for one more device.

    Args:
        links: those that there are.
        unicast: our primary address.
        high: the last address that is ours to give.
        taken: (first, count, name) of every node.
        gone: nodes that left.
        iv_index: the network's.

    Raises:
        NoElement: all are taken, or the next address is somebody else's.
    """
    for each in links:
        if not each.device:
            return each.element
    element = count_elements(links)
    address = unicast + element
    if element > LINKS_MAX:
        raise NoElement(
            f"{LINKS_MAX} devices are linked to this mesh: the gateway has no further element",
            hint="dunes mesh-link --iot-device NAME --unlink takes one out",
        )
    owner = next((name for at, count, name in taken if at <= address < at + count), "")
    waiting = any(
        each.unicast <= address < each.unicast + each.elements
        and iv_index < each.iv_index + REUSE_AFTER
        for each in gone
    )
    if owner or waiting or address > min(high, UNICAST_MAX):
        why = f"is {owner}'s" if owner else "was a node's lately" if waiting else "is not ours"
        raise NoElement(
            f"a gateway's elements have addresses in a row, and the next, {address:#06x}, {why}",
            hint="dunes mesh-export --format state, then dunes mesh-import FILE --force: the "
            "gateway then sends from another address, with room behind it; a mesh made by "
            f"dunes mesh-init leaves room for {LINKS_MAX}",
        )
    return element


def check_device(device: str, nodes: Iterable[str]) -> None:
    """Refuse a device that speaks for itself.

    Args:
        device: its name.
        nodes: the names of the mesh's nodes.

    Raises:
        DataError: it is a node of the mesh, or an element of one.
    """
    if any(device == node or device.startswith(f"{node}.") for node in nodes):
        raise DataError(
            f"{device} is a node of this mesh: it speaks for itself",
            hint="link devices that are no mesh nodes, by the name that their readings have",
        )
