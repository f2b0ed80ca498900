"""Virtual boards on real sockets and serial lines: SMP over UDP and over a pseudo-terminal.

For boards on wires; the nodes of the simulated site are reached through the air, see
`dunes.sim.air.firmware`.
"""

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from typing import Any

from dunes.sim.smp_carriers import ConsoleStream, console_lines
from dunes.sim.smp_server import SmpServer

RESET_S = 0.2
"""An answer leaves before the node restarts (`CONFIG_MCUMGR_GRP_OS_RESET_MS` is 250)."""
START_S = 0.3
"""Bootloader and start of the application; real swaps take up to a minute."""
READ_BYTES = 4096


class Restarting:
    """A node that is deaf while it restarts.

    Args:
        server: of the node.
        on_start: called after each restart.
        gate: asked for each request whether it arrives; faults to order.
    """

    def __init__(
        self,
        server: SmpServer,
        *,
        on_start: Callable[[], None] = lambda: None,
        gate: Callable[[bytes], bool] = lambda _frame: True,
        start_s: float = START_S,
    ) -> None:
        self.server = server
        self.deaf = False
        self._on_start = on_start
        self._gate = gate
        self._start_s = start_s

    def answer(self, frame: bytes) -> bytes | None:
        """Answer a request, and restart soon if that was asked for."""
        if self.deaf or not self._gate(frame):
            return None
        answer = self.server.receive(frame)
        if self.server.reset_due:
            self.server.reset_due = False
            asyncio.get_running_loop().call_later(RESET_S, self.restart)
        return answer

    def restart(self) -> None:
        """Go away, and come back through the bootloader."""
        if not self.deaf:
            self.deaf = True
            asyncio.get_running_loop().call_later(self._start_s, self._up)

    def _up(self) -> None:
        self.server.reset()
        self.deaf = False
        self._on_start()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, node: Restarting) -> None:
        self._node = node
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        answer = self._node.answer(data)
        if answer is not None:
            self._transport.sendto(answer, addr)


@contextlib.asynccontextmanager
async def serve_udp(node: Restarting, port: int = 0) -> Any:
    """Serve a node on a UDP port of loopback; gives the port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(node), local_addr=("127.0.0.1", port)
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@contextlib.contextmanager
def serve_pty(node: Restarting) -> Any:
    """Serve a node on a pseudo-terminal; gives the path of the side for others."""
    loop = asyncio.get_running_loop()
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    stream = ConsoleStream(node.server.buffer_bytes)
    unsent = bytearray()

    def flush() -> None:
        with contextlib.suppress(BlockingIOError):
            del unsent[: os.write(ours, unsent)]
        if unsent:
            loop.add_writer(ours, flush)
        else:
            loop.remove_writer(ours)

    def read() -> None:
        try:
            part = os.read(ours, READ_BYTES)
        except BlockingIOError:
            return
        for frame in stream.feed(part):
            answer = node.answer(frame)
            if answer is not None:
                unsent.extend(console_lines(answer))
                flush()

    loop.add_reader(ours, read)
    try:
        yield os.ttyname(theirs)
    finally:
        loop.remove_reader(ours)
        loop.remove_writer(ours)
        os.close(ours)
        os.close(theirs)
