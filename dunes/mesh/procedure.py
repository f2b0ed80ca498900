"""Configuring a node: a plan becomes steps, each one request with its expected answer.

The order is one that works with common firmware: the default TTL first, as answers of a far
node die beyond it; then the composition; keys; binds; subscriptions; publication; and what
concerns the node as a whole last. Steps may be repeated: each leaves the same state.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from dunes.mesh.errors import BadPdu
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.models import config_keys, config_models, config_node
from dunes.mesh.models.composition import Composition
from dunes.mesh.models.config import TTL_DEFAULT
from dunes.mesh.models.node_config import NOT_SUPPORTED
from dunes.mesh.status import Status
from dunes.mesh.wire import Message, ModelId


@dataclass(frozen=True, slots=True)
class Publish:
    """How a model shall publish; octets as in `models.config`."""

    address: int
    app_index: int = 0
    ttl: int = TTL_DEFAULT
    period: int = 0
    retransmit: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a node shall become. None: leave it as it is.

    Attributes:
        app_keys: (index, key) to add; the NetKey is the node's own.
        binds: AppKey indexes by model, on every element that has it.
        subscriptions: groups by model, likewise.
        unsubscriptions: groups by model that it shall leave, likewise.
        publications: by model, likewise; to address 0: none any more.
        default_ttl: 0, or 2 to 127.
        relay: (state, retransmit octet).
        network_transmit: octet.
        gatt_proxy: 0 or 1.
        friend: 0 or 1.
        beacon: 0 or 1.
        heartbeat: how the node shows that it lives.
    """

    app_keys: tuple[tuple[int, bytes], ...] = field(default=(), repr=False)
    binds: dict[ModelId, tuple[int, ...]] = field(default_factory=dict)
    subscriptions: dict[ModelId, tuple[int, ...]] = field(default_factory=dict)
    unsubscriptions: dict[ModelId, tuple[int, ...]] = field(default_factory=dict)
    publications: dict[ModelId, Publish] = field(default_factory=dict)
    default_ttl: int | None = None
    relay: tuple[int, int] | None = None
    network_transmit: int | None = None
    gatt_proxy: int | None = None
    friend: int | None = None
    beacon: int | None = None
    heartbeat: config_node.HeartbeatPublicationSet | None = None


def steps(plan: Plan, node: KnownNode) -> list[Message]:
    """Give the requests that make a node what the plan says.

    Before its composition is known, these are the first two only.

    Raises:
        BadPdu: the stored composition cannot be read.
    """
    found: list[Message] = []
    if plan.default_ttl is not None:
        found.append(config_node.TtlSet(plan.default_ttl))
    found.append(config_node.CompositionGet(0))
    if not node.composition:
        return found
    composition = Composition.decode(node.composition)
    found += [config_keys.AppKeyAdd((node.net_index, index), key) for index, key in plan.app_keys]
    found += _models(plan, node, composition)
    found += _whole(plan)
    return found


def _models(plan: Plan, node: KnownNode, composition: Composition) -> Iterator[Message]:
    def each(table: dict[ModelId, tuple[int, ...]]) -> Iterator[tuple[int, int, ModelId]]:
        for model, numbers in table.items():
            for at in composition.has(model):
                for number in numbers:
                    yield node.unicast + at, number, model

    yield from (config_models.ModelAppBind(*bound) for bound in each(plan.binds))
    yield from (config_models.SubscriptionDelete(*left) for left in each(plan.unsubscriptions))
    yield from (config_models.SubscriptionAdd(*joined) for joined in each(plan.subscriptions))
    for model, publish in plan.publications.items():
        for at in composition.has(model):
            yield config_models.PublicationSet(
                node.unicast + at,
                publish.address,
                publish.app_index,
                publish.ttl,
                publish.period,
                publish.retransmit,
                model,
            )


def _whole(plan: Plan) -> Iterator[Message]:
    if plan.relay is not None:
        yield config_node.RelaySet(*plan.relay)
    if plan.network_transmit is not None:
        yield config_node.NetworkTransmitSet(plan.network_transmit)
    if plan.friend is not None:
        yield config_node.FriendSet(plan.friend)
    if plan.beacon is not None:
        yield config_node.BeaconSet(plan.beacon)
    if plan.gatt_proxy is not None:
        yield config_node.ProxySet(plan.gatt_proxy)
    if plan.heartbeat is not None:
        yield plan.heartbeat


def missing_models(plan: Plan, composition: Composition) -> list[ModelId]:
    """Give the models of a plan that a node does not have."""
    asked = [*plan.binds, *plan.subscriptions, *plan.publications]
    return [model for model in dict.fromkeys(asked) if not composition.has(model)]


def judge(request: Message, answer: Message) -> Status:
    """Say whether an answer means that a step is done.

    A feature that a node does not have counts as done where the plan wants it off, and as
    not supported where it wants it on.
    """
    status = getattr(answer, "status", None)
    if status is not None:
        known = status in Status.__members__.values()
        return Status(status) if known else Status.UNSPECIFIED
    wanted, now = getattr(request, "state", None), getattr(answer, "state", None)
    if wanted is not None and now is not None and wanted != now:
        if now == NOT_SUPPORTED:
            return Status.FEATURE_NOT_SUPPORTED if wanted else Status.SUCCESS
        return Status.CANNOT_SET
    if isinstance(request, config_node.TtlSet) and request.ttl != getattr(answer, "ttl", None):
        return Status.CANNOT_SET
    return Status.SUCCESS


def take_composition(node: KnownNode, answer: config_node.CompositionStatus) -> bytes:
    """Give the composition to store: readable, and of as many elements as the node has.

    Raises:
        BadPdu: it is not.
    """
    found = Composition.decode(answer.data)
    if answer.page or len(found.elements) != node.elements:
        raise BadPdu(
            f"the composition of {node.unicast:#06x} has {len(found.elements)} elements, "
            f"at its provisioning it had {node.elements}"
        )
    return answer.data
