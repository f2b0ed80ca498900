"""Hear a PDU once for all: what a node would only find out in order to do nothing. Pure.

Each copy that is on the air reaches many nodes, and nearly all of them would decrypt it, see
that they know it or that it is for others, and drop it. All of them with the same keys find
the same, so it is found once. What a node has something to do with it decrypts by itself.
"""

from dataclasses import dataclass, field

from dunes.errors import PeerError
from dunes.mesh.models.node_config import ON
from dunes.mesh.network import NetworkPdu, decode_network
from dunes.mesh.node import Node

KEPT_MAX = 4096
NID_MASK = 0x7F


@dataclass(slots=True)
class Ear:
    """What was found of PDUs, by octets, IV index and key. Bounded."""

    _found: dict[tuple[bytes, int, bytes], NetworkPdu | None] = field(default_factory=dict)

    def concerns(self, node: Node, data: bytes) -> bool:
        """Say whether a node has anything to do with a network PDU.

        Args:
            node: a provisioned one.
            data: the network PDU, sealed.
        """
        stack = node.stack
        if stack is None or not data:
            return False
        candidates = stack.keys.candidates(data[0] & NID_MASK)
        if not candidates:
            return False
        if len(candidates) > 1:
            return True  # keys in the middle of a refresh: let the node find out
        key = (data, stack.iv.index, candidates[0].credentials.encryption_key)
        if key in self._found:
            pdu = self._found[key]
        else:
            pdu = self._open(node, data)
            self._found[key] = pdu
            if len(self._found) > KEPT_MAX:
                del self._found[next(iter(self._found))]
        if pdu is None or stack.has_seen(pdu):
            return False
        passes_on = node.config.config.relay == ON or bool(node.proxy.links)
        return passes_on or stack.is_for_us(pdu.dst)

    @staticmethod
    def _open(node: Node, data: bytes) -> NetworkPdu | None:
        if node.stack is None:
            return None
        try:
            return decode_network(node.stack.keys, node.stack.iv.index, data)
        except PeerError:
            return None
