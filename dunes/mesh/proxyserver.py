"""The node as a proxy and relay: what is passed on, and to whom.

Source: Mesh Protocol 1.1, 3.4.6.3 (relaying), 6.4 to 6.7 (proxy).
"""

from dataclasses import dataclass, field

from dunes.mesh.address import TTL_RELAYED_MIN, is_unicast
from dunes.mesh.beacon import NetworkState, encode_secure
from dunes.mesh.keys import Phase
from dunes.mesh.links import AIR, GattLink
from dunes.mesh.models.node_config import ON, NodeConfig
from dunes.mesh.network import NetworkPdu, encode_network
from dunes.mesh.proxy import parse_proxy
from dunes.mesh.stack import Stack


@dataclass(slots=True)
class ProxyServer:
    """Links to proxy clients, and the rules of passing on."""

    links: dict[int, GattLink] = field(default_factory=dict)

    def configure(self, link: int, data: bytes, stack: Stack) -> None:
        """Take a proxy configuration message; the answer goes through the stack.

        Raises:
            BadPdu: it cannot be read.
        """
        pdu = stack.receive_proxy(data)
        if pdu is None or link not in self.links:
            return
        message = parse_proxy(pdu.transport)
        if message is None:
            return
        known = self.links[link].filter
        known.note_source(pdu.src)
        status = known.receive(message)
        if status is not None:
            stack.outbox.send_proxy(link, status.encode(), net_index=pdu.net_index)

    def targets(
        self, pdu: NetworkPdu, came_by: int, config: NodeConfig, stack: Stack
    ) -> tuple[list[int], bytes]:
        """Say where a PDU goes on to, and as what octets.

        Args:
            pdu: authentic and new.
            came_by: the link it came by.
            config: whether we relay and are a proxy.
            stack: its keys seal it again.

        Returns:
            Links, and the PDU with TTL-1; no links where it ends here.
        """
        if came_by in self.links:
            self.links[came_by].filter.note_source(pdu.src)
        ends_here = is_unicast(pdu.dst) and stack.is_own(pdu.dst)
        if pdu.ttl < TTL_RELAYED_MIN or ends_here or pdu.net_index not in stack.keys.subnets:
            return [], b""
        found = self.passing(pdu.dst, but=came_by) if config.gatt_proxy == ON else []
        if came_by != AIR or config.relay == ON:
            found.append(AIR)
        if not found:
            return [], b""
        credentials = stack.keys.subnets[pdu.net_index].transmit.flooding
        return found, encode_network(credentials, pdu._replace(ttl=pdu.ttl - 1))

    def passing(self, dst: int, *, but: int = AIR) -> list[int]:
        """Give the links whose filter passes an address."""
        return [
            link for link, each in self.links.items() if link != but and each.filter.passes(dst)
        ]


def beacons(stack: Stack) -> list[bytes]:
    """Give a Secure Network beacon for each subnet, as of now."""
    return [
        encode_secure(
            subnet.transmit,
            NetworkState(
                stack.iv.index, subnet.phase is Phase.SWITCHING, stack.iv.updating, subnet.index
            ),
        )
        for subnet in stack.keys.subnets.values()
    ]
