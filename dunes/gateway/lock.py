"""One writer per mesh: two programs that share a source address would share its SEQ.

The lock is `flock` on a file of its own, so the kernel drops it with the process, however that
ends. What stands in the file is only for people: who holds it.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from dunes.clock import rfc3339
from dunes.errors import StorageError, TryLater
from dunes.text import printable

_TEXT_MAX_BYTES = 4096


class MeshBusy(TryLater):
    """Another program writes this mesh."""

    code = "mesh-busy"


class MeshLock:
    """The right to write one mesh, from `take` to `release`.

    Args:
        path: the lock file; it stays when the lock is released.
    """

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, mesh_id: str, holder: str, now_us: int) -> None:
        """Take the lock without waiting.

        Args:
            mesh_id: for the message.
            holder: the command that takes it, e.g. `dunes mesh-listen`; no arguments, as
                they may be secret.
            now_us: µs since 1970.

        Raises:
            MeshBusy: somebody has it; the message says who.
            StorageError: the file cannot be made.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise StorageError(f"{self.path} cannot be made: {e.strerror}") from e
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            who = _read(descriptor)
            os.close(descriptor)
            raise _busy(mesh_id, who) from e
        about = {"pid": os.getpid(), "holder": holder, "since": rfc3339(now_us)}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back; harmless if it is not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def holder_of(path: Path) -> str | None:
    """Say who holds the lock now; None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _said(_read(descriptor))
    else:
        return None
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(descriptor, _TEXT_MAX_BYTES, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(who: dict[str, Any]) -> str:
    if not isinstance(who.get("pid"), int):
        return "another program"
    holder = printable(str(who.get("holder") or "a program"), 60)
    return f"{holder} (process {who['pid']}, since {printable(str(who.get('since', '')), 40)})"


def _busy(mesh_id: str, who: dict[str, Any]) -> MeshBusy:
    pid = who.get("pid")
    return MeshBusy(
        f"mesh {mesh_id} is in use by {_said(who)}",
        hint=f"end it (kill {pid}), then repeat" if isinstance(pid, int) else "repeat in a moment",
    )
