"""What was configured on a node, in the words of a Configuration Database. Pure.

Kept with the node for exports, and to see whether a plan asks for something else now.

Source: Mesh Configuration Database Profile 1.0.1.
"""

from typing import Any

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
