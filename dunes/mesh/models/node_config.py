"""What a configuration client sets on a node, as it is stored (Mesh Protocol 1.1, 4.2)."""

from dataclasses import dataclass, replace

from dunes.mesh.models.config import TTL_DEFAULT, transmit_octet
from dunes.mesh.wire import ModelId

OFF, ON, NOT_SUPPORTED = 0, 1, 2
BINDINGS_MAX = 16
SUBSCRIPTIONS_MAX = 16
"""Caps per model; more is answered with insufficient resources."""


@dataclass(frozen=True, slots=True)
class Publication:
    """How a model publishes.

    Attributes:
        address: to whom; with a label its virtual address.
        label: Label UUID, or None.
        app: AppKey index, with the credential flag.
        ttl: 0xFF: the node's default.
        period: see `config.period_octet`.
        retransmit: see `config.publish_octet`.
    """

    address: int
    label: bytes | None = None
    app: int = 0
    ttl: int = TTL_DEFAULT
    period: int = 0
    retransmit: int = 0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model of one element.

    Attributes:
        element: its number.
        model: its identifier.
        app_indexes: AppKeys it may use.
        publication: or None.
        groups: subscribed groups.
        labels: subscribed Label UUIDs.
    """

    element: int
    model: ModelId
    app_indexes: tuple[int, ...] = ()
    publication: Publication | None = None
    groups: tuple[int, ...] = ()
    labels: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class HeartbeatPublication:
    """How heartbeats are sent; counts and periods are logarithms."""

    destination: int = 0
    count_log: int = 0
    period_log: int = 0
    ttl: int = 0
    features: int = 0
    net_index: int = 0


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """All of it.

    Attributes:
        default_ttl: 0, or 2 to 127.
        beacon: send Secure Network beacons.
        relay: 0 off, 1 on, 2 not supported.
        relay_retransmit: see `config.transmit_octet`.
        network_transmit: likewise.
        gatt_proxy: 0 off, 1 on, 2 not supported.
        friend: 2: this node is none.
        heartbeat: or nothing.
        models: those that something was set for.
    """

    default_ttl: int = 7
    beacon: int = ON
    relay: int = OFF
    relay_retransmit: int = transmit_octet(3, 0.020)
    network_transmit: int = transmit_octet(3, 0.020)
    gatt_proxy: int = ON
    friend: int = NOT_SUPPORTED
    heartbeat: HeartbeatPublication = HeartbeatPublication()
    models: tuple[ModelConfig, ...] = ()

    def of(self, element: int, model: ModelId) -> ModelConfig:
        """Give what is set for a model."""
        for each in self.models:
            if (each.element, each.model) == (element, model):
                return each
        return ModelConfig(element, model)

    def with_model(self, changed: ModelConfig) -> "NodeConfig":
        """Give the configuration with another one for this model."""
        key = (changed.element, changed.model)
        others = tuple(each for each in self.models if (each.element, each.model) != key)
        return replace(self, models=(*others, changed))

    def without_apps(self, gone: set[int]) -> "NodeConfig":
        """Give the configuration without bindings and publications of AppKeys that are gone."""
        models = []
        for each in self.models:
            publication = each.publication
            if publication is not None and publication.app & 0xFFF in gone:
                publication = None
            kept = tuple(index for index in each.app_indexes if index not in gone)
            models.append(replace(each, app_indexes=kept, publication=publication))
        return replace(self, models=tuple(models))
