"""The sky's delay, rate and outages, measured over real sockets."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from dunes.sim.line import Line
from dunes.sim.sky import Sky


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Sink:
    """A server that waits for so many bytes and says when the last one came."""

    def __init__(self, total):
        self.missing = total
        self.last_s = 0.0
        self.full = asyncio.Event()

    async def __call__(self, reader, writer):
        while data := await reader.read(65536):
            self.missing -= len(data)
            self.last_s = time.monotonic()
        if self.missing <= 0:
            self.full.set()
        writer.close()


def under_sky(sky_of: Callable[[], Sky], server, work: Callable[[Sky, int], Awaitable[None]]):
    async def main():
        far = await asyncio.start_server(server, "127.0.0.1", 0)
        sky = sky_of()
        port = await sky.listen("127.0.0.1", 0, far.sockets[0].getsockname())
        try:
            async with asyncio.timeout(20):
                await work(sky, port)
        finally:
            await sky.close()
            far.close()
            await far.wait_closed()

    asyncio.run(main())


def test_pieces_share_one_line_and_then_wait_the_delay():
    line = Line(delay_s=0.02, rate_bps=8000)

    assert line.send(100, 10.0) == pytest.approx(10.12)
    assert line.send(100, 10.0) == pytest.approx(10.22)
    assert line.send(100, 20.0) == pytest.approx(20.12)


def test_a_lost_packet_is_a_round_trip_late():
    line = Line(delay_s=1.0, loss=1.0, rng=Random(1))

    assert line.send(1, 0.0) == 3.0


def test_a_round_trip_of_40_ms_is_measured_as_40_ms():
    async def work(_sky, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        trips = []
        for _ in range(15):
            begin = time.monotonic()
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"
            trips.append(time.monotonic() - begin)
        writer.close()
        assert sorted(trips[1:])[7] == pytest.approx(0.040, rel=0.08)

    under_sky(lambda: Sky(Line(0.02), Line(0.02)), echo, work)


def test_a_connection_costs_a_round_trip_before_its_first_byte():
    async def work(_sky, port):
        begin = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"ping")
        await reader.readexactly(4)
        took_s = time.monotonic() - begin
        writer.close()
        assert took_s == pytest.approx(0.2, rel=0.1)

    under_sky(lambda: Sky(Line(0.05), Line(0.05)), echo, work)


@pytest.mark.parametrize("connections", [1, 4])
def test_10_mbit_per_second_are_shared_by_all_connections(connections):
    total = 1_250_000
    sink = Sink(total)

    async def work(_sky, port):
        begin = time.monotonic()

        async def push():
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bytes(total // connections))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(push() for _ in range(connections)))
        await sink.full.wait()
        # one second on the line, after a handshake (40 ms) and before one delay (20 ms)
        assert sink.last_s - begin - 0.06 == pytest.approx(1.0, rel=0.05)

    under_sky(lambda: Sky(Line(0.02, 10e6), Line(0.02, 10e6)), sink, work)


def test_a_silent_cut_holds_all_bytes_and_loses_none():
    async def work(sky, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        sky.cut()
        writer.write(b"during")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await reader.read(1)
        fresh_reader, fresh = await asyncio.open_connection("127.0.0.1", port)
        fresh.write(b"fresh")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await fresh_reader.read(1)
        sky.restore()
        assert await reader.readexactly(6) == b"during"
        assert await fresh_reader.readexactly(5) == b"fresh"
        writer.close()
        fresh.close()

    under_sky(lambda: Sky(Line(0.01), Line(0.01)), echo, work)


def test_a_reset_cut_tears_old_connections_down_and_resets_new_ones():
    async def work(sky, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        sky.cut("reset")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        fresh_reader, fresh = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ConnectionResetError):
            await fresh_reader.read(1)
        sky.restore()
        new_reader, new = await asyncio.open_connection("127.0.0.1", port)
        new.write(b"after")
        assert await new_reader.readexactly(5) == b"after"
        for each in (writer, fresh, new):
            each.close()

    under_sky(lambda: Sky(Line(0.01), Line(0.01)), echo, work)


def test_an_absent_ground_station_is_a_reset():
    async def main():
        sky = Sky(Line(0.01), Line(0.01))
        port = await sky.listen("127.0.0.1", 0, ("127.0.0.1", 1))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        await sky.close()

    asyncio.run(main())


def test_the_end_of_one_direction_leaves_the_other_open():
    async def answer_at_the_end(reader, writer):
        data = await reader.read()
        writer.write(data[::-1])
        writer.close()

    async def work(_sky, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"abc")
        writer.write_eof()
        assert await reader.read() == b"cba"
        writer.close()

    under_sky(lambda: Sky(Line(0.01), Line(0.01)), answer_at_the_end, work)
