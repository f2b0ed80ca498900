"""A Mesh Configuration Database preview: the plan in the format of phone apps.

`partial: true`, and no device keys, as nobody is provisioned yet. The network key is the
caller's to draw: a new one, that no network uses. A CDB counts transmissions, where
configuration messages count retransmissions.

Source: Mesh Configuration Database Profile 1.0.1.
"""

import json
import uuid
from typing import Any

from dunes.gateway.cdb import address_text, head
from torgo.errors import Impossible
from torgo.plan import Node, Plan

NAMESPACE = uuid.UUID("6f6c7a2e-5d5b-5a57-9a3c-0a1f6f4f7267")
PROVISIONER_ADDRESS = 0x0001
FIRST_ADDRESS = 0x0002
LAST_ADDRESS = 0x7FFF
INTERVALS_MS = range(10, 321, 10)
MODELS = ("0000", "0002")
"""Configuration Server and Health Server."""


def cdb(plan: Plan, network_key: bytes, timestamp: str) -> str:
    """Write the preview.

    Args:
        plan: the network.
        network_key: 16 fresh random bytes.
        timestamp: RFC 3339, UTC, whole seconds, e.g. `2031-05-01T12:00:00Z`.

    Raises:
        Impossible: more nodes than unicast addresses, once the provisioner has one.
    """
    if len(plan.nodes) > LAST_ADDRESS - FIRST_ADDRESS + 1:
        raise Impossible(f"{len(plan.nodes)} nodes and a provisioner have no room in one network")
    mesh = uuid.uuid5(NAMESPACE, plan.scenario)
    provisioner = _uuid(mesh, "provisioner")
    friends = {node.friend for node in plan.nodes}
    table: dict[str, Any] = head(mesh, plan.mesh_id or plan.name, timestamp, partial=True) | {
        "netKeys": [
            {
                "name": "preview, replaced by provisioning",
                "index": 0,
                "phase": 0,
                "key": network_key.hex().upper(),
                "minSecurity": "secure",
                "timestamp": timestamp,
            }
        ],
        "appKeys": [],
        "provisioners": [
            {
                "provisionerName": "torgo",
                "UUID": provisioner,
                "allocatedUnicastRange": [{"lowAddress": "0001", "highAddress": "7FFF"}],
                "allocatedGroupRange": [{"lowAddress": "C000", "highAddress": "CFFF"}],
                "allocatedSceneRange": [{"firstScene": "0001", "lastScene": "00FF"}],
            }
        ],
        "nodes": [
            _provisioner(provisioner),
            *(
                _node(
                    plan,
                    node,
                    _uuid(mesh, node.id),
                    FIRST_ADDRESS + i,
                    befriends=node.id in friends,
                )
                for i, node in enumerate(plan.nodes)
            ),
        ],
        "groups": [],
        "scenes": [],
        "networkExclusions": [],
    }
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def _written(value: uuid.UUID) -> str:
    return str(value).upper()


def _uuid(mesh: uuid.UUID, name: str) -> str:
    return _written(uuid.uuid5(mesh, name))


def _interval_ms(plan: Plan) -> int:
    wanted = round(plan.stack.interval_us / 1000)
    return min(INTERVALS_MS, key=lambda interval: abs(interval - wanted))


def _elements() -> list[dict[str, Any]]:
    models = [{"modelId": model, "bind": [], "subscribe": []} for model in MODELS]
    return [{"index": 0, "name": "main", "location": "0000", "models": models}]


def _provisioner(identity: str) -> dict[str, Any]:
    return {
        "UUID": identity,
        "name": "torgo",
        "unicastAddress": address_text(PROVISIONER_ADDRESS),
        "security": "secure",
        "configComplete": False,
        "excluded": False,
        "netKeys": [{"index": 0, "updated": False}],
        "appKeys": [],
        "elements": _elements(),
    }


def _node(
    plan: Plan, node: Node, identity: str, address: int, *, befriends: bool
) -> dict[str, Any]:
    interval = _interval_ms(plan)
    relaying = node.role != "leaf"
    return {
        "UUID": identity,
        "name": node.id,
        "unicastAddress": address_text(address),
        "security": "secure",
        "configComplete": False,
        "excluded": False,
        "features": {
            "relay": int(relaying),
            "proxy": int(node.role == "gateway"),
            "friend": int(befriends),
            "lowPower": 1 if node.low_power else 2,
        },
        "defaultTTL": node.ttl,
        "networkTransmit": {"count": node.network_transmissions, "interval": interval},
        **(
            {"relayRetransmit": {"count": node.relay_transmissions, "interval": interval}}
            if relaying
            else {}
        ),
        "netKeys": [{"index": 0, "updated": False}],
        "appKeys": [],
        "elements": _elements(),
    }
