"""The runner's end of each GATT link: one task reads, one writes, both bounded.

A link that cannot take what it is given is ended: a mesh repeats what was lost, and memory
does not grow.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from dunes.ble.errors import RadioLost
from dunes.ble.radio import Link

WRITES_MAX = 4096
"""Values that wait for a link; a slow link with more is ended."""
READS_AT_ONCE = 32
"""Values taken from one link before others have their turn."""


@dataclass(slots=True)
class Carrier:
    """One open link.

    Attributes:
        number: the manager's number for it.
        link: the radio's end.
        on_value: told each value that comes.
        on_lost: told that the link is gone, and why; perhaps twice.
        on_crash: told of an error that is ours.
    """

    number: int
    link: Link
    on_value: Callable[[int, bytes], None]
    on_lost: Callable[[int, str], None]
    on_crash: Callable[[BaseException], None]
    room: asyncio.Event
    """Set while there is room for what comes."""
    values: int = 0
    """How many came."""
    _writes: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(WRITES_MAX))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Begin to read and write."""
        self._tasks = [
            asyncio.create_task(self._read(), name=f"mesh link {self.number} in"),
            asyncio.create_task(self._write(), name=f"mesh link {self.number} out"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.on_crash(error)

    def send(self, value: bytes) -> None:
        """Queue a value; a link that is too slow for it counts as lost."""
        try:
            self._writes.put_nowait(value)
        except asyncio.QueueFull:
            self._lost(f"{self.link.address} takes nothing any more")

    async def flush(self, timeout_s: float) -> None:
        """Wait until what was queued is written, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._writes.join()

    async def close(self) -> None:
        """Hang up."""
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(RadioLost):
            await self.link.close()

    async def _read(self) -> None:
        try:
            while True:
                for _ in range(READS_AT_ONCE):
                    await self.room.wait()
                    value = await self.link.receive()
                    self.values += 1
                    self.on_value(self.number, value)
                await asyncio.sleep(0)
        except RadioLost as error:
            self._lost(error.message)

    async def _write(self) -> None:
        try:
            while True:
                await self.link.send(await self._writes.get())
                self._writes.task_done()
        except RadioLost as error:
            self._lost(error.message)

    def _lost(self, reason: str) -> None:
        self.on_lost(self.number, reason)
