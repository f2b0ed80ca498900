"""Show and change how nodes are configured, take them out, give the network new keys."""

import asyncio
import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from dunes.authority.model import Action
from dunes.ble.radio import Advertisement
from dunes.errors import NotFound, UsageError
from dunes.gateway.owner import Gateway
from dunes.gateway.permission import permit
from dunes.gateway.refreshing import run_refresh
from dunes.gateway.waiting import NoAnswer, NotConfigured
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.models import config_models, config_node
from dunes.mesh.models.composition import Composition
from dunes.mesh.models.config import (
    period_octet,
    read_period_octet,
    read_transmit_octet,
    transmit_octet,
)
from dunes.mesh.procedure import judge
from dunes.mesh.status import Status
from dunes.mesh.wire import Message, ModelId

UUID_BYTES = 16
RESET_LOOK_S = 8.0
INTERVAL_S = 0.020
SENSOR = ModelId(0x1100)
STATES = {0: "off", 1: "on", 2: "not supported"}
MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How a node says it is configured; null: it did not say.

    Attributes:
        node: its name.
        unicast: primary address.
        ttl: default TTL.
        relay: `on`, `off` or `not supported`.
        relay_transmissions: how often it sends messages of others.
        transmissions: how often it sends its own.
        proxy, friend, beacon: as `relay`.
        publish_period_s: of its sensors; 0: only when asked.
        publish_to: the group or address.
        changed: what was changed.
        failed: why it could not be asked or changed; empty: it could.
    """

    node: str
    unicast: int
    ttl: int | None = None
    relay: str | None = None
    relay_transmissions: int | None = None
    transmissions: int | None = None
    proxy: str | None = None
    friend: str | None = None
    beacon: str | None = None
    publish_period_s: float | None = None
    publish_to: str | None = None
    changed: tuple[str, ...] = ()
    failed: str = ""


@dataclass(frozen=True, slots=True)
class MeshConfigReport:
    """How nodes are configured now.

    Attributes:
        mesh_id: the mesh.
        nodes: those that were asked.
        refreshed: rounds of a key refresh that are done, of 3; null: none was asked for.
        holding: nodes that hold a key refresh up.
        simulated: the nodes are those of the simulated site.
    """

    mesh_id: str
    nodes: tuple[NodeSettings, ...] = ()
    refreshed: int | None = None
    holding: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class MeshRemoveReport:
    """A node that is no longer ours.

    Attributes:
        mesh_id: the mesh.
        node: its name.
        unicast: primary address; it is not given to another before two IV updates.
        reset: `confirmed` by the node, `seen` advertising as new, or `not confirmed`.
        excluded: the others have new keys.
        simulated: it is one of the simulated site.
    """

    mesh_id: str
    node: str
    unicast: int
    reset: str
    excluded: bool = False
    simulated: bool = False


async def configure(gateway: Gateway, args: dict[str, Any]) -> MeshConfigReport:
    """Show or change settings of a node, or of `all`.

    Args:
        gateway: the mesh, with a proxy kept.
        args: `node`; what to change: `ttl`, `relay`, `transmissions`, `relay_transmissions`,
            `proxy`, `friend`, `beacon`, `period_s`, `name`; `timeout_s` for the proxy.
    """
    nodes = _chosen(gateway, str(args["node"]))
    if "name" in args and len(nodes) > 1:
        raise UsageError("one name cannot be that of several nodes", hint="name them one by one")
    changes = sorted(set(args) - {"node", "timeout_s"})
    if changes:
        for node in nodes:
            what = " ".join(changes)
            await permit(gateway.settings, Action.MESH_CONFIGURE, node.name, what)
    if set(args) - {"node", "name", "timeout_s"} or "name" not in args:
        await gateway.reach(timeout_s=float(args.get("timeout_s", 20.0)))
    slots = asyncio.Semaphore(8)

    async def one(node: KnownNode) -> NodeSettings:
        async with slots:
            return await _one(gateway, node, args)

    found = await asyncio.gather(*(one(node) for node in nodes))
    return MeshConfigReport(gateway.store.mesh_id, tuple(found), simulated=gateway.radio.simulated)


def _chosen(gateway: Gateway, text: str) -> list[KnownNode]:
    if text == "all":
        return [gateway.manager.nodes[each] for each in sorted(gateway.manager.nodes)]
    name, _ = gateway.store.find(text)
    return [gateway.manager.node_of(name.unicast)]


async def _one(gateway: Gateway, node: KnownNode, args: dict[str, Any]) -> NodeSettings:
    changed: list[str] = []
    try:
        if "name" in args:
            node = gateway.runner.update_node(node, name=str(args["name"]))
            await gateway.runner.flush()
            changed.append("name")
        for key, message in _wanted(args):
            await _ask(gateway, node, message)
            changed.append(key)
        if "period_s" in args:
            await _set_period(gateway, node, float(args["period_s"]))
            changed.append("period")
        if set(args) <= {"node", "name", "timeout_s"} and "name" in args:
            return NodeSettings(node.name, node.unicast, changed=tuple(changed))
        shown = await _show(gateway, node)
    except (NoAnswer, NotConfigured, NotFound) as error:
        return NodeSettings(node.name, node.unicast, changed=tuple(changed), failed=error.message)
    if changed:
        _remember(gateway, node, shown)
    return replace(shown, changed=tuple(changed))


def _wanted(args: dict[str, Any]) -> Iterator[tuple[str, Message]]:
    if "ttl" in args:
        yield "ttl", config_node.TtlSet(int(args["ttl"]))
    if "relay" in args or "relay_transmissions" in args:
        state = int(bool(args.get("relay", True)))
        sends = int(args.get("relay_transmissions", 2))
        yield "relay", config_node.RelaySet(state, transmit_octet(sends, INTERVAL_S))
    if "transmissions" in args:
        octet = transmit_octet(int(args["transmissions"]), INTERVAL_S)
        yield "transmissions", config_node.NetworkTransmitSet(octet)
    if "proxy" in args:
        yield "proxy", config_node.ProxySet(int(bool(args["proxy"])))
    if "friend" in args:
        yield "friend", config_node.FriendSet(int(bool(args["friend"])))
    if "beacon" in args:
        yield "beacon", config_node.BeaconSet(int(bool(args["beacon"])))


async def _ask(gateway: Gateway, node: KnownNode, message: Message) -> Message:
    answer = await gateway.runner.request(node.unicast, message)
    status = judge(message, answer)
    if status is not Status.SUCCESS:
        raise NotConfigured(f"{type(message).__name__}: {status.words}")
    return answer


def _publishers(node: KnownNode) -> list[int]:
    """Give the elements whose sensors publish periodically."""
    if not node.composition:
        return []
    return Composition.decode(node.composition).has(SENSOR)


async def _set_period(gateway: Gateway, node: KnownNode, period_s: float) -> None:
    elements = _publishers(node)
    if not elements:
        raise NotFound(f"{node.name} has no Sensor Server that publishes")
    for element in elements:
        get = config_models.PublicationGet(node.unicast + element, SENSOR)
        now = await _ask(gateway, node, get)
        if not isinstance(now, config_models.PublicationStatus) or not now.address:
            raise NotConfigured(f"element {element} publishes nowhere: run dunes mesh-init")
        octet = period_octet(period_s)
        await _ask(
            gateway,
            node,
            config_models.PublicationSet(
                now.element, now.address, now.app, now.ttl, octet, now.retransmit, SENSOR
            ),
        )


async def _show(gateway: Gateway, node: KnownNode) -> NodeSettings:
    found: dict[str, Any] = {}
    for message in (
        config_node.TtlGet(),
        config_node.RelayGet(),
        config_node.NetworkTransmitGet(),
        config_node.ProxyGet(),
        config_node.FriendGet(),
        config_node.BeaconGet(),
    ):
        match await _ask(gateway, node, message):
            case config_node.TtlStatus(ttl=ttl):
                found["ttl"] = ttl
            case config_node.RelayStatus(state=state, retransmit=octet):
                found["relay"] = STATES.get(state, str(state))
                found["relay_transmissions"] = read_transmit_octet(octet)[0]
            case config_node.NetworkTransmitStatus(transmit=octet):
                found["transmissions"] = read_transmit_octet(octet)[0]
            case config_node.ProxyStatus(state=state):
                found["proxy"] = STATES.get(state, str(state))
            case config_node.FriendStatus(state=state):
                found["friend"] = STATES.get(state, str(state))
            case config_node.BeaconStatus(state=state):
                found["beacon"] = STATES.get(state, str(state))
    for element in _publishers(node)[:1]:
        get = config_models.PublicationGet(node.unicast + element, SENSOR)
        answer = await _ask(gateway, node, get)
        if isinstance(answer, config_models.PublicationStatus):
            found["publish_period_s"] = round(read_period_octet(answer.period), 1)
            found["publish_to"] = f"{answer.address:04X}"
    return NodeSettings(node.name, node.unicast, **found)


def _remember(gateway: Gateway, node: KnownNode, shown: NodeSettings) -> None:
    """Keep what a node says now, for exports and for the next `mesh-init`."""
    view = next(each for each in gateway.store.views() if each.unicast == node.unicast)
    kept = copy.deepcopy(view.settings)
    if not kept:
        return
    kept["defaultTTL"] = shown.ttl
    number = {words: state for state, words in STATES.items()}
    for key in ("relay", "proxy", "friend"):
        said = getattr(shown, key)
        if said is not None:
            kept["features"][key] = number[said]
    kept["secureNetworkBeacon"] = shown.beacon == "on"
    if shown.transmissions is not None:
        kept["networkTransmit"]["count"] = shown.transmissions
    if shown.relay_transmissions is not None and "relayRetransmit" in kept:
        kept["relayRetransmit"]["count"] = shown.relay_transmissions
    for element in kept["elements"]:
        for model in element["models"]:
            if model["modelId"] == str(SENSOR) and "publish" in model:
                model["publish"]["period"] = round((shown.publish_period_s or 0) * MS_PER_S)
    gateway.store.set_settings(node.unicast, kept)


# ------------------------------------------------------------------- taking a node out


async def remove(gateway: Gateway, args: dict[str, Any]) -> MeshRemoveReport:
    """Reset a node and take it off the books; with `force` also one that is silent.

    Args:
        gateway: the mesh, with a proxy kept.
        args: `node`, `force`, `exclude`; `timeout_s` for the proxy.

    Raises:
        NoAnswer: it is silent, and `force` and `exclude` are off.
    """
    name, _ = gateway.store.find(str(args["node"]))
    node = gateway.manager.node_of(name.unicast)
    exclude = bool(args.get("exclude"))
    await permit(gateway.settings, Action.MESH_CONFIGURE, name.shown, "remove")
    await gateway.reach(timeout_s=float(args.get("timeout_s", 20.0)))
    reset = "not confirmed"
    if not exclude:
        reset = await _reset(gateway, node)
        if reset == "not confirmed" and not args.get("force"):
            raise NoAnswer(
                f"{name.shown} does not confirm its reset, and does not advertise as new",
                hint=f"dunes mesh-remove {name.shown} --exclude locks it out with new keys; "
                "--force only forgets it",
            )
    gateway.manager.forget_node(node.unicast)
    await gateway.runner.flush()
    if reset != "not confirmed":
        gateway.proxies.renew()
    if exclude:
        done = await refresh_keys(gateway, {"skip": bool(args.get("force"))})
        if done.holding:
            raise NoAnswer(
                f"{name.shown} is off the books, but {', '.join(done.holding[:5])} hold the key "
                "refresh up: they do not answer",
                hint="dunes mesh-config --refresh-keys, when they do; --skip-silent without them",
            )
    return MeshRemoveReport(
        gateway.store.mesh_id,
        name.shown,
        node.unicast,
        reset,
        exclude,
        gateway.radio.simulated,
    )


async def _reset(gateway: Gateway, node: KnownNode) -> str:
    try:
        await gateway.runner.request(node.unicast, config_node.NodeReset(), tries=2)
    except NoAnswer:
        # some stacks reset at once and say nothing: look whether it is new again
        def is_new(heard: Advertisement) -> bool:
            said = heard.unprovisioned
            return heard.proxy is None and said is not None and said[:UUID_BYTES] == node.uuid

        async with gateway.runner.sightings.watching():
            seen = await gateway.runner.sightings.find(is_new, timeout_s=RESET_LOOK_S)
        return "not confirmed" if seen is None else "seen"
    return "confirmed"


# ------------------------------------------------------------------- new keys


async def refresh_keys(gateway: Gateway, args: dict[str, Any]) -> MeshConfigReport:
    """Give every node new keys; go on where an earlier refresh was left.

    Args:
        gateway: the mesh, with a proxy kept.
        args: `skip`: go on without nodes that stay silent: they are out of the network then.
    """
    await permit(gateway.settings, Action.MESH_CONFIGURE, "", "refresh keys")
    await gateway.reach(timeout_s=float(args.get("timeout_s", 20.0)))
    rounds, holding = await run_refresh(gateway.runner, skip=bool(args.get("skip")))
    names = tuple(gateway.store.name_of(unicast) for unicast in sorted(holding))
    return MeshConfigReport(
        gateway.store.mesh_id,
        refreshed=rounds,
        holding=names,
        simulated=gateway.radio.simulated,
    )
