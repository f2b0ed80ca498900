"""What was configured on a node, in the words of a Configuration Database. Pure.

Kept with the node for exports, and to see whether a plan asks for something else now.

Source: Mesh Configuration Database Profile 1.0.1.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dunes.gateway.profile import model_id
from dunes.mesh.control import Feature
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.models.composition import Composition
from dunes.mesh.models.config import (
    read_period_octet,
    read_publish_octet,
    read_transmit_octet,
)
from dunes.mesh.procedure import Plan, Publish
from dunes.mesh.wire import ModelId

MS_PER_S = 1000
NOT_SUPPORTED = 2
UNDERWAY = "underway"
"""Among a node's settings: the mark of a plan that it is being brought to."""
PLANNED = "plan"
"""Among a node's settings: the mark of the plan of ours that it follows. Nodes without one were
configured by others, an app for example, and are left as they are."""
MARK_DIGITS = 16
GROUP_DIGITS = 4
"""Of a group's address; a Label UUID has 32."""


def settings_of(plan: Plan, node: KnownNode) -> dict[str, Any]:
    """Give what a plan makes of a node whose composition is known."""
    composition = Composition.decode(node.composition)
    can = composition.features
    found: dict[str, Any] = {
        "features": {
            "relay": _feature(can, Feature.RELAY, plan.relay and plan.relay[0]),
            "proxy": _feature(can, Feature.PROXY, plan.gatt_proxy),
            "friend": _feature(can, Feature.FRIEND, plan.friend),
            "lowPower": NOT_SUPPORTED if not can & Feature.LOW_POWER else 1,
        },
        "netKeys": [{"index": node.net_index, "updated": False}],
        "appKeys": [{"index": index, "updated": False} for index, _ in plan.app_keys],
        "elements": [
            {
                "index": number,
                "location": f"{element.location:04X}",
                "models": [_model(plan, model) for model in element.models],
            }
            for number, element in enumerate(composition.elements)
        ],
    }
    if plan.default_ttl is not None:
        found["defaultTTL"] = plan.default_ttl
    if plan.network_transmit is not None:
        found["networkTransmit"] = _transmit(plan.network_transmit)
    if plan.relay is not None:
        found["relayRetransmit"] = _transmit(plan.relay[1])
    if plan.beacon is not None:
        found["secureNetworkBeacon"] = bool(plan.beacon)
    return found


def _feature(can: int, feature: Feature, wanted: int | None) -> int:
    if not can & feature:
        return NOT_SUPPORTED
    return 0 if wanted is None else int(wanted)


def _transmit(octet: int) -> dict[str, int]:
    sends, interval_s = read_transmit_octet(octet)
    return {"count": sends, "interval": round(interval_s * MS_PER_S)}


def _model(plan: Plan, model: ModelId) -> dict[str, Any]:
    found: dict[str, Any] = {
        "modelId": str(model),
        "bind": list(plan.binds.get(model, ())),
        "subscribe": [f"{group:04X}" for group in plan.subscriptions.get(model, ())],
    }
    publish = plan.publications.get(model)
    if publish is not None:
        found["publish"] = _publish(publish)
    return found


def _publish(publish: Publish) -> dict[str, Any]:
    sends, interval_s = read_publish_octet(publish.retransmit)
    return {
        "address": f"{publish.address:04X}",
        "index": publish.app_index,
        "ttl": publish.ttl,
        "period": round(read_period_octet(publish.period) * MS_PER_S),
        "retransmit": {"count": sends, "interval": round(interval_s * MS_PER_S)},
        "credentials": 0,
    }


def mark_of(plan: Plan) -> str:
    """Tell plans apart, without their keys."""
    return hashlib.sha256(repr(plan).encode()).hexdigest()[:MARK_DIGITS]


def differs(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether a node of ours is, or may be, set to something else than what is wanted."""
    if UNDERWAY in kept:
        return True
    return PLANNED in kept and any(kept.get(key) != value for key, value in wanted.items())


def narrowed(plan: Plan, kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> Plan:
    """Leave of a plan what a node does not have yet; add the end of what it has no more.

    Args:
        plan: the whole plan.
        kept: what the node is set to; with a plan under way nobody knows, and all is left.
        wanted: what `settings_of` makes of the plan.
    """
    ended = {model: Publish(0) for model in _ended(kept, wanted)}
    plan = replace(
        plan,
        unsubscriptions=_left(kept, wanted),
        publications=plan.publications | ended,
    )
    if not kept or UNDERWAY in kept:
        return plan
    same = {key for key, value in wanted.items() if kept.get(key) == value}
    features, before = wanted["features"], kept.get("features", {})
    held = {key for key, value in features.items() if before.get(key) == value}
    old, new = _by_model(kept), _by_model(wanted)
    changed = {model for model, entries in new.items() if old.get(model) != entries}

    def of_changed(table: Mapping[ModelId, Any]) -> dict[ModelId, Any]:
        return {model: value for model, value in table.items() if str(model) in changed}

    return replace(
        plan,
        app_keys=() if "appKeys" in same else plan.app_keys,
        binds=of_changed(plan.binds),
        subscriptions=of_changed(plan.subscriptions),
        publications=of_changed(plan.publications),
        default_ttl=None if "defaultTTL" in same else plan.default_ttl,
        relay=None if "relay" in held and "relayRetransmit" in same else plan.relay,
        network_transmit=None if "networkTransmit" in same else plan.network_transmit,
        gatt_proxy=None if "proxy" in held else plan.gatt_proxy,
        friend=None if "friend" in held else plan.friend,
        beacon=None if "secureNetworkBeacon" in same else plan.beacon,
    )


def _ended(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[ModelId]:
    """Give the models that publish and shall not any more."""
    new = _by_model(wanted)
    for name, entries in _by_model(kept).items():
        was, is_now = (
            any("publish" in model for _, model in each) for each in (entries, new.get(name, []))
        )
        if was and not is_now:
            yield model_id(name)


def _left(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[ModelId, tuple[int, ...]]:
    """Give the groups that models are in and shall leave.

    A group stays that any model of the node wants: models that extend each other share their
    lists (Mesh Protocol 1.1, 4.2.4).
    """
    stays = {g for each in _by_model(wanted).values() for _, m in each for g in m["subscribe"]}
    found = {}
    for name, entries in _by_model(kept).items():
        groups = {group for _, model in entries for group in model.get("subscribe", ())} - stays
        leaves = tuple(int(g, 16) for g in sorted(groups) if len(g) == GROUP_DIGITS)
        if leaves:
            found[model_id(name)] = leaves
    return found


def _by_model(settings: Mapping[str, Any]) -> dict[str, list[tuple[int, Any]]]:
    found: dict[str, list[tuple[int, Any]]] = {}
    for element in settings.get("elements", ()):
        for model in element["models"]:
            found.setdefault(model["modelId"], []).append((element["index"], model))
    return found
