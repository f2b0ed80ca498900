"""How far a hop carries, how many hops that makes, and what the air can take. Pure.

Without a plan of torgo's these are estimates for nodes spread evenly over a disc around the
gateway, on open ground; with one the plan's own figures are used.

Range of a hop: free space up to the breakpoint, then the flat-earth two-ray law

    loss = 40 log10(d) - 20 log10(h1 h2)                    d, h in metres

with 8 dBm, -95 dBm and a margin of 10 dB, as an nRF52840 has on BLE 1M.

Load: a receiver loses one message in a hundred when somebody's packet is on its channel for
a third of the time (torgo's simulations of six sites: 0.33 to 0.83; the least is used).
Telemetry gets half of that. Each message is sent by its node and by every relay in earshot.
"""

import math
from dataclasses import dataclass

from dunes.mesh.models.config import period_octet, read_period_octet

TX_POWER_DBM, SENSITIVITY_DBM, MARGIN_DB = 8.0, -95.0, 10.0
FREQUENCY_HZ, LIGHT_M_S = 2.44e9, 299_792_458.0
BUSY_AT_KNEE = 0.33
TELEMETRY_SHARE = 0.5
PACKET_S = 376e-6
"""An advertisement with a network PDU of 29 octets: 8+32+16+48+31*8+24 µs on BLE 1M."""
DISTURBS_DB = 10.0
"""A packet this much weaker than the wanted one can still spoil it."""
DETOUR = 1.3
"""How much longer a way over relays is than the straight line."""
SPARE_HOPS = 2
TTL_MIN, TTL_MAX = 2, 127


@dataclass(frozen=True, slots=True)
class Field:
    """Nodes on a disc.

    Attributes:
        nodes: how many.
        radius_m: of the disc; the gateway is in the middle.
        height_m: of the antennas above ground.
    """

    nodes: int
    radius_m: float
    height_m: float = 2.0

    @property
    def hop_m(self) -> float:
        """How far one hop carries, with the margin kept."""
        return hop_range_m(self.height_m)

    @property
    def hops(self) -> int:
        """Hops from the edge to the gateway."""
        return max(1, math.ceil(self.radius_m * DETOUR / self.hop_m))

    @property
    def ttl(self) -> int:
        """The default TTL that reaches the gateway, with some to spare."""
        return min(TTL_MAX, max(TTL_MIN, self.hops + SPARE_HOPS))

    @property
    def spacing_m(self) -> float:
        """How far apart neighbours are if the nodes are spread evenly."""
        return self.radius_m * math.sqrt(math.pi / self.nodes)

    @property
    def nodes_needed(self) -> int:
        """The least number of nodes whose neighbours are within one hop."""
        return math.ceil(math.pi * (self.radius_m / self.hop_m) ** 2)

    def in_earshot(self, nodes: int) -> float:
        """Count, of so many nodes, those that an average node hears."""
        return nodes * min(1.0, (self.hop_m / max(self.radius_m, 1.0)) ** 2)

    def heard(self, relays: int) -> float:
        """Count the relays whose packets disturb an average receiver."""
        reach_m = hop_range_m(self.height_m, more_db=DISTURBS_DB)
        return relays * min(1.0, (reach_m / max(self.radius_m, 1.0)) ** 2)


def hop_range_m(height_m: float, *, more_db: float = 0.0) -> float:
    """Say how far a packet carries between two antennas of one height."""
    budget_db = TX_POWER_DBM - SENSITIVITY_DBM - MARGIN_DB + more_db
    wave_m = LIGHT_M_S / FREQUENCY_HZ
    free_m = wave_m / (4 * math.pi) * 10 ** (budget_db / 20)
    breakpoint_m = 4 * math.pi * height_m**2 / wave_m
    if free_m <= breakpoint_m:
        return free_m
    return float(10 ** ((budget_db + 40 * math.log10(height_m)) / 40))


@dataclass(frozen=True, slots=True)
class Load:
    """What a mesh is asked to carry.

    Attributes:
        messages_per_s: all nodes together.
        knee_per_s: at which one message in a hundred is lost.
        source: `plan` or `estimate`.
    """

    messages_per_s: float
    knee_per_s: float
    source: str

    @property
    def room_per_s(self) -> float:
        """What telemetry may use of it: half."""
        return self.knee_per_s * TELEMETRY_SHARE

    def period_s(self, nodes: int) -> float:
        """Propose a publish period that fits, one that can be configured."""
        return read_period_octet(period_octet(nodes / max(self.room_per_s, 1e-9)))


def knee_per_s(field: Field, *, relays: int, transmissions: int, relayed: int) -> float:
    """Estimate the messages a second at which one in a hundred is lost.

    Args:
        field: where the nodes are.
        relays: how many relay.
        transmissions: how often a node sends its own.
        relayed: how often a relay sends another's.
    """
    packets = transmissions + field.heard(relays) * relayed
    return BUSY_AT_KNEE / (packets * 2 * PACKET_S)
