"""What can go wrong, as one tree.

Every error carries a `code` (a stable, greppable word), an `exit` status and,
on each instance, a message and a hint that names the next command::

    DunesError                    1   the answer is no
    ├── LocalError               70   we misused our own library: a bug
    ├── UsageError                2   an argument cannot be what was given
    ├── DataError                65   unreadable input
    ├── NotFound                 66   no such file, buffer, table, node
    ├── Unavailable              69   radio, router or peer absent or silent
    ├── StorageError             74   disk, database file, serial line
    │   └── StorageFull          74   the disk or the quota is full
    ├── TryLater                 75   link down, work is queued
    ├── PeerError                76   a peer broke the protocol
    ├── Denied                   77   key mode, scope, permission
    └── ConfigError              78   configuration

Rooms derive their own classes from these; none adds an exit status.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses that scripts may rely on (sysexits.h from 65 on)."""

    OK = 0
    """Done, or nothing left to do."""
    NO = 1
    """The answer is no: damaged buffer, refused scope, failed threshold."""
    USAGE = 2
    """The command line is wrong."""
    DATAERR = 65
    """Unreadable input."""
    NOINPUT = 66
    """No such file, buffer, table or node."""
    UNAVAILABLE = 69
    """Radio, router or peer absent or silent."""
    SOFTWARE = 70
    """A bug of ours: please report it."""
    IOERR = 74
    """Disk or serial line."""
    TEMPFAIL = 75
    """Link down, work is queued: repeat later."""
    PROTOCOL = 76
    """A peer broke the protocol."""
    NOPERM = 77
    """Key mode, scope, D-Bus policy."""
    CONFIG = 78
    """Configuration."""
    INTERRUPTED = 130
    """Ctrl-C."""


class DunesError(Exception):
    """The base: a message for people, a code for scripts, a hint for what to do next.

    Args:
        message: what failed, with the value and the place.
        hint: the next command to type, or None where there is none.
        code: overrides the class's code where one class has several reasons.
    """

    code = "no"
    exit = Exit.NO

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class LocalError(DunesError):
    """We misused our own library: a bug."""

    code = "bug"
    exit = Exit.SOFTWARE


class UsageError(DunesError):
    """An argument cannot be what was given."""

    code = "usage"
    exit = Exit.USAGE


class DataError(DunesError):
    """Input that cannot be read."""

    code = "bad-input"
    exit = Exit.DATAERR


class NotFound(DunesError):
    """No such file, buffer, table or node."""

    code = "not-found"
    exit = Exit.NOINPUT


class Unavailable(DunesError):
    """A radio, router or peer is absent or silent."""

    code = "unavailable"
    exit = Exit.UNAVAILABLE


class StorageError(DunesError):
    """The disk, the database file or a serial line failed."""

    code = "storage"
    exit = Exit.IOERR


class StorageFull(StorageError):
    """The disk or the quota is full."""

    code = "storage-full"


class TryLater(DunesError):
    """The link is down; the work is queued."""

    code = "try-later"
    exit = Exit.TEMPFAIL


class PeerError(DunesError):
    """A peer broke the protocol. Its text is data: bounded and escaped before it is shown."""

    code = "peer-protocol"
    exit = Exit.PROTOCOL


class Denied(DunesError):
    """A key mode, a scope or a permission forbids it."""

    code = "denied"
    exit = Exit.NOPERM


class ConfigError(DunesError):
    """The configuration is wrong or incomplete."""

    code = "config"
    exit = Exit.CONFIG
