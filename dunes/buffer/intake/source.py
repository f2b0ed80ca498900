"""Where telemetry comes from: a file, a pipe, standard input, or a file that grows.

A followed file may be rotated (renamed, a new one begun in its place) or cut to nothing
and written anew; it is found again by its inode and a hash of its beginning.
"""

import os
import re
import select
import stat
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple, Protocol

from dunes.buffer.cursor import MARK_MAX_BYTES, Position, mark_of, signed64
from dunes.errors import Denied, NotFound, StorageError

CHUNK_BYTES = 64 * 1024
POLL_S = 0.1
"""How often a followed file is looked at."""
TRIES = 20
"""How often the names beside a rotating file are looked at until they stand still."""
RENAME_S = 0.01
"""How long to wait between two looks, when resuming."""
ROTATED, CUT = "was rotated", "was cut and written anew"
_ROTATED = re.compile(r"[.-][0-9][0-9T:._-]*")
"""What rotation appends to a name: a number or a date."""


class What(Enum):
    """What a source has to say."""

    DATA = auto()
    """Bytes."""
    IDLE = auto()
    """Nothing new within the time."""
    NEXT = auto()
    """What was read until now is over; another file begins at its first byte."""
    END = auto()
    """Nothing more comes."""


class Said(NamedTuple):
    """One answer of a source.

    Attributes:
        what: see `What`.
        data: with DATA.
        note: with NEXT, for people.
    """

    what: What
    data: bytes = b""
    note: str = ""


class Source(Protocol):
    """Something to read telemetry from."""

    name: str
    """For people."""
    size_bytes: int | None
    """How much there is, if that is known."""

    def read(self, timeout_s: float) -> Said:
        """Read what is there, waiting up to `timeout_s` for it."""
        ...

    def close(self) -> None:
        """Let it go."""
        ...


def open_error(path: Path, error: OSError) -> NotFound | Denied | StorageError:
    """Say why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return NotFound(f"no file {path}", hint=f"ls -l {path.parent}")
    if isinstance(error, PermissionError):
        return Denied(f"{path} cannot be read: permission denied", hint=f"ls -l {path}")
    return StorageError(f"{path} cannot be read: {error.strerror}", hint=f"ls -l {path}")


class Stream:
    """A file read once, a pipe, or standard input.

    Args:
        descriptor: open for reading; closed by `close` unless it is standard input.
        name: for people.
        wake: a descriptor that becomes readable when the program is to stop.
    """

    def __init__(self, descriptor: int, name: str, wake: int) -> None:
        self.name = name
        self._descriptor, self._wake = descriptor, wake
        status = os.fstat(descriptor)
        self._regular = stat.S_ISREG(status.st_mode)
        self.size_bytes = status.st_size if self._regular else None

    @classmethod
    def open(cls, path: Path, wake: int, *, follow: bool = False) -> "Stream":
        """Open a file or named pipe; following a pipe outlives its writers."""
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise NotFound(f"{path} is a folder", hint=f"ls {path}")
            # a pipe that is also held open for writing never ends
            flags = os.O_RDWR if follow and stat.S_ISFIFO(mode) else os.O_RDONLY
            return cls(os.open(path, flags | os.O_CLOEXEC), str(path), wake)
        except OSError as e:
            raise open_error(path, e) from e

    def read(self, timeout_s: float) -> Said:
        """Read what is there."""
        if not self._regular:
            ready, _, _ = select.select([self._descriptor, self._wake], [], [], timeout_s)
            if self._descriptor not in ready:
                return Said(What.IDLE)
        try:
            data = os.read(self._descriptor, CHUNK_BYTES)
        except OSError as e:
            raise StorageError(f"{self.name} cannot be read: {e.strerror}") from e
        return Said(What.DATA, data) if data else Said(What.END)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor > 2:  # noqa: PLR2004 - not standard input
            os.close(self._descriptor)


@dataclass(slots=True)
class _File:
    """The file that is read now."""

    descriptor: int
    device: int
    inode: int
    offset: int
    head: bytes

    @classmethod
    def open(cls, path: Path, offset: int = 0) -> "_File":
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        head = os.pread(descriptor, MARK_MAX_BYTES, 0)
        os.lseek(descriptor, offset, os.SEEK_SET)
        return cls(descriptor, status.st_dev, status.st_ino, offset, head)

    def close(self) -> None:
        os.close(self.descriptor)


class FollowedFile:
    """A file that grows, through rotations.

    Args:
        path: its name; it need not exist yet.
        position: how far it was read before, None to begin at its first byte.
        wake: a descriptor that becomes readable when the program is to stop.

    Attributes:
        started: offset in the present file at which this reading began.
        line: lines before that offset.
        notes: what happened to the file since `position` was stored, for people.
    """

    def __init__(self, path: Path, position: Position | None, wake: int) -> None:
        self.path, self.name = path, str(path)
        self.size_bytes: int | None = None
        self.started = self.line = 0
        self.notes: list[str] = []
        self._wake = wake
        self._file: _File | None = None
        self._fresh = False
        self._leaving = ""
        if position is not None:
            self._resume(position)

    def read(self, timeout_s: float) -> Said:
        """Read what was added, or say that another file begins.

        After NEXT, `position` is still one in the old file, until the next call.
        """
        if self._leaving and not self._advance():
            return self._wait(timeout_s)
        if self._file is None and not self._open_first():
            return self._wait(timeout_s)
        file = self._need()
        said = self._read(file)
        if said is not None:
            return said
        note = self._turned_over(file)
        if note is None:
            return self._wait(timeout_s)
        # rotation renames first: what was added in between is still the old file's
        return self._read(file) or self._leave(note)

    def first_line(self) -> bytes:
        """Give the file's first line (a CSV header)."""
        head = os.pread(self._need().descriptor, CHUNK_BYTES, 0) if self._file else b""
        return head.partition(b"\n")[0].rstrip(b"\r")

    def position(self, consumed: int, lines: int) -> Position | None:
        """Say where reading stands, `consumed` bytes and `lines` lines after `started`."""
        if self._file is None:
            return None
        offset = self.started + consumed
        head = self._file.head[: min(MARK_MAX_BYTES, offset)]
        return Position(
            signed64(self._file.device),
            signed64(self._file.inode),
            offset,
            self.line + lines,
            mark_of(head),
            len(head),
        )

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- reading -------------------------------------------------------------------

    def _need(self) -> _File:
        if self._file is None:
            raise StorageError(f"{self.path} is not open")
        return self._file

    def _read(self, file: _File) -> Said | None:
        try:
            data = os.read(file.descriptor, CHUNK_BYTES)
        except OSError as e:
            raise open_error(self.path, e) from e
        if not data:
            self._fresh = False
            return None
        if not self._fresh and not self._same_beginning(file):
            return self._leave(CUT)
        self._fresh = True
        if len(file.head) < MARK_MAX_BYTES and file.offset == len(file.head):
            file.head += data[: MARK_MAX_BYTES - len(file.head)]
        file.offset += len(data)
        return Said(What.DATA, data)

    def _same_beginning(self, file: _File) -> bool:
        """Check that the file still begins as it did: it may have been cut and regrown."""
        return os.pread(file.descriptor, len(file.head), 0) == file.head

    def _wait(self, timeout_s: float) -> Said:
        select.select([self._wake], [], [], min(timeout_s, POLL_S))
        return Said(What.IDLE)

    def _open_first(self) -> bool:
        try:
            self._file = _File.open(self.path)
        except FileNotFoundError:
            return False
        except OSError as e:
            raise open_error(self.path, e) from e
        return True

    # -- rotation ------------------------------------------------------------------

    def _turned_over(self, file: _File) -> str | None:
        """At the end of the file: say whether another one has taken its name."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None  # the new one is not there yet
        except OSError as e:
            raise open_error(self.path, e) from e
        if (status.st_dev, status.st_ino) != (file.device, file.inode):
            return ROTATED
        return CUT if status.st_size < file.offset else None

    def _leave(self, note: str) -> Said:
        """Say that the present file is over; `_advance` opens what comes after it."""
        self._leaving = note
        return Said(What.NEXT, note=f"{self.path} {note}")

    def _advance(self) -> bool:
        """Open what comes after the present file; False where it is not there yet.

        Rotation may go on while we look: a file counts only if it still is, once it is
        open, the one that was meant.
        """
        old = self._need()
        for _ in range(TRIES):
            try:
                new = self._open_following(old)
            except FileNotFoundError:
                return False
            except OSError as e:
                raise open_error(self.path, e) from e
            if new is not None:
                old.close()
                self._file, self._leaving, self._fresh = new, "", False
                self.started = self.line = 0
                return True
        return False

    def _open_following(self, old: _File) -> _File | None:
        """Open the file after `old`; None if names were changed meanwhile."""
        if self._leaving == CUT:
            return _File.open(self.path)
        path, wanted = self._after(old)
        new = _File.open(path)
        if wanted is None:  # the growing file: nothing may have come in between
            path, wanted = self._after(old)
            wanted = (new.device, new.inode) if path == self.path and wanted is None else (0, 0)
        if (new.device, new.inode) != wanted:
            new.close()
            return None
        return new

    def _after(self, file: _File) -> tuple[Path, tuple[int, int] | None]:
        """Say which file comes after the present one: the next rotated one, or the newest.

        Returns:
            Its path and, for a rotated one, its device and inode.
        """
        mtime_ns = os.fstat(file.descriptor).st_mtime_ns
        rows = self._rotated()
        ids = [identity for _, identity, _ in rows]
        own = (file.device, file.inode)
        if own in ids:
            later = rows[ids.index(own) + 1 :]
        else:  # it is the growing one, or was deleted
            later = [row for row in rows if row[2] > mtime_ns]
        return (later[0][0], later[0][1]) if later else (self.path, None)

    def _rotated(self) -> list[tuple[Path, tuple[int, int], int]]:
        """Give the rotated files beside the growing one, oldest first.

        Each with its device and inode and the time of its last change. A listing that
        was made while names changed may miss a file, so two have to agree.
        """
        before: list[tuple[Path, tuple[int, int], int]] | None = None
        for _ in range(TRIES):
            rows = self._list_rotated()
            if rows == before:
                break
            before = rows
        return before or []

    def _list_rotated(self) -> list[tuple[Path, tuple[int, int], int]]:
        rows: list[tuple[Path, tuple[int, int], int]] = []
        try:
            for entry in os.scandir(self.path.parent):
                name = entry.name
                if name.startswith(self.path.name) and _ROTATED.fullmatch(
                    name[len(self.path.name) :]
                ):
                    status = Path(entry.path).stat()
                    identity = (status.st_dev, status.st_ino)
                    rows.append((Path(entry.path), identity, status.st_mtime_ns))
        except FileNotFoundError:
            return []  # renamed while we looked: the two listings will not agree
        except OSError as e:
            raise open_error(self.path.parent, e) from e
        rows.sort(key=lambda row: (row[2], row[1]))
        return rows

    # -- resuming ------------------------------------------------------------------

    def _resume(self, position: Position) -> None:
        """Find the file that was read before, under whatever name it has now."""
        for _ in range(TRIES):
            rotated = self._rotated()
            for path in [self.path, *(path for path, _, _ in rotated)]:
                if self._resume_at(path, position):
                    return
            select.select([self._wake], [], [], RENAME_S)
        self.notes.append(
            f"the file that was read up to byte {position.offset} is gone; what it had after "
            "that is missing"
        )
        # what was rotated since then was not read
        newer = [path for path, _, mtime_ns in rotated if mtime_ns > position.seen_us * 1000]
        if newer:
            self._file = _File.open(newer[0])

    def _resume_at(self, path: Path, position: Position) -> bool:
        """Take a file up again if it is the one."""
        try:
            file = _File.open(path, position.offset)
        except OSError:
            return False
        if (signed64(file.device), signed64(file.inode)) != (position.device, position.inode):
            file.close()
            return False
        head = file.head[: position.mark_len]
        grown = os.fstat(file.descriptor).st_size >= position.offset
        if grown and len(head) == position.mark_len and mark_of(head) == position.mark:
            self.started, self.line = position.offset, position.line
        else:
            self.notes.append(f"{self.path} {CUT}; it is read from its start")
            os.lseek(file.descriptor, 0, os.SEEK_SET)
            file.offset = 0
        self._file = file
        return True
