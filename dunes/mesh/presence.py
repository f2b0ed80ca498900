"""How a node shows that it is there: connectable advertising, and beacons on the air.

Source: Mesh Protocol 1.1, 3.10 (beacons), 7.1.2.2 and 7.2.2.2 (advertising).
"""

from dataclasses import dataclass
from random import Random

from dunes.mesh.beacon import (
    PROVISIONING_SERVICE,
    PROXY_SERVICE,
    UnprovisionedBeacon,
    network_id_service_data,
    node_identity_service_data,
    provisioning_service_data,
)
from dunes.mesh.models.config_server import ConfigServer
from dunes.mesh.models.node_config import ON
from dunes.mesh.nodestate import Advertising, Description
from dunes.mesh.proxyserver import beacons
from dunes.mesh.stack import Stack

BEACON_S = 10.0
"""Between two beacons on the air (3.10.3)."""


@dataclass(slots=True)
class Presence:
    """What a node says of itself to whoever listens; without a stack, it is new.

    Attributes:
        description: what it is.
        config: what is configured.
        rng: a `SystemRandom` outside of tests.
        due_s: when it sends its next beacons.
    """

    description: Description
    config: ConfigServer
    rng: Random
    due_s: float = 0.0

    def advertising(self, stack: Stack | None, now_s: float) -> Advertising | None:
        """Say what to advertise connectably, if anything."""
        if stack is None:
            oob = self.description.oob_information.to_bytes(2, "little")
            data = provisioning_service_data(self.description.uuid, oob)
            return Advertising(PROVISIONING_SERVICE, data)
        for index, until_s in self.config.identity_until_s.items():
            if until_s > now_s and index in stack.keys.subnets:
                key = stack.keys.subnets[index].transmit
                random = self.rng.randbytes(8)
                data = node_identity_service_data(key, random, stack.unicast)
                return Advertising(PROXY_SERVICE, data)
        if self.config.config.gatt_proxy != ON:
            return None
        subnet = next(iter(stack.keys.subnets.values()))
        return Advertising(PROXY_SERVICE, network_id_service_data(subnet.transmit))

    def take_beacons(self, stack: Stack | None, now_s: float) -> list[bytes]:
        """Give the beacons that are due, and begin to wait for the next."""
        if now_s < self.due_s:
            return []
        self.due_s = now_s + BEACON_S
        if stack is None:
            uuid, oob = self.description.uuid, self.description.oob_information
            return [UnprovisionedBeacon(uuid, oob).encode()]
        return beacons(stack) if self.config.config.beacon == ON else []
