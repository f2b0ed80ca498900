"""The site's hold on its air: a child process on the leash, asked and told line by line."""

import asyncio
import contextlib
import importlib.util
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from itertools import count
from typing import Any

from dunes.errors import Unavailable, UsageError
from dunes.sim.air.talk import Acted, Ask, Begin, MeshState, Said

START_S = 30.0
ASK_S = 10.0
STOP_S = 5.0
LINE_BYTES_MAX = 16 << 20
NO_BUMBLE = 'the mesh is not there: it needs Bumble; pip install "dunes-mcp[sim]"'
NO_MESH = "this site has no mesh"


class Air:
    """The air of a site, as the site sees it.

    Args:
        acted: told what actuators stand at.
        log: takes one line.
    """

    def __init__(self, acted: Callable[[Acted], None], log: Callable[[str], None]) -> None:
        self.radio = ""
        self.note = NO_MESH
        self.nodes = 0
        self._acted = acted
        self._log = log
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Said]] = {}
        self._ready: asyncio.Future[str] | None = None

    @property
    def pid(self) -> int:
        """Give the number of its process; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    async def start(self, begin: Begin) -> str:
        """Start it; gives its radio, empty where it cannot be (see `note`)."""
        import msgspec

        if begin.definition.air is None:
            return ""
        if importlib.util.find_spec("bumble") is None:
            self.note = NO_BUMBLE
            self._log(self.note)
            return ""
        self._ready = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dunes.sim.leash",
            str(os.getpid()),
            "air",
            stdin=PIPE,
            stdout=PIPE,
            limit=LINE_BYTES_MAX,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        self._write(msgspec.json.encode(begin))
        try:
            async with asyncio.timeout(START_S):
                self.radio = await self._ready
            self.note = ""
            self.nodes = begin.nodes or begin.definition.air.nodes
        except TimeoutError:
            await self._failed(f"the mesh did not start within {START_S:g} s")
        except Unavailable as error:
            await self._failed(f"the mesh did not start: {error.message}")
        return self.radio

    async def _failed(self, note: str) -> None:
        self.note = note
        self._log(note)
        await self.stop()

    async def stop(self) -> None:
        """End it: ask by closing its input, then kill."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading

    async def ask(self, what: str, **given: Any) -> Any:
        """Ask it something.

        Raises:
            Unavailable: there is no air, or it does not answer.
            UsageError: it will not do that.
        """
        import msgspec

        if self._process is None or not self.radio:
            raise Unavailable(self.note or "the mesh has ended", hint="dunes sim status")
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._write(msgspec.json.encode(Ask(number, what, given)))
        try:
            async with asyncio.timeout(ASK_S):
                said = await waiting
        except TimeoutError as error:
            raise Unavailable(f"the mesh says nothing for {ASK_S:g} s") from error
        finally:
            self._waiting.pop(number, None)
        if said.error:
            raise UsageError(said.error)
        return said.result

    def tell(self, what: str, **given: Any) -> None:
        """Tell it something; nobody waits for the answer."""
        import msgspec

        if self._process is not None and self.radio:
            self._write(msgspec.json.encode(Ask(next(self._numbers), what, given)))

    async def state(self) -> MeshState:
        """Ask how all nodes are."""
        import msgspec

        if not self.radio:
            return MeshState(note=self.note)
        return msgspec.convert(await self.ask("state"), MeshState)

    def _write(self, line: bytes) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._process.stdin.write(line + b"\n")

    async def _read(self, process: Process) -> None:
        import msgspec

        if process.stdout is None:
            return
        while line := await process.stdout.readline():
            said = msgspec.json.decode(line, type=Said)
            if said.number:
                waiting = self._waiting.get(said.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(said)
            else:
                self._event(said)
        self._ended()

    def _event(self, said: Said) -> None:
        ready = self._ready
        match said.what:
            case "ready" if ready is not None and not ready.done():
                ready.set_result(said.result["radio"])
            case "failed" if ready is not None and not ready.done():
                ready.set_exception(Unavailable(said.error))
            case "acted":
                import msgspec

                self._acted(msgspec.convert(said.result, Acted))

    def _ended(self) -> None:
        """Take that the process is gone."""
        gone = Unavailable("the mesh has ended", hint="dunes sim status")
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(gone)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(gone)
        if self._process is not None:
            self.radio, self.nodes = "", 0
            self.note = "the mesh has ended by itself; see the site's log"
            self._log(self.note)
