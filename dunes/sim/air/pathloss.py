"""How strong a signal arrives, and with what chance: two rays over open ground. Pure.

The same formula as in the topology planner, for one pair of antennas; a test compares them.

Source: Fresnel reflection at vertical polarisation, e.g. Rappaport, Wireless Communications,
chapter 4.
"""

import cmath
import math
from dataclasses import dataclass

LIGHT_M_S = 299_792_458.0
NEAREST_M = 0.5
"""Antennas closer than this are taken as this far apart."""
SLOPE_DB = 0.8
"""Width of the step from lost to received packets."""


@dataclass(frozen=True, slots=True)
class RadioSpec:
    """What the nodes' radios and the ground do.

    Attributes:
        tx_power_dbm: into the antenna.
        sensitivity_dbm: half of the packets are lost here.
        frequency_hz: carrier.
        height_m: of all antennas, above ground.
        permittivity: relative, of the ground.
        loss_tangent: of the ground.
        loss_db_per_km: on top, for dust.
        antenna_gain_dbi: at each end.
    """

    tx_power_dbm: float = 8.0
    sensitivity_dbm: float = -95.0
    frequency_hz: float = 2.44e9
    height_m: float = 2.0
    permittivity: float = 3.0
    loss_tangent: float = 0.01
    loss_db_per_km: float = 0.0
    antenna_gain_dbi: float = 0.0


def path_loss_db(spec: RadioSpec, distance_m: float) -> float:
    """Give the loss between two antennas, obstacles not counted."""
    far_m = max(distance_m, NEAREST_M)
    wavelength_m = LIGHT_M_S / spec.frequency_hz
    bounced_m = math.hypot(far_m, 2 * spec.height_m)
    ground = spec.permittivity * (1 - 1j * spec.loss_tangent)
    sine = 2 * spec.height_m / bounced_m
    z = cmath.sqrt(ground - (far_m / bounced_m) ** 2) / ground
    reflection = (sine - z) / (sine + z)
    wave = 2j * math.pi / wavelength_m
    field = cmath.exp(-wave * far_m) / far_m
    field += reflection * cmath.exp(-wave * bounced_m) / bounced_m
    loss_db = -20 * math.log10(wavelength_m / (4 * math.pi) * max(abs(field), 1e-12))
    return loss_db + spec.loss_db_per_km * far_m / 1000


def rssi_dbm(spec: RadioSpec, distance_m: float) -> float:
    """Give the strength of a signal after some distance."""
    return spec.tx_power_dbm + 2 * spec.antenna_gain_dbi - path_loss_db(spec, distance_m)


def arrival_chance(rssi: float, sensitivity_dbm: float) -> float:
    """Give the chance that a packet survives noise alone.

    Args:
        rssi: in dBm.
        sensitivity_dbm: where it is a half.
    """
    return 1 / (1 + math.exp(min(-(rssi - sensitivity_dbm) / SLOPE_DB, 700.0)))
