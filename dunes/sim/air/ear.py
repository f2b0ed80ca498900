"""Hear a PDU once for all: what a node would only find out in order to do nothing. Pure.

Each copy that is on the air reaches many nodes, and nearly all of them would decrypt it, see
that they know it or that it is for others, and drop it. All of them with the same keys find
the same, so it is found once; and whoever has heard a message needs no relayed copy of it.
What a node has something to do with it decrypts by itself.
"""

from dataclasses import dataclass, field

from dunes.errors import PeerError
from dunes.mesh.models.node_config import ON
from dunes.mesh.network import NetworkPdu, decode_network
from dunes.mesh.node import Node

KEPT_MAX = 4096
HEARD_MAX = 512
"""Messages that are on their way, with the names of all who have heard them."""
NID_MASK = 0x7F

Key = tuple[bytes, int, bytes]
"""Octets, IV index and encryption key."""


@dataclass(slots=True)
class Ear:
    """What was found of PDUs, and who has heard which message. Bounded."""

    _found: dict[Key, NetworkPdu | None] = field(default_factory=dict)
    _heard: dict[tuple[int, int, int], set[str]] = field(default_factory=dict)

    def heard(self, sender: Node, data: bytes) -> set[str]:
        """Give the names of those that have heard a message, to be added to.

        Args:
            sender: of this copy; it has the key.
            data: the network PDU, sealed.
        """
        pdu = self._open(sender, data)
        if pdu is None:
            return set()
        message = (pdu.src, pdu.seq, pdu.iv_index)
        if message not in self._heard:
            self._heard[message] = set()
            if len(self._heard) > HEARD_MAX:
                del self._heard[next(iter(self._heard))]
        return self._heard[message]

    def concerns(self, node: Node, data: bytes) -> bool:
        """Say whether a node has anything to do with a network PDU.

        Args:
            node: a provisioned one.
            data: the network PDU, sealed.
        """
        stack = node.stack
        if stack is None or not data:
            return False
        if len(stack.keys.candidates(data[0] & NID_MASK)) > 1:
            return True  # keys in the middle of a refresh: let the node find out
        pdu = self._open(node, data)
        if pdu is None or stack.has_seen(pdu):
            return False
        passes_on = node.config.config.relay == ON or bool(node.proxy.links)
        return passes_on or stack.is_for_us(pdu.dst)

    def _open(self, node: Node, data: bytes) -> NetworkPdu | None:
        """Decrypt a PDU as a node would, or remember what came of it."""
        stack = node.stack
        candidates = () if stack is None else stack.keys.candidates(data[0] & NID_MASK)
        if stack is None or not candidates:
            return None
        key = (data, stack.iv.index, candidates[0].credentials.encryption_key)
        if key in self._found:
            return self._found[key]
        try:
            pdu = decode_network(stack.keys, stack.iv.index, data)
        except PeerError:
            pdu = None
        self._found[key] = pdu
        if len(self._found) > KEPT_MAX:
            del self._found[next(iter(self._found))]
        return pdu
