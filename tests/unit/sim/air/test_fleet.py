"""Nodes of the virtual air, as a real Bumble host meets them over HCI and TCP."""

import asyncio

from dunes.mesh.models import generic, sensor
from dunes.mesh.models.sensor import unmarshal


def test_a_node_is_found_by_its_name_and_offers_to_be_provisioned(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(4) as (fleet, port), open_gateway(port) as gateway:
            (seen,) = await gateway.find("hab-sensor-001")
            member = fleet.members["hab-sensor-001"]
            assert 0x1827 == seen.service
            assert member.uuid == seen.data[:16]

    asyncio.run(scene())


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

    asyncio.run(scene())
