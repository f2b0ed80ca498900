"""What virtual nodes measure, report and alert."""

from random import Random

import pytest

from dunes.clock import Clock
from dunes.mesh.access import split_opcode
from dunes.mesh.models import sensor
from dunes.mesh.models.habitat import habitat
from dunes.mesh.models.habitat_server import HabitatMessage
from dunes.mesh.models.measured import measured
from dunes.sim.air.instruments import instruments, make_sources
from dunes.sim.air.keeper import Keeper
from dunes.sim.air.models import SENSOR_PROPERTIES, make_models
from dunes.sim.air.reporting import AGAIN_S, Reporter
from dunes.sim.definition import ElementSpec, load_definition, site_names
from dunes.sim.telemetry import make_sources as make_file_sources

START_US = 1_900_000_000_000_000


def tools(definition, table, number=1):
    sources = make_sources(definition, START_US)
    return sources, instruments(sources, table, f"x-{number:03d}", number, definition.seed)


def reports(server, now_s=1.0):
    """All that a vendor model publishes in one period."""
    messages = [server.publication(now_s)]
    assert [] == server.handle_timer(now_s).publish, "reports are apart"
    while (due_s := server.next_timer_s()) is not None:
        messages += server.handle_timer(due_s).publish
    return [
        found
        for message in messages
        for found in measured(HabitatMessage(*habitat().read(*split_opcode(message.encode()))))
    ]


def test_mesh_and_files_tell_of_the_same_world():
    definition = load_definition("lunar")
    _, mine = tools(definition, "lunar_telemetry", 2)
    files = make_file_sources(definition, START_US)["lunar_telemetry"]
    at_us = START_US + 3_600_000_000
    list(files.readings(at_us))
    mine.world.advance(at_us / 1e6)
    theirs = next(
        each
        for each in files._channels
        if (each.device, each.spec.kind) == ("hab-sensor-002", "co2")
    )
    assert theirs.probe(at_us / 1e6) == mine.channels["co2"].probe(at_us / 1e6)
    assert theirs.error != mine.channels["co2"].error


def test_places_are_shared_by_nodes_beyond_the_site_s_devices():
    definition = load_definition("lunar")
    sources = make_sources(definition, START_US)

    def kinds(number):
        found = instruments(sources, "lunar_telemetry", f"x{number}", number, 1)
        return set(found.channels)

    assert "radiation" in kinds(1)
    assert "radiation" not in kinds(2)
    assert "radiation" in kinds(7)
    assert "radiation" in kinds(4 + 6 * 20)


@pytest.mark.parametrize("site", site_names())
def test_every_kind_of_every_node_is_one_that_its_source_and_its_models_know(site):
    definition = load_definition(site)
    sources = make_sources(definition, START_US)
    for kind in definition.air.kinds:
        if kind.table:
            known = {each for each, _ in sources[kind.table].probes}
            for element in kind.elements:
                reported = {each for each in element.reports if each != "position"}
                assert {*element.sensors, *reported} <= known
                assert {*element.sensors} <= {*SENSOR_PROPERTIES}
        made = make_models(kind.elements, lambda _kind: 1.0, lambda *_: None)
        for servers in made.elements:
            identities = [each.identity for each in servers]
            assert len(identities) == len(set(identities))


@pytest.mark.parametrize("site", site_names())
def test_what_nodes_publish_by_period_fits_unsegmented_messages(site):
    for kind in load_definition(site).air.kinds:
        made = make_models(kind.elements, lambda _kind: 1.0, lambda *_: None)
        for server in made.sensors:
            assert len(server.publication(0.0).encode()) <= 11
        if made.reporting is not None:
            server = made.reporting[1]
            messages = [server.publication(0.0), *server.handle_timer(0.0).publish]
            assert all(len(each.encode()) <= 11 for each in messages)


def test_a_period_brings_one_report_per_kind_and_counts_each():
    counted = []
    spec = ElementSpec(reports=("o2", "radiation"))
    made = make_models((spec,), {"o2": 20.9, "radiation": 13.5}.get, lambda *n: counted.append(n))
    found = reports(made.reporting[1])
    assert [("o2", 20.9), ("radiation", 13.5)] == [(each.kind, each.value) for each in found]
    assert [(1, 0), (1, 0)] == counted
    assert [0, 1] == [each.sequence for each in found]


def test_a_rover_says_where_it_is():
    counted = []
    where = {"latitude": 18.44, "longitude": 77.45}
    made = make_models(
        (ElementSpec(reports=("position",)),), where.get, lambda *n: counted.append(n)
    )
    found = {each.kind: each.value for each in reports(made.reporting[1])}
    assert where == pytest.approx(found, abs=3e-5)
    assert [(2, 0)] == counted


def test_a_kind_that_a_place_does_not_measure_is_left_out():
    made = make_models((ElementSpec(reports=("o2", "radiation")),), {"o2": 20.9}.get, print)
    made.reporting[1].sent = lambda *_: None
    assert ["o2"] == [each.kind for each in reports(made.reporting[1])]
    none = make_models((ElementSpec(reports=("o2",)),), lambda _kind: None, print)
    assert none.reporting[1].publication(0.0) is None


@pytest.mark.parametrize(
    ("kind", "number", "shown"),
    [
        ("co2", 1e9, 65533),
        ("co2", -5, 0),
        ("temperature", -1000, -327.65),
        ("humidity", 45.3, 45.3),
    ],
)
def test_a_value_beyond_what_a_property_can_say_is_its_end(kind, number, shown):
    made = make_models((ElementSpec(sensors=(kind,)),), {kind: number}.get, lambda *_: None)
    (found,) = sensor.unmarshal(made.sensors[0].publication(0.0).values)
    assert shown == found.value().number


def test_a_report_beyond_what_the_vendor_model_can_say_is_its_end():
    made = make_models((ElementSpec(reports=("radiation",)),), lambda _kind: 1e9, lambda *_: None)
    (found,) = reports(made.reporting[1])
    assert 3276.7 == found.value


def test_alerts_come_once_a_minute_while_their_cause_lasts(tmp_path):
    definition = load_definition("lunar")
    sources, mine = tools(definition, "lunar_telemetry")
    keeper = Keeper(tmp_path)
    keeper.load("x")
    site_us = START_US
    reporter = Reporter(
        "x", mine, keeper, lambda: site_us, Clock(lambda: 0.0, lambda: 0), Random(1)
    )
    kinds = ("o2", "radiation")
    assert [] == list(reporter.alerts(kinds, 0.0))
    sources["lunar_telemetry"].world.trigger("solar-particle", START_US / 1e6)
    site_us += 600_000_000
    (alert,) = reporter.alerts(kinds, 1.0)
    assert "radiation" == alert.kind
    assert 300 < alert.number < 500
    assert [] == list(reporter.alerts(kinds, 1.0 + AGAIN_S / 2))
    assert 1 == len(list(reporter.alerts(kinds, 1.0 + AGAIN_S)))


def test_reading_does_not_use_an_alert_up(tmp_path):
    definition = load_definition("lunar")
    sources, mine = tools(definition, "lunar_telemetry")
    sources["lunar_telemetry"].world.trigger("solar-particle", START_US / 1e6)
    at_us = START_US + 600_000_000
    assert mine.read("radiation", at_us) > 300
    assert mine.beyond("radiation", at_us) > 300
    assert mine.beyond("humidity", at_us) is None
    assert mine.beyond("heart_rate", at_us) is None


def test_the_same_seed_measures_the_same():
    def values():
        _, mine = tools(load_definition("mars"), "mars_telemetry")
        return [mine.read("battery", START_US + n * 1_000_000) for n in range(50)]

    assert values() == values()
