"""The record of decisions: one line each in a chain of hashes, in files of bounded size.

`auth_audit.NNNNNN.jsonl` under the state directory. A line is a JSON object that `dunes
ingest` also takes as a reading (device, kind, value, time), so the record can be brought to
the ground like any table. `prev` is the SHA-256 of the line before, across files. Now and
then a line holds a signature (`seal`) over the chain so far, by a key that was open anyway.

Equal answers are grouped: a program that runs on writes one line with a count per minute;
a no is written at once. `SEGMENTS_MAX` files are kept, the oldest go.
"""

import base64
import errno
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dunes.authority.model import Decision
from dunes.clock import SYSTEM_CLOCK, Clock, rfc3339
from dunes.crypto import names
from dunes.filelock import locked
from dunes.mu.errors import Signer
from dunes.paths import Paths

TABLE = "auth_audit"
FOLDER = "audit"
LOCK = "lock"
SEGMENT_BYTES = 1024 * 1024
SEGMENTS_MAX = 16
TAIL_BYTES = 16 * 1024
"""More than the longest line."""
GROUP_S = 60.0
GROUPS_MAX = 1000
SEAL_EVERY = 256
"""Lines after which a key that is open signs the chain; 3.3 kB each."""
FIRST_PREV = "0" * 64
_WIDTH = 6


@dataclass(slots=True)
class Group:
    """Equal answers within a while."""

    decision: Decision
    first_us: int
    last_us: int
    count: int = 1


@dataclass(slots=True)
class AuditTrail:
    """Writes decisions down.

    Attributes:
        folder: where the files are.
        clock: dates.
        signer: a key that is open, to sign the chain now and then; or None.
        lost: lines that could not be written, as the disk said no. Deciding goes on: a full
            disk is emptied by a sync, which has to be decided on too.
    """

    folder: Path
    clock: Clock = SYSTEM_CLOCK
    signer: Signer | None = None
    lost: int = 0
    _groups: dict[tuple[object, ...], Group] = field(default_factory=dict)
    _begun_s: float = 0.0
    _told_s: dict[tuple[object, ...], float] = field(default_factory=dict)

    @classmethod
    def at(cls, paths: Paths, *, clock: Clock = SYSTEM_CLOCK) -> "AuditTrail":
        """Give the trail of an installation."""
        return cls(paths.state / FOLDER, clock)

    def note(self, decision: Decision) -> None:
        """Take a decision; the first no of its kind is on the disk when this returns.

        A yes, and the same no again, are there within a minute.
        """
        request = decision.request
        if request is None:
            return
        now_us, now_s = self.clock.unix_us(), self.clock.monotonic_s()
        key = (request.subject.name, request.action, request.resource, decision.allow, decision.by)
        if (found := self._groups.get(key)) is not None:
            found.count, found.last_us = found.count + 1, now_us
        else:
            if not self._groups:
                self._begun_s = now_s
            self._groups[key] = Group(decision, now_us, now_us)
        urgent = not decision.allow and now_s - self._told_s.get(key, -GROUP_S) >= GROUP_S
        if urgent or len(self._groups) >= GROUPS_MAX or self.due(now_s):
            self.flush(sync=urgent)
            if urgent and not self.lost:
                if len(self._told_s) >= GROUPS_MAX:
                    self._told_s.clear()
                self._told_s[key] = now_s

    def due(self, now_s: float) -> bool:
        """Tell whether what was grouped has waited long enough."""
        return bool(self._groups) and now_s - self._begun_s >= GROUP_S

    def flush(self, *, sync: bool = False) -> None:
        """Write what was grouped."""
        if not self._groups and not self.lost:
            return
        rows = [_row(group) for group in self._groups.values()]
        if self.lost and rows:
            rows[0]["lost_before"] = self.lost
        try:
            if rows:
                append(self.folder, rows, self.signer, sync=sync)
        except OSError:
            self.lost += len(rows)
        else:
            self.lost = 0
        self._groups.clear()


def _row(group: Group) -> dict[str, Any]:
    """Write a group as a record that is also a reading."""
    decision, request = group.decision, group.decision.request
    if request is None:
        return {}
    resource = request.resource
    about = {
        name: value
        for name, value in (
            ("table", resource.table),
            ("on_device", resource.device),
            ("destination", resource.destination),
            ("name", resource.name),
        )
        if value
    }
    row: dict[str, Any] = {
        "time": rfc3339(group.first_us),
        "device": _device(request.subject.name),
        "kind": request.action,
        "value": "allow" if decision.allow else "deny",
        "subject": request.subject.name,
        **about,
        "reason": decision.reason[:200],
    }
    if decision.by:
        row["by"] = decision.by
    if not decision.allow:
        row["priority"] = "warning"
    if group.count > 1:
        row |= {"count": group.count, "last_time": rfc3339(group.last_us)}
    return row


def _device(subject: str) -> str:
    """Fold a subject's name to one that a device could have."""
    kept = "".join(
        c if (c.isascii() and c.isalnum()) or c in "._-" else "." for c in subject.lower()
    )
    return kept.strip("._-")[:64].rstrip("._-") or "unknown"


# -- the files ----------------------------------------------------------------------------


def segments(folder: Path) -> list[Path]:
    """Give the files, oldest first."""
    return sorted(folder.glob(f"{TABLE}.*.jsonl")) if folder.is_dir() else []


def append(
    folder: Path, rows: list[dict[str, Any]], signer: Signer | None, *, sync: bool = False
) -> None:
    """Append rows to the chain; with a signer, seal it if that is due.

    Raises:
        OSError: the disk said no.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / LOCK):
        files = segments(folder)
        number = int(files[-1].name.split(".")[1]) if files else 1
        path = folder / f"{TABLE}.{number:0{_WIDTH}d}.jsonl"
        no, prev, sealed_no = _state(files)
        content = b""
        for row in rows:
            no += 1
            line = _line({"no": no, "sealed": sealed_no, **row, "prev": prev})
            prev, content = hash_line(line), content + line
        if signer is not None and no - sealed_no >= SEAL_EVERY:
            no += 1
            line = _seal(no, prev, signer)
            content += line
        if files and path.stat().st_size + len(content) > SEGMENT_BYTES:
            path = folder / f"{TABLE}.{number + 1:0{_WIDTH}d}.jsonl"
            for old in files[: max(0, len(files) + 1 - SEGMENTS_MAX)]:
                old.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # the rest is torn
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def seal(folder: Path, signer: Signer) -> int:
    """Sign the chain as it is; give the number of lines that are covered.

    Raises:
        OSError: the disk said no.
    """
    with locked(folder / LOCK):
        files = segments(folder)
        no, prev, sealed_no = _state(files)
        if no == sealed_no:
            return no
        with files[-1].open("ab") as file:
            file.write(_seal(no + 1, prev, signer))
            file.flush()
            os.fsync(file.fileno())
        return no


def _seal(no: int, prev: str, signer: Signer) -> bytes:
    """Make the line that signs all before it."""
    signature = signer.sign(signed_bytes(no, prev), names.SIGN_AUDIT)
    body = {
        "no": no,
        "sealed": no,
        "device": "auth-audit",
        "kind": "seal",
        "value": signer.kid,
        "seal": {"kid": signer.kid, "sig": base64.b64encode(signature).decode("ascii")},
        "prev": prev,
    }
    return _line(body)


def signed_bytes(no: int, prev: str) -> bytes:
    """Give what a seal signs: the line's number, and the chain before it."""
    return b"auth_audit\x00%d\x00%b" % (no, prev.encode("ascii"))


def _line(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode("ascii") + b"\n"


def hash_line(line: bytes) -> str:
    """Give what the next line has as `prev`."""
    return hashlib.sha256(line).hexdigest()


def _state(files: list[Path]) -> tuple[int, str, int]:
    """Give (number, hash, number of the last seal) after the last line.

    Lines that cannot be read, as a disk lost them, count by their number: the record goes
    on, and whoever reads it is told of them.
    """
    prev, unread = "", 0
    for path in reversed(files):
        for line in reversed(_last_lines(path)):
            prev = prev or hash_line(line)
            try:
                body = json.loads(line)
                return int(body["no"]) + unread, prev, int(body["sealed"])
            except (ValueError, KeyError, TypeError):
                unread += 1
    return unread, prev or FIRST_PREV, 0


def whole_lines(data: bytes) -> list[bytes]:
    """Give the lines that have an end, with it."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def _last_lines(path: Path) -> list[bytes]:
    """Give the lines of a file's end; a torn one behind them was never finished, and is cut."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        begin = max(0, size - TAIL_BYTES)
        file.seek(begin)
        tail = file.read()
        end = tail.rfind(b"\n") + 1
        if end < len(tail):
            file.truncate(begin + end)
    lines = whole_lines(tail[:end])
    return lines[1:] if begin else lines  # the first may have begun before
