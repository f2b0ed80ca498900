"""The programs that an outage needs: those that run are used, the others are started."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from dunes.buffer.intake.lock import follow_lock
from dunes.errors import TryLater, Unavailable
from dunes.model import buffer_name
from dunes.settings import Settings
from dunes.sim.gatewayview import GatewayView
from dunes.sim.typed import Background
from dunes.uplink.synclock import sync_lock

FIRST_S = 20.0
"""Within this the first reading has to be in the table."""


@dataclass(frozen=True, slots=True)
class Feed:
    """The program that brings readings into the buffer.

    Attributes:
        name: of its log.
        typed: as a person starts it.
        runs: whether one runs already.
        first_s: within this the first reading has to be in the table.
    """

    name: str
    typed: str
    runs: Callable[[], bool]
    first_s: float = FIRST_S


def file_feed(settings: Settings, table: str, path: str) -> Feed:
    """Ingest a growing file."""
    lock = Path(path).absolute()
    return Feed(
        "ingest",
        f"dunes ingest --table {table} --follow {path}",
        lambda: _held(follow_lock(settings.paths, lock, table)),
    )


@dataclass(slots=True)
class Helpers:
    """What feeds the buffer (on a simulated site), and `mcp sync --watch`.

    Args:
        settings: of the gateway.
        table: the buffer table.
        destination: the ground station.
        feed: who brings readings; None where real sensors do.
    """

    settings: Settings
    table: str
    destination: str
    feed: Feed | None = None
    _children: list[Background] = field(default_factory=list)

    @property
    def started(self) -> tuple[str, ...]:
        """The lines that were started."""
        return tuple(child.typed for child in self._children)

    def start(self, gateway: GatewayView) -> tuple[str, ...]:
        """Start what does not run; give those lines.

        Sync begins once there is something in the table.

        Raises:
            Unavailable: nothing comes into the table.
        """
        paths = self.settings.paths
        feed = self.feed
        if feed is not None and not feed.runs():
            self._start(feed.name, feed.typed)
        first_s = FIRST_S if feed is None else feed.first_s
        deadline_s = time.monotonic() + first_s
        while gateway.count().written == 0:
            self.check()
            if time.monotonic() > deadline_s:
                raise Unavailable(
                    f"nothing came into {self.table} within {first_s:.0f} s\n{self.tails()}",
                    hint=f"dunes ingest --table {self.table} FILE",
                    code="nothing-ingested",
                )
            time.sleep(0.05)
        if not _held(sync_lock(paths, self.table, self.destination)):
            buffer = buffer_name(self.table)
            self._start(
                "sync", f"mcp sync --buffer {buffer} --destination {self.destination} --watch"
            )
        return self.started

    def _start(self, name: str, typed: str) -> None:
        folder = self.settings.paths.ready(self.settings.paths.state)
        child = Background(typed, folder / f"rehearsal-{name}.log")
        self._children.append(child)
        child.start()

    def check(self) -> None:
        """Make sure that all of them still run.

        Raises:
            Unavailable: one has ended; the message has the end of its output.
        """
        for child in self._children:
            if child.exit is not None:
                raise Unavailable(
                    f"`{child.typed}` ended with status {child.exit}:\n{child.tail()}",
                    hint=child.typed,
                    code="helper-ended",
                )

    def tails(self) -> str:
        """Give the end of what they said."""
        return "\n".join(f"$ {child.typed}\n{child.tail()}" for child in self._children)

    def stop(self) -> None:
        """End those that were started here."""
        for child in reversed(self._children):
            child.stop()


def _held(lock: AbstractContextManager[None]) -> bool:
    """Tell whether another process holds a lock."""
    try:
        with lock:
            return False
    except TryLater:
        return True
