"""Printing that never holds the work up: a thread of its own, and a bounded queue.

A pager that stands still, or a pipe that nobody reads, costs lines on the screen, and nothing
else.
"""

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

WAITING_MAX = 20_000
LAST_S = 2.0
"""At the end: how long to wait for what is still to be printed."""


class Pour:
    """Calls `show` for each thing that is put in, in order, in a thread.

    Args:
        show: prints one thing.

    Attributes:
        lost: things that were not printed, as too many waited.
        broken: why nothing more can be printed; None while it can.
    """

    def __init__(self, show: Callable[[Any], None]) -> None:
        self.lost = 0
        self.broken: OSError | None = None
        self._show = show
        self._queue: queue.Queue[object] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="printing", daemon=True)

    def put(self, thing: object) -> None:
        """Print a thing soon; drop it if too many wait."""
        try:
            self._queue.put_nowait(thing)
        except queue.Full:
            self.lost += 1

    def __enter__(self) -> Self:
        """Begin to print."""
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Print what waits, if somebody reads it."""
        self.put(self)
        self._thread.join(LAST_S)

    def _run(self) -> None:
        while (thing := self._queue.get()) is not self:
            try:
                self._show(thing)
            except OSError as error:
                self.broken = error
                return
