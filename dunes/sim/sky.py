"""The sky: a TCP proxy with the delay, the rate and the outages of a satellite link.

All connections of a direction share one line (`dunes.sim.line`): a limit per
connection would flatter whoever opens several. A connection costs one round trip
before its first byte, as its handshake would.

An outage is silent by default, as a real one is: nothing is refused and nothing
is closed, bytes just stop, and what was under way arrives after the outage, as
TCP repeats it. With mode `reset` connections are torn down and new ones reset,
as a router does that knows about the outage.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from dunes.sim.line import Line

CutMode = Literal["silent", "reset"]

PIECE_BYTES = 64 * 1024
"""The largest piece put on a line at once."""

PIECE_S = 0.004
"""A piece takes at most this long to send, so that connections take fair turns."""

QUEUE_S = 0.02
"""What a line may have waiting before readers are held back (its modem's queue)."""

IN_FLIGHT_BYTES = 32 * 1024 * 1024
"""The most that one connection has between the two ends."""

SOCKET_BYTES = 256 * 1024
"""Kernel buffers are kept small: the bytes in flight are ours to hold, not the kernel's."""

EARLY_S = 0.0005
"""Half of the event loop's resolution, taken off each wait so that errors cancel out."""

LINGER_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset."""


@dataclass(slots=True)
class Flow:
    """What is under way in one direction of one connection."""

    line: Line
    pieces: deque[tuple[float, bytes]] = field(default_factory=deque)
    size_bytes: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    last_due_s: float = 0.0
    ended: bool = False


class Sky:
    """A link between a gateway and a ground station.

    Args:
        up: the line from gateway to ground.
        down: the line back.
    """

    def __init__(self, up: Line, down: Line) -> None:
        self.up = up
        self.down = down
        self.mode: CutMode = "silent"
        self.connections = 0
        self._clear = asyncio.Event()
        self._clear.set()
        self._reopened_s = 0.0
        self._turns = {id(up): asyncio.Lock(), id(down): asyncio.Lock()}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_cut(self) -> bool:
        """Whether nothing passes now."""
        return not self._clear.is_set()

    async def listen(self, host: str, port: int, target: tuple[str, int]) -> int:
        """Carry connections to `host:port` over the link to `target`.

        Returns:
            The port (the one the kernel chose, if `port` is 0).
        """
        listener = socket.create_server((host, port), backlog=128)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        # inherited by what is accepted; asyncio sets it only where the protocol is named
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setblocking(False)

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._carry(reader, writer, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._servers.append(await asyncio.start_server(accepted, sock=listener))
        return int(listener.getsockname()[1])

    def cut(self, mode: CutMode = "silent") -> None:
        """Let nothing pass from now on."""
        self.mode = mode
        self._clear.clear()
        if mode == "reset":
            for task in list(self._tasks):
                task.cancel()

    def restore(self) -> None:
        """Let everything pass again."""
        if self.is_cut:
            self._reopened_s = asyncio.get_running_loop().time()
            self._clear.set()

    async def close(self) -> None:
        """End all connections and stop to listen."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    async def _carry(
        self,
        near_reader: asyncio.StreamReader,
        near: asyncio.StreamWriter,
        target: tuple[str, int],
    ) -> None:
        """Carry one connection until both directions have ended or one breaks."""
        self.connections += 1
        far: asyncio.StreamWriter | None = None
        try:
            if self.is_cut and self.mode == "reset":
                return
            await self._clear.wait()
            loop = asyncio.get_running_loop()
            ready_s = loop.time() + self.up.delay_s + self.down.delay_s
            await self._sleep_until(ready_s - self.down.delay_s)
            far_reader, far = await asyncio.open_connection(*target)
            far.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES
            )
            up, down = Flow(self.up), Flow(self.down)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take(near_reader, up, ready_s))
                group.create_task(self._give(up, far))
                group.create_task(self._take(far_reader, down, ready_s))
                group.create_task(self._give(down, near))
        except* OSError:
            # an end broke off or the ground station is not there: the other end
            # learns it as a reset
            for writer in (near, far):
                if writer is not None:
                    reset(writer)
        finally:
            for writer in (near, far):
                if writer is not None:
                    if self.is_cut and self.mode == "reset":
                        reset(writer)
                    writer.close()
            self.connections -= 1

    async def _take(self, reader: asyncio.StreamReader, flow: Flow, ready_s: float) -> None:
        """Read one end and put what it sends on the line, in fair turns."""
        loop = asyncio.get_running_loop()
        line = flow.line
        await self._sleep_until(ready_s)
        while True:
            await self._clear.wait()
            while flow.size_bytes > IN_FLIGHT_BYTES:
                flow.changed.clear()
                await flow.changed.wait()
            data = await reader.read(line.piece_bytes(PIECE_S, PIECE_BYTES))
            await self._clear.wait()
            async with self._turns[id(line)]:
                if (busy_s := line.wait_s(loop.time())) > QUEUE_S:
                    await asyncio.sleep(busy_s - QUEUE_S)
                due_s = max(line.send(len(data), loop.time()), flow.last_due_s)
            flow.last_due_s = due_s
            flow.pieces.append((due_s, data))
            flow.size_bytes += len(data)
            flow.ended = not data
            flow.changed.set()
            if flow.ended:
                return

    async def _give(self, flow: Flow, writer: asyncio.StreamWriter) -> None:
        """Write to the other end what has arrived."""
        while True:
            while not flow.pieces:
                flow.changed.clear()
                await flow.changed.wait()
            due_s, data = flow.pieces[0]
            await self._sleep_until(due_s)
            while self.is_cut:
                await self._clear.wait()
                await self._sleep_until(self._reopened_s + flow.line.delay_s)
            flow.pieces.popleft()
            flow.size_bytes -= len(data)
            flow.changed.set()
            if not data:
                if writer.can_write_eof() and not writer.is_closing():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    async def _sleep_until(self, at_s: float) -> None:
        delay_s = at_s - asyncio.get_running_loop().time() - EARLY_S
        if delay_s > 0:
            await asyncio.sleep(delay_s)


def reset(writer: asyncio.StreamWriter) -> None:
    """Tear a connection down so that its other end sees a reset."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET
        )
    writer.transport.abort()
