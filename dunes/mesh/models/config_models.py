"""Configuration messages about models: AppKeys, publication, subscriptions.

Source: Mesh Protocol 1.1, 4.3.2.
"""

from dataclasses import dataclass

from dunes.mesh.wire import (
    U8,
    U16,
    U32,
    Addresses,
    Key,
    KeyIndex,
    KeyIndexes,
    Message,
    Model,
    table,
)


@dataclass(frozen=True, slots=True)
class ModelAppBind(Message, opcode=0x803D):
    """Let a model use an AppKey."""

    element: U16
    app_index: KeyIndex
    model: Model


@dataclass(frozen=True, slots=True)
class ModelAppUnbind(Message, opcode=0x803F):
    """Stop a model from using an AppKey."""

    element: U16
    app_index: KeyIndex
    model: Model


@dataclass(frozen=True, slots=True)
class ModelAppStatus(Message, opcode=0x803E):
    """What became of it."""

    status: U8
    element: U16
    app_index: KeyIndex
    model: Model


@dataclass(frozen=True, slots=True)
class SigModelAppGet(Message, opcode=0x804B):
    """Ask for the AppKeys of a SIG model."""

    element: U16
    model: Model


@dataclass(frozen=True, slots=True)
class SigModelAppList(Message, opcode=0x804C):
    """The AppKeys of a SIG model."""

    status: U8
    element: U16
    model: U16
    app_indexes: KeyIndexes


@dataclass(frozen=True, slots=True)
class VendorModelAppGet(Message, opcode=0x804D):
    """Ask for the AppKeys of a vendor model."""

    element: U16
    model: Model


@dataclass(frozen=True, slots=True)
class VendorModelAppList(Message, opcode=0x804E):
    """The AppKeys of a vendor model; `model` is company and model."""

    status: U8
    element: U16
    model: U32
    app_indexes: KeyIndexes


@dataclass(frozen=True, slots=True)
class PublicationGet(Message, opcode=0x8018):
    """Ask how a model publishes."""

    element: U16
    model: Model


@dataclass(frozen=True, slots=True)
class PublicationSet(Message, opcode=0x03):
    """Set how a model publishes.

    `app` is the AppKey index with the credential flag in bit 12; `period` see
    `period_octet`, `retransmit` see `publish_octet`; address 0 stops it.
    """

    element: U16
    address: U16
    app: U16
    ttl: U8
    period: U8
    retransmit: U8
    model: Model


@dataclass(frozen=True, slots=True)
class PublicationVirtualSet(Message, opcode=0x801A):
    """Publish to a Label UUID."""

    element: U16
    label: Key
    app: U16
    ttl: U8
    period: U8
    retransmit: U8
    model: Model


@dataclass(frozen=True, slots=True)
class PublicationStatus(Message, opcode=0x8019):
    """How a model publishes."""

    status: U8
    element: U16
    address: U16
    app: U16
    ttl: U8
    period: U8
    retransmit: U8
    model: Model


@dataclass(frozen=True, slots=True)
class SubscriptionAdd(Message, opcode=0x801B):
    """Subscribe a model to a group."""

    element: U16
    address: U16
    model: Model


@dataclass(frozen=True, slots=True)
class SubscriptionDelete(Message, opcode=0x801C):
    """End a subscription."""

    element: U16
    address: U16
    model: Model


@dataclass(frozen=True, slots=True)
class SubscriptionOverwrite(Message, opcode=0x801E):
    """Subscribe a model to this group only."""

    element: U16
    address: U16
    model: Model


@dataclass(frozen=True, slots=True)
class SubscriptionDeleteAll(Message, opcode=0x801D):
    """End all subscriptions of a model."""

    element: U16
    model: Model


@dataclass(frozen=True, slots=True)
class SubscriptionVirtualAdd(Message, opcode=0x8020):
    """Subscribe a model to a Label UUID."""

    element: U16
    label: Key
    model: Model


@dataclass(frozen=True, slots=True)
class SubscriptionVirtualDelete(Message, opcode=0x8021):
    """End a subscription to a Label UUID."""

    element: U16
    label: Key
    model: Model


@dataclass(frozen=True, slots=True)
class SubscriptionVirtualOverwrite(Message, opcode=0x8022):
    """Subscribe a model to this Label UUID only."""

    element: U16
    label: Key
    model: Model


@dataclass(frozen=True, slots=True)
class SubscriptionStatus(Message, opcode=0x801F):
    """What became of a subscription."""

    status: U8
    element: U16
    address: U16
    model: Model


@dataclass(frozen=True, slots=True)
class SigSubscriptionGet(Message, opcode=0x8029):
    """Ask for the subscriptions of a SIG model."""

    element: U16
    model: Model


@dataclass(frozen=True, slots=True)
class SigSubscriptionList(Message, opcode=0x802A):
    """The subscriptions of a SIG model."""

    status: U8
    element: U16
    model: U16
    addresses: Addresses


@dataclass(frozen=True, slots=True)
class VendorSubscriptionGet(Message, opcode=0x802B):
    """Ask for the subscriptions of a vendor model."""

    element: U16
    model: Model


@dataclass(frozen=True, slots=True)
class VendorSubscriptionList(Message, opcode=0x802C):
    """The subscriptions of a vendor model; `model` is company and model."""

    status: U8
    element: U16
    model: U32
    addresses: Addresses


MESSAGES = table(
    ModelAppBind,
    ModelAppUnbind,
    ModelAppStatus,
    SigModelAppGet,
    SigModelAppList,
    VendorModelAppGet,
    VendorModelAppList,
    PublicationGet,
    PublicationSet,
    PublicationVirtualSet,
    PublicationStatus,
    SubscriptionAdd,
    SubscriptionDelete,
    SubscriptionOverwrite,
    SubscriptionDeleteAll,
    SubscriptionVirtualAdd,
    SubscriptionVirtualDelete,
    SubscriptionVirtualOverwrite,
    SubscriptionStatus,
    SigSubscriptionGet,
    SigSubscriptionList,
    VendorSubscriptionGet,
    VendorSubscriptionList,
)
