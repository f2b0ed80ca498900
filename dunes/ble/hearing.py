"""One scan of an adapter, shared by all who listen.

BlueZ gives each client one discovery session, and a controller scans once: so the first listener
starts the scan, the last one stops it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from dunes.ble.mailbox import Mailbox
from dunes.ble.radio import Advertisement
from dunes.ble.undisturbed import undisturbed
from dunes.errors import DunesError, Unavailable

WAITING_MAX = 1024
"""Advertisements that a listener has not read: nodes repeat theirs, so the oldest give way."""


class Hearing:
    """Who listens.

    Args:
        start: makes the adapter scan; what it hears comes in by `heard`. Has a limit of its own.
        stop: ends that, also where `start` failed.
    """

    def __init__(
        self,
        start: Callable[[], Coroutine[Any, Any, None]],
        stop: Callable[[], Coroutine[Any, Any, None]],
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
                self._scanning = True  # what was begun half has to be ended, too
                await undisturbed(self._start())
            elif self._scanning and not wanted:
                self._scanning = False
                with contextlib.suppress(Unavailable):  # the next to scan will be told
                    await undisturbed(self._stop())


async def _read(mailbox: Mailbox[Advertisement]) -> AsyncIterator[Advertisement]:
    while True:
        yield await mailbox.get()
