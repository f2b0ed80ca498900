"""A queue between a radio's callbacks and a task that reads: in order, bounded, with an end."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from dunes.errors import DunesError

T = TypeVar("T")


class Mailbox(Generic[T]):
    """What came in and was not read yet, and why nothing more will come.

    Args:
        limit: how many items wait at most.
    """

    def __init__(self, limit: int) -> None:
        self._items: deque[T] = deque()
        self._limit = limit
        self._end: DunesError | None = None
        self._changed = asyncio.Event()

    @property
    def closed(self) -> bool:
        """Whether nothing more comes in."""
        return self._end is not None

    def put(self, item: T) -> bool:
        """Take an item; gives whether there was room. Nothing is taken after the end."""
        if self._end is not None or len(self._items) >= self._limit:
            return False
        self._items.append(item)
        self._changed.set()
        return True

    def put_newest(self, item: T) -> None:
        """Take an item; where it is full, the oldest one gives way."""
        if not self.put(item) and self._end is None:
            self._items.popleft()
            self._items.append(item)

    def close(self, end: DunesError) -> None:
        """Say why nothing more will come; the first reason stays."""
        if self._end is None:
            self._end = end
            self._changed.set()

    def check(self) -> None:
        """Raise the reason of the end, if it has come."""
        if self._end is not None:
            raise self._end.with_traceback(None)

    async def get(self) -> T:
        """Give the next item; after the last one, raise the reason of the end."""
        while not self._items:
            self.check()
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()
