"""One scan of an adapter, shared by all who listen.

BlueZ gives each client one discovery session, and a controller scans once: so the first listener
starts the scan, the last one stops it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from dunes.ble.mailbox import Mailbox
from dunes.ble.radio import Advertisement
from dunes.errors import DunesError

WAITING_MAX = 1024
"""Advertisements that a listener has not read: nodes repeat theirs, so the oldest give way."""


class Hearing:
    """Who listens.

    Args:
        start: makes the adapter scan; what it hears comes in by `heard`.
        stop: ends that.
    """

    def __init__(
        self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
    ) -> None:
        self._start = start
        self._stop = stop
        self._listeners: set[Mailbox[Advertisement]] = set()
        self._switching = asyncio.Lock()
        self._scanning = False
        self._pauses = 0
        self._end: DunesError | None = None

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[Advertisement]]:
        """Hear what is advertised while the context lasts."""
        mailbox: Mailbox[Advertisement] = Mailbox(WAITING_MAX)
        if self._end is not None:
            mailbox.close(self._end)
        mailbox.check()
        self._listeners.add(mailbox)
        try:
            await self._settle()
            yield _read(mailbox)
        finally:
            self._listeners.discard(mailbox)
            await self._settle()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Keep the adapter from scanning for a while; who listens hears nothing meanwhile."""
        self._pauses += 1
        try:
            await self._settle()
            yield
        finally:
            self._pauses -= 1
            await self._settle()

    @property
    def scanning(self) -> bool:
        """Whether the adapter scans."""
        return self._scanning

    def heard(self, said: Advertisement) -> None:
        """Hand an advertisement to all who listen."""
        for mailbox in self._listeners:
            mailbox.put_newest(said)

    def end(self, why: DunesError) -> None:
        """Say that the adapter is gone, to all who listen now and later."""
        self._end = self._end or why
        self._scanning = False
        for mailbox in self._listeners:
            mailbox.close(why)

    async def _settle(self) -> None:
        """Scan if somebody listens and nothing is in the way, else do not."""
        async with self._switching:
            wanted = bool(self._listeners) and not self._pauses and self._end is None
            if wanted and not self._scanning:
                await self._start()
                self._scanning = True
            elif self._scanning and not wanted:
                self._scanning = False
                await self._stop()


async def _read(mailbox: Mailbox[Advertisement]) -> AsyncIterator[Advertisement]:
    while True:
        yield await mailbox.get()
