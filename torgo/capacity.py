"""What the air can carry, and how often each node may speak: pacing.

A flood costs airtime everywhere. The model asks how long a receiver, on average, has
somebody's packet on its channel at one message a second: the relays that can disturb
it, times their transmissions, times the time in which a second packet would overlap.
The knee, where one message in a hundred is lost, is where that share reaches
`BUSY_AT_KNEE`. Small sites are then simulated around that rate and the knee is corrected
(`torgo.calibrate`). Telemetry gets half of it; the other half is for alerts and bad days.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from torgo.flood import PACKET_US, Stack
from torgo.graph import Graph, hops_from
from torgo.radio import Array, Propagation, Radio, path_loss

BUSY_AT_KNEE = 0.33
"""The least that simulations of the six environments show; they range from 0.33 to 0.83."""
TELEMETRY_SHARE = 0.5
"""Of the knee; the rest is kept free."""
SAMPLE = 300
"""Receivers that stand for a large site."""
SOURCES = 16
"""Sources from which reached relays are counted."""
PERIOD_STEPS = ((0.1, 63), (1.0, 63), (10.0, 63), (600.0, 63))
"""Publish Period: resolution in seconds, most steps (Mesh Protocol 1.1, 4.2.3.3)."""
LEAST_PERIOD_S = 1.0
"""A node is not paced faster, even if it is nearly alone."""
CACHE_ENTRIES = 128
"""With fewer, a busy network forgets messages that are still on the air and repeats them."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The capacity model's answer.

    Attributes:
        knee_msg_per_s: messages a second, all nodes together, at which 1 % is lost.
        telemetry_msg_per_s: what is planned.
        publish_period_s: of each node, a value that the mesh can be configured to.
        events_per_message: advertising events that a message costs on average.
    """

    knee_msg_per_s: float
    telemetry_msg_per_s: float
    publish_period_s: float
    events_per_message: float


def publish_period(least_s: float) -> float:
    """Round a period up to one that a Publish Period can say; at most 10.5 hours."""
    for resolution_s, most in PERIOD_STEPS:
        steps = math.ceil(round(least_s / resolution_s, 6))
        if steps <= most:
            return round(max(1, steps) * resolution_s, 1)
    resolution_s, most = PERIOD_STEPS[-1]
    return resolution_s * most


def disturbers(
    x_m: Array,
    y_m: Array,
    height_m: Array,
    relays: Sequence[int],
    radio: Radio,
    air: Propagation,
    sir_db: float,
) -> float:
    """Count the relays that can spoil a planned link at an average receiver.

    One that arrives `sir_db` below the weakest planned signal, or stronger, can.
    """
    size = len(x_m)
    step = max(1, size // SAMPLE)
    receivers = np.arange(0, size, step)
    senders = np.array(relays, np.int64)
    floor_dbm = radio.sensitivity_dbm + radio.margin_db - sir_db
    total = 0
    for j in receivers:
        others = senders[senders != j]
        distance = np.hypot(x_m[others] - x_m[j], y_m[others] - y_m[j])
        loss = path_loss(radio, air, distance, height_m[others], np.full(len(others), height_m[j]))
        rssi = radio.tx_power_dbm + 2 * radio.antenna_gain_dbi - loss
        total += int((rssi >= floor_dbm).sum())
    return total / max(1, len(receivers))


def reached_share(graph: Graph, relays: Sequence[int], flags: bytearray, ttl: int) -> float:
    """Say what share of the relays a message reaches, on average, before its TTL ends."""
    if not relays:
        return 0.0
    step = max(1, graph.size // SOURCES)
    shares = []
    for source in range(0, graph.size, step):
        hops = hops_from(graph.near, [source], flags)
        shares.append(sum(0 <= hops[v] < ttl for v in relays) / len(relays))
    return sum(shares) / len(shares)


def pace(size: int, relays: int, disturbing: float, reached: float, stack: Stack) -> Pace:
    """Work out the knee and the pace.

    Args:
        size: number of nodes, gateways included.
        relays: relays and gateways.
        disturbing: relays that can disturb an average receiver.
        reached: share of the relays that a message reaches.
        stack: for the number of transmissions.
    """
    events = events_per_message(relays * reached, stack)
    heard = max(
        1.0, stack.network_transmissions + disturbing * reached * stack.relay_transmissions
    )
    overlap_s = 2 * PACKET_US / 1e6
    knee = BUSY_AT_KNEE / (heard * overlap_s)
    return pace_at(size, knee, events)


def events_per_message(relays: float, stack: Stack) -> float:
    """Count the advertising events of a message that so many relays pass on."""
    return stack.network_transmissions + relays * stack.relay_transmissions


def pace_at(size: int, knee_msg_per_s: float, events: float) -> Pace:
    """Pace the nodes for a knee: all together send at most half of it."""
    period = publish_period(max(LEAST_PERIOD_S, size / (knee_msg_per_s * TELEMETRY_SHARE)))
    return Pace(round(knee_msg_per_s, 2), round(size / period, 3), period, round(events, 1))
