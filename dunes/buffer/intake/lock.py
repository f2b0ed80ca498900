"""One process at a time follows a file into a table."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dunes.errors import StorageError, TryLater
from dunes.paths import Paths


@contextmanager
def follow_lock(paths: Paths, file: Path, table: str) -> Iterator[None]:
    """Hold the right to follow a file; the kernel drops it with the process.

    Raises:
        TryLater: another process has it.
    """
    name = hashlib.sha256(f"{file}\0{table}".encode()).hexdigest()[:16]
    try:
        place = paths.ready(paths.runtime) / f"follow-{name}.lock"
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise StorageError(f"{paths.runtime} cannot be written: {e.strerror}") from e
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise TryLater(
                f"{file} is followed into {table} by another process",
                hint="end that one first; two would store every reading twice",
                code="already-followed",
            ) from e
        yield
    finally:
        os.close(descriptor)
