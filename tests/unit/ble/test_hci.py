"""The radio over HCI: our host, a controller of Bumble's behind TCP, nodes with the faults of real
ones."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from dunes.ble import attempts, hci, hcilink
from dunes.ble.errors import NoRadio, RadioDenied, RadioLost, ServiceMissing
from dunes.ble.hci import open_hci
from dunes.ble.radio import Service

from .hcipeer import NETWORK_ID, UNPROVISIONED, Air, Gateway, SerialController


@asynccontextmanager
async def radio_and_node(made=Gateway, **rest):
    async with Air(made) as air:
        node = await air.node(**rest)
        await node.start()
        radio = await open_hci(air.moniker)
        try:
            yield radio, node, air
        finally:
            await radio.close()


async def first(radio, wanted=lambda _: True):
    async with radio.scan() as heard:
        async for said in heard:
            if wanted(said):
                return said
    return None


def test_a_node_is_heard_with_its_service_data_and_name(run):
    async def story():
        async with radio_and_node() as (radio, node, _):
            said = await first(radio)
            assert (node.address, -50) == (said.address, said.rssi_dbm)
            assert (UNPROVISIONED, None) == (said.unprovisioned, said.proxy)
            await node.offer(0x1828, NETWORK_ID)
            said = await first(radio, lambda said: said.proxy)
            assert (node.name, None, NETWORK_ID) == (said.name, said.unprovisioned, said.proxy)

    run(story())


def test_all_who_listen_hear_and_the_scan_ends_with_the_last(run):
    async def story():
        async with radio_and_node() as (radio, _, air):
            async with radio.scan() as one:
                async with radio.scan() as other:
                    assert (await anext(one)).address == (await anext(other)).address
                assert air.tcp.controller.le_scan_enable
                await anext(one)
            assert not air.tcp.controller.le_scan_enable

    run(story())


def test_what_is_written_arrives_in_order_and_is_answered_in_order(run):
    async def story():
        async with radio_and_node() as (radio, node, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            values = [bytes([number]) * 20 for number in range(50)]
            for value in values:
                await link.send(value)
            assert values == [await link.receive() for _ in values]
            assert values == node.written
            await link.close()

    run(story())


@pytest.mark.parametrize(("mtu", "room_bytes"), [(23, 20), (69, 66), (517, 512)])
def test_the_room_is_that_of_a_write_without_response(run, mtu, room_bytes):
    async def story():
        async with radio_and_node(mtu=mtu) as (radio, node, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            assert room_bytes == link.room_bytes
            await link.send(bytes(room_bytes))
            assert bytes(min(room_bytes, mtu - 3)) == await link.receive()
            await link.close()

    run(story())


def test_a_node_that_drops_the_first_links_is_tried_again(run, monkeypatch):
    monkeypatch.setattr(attempts, "PAUSE_S", 0.05)

    async def story():
        async with radio_and_node() as (radio, node, _):
            node.drops = 2
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=20)
            await link.send(b"hello")
            assert b"hello" == await link.receive()
            assert 3 == node.connects
            await link.close()

    run(story())


def test_a_node_that_always_hangs_up_is_lost_with_its_reason(run):
    async def story():
        async with radio_and_node() as (radio, node, _):
            node.drops = 99
            with pytest.raises(RadioLost, match=r"hung up: unspecified \(0x1F\)") as e:
                await radio.connect(node.address, Service.PROVISIONING, timeout_s=2.5)
            assert "tried 3 times" in e.value.message
            assert "" != e.value.hint

    run(story())


def test_a_node_that_never_answers_is_given_up_after_the_limit_and_tried_again(run, monkeypatch):
    monkeypatch.setattr(hcilink, "SETUP_S", 0.3)

    async def story():
        async with radio_and_node() as (radio, node, _):
            node.deaf = 1
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            assert 2 == node.connects
            await link.close()
            node.deaf = 99
            with pytest.raises(RadioLost, match="gave no answer to GATT requests"):
                await radio.connect(node.address, Service.PROVISIONING, timeout_s=1)

    run(story())


def test_a_node_out_of_reach_is_lost_in_time_and_the_next_one_is_reached(run):
    async def story():
        async with radio_and_node() as (radio, node, _):
            began_s = time.monotonic()
            with pytest.raises(RadioLost, match="was not heard advertising"):
                await radio.connect("C0:00:00:00:00:99", Service.PROVISIONING, timeout_s=1)
            assert 3 > time.monotonic() - began_s
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.close()

    run(story())


def test_a_cancelled_connect_leaves_the_controller_ready(run):
    async def story():
        async with radio_and_node() as (radio, node, air):
            work = asyncio.create_task(
                radio.connect("C0:00:00:00:00:99", Service.PROVISIONING, timeout_s=30)
            )
            await asyncio.sleep(0.3)
            assert air.tcp.controller.pending_le_connection
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.close()

    run(story())


def test_a_connect_that_is_cancelled_when_the_link_comes_up_leaves_no_link(run):
    async def story():
        async with radio_and_node() as (radio, node, air):
            for wait_s in (0.0, 0.01, 0.02, 0.03, 0.04, 0.06):
                connecting = radio.connect(node.address, Service.PROVISIONING, timeout_s=30)
                work = asyncio.create_task(connecting)
                await asyncio.sleep(wait_s)
                if work.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await work
                else:  # it was quicker
                    await (await work).close()
                await asyncio.sleep(0.1)
                assert {} == air.tcp.controller.le_connections
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.close()

    run(story())


async def write_on(link):
    for number in range(2000):
        await link.send(bytes([number % 256]))
        await asyncio.sleep(0)


async def read_on(link):
    while True:
        await link.receive()


def test_a_link_that_drops_in_mid_write_is_lost_for_reader_and_writer(run):
    async def story():
        async with radio_and_node() as (radio, node, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            node.hang_up_after = 3
            with pytest.raises(RadioLost, match=r"hung up: .*0x13"):
                await write_on(link)
            with pytest.raises(RadioLost, match="hung up"):
                await read_on(link)
            with pytest.raises(RadioLost, match="hung up"):
                await link.send(b"more")
            await link.close()
            again = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await again.close()

    run(story())


def test_what_was_notified_before_the_link_dropped_can_still_be_read(run):
    async def story():
        async with radio_and_node() as (radio, node, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            for value in (b"one", b"two"):
                await node.notify(value)
            await node.connection.disconnect()
            await asyncio.sleep(0.2)
            assert [b"one", b"two"] == [await link.receive(), await link.receive()]
            with pytest.raises(RadioLost):
                await link.receive()

    run(story())


def test_a_node_that_floods_us_is_hung_up_on(run, monkeypatch):
    monkeypatch.setattr(hcilink, "WAITING_MAX", 5)

    async def story():
        async with radio_and_node() as (radio, node, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            for number in range(9):
                await node.notify(bytes([number]))
            await asyncio.sleep(0.3)
            assert [bytes([n]) for n in range(5)] == [await link.receive() for _ in range(5)]
            with pytest.raises(RadioLost, match="more than 5 values unread"):
                await link.receive()
            assert link.gone

    run(story())


def test_the_other_service_at_the_same_address_is_found_after_the_swap(run):
    async def story():
        async with radio_and_node() as (radio, node, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.close()
            await node.offer(0x1828, NETWORK_ID, others=(0x180A,))
            said = await first(radio, lambda said: said.proxy)
            assert (node.address, NETWORK_ID, None) == (
                said.address,
                said.proxy,
                said.unprovisioned,
            )
            link = await radio.connect(node.address, Service.PROXY, timeout_s=10)
            await link.send(b"proxied")
            assert b"proxied" == await link.receive()
            await link.close()

    run(story())


@pytest.mark.parametrize(
    ("offer", "why"),
    [
        ({"service": 0x1828, "data": NETWORK_ID}, r"no mesh provisioning service \(0x1827\)"),
        ({"service": 0x1827, "data": UNPROVISIONED, "without": (0x2ADC,)}, "lacks a charac"),
        ({"service": 0x1827, "data": UNPROVISIONED, "mute": True}, "cannot be subscribed to"),
    ],
)
def test_a_node_without_the_service_is_said_to_lack_it(run, offer, why):
    async def story():
        async with radio_and_node() as (radio, node, _):
            await node.offer(**offer)
            with pytest.raises(ServiceMissing, match=why):
                await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            assert 76 == ServiceMissing.exit
            assert 2 == node.connects

    run(story())


def test_several_links_are_carried_at_once(run):
    async def story():
        async with Air() as air:
            nodes = [await air.node() for _ in range(4)]
            for node in nodes:
                await node.start()
            radio = await open_hci(air.moniker)
            links = await asyncio.gather(
                *(radio.connect(n.address, Service.PROVISIONING, timeout_s=15) for n in nodes)
            )
            for number, link in enumerate(links):
                await link.send(bytes([number]))
            assert [bytes([n]) for n in range(4)] == [await link.receive() for link in links]
            assert 4 == radio.links_max
            await radio.close()
            with pytest.raises(RadioLost, match="closed"):
                await links[0].receive()

    run(story())


class OneThingAtATime(Gateway):
    """A controller that scans or connects, as some do."""

    def on_hci_le_create_connection_command(self, command):
        if self.le_scan_enable:
            self._send_hci_command_status(0x0C, command.op_code)
            return None
        return super().on_hci_le_create_connection_command(command)

    def on_hci_le_extended_create_connection_command(self, command):
        if self.le_scan_enable:
            self._send_hci_command_status(0x0C, command.op_code)
            return None
        return super().on_hci_le_extended_create_connection_command(command)


def test_a_controller_that_cannot_do_both_stops_scanning_while_it_connects(run):
    async def story():
        async with (
            radio_and_node(OneThingAtATime) as (radio, node, air),
            radio.scan() as heard,
        ):
            await anext(heard)
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            assert air.tcp.controller.le_scan_enable
            await link.close()

    run(story())


def test_a_controller_that_goes_away_ends_scan_link_and_radio(run):
    async def story():
        async with radio_and_node() as (radio, node, air):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            async with radio.scan() as heard:
                air.tcp.transport.abort()
                with pytest.raises(NoRadio, match="is gone"):
                    async for _ in heard:
                        pass
            with pytest.raises(RadioLost, match="is gone"):
                await link.receive()
            with pytest.raises(NoRadio, match="is gone"):
                await radio.connect(node.address, Service.PROVISIONING, timeout_s=5)
            with pytest.raises(NoRadio, match="is gone"):
                await first(radio)

    run(story())


def test_a_controller_that_goes_away_while_a_link_is_set_up_is_noticed_at_once(run):
    async def story():
        async with radio_and_node() as (radio, node, air):
            node.deaf = 9
            work = asyncio.create_task(
                radio.connect(node.address, Service.PROVISIONING, timeout_s=20)
            )
            await node.connected.wait()
            began_s = time.monotonic()
            air.tcp.transport.abort()
            with pytest.raises(NoRadio, match="is gone"):
                await work
            assert 3 > time.monotonic() - began_s

    run(story())


def test_a_controller_that_hangs_is_no_radio_any_more(run, monkeypatch):
    monkeypatch.setattr(hci, "COMMAND_S", 0.3)
    monkeypatch.setattr(hci, "LISTEN_S", 0.3)
    monkeypatch.setattr(hcilink, "SETUP_S", 0.3)
    monkeypatch.setattr(hcilink, "HANG_UP_S", 0.3)

    async def story():
        async with radio_and_node() as (radio, node, air):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            air.tcp.frozen = True
            with pytest.raises(NoRadio, match="does not answer any more"):
                await radio.connect("C0:00:00:00:00:99", Service.PROVISIONING, timeout_s=10)
            with pytest.raises(NoRadio, match="does not answer any more"):
                await first(radio)
            with pytest.raises(RadioLost, match="does not answer any more"):
                await link.receive()
            air.tcp.frozen = False

    run(story())


def test_a_controller_that_hangs_at_the_start_of_a_scan_is_no_radio(run, monkeypatch):
    monkeypatch.setattr(hci, "COMMAND_S", 0.3)

    async def story():
        async with radio_and_node() as (radio, _, air):
            air.tcp.frozen = True
            with pytest.raises(NoRadio, match="does not answer any more"):
                await first(radio)
            air.tcp.frozen = False

    run(story())


def test_a_controller_on_a_serial_line_is_a_radio_too(run):
    async def story():
        async with Air() as air:
            node = await air.node()
            await node.start()
            line = SerialController(air.link)
            radio = await open_hci(f"serial:{line.device},115200,rtscts")
            assert (await first(radio)).address == node.address
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.send(b"over a line")
            assert b"over a line" == await link.receive()
            await radio.close()
            line.stop()

    run(story())


def test_a_port_where_nobody_listens_is_no_radio(run):
    async def story():
        async with Air() as air:
            moniker = air.moniker
        with pytest.raises(NoRadio, match="cannot be opened") as e:
            await open_hci(moniker)
        assert "does the program that plays the controller run?" == e.value.hint
        with pytest.raises(NoRadio) as e:
            await open_hci(moniker, simulated=True)
        assert "dunes sim status" == e.value.hint

    run(story())


def test_a_peer_that_is_no_controller_is_no_radio(run):
    async def story():
        done = asyncio.Event()

        async def swallow(reader, writer):
            while await reader.read(100):
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()
            await writer.wait_closed()
            done.set()

        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NoRadio, match=r"no answer to a reset in 0\.5 s"):
            await open_hci(f"tcp-client:127.0.0.1:{port}", timeout_s=0.5)
        await done.wait()
        server.close()
        await server.wait_closed()

    run(story())


def test_a_serial_device_that_is_not_there_says_where_to_look(run):
    with pytest.raises(NoRadio, match="/dev/ttyNONE0") as e:
        run(open_hci("serial:/dev/ttyNONE0,1000000"))
    assert "ls -l /dev/serial/by-id" == e.value.hint


def test_a_refused_device_is_a_matter_of_permission(run, monkeypatch):
    import bumble.transport

    async def refuse(moniker):
        raise PermissionError(13, "Permission denied", "/dev/ttyACM0")

    monkeypatch.setattr(bumble.transport, "open_transport", refuse)
    with pytest.raises(RadioDenied, match="Permission denied") as e:
        run(open_hci("serial:/dev/ttyACM0,1000000"))
    assert "dialout" in e.value.hint
    assert 77 == RadioDenied.exit
