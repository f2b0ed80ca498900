"""Signals over open ground: our formula for one pair against the planner's for many."""

import numpy as np
import pytest

from dunes.sim.air.pathloss import RadioSpec, arrival_chance, path_loss_db, rssi_dbm
from torgo import radio as planner

DISTANCES_M = [0.1, 1.0, 7.0, 55.5, 340.0, 700.0, 1000.0, 2500.0]


@pytest.mark.parametrize(
    "spec",
    [RadioSpec(), RadioSpec(height_m=5.0, antenna_gain_dbi=2.15), RadioSpec(loss_db_per_km=3.0)],
)
@pytest.mark.parametrize("distance_m", DISTANCES_M)
def test_the_loss_is_that_of_the_topology_planner(spec, distance_m):
    radio = planner.Radio(
        spec.frequency_hz, spec.tx_power_dbm, antenna_gain_dbi=spec.antenna_gain_dbi
    )
    ground = planner.Propagation(
        "two-ray", spec.permittivity, spec.loss_tangent, loss_db_per_km=spec.loss_db_per_km
    )
    height = np.array([spec.height_m])
    expected = planner.path_loss(radio, ground, np.array([distance_m]), height, height)[0]
    assert expected == pytest.approx(path_loss_db(spec, distance_m), abs=1e-9)
    assert rssi_dbm(spec, distance_m) == pytest.approx(
        spec.tx_power_dbm + 2 * spec.antenna_gain_dbi - expected
    )


@pytest.mark.parametrize("rssi", [-2000.0, -100.0, -95.5, -95.0, -90.0, 0.0])
def test_the_chance_to_arrive_is_that_of_the_topology_planner(rssi):
    with np.errstate(over="ignore"):
        expected = planner.arrival_chance(np.array([rssi]), -95.0)[0]
    assert expected == pytest.approx(arrival_chance(rssi, -95.0), abs=1e-12)
