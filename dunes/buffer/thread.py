"""An appender behind a queue: radio callbacks only enqueue, one thread commits."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from dunes.buffer.appender import Appender
from dunes.errors import DunesError, LocalError, StorageError
from dunes.model import Reading

QUEUE_READINGS = 20_000
"""When this many wait, `submit` blocks: the source has to slow down."""
RETRY_S = 1.0
"""After a storage error: how long before the commit is tried again."""
CLOSING_TRIES = 5
"""How often the last commit is tried before its readings are given up as failed."""


@dataclass(slots=True)
class _Job:
    readings: Sequence[Reading]
    done: Future[None]


class AppenderThread:
    """Commits what any thread submits; each caller learns when its readings are safe.

    Args:
        make_appender: called once, in the thread that will use the appender.
        on_error: told about a storage error; the commit is tried again each second.
    """

    def __init__(
        self,
        make_appender: Callable[[], Appender],
        on_error: Callable[[DunesError], None] | None = None,
    ) -> None:
        self._make = make_appender
        self._on_error = on_error
        self._jobs: queue.Queue[_Job | None] = queue.Queue(QUEUE_READINGS)
        self._closing = threading.Event()
        self._pause = threading.Event()  # never set: only waited for
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="dunes-appender")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def submit(self, readings: Sequence[Reading], timeout_s: float | None = None) -> Future[None]:
        """Hand readings over; the future is done when they are on the disk.

        Args:
            readings: in order.
            timeout_s: how long to wait for a place in the queue; None: for ever.

        Raises:
            StorageError: no place within the time.
            LocalError: the thread has ended.
        """
        if self._closing.is_set():
            raise LocalError("the appender is closed") from self._failed
        job = _Job(readings, Future())
        try:
            self._jobs.put(job, timeout=timeout_s)
        except queue.Full as e:
            raise StorageError(
                "the buffer takes no more readings for now", hint="dunes status", code="backlog"
            ) from e
        return job.done

    def close(self, timeout_s: float | None = None) -> None:
        """Commit what was submitted, sign the heads, and end the thread."""
        self._closing.set()
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        waiting: list[Future[None]] = []
        try:
            appender = self._make()
            now_s = appender.buffer.clock.monotonic_s
            more = True
            while more:
                due_s = appender.next_due_s()
                wait_s = None if due_s is None else max(0.0, due_s - now_s())
                more = self._collect(appender, waiting, wait_s)
                self._commit(appender, waiting, everything=not more)
        except BaseException as e:  # noqa: BLE001 - whoever waits has to learn of it
            self._failed = e
            self._closing.set()
            while not self._jobs.empty():
                if (job := self._jobs.get_nowait()) is not None:
                    waiting.append(job.done)
            for done in waiting:
                done.set_exception(e)

    def _collect(
        self, appender: Appender, waiting: list[Future[None]], wait_s: float | None
    ) -> bool:
        """Wait for a job, then take all that are there; False when closing."""
        try:
            job = self._jobs.get(timeout=wait_s)
            while True:
                if job is None:
                    return False
                appender.extend(job.readings)
                waiting.append(job.done)
                if len(appender) >= QUEUE_READINGS:
                    return True
                job = self._jobs.get_nowait()
        except queue.Empty:
            return True

    def _commit(
        self, appender: Appender, waiting: list[Future[None]], *, everything: bool
    ) -> None:
        """Commit what is due, again and again while the disk refuses it."""
        tries = 0
        while True:
            try:
                if everything:
                    appender.close()
                else:
                    appender.commit_due()
                break
            except StorageError as e:
                if self._on_error is not None:
                    self._on_error(e)
                tries += 1
                if everything and tries >= CLOSING_TRIES:
                    raise
                self._pause.wait(RETRY_S)
        if not len(appender):
            for done in waiting:
                done.set_result(None)
            waiting.clear()
