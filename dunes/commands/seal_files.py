"""Files of the seal commands: `-` for stdin and stdout, and nothing half-written."""

import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from dunes.errors import NotFound, StorageError, UsageError

STDIO = Path("-")
SEALED_SUFFIX = ".sealed"
SIGNATURE_SUFFIX = ".sig"


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file, or stdin for `-`.

    Raises:
        NotFound: no such file.
        StorageError: it cannot be read.
    """
    if path == STDIO:
        yield sys.stdin.buffer
        return
    try:
        file = io.FileIO(path, "rb")
    except FileNotFoundError as e:
        raise NotFound(f"no file {path}") from e
    except OSError as e:
        raise StorageError(f"cannot read {path}: {e.strerror}") from e
    with file:
        yield cast("BinaryIO", file)


@contextmanager
def writing(path: Path, *, force: bool, trusted: bool = True) -> Iterator[BinaryIO]:
    """Give a file that takes its name only when the block ends well, or stdout for `-`.

    Args:
        path: where to.
        force: replace a file that is there.
        trusted: false where the content is believed only at the end: stdout then gets it
            after that, from an unnamed temporary file.
    """
    if path != STDIO:
        from dunes.crypto import keyio

        with keyio.creating(path, replace=force) as file:
            yield cast("BinaryIO", file)
        return
    if sys.stdout.isatty():
        raise UsageError("binary data is not written to a terminal", hint="--output FILE")
    if trusted:
        yield sys.stdout.buffer
    else:
        with tempfile.TemporaryFile() as held:
            yield cast("BinaryIO", held)
            held.seek(0)
            shutil.copyfileobj(held, sys.stdout.buffer, 1 << 20)
    sys.stdout.buffer.flush()


class Peeked(io.RawIOBase):
    """A source whose first bytes were read already, put back in front; pipes too."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._first, self._rest = first, rest

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def fileno(self) -> int:
        """Give the descriptor of the source, for its size."""
        return self._rest.fileno()

    def readinto(self, room: Any, /) -> int:
        """Fill `room` as far as one read goes."""
        if not self._first:
            return self._rest.readinto(room)  # type: ignore[attr-defined,no-any-return]  # raw and buffered have it
        part, self._first = self._first[: len(room)], self._first[len(room) :]
        room[: len(part)] = part
        return len(part)


def size_of(source: BinaryIO) -> int | None:
    """Give the size of a regular file, for a progress bar."""
    try:
        found = os.fstat(source.fileno())
    except (OSError, io.UnsupportedOperation):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
