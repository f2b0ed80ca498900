"""A plan of torgo's, read as its format says (docs/formats-torgo.md): roles, TTL, pace."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dunes.errors import DataError
from dunes.mesh.models.config import SENDS_MAX

SCHEMA = "torgo.plan/1"
TTL_MAX = 127
INTERVAL_S = 0.020


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """What a plan says of one node.

    Attributes:
        name: its `id`.
        relays: it passes on what others send.
        ttl: of its own messages.
        transmissions: how often it sends its own, 1 to 8.
        relay_transmissions: how often those of others; 0: it does not relay.
        period_s: least time between two telemetry messages.
        low_power: it sleeps.
    """

    name: str
    relays: bool
    ttl: int
    transmissions: int
    relay_transmissions: int
    period_s: float
    low_power: bool


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A whole plan, as far as a gateway needs it.

    Attributes:
        name: of the plan.
        radius_m: of the site.
        nodes: by name; gateways included.
        knee_per_s: messages a second at which 1 % is lost.
        telemetry_per_s: what is planned of it.
        interval_s: between two transmissions.
    """

    name: str
    radius_m: float
    nodes: Mapping[str, PlannedNode]
    knee_per_s: float
    telemetry_per_s: float
    interval_s: float

    @property
    def ttl(self) -> int:
        """The largest TTL, for nodes that the plan does not know."""
        return max(node.ttl for node in self.nodes.values())


def read_plan(text: str, *, where: str = "plan") -> PlanFile:
    """Read a plan.

    Raises:
        DataError: it is none, of another version, or says what cannot be; says where.
    """
    hint = "torgo generate --env lunar-hab --redundancy 4 --range 1000m"
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: {error}", hint=hint) from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise DataError(f"{where}: its schema is not {SCHEMA}", hint=hint)
    try:
        nodes = [_node(each, where) for each in data["nodes"]]
        capacity = data["capacity"]
        interval_us = float(data.get("stack", {}).get("interval_us", INTERVAL_S * 1e6))
        plan = PlanFile(
            str(data["name"]),
            float(data["site"]["radius_m"]),
            {node.name: node for node in nodes},
            float(capacity["knee_msg_per_s"]),
            float(capacity["telemetry_msg_per_s"]),
            interval_us / 1e6,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{where}: not a whole plan: {error!r}", hint=hint) from error
    if len(plan.nodes) != len(nodes) or not nodes:
        raise DataError(f"{where}: no nodes, or two of one name", hint=hint)
    return plan


def _node(data: Mapping[str, Any], where: str) -> PlannedNode:
    node = PlannedNode(
        str(data["id"]),
        data["role"] in {"gateway", "relay"},
        int(data["ttl"]),
        int(data["network_transmissions"]),
        int(data["relay_transmissions"]),
        float(data["publish_period_s"]),
        bool(data["low_power"]),
    )
    ttl_fits = node.ttl == 0 or 2 <= node.ttl <= TTL_MAX  # noqa: PLR2004 - 1 is prohibited
    sends_fit = 1 <= node.transmissions <= SENDS_MAX and node.relay_transmissions <= SENDS_MAX
    if not ttl_fits or not sends_fit or (node.relays and node.relay_transmissions < 1):
        raise DataError(f"{where}: node {node.name[:64]!r} cannot be configured so")
    return node
