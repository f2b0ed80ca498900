"""The process of the air is killed, as a board loses its power; its nodes go on."""

import asyncio
import contextlib
import os
import signal
import time

from dunes.mesh.models import config_node, generic
from dunes.sim.air.talk import Begin
from dunes.sim.airprocess import Air

NAMES = ["hab-sensor-001", "crew-001"]


@contextlib.asynccontextmanager
async def air_in(folder, definition):
    air = Air(lambda _acted: None, lambda _text: None)
    now_us = time.time_ns() // 1000
    await air.start(Begin(definition, str(folder), now_us, ((now_us, now_us, 1.0),), 3))
    try:
        yield air, int(air.radio.rpartition(":")[2])
    finally:
        await air.stop()


async def sequence_number(gateway, unicast):
    """Ask a node something; gives the SEQ of its answer."""
    await gateway.ask(unicast, config_node.TtlGet())
    _, seq = gateway.manager.stack.replay.last[unicast]
    return seq


def test_a_killed_air_repeats_no_sequence_number_and_loses_no_key(tmp_path, lunar, open_gateway):
    async def scene():
        last = {}
        async with air_in(tmp_path, lunar) as (air, port), open_gateway(port) as gateway:
            gateway.manage()
            for name in NAMES:
                unicast = await gateway.provision(name)
                link = await gateway.join(name)
                await gateway.configure(unicast)
                await gateway.ask(unicast, generic.OnOffSet(1, 1), 0)
                last[name] = unicast, await sequence_number(gateway, unicast)
                await gateway.hang_up(link)
            os.kill(air.pid, signal.SIGKILL)
            manager, state = gateway.manager, gateway.state
            for link in list(manager.proxies.links):
                manager.closed(link, gateway.now_s())
        async with air_in(tmp_path, lunar) as (air, port), open_gateway(port) as gateway:
            gateway.manage()
            gateway.manager, gateway.state = manager, state
            for name, (unicast, before) in last.items():
                link = await gateway.join(name)
                assert await sequence_number(gateway, unicast) > before
                status = await gateway.ask(unicast, generic.OnOffGet(), 0)
                assert 1 == status.present  # it still has the AppKey, and stands where it was put
                await gateway.hang_up(link)
            assert 2 == (await air.state()).provisioned

    asyncio.run(scene())
