"""One scan for everybody who waits for an advertisement.

    async with sightings.watching():
        seen = await sightings.find(matcher, timeout_s=8.0)

The radio listens while somebody watches. Bounded: `SEEN_MAX` addresses are remembered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from dunes.ble.radio import Advertisement, Radio
from dunes.errors import DunesError

SEEN_MAX = 4096
FRESH_S = 5.0
"""An advertisement older than this says nothing about now."""

Matcher = Callable[[Advertisement], bool]


@dataclass(slots=True)
class _Waiter:
    matches: Matcher
    found: asyncio.Future[Advertisement]


@dataclass(slots=True)
class Sightings:
    """What the radio hears, shared.

    Attributes:
        radio: what listens.
        seen: the last advertisement by address, with when it was heard.
    """

    radio: Radio
    seen: dict[str, tuple[Advertisement, float]] = field(default_factory=dict)
    _waiters: list[_Waiter] = field(default_factory=list)
    _watchers: int = 0
    _task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Listen while the context lasts; contexts share one scan."""
        self._watchers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._scan(), name="mesh scan")
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                await self._end()

    async def find(self, matches: Matcher, *, timeout_s: float) -> Advertisement | None:
        """Wait for an advertisement that matches; None after `timeout_s`.

        `matches` is called for what was heard lately, then for each new one, until it says
        yes once: it may claim what it saw. Call within `watching`.

        Raises:
            NoRadio, RadioLost: the radio cannot listen any more.
        """
        now_s = asyncio.get_running_loop().time()
        for advertisement, at_s in list(self.seen.values()):
            if now_s - at_s < FRESH_S and matches(advertisement):
                return advertisement
        if self._task is None or self._task.done():
            self._raise_why()
            self._task = asyncio.create_task(self._scan(), name="mesh scan")
        waiter = _Waiter(matches, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter.found
        except TimeoutError:
            return None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def forget(self, address: str) -> None:
        """Drop what was heard from an address: it is another device from now on."""
        self.seen.pop(address, None)

    def _raise_why(self) -> None:
        if self._task is not None and self._task.done() and not self._task.cancelled():
            error = self._task.exception()
            if error is not None:
                raise error

    async def _scan(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with self.radio.scan() as heard:
                async for advertisement in heard:
                    self._take(advertisement, loop.time())
        except DunesError as error:
            for waiter in self._waiters:
                if not waiter.found.done():
                    waiter.found.set_exception(error)
            raise

    def _take(self, advertisement: Advertisement, now_s: float) -> None:
        self.seen.pop(advertisement.address, None)
        self.seen[advertisement.address] = advertisement, now_s
        if len(self.seen) > SEEN_MAX:
            del self.seen[next(iter(self.seen))]
        for waiter in list(self._waiters):
            if not waiter.found.done() and waiter.matches(advertisement):
                waiter.found.set_result(advertisement)
                self._waiters.remove(waiter)
                return

    async def _end(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError, DunesError):
                await task
        self.seen.clear()
