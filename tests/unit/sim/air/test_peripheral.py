"""A virtual peripheral towards centrals that do not behave."""

import asyncio
import struct

import pytest
from bumble import att
from bumble.core import UUID
from bumble.device import Peer
from idle_time import run

GAP = UUID.from_16_bits(0x1800)
SIGNALLING, SMP = 5, 6


def scene(raise_fleet, open_gateway, act):
    async def whole():
        async with raise_fleet(1) as (fleet, port), open_gateway(port) as gateway:
            (seen,) = await gateway.find("hab-sensor-001")
            link = await gateway.connect(seen, 0x1827)
            await act(fleet.nodes["hab-sensor-001"], gateway, gateway.links[link][0])

    run(whole())


async def answers(gateway, connection, channel, payload):
    """Send an L2CAP payload; gives what comes on that channel."""
    came = asyncio.get_running_loop().create_future()
    manager = gateway.device.l2cap_channel_manager
    taken = manager.on_pdu

    def on_pdu(connection, cid, pdu):
        if cid == channel and not came.done():
            came.set_result(bytes(pdu))
        else:
            taken(connection, cid, pdu)

    manager.on_pdu = on_pdu
    gateway.device.host.send_l2cap_pdu(connection.handle, channel, payload)
    return await asyncio.wait_for(came, 2)


def test_pairing_is_refused(raise_fleet, open_gateway):
    async def act(_node, gateway, connection):
        request = bytes([0x01, 3, 0, 1, 16, 0, 0])
        assert bytes([0x05, 0x05]) == await answers(gateway, connection, SMP, request)

    scene(raise_fleet, open_gateway, act)


def test_signalling_that_is_not_understood_is_rejected(raise_fleet, open_gateway):
    async def act(_node, gateway, connection):
        request = bytes([0x12, 7]) + struct.pack("<HHHHH", 8, 24, 40, 0, 42)
        rejected = await answers(gateway, connection, SIGNALLING, request)
        assert bytes([0x01, 7, 2, 0, 0, 0]) == rejected

    scene(raise_fleet, open_gateway, act)


@pytest.mark.parametrize("pdu", [b"", b"\x02", b"\x01", b"\x0a\xff", b"\xff" * 300])
def test_an_att_pdu_that_is_none_hurts_nobody(raise_fleet, open_gateway, caplog, pdu):
    async def act(node, gateway, connection):
        gateway.device.host.send_l2cap_pdu(connection.handle, att.ATT_CID, pdu)
        peer = Peer(connection)
        (service,) = await peer.discover_service(GAP)
        (name,) = await service.discover_characteristics([UUID.from_16_bits(0x2A00)])
        assert b"hab-sensor-001" == await name.read_value()
        assert node.peripheral.is_connected

    scene(raise_fleet, open_gateway, act)


def test_only_the_service_of_its_state_is_in_the_table(raise_fleet, open_gateway):
    async def act(_node, gateway, connection):
        services = await Peer(connection).discover_services()
        offered = {each.uuid for each in services}
        assert UUID.from_16_bits(0x1827) in offered
        assert UUID.from_16_bits(0x1828) not in offered

    scene(raise_fleet, open_gateway, act)


def test_a_node_that_breaks_off_is_a_lost_link(raise_fleet, open_gateway):
    async def act(node, gateway, _connection):
        node.peripheral.hang_up()
        await asyncio.sleep(0.1)
        assert {} == gateway.links
        await gateway.find("hab-sensor-001")

    scene(raise_fleet, open_gateway, act)


def test_who_breaks_the_proxy_protocol_is_hung_up_on(raise_fleet, open_gateway):
    async def act(_node, gateway, _connection):
        (link,) = gateway.links
        await gateway.write(link, bytes([0xC3, 0x00]))  # the last piece of nothing
        await asyncio.sleep(0.1)
        assert {} == gateway.links

    scene(raise_fleet, open_gateway, act)


def test_without_a_subscription_nothing_is_notified(raise_fleet, open_gateway):
    async def act(node, gateway, connection):
        (link,) = gateway.links
        await gateway.hang_up(link)
        (seen,) = await gateway.find("hab-sensor-001")
        bare = await gateway.device.connect(seen.address, timeout=5)
        peer = Peer(bare)
        (service,) = await peer.discover_service(UUID.from_16_bits(0x1827))
        came_in, out = await service.discover_characteristics()
        if came_in.uuid != UUID.from_16_bits(0x2ADB):
            came_in, out = out, came_in
        await came_in.write_value(bytes([0x03, 0x00, 0x00]))  # Invite
        await asyncio.sleep(0.1)
        assert {} == node.node.proxy.links
        assert node.peripheral.is_connected

    scene(raise_fleet, open_gateway, act)
