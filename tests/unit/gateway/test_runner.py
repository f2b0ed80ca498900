"""The runner against real node state machines: provision, configure, ask, listen, lose links."""

import asyncio
from random import Random

import pytest
from meshsite import FakeRadio, Site, until

from dunes.ble.errors import RadioLost
from dunes.ble.radio import Service
from dunes.gateway.keeper import Taken
from dunes.gateway.runner import Runner
from dunes.gateway.waiting import NoAnswer
from dunes.mesh.beacon import Identification
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import ManagerState, Progress
from dunes.mesh.models.generic import OnOffGet, OnOffSet
from dunes.mesh.models.habitat import habitat
from dunes.mesh.procedure import Plan, Publish
from dunes.mesh.provisionings import Invitation
from dunes.mesh.wire import ModelId

GROUP = 0xC001
ONOFF = ModelId(0x1000)


class Memory:
    """Keeps in memory what a keeper writes to the disk."""

    def __init__(self, state):
        self.state, self.items, self.fail = state, [], None

    def take(self, received):
        return Taken([received], urgent=False)

    def keep(self, stores, items):
        if self.fail is not None:
            raise self.fail
        for store in stores:
            self.state = self.state.updated(store)
        self.items += items
        return items

    def close(self):
        self.closed = True


def plan_of(manager):
    key = manager.stack.keys.apps[0].current.key
    bound = [ONOFF, ModelId(0x1002), ModelId(0x1100), habitat().server]
    return Plan(
        app_keys=((0, key),),
        binds=dict.fromkeys(bound, (0,)),
        publications={habitat().server: Publish(GROUP)},
        default_ttl=9,
        relay=(1, 0),
    )


class Bench:
    """A site, a radio, a manager, its memory and a runner."""

    def __init__(self, count, *, state=None, links_max=4):
        self.site = Site(count)
        self.radio = FakeRadio(self.site, links_max)
        self.memory = Memory(state or ManagerState.new(Random(1)))
        loop = asyncio.get_running_loop()
        self.manager = Manager.start(self.memory.state, Random(2), now_s=loop.time())
        self.runner = Runner(self.manager, self.radio, self.memory)

    async def __aenter__(self):
        await self.site.__aenter__()
        await self.runner.__aenter__()
        return self

    async def __aexit__(self, *error):
        await self.runner.__aexit__(*error)
        await self.site.__aexit__(*error)

    async def join(self, hosted):
        address, uuid = hosted.address, hosted.node.description.uuid
        async with self.runner.link(address, Service.PROVISIONING, timeout_s=5) as number:
            return await self.runner.provision(number, Invitation(uuid))


def in_loop(body):
    """Run a coroutine function as a test, at most 20 s."""

    async def limited():
        async with asyncio.timeout(20):
            await body()

    asyncio.run(limited())


def test_a_node_is_provisioned_configured_and_commanded():
    async def body():
        async with Bench(1) as bench:
            (hosted,) = bench.site.hosted
            node = await bench.join(hosted)
            steps = []
            async with bench.runner.link(hosted.address, Service.PROXY, timeout_s=5) as number:
                await bench.runner.proxy(number, node=node.unicast)
                done = await bench.runner.configure(
                    node.unicast, plan_of(bench.manager), on_step=steps.append
                )
                answer = await bench.runner.request(node.unicast, OnOffSet(1, 0), app_index=0)
                assert (1, 1) == (answer.present, hosted.onoff.state(bench.site.now_s))
            assert () == done.unsupported
            await bench.runner.flush()
            (kept,) = bench.memory.state.nodes
            assert (Progress.CONFIGURED, len(steps)) == (kept.progress, kept.step)
            assert hosted.node.unicast == kept.unicast

    in_loop(body)


def test_state_is_kept_before_anything_rests_on_it():
    async def body():
        async with Bench(1) as bench:
            seen = []
            keep = bench.memory.keep

            def slow(stores, items):
                seen.append(bench.site.hosted[0].provisioned)
                keep(stores, items)

            bench.memory.keep = slow
            node = await bench.join(bench.site.hosted[0])
            assert 1 == bench.site.hosted[0].provisioned
            stored = bench.memory.state.nodes[0]
            assert (node.unicast, node.device_key) == (stored.unicast, stored.device_key)
            assert 0 in seen, "the grant was written while the device was none of ours yet"

    in_loop(body)


def test_several_links_are_used_at_once_and_never_more_than_the_radio_has():
    async def body():
        async with Bench(8, links_max=3) as bench:
            nodes = await asyncio.gather(*(bench.join(each) for each in bench.site.hosted))
            assert 8 == len({node.unicast for node in nodes})
            assert 3 == bench.radio.most

    in_loop(body)


async def ready(bench, hosted, *, configured=True):
    """Provision and configure a node; its proxy link stays open until the test ends."""
    node = await bench.join(hosted)
    link = bench.runner.link(hosted.address, Service.PROXY, timeout_s=5)
    number = await link.__aenter__()
    await bench.runner.proxy(number, node=node.unicast)
    if configured:
        await bench.runner.configure(node.unicast, plan_of(bench.manager))
    return node, number, link


def test_what_nodes_say_is_kept_with_the_replay_entry_that_bars_it_from_coming_twice():
    async def body():
        async with Bench(1) as bench:
            (hosted,) = bench.site.hosted
            _, _, link = await ready(bench, hosted)
            for value in (1, 2, 3):
                hosted.report(1, value)
            await until(lambda: len(bench.memory.items) == 3)
            seqs = [item.access.seq for item in bench.memory.items]
            last = {each.src: each.seq for each in bench.memory.state.stack.replay}
            assert max(seqs) == last[hosted.node.unicast]
            assert sorted(set(seqs)) == seqs
            await link.__aexit__(None, None, None)

    in_loop(body)


def test_a_silent_node_is_said_to_be_silent():
    async def body():
        async with Bench(1) as bench:
            (hosted,) = bench.site.hosted
            node, _, link = await ready(bench, hosted)
            hosted.silent = True
            with pytest.raises(NoAnswer, match="asked 2 times"):
                await bench.runner.request(
                    node.unicast, OnOffGet(), app_index=0, tries=2, timeout_s=0.1
                )
            await link.__aexit__(None, None, None)

    in_loop(body)


def test_a_link_that_is_lost_ends_what_waited_on_it():
    async def body():
        async with Bench(1) as bench:
            (hosted,) = bench.site.hosted
            hosted.hang_up_after = 3
            with pytest.raises(RadioLost, match="the link was lost"):
                await bench.join(hosted)
            node = await bench.join(hosted)
            assert node.unicast == hosted.node.unicast

    in_loop(body)


def test_an_unplugged_adapter_ends_links_and_scans_and_nothing_hangs():
    async def body():
        async with Bench(2) as bench:
            _, number, link = await ready(bench, bench.site.hosted[0])
            async with bench.runner.sightings.watching():
                lost = asyncio.create_task(bench.runner.lost(number))
                waits = asyncio.create_task(
                    bench.runner.sightings.find(lambda _: False, timeout_s=10)
                )
                await asyncio.sleep(0.05)
                bench.radio.unplug()
                await asyncio.wait_for(lost, 2)
                with pytest.raises(RadioLost, match="the adapter is gone"):
                    await asyncio.wait_for(waits, 2)
            assert not bench.runner.online
            await link.__aexit__(None, None, None)

    in_loop(body)


def test_a_disk_that_fails_ends_everybody_who_waits():
    async def body():
        async with Bench(1) as bench:
            bench.memory.fail = OSError("disk")
            with pytest.raises(OSError, match="disk"):
                await bench.join(bench.site.hosted[0])
            assert 0 == bench.site.hosted[0].provisioned
            with pytest.raises(OSError, match="disk"):
                await bench.runner.failed()

    in_loop(body)


def test_a_cancelled_user_leaves_no_link_and_no_job():
    async def body():
        async with Bench(1) as bench:
            (hosted,) = bench.site.hosted
            hosted.wrong = lambda data: data[:1]  # answers nothing that can be used
            task = asyncio.create_task(bench.join(hosted))
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert [] == bench.site.open_links()
            assert {} == bench.manager.provisionings.jobs
            assert bench.memory.state.nodes == ()

    in_loop(body)


def test_a_node_of_ours_is_told_by_its_identity():
    async def body():
        async with Bench(3) as bench:
            node = await bench.join(bench.site.hosted[1])

            def is_it(advertisement):
                if advertisement.proxy is None:
                    return False
                seen = bench.manager.identify(advertisement.proxy)
                return seen is not None and seen.unicast == node.unicast

            async with bench.runner.sightings.watching():
                found = await bench.runner.sightings.find(is_it, timeout_s=5)
            assert found.address == bench.site.hosted[1].address
            assert Identification.NODE_IDENTITY == found.proxy[0]

    in_loop(body)
