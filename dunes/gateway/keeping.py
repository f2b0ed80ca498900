"""When a runner's state and messages are written: at once where sending waits, else grouped."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dunes.gateway.keeper import Keeper
from dunes.mesh.manager import Received
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.state import Store

KEEP_S = 0.1
"""How long messages and replay entries wait for company before they are written."""
PENDING_MAX = 20_000
TICK_S = 1.0
"""The keeper is called at least so often: signatures fall due."""


@dataclass(slots=True)
class Keeping:
    """The group commit of a runner.

    Attributes:
        keeper: who writes.
        on_stored: told the last ticket of what was written.
        on_kept: told the items that are on the disk.
        room: set while there is room for more.
    """

    keeper: Keeper
    on_stored: Callable[[int], None]
    on_kept: Callable[[Sequence[Any]], None]
    room: asyncio.Event = field(default_factory=asyncio.Event)
    _stores: list[Store] = field(default_factory=list)
    _items: list[Any] = field(default_factory=list)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _now: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Condition = field(default_factory=asyncio.Condition)
    _writing: bool = False
    _executor: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "mesh keeper")
    )

    def __post_init__(self) -> None:
        """Begin with room."""
        self.room.set()

    def add(self, store: Store) -> None:
        """Note a store; one that holds sending back, or is more than replay, goes at once."""
        self._stores.append(store)
        lazy = all(isinstance(change, ReplayEntry) for change in store.changes)
        self._wanted(urgent=store.before_sending or not lazy)

    def take(self, received: Received) -> None:
        """Note what is to be kept of a message."""
        taken = self.keeper.take(received)
        if taken.items:
            self._items += taken.items
            self._wanted(urgent=taken.urgent)
            if len(self._items) > PENDING_MAX:
                self.room.clear()

    async def run(self) -> None:
        """Write whenever something is due, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._some.wait()
            if self._some.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(KEEP_S):
                        await self._now.wait()
            await asyncio.shield(asyncio.ensure_future(self.write()))

    async def flush(self) -> None:
        """Wait until everything so far is on the disk; `run` has to be running."""
        async with self._idle:
            while self.pending:
                self._now.set()
                self._some.set()
                await self._idle.wait()

    @property
    def pending(self) -> bool:
        """Say whether something is not on the disk yet."""
        return bool(self._stores or self._items or self._writing)

    async def write(self) -> None:
        """Write what there is, in the keeper's thread; then let go on what waited for it."""
        self._some.clear()
        self._now.clear()
        stores, self._stores = self._stores, []
        items, self._items = self._items, []
        self._writing = True
        try:
            loop = asyncio.get_running_loop()
            kept = await loop.run_in_executor(self._executor, self.keeper.keep, stores, items)
        finally:
            self._writing = False
            async with self._idle:
                self._idle.notify_all()
        self.room.set()
        if kept:
            self.on_kept(kept)
        if stores:
            self.on_stored(stores[-1].ticket)

    async def close(self) -> None:
        """Wait for a write under way, write what is left, let the thread go."""
        try:
            async with self._idle:
                await self._idle.wait_for(lambda: not self._writing)
            if self.pending:
                await self.write()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._executor, self.keeper.close)
        finally:
            self._executor.shutdown()

    def abandon(self) -> None:
        """End without writing: the disk has failed."""
        self._executor.shutdown()

    def _wanted(self, *, urgent: bool) -> None:
        self._some.set()
        if urgent:
            self._now.set()
