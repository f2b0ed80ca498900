"""Readings of the simulated sensors: deterministic, plausible, urgent when they should be."""

from collections import Counter, defaultdict
from itertools import pairwise
from statistics import mean

import pytest

from dunes.model import Priority
from dunes.sim.definition import load_definition
from dunes.sim.telemetry import AGAIN_US, make_sources

S = 1_000_000
START_US = 1_764_000_000 * S


def made(name, table, seconds, *, pieces=1, start_us=START_US, storm_after_s=None, seqs=None):
    definition = load_definition(name)
    source = make_sources(definition, start_us, seqs)[table]
    if storm_after_s is not None:
        assert source.world.trigger(definition.storm, start_us / S + storm_after_s)
    step_us = seconds * S // pieces
    return [
        reading
        for piece in range(1, pieces + 1)
        for reading in source.readings(start_us + piece * step_us)
    ]


@pytest.mark.parametrize("table", ["lunar_telemetry", "vitals_data"])
def test_the_same_seed_makes_the_same_readings_in_whatever_pieces(table):
    assert made("lunar", table, 60) == made("lunar", table, 60, pieces=600)


def test_another_site_of_the_same_kind_measures_otherwise():
    ours = made("lunar", "vitals_data", 20)
    theirs = made("mars", "vitals_data", 20)

    assert [r.value for r in ours[:40]] != [r.value for r in theirs[:40]]


def test_each_device_counts_its_own_readings_from_one():
    seen = defaultdict(list)
    for reading in made("lunar", "lunar_telemetry", 30):
        seen[reading.device].append(reading.seq)

    assert {f"hab-sensor-{n:03d}" for n in range(1, 7)} == set(seen)
    for seqs in seen.values():
        assert list(range(1, len(seqs) + 1)) == seqs


def test_running_numbers_go_on_where_they_stood():
    seqs = {"lunar_telemetry": {"hab-sensor-002": 41}}
    first = {}
    for reading in made("lunar", "lunar_telemetry", 5, seqs=seqs):
        first.setdefault(reading.device, reading.seq)

    assert 42 == first["hab-sensor-002"]
    assert 1 == first["hab-sensor-001"]


def test_co2_comes_ten_times_a_second_and_the_rest_slower():
    count = Counter(r.kind for r in made("lunar", "lunar_telemetry", 100))

    assert {
        "co2": 6000,
        "o2": 600,
        "pressure": 600,
        "radiation": 200,
        "temperature": 120,
        "humidity": 120,
    } == pytest.approx(count, rel=0.02)


def test_times_do_not_go_back_and_are_whole_milliseconds():
    times = [r.ts_us for r in made("mars", "mars_telemetry", 60)]

    assert sorted(times) == times
    assert not any(ts_us % 1000 for ts_us in times)


def test_habitat_values_are_those_of_a_habitat():
    values = defaultdict(list)
    for reading in made("lunar", "lunar_telemetry", 1200):
        values[reading.kind].append(reading.value)
        assert reading.simulated

    assert 1500 < mean(values["co2"]) < 4000
    assert 20.5 < mean(values["o2"]) < 21.3
    assert 100.5 < mean(values["pressure"]) < 101.8
    assert 20 < mean(values["temperature"]) < 24
    assert 35 < mean(values["humidity"]) < 55
    assert 12 < mean(values["radiation"]) < 15
    # quantised as the sensors are, and not one value for ever
    assert all(value == int(value) for value in values["co2"])
    assert all(round(value, 2) == value for value in values["pressure"])
    assert len(set(values["co2"])) > 50


def test_people_drive_the_carbon_dioxide():
    night_us = (1_764_000_000 // 86_400 * 86_400) * S  # midnight
    definition = load_definition("lunar")
    source = make_sources(definition, night_us)["lunar_telemetry"]
    world = source.world
    probe = world.probe("co2", 1)

    def level(hour):
        world.advance(night_us / S + hour * 3600)
        return mean(probe(night_us / S + hour * 3600 + s / 10) for s in range(10))

    asleep, at_sport = level(5.9), level(15.9)
    assert asleep < 2300
    assert at_sport > asleep + 400


def test_a_quiet_day_has_no_alert():
    assert {Priority.ROUTINE} == {r.priority for r in made("lunar", "lunar_telemetry", 600)}


def test_a_solar_storm_is_an_alert_once_a_minute_from_each_counter():
    readings = made("lunar", "lunar_telemetry", 600, storm_after_s=120)

    alerts = [r for r in readings if r.priority is Priority.ALERT]
    assert {"radiation"} == {r.kind for r in alerts}
    assert all(r.value > 100 for r in alerts)
    for device in ("hab-sensor-001", "hab-sensor-004"):
        times = [r.ts_us for r in alerts if r.device == device]
        assert 120 * S < times[0] - START_US < 180 * S
        assert 8 == len(times)
        gaps = [b - a for a, b in pairwise(times)]
        assert all(AGAIN_US <= gap < AGAIN_US + 2 * S for gap in gaps)


def test_a_puncture_lowers_the_pressure_until_it_is_patched():
    source = make_sources(load_definition("lunar"), START_US)["lunar_telemetry"]
    source.world.trigger("micrometeorite", START_US / S + 60)

    pressures = [r for r in source.readings(START_US + 2400 * S) if r.kind == "pressure"]
    lowest = min(pressures, key=lambda r: r.value)
    assert 96 < lowest.value < 98
    assert 340 * S < lowest.ts_us - START_US < 380 * S
    assert any(r.priority is not Priority.ROUTINE for r in pressures)
    assert pressures[-1].value > lowest.value + 1


def test_a_dust_storm_darkens_the_sky_of_mars():
    readings = made("mars", "mars_telemetry", 900, storm_after_s=100)

    depth = [r.value for r in readings if r.kind == "optical_depth"]
    assert depth[0] < 0.7
    assert depth[-1] > 4
    assert any(r.priority is Priority.ALERT for r in readings)


def test_no_world_does_what_it_cannot():
    for name in ("lunar", "mars"):
        for source in make_sources(load_definition(name), START_US).values():
            assert not source.world.trigger("none", START_US / S)
