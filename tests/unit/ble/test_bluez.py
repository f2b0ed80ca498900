"""The radio of BlueZ: bleak as it is, on a real bus, against a bluetoothd that plays its part."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from dunes.ble import attempts, bluez, bluezbus, bluezlink
from dunes.ble.bluez import open_bluez
from dunes.ble.bluezbus import BUS_VARIABLE, open_bus
from dunes.ble.errors import NoRadio, RadioDenied, RadioLost, ServiceMissing
from dunes.ble.radio import Service

from .bluezpeer import DENY, DEVICE, HAVE_DAEMON, SMP, Bluetoothd, Daemon, Peer

pytestmark = pytest.mark.skipif(not HAVE_DAEMON, reason="needs dbus-daemon: apt install dbus")

UNPROVISIONED = bytes(range(16)) + b"\x00\x00"
NETWORK_ID = b"\x00" + bytes(range(8))


def peer(number=1, **rest):
    return Peer(f"C0:00:00:00:00:{number:02X}", **({"said": {0x1827: UNPROVISIONED}} | rest))


@pytest.fixture
def bus(tmp_path, monkeypatch):
    started = []

    def start(**rest):
        daemon = Daemon(tmp_path, **rest)
        started.append(daemon)
        monkeypatch.setenv(BUS_VARIABLE, daemon.address)
        return daemon

    yield start
    for daemon in started:
        daemon.stop()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(attempts, "PAUSE_S", 0.1)


@asynccontextmanager
async def bluetoothd(daemon, *peers, **rest):
    played = await Bluetoothd(daemon.address, **rest).start()
    played.add(*peers)
    try:
        yield played
    finally:
        await played.stop()


@asynccontextmanager
async def radio_on(daemon, *peers, **rest):
    async with bluetoothd(daemon, *peers, **rest) as played:
        radio = await open_bluez()
        try:
            yield radio, played
        finally:
            await radio.close()


async def first(radio, wanted=lambda _: True):
    async with radio.scan() as heard:
        async for said in heard:
            if wanted(said):
                return said
    return None


def test_a_node_is_heard_and_nothing_is_filtered_by_service(run, bus):
    async def story():
        async with radio_on(bus(), peer()) as (radio, played):
            said = await first(radio)
            assert ("C0:00:00:00:00:01", UNPROVISIONED) == (said.address, said.unprovisioned)
            assert (None, None) == (said.proxy, said.name)
            assert said.rssi_dbm in {-60, -59}
            chosen = [filters for filters in played.filters.values() if filters]
            assert [] == [f for f in chosen if "UUIDs" in f]
            assert ("bluez:hci0", False) == (radio.name, radio.simulated)

    run(story())


def test_what_is_written_arrives_in_order_and_is_answered_in_order(run, bus):
    async def story():
        node = peer()
        async with radio_on(bus(), node) as (radio, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            values = [bytes([number]) * 20 for number in range(50)]
            await asyncio.gather(*(link.send(value) for value in values))
            assert values == [await link.receive() for _ in values]
            assert values == node.written
            await link.close()

    run(story())


@pytest.mark.parametrize(("mtu", "room_bytes"), [(23, 20), (69, 66), (517, 512), (None, 20)])
def test_the_room_is_that_of_a_write_without_response(run, bus, mtu, room_bytes):
    async def story():
        node = peer(mtu=mtu)
        async with radio_on(bus(), node) as (radio, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            assert room_bytes == link.room_bytes
            await link.send(bytes(room_bytes))
            assert bytes(room_bytes) == await link.receive()
            await link.close()

    run(story())


@pytest.mark.parametrize("old", [False, True])
def test_a_node_that_was_provisioned_is_heard_as_such_at_the_same_address(run, bus, old):
    async def story():
        node = peer()
        async with radio_on(bus(), node, old=old) as (radio, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.close()
            node.said, node.table = {0x1828: NETWORK_ID}, (0x180A, 0x1828)
            said = await first(radio, lambda said: said.proxy)
            assert (NETWORK_ID, None) == (said.proxy, said.unprovisioned)
            link = await radio.connect(node.address, Service.PROXY, timeout_s=10)
            await link.send(b"proxied")
            assert b"proxied" == await link.receive()
            await link.close()

    run(story())


def test_a_change_is_heard_within_one_scan_where_bluetoothd_lets_old_data_go(run, bus):
    async def story():
        node = peer(said={0x1828: NETWORK_ID})
        async with radio_on(bus(), node) as (radio, _), radio.scan() as heard:
            assert NETWORK_ID == (await anext(heard)).proxy
            node.said = {0x1827: UNPROVISIONED}
            async for said in heard:
                if said.unprovisioned:
                    break

    run(story())


def test_a_node_that_was_reset_is_heard_as_unprovisioned_once_it_is_forgotten(run, bus):
    async def story():
        node = peer(said={0x1828: NETWORK_ID}, table=(0x1828,))
        async with radio_on(bus(), node, old=True) as (radio, _), radio.scan() as heard:
            assert NETWORK_ID == (await anext(heard)).proxy
            node.said = {0x1827: UNPROVISIONED}
            await asyncio.sleep(0.2)
            seen = [await anext(heard) for _ in range(5)]
            assert {None} == {said.unprovisioned for said in seen}  # accumulated: 0x1828 counts
            await radio.forget(node.address)
            async for said in heard:
                if said.unprovisioned:
                    break
            await radio.forget("C0:00:00:00:00:77")  # never seen: fine

    run(story())


def test_a_new_scan_starts_with_nothing_remembered_of_nodes(run, bus):
    async def story():
        node = peer(said={0x1828: NETWORK_ID})
        async with radio_on(bus(), node, old=True) as (radio, played):
            await first(radio)
            node.said = {0x1827: UNPROVISIONED}
            said = await first(radio, lambda said: said.unprovisioned)
            assert UNPROVISIONED == said.unprovisioned
            assert ("RemoveDevice", "/org/bluez/hci0") in played.calls

    run(story())


def test_a_node_that_drops_the_first_links_is_tried_again(run, bus):
    async def story():
        node = peer(drops=2)
        async with radio_on(bus(), node) as (radio, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.send(b"hello")
            assert b"hello" == await link.receive()
            assert 3 == node.connects
            await link.close()

    run(story())


def test_a_node_that_always_hangs_up_is_lost(run, bus):
    async def story():
        node = peer(drops=99)
        async with radio_on(bus(), node) as (radio, _):
            with pytest.raises(RadioLost, match="tried 5 times"):
                await radio.connect(node.address, Service.PROVISIONING, timeout_s=20)
            assert 5 == node.connects

    run(story())


def test_a_node_that_never_answers_is_given_up_after_the_limit_and_tried_again(
    run, bus, monkeypatch
):
    monkeypatch.setattr(bluezlink, "CONNECT_S", 0.4)

    async def story():
        node = peer(deaf=1)
        async with radio_on(bus(), node) as (radio, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            assert 2 == node.connects
            await link.close()

    run(story())


def test_a_node_out_of_reach_is_lost_in_time(run, bus):
    async def story():
        node, far = peer(1), peer(2, in_reach=False)
        async with radio_on(bus(), node, far) as (radio, _):
            began_s = time.monotonic()
            with pytest.raises(RadioLost, match="was not heard advertising"):
                await radio.connect(far.address, Service.PROVISIONING, timeout_s=1)
            assert 3 > time.monotonic() - began_s
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.close()

    run(story())


def test_a_node_that_bluetoothd_forgot_after_the_scan_is_looked_for_again(run, bus):
    async def story():
        node = peer()
        async with radio_on(bus(), node, forget_s=0.1) as (radio, played):
            await first(radio)
            await asyncio.sleep(0.3)
            assert node.path not in played.objects
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.close()

    run(story())


def test_a_connect_that_is_cancelled_leaves_no_link(run, bus):
    async def story():
        node = peer()
        async with radio_on(bus(), node) as (radio, played):
            for wait_s in (0.03, 0.05, 0.06, 0.07, 0.08, 0.1):
                await first(radio)
                connecting = radio.connect(node.address, Service.PROVISIONING, timeout_s=30)
                work = asyncio.create_task(connecting)
                await asyncio.sleep(wait_s)
                if work.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await work
                else:  # it was quicker
                    await (await work).close()
                await asyncio.sleep(0.3)
                device = played.objects.get(node.path, {}).get(DEVICE)
                assert device is None or not device["Connected"].value
            assert node.connects >= 3

    run(story())


async def write_on(link):
    for number in range(50):
        await link.send(bytes([number]))


def test_a_link_that_drops_in_mid_write_is_lost_for_reader_and_writer(run, bus):
    async def story():
        node = peer(hang_up_after=3)
        async with radio_on(bus(), node) as (radio, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            with pytest.raises(RadioLost):
                await write_on(link)
            assert [b"\x00", b"\x01"] == [await link.receive(), await link.receive()]
            with pytest.raises(RadioLost, match="hung up, or is out of reach"):
                await link.receive()
            await link.close()

    run(story())


def test_a_node_that_a_killed_process_left_connected_is_taken_over(run, bus):
    async def story():
        node = peer()
        daemon = bus()
        async with bluetoothd(daemon, node) as played:
            first_radio = await open_bluez()
            await first_radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            # no close: as after kill -9, bluetoothd keeps the link
            second = await open_bluez()
            link = await second.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.send(b"mine")
            assert b"mine" == await link.receive()
            assert 2 == node.connects
            await second.close()
            await first_radio.close()
            assert played.objects

    run(story())


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"table": (0x1828,)}, r"no mesh provisioning service \(0x1827\)"),
        ({"without": (0x2ADC,)}, "lacks a characteristic"),
    ],
)
def test_a_node_without_the_service_is_said_to_lack_it(run, bus, made, why):
    async def story():
        node = peer(**made)
        async with radio_on(bus(), node) as (radio, _):
            with pytest.raises(ServiceMissing, match=why):
                await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            assert 2 == node.connects

    run(story())


def test_an_old_table_of_services_is_dropped_and_read_anew(run, bus):
    async def story():
        node = peer(keeps_old_table=True)
        async with radio_on(bus(), node) as (radio, _):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            await link.close()
            node.table = (0x1828,)  # and bluetoothd has not noticed
            link = await radio.connect(node.address, Service.PROXY, timeout_s=10)
            await link.send(b"anew")
            assert b"anew" == await link.receive()
            await link.close()

    run(story())


def test_the_firmware_update_service_is_reached_too(run, bus):
    async def story():
        node = peer(said={0x1828: NETWORK_ID}, table=(0x1828, SMP), mtu=498)
        async with radio_on(bus(), node) as (radio, _):
            link = await radio.connect(node.address, Service.SMP, timeout_s=10)
            assert 495 == link.room_bytes
            await link.send(bytes(495))
            assert bytes(495) == await link.receive()
            await link.close()

    run(story())


def test_several_links_are_carried_at_once_and_connects_do_not_overlap(run, bus):
    async def story():
        nodes = [peer(number) for number in range(1, 5)]
        async with radio_on(bus(), *nodes, disconnect_s=0.5) as (radio, played):
            links = await asyncio.gather(
                *(radio.connect(n.address, Service.PROVISIONING, timeout_s=15) for n in nodes)
            )
            for number, link in enumerate(links):
                await link.send(bytes([number]))
            assert [bytes([n]) for n in range(4)] == [await link.receive() for link in links]
            began_s = time.monotonic()
            await asyncio.gather(*(link.close() for link in links))
            assert 1.5 > time.monotonic() - began_s
            kinds = [member for member, _ in played.calls if member in {"Connect", "StartNotify"}]
            assert 8 == len(kinds)

    run(story())


@pytest.mark.parametrize(
    ("happen", "why"),
    [
        (lambda played: played.unplug(), "adapter hci0 was unplugged"),
        (lambda played: played.power(False), "adapter hci0 was switched off"),
        (lambda played: played.bus.disconnect(), "BlueZ ended"),
    ],
    ids=["unplugged", "off", "crashed"],
)
def test_an_adapter_that_goes_away_ends_scan_link_and_radio(run, bus, happen, why):
    async def story():
        node = peer()
        async with radio_on(bus(), node) as (radio, played):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            async with radio.scan() as heard:
                happen(played)
                with pytest.raises(NoRadio, match=why):
                    async for _ in heard:
                        pass
            with pytest.raises(RadioLost, match=why):
                await link.receive()
            with pytest.raises(NoRadio, match=why):
                await radio.connect(node.address, Service.PROVISIONING, timeout_s=5)
            began_s = time.monotonic()
            await radio.close()
            assert 5 > time.monotonic() - began_s

    run(story())


def test_a_bluetoothd_that_hangs_does_not_hang_us(run, bus, monkeypatch):
    for module, name, limit_s in (
        (bluez, "CALL_S", 0.3),
        (bluezbus, "CALL_S", 0.3),
        (bluezlink, "CONNECT_S", 0.3),
        (bluezlink, "GIVE_UP_S", 0.2),
        (bluezlink, "HANG_UP_S", 0.3),
        (bluezlink, "SEND_S", 0.3),
    ):
        monkeypatch.setattr(module, name, limit_s)

    async def story():
        node, other = peer(1), peer(2)
        async with radio_on(bus(), node, other) as (radio, played):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=5)
            await first(radio, lambda said: said.address == other.address)
            played.frozen = True
            began_s = time.monotonic()
            with pytest.raises(RadioLost, match="nothing went out"):
                await link.send(b"lost")
            with pytest.raises(NoRadio, match=r"BlueZ (does not come back|gave no answer)"):
                await radio.connect(other.address, Service.PROVISIONING, timeout_s=5)
            with pytest.raises(NoRadio, match="BlueZ gave no answer"):
                await first(radio)
            await radio.close()
            assert 6 > time.monotonic() - began_s
            played.frozen = False

    run(story())


def test_after_a_crash_of_bluetoothd_a_new_radio_works_in_the_same_process(run, bus):
    async def story():
        daemon, node = bus(), peer()
        async with radio_on(daemon, node) as (radio, played):
            link = await radio.connect(node.address, Service.PROVISIONING, timeout_s=10)
            played.bus.disconnect()
            with pytest.raises(RadioLost, match="BlueZ ended"):
                await link.receive()
        node.table, node.said = (0x1828, 0x180A), {0x1828: NETWORK_ID}
        async with radio_on(daemon, node) as (radio, _):
            assert NETWORK_ID == (await first(radio)).proxy
            link = await radio.connect(node.address, Service.PROXY, timeout_s=10)
            await link.send(b"again")
            assert b"again" == await link.receive()
            await link.close()

    run(story())


def test_the_bus_that_ends_ends_the_radio(run, bus):
    async def story():
        daemon = bus()
        played = await Bluetoothd(daemon.address).start()
        radio = await open_bluez()
        async with radio.scan() as heard:
            daemon.process.kill()
            with pytest.raises(NoRadio, match=r"bus is gone|BlueZ ended"):
                await anext(heard)
        await radio.close()
        await played.stop()

    run(story())


def test_no_bus_is_said_with_what_to_do(run, monkeypatch, tmp_path):
    monkeypatch.setenv(BUS_VARIABLE, f"unix:path={tmp_path}/none")
    with pytest.raises(NoRadio, match="no system bus at unix:path=") as e:
        run(open_bluez())
    assert ("no-dbus", 69) == (e.value.code, e.value.exit)
    assert "--ble hci:" in e.value.hint


def test_a_bus_that_refuses_us_is_a_matter_of_permission(run, bus):
    bus(auth="ANONYMOUS")
    with pytest.raises(RadioDenied, match="the system bus refuses user") as e:
        run(open_bluez())
    assert 77 == e.value.exit


def test_a_policy_that_refuses_us_is_a_matter_of_permission(run, bus):
    async def story():
        async with bluetoothd(bus(rule=DENY)):
            with pytest.raises(RadioDenied, match="does not let user") as e:
                await open_bluez()
            assert "usermod -aG bluetooth" in e.value.hint

    run(story())


def test_a_bus_without_bluez_is_said(run, bus):
    bus()
    with pytest.raises(NoRadio, match="BlueZ does not run") as e:
        run(open_bluez())
    assert ("no-bluez", "systemctl start bluetooth") == (e.value.code, e.value.hint)


def test_the_adapter_is_named_or_the_first_that_works(run, bus):
    async def story():
        async with bluetoothd(bus(), adapters=("hci0", "hci1", "hci10")) as played:
            with pytest.raises(NoRadio, match="no adapter hci7; there is hci0, hci1, hci10"):
                await open_bluez("hci7")
            played.power(False)
            radio = await open_bluez()
            assert "bluez:hci1" == radio.name
            await radio.close()
            with pytest.raises(NoRadio, match="adapter hci0 is switched off") as e:
                await open_bluez("hci0")
            assert "bluetoothctl power on" in e.value.hint

    run(story())


def test_no_adapter_is_said(run, bus):
    async def story():
        async with bluetoothd(bus(), adapters=()):
            with pytest.raises(NoRadio, match="no Bluetooth adapter is attached"):
                await open_bluez()

    run(story())


def test_the_bus_says_whether_bluez_runs_without_starting_it(run, bus):
    async def story():
        daemon = bus()
        ours = await open_bus()
        assert not await ours.runs()
        async with bluetoothd(daemon):
            assert await ours.runs()
        await ours.close()

    run(story())
