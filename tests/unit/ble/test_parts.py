"""The small parts of a radio: advertisements, mailboxes, the shared scan, attempts."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.ble import attempts
from dunes.ble.advert import advertisement, read_structures
from dunes.ble.attempts import TRIES, keep_trying
from dunes.ble.errors import NoRadio, NotHeard, RadioLost, ServiceMissing
from dunes.ble.hearing import WAITING_MAX, Hearing
from dunes.ble.mailbox import Mailbox
from dunes.ble.radio import Advertisement
from dunes.ble.undisturbed import undisturbed

UNPROVISIONED = bytes(18)
PROXY = b"\x01" + bytes(16)


def test_stale_unprovisioned_data_beside_proxy_data_does_not_count():
    said = advertisement("a", -50, None, {0x1827: UNPROVISIONED, 0x1828: PROXY})
    assert Advertisement("a", -50, None, None, PROXY) == said


def test_what_is_no_mesh_node_is_passed_over():
    assert advertisement("a", -50, "lamp", {}) is None
    assert advertisement("a", -50, "lamp", {0x180F: b"\x64"}) is None
    assert advertisement("a", -50, "lamp", {0x1827: bytes(17)}) is None
    assert advertisement("a", -50, "lamp", {0x1828: b""}) is None
    assert advertisement("a", -50, "lamp", {0x1828: bytes(30)}) is None


def test_structures_are_read_by_type_and_the_whole_name_wins():
    number = (0x1828).to_bytes(2, "little")
    structures = [(0x08, b"nod"), (0x16, number + PROXY), (0x09, b"node\xff"), (0x16, b"\x28")]
    assert ("node\ufffd", {0x1828: PROXY}) == read_structures(structures)
    assert ("node", {}) == read_structures([(0x09, b"node"), (0x08, b"nod")])


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=40))))
def test_any_octets_give_an_advertisement_or_nothing(structures):
    name, service_data = read_structures(structures)
    said = advertisement("a", None, name, service_data)
    assert said is None or (said.proxy is None) != (said.unprovisioned is None)


def test_a_mailbox_gives_what_it_has_before_it_says_why_it_ended(run):
    async def story():
        box = Mailbox(2)
        assert [True, True, False] == [box.put(n) for n in range(3)]
        box.close(RadioLost("first reason"))
        box.close(RadioLost("second reason"))
        assert not box.put(9)
        assert [0, 1] == [await box.get(), await box.get()]
        for _ in range(2):
            with pytest.raises(RadioLost, match="first reason"):
                await box.get()

    run(story())


def test_who_waits_at_a_mailbox_is_woken_by_the_end(run):
    async def story():
        box = Mailbox(1)
        waiting = asyncio.create_task(box.get())
        await asyncio.sleep(0)
        box.close(NoRadio("unplugged"))
        with pytest.raises(NoRadio, match="unplugged"):
            await waiting

    run(story())


def ad(number):
    return Advertisement(str(number), None, None, None, PROXY)


class Adapter:
    def __init__(self):
        self.calls = []
        self.hearing = Hearing(self.start, self.stop)

    async def start(self):
        self.calls.append("start")

    async def stop(self):
        self.calls.append("stop")


def test_a_scan_is_begun_once_paused_and_ended_once(run):
    async def story():
        adapter = Adapter()
        async with adapter.hearing.listen() as one, adapter.hearing.listen() as other:
            assert ["start"] == adapter.calls
            adapter.hearing.heard(ad(1))
            assert ad(1) == await anext(one) == await anext(other)
            async with adapter.hearing.paused():
                assert ["start", "stop"] == adapter.calls
            assert ["start", "stop", "start"] == adapter.calls
        assert ["start", "stop", "start", "stop"] == adapter.calls

    run(story())


def test_who_listens_too_slowly_loses_the_oldest(run):
    async def story():
        adapter = Adapter()
        async with adapter.hearing.listen() as heard:
            for number in range(WAITING_MAX + 5):
                adapter.hearing.heard(ad(number))
            assert "5" == (await anext(heard)).address

    run(story())


def test_after_the_end_nobody_can_listen(run):
    async def story():
        adapter = Adapter()
        adapter.hearing.end(NoRadio("unplugged"))
        with pytest.raises(NoRadio, match="unplugged"):
            async with adapter.hearing.listen():
                pass
        assert [] == adapter.calls

    run(story())


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(attempts, "PAUSE_S", 0.0)


class Attempts:
    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.made = 0

    async def __call__(self, _):
        self.made += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_what_failed_is_tried_again_until_it_works(run, no_pause):
    attempt = Attempts(RadioLost("hung up"), NotHeard("silent"), ServiceMissing("none"), "link")
    assert "link" == run(keep_trying(attempt, "n1", 5))
    assert 4 == attempt.made


def test_not_being_heard_does_not_count_as_a_try(run, no_pause):
    silent = [NotHeard("silent")] * 20
    assert "link" == run(keep_trying(Attempts(*silent, "link"), "n1", 5))


def test_who_fails_too_often_is_given_up_with_the_last_reason(run, no_pause):
    attempt = Attempts(*[RadioLost(f"reason {n}") for n in range(1, 9)])
    with pytest.raises(RadioLost, match=r"node n1 reason 5 \(within 5 s; tried 5 times\)"):
        run(keep_trying(attempt, "n1", 5))
    assert TRIES == attempt.made


def test_a_missing_service_is_believed_the_second_time(run, no_pause):
    attempt = Attempts(ServiceMissing("first"), ServiceMissing("second"))
    with pytest.raises(ServiceMissing, match="second"):
        run(keep_trying(attempt, "n1", 5))


def test_an_attempt_is_cut_short_when_time_is_up(run):
    async def hang(_):
        await asyncio.sleep(60)

    with pytest.raises(RadioLost, match=r"node n1 did not answer in time \(within 0.2 s\)"):
        run(keep_trying(hang, "n1", 0.2))


def test_tidying_up_is_finished_before_a_cancellation_goes_on(run):
    async def story():
        done = []

        async def tidy():
            await asyncio.sleep(0.1)
            done.append(True)

        task = asyncio.create_task(undisturbed(tidy()))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [True] == done

    run(story())
