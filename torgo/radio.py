"""Does a signal arrive? Path loss over ground and in rooms, budget, packet success.

All losses are in dB, all distances in metres, one value per pair of antennas
(numpy arrays of one shape).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Model = Literal["two-ray", "log-distance"]

LIGHT_M_S = 299_792_458.0
NEAREST_M = 0.5
"""Antennas closer than this are taken as this far apart; the far-field formulas end here."""
SLOPE_DB = 0.8
"""Width of the step from lost to received packets. Source: fit to receiver measurements."""
FAINT_DB = 3.7
"""So far below sensitivity one packet in a hundred still arrives."""


@dataclass(frozen=True, slots=True)
class Radio:
    """What a node's radio and antenna do.

    Attributes:
        frequency_hz: carrier.
        tx_power_dbm: into the antenna.
        max_tx_power_dbm: what the chip can.
        sensitivity_dbm: half of the packets are lost here.
        antenna_gain_dbi: at each end.
        margin_db: kept in hand for fading, temperature and ageing.
    """

    frequency_hz: float = 2.44e9
    tx_power_dbm: float = 8.0
    max_tx_power_dbm: float = 8.0
    sensitivity_dbm: float = -95.0
    antenna_gain_dbi: float = 0.0
    margin_db: float = 10.0

    @property
    def wavelength_m(self) -> float:
        """Length of a wave in vacuum."""
        return LIGHT_M_S / self.frequency_hz

    @property
    def budget_db(self) -> float:
        """The loss that a planned link may have."""
        return (
            self.tx_power_dbm + 2 * self.antenna_gain_dbi - self.sensitivity_dbm - self.margin_db
        )


@dataclass(frozen=True, slots=True)
class Propagation:
    """How a signal fades with distance.

    Attributes:
        model: `two-ray` over open ground, `log-distance` in rooms and rubble.
        permittivity: relative, of the ground (two-ray).
        loss_tangent: of the ground (two-ray).
        exponent: of the distance (log-distance); 2 in free space.
        loss_db_per_km: on top, for dust, rain or crops in the way.
    """

    model: Model = "two-ray"
    permittivity: float = 3.0
    loss_tangent: float = 0.01
    exponent: float = 2.0
    loss_db_per_km: float = 0.0


def two_ray_loss(
    distance_m: Array, height_a_m: Array, height_b_m: Array, wavelength_m: float, ground: complex
) -> Array:
    """Add the direct ray and the one that the ground reflects, vertical polarisation.

    Args:
        distance_m: along the ground.
        height_a_m: of one antenna.
        height_b_m: of the other.
        wavelength_m: of the carrier.
        ground: its complex relative permittivity.

    Source: Fresnel reflection at vertical polarisation, e.g. Rappaport, Wireless
    Communications, chapter 4.
    """
    direct = np.hypot(distance_m, height_a_m - height_b_m)
    bounced = np.hypot(distance_m, height_a_m + height_b_m)
    sine = (height_a_m + height_b_m) / bounced
    z = np.sqrt(ground - (distance_m / bounced) ** 2) / ground
    reflection = (sine - z) / (sine + z)
    wave = 2j * np.pi / wavelength_m
    field = np.exp(-wave * direct) / direct + reflection * np.exp(-wave * bounced) / bounced
    loss: Array = -20 * np.log10(wavelength_m / (4 * np.pi) * np.maximum(np.abs(field), 1e-12))
    return loss


def log_distance_loss(distance_m: Array, wavelength_m: float, exponent: float) -> Array:
    """Free space up to one metre, then a power law."""
    first_metre = 20 * np.log10(4 * np.pi / wavelength_m)
    loss: Array = first_metre + 10 * exponent * np.log10(distance_m)
    return loss


def path_loss(
    radio: Radio, air: Propagation, distance_m: Array, height_a_m: Array, height_b_m: Array
) -> Array:
    """Give the loss between pairs of antennas, obstacles not counted."""
    far = np.maximum(distance_m, NEAREST_M)
    if air.model == "two-ray":
        ground = air.permittivity * (1 - 1j * air.loss_tangent)
        loss = two_ray_loss(far, height_a_m, height_b_m, radio.wavelength_m, ground)
    else:
        slant = np.hypot(far, height_a_m - height_b_m)
        loss = log_distance_loss(slant, radio.wavelength_m, air.exponent)
    extra: Array = loss + air.loss_db_per_km * far / 1000
    return extra


def farthest_m(radio: Radio, air: Propagation, height_m: float, budget_db: float) -> float:
    """Find the farthest distance at which `budget_db` is still enough, both antennas alike.

    Nearer ones may fail all the same: over ground the two rays cancel here and there.
    """
    distance = np.geomspace(NEAREST_M, 100_000, 40_000)
    height = np.full_like(distance, height_m)
    enough = path_loss(radio, air, distance, height, height) <= budget_db
    return float(distance[enough][-1]) if enough.any() else 0.0


def holes_m(
    radio: Radio, air: Propagation, height_m: float, budget_db: float
) -> list[tuple[float, float]]:
    """List the gaps inside the range where the two rays cancel, as (from, to)."""
    reach = farthest_m(radio, air, height_m, budget_db)
    if not reach:
        return []
    distance = np.arange(NEAREST_M, reach, 0.5)
    height = np.full_like(distance, height_m)
    bad = path_loss(radio, air, distance, height, height) > budget_db
    edges = np.flatnonzero(np.diff(np.concatenate(([0], bad.view(np.int8), [0]))))
    return [
        (float(distance[a]), float(distance[b - 1]))
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


def arrival_chance(rssi_dbm: Array, sensitivity_dbm: float) -> Array:
    """Give the chance that a packet survives noise alone."""
    chance: Array = 1 / (1 + np.exp(-(rssi_dbm - sensitivity_dbm) / SLOPE_DB))
    return chance
