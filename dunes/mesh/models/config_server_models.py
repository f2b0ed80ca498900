"""The configuration server's half about models: AppKeys, publication, subscriptions.

Source: Mesh Protocol 1.1, 4.4.1.2.
"""

from dataclasses import replace
from typing import Any

from dunes.mesh.address import ALL_NODES, TTL_MAX, UNASSIGNED, is_group, is_virtual
from dunes.mesh.keys import KEY_INDEX_MAX
from dunes.mesh.models import config_models
from dunes.mesh.models.config import CONFIG_CLIENT, CONFIG_SERVER, CREDENTIAL_FLAG, TTL_DEFAULT
from dunes.mesh.models.config_server import ConfigServer, Handler
from dunes.mesh.models.node_config import (
    BINDINGS_MAX,
    SUBSCRIPTIONS_MAX,
    ModelConfig,
    Publication,
)
from dunes.mesh.models.server import Context
from dunes.mesh.status import Status
from dunes.mesh.toolbox import virtual_address
from dunes.mesh.wire import Message, ModelId

FOUNDATION = (CONFIG_SERVER, CONFIG_CLIENT)
"""They are spoken to with device keys, and bind, publish and subscribe to nothing."""


def _find(server: ConfigServer, address: int, model: ModelId) -> ModelConfig | Status:
    """Find a model by its element's address."""
    number = address - server.unicast
    if not 0 <= number < len(server.composition.elements):
        return Status.INVALID_ADDRESS
    if model not in server.composition.elements[number].models:
        return Status.INVALID_MODEL
    return server.config.of(number, model)


def _keep(server: ConfigServer, changed: ModelConfig) -> None:
    server.change(models=server.config.with_model(changed).models)


# ------------------------------------------------------------------- AppKeys


def _app(server: ConfigServer, message: Any, _: Context) -> Message:
    found = _find(server, message.element, message.model)
    status = found if isinstance(found, Status) else _bind(server, message, found)
    return config_models.ModelAppStatus(status, message.element, message.app_index, message.model)


def _bind(server: ConfigServer, message: Any, found: ModelConfig) -> Status:
    index = message.app_index
    if found.model in FOUNDATION:
        return Status.CANNOT_BIND
    if isinstance(message, config_models.ModelAppUnbind):
        kept = tuple(each for each in found.app_indexes if each != index)
        publication = found.publication
        if publication is not None and publication.app & KEY_INDEX_MAX == index:
            publication = None
        _keep(server, replace(found, app_indexes=kept, publication=publication))
        return Status.SUCCESS
    if index not in server.keys.apps:
        return Status.INVALID_APP_KEY_INDEX
    if index not in found.app_indexes:
        if len(found.app_indexes) >= BINDINGS_MAX:
            return Status.INSUFFICIENT_RESOURCES
        _keep(server, replace(found, app_indexes=(*found.app_indexes, index)))
    return Status.SUCCESS


def _app_list(server: ConfigServer, message: Any, _: Context) -> Message:
    found = _find(server, message.element, message.model)
    status = found if isinstance(found, Status) else Status.SUCCESS
    indexes = () if isinstance(found, Status) else found.app_indexes
    if message.model.company is None:
        return config_models.SigModelAppList(status, message.element, message.model.model, indexes)
    number = _vendor(message.model)
    return config_models.VendorModelAppList(status, message.element, number, indexes)


def _vendor(model: ModelId) -> int:
    return int.from_bytes(model.encode(), "little")


# ------------------------------------------------------------------- publication


def _publication(server: ConfigServer, message: Any, _: Context) -> Message:
    found = _find(server, message.element, message.model)
    status = Status.SUCCESS
    now: Publication | None = None
    if isinstance(found, Status):
        status = found
    else:
        if not isinstance(message, config_models.PublicationGet):
            status = _publish(server, message, found)
        now = server.config.of(found.element, found.model).publication
    shown = now or Publication(UNASSIGNED, ttl=0)
    return config_models.PublicationStatus(
        status,
        message.element,
        shown.address,
        shown.app,
        shown.ttl,
        shown.period,
        shown.retransmit,
        message.model,
    )


def _publish(server: ConfigServer, message: Any, found: ModelConfig) -> Status:
    label = getattr(message, "label", None)
    address = virtual_address(label) if label is not None else message.address
    if found.model in FOUNDATION:
        return Status.INVALID_PUBLISH_PARAMETERS
    if address == UNASSIGNED:
        _keep(server, replace(found, publication=None))
        return Status.SUCCESS
    status = _judge_publication(server, message, address, virtual=label is not None)
    if status is Status.SUCCESS:
        publication = Publication(
            address, label, message.app, message.ttl, message.period, message.retransmit
        )
        _keep(server, replace(found, publication=publication))
    return status


def _judge_publication(
    server: ConfigServer, message: Any, address: int, *, virtual: bool
) -> Status:
    if is_virtual(address) and not virtual:
        return Status.INVALID_ADDRESS
    if message.app & KEY_INDEX_MAX not in server.keys.apps:
        return Status.INVALID_APP_KEY_INDEX
    if message.app & CREDENTIAL_FLAG:
        return Status.FEATURE_NOT_SUPPORTED
    known = message.ttl == TTL_DEFAULT or (message.ttl != 1 and message.ttl <= TTL_MAX)
    return Status.SUCCESS if known else Status.INVALID_PUBLISH_PARAMETERS


# ------------------------------------------------------------------- subscriptions


def _subscription(server: ConfigServer, message: Any, _: Context) -> Message:
    label = getattr(message, "label", None)
    address = getattr(message, "address", UNASSIGNED)
    if label is not None:
        address = virtual_address(label)
    found = _find(server, message.element, message.model)
    status = found if isinstance(found, Status) else _subscribe(server, message, found)
    return config_models.SubscriptionStatus(status, message.element, address, message.model)


def _subscribe(server: ConfigServer, message: Any, found: ModelConfig) -> Status:
    if found.model in FOUNDATION:
        return Status.NOT_A_SUBSCRIBE_MODEL
    address = getattr(message, "address", None)
    if address is not None and (not is_group(address) or address == ALL_NODES):
        return Status.INVALID_ADDRESS
    groups, labels = _subscribed(message, found)
    if len(groups) + len(labels) > SUBSCRIPTIONS_MAX:
        return Status.INSUFFICIENT_RESOURCES
    _keep(server, replace(found, groups=groups, labels=labels))
    return Status.SUCCESS


def _subscribed(message: Any, found: ModelConfig) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    """Give groups and labels after a message."""
    groups, labels = found.groups, found.labels
    match message:
        case config_models.SubscriptionAdd():
            return tuple(dict.fromkeys((*groups, message.address))), labels
        case config_models.SubscriptionDelete():
            return tuple(each for each in groups if each != message.address), labels
        case config_models.SubscriptionOverwrite():
            return (message.address,), ()
        case config_models.SubscriptionVirtualAdd():
            return groups, tuple(dict.fromkeys((*labels, message.label)))
        case config_models.SubscriptionVirtualDelete():
            return groups, tuple(each for each in labels if each != message.label)
    return (), () if isinstance(message, config_models.SubscriptionDeleteAll) else (message.label,)


def _subscription_list(server: ConfigServer, message: Any, _: Context) -> Message:
    found = _find(server, message.element, message.model)
    status = found if isinstance(found, Status) else Status.SUCCESS
    addresses: tuple[int, ...] = ()
    if not isinstance(found, Status):
        addresses = found.groups + tuple(virtual_address(each) for each in found.labels)
    if message.model.company is None:
        return config_models.SigSubscriptionList(
            status, message.element, message.model.model, addresses
        )
    number = _vendor(message.model)
    return config_models.VendorSubscriptionList(status, message.element, number, addresses)


MODEL_HANDLERS: dict[type[Message], Handler] = {
    config_models.ModelAppBind: _app,
    config_models.ModelAppUnbind: _app,
    config_models.SigModelAppGet: _app_list,
    config_models.VendorModelAppGet: _app_list,
    config_models.PublicationGet: _publication,
    config_models.PublicationSet: _publication,
    config_models.PublicationVirtualSet: _publication,
    config_models.SubscriptionAdd: _subscription,
    config_models.SubscriptionDelete: _subscription,
    config_models.SubscriptionOverwrite: _subscription,
    config_models.SubscriptionDeleteAll: _subscription,
    config_models.SubscriptionVirtualAdd: _subscription,
    config_models.SubscriptionVirtualDelete: _subscription,
    config_models.SubscriptionVirtualOverwrite: _subscription,
    config_models.SigSubscriptionGet: _subscription_list,
    config_models.VendorSubscriptionGet: _subscription_list,
}
