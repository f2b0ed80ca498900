"""One sync of a table to a destination at a time; the kernel drops the lock with its holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from dunes.errors import TryLater
from dunes.paths import Paths


@contextmanager
def sync_lock(paths: Paths, table: str, destination: str) -> Iterator[None]:
    """Hold the right to sync a table to a destination; the kernel drops it with us.

    Raises:
        TryLater: another process has it.
    """
    paths.ready(paths.runtime)
    safe = "".join(c if c.isalnum() or c in "-._" else "_" for c in destination)[:100]
    descriptor = os.open(
        paths.runtime / f"sync-{table}-{safe}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise TryLater(
                f"another sync of {table} to {destination} is at work (process "
                f"{holder or 'unknown'})",
                hint="let it finish, or end it",
                code="sync-running",
            ) from e
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
