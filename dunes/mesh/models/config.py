"""All configuration messages, and the packed octets in them.

Source: Mesh Protocol 1.1, 4.2 (states), 4.3.2 (messages).
"""

from collections.abc import Mapping

from dunes.errors import LocalError
from dunes.mesh.models import config_keys, config_models, config_node
from dunes.mesh.wire import Message, ModelId

CONFIG_SERVER, CONFIG_CLIENT = ModelId(0x0000), ModelId(0x0001)

MESSAGES: Mapping[int, type[Message]] = {
    **config_node.MESSAGES,
    **config_keys.MESSAGES,
    **config_models.MESSAGES,
}
"""By opcode."""

CREDENTIAL_FLAG = 1 << 12
"""Of `PublicationSet.app`: use friendship credentials."""
TTL_DEFAULT = 0xFF
"""Publish with the node's default TTL."""
SENDS_MAX = 8
STEPS_MAX = 32
PERIOD_STEPS_MAX = 63
PERIOD_RESOLUTIONS_S = (0.1, 1.0, 10.0, 600.0)
NETWORK_STEP_S = 0.010
PUBLISH_STEP_S = 0.050


def _octet(sends: int, interval_s: float, step_s: float) -> int:
    steps = round(interval_s / step_s)
    if not 1 <= sends <= SENDS_MAX or not 1 <= steps <= STEPS_MAX:
        raise LocalError(f"{sends} sends every {interval_s} s cannot be set")
    return sends - 1 | (steps - 1) << 3


def transmit_octet(sends: int, interval_s: float) -> int:
    """Pack network transmit or relay retransmit: 1 to 8 sends, 10 to 320 ms apart."""
    return _octet(sends, interval_s, NETWORK_STEP_S)


def read_transmit_octet(octet: int) -> tuple[int, float]:
    """Give sends and interval in seconds."""
    return (octet & 7) + 1, ((octet >> 3) + 1) * NETWORK_STEP_S


def publish_octet(sends: int, interval_s: float) -> int:
    """Pack publish retransmit: 1 to 8 sends, 50 to 1600 ms apart."""
    return _octet(sends, interval_s, PUBLISH_STEP_S)


def read_publish_octet(octet: int) -> tuple[int, float]:
    """Give sends and interval in seconds."""
    return (octet & 7) + 1, ((octet >> 3) + 1) * PUBLISH_STEP_S


def period_octet(period_s: float) -> int:
    """Pack a publish period: 0, or 100 ms to 10.5 h, rounded up to what can be said."""
    if period_s <= 0:
        return 0
    for resolution, step_s in enumerate(PERIOD_RESOLUTIONS_S):
        steps = -int(-period_s * 1000 // (step_s * 1000))
        if steps <= PERIOD_STEPS_MAX:
            return max(steps, 1) | resolution << 6
    raise LocalError(f"a publish period of {period_s} s cannot be set: at most 37800")


def read_period_octet(octet: int) -> float:
    """Give a publish period in seconds; 0 for none."""
    return (octet & PERIOD_STEPS_MAX) * PERIOD_RESOLUTIONS_S[octet >> 6]
