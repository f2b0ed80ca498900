"""What a node is, and what it keeps over a restart."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dunes.mesh.control import Feature
from dunes.mesh.ivindex import IvRecord
from dunes.mesh.keys import NetKeyRecord, Phase
from dunes.mesh.models.composition import Composition, Element
from dunes.mesh.models.config_server import ConfigServer
from dunes.mesh.models.node_config import NodeConfig
from dunes.mesh.models.server import Server
from dunes.mesh.provisioning.crypto import Grant
from dunes.mesh.provisioning.pdus import Capabilities
from dunes.mesh.state import KeysRecord, StackState, Store

CRPL = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's own part of its stored state; written once, when it is provisioned."""

    device_key: bytes = field(repr=False)
    unicast: int


@dataclass(frozen=True, slots=True)
class Erased:
    """The node left the network: delete all of its state."""


@dataclass(frozen=True, slots=True)
class NodeState:
    """Everything a node needs to go on after a restart."""

    identity: Identity
    stack: StackState
    config: NodeConfig = field(default_factory=NodeConfig)

    @staticmethod
    def updated(state: "NodeState | None", store: Store) -> "NodeState | None":
        """Give the state after a `Store`: all that a host has to keep."""
        for change in store.changes:
            match change:
                case Erased():
                    state = None
                case Identity():
                    state = NodeState(change, StackState())
                case NodeConfig() if state is not None:
                    state = replace(state, config=change)
                case _ if state is not None:
                    state = replace(state, stack=state.stack.updated(change))
        return state


@dataclass(slots=True)
class Description:
    """What a node is.

    Attributes:
        uuid: device UUID, 16 bytes, valid by RFC 4122.
        elements: server models by element; the configuration server is added.
        cid: company identifier.
        pid: product.
        vid: version.
        crpl: how many sources its replay list holds.
        capabilities: for provisioning; elements are filled in.
        static_oob: the value printed on it.
        oob_information: where to find it.
        relay: it can relay.
        config: its settings when it is new.
    """

    uuid: bytes
    elements: Sequence[Sequence[Server]]
    cid: int = 0xFFFF
    pid: int = 0
    vid: int = 0
    crpl: int = CRPL
    capabilities: Capabilities = field(default_factory=Capabilities)
    static_oob: bytes = field(default=b"", repr=False)
    oob_information: int = 0
    relay: bool = True
    config: NodeConfig = field(default_factory=NodeConfig)

    def composition(self) -> Composition:
        """Give page 0 of the composition data."""
        features = Feature.PROXY | (Feature.RELAY if self.relay else 0)
        elements = []
        for number, servers in enumerate(self.elements):
            models = [server.identity for server in servers]
            if number == 0:
                models.insert(0, ConfigServer.model)
            elements.append(Element(0, tuple(models)))
        return Composition(self.cid, self.pid, self.vid, self.crpl, int(features), tuple(elements))


class Advertising(NamedTuple):
    """What to advertise connectably: service and its data."""

    service: int
    data: bytes


def granted(grant: Grant, device_key: bytes, config: NodeConfig) -> NodeState:
    """Give the state of a node that was just provisioned.

    In phase 2 of a key refresh only the new key is given; it is both then.
    """
    new = grant.net_key if grant.refresh else None
    phase = Phase.SWITCHING if grant.refresh else Phase.NORMAL
    net = NetKeyRecord(grant.net_index, grant.net_key, new, phase)
    stack = StackState(iv=IvRecord(grant.iv_index, grant.update), keys=KeysRecord((net,), ()))
    return NodeState(Identity(device_key, grant.unicast), stack, config)
