"""Nodes of the virtual air, as a real Bumble host meets them over HCI and TCP."""

import asyncio
import shutil
from dataclasses import replace
from random import Random

import pytest
from idle_time import run

from dunes.mesh.manager import Received
from dunes.mesh.models import config_models, config_node, generic, sensor
from dunes.mesh.models.config import period_octet
from dunes.mesh.models.habitat import habitat
from dunes.mesh.models.habitat_server import HabitatMessage
from dunes.mesh.models.measured import measured
from dunes.mesh.models.sensor import unmarshal
from dunes.mesh.models.server import Raw
from dunes.sim.air.field import Field, Place

PERIOD = period_octet(1.0)


def heard_of(gateway, unicast, elements=2):
    """Everything that a node's messages measured, by kind."""
    found = {}
    for event in gateway.events:
        if isinstance(event, Received) and event.access.src in range(unicast, unicast + elements):
            for each in measured(event.message):
                found.setdefault(each.kind, []).append(each)
    return found


def test_a_node_is_found_by_its_name_and_offers_to_be_provisioned(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(4) as (fleet, port), open_gateway(port) as gateway:
            (seen,) = await gateway.find("hab-sensor-001")
            member = fleet.members["hab-sensor-001"]
            assert 0x1827 == seen.service
            assert member.uuid == seen.data[:16]

    run(scene())


def test_a_node_is_provisioned_configured_and_asked(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(4) as (fleet, port), open_gateway(port) as gateway:
            gateway.manage()
            unicast = await gateway.provision("hab-sensor-001")
            await gateway.join("hab-sensor-001")
            composition = await gateway.configure(unicast)
            assert 2 == len(composition.elements)
            status = await gateway.ask(unicast, generic.OnOffSet(1, 1), 0)
            assert 1 == status.present
            values = (await gateway.ask(unicast, sensor.SensorGet(0x0075), 0)).values
            (found,) = unmarshal(values)
            assert 15 < found.value().number < 30
            assert 1 == fleet.keeper.kept["hab-sensor-001"].account.commands

    run(scene())


def test_a_provisioned_node_shows_its_identity_first_and_the_network_later(
    raise_fleet, open_gateway, monkeypatch
):
    monkeypatch.setattr("dunes.mesh.node.IDENTITY_S", 1.0)

    async def scene():
        async with raise_fleet(1) as (_, port), open_gateway(port) as gateway:
            gateway.manage()
            await gateway.provision("hab-sensor-001")
            (seen,) = await gateway.find("hab-sensor-001", service=0x1828)
            assert 1 == seen.data[0]
            assert 9 == gateway.manager.identify(seen.data).unicast
            await asyncio.sleep(1.2)
            (seen,) = await gateway.find("hab-sensor-001", service=0x1828)
            assert 0 == seen.data[0]
            assert gateway.manager.identify(seen.data) is not None

    run(scene())


def test_telemetry_comes_at_the_configured_period_and_is_accounted_for(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(2) as (fleet, port), open_gateway(port) as gateway:
            gateway.manage()
            unicast = await gateway.take_in("hab-sensor-001", PERIOD)
            before = fleet.state("").nodes["hab-sensor-001"]
            gateway.events.clear()
            await asyncio.sleep(2.5)
            found = heard_of(gateway, unicast)
            after = fleet.state("").nodes["hab-sensor-001"]
        assert {"temperature", "humidity", "co2", "pressure", "o2", "radiation"} == set(found)
        assert all(2 <= len(each) <= 3 for each in found.values())
        assert found["co2"][0].value == pytest.approx(2500, abs=300)
        assert found["pressure"][0].value == pytest.approx(101.2, abs=0.5)
        assert found["o2"][0].value == pytest.approx(20.95, abs=0.5)
        readings = sum(len(each) for each in found.values())
        assert readings == pytest.approx(after.readings - before.readings, abs=1)
        numbers = [each.sequence for kind in ("o2", "radiation") for each in found[kind]]
        assert after.sequence >= max(numbers) + 1
        assert list(range(min(numbers), max(numbers) + 1)) == sorted(numbers)

    run(scene())


@pytest.mark.parametrize(("name", "pace_s"), [("hab-sensor-001", 1.0), ("crew-001", 0.5)])
def test_a_vendor_model_without_a_period_reports_at_the_node_s_own_pace(
    raise_fleet, open_gateway, monkeypatch, name, pace_s
):
    monkeypatch.setattr("dunes.sim.air.reporting.OWN_PACE_S", 0.5)
    monkeypatch.setattr("dunes.sim.air.reporting.WATCH_S", 0.1)

    async def scene():
        async with raise_fleet(2) as (_, port), open_gateway(port) as gateway:
            gateway.manage()
            unicast = await gateway.take_in(name, PERIOD)
            await gateway.ask(
                unicast,
                config_models.PublicationSet(unicast, 0xC000, 0, 0xFF, 0, 0, habitat().server),
            )
            await asyncio.sleep(pace_s)
            gateway.events.clear()
            await asyncio.sleep(3.0)
            found = heard_of(gateway, unicast)
        reported = {"o2", "radiation"} if name.startswith("hab") else {"heart_rate", "spo2"}
        for kind in reported:
            assert 3.0 / pace_s == pytest.approx(len(found[kind]), abs=1)

    run(scene())


def test_a_storm_is_told_at_once_and_again_until_it_is_acknowledged(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(1) as (fleet, port), open_gateway(port) as gateway:
            gateway.manage()
            unicast = await gateway.take_in("hab-sensor-001", period_octet(600.0))
            # a storm rises within minutes: let it have begun a while ago
            fleet.sources["lunar_telemetry"].world.trigger(
                "solar-particle", fleet.site_us() / 1e6 - 600
            )

            def alert(event):
                return (
                    isinstance(event, Received)
                    and isinstance(event.message, HabitatMessage)
                    and event.message.values.get("alert")
                )

            first = (await gateway.until(alert, 5)).message
            again = (await gateway.until(alert, 5)).message
            assert first == again
            (reading,) = measured(first)
            assert ("radiation", "uSv/h") == (reading.kind, reading.unit)
            assert 300 < reading.value < 500
            values = first.values
            ack = habitat().make(
                "AlertAck", kind=values["kind"], sequence=values["sequence"], reserved=0
            )
            gateway.manager.send(unicast, Raw(ack), app_index=0)
            await asyncio.sleep(0.3)
            server = fleet.models["hab-sensor-001"].reporting[1]
            assert None is server.next_timer_s()
            assert 1 == fleet.state("").nodes["hab-sensor-001"].alerts

    run(scene())


def test_commands_move_the_world_that_sensors_look_at(raise_fleet, open_gateway):
    acted = []

    async def scene():
        async with (
            raise_fleet(1, acted=acted.append) as (fleet, port),
            open_gateway(port) as gateway,
        ):
            gateway.manage()
            unicast = await gateway.take_in("hab-sensor-001")
            await gateway.ask(unicast, generic.LevelSet(0x7FFF, 1), 0)
            await gateway.ask(unicast, generic.OnOffSet(0, 2), 0)
            world = fleet.sources["lunar_telemetry"].world
            assert (1.0, False) == (world.heater_set, world.oxygen_set)
            begin_s = fleet.site_us() / 1e6
            world.advance(begin_s)
            before_c = world.probe("temperature", 1)(begin_s)
            world.advance(begin_s + 3600)
            after_c = world.probe("temperature", 1)(begin_s + 3600)
            assert after_c - before_c > 1.0
            account = fleet.state("").nodes["hab-sensor-001"]
            assert {"heater": 0x7FFF, "oxygen": 0} == account.actuators

    run(scene())
    assert [("heater", 0x7FFF), ("oxygen", 0)] == [(each.what, each.value) for each in acted]


def test_a_far_node_is_reached_over_a_relay_and_not_without(raise_fleet, open_gateway, lunar):
    places = {
        "hab-sensor-001": Place(0, 0),
        "relay-001": Place(600, 0),
        "crew-001": Place(1200, 0),
    }

    async def scene():
        async with raise_fleet(3) as (fleet, port), open_gateway(port) as gateway:
            fleet.heard = Field.of(places, lunar.air.radio, Random(1))
            assert {"relay-001"} == fleet.heard.neighbours("crew-001")
            gateway.manage()
            unicasts = {}
            for name in places:
                unicasts[name] = await gateway.provision(name)
                link = await gateway.join(name)
                if name == "relay-001":
                    await gateway.ask(unicasts[name], config_node.RelaySet(1, 0x15))
                await gateway.hang_up(link)
                await asyncio.sleep(0.1)
            await gateway.join("hab-sensor-001")
            answer = await gateway.ask(unicasts["crew-001"], config_node.CompositionGet())
            assert answer.data
            fleet.order("relay-001", "dead")
            number = gateway.manager.request(
                unicasts["crew-001"], config_node.TtlGet(), tries=1, timeout_s=1.0
            )
            event = await gateway.until(lambda each: getattr(each, "id", None) == number, 5)
            assert "Unanswered" == type(event).__name__

    run(scene())


def test_nodes_go_on_where_they_were_when_the_site_comes_up_again(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(2) as (fleet, port), open_gateway(port) as gateway:
            gateway.manage()
            unicast = await gateway.take_in("hab-sensor-001", PERIOD)
            await gateway.ask(unicast, generic.LevelSet(1234, 1), 0)
            await asyncio.sleep(1.2)
            before = fleet.state("").nodes["hab-sensor-001"]
            manager, state = gateway.manager, gateway.state
        acted = []
        async with (
            raise_fleet(2, acted=acted.append) as (fleet, port),
            open_gateway(port) as gateway,
        ):
            after = fleet.state("").nodes["hab-sensor-001"]
            same = replace(after, publications=before.publications, readings=before.readings)
            assert replace(before, sequence=after.sequence) == same
            assert after.readings >= before.readings > 0
            assert after.sequence >= before.sequence > 0
            assert [("heater", 1234)] == [(each.what, each.value) for each in acted]
            gateway.manage()
            gateway.manager, gateway.state = manager, state
            for link in list(manager.proxies.links):
                manager.closed(link, gateway.now_s())
            await gateway.join("hab-sensor-001")
            status = await gateway.ask(unicast, generic.LevelGet(), 0)
            assert 1234 == status.present
            gateway.events.clear()
            await asyncio.sleep(1.5)
            found = heard_of(gateway, unicast)
            assert found["o2"][0].sequence >= before.sequence
            assert 0 == fleet.state("").nodes["crew-001"].unicast

    run(scene())


def test_killed_nodes_repeat_no_number_and_forget_no_command(raise_fleet, open_gateway, tmp_path):
    async def scene():
        async with raise_fleet(1) as (fleet, port), open_gateway(port) as gateway:
            gateway.manage()
            unicast = await gateway.take_in("hab-sensor-001", PERIOD)
            await asyncio.sleep(2.5)
            await gateway.ask(unicast, generic.LevelSet(1234, 1), 0)
            shutil.copytree(fleet.folder, tmp_path / "killed")
            numbers = [each.sequence for each in heard_of(gateway, unicast)["o2"]]
        async with raise_fleet(1, folder=tmp_path / "killed") as (fleet, port):
            node = fleet.state("").nodes["hab-sensor-001"]
            assert node.sequence > max(numbers)
            assert {"heater": 1234} == node.actuators

    run(scene())


def test_a_reset_node_is_new_again_and_stays_so(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(1) as (fleet, port), open_gateway(port) as gateway:
            gateway.manage()
            unicast = await gateway.provision("hab-sensor-001")
            link = await gateway.join("hab-sensor-001")
            await gateway.ask(unicast, config_node.NodeReset())
            await gateway.hang_up(link)
            await gateway.find("hab-sensor-001", service=0x1827)
            assert not fleet.nodes["hab-sensor-001"].node.provisioned
        async with raise_fleet(1) as (fleet, port):
            assert not fleet.nodes["hab-sensor-001"].node.provisioned

    run(scene())


def test_twenty_nodes_are_provisioned_within_seconds(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(20) as (fleet, port), open_gateway(port) as gateway:
            gateway.manage()
            begin_s = gateway.now_s()
            unicasts = [await gateway.provision(name) for name in fleet.nodes]
            took_s = gateway.now_s() - begin_s
            assert unicasts == [fleet.nodes[name].node.unicast for name in fleet.nodes]
            assert 20 == fleet.state("").provisioned
            assert took_s < 20

    asyncio.run(scene())  # seconds of ours
