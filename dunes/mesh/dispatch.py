"""Which addresses concern a node, and which model of which element takes an access message.

Source: Mesh Protocol 1.1, 3.7.4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dunes.mesh import address
from dunes.mesh.access import AccessMessage
from dunes.mesh.models.node_config import ON, ModelConfig, NodeConfig
from dunes.mesh.models.server import Server
from dunes.mesh.toolbox import virtual_address
from dunes.mesh.wire import Message

FIXED_ON_PRIMARY = (
    address.ALL_NODES,
    address.ALL_RELAYS,
    address.ALL_PROXIES,
    address.ALL_FRIENDS,
)


class Delivery(NamedTuple):
    """One model that takes a message."""

    element: int
    server: Server
    message: Message


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """The models of a node, by element."""

    elements: Sequence[Sequence[Server]]

    def deliveries(
        self, message: AccessMessage, config: NodeConfig, unicast: int
    ) -> Iterator[Delivery]:
        """Give the models that take a message: addressed, allowed, and understanding it.

        Raises:
            BadPdu: a model understands the opcode, not the parameters.
        """
        for element, servers in enumerate(self.elements):
            for server in servers:
                known = config.of(element, server.identity)
                if not _addressed(message, known, unicast) or not _allowed(message, server, known):
                    continue
                read = server.decode(message.opcode, message.parameters)
                if read is not None:
                    yield Delivery(element, server, read)


def subscribed(config: NodeConfig) -> tuple[set[int], dict[int, list[bytes]]]:
    """Give the groups that concern a node, and the Label UUIDs by their virtual address."""
    groups = {address.ALL_NODES}
    if config.gatt_proxy == ON:
        groups.add(address.ALL_PROXIES)
    if config.relay == ON:
        groups.add(address.ALL_RELAYS)
    labels: dict[int, list[bytes]] = {}
    for each in config.models:
        groups.update(each.groups)
        for label in each.labels:
            labels.setdefault(virtual_address(label), []).append(label)
    return groups, labels


def _addressed(message: AccessMessage, known: ModelConfig, unicast: int) -> bool:
    if address.is_unicast(message.dst):
        return message.dst == unicast + known.element
    if message.label is not None:
        return message.label in known.labels
    if message.dst in FIXED_ON_PRIMARY and known.element == 0:
        return True
    return message.dst in known.groups


def _allowed(message: AccessMessage, server: Server, known: ModelConfig) -> bool:
    """Look at the key: the device key for configuration, a bound AppKey for the rest."""
    if message.app_index is None:
        return server.device_key
    return not server.device_key and message.app_index in known.app_indexes
