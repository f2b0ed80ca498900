"""The socket of the program that owns a mesh: others ask it, instead of using the radio too.

JSON Lines over a Unix socket of mode 0600 in the runtime directory; only this user, and root,
are served. A line each way:

    {"id": 1, "verb": "send", "args": {"device": "hab-1", "onoff": "on"}}
    {"id": 1, "result": {…}}
    {"id": 1, "error": {"code": "node-silent", "message": …, "hint": …, "exit": 69}}
    {"id": 1, "progress": {…}}                               before a result, if a verb has some

Bounded: a line has at most `LINE_MAX` bytes, `CLIENTS_MAX` are served at once.
"""

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dunes.errors import DunesError, Exit, PeerError, TryLater, Unavailable, UsageError
from dunes.paths import Paths

LINE_MAX = 1024 * 1024
CLIENTS_MAX = 32
SUN_PATH_MAX = 100
"""Bytes of a socket's path that every system takes; a longer one goes by its directory."""

Tell = Callable[[Any], None]
Verb = Callable[[Mapping[str, Any], Tell], Awaitable[Any]]
"""Given arguments, and who is told progress; gives what msgspec can write."""


class NoOwner(Unavailable):
    """Nobody owns the mesh now."""

    code = "no-owner"


def socket_path(paths: Paths, mesh_id: str) -> Path:
    """Say where the owner of a mesh listens."""
    return paths.runtime / f"mesh-{mesh_id}.sock"


@dataclass(slots=True)
class Service:
    """The owner's side.

    Attributes:
        path: where to listen.
        verbs: what can be asked.
    """

    path: Path
    verbs: Mapping[str, Verb]
    _clients: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer while the context lasts; the caller holds the mesh's lock."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)  # of one that was killed: the lock is ours
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(self.path) as short:
            listener.bind(short)
        self.path.chmod(0o600)
        server = await asyncio.start_unix_server(self._client, sock=listener, limit=LINE_MAX)
        try:
            yield
        finally:
            server.close()
            self.path.unlink(missing_ok=True)
            for task in list(self._clients):
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._clients) >= CLIENTS_MAX or not _allowed(writer):
            writer.close()
            return
        self._clients.add(task)
        try:
            while line := await reader.readline():
                await self._answer(line, writer)
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass  # it hung up, sent too long a line, or we end
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        number: Any = None

        def tell(said: Any) -> None:
            writer.write(_line({"id": number, "progress": said}))

        try:
            asked = _object(line)
            number = asked.get("id")
            verb = self.verbs.get(str(asked.get("verb")))
            args = asked.get("args")
            if verb is None or not isinstance(args, dict):
                raise UsageError("no such verb here", hint=", ".join(self.verbs))
            said = {"id": number, "result": await verb(args, tell)}
        except DunesError as error:
            said = {"id": number, "error": as_error(error)}
        except (KeyError, TypeError, ValueError) as error:
            wrong = UsageError(f"an argument is missing or wrong: {error!r}"[:200])
            said = {"id": number, "error": as_error(wrong)}
        writer.write(_line(said))
        await writer.drain()


def _allowed(writer: asyncio.StreamWriter) -> bool:
    """Say whether the peer is this user, or root."""
    peer = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid in {0, os.geteuid()}


def as_error(error: DunesError) -> dict[str, Any]:
    """Write an error for the other side."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exit": int(error.exit),
    }


def from_error(said: Mapping[str, Any]) -> DunesError:
    """Make the error that the other side had."""
    error = DunesError(
        str(said.get("message", "")), hint=said.get("hint"), code=str(said.get("code", "no"))
    )
    with suppress(ValueError, TypeError):
        error.exit = Exit(int(said.get("exit", Exit.NO)))
    return error


async def ask_owner(
    path: Path,
    verb: str,
    args: Mapping[str, Any],
    *,
    timeout_s: float,
    tell: Tell = lambda _said: None,
) -> Any:
    """Ask the owner of a mesh.

    Args:
        path: its socket.
        verb: what.
        args: for it.
        timeout_s: for all of it.
        tell: told progress.

    Raises:
        NoOwner: nobody listens there.
        TryLater: no answer in time.
        DunesError: what the owner says went wrong.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as short:
            listener.connect(short)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise NoOwner(f"nobody listens at {path}") from error
    reader, writer = await asyncio.open_unix_connection(sock=listener, limit=LINE_MAX)
    try:
        async with asyncio.timeout(timeout_s):
            writer.write(_line({"id": 1, "verb": verb, "args": dict(args)}))
            await writer.drain()
            return await _result(reader, tell)
    except TimeoutError as error:
        raise TryLater(f"the owner of the mesh gave no answer in {timeout_s:g} s") from error
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise NoOwner("the owner of the mesh ended in the middle", hint="repeat it") from error
    finally:
        writer.close()


async def _result(reader: asyncio.StreamReader, tell: Tell) -> Any:
    while True:
        line = await reader.readline()
        if not line:
            raise NoOwner("the owner of the mesh ended in the middle", hint="repeat it")
        said = _object(line)
        if "progress" in said:
            tell(said["progress"])
        elif "error" in said:
            raise from_error(said["error"])
        else:
            return said.get("result")


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give a path that fits a socket's address: a long one through its directory."""
    if len(os.fsencode(path)) <= SUN_PATH_MAX:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def _line(said: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(said) + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise PeerError("a line that is no JSON") from error
    if not isinstance(found, dict):
        raise PeerError("a line that is no JSON object")
    return found
