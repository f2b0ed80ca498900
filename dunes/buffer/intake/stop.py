"""SIGTERM and SIGINT end an intake in order: what was taken over is committed first."""

import os
import select
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether to stop, and a descriptor that wakes whoever waits.

    A second signal ends at once, by the handlers that were there before.

    Attributes:
        requested: a signal came, or `request` was called.
        signal: its number; 0 before.
        wake: readable once it is requested.
    """

    def __init__(self) -> None:
        self.requested = False
        self.signal = 0
        self.wake, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, Any] = {}

    def request(self) -> None:
        """Ask to stop."""
        if not self.requested:
            self.requested = True
            os.write(self._write, b"!")

    def wait(self, timeout_s: float) -> bool:
        """Wait; say whether to stop."""
        select.select([self.wake], [], [], timeout_s)
        return self.requested

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        self.request()
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __enter__(self) -> Self:
        """Take the signals over, in the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Give them back."""
        self._restore()
        os.close(self.wake)
        os.close(self._write)
