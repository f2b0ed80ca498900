"""The writing side: readings are grouped, packed, sealed, chained and committed.

A reading is taken over when its commit has returned, not before: what `commit` gives
back is on the disk. The appender is used by one thread; any number of processes may
append to one table, as each commit reads the lane's counters under the write lock.

When room runs out (see `dunes.buffer.quota`) older routine frames give way. With only
alerts left, or on a full disk, routine and warning readings are refused and counted;
alerts are never refused: `commit` raises StorageFull, keeps everything, and is to be
called again.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from sqlalchemy import Connection

from dunes.buffer.committer import Committer, SealerFactory, Stored, Work, save_refusals
from dunes.buffer.cursor import Position, save_position
from dunes.buffer.group import LIMITS, Group, Limits
from dunes.buffer.heads import CADENCE_S
from dunes.buffer.payload import Batch, pack_readings
from dunes.buffer.quota import Dropped, QuotaFull, drop_oldest, live_bytes, needed_bytes
from dunes.buffer.records import Signer
from dunes.buffer.reserve import Reserve
from dunes.buffer.store import Buffer, Stream
from dunes.errors import LocalError, StorageFull
from dunes.model import Priority, Reading

__all__ = ["Appender", "Mark", "SealerFactory", "State", "Stored", "Totals"]

RETRY_S = 1.0
"""After a full disk: how long before routine readings are tried again."""

SETTLED_S = 10.0
"""After the last frame gave way: how long before the buffer counts as having room; and how
often the reserve is tried again."""


class State(Enum):
    """How an appender fares."""

    OK = "ok"
    """Everything is taken."""
    EVICTING = "evicting"
    """The quota is reached: the oldest routine frames give way."""
    ALERTS_ONLY = "alerts-only"
    """The quota is full of what must not be dropped: routine readings are refused."""
    DISK_FULL = "disk-full"
    """The disk is full: routine readings are refused, alerts wait if need be."""


class Mark(NamedTuple):
    """How far a followed file was read, to be stored with its readings."""

    source: str
    position: Position


@dataclass(slots=True)
class Totals:
    """What became of the readings that were handed over.

    Attributes:
        accepted: on the disk, by lane.
        refused: not taken for want of room, by lane.
        unpackable: could not be written at all (the caller's mistake).
        frames: frames made.
        dropped: older ones that gave way.
    """

    accepted: dict[int, int] = field(default_factory=lambda: dict.fromkeys(map(int, Priority), 0))
    refused: dict[int, int] = field(default_factory=lambda: dict.fromkeys(map(int, Priority), 0))
    unpackable: int = 0
    frames: int = 0
    dropped: Dropped = field(default_factory=Dropped)


class Appender:
    """Appends readings to one table of a buffer.

    Args:
        buffer: opened with a gateway's name.
        table: folded name of the table.
        signer: the gateway's key; None leaves lane heads unsigned.
        make_sealer: makes the sealer of a stream; None leaves frames in clear.
        rewrite: changes a reading before it is stored, e.g. puts tokens in people's place.
        limits: when a group is due.
        random: gives that many fresh random bytes.
        on_state: told when `state` changes, with a sentence for people.
    """

    def __init__(
        self,
        buffer: Buffer,
        table: str,
        *,
        signer: Signer | None = None,
        make_sealer: SealerFactory | None = None,
        rewrite: Callable[[Reading], Reading] | None = None,
        limits: Limits = LIMITS,
        random: Callable[[int], bytes] = os.urandom,
        on_state: Callable[[State, str], None] | None = None,
    ) -> None:
        self.buffer, self.table = buffer, table
        self.state = State.OK
        self.totals = Totals()
        self._signer = signer
        self._committer = Committer(buffer, table, make_sealer, random)
        self._on_state, self._rewrite = on_state, rewrite
        self._group = Group(limits)
        self._also: Callable[[Connection], None] | None = None
        self._now_s = buffer.clock.monotonic_s
        self._unsaved_refusals = dict.fromkeys(map(int, Priority), 0)
        self._signed_s = dict.fromkeys(map(int, Priority), self._now_s() - CADENCE_S)
        self._unsigned: set[int] = set()
        self._retry_s = self._evicted_s = self._reserve_s = 0.0
        self._reserve_gone = False
        self._room_bytes = 0  # what dropped frames made room for, on a full disk
        self._reserve = None if buffer.path is None else Reserve(buffer.path, buffer.cap_bytes)
        if self._reserve is not None:
            self._reserve.ensure()

    def __len__(self) -> int:
        """How many readings wait to be committed."""
        return len(self._group)

    def add(self, reading: Reading) -> None:
        """Take a reading into the group; it is not safe before a commit."""
        if self._rewrite is not None:
            reading = self._rewrite(reading)
        self._group.add(reading, self._now_s())

    def extend(self, readings: Iterable[Reading]) -> None:
        """Take readings into the group."""
        if self._rewrite is not None:
            readings = map(self._rewrite, readings)
        self._group.extend(readings, self._now_s())

    def next_due_s(self) -> float | None:
        """Say when, by the monotonic clock, `commit_due` will have something to do."""
        times = [self._signed_s[lane] + CADENCE_S for lane in self._unsigned if self._signer]
        due = self._group.next_due_s()
        return min(times + ([] if due is None else [due]), default=None)

    def commit_due(self) -> list[Stored]:
        """Commit the lanes that are due, and sign heads that are overdue."""
        lanes = self.due()
        stored = self.commit(lanes) if lanes else []
        self.sign_due()
        return stored

    def due(self) -> list[int]:
        """Name the lanes to commit now."""
        return self._group.ready(self._now_s())

    def sign_due(self) -> None:
        """Sign the heads that are overdue."""
        now_s = self._now_s()
        if self._signer is not None:
            self._sign([x for x in self._unsigned if now_s >= self._signed_s[x] + CADENCE_S])

    def commit(
        self,
        lanes: Iterable[int] | None = None,
        *,
        mark: Mark | None = None,
        also: Callable[[Connection], None] | None = None,
    ) -> list[Stored]:
        """Commit pending readings: they are on the disk when this returns.

        Args:
            lanes: which lanes; default: all.
            mark: how far the source was read; needs all lanes.
            also: writes what belongs to the readings, in their transaction; it is called
                again where that has to be tried again, and not at all if nothing is stored.

        Raises:
            StorageFull: alerts, for which there is no room; everything is kept pending.
            StorageError: the database failed; everything is kept pending.
        """
        taken = self._group.take(lanes)
        if not taken and mark is None:
            return []
        batches = [batch for lane, readings in taken for batch in self._pack(lane, readings)]
        self._also = also
        try:
            stored = self._commit_batches(batches, mark)
        except BaseException:
            self._group.put_back(taken, self._now_s())
            raise
        finally:
            self._also = None
        given = sum(len(readings) for _, readings in taken)
        self.totals.unpackable += given - sum(batch.n for batch in batches)
        return stored

    def close(self) -> list[Stored]:
        """Commit all that is pending and sign the heads; the appender can still be used."""
        stored = self.commit()
        self._sign(sorted(self._unsigned))
        self._committer.let_go()
        return stored

    # -- packing -------------------------------------------------------------------

    def _pack(self, lane: int, readings: Sequence[Reading]) -> list[Batch]:
        """Pack readings; one that cannot be written costs only itself."""
        try:
            return [pack_readings(readings, lane)]
        except LocalError:
            if len(readings) == 1:
                return []
            middle = len(readings) // 2
            return self._pack(lane, readings[:middle]) + self._pack(lane, readings[middle:])

    # -- committing ----------------------------------------------------------------

    def _commit_batches(self, batches: list[Batch], mark: Mark | None) -> list[Stored]:
        """Store batches; on a full disk others give way for them, or they are refused."""
        self._regain_reserve()
        if not self._reserve_gone:
            if self.state is State.DISK_FULL and self._now_s() < self._retry_s:
                return self._store_alerts(batches, mark)
            try:
                return self._store(batches, mark)
            except QuotaFull:
                raise
            except StorageFull:
                self._reserve_gone = self._reserve is not None and self._reserve.release()
                self._reserve_s = self._now_s() + SETTLED_S
        try:
            return self._store(batches, mark, evict_first=True)
        except QuotaFull:
            raise
        except StorageFull as e:
            self._retry_s = self._now_s() + RETRY_S
            self._enter(State.DISK_FULL, f"{e.message}: only alerts are kept")
        return self._store_alerts(batches, mark)

    def _regain_reserve(self) -> None:
        """Make the reserve again, if the disk has room: everything is taken from then on."""
        now_s = self._now_s()
        if self._reserve_gone and self._reserve is not None and now_s >= self._reserve_s:
            self._reserve_gone = not self._reserve.ensure()
            self._reserve_s = now_s + SETTLED_S

    def _store_alerts(self, batches: list[Batch], mark: Mark | None) -> list[Stored]:
        """Store the alerts, refuse the rest."""
        alerts = [batch for batch in batches if batch.lane == Priority.ALERT]
        others = [batch for batch in batches if batch.lane != Priority.ALERT]
        if alerts:
            return self._store(alerts, mark, evict_first=True, refused=others)
        self._count_refused(others)
        if mark is not None:
            try:
                self._store([], mark)
            except StorageFull:
                # the readings before it count as refused; they will be read again only
                # if this process ends before there is room
                return []
        return []

    def _count_refused(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self.totals.refused[batch.lane] += batch.n
            self._unsaved_refusals[batch.lane] += batch.n

    def _store(
        self,
        batches: list[Batch],
        mark: Mark | None,
        *,
        evict_first: bool = False,
        refused: Iterable[Batch] = (),
    ) -> list[Stored]:
        """Store batches in one transaction; after it, tell how things stand."""
        work = Work(list(refused), evict_first)
        refusals: dict[int, int] = {}
        with self._committer.writing() as connection:
            stream = self._stream_of(connection)
            before = live_bytes(connection) if evict_first else 0
            if evict_first:
                batches = self._let_give_way(connection, batches, work)
            for batch in batches:
                self._committer.append(connection, stream, batch, work)
            for lane in {made.lane for made in work.stored}:
                if self._signer is not None and self._head_due(lane):
                    self._committer.sign(connection, stream, lane, self._signer)
                    work.signed.append(lane)
            if any(self._unsaved_refusals.values()):
                refusals = {lane: n for lane, n in self._unsaved_refusals.items() if n}
                save_refusals(connection, stream, refusals)
            if self._also is not None:
                self._also(connection)
            if mark is not None:
                now_us = self.buffer.clock.unix_us()
                save_position(connection, mark.source, self.table, mark.position, now_us)
            if evict_first:
                work.room_bytes = max(0, self._room_bytes + before - live_bytes(connection))
        for lane, n in refusals.items():
            self._unsaved_refusals[lane] -= n
        self._settle(work)
        return work.stored

    def _stream_of(self, connection: Connection) -> Stream:
        """Give the stream to write; heads that an older one lacks, its sender signs."""
        before = self._committer.stream
        stream = self._committer.current_stream(connection)
        if before is not None and stream != before:
            self._unsigned.clear()
            self._signed_s = dict.fromkeys(map(int, Priority), self._now_s() - CADENCE_S)
        return stream

    def _let_give_way(
        self, connection: Connection, batches: list[Batch], work: Work
    ) -> list[Batch]:
        """On a full disk: drop older frames, and take no more than they made room for.

        Alerts are taken in any case: what the reserve gave up is theirs.
        """
        needs = {id(batch): needed_bytes(len(batch.packed)) for batch in batches}
        before = live_bytes(connection)
        priority = min((batch.lane for batch in batches), default=int(Priority.ALERT))
        target = before + self._room_bytes - sum(needs.values())
        drop_oldest(self.buffer, connection, target, priority, work.dropped)
        room = self._room_bytes + before - live_bytes(connection)
        taken = []
        for batch in batches:
            need = needs[id(batch)]
            if batch.lane == Priority.ALERT or need <= room:
                room -= need
                taken.append(batch)
            else:
                work.refused.append(batch)
        return taken

    def _settle(self, work: Work) -> None:
        """After a commit: count, and say what state the buffer is in."""
        for made in work.stored:
            self.totals.accepted[made.lane] += made.n
            self._unsigned.add(made.lane)
        self.totals.frames += len(work.stored)
        self.totals.dropped.frames += work.dropped.frames
        self.totals.dropped.msgs += work.dropped.msgs
        self._count_refused(work.refused)
        self._note_signed(work.signed)
        self._room_bytes = work.room_bytes
        now_s = self._now_s()
        if self.state is State.DISK_FULL and now_s < self._retry_s:
            return
        if work.refused and work.evict_first:
            self._enter(State.DISK_FULL, "the disk is full: only alerts are kept")
        elif work.refused:
            self._enter(
                State.ALERTS_ONLY,
                "the buffer is full of what must not be dropped: routine readings are refused",
            )
        elif work.dropped.frames:
            self._evicted_s = now_s
            what = "disk" if work.evict_first else "buffer"
            self._enter(State.EVICTING, f"the {what} is full: the oldest routine frames give way")
        elif any(made.lane != Priority.ALERT for made in work.stored) and (
            self.state is not State.EVICTING or now_s - self._evicted_s > SETTLED_S
        ):
            self._enter(State.OK, "there is room again")

    def _enter(self, state: State, message: str) -> None:
        if state is not self.state:
            self.state = state
            if self._on_state is not None:
                self._on_state(state, message)

    # -- heads ---------------------------------------------------------------------

    def _head_due(self, lane: int) -> bool:
        return lane == Priority.ALERT or self._now_s() >= self._signed_s[lane] + CADENCE_S

    def _sign(self, lanes: Sequence[int]) -> None:
        """Sign and store heads in a transaction of their own."""
        stream, signer = self._committer.stream, self._signer
        if not lanes or signer is None or stream is None:
            return
        try:
            with self._committer.writing() as connection:
                for lane in lanes:
                    self._committer.sign(connection, stream, lane, signer)
        except StorageFull:  # the readings are safe; their signature waits for the next time
            for lane in lanes:
                self._signed_s[lane] = self._now_s()
        else:
            self._note_signed(lanes)

    def _note_signed(self, lanes: Iterable[int]) -> None:
        for lane in lanes:
            self._signed_s[lane] = self._now_s()
            self._unsigned.discard(lane)
