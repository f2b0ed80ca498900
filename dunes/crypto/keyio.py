"""Put secrets on a disk, and take them from it, without a moment of weakness.

A private file is written under a temporary name with its final mode (0600 from
the first byte, whatever the umask), synced, and linked to its name: `link` fails
if something has that name, so a key is never replaced by accident, and a crash
leaves the old state, the new one, or a stray temporary; never a torn key and
never one that others can read. All calls are relative to one open directory.
"""

import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dunes.crypto.errors import BadKeyFile, KeyExists, KeyRefused
from dunes.errors import NotFound, StorageError, StorageFull, UsageError

EAGER_FROM_BYTES = 64 * 1024 * 1024
EAGER_STEP_BYTES = 8 * 1024 * 1024
PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644
MAX_BYTES = 256 * 1024
"""No key document is longer; what is, is not read."""


class EagerFile(io.FileIO):
    """A file that is sent to the disk while it grows, so that the last sync is short.

    From 64 MiB on, each 8 MiB are handed over and leave the page cache: a small gateway
    keeps its memory for other things.
    """

    _written = 0
    _handed_over = EAGER_FROM_BYTES

    def write(self, data: Any, /) -> int:
        """Write, and hand over what lies far enough behind."""
        size = super().write(data)
        self._written += size
        if self._written >= self._handed_over + EAGER_STEP_BYTES:
            start, length = self._handed_over, self._written - self._handed_over
            with contextlib.suppress(OSError):  # advice; a pipe takes none
                os.posix_fadvise(self.fileno(), start, length, os.POSIX_FADV_DONTNEED)
            self._handed_over = self._written
        return size


def write_new(path: Path, content: bytes, *, mode: int = PRIVATE_MODE) -> None:
    """Create a file as a whole; refuse if there is anything of that name.

    Args:
        path: its directory must exist.
        content: all of it.
        mode: 0600 for secrets.

    Raises:
        KeyExists: something has that name.
        StorageError: the disk said no.
    """
    with creating(path, mode=mode) as file:
        _write_all(file, content)


def write_over(path: Path, content: bytes, *, mode: int = PRIVATE_MODE) -> None:
    """Create or replace a file as a whole, for `--force` and for the trust store."""
    with creating(path, mode=mode, replace=True) as file:
        _write_all(file, content)


@contextmanager
def creating(
    path: Path, *, mode: int = PRIVATE_MODE, replace: bool = False
) -> Iterator[io.FileIO]:
    """Give a file that takes the name `path` only when the block ends well.

    Args:
        path: its directory must exist.
        mode: from the first byte on.
        replace: take the name even if something has it.

    Raises:
        KeyExists: something has that name, and `replace` is off.
        NotFound: the directory does not exist.
        UsageError: `path` names no file, or a device, pipe or directory is there.
        StorageError: the disk said no.
    """
    check_target(path)
    temporary = f".{path.name[:100]}.{secrets.token_hex(8)}.tmp"
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as e:
        raise NotFound(f"no directory {path.parent}", hint=f"mkdir -p {path.parent}") from e
    except OSError as e:
        raise StorageError(f"cannot write in {path.parent}: {e.strerror}") from e
    try:
        if not replace:
            _refuse_existing(path, folder)
        try:
            with EagerFile(_create(temporary, folder, mode), "wb") as file:
                yield file
                os.fsync(file.fileno())
            if replace:
                os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                _take_name(temporary, path, folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
        os.fsync(folder)
    except OSError as e:
        full = e.errno in {errno.ENOSPC, errno.EDQUOT}
        raise (StorageFull if full else StorageError)(f"cannot write {path}: {e.strerror}") from e
    finally:
        os.close(folder)


def check_target(path: Path) -> None:
    """Refuse a path that cannot become a file.

    A rename onto `/dev/null` would take the place of the device.

    Raises:
        UsageError: it names no file, or what is there is none.
    """
    try:
        regular = stat.S_ISREG(path.lstat().st_mode) or path.is_symlink()
    except OSError:
        regular = True  # nothing is there; whoever creates it hears what is wrong
    if not path.name or not regular:
        raise UsageError(f"{path} is not a regular file", hint="--output FILE, `-` for stdout")


def _refuse_existing(path: Path, folder: int) -> None:
    """Say early, before any slow work, that the name is taken."""
    with contextlib.suppress(FileNotFoundError):
        os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        raise _taken(path)


def _create(name: str, folder: int, mode: int) -> int:
    """Create `name` exclusively, with its final mode from the start whatever the umask."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(name, flags, PRIVATE_MODE, dir_fd=folder)
    os.fchmod(file, mode)
    return file


def _write_all(file: io.FileIO, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _take_name(temporary: str, path: Path, folder: int) -> None:
    """Link the finished file to its name; where links do not exist, claim the name first."""
    try:
        os.link(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError as e:
        raise _taken(path) from e
    except PermissionError:  # FAT and exFAT have no links
        try:
            os.close(_create(path.name, folder, PRIVATE_MODE))
        except FileExistsError as e:
            raise _taken(path) from e
        os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def _taken(path: Path) -> KeyExists:
    return KeyExists(
        f"{path} exists; it is not overwritten without --force",
        hint=f"choose another --output, or --force to replace {path.name}",
    )


def read_private(path: Path) -> bytes:
    """Read a file that holds secrets, refusing one that others could have read or planted.

    Raises:
        NotFound: no such file.
        KeyRefused: a symbolic link, not a regular file, foreign owner, or a mode that
            lets group or others in.
        BadKeyFile: over 256 KiB.
    """
    return _read(path, private=True)


def read_public(path: Path) -> bytes:
    """Read a file that holds public keys: any owner, at most 256 KiB."""
    return _read(path, private=False)


def _read(path: Path, *, private: bool) -> bytes:
    """Open once, judge the open file (not its name), then read it."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if private else 0)
    try:
        file = os.open(path, flags)
    except FileNotFoundError as e:
        raise NotFound(f"no file {path}") from e
    except OSError as e:
        if private and path.is_symlink():
            raise KeyRefused(
                f"{path} is a symbolic link; a private key is read from its own place",
                hint=f"give the path that it points to: {str(path.readlink())!r}",
            ) from e
        raise StorageError(f"cannot read {path}: {e.strerror}") from e
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise KeyRefused(f"{path} is not a regular file")
        if private:
            _judge(path, found)
        with io.FileIO(file, "rb", closefd=False) as stream:
            content = io.BufferedReader(stream).read(MAX_BYTES + 1)
    finally:
        os.close(file)
    if len(content) > MAX_BYTES:
        raise BadKeyFile(f"{path} is over {MAX_BYTES // 1024} KiB; that is no key")
    return content


def _judge(path: Path, found: os.stat_result) -> None:
    """Refuse the wrong owner and a mode that lets others in."""
    if found.st_uid not in {os.geteuid(), 0}:
        raise KeyRefused(
            f"{path} belongs to user {found.st_uid}, not to this one ({os.geteuid()})",
            hint=f"chown {os.geteuid()} {path}",
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyRefused(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}; group or others can use it",
            hint=f"chmod 600 {path} (and make a new key if others may have read it)",
        )
