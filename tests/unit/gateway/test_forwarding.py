"""Readings of linked devices from the buffer onto the air, between real node state machines."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from meshsite import until
from test_listening import TABLE, Place, in_loop

from dunes.buffer.appender import Appender
from dunes.buffer.keyring import Keyring
from dunes.buffer.store import Buffer, buffer_url, open_buffer
from dunes.clock import SYSTEM_CLOCK
from dunes.errors import StorageError
from dunes.gateway.follower import Follower
from dunes.gateway.forwarding import forward, telemetry_group
from dunes.gateway.standing import live, standing
from dunes.gateway.store import MeshStore
from dunes.gateway.verbs import VERBS
from dunes.mesh.network import decode_network
from dunes.model import Priority, Reading
from dunes.settings import load
from dunes.uplink.target import gateway_name

SAT, GROUP = "cube-sat-001", 0xC001
MESH_MESSAGE = 0x2A
"""AD type of a network PDU (Assigned Numbers, 2.3)."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DUNES_HOME", str(tmp_path))
    return load({"DUNES_HOME": str(tmp_path), "DUNES_MESH_ID": "lunar-ble-001"}, folder=tmp_path)


def reading(value, device=SAT, kind="radiation", unit="uSv/h", priority=Priority.ROUTINE):
    return Reading(device, kind, value, unit, SYSTEM_CLOCK.unix_us(), priority)


def ingest(home, *readings, table="iot_data", gateway=None):
    """Write as `dunes ingest` does: sealed and signed."""
    keys = Keyring.load(home, create=True)
    home.paths.ready(home.paths.data)
    name = gateway or gateway_name(home, keys.identity.kid)
    with Buffer.open(buffer_url(home), name) as buffer:
        signing = keys.identity.signing
        appender = Appender(buffer, table, signer=signing, make_sealer=keys.make_sealer)
        appender.extend(readings)
        appender.close()


class Ear:
    """Opens what passes the air: source and destination of each message, once."""

    def __init__(self, at, gateway):
        self.seen = {}
        broadcast, stack = at.site.broadcast, gateway.manager.stack

        def hears(sender, data):
            if data[0] == MESH_MESSAGE:
                pdu = decode_network(stack.keys, stack.iv.index, data[1:])
                self.seen[pdu.src, pdu.seq] = pdu.dst
            broadcast(sender, data)

        at.site.broadcast = hears

    def sources(self, dst=GROUP):
        return [src for (src, _), to in sorted(self.seen.items()) if to == dst]


@asynccontextmanager
async def forwarding(at):
    async with at.listening() as gateway:
        ear = Ear(at, gateway)
        task = asyncio.create_task(forward(gateway))
        try:
            await asyncio.sleep(0.2)
            yield gateway, ear
        finally:
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(result, asyncio.CancelledError), result


def test_readings_of_a_linked_device_go_to_the_telemetry_group_from_its_element(home, monkeypatch):
    async def body():
        at = Place(home, monkeypatch, 2)
        async with at.site:
            await at.set_up()
            ingest(home, reading(1.0))  # before anybody listens
            async with forwarding(at) as (gateway, ear):
                link = VERBS["link"]
                done = await link(gateway, {"device": SAT})
                assert (1, 2, True, True) == (done.element, done.address, done.changed, done.told)
                ingest(home, reading(2.0), reading(5.0, "hab-sensor-001"), reading(6.0, "rover-1"))
                await until(lambda: gateway.bridge.published == 1)
                ingest(home, reading(3.0), gateway="another-gateway")
                ingest(home, reading(4.0, kind="wind_speed", unit="m/s"), table="mesh_data")
                await until(lambda: gateway.bridge.skipped["kind"] == 1)
                assert ([2], 1) == (ear.sources(), gateway.bridge.published)
                assert any("wind_speed is not told to the mesh" in said for said in at.said)
                now = await live(gateway, {})
                assert (1, {"kind": 1}) == (now.published, now.skipped)
                shown = await standing(home, None)
                assert [(SAT, 1, 2)] == [(e.device, e.element, e.address) for e in shown.linked]
                gone = await link(gateway, {"device": SAT, "unlink": True})
                assert (False, True, 2) == (gone.linked, gone.changed, gone.address)
                ingest(home, reading(7.0))
                await asyncio.sleep(1.2)
                assert [2] == ear.sources()
            assert 0 == len(at.heard)  # our own words are no readings

    in_loop(body)


def test_without_a_proxy_the_newest_waits_and_a_read_error_passes(home, monkeypatch):
    async def body():
        at = Place(home, monkeypatch, 1)
        async with at.site:
            await at.set_up()
            async with forwarding(at) as (gateway, ear):
                gateway.store.link(SAT)
                gateway.relink()
                at.named("hab-sensor-001").silent = True
                for link in at.site.open_links():
                    link.break_()
                await until(lambda: not gateway.runner.online)
                read, broken = Follower.read, []

                def fails_once(self, devices):
                    if not broken:
                        broken.append(1)
                        raise StorageError("the disk hiccups")
                    return read(self, devices)

                monkeypatch.setattr(Follower, "read", fails_once)
                for value in (1.0, 2.0, 3.0):
                    ingest(home, reading(value))
                await until(lambda: gateway.bridge.waiting == 1 and gateway.bridge.superseded == 2)
                assert "linked devices: the disk hiccups; trying again" in at.said
                assert 0 == gateway.bridge.published
                at.named("hab-sensor-001").silent = False
                await until(lambda: gateway.bridge.published == 1)
                await until(lambda: ear.sources() == [2])

    in_loop(body)


def test_reports_are_counted_on_over_a_restart_and_none_goes_without_its_number_kept(
    home, monkeypatch
):
    async def body():
        at = Place(home, monkeypatch, 1)
        async with at.site:
            await at.set_up()
            with MeshStore.open(home) as store:
                store.link(SAT)
            for restart in range(2):
                async with forwarding(at) as (gateway, ear):
                    ingest(home, reading(1.0))
                    await until(lambda ear=ear: ear.sources() == [2])
                    assert restart + 1 == gateway.store.links()[0].sequence
            async with forwarding(at) as (gateway, ear):
                with monkeypatch.context() as patch:
                    patch.setattr(MeshStore, "save_sequences", fails)
                    ingest(home, reading(2.0))
                    await until(lambda: gateway.bridge.skipped["storage"] == 1)
                    assert ([], 2) == (ear.sources(), gateway.store.links()[0].sequence)
                assert "linked devices: the disk hiccups; trying again" in at.said
                gateway.store.unlink(SAT)
                gateway.store.link("buoy-001")
                gateway.relink()
                ingest(home, reading(3.0, "buoy-001"))
                await until(lambda: ear.sources() == [2])
                assert 4 == gateway.store.links()[0].sequence

    in_loop(body)


def fails(*_given):
    raise StorageError("the disk hiccups")


# ---------------------------------------------------------------- the follower


@pytest.fixture
def follow(home):
    """Follow the buffer as a listener does."""
    ingest(home, reading(0.0))
    keys = Keyring.load(home)
    with open_buffer(home, create=False) as buffer:
        name = gateway_name(home, keys.identity.kid)
        follower = Follower(buffer, name, keys.opener_for(buffer))
        follower.skip()
        yield follower


def values(follower, *devices):
    return [each.value for each in follower.read(frozenset(devices or (SAT,)))]


def test_only_what_is_new_is_read_in_any_table_and_once(home, follow):
    assert [] == values(follow)
    ingest(home, reading(1.0), reading(9.0, "rover-1"))
    ingest(home, reading(2.0), table=TABLE)
    ingest(home, reading(3.0, priority=Priority.ALERT))
    assert {1.0, 2.0, 3.0} == set(values(follow))
    assert [] == values(follow)
    ingest(home, reading(4.0))
    follow.skip()
    ingest(home, reading(5.0))
    assert [5.0] == values(follow, SAT, "rover-1")


def test_more_frames_than_a_page_are_all_read(home, follow):
    keys = Keyring.load(home)
    with Buffer.open(buffer_url(home), gateway_name(home, keys.identity.kid)) as buffer:
        appender = Appender(buffer, "iot_data")
        for i in range(600):
            appender.add(reading(float(i)))
            appender.commit()
        appender.close()
    assert [float(i) for i in range(600)] == values(follow)


def test_a_frame_that_cannot_be_read_costs_only_itself(home, follow):
    for value in (1.0, 2.0, 3.0):
        ingest(home, reading(value))
    with follow.buffer.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE frame SET body=zeroblob(40) WHERE lane=2 AND no=3")
    assert ([1.0, 3.0], 1) == (values(follow), follow.unreadable)


def test_frames_that_gave_way_before_they_were_read_hold_nothing_up(home, follow):
    ingest(home, reading(1.0))
    with follow.buffer.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM frame")
    assert [] == values(follow)
    ingest(home, reading(2.0))
    assert [2.0] == values(follow)


def test_the_group_is_the_meshs_own_of_that_name():
    assert GROUP == telemetry_group({})
    assert 0xC105 == telemetry_group({0xC100: "health", 0xC105: "telemetry"})
