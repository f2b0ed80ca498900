import asyncio
import contextlib
from itertools import count

import pytest
from firmware_boards import STRANGER, MemoryTransport, image, server
from hypothesis import given
from hypothesis import strategies as st

from dunes.firmware import session
from dunes.firmware.errors import NodeRefused, NodeSilent, Reverted
from dunes.firmware.image import parse_image
from dunes.firmware.session import Account, Result, Stage, Update
from dunes.firmware.smp import SmpNode
from dunes.firmware.version import Version
from dunes.sim.smp_server import HEADER

UPLOAD, RESET, CONFIRM = (1, 1), (0, 5), (1, 0)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("SETTLE_S", "RETRY_S", "CALM_S"):
        monkeypatch.setattr(session, name, 0.0)


def command(frame):
    _op, _flags, _length, group, _sequence, number = HEADER.unpack_from(frame)
    return group, number


def update(node, data=None, *, cut=lambda _frame: False, keep=True, told=None, **more):
    smp = SmpNode("rover-001", lambda: MemoryTransport(node, cut, **more), "memory")
    wanted = parse_image(data or image())
    tell = (lambda stage, done: told.append((stage, done))) if told is not None else print
    account = Account()
    work = Update(smp, wanted, 5.0, 0.2, tell, keep=keep)
    return asyncio.run(work.run(account)), account


def running(node):
    return node.board.running.version, node.board.confirmed


def test_a_node_is_updated_and_keeps_it():
    node, told = server(), []
    result, account = update(node, told=told)
    assert Result.UPDATED == result
    assert (Version(1, 2), True) == running(node)
    assert (len(image()), 0, 0) == (account.sent_bytes, account.resumed_bytes, account.breaks)
    stages = [stage for stage, _ in told]
    assert list(dict.fromkeys(stages)) == [
        Stage.CONNECT, Stage.UPLOAD, Stage.TEST, Stage.RESTART, Stage.VERIFY, Stage.CONFIRM,
    ]  # fmt: skip
    uploads = [done for stage, done in told if stage is Stage.UPLOAD]
    assert sorted(uploads) == uploads
    assert len(image()) == uploads[-1]


def test_a_second_time_nothing_is_done():
    node = server()
    update(node)
    starts = node.board.starts
    assert (Result.UP_TO_DATE, Account()) == update(node)
    assert starts == node.board.starts


def test_the_new_image_stays_after_more_starts():
    node = server()
    update(node)
    node.reset()
    node.reset()
    assert (Version(1, 2), True) == running(node)


def test_an_upload_that_breaks_off_goes_on_where_the_node_stopped():
    node, seen = server(), count()

    def cut(frame):
        return command(frame) == UPLOAD and next(seen) in {3, 9}

    result, account = update(node, cut=cut, buffered=False)
    assert Result.UPDATED == result
    assert 2 == account.breaks
    assert len(image()) == account.sent_bytes


def test_a_command_that_is_repeated_resumes_what_another_began():
    node, seen = server(), count()

    def dies(frame):
        return command(frame) == UPLOAD and next(seen) >= 6

    with pytest.raises(NodeSilent) as broken:
        update(node, cut=dies, buffered=False)
    assert "upload-broken" == broken.value.code
    assert "1.1.0" == str(node.board.running.version)
    result, account = update(node, buffered=False)
    assert Result.UPDATED == result
    assert account.resumed_bytes > 2000
    assert len(image()) == account.resumed_bytes + account.sent_bytes


def test_a_node_that_resets_in_mid_upload_gets_it_from_the_start():
    node, seen = server(), count()

    def cut(frame):
        if command(frame) == UPLOAD and next(seen) == 5:
            node.reset()
        return False

    result, account = update(node, cut=cut, buffered=False)
    assert Result.UPDATED == result
    assert account.sent_bytes > len(image())


def test_an_image_that_waits_already_is_not_sent_again():
    node = server()
    calls = count()
    with pytest.raises(NodeSilent):
        update(node, cut=lambda frame: command(frame) == CONFIRM and next(calls) >= 1)
    assert node.board.slots[1].image is not None
    result, account = update(node)
    assert (Result.UPDATED, 0) == (result, account.sent_bytes)


def test_without_keeping_the_next_start_takes_it_back():
    node = server()
    result, _ = update(node, keep=False)
    assert Result.ON_TRIAL == result
    assert (Version(1, 2), False) == running(node)
    node.reset()
    assert (Version(1, 1), True) == running(node)


def test_a_node_on_trial_is_confirmed_without_another_upload():
    node = server()
    update(node, keep=False)
    starts = node.board.starts
    result, account = update(node)
    assert (Result.UPDATED, 0) == (result, account.sent_bytes)
    assert starts == node.board.starts
    assert (Version(1, 2), True) == running(node)


def test_an_image_that_crashes_is_reported_as_reverted():
    wanted = parse_image(image()).hash
    node = server(crashes=lambda found: found.hash == wanted)
    with pytest.raises(Reverted) as reverted:
        update(node)
    assert "did not stay up; it runs 1.1.0" in reverted.value.message
    assert (Version(1, 1), True) == running(node)


def test_an_image_that_the_bootloader_refuses_is_reported_so():
    node = server()
    with pytest.raises(Reverted) as reverted:
        update(node, image(key=STRANGER))
    assert "bootloader refused the image" in reverted.value.message
    assert (Version(1, 1), True) == running(node)


def test_a_new_firmware_that_does_not_answer_is_taken_back():
    node = server()

    def cut(frame):
        echo = command(frame) == (0, 0)
        return echo and node.board.running.version == Version(1, 2)

    with pytest.raises(Reverted) as reverted:
        update(node, cut=cut)
    assert "it was restarted and runs 1.1.0" in reverted.value.message
    assert (Version(1, 1), True) == running(node)


def test_a_confirmation_that_is_lost_is_reported_and_reverts():
    node = server()

    def cut(frame):
        return command(frame) == CONFIRM and frame[0] & 7 == 2 and (
            node.board.running.version == Version(1, 2)
        )  # fmt: skip

    with pytest.raises(Reverted):
        update(node, cut=cut)
    assert (Version(1, 1), True) == running(node)


def test_a_node_that_never_comes_back_is_lost_not_updated():
    node, gone = server(), []

    def cut(frame):
        if command(frame) == RESET:
            gone.append(1)
        return bool(gone)

    with pytest.raises(NodeSilent) as lost:
        update(node, cut=cut)
    assert "node-lost" == lost.value.code


def test_a_node_that_nobody_hears_is_silent():
    smp = SmpNode("rover-001", lambda: MemoryTransport(server(), lambda _: True), "memory")
    with pytest.raises(NodeSilent):
        asyncio.run(Update(smp, parse_image(image()), 0.2, 0.2).run(Account()))


class Lying(MemoryTransport):
    """A node whose answers to uploads are made up."""

    offsets = iter(())

    async def send(self, data):
        await super().send(data)
        if command(data) == UPLOAD:
            import cbor2

            body = cbor2.dumps({"off": next(self.offsets)})
            head = bytearray(data[:8])
            head[0] |= 1
            head[2:4] = len(body).to_bytes(2, "big")
            self._answer = bytes(head) + body


@pytest.mark.parametrize("offsets", [lambda: iter([10**9]), lambda: count(0, 0)])
def test_a_node_that_lies_about_its_offset_is_refused(offsets):
    class Liar(Lying):
        pass

    Liar.offsets = offsets()
    smp = SmpNode("liar", lambda: Liar(server()), "memory")
    with pytest.raises(NodeRefused):
        asyncio.run(Update(smp, parse_image(image()), 5.0, 0.2).run(Account()))


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x01", b"\xff" * 8, b"\x09\x00\x00\x01\x00\x00\x00\x06\xff", bytes(8) + b"\xa1" * 50],
)
def test_a_node_that_answers_nonsense_is_refused_or_silent(answer):
    class Nonsense(MemoryTransport):
        async def receive(self):
            return answer

    smp = SmpNode("nonsense", lambda: Nonsense(server()), "memory")
    with pytest.raises((NodeRefused, NodeSilent)):
        asyncio.run(Update(smp, parse_image(image()), 0.2, 0.2).run(Account()))


@given(st.binary(max_size=80), st.booleans())
def test_any_answer_is_understood_refused_or_silence(data, framed):
    class Anything(MemoryTransport):
        async def send(self, sent):
            head = bytearray(sent[:8])
            head[0] |= 1
            head[2:4] = len(data).to_bytes(2, "big")
            self._answer = bytes(head) + data if framed else data

    async def ask():
        smp = SmpNode("anything", lambda: Anything(server()), "memory")
        await smp.connect()
        return await smp.images()

    with contextlib.suppress(NodeRefused, NodeSilent):
        asyncio.run(ask())


def test_the_facts_of_a_node_are_what_it_says():
    async def ask():
        smp = SmpNode("rover-001", lambda: MemoryTransport(server()), "memory")
        await smp.connect()
        return await smp.facts(await smp.images())

    facts = asyncio.run(ask())
    assert ("rover-001", "simulated", Version(1, 1), Version(2, 1)) == (
        facts.name, facts.board, facts.version, facts.bootloader,
    )  # fmt: skip
