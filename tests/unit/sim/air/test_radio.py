"""The gateway's controller as a real host meets it: Bumble's, over HCI and TCP."""

import asyncio
import contextlib
import os
import signal
import sys

import pytest
from bumble import core, hci
from idle_time import run

from dunes.ble.opening import open_radio
from dunes.ble.radio import Service
from dunes.sim.air.controller import ADV_IND, SCAN_RSP

CLIENT = """
import asyncio, sys
from bumble import core, hci
from bumble.device import Device
from bumble.transport import open_transport

async def main():
    transport = await open_transport(f"tcp-client:127.0.0.1:{sys.argv[1]}")
    address = hci.Address("F0:F1:F2:F3:F4:F6")
    device = Device.with_hci("client", address, transport.source, transport.sink)
    await device.power_on()
    await device.connect(hci.Address(sys.argv[2], hci.Address.RANDOM_DEVICE_ADDRESS))
    print("linked", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def reports(gateway):
    """Collect the advertising reports as they come, one entry per report."""
    found = []
    host = gateway.device.host
    taken = host.on_hci_le_advertising_report_event

    def on_report(event):
        found.extend(event.reports)
        taken(event)

    host.on_hci_le_advertising_report_event = on_report
    return found


async def scan(gateway, seconds, *, active=True, filter_duplicates=False):
    found = reports(gateway)
    await gateway.device.start_scanning(active=active, filter_duplicates=filter_duplicates)
    await asyncio.sleep(seconds)
    await gateway.device.stop_scanning()
    return found


def test_an_active_scanner_gets_each_advertisement_once_with_its_scan_response(
    raise_fleet, open_gateway
):
    async def scene():
        async with raise_fleet(3) as (fleet, port), open_gateway(port) as gateway:
            found = await scan(gateway, 0.8)
            kinds = [each.event_type for each in found]
            assert kinds.count(ADV_IND) == kinds.count(SCAN_RSP)
            assert 3 * 3 <= kinds.count(ADV_IND) <= 3 * 7  # an interval is 152.5 to 162.5 ms
            assert all(-85 < each.rssi < -20 for each in found)
            names = {each.data[2:].decode() for each in found if each.event_type == SCAN_RSP}
            assert set(fleet.nodes) == names

    run(scene())


def test_a_passive_scanner_gets_no_scan_response(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(3) as (_, port), open_gateway(port) as gateway:
            kinds = {each.event_type for each in await scan(gateway, 0.4, active=False)}
            assert {ADV_IND} == kinds

    run(scene())


def test_duplicates_are_filtered_if_the_host_asks_for_it(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(3) as (_, port), open_gateway(port) as gateway:
            assert 6 == len(await scan(gateway, 0.8, filter_duplicates=True))
            again = await scan(gateway, 0.4, filter_duplicates=True)
            assert 6 == len(again)  # each scan begins anew

    run(scene())


def test_nothing_is_on_the_air_while_nobody_listens(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(3) as (fleet, port), open_gateway(port) as gateway:
            await scan(gateway, 0.2)
            await asyncio.sleep(0.05)
            assert [] == fleet.medium._due

    run(scene())


def test_a_connected_node_does_not_advertise_and_does_again_afterwards(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(1) as (_, port), open_gateway(port) as gateway:
            (seen,) = await gateway.find("hab-sensor-001")
            link = await gateway.connect(seen, 0x1827)
            assert [] == await scan(gateway, 0.4)
            await gateway.hang_up(link)
            await gateway.find("hab-sensor-001")

    run(scene())


@pytest.mark.parametrize("mtu", [None, 23, 69, 185, 517])
def test_the_mtu_is_what_both_can(raise_fleet, open_gateway, mtu):
    async def scene():
        async with raise_fleet(1) as (_, port), open_gateway(port) as gateway:
            (seen,) = await gateway.find("hab-sensor-001")
            link = await gateway.connect(seen, 0x1827, mtu)
            connection = gateway.links[link][0]
            assert min(mtu or 23, 247) == connection.att_mtu

    run(scene())


def test_a_client_killed_in_mid_link_leaves_the_node_to_the_next_one(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(1) as (fleet, port):
            address = fleet.nodes["hab-sensor-001"].peripheral.address.to_string(False)
            client = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CLIENT, str(port), address, stdout=asyncio.subprocess.PIPE
            )
            try:
                assert b"linked\n" == await asyncio.wait_for(client.stdout.readline(), 10)
                assert fleet.nodes["hab-sensor-001"].peripheral.is_connected
            finally:
                os.kill(client.pid, signal.SIGKILL)
                await client.wait()
            async with open_gateway(port) as gateway:
                gateway.manage()
                assert 9 == await gateway.provision("hab-sensor-001")

    asyncio.run(scene())  # another process has our time


def test_two_hosts_have_controllers_of_their_own(raise_fleet, open_gateway):
    async def scene():
        async with (
            raise_fleet(2) as (_, port),
            open_gateway(port) as one,
            open_gateway(port) as other,
        ):
            assert one.device.public_address != other.device.public_address
            (first,) = await one.find("hab-sensor-001")
            (second,) = await other.find("crew-001")
            await one.connect(first, 0x1827)
            await other.connect(second, 0x1827)

    run(scene())


def test_of_two_hosts_that_want_one_node_the_second_waits_until_it_is_free(
    raise_fleet, open_gateway
):
    async def scene():
        async with (
            raise_fleet(1) as (fleet, port),
            open_gateway(port) as one,
            open_gateway(port) as other,
        ):
            address = fleet.nodes["hab-sensor-001"].peripheral.address
            both = [
                asyncio.ensure_future(each.device.connect(address, timeout=5))
                for each in (one, other)
            ]
            done, waiting = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.5)
            assert (1, 1) == (len(done), sum(not each.done() for each in waiting))
            await done.pop().result().disconnect()
            assert await waiting.pop()

    run(scene())


def test_our_own_radio_finds_nodes_and_links_to_them(raise_fleet):
    async def scene():
        async with raise_fleet(3) as (fleet, port):
            radio = await open_radio(f"hci:tcp-client:127.0.0.1:{port}")
            try:
                found = {}
                async with asyncio.timeout(5), radio.scan() as heard:
                    async for each in heard:
                        if each.name is not None and each.unprovisioned is not None:
                            found[each.name] = each
                        if len(found) == 3:
                            break
                for name, seen in found.items():
                    assert fleet.members[name].uuid == seen.unprovisioned[:16]
                    link = await radio.connect(seen.address, Service.PROVISIONING, timeout_s=5)
                    assert fleet.members[name].kind.mtu - 3 == link.room_bytes
                    await link.close()
            finally:
                await radio.close()

    run(scene())


def test_reset_ends_links_and_scanning(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(1) as (fleet, port), open_gateway(port) as gateway:
            (seen,) = await gateway.find("hab-sensor-001")
            await gateway.connect(seen, 0x1827)
            await gateway.device.start_scanning()
            await gateway.device.host.send_sync_command(hci.HCI_Reset_Command())
            peripheral = fleet.nodes["hab-sensor-001"].peripheral
            (controller,) = fleet.medium.gateways
            assert (False, True) == (peripheral.is_connected, peripheral.advertising)
            assert not controller.le_scan_enable
            assert {} == controller.le_connections

    run(scene())


def test_connecting_can_be_given_up(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(1) as (fleet, port), open_gateway(port) as gateway:
            fleet.nodes["hab-sensor-001"].stop()
            address = fleet.nodes["hab-sensor-001"].peripheral.address
            with pytest.raises(core.TimeoutError):
                await gateway.device.connect(address, timeout=0.3)
            fleet.clear("hab-sensor-001")
            await gateway.device.connect(address, timeout=5)

    run(scene())


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (hci.HCI_Disconnect_Command(connection_handle=0x0ABC, reason=0x13), 0x02),
        (hci.HCI_Inquiry_Command(lap=0x9E8B33, inquiry_length=1, num_responses=1), 0x01),
        (
            hci.HCI_LE_Set_PHY_Command(
                connection_handle=1, all_phys=0, tx_phys=1, rx_phys=1, phy_options=0
            ),
            0x00,
        ),
        (hci.HCI_Read_Remote_Version_Information_Command(connection_handle=1), 0x00),
    ],
    ids=["no such link", "unknown", "phy", "version"],
)
def test_commands_without_a_result_of_their_own_have_their_status(
    raise_fleet, open_gateway, command, status
):
    async def scene():
        async with raise_fleet(1) as (_, port), open_gateway(port) as gateway:
            (seen,) = await gateway.find("hab-sensor-001")
            await gateway.connect(seen, 0x1827)
            async with asyncio.timeout(2):
                answer = await gateway.device.host.send_async_command(command, check_status=False)
            assert status == answer

    run(scene())


def test_octets_that_are_no_hci_end_the_connection_and_nothing_else(raise_fleet, open_gateway):
    async def scene():
        async with raise_fleet(1) as (_, port), open_gateway(port) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"" == await asyncio.wait_for(reader.read(), 5)
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()
            await gateway.find("hab-sensor-001")

    run(scene())
