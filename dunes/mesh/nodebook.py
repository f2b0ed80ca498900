"""The nodes of a mesh, as its gateway keeps them: found, changed, forgotten, given addresses."""

from collections.abc import Iterable
from dataclasses import dataclass

from dunes.errors import NotFound
from dunes.mesh.keys import dev_key
from dunes.mesh.managerstate import KnownNode, NodeGone, free_address
from dunes.mesh.stack import Stack


@dataclass(slots=True)
class NodeBook:
    """All nodes of one mesh; each change goes into the journal.

    Attributes:
        stack: its device keys and journal follow.
        nodes: by primary address.
        gone: addresses that wait.
        low: the first address to give out.
        high: the last one.
    """

    stack: Stack
    nodes: dict[int, KnownNode]
    gone: list[NodeGone]
    low: int
    high: int

    def __post_init__(self) -> None:
        """Give the stack every node's device key."""
        for node in self.nodes.values():
            self.stack.device_keys[node.unicast] = dev_key(node.device_key)

    def node_of(self, unicast: int) -> KnownNode:
        """Find the node that an element's address belongs to.

        Raises:
            NotFound: none of ours.
        """
        node = self.nodes.get(unicast)
        if node is not None:
            return node
        for each in self.nodes.values():
            if each.has(unicast):
                return each
        raise NotFound(f"no node of this mesh has address {unicast:#06x}")

    def update(self, node: KnownNode, *, before_sending: bool = False) -> None:
        """Keep what is known of a node now."""
        self.nodes[node.unicast] = node
        self.stack.device_keys[node.unicast] = dev_key(node.device_key)
        self.stack.journal.add(("node", node.unicast), node, before_sending=before_sending)

    def forget(self, unicast: int) -> None:
        """Take a node off the books; its addresses are not given out soon."""
        node = self.nodes.pop(unicast)
        self.stack.device_keys.pop(unicast, None)
        gone = NodeGone(unicast, node.elements, self.stack.iv.index)
        self.gone.append(gone)
        self.stack.journal.add(("node", unicast), gone, before_sending=True)

    def allocate(self, elements: int, reserved: Iterable[tuple[int, int]] = ()) -> int:
        """Find addresses for a new node.

        Args:
            elements: how many in a row.
            reserved: (first, count) of those that others are just being given.

        Raises:
            NotFound: none are free.
        """
        taken = [(node.unicast, node.elements) for node in self.nodes.values()]
        taken.append((self.stack.unicast, self.stack.elements))
        return free_address(
            elements,
            low=self.low,
            high=self.high,
            taken=[*taken, *reserved],
            gone=self.gone,
            iv_index=self.stack.iv.index,
        )
