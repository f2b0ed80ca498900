"""One process at a time works on a login, and a killed one leaves word.

`<state>/sakina/PROFILE.KIND` (KIND: `login` or `refresh`) is locked by whoever works, and
holds a line while a token request is on its way and its answer is not stored. The kernel
drops the lock with the process; the line stays. So whoever finds a line in a file that
nobody locks knows that a process was killed between receiving and storing a token.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dunes.clock import US_PER_S, rfc3339
from dunes.errors import StorageError, TryLater
from dunes.model import check_name
from dunes.paths import Paths
from sakina.oauth.wait import SYSTEM_WAIT, Wait

KINDS = ("login", "refresh")
LOOK_S = 0.05
LINE_MAX = 4096


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Word of a process that did not come to its end.

    Attributes:
        kind: `login` or `refresh`.
        profile: whose.
        at: when it asked for a token, RFC 3339.
        issuer: whom.
    """

    kind: str
    profile: str
    at: str
    issuer: str

    def __str__(self) -> str:
        """Say it to a person."""
        what = "a login" if self.kind == "login" else "a renewal"
        return (
            f"{what} of profile {self.profile} at {self.at} ended between asking "
            f"{self.issuer} for a token and storing it: what the issuer gave, if anything, is lost"
        )


class Held:
    """A lock that is held; says what was found, and notes what is under way."""

    def __init__(self, descriptor: int, kind: str, profile: str, wait: Wait) -> None:
        self._descriptor = descriptor
        self._kind, self._profile, self._wait = kind, profile, wait
        self.interrupted = _parse(os.pread(descriptor, LINE_MAX, 0), kind, profile)

    def ask(self, issuer: str) -> None:
        """Note that a token request goes out."""
        at = rfc3339(self._wait.unix_s() * US_PER_S)
        line = json.dumps({"at": at, "issuer": issuer[:500]}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, line, 0)
        os.fsync(self._descriptor)

    def clear(self) -> None:
        """Note that nothing is open any more: stored, or refused."""
        os.ftruncate(self._descriptor, 0)


class Journal:
    """The locks and notes of one installation.

    Args:
        paths: of it.
        wait: clocks.
    """

    def __init__(self, paths: Paths, wait: Wait = SYSTEM_WAIT) -> None:
        self._paths = paths
        self._folder = paths.state / "sakina"
        self._wait = wait

    @contextmanager
    def hold(self, profile: str, kind: str, timeout_s: float) -> Iterator[Held]:
        """Be the one process that works on a profile, until the block is left.

        Raises:
            TryLater: another one is at it, and stays at it.
            StorageError: there is no place for locks.
        """
        deadline_s = self._wait.now_s() + timeout_s
        descriptor = self._open(profile, kind)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if self._wait.now_s() >= deadline_s:
                        raise TryLater(
                            f"another process is busy with a {kind} of profile {profile}",
                            hint="let it end, or end it",
                            code="login-busy",
                        ) from None
                    self._wait.sleep_s(LOOK_S)
                else:
                    break
            yield Held(descriptor, kind, profile, self._wait)
        finally:
            os.close(descriptor)

    def look(self, profile: str) -> list[Interrupted]:
        """Say what was interrupted; what goes on right now is not."""
        found = []
        for kind in KINDS:
            try:
                descriptor = os.open(self._path(profile, kind), os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                word = _parse(os.pread(descriptor, LINE_MAX, 0), kind, profile)
                if word is not None:
                    found.append(word)
            except BlockingIOError:
                continue
            finally:
                os.close(descriptor)
        return found

    def profiles(self) -> list[str]:
        """Name the profiles that somebody worked on."""
        try:
            found = {p.stem for kind in KINDS for p in self._folder.glob(f"*.{kind}")}
        except OSError:
            return []
        return sorted(found)

    def forget(self, profile: str) -> None:
        """Drop all word of a profile; a process that is at work keeps its own."""
        for kind in KINDS:
            try:
                with self.hold(profile, kind, 0.0) as held:
                    held.clear()
            except TryLater:
                continue

    def _path(self, profile: str, kind: str) -> Path:
        return self._folder / f"{check_name(profile, 'profile')}.{kind}"

    def _open(self, profile: str, kind: str) -> int:
        path = self._path(profile, kind)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise StorageError(f"cannot open {path}: {e.strerror}") from e


def _parse(raw: bytes, kind: str, profile: str) -> Interrupted | None:
    if not raw:
        return None
    try:
        line = json.loads(raw)
        return Interrupted(kind, profile, str(line["at"]), str(line["issuer"]))
    except (ValueError, KeyError, TypeError):
        return Interrupted(kind, profile, "an unknown time", "the issuer")
