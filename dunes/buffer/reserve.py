"""A file that only takes up room, given up when the disk is full.

SQLite needs some free space even to delete. What this file held is enough to let old
routine frames give way, and to keep the alerts that come meanwhile.
"""

import os
from pathlib import Path

RESERVE_BYTES = 4 * 1024 * 1024
RESERVE_MIN_BYTES = 256 * 1024
CAP_SHARE = 50
"""A small buffer has a small reserve: one part in fifty of its cap."""
FREE_FACTOR = 2
"""Made (again) only where the disk has this many times its size free."""


class Reserve:
    """The reserve of one database file.

    Args:
        database: the file.
        cap_bytes: what the buffer may grow to.
    """

    def __init__(self, database: Path, cap_bytes: int) -> None:
        self.path = database.with_name(database.name + ".reserve")
        self.size_bytes = min(RESERVE_BYTES, max(RESERVE_MIN_BYTES, cap_bytes // CAP_SHARE))

    def ensure(self) -> bool:
        """Make the file if it is not there and the disk has room; say whether it is there."""
        try:
            if self.path.stat().st_size >= self.size_bytes:
                return True
        except FileNotFoundError:
            pass
        except OSError:
            return False
        try:
            disk = os.statvfs(self.path.parent)
            if disk.f_bavail * disk.f_frsize < FREE_FACTOR * self.size_bytes:
                return False
            descriptor = os.open(
                self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                os.posix_fallocate(descriptor, 0, self.size_bytes)
            finally:
                os.close(descriptor)
        except OSError:  # no room after all, or a file system that cannot: a help, no promise
            self.release()
            return False
        return True

    def release(self) -> bool:
        """Give the room up; say whether there was any."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True
