"""Commissioning against real node state machines: many, killed, lying, lost; nobody twice."""

import asyncio
from random import Random

import pytest
from meshsite import FakeRadio, Site, until
from test_runner import Memory, in_loop, plan_of

from dunes.ble.errors import RadioLost
from dunes.gateway.commission import Commissioner
from dunes.gateway.outcome import Stage
from dunes.gateway.proxies import Proxies
from dunes.gateway.runner import Runner
from dunes.gateway.wish import Wish
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import ManagerState, Progress
from dunes.mesh.models.generic import OnOffGet
from dunes.mesh.provisioning.oob import Oob
from dunes.mesh.provisioning.pdus import Capabilities, OobType


class Killed(Exception):
    """The process ended here: nothing after it was done."""


class Place:
    """A site and the disk of a gateway; runs come and go."""

    def __init__(self, count, **more):
        self.site = Site(count, **more)
        self.memory = Memory(ManagerState.new(Random(1)))
        self.runs = 0
        self.told = []

    async def run(self, nodes, *, links_max=4, after=None, **wish):
        """Commission once; with `after`, die at that write, before or after it is done."""
        self.runs += 1
        radio = self.radio = FakeRadio(self.site, links_max)
        writes = 0
        memory = self.memory

        class Disk:
            take = memory.take

            def keep(self, stores, items):
                nonlocal writes
                writes += bool(stores)
                if after is not None and writes > after // 2:
                    if after % 2 and writes == after // 2 + 1:
                        memory.keep(stores, items)
                    raise Killed
                return memory.keep(stores, items)

            def close(self):
                pass

        loop = asyncio.get_running_loop()
        manager = Manager.start(self.memory.state, Random(50 + self.runs), now_s=loop.time())
        try:
            async with Runner(manager, radio, Disk()) as runner:
                told = self.told = []
                wish = {"quiet_s": 0.6, "plan_of": lambda _: plan_of(manager)} | wish
                work = Commissioner(runner, Proxies(runner), Wish(nodes, **wish), told.append)
                return await work.run()
        finally:
            await radio.close()

    def nodes(self):
        return self.memory.state.nodes


def test_all_that_is_asked_for_is_configured_in_parallel_and_named_by_itself():
    async def body():
        place = Place(12)
        async with place.site:
            report = await place.run(12)
        assert report.complete
        assert (12, 0, ()) == (report.configured, report.before, report.outcomes)
        assert 4 == place.radio.most
        assert [1] * 12 == [each.provisioned for each in place.site.hosted]
        assert {each.name for each in place.site.hosted} == {n.name for n in place.nodes()}
        assert {Progress.CONFIGURED} == {n.progress for n in place.nodes()}
        last = [told for told in place.told if told.stage is Stage.CONFIGURED][-1]
        assert (12, 12) == (last.done, last.wanted)

    in_loop(body)


def test_a_second_run_does_nothing():
    async def body():
        place = Place(3)
        async with place.site:
            await place.run(3)
            before = place.memory.state.nodes
            report = await place.run(3)
        assert (True, 3, 0) == (report.complete, report.before, place.radio.connects)
        assert before == place.nodes()
        assert [] == place.told

    in_loop(body)


def test_no_more_are_taken_than_asked_for_and_more_can_be_asked_for_later():
    async def body():
        place = Place(5)
        async with place.site:
            await place.run(2)
            assert 2 == sum(each.provisioned for each in place.site.hosted)
            report = await place.run(5)
        assert (True, 5, 2) == (report.complete, report.configured, report.before)

    in_loop(body)


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 5, 6, 7, 9, 13, 21, 33])
def test_killed_at_any_moment_a_rerun_finishes_and_nobody_is_provisioned_twice(after):
    async def body():
        place = Place(3)
        async with place.site:
            with pytest.raises(Killed):
                await place.run(3, links_max=2, after=after)
            report = await place.run(3)
        assert report.complete
        assert [1] * 3 == [each.provisioned for each in place.site.hosted]
        theirs = {each.node.unicast: each.node.description.uuid for each in place.site.hosted}
        assert theirs == {node.unicast: node.uuid for node in place.nodes()}

    in_loop(body)


def test_a_half_provisioned_node_whose_identity_is_over_is_recovered_through_a_proxy():
    async def body():
        place = Place(2)
        async with place.site:
            await place.run(2)
            half = place.nodes()[1]
            forgotten = type(half)(half.uuid, half.unicast, half.elements, half.device_key)
            first = place.nodes()[0]
            state = place.memory.state
            place.memory.state = type(state)(
                state.unicast, state.stack, (first, forgotten), state.gone, state.low, state.high
            )
            for each in place.site.hosted:
                each.node.config.identity_until_s.clear()
            report = await place.run(2)
        assert report.complete
        assert [1, 1] == [each.provisioned for each in place.site.hosted]
        assert "it answers: it had taken its keys" in {told.detail for told in place.told}

    in_loop(body)


def test_a_half_provisioned_node_that_is_gone_is_named_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setattr("dunes.mesh.requests.TIMEOUT_S", 0.3)

    async def body():
        place = Place(3)
        async with place.site:
            await place.run(1)
            lost = place.nodes()[0]
            forgotten = type(lost)(lost.uuid, lost.unicast, 1, lost.device_key, name="rover")
            state = place.memory.state
            place.memory.state = type(state)(
                state.unicast, state.stack, (forgotten,), state.gone, state.low, state.high
            )
            for each in place.site.hosted:
                each.silent = each.node.unicast == lost.unicast
            report = await place.run(2)
        assert (False, 2) == (report.complete, report.configured)
        (outcome,) = report.outcomes
        assert ("rover", lost.uuid.hex()) == (outcome.name, outcome.uuid)
        assert "half-provisioned" in outcome.reason

    asyncio.run(body())


def flip(kind):
    """Change the confirmation, random or key that a device sends: the last octet of a PDU."""
    state = {"kind": None}

    def wrong(value):
        if value[0] & 0xC0 in (0x00, 0x40):
            state["kind"] = value[1] if value[0] & 0x3F == 3 else None
        if state["kind"] == kind and value[0] & 0xC0 in (0x00, 0xC0):
            return value[:-1] + bytes([value[-1] ^ 1])
        return value

    return wrong


@pytest.mark.parametrize(
    ("kind", "says"),
    [(3, "key"), (5, "confirm"), (6, "confirm")],
    ids=["a key off the curve", "a wrong confirmation", "a wrong random"],
)
def test_a_device_that_lies_is_refused_and_named_and_the_rest_goes_on(kind, says):
    async def body():
        place = Place(4)
        async with place.site:
            liar = place.site.hosted[1]
            liar.wrong = flip(kind)
            report = await place.run(4)
        assert (False, 3) == (report.complete, report.configured)
        (outcome,) = report.outcomes
        assert liar.node.description.uuid.hex() == outcome.uuid
        assert says in outcome.reason
        assert 0 == liar.provisioned

    in_loop(body)


def test_links_lost_in_the_middle_are_tried_again():
    async def body():
        place = Place(4)
        async with place.site:
            for number, each in enumerate(place.site.hosted):
                each.hang_up_after = 3 + 5 * number
            report = await place.run(4)
        assert report.complete
        assert [1] * 4 == [each.provisioned for each in place.site.hosted]

    in_loop(body)


def test_a_copy_of_a_node_that_answers_is_refused():
    async def body():
        place = Place(2)
        async with place.site:
            await place.run(2)
            copy = place.site.add("copy")
            copy.node.description.uuid = place.site.hosted[0].node.description.uuid
            report = await place.run(3)
        assert (False, 2, 0) == (report.complete, report.configured, copy.provisioned)
        assert "a copy" in report.outcomes[0].reason
        assert 2 == len(place.nodes())

    in_loop(body)


def test_static_oob_is_used_and_a_wrong_value_is_said():
    async def body():
        secret = bytes(range(16))
        place = Place(0)
        for value in (secret, bytes(16), b""):
            caps = Capabilities(oob_type=OobType.STATIC) if value else Capabilities()
            place.site.add(static_oob=value, capabilities=caps)
        async with place.site:
            report = await place.run(3, oob_of=lambda _uuid: Oob(static=secret))
        assert 2 == report.configured
        (outcome,) = report.outcomes
        assert place.site.hosted[1].node.description.uuid.hex() == outcome.uuid

    in_loop(body)


def test_output_and_input_oob_ask_an_operator():
    async def body():
        place = Place(0)
        shows = place.site.add(capabilities=Capabilities(output_size=4, output_actions=8))
        takes = place.site.add(capabilities=Capabilities(input_size=4, input_actions=4))

        async def operator(uuid, question):
            if type(question).__name__ == "Show":
                takes.node.provide(next(iter(takes.links)), question.value, place.site.now_s)
                place.site.kick.set()
                return ""
            assert shows.node.description.uuid == uuid
            return next(e.value for e in shows.events if type(e).__name__ == "Show")

        async with place.site:
            oob = Oob(output=True, input=True, none=False)
            report = await place.run(2, oob_of=lambda _uuid: oob, ask=operator)
        assert report.complete

    in_loop(body)


def test_an_adapter_lost_in_the_middle_ends_the_run_and_the_next_one_finishes():
    async def body():
        place = Place(6)
        async with place.site:
            running = asyncio.create_task(place.run(6))
            await until(lambda: any(each.provisioned for each in place.site.hosted))
            place.radio.unplug()
            with pytest.raises(RadioLost, match="adapter"):
                await running
            report = await place.run(6)
        assert report.complete
        assert [1] * 6 == [each.provisioned for each in place.site.hosted]

    in_loop(body)


@pytest.mark.parametrize("silent", [False, True], ids=["hangs up", "says nothing any more"])
def test_the_gateway_finds_another_proxy_when_one_is_lost(silent, monkeypatch):
    monkeypatch.setattr("dunes.gateway.proxies.QUIET_S", 0.3)
    monkeypatch.setattr("dunes.gateway.proxies.ANSWER_S", 0.3)

    async def body():
        place = Place(3)
        async with place.site:
            await place.run(3)
            loop = asyncio.get_running_loop()
            manager = Manager.start(place.memory.state, Random(9), now_s=loop.time())
            radio = FakeRadio(place.site)
            async with Runner(manager, radio, place.memory) as runner:
                proxies = Proxies(runner)
                async with proxies.kept():
                    await proxies.ready(5)
                    first = proxies.address
                    gone = next(e for e in place.site.hosted if e.address == first)
                    gone.silent = True
                    if not silent:
                        next(iter(gone.links.values())).break_()
                    await until(lambda: proxies.address not in ("", first))
                    assert first != proxies.address
                    far = next(
                        e for e in place.site.hosted if e.address not in (first, proxies.address)
                    )
                    answer = await runner.request(far.node.unicast, OnOffGet(), app_index=0)
                    assert 0 == answer.present

    in_loop(body)
