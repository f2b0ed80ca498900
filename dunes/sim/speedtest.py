"""A transfer over the sky, to measure what the link carries.

The client sends 8 bytes (how many follow, big-endian) and the rest; the far end
answers 8 bytes (how many came) once all of it is there.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dunes.errors import PeerError, Unavailable

PIECE_BYTES = 256 * 1024
COUNT = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Transfer:
    """A measured transfer.

    Attributes:
        size_bytes: sent, received and confirmed.
        seconds: from the first byte sent to the confirmation.
    """

    size_bytes: int
    seconds: float

    @property
    def rate_bps(self) -> float:
        """Bits a second, with all delays in it."""
        return self.size_bytes * 8 / self.seconds


@contextlib.asynccontextmanager
async def serve_speedtest() -> AsyncIterator[int]:
    """Serve the far end on a free port of loopback."""
    server = await asyncio.start_server(_count, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        (wanted,) = COUNT.unpack(await reader.readexactly(COUNT.size))
        got = 0
        while got < wanted and (data := await reader.read(PIECE_BYTES)):
            got += len(data)
        writer.write(COUNT.pack(got))
        await writer.drain()
    writer.close()


def request_transfer(host: str, port: int, size_bytes: int, timeout_s: float) -> Transfer:
    """Send `size_bytes` and wait until the far end says that it has them.

    Raises:
        Unavailable: no answer within the time.
        PeerError: the far end got another number of bytes.
    """
    piece = bytes(PIECE_BYTES)
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as link:
            begin_s = time.monotonic()
            link.sendall(COUNT.pack(size_bytes))
            left = size_bytes
            while left:
                left -= link.send(piece[: min(left, PIECE_BYTES)])
            answer = b""
            while len(answer) < COUNT.size and (data := link.recv(COUNT.size - len(answer))):
                answer += data
            seconds = time.monotonic() - begin_s
    except OSError as e:
        raise Unavailable(
            f"the transfer to {host}:{port} broke off: {e}", hint="dunes sim status"
        ) from e
    if answer != COUNT.pack(size_bytes):
        raise PeerError(f"the far end did not confirm {size_bytes} bytes", hint="dunes sim status")
    return Transfer(size_bytes, seconds)
