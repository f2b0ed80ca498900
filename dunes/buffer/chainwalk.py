"""Walk a lane's frames and hold each against its neighbours (level L1, and L3).

A frame is judged when its successor is known: the successor's `prev_hash` tells
whether the bytes, the stored hash, or both are not what was written.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from dunes.buffer import schema
from dunes.buffer.findings import Finding, Kind
from dunes.buffer.frame import Frame, Opener, frame_hash, open_readings
from dunes.buffer.frameheader import HEADER_BYTES, BadFrame, FrameReason, Header, parse_header
from dunes.buffer.read import PAGE_FRAMES, StoredFrame, stored_frame, stored_frames, tombstones
from dunes.buffer.records import BadTombstone, Head, Tombstone
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Lane, Stream
from dunes.clock import US_PER_S, rfc3339
from dunes.crypto.errors import NotARecipient
from dunes.errors import DunesError

CLOCK_SLACK_US = 60 * US_PER_S
"""Frames overlap in time, as devices report late; beyond this a clock went back."""
CLOCK_FINDINGS_MAX = 20
DEVICES_KEPT = 10_000
_F = schema.frame.c
_NUMBERS = Prepared(
    select(_F.no)
    .where(
        _F.stream_id == bindparam("of_stream"),
        _F.lane == bindparam("lane_no"),
        _F.no > bindparam("after_no"),
    )
    .order_by(_F.no)
    .limit(bindparam("page"))
)
_HASH = Prepared(
    select(_F.hash).where(
        _F.stream_id == bindparam("of_stream"),
        _F.lane == bindparam("lane_no"),
        _F.no == bindparam("frame_no"),
    )
)


@dataclass(slots=True)
class _Seen:
    """A frame whose successor is awaited."""

    stored: StoredFrame
    computed: bytes
    judged: bool


def _at(ts_us: int | None) -> str | None:
    try:
        return None if ts_us is None else rfc3339(ts_us)
    except (ValueError, OverflowError):
        return None  # a damaged row may hold any number


class LaneWalk:
    """One lane, from its base to its newest end.

    Attributes:
        findings: what is wrong.
        frames, msgs, sealed, size_bytes: counted on the way.
        first_no: the oldest frame met.
        ts_min_us, ts_max_us: of all frames met.
        lane: the counters, as they were when the walk began (or was overtaken).
    """

    def __init__(
        self,
        buffer: Buffer,
        stream: Stream,
        lane: Lane,
        points: set[int],
        *,
        progress: Callable[[int], None],
    ) -> None:
        self.lane = lane
        self.findings: list[Finding] = []
        self.frames = self.msgs = self.sealed = self.size_bytes = 0
        self.first_no: int | None = None
        self.ts_min_us: int | None = None
        self.ts_max_us: int | None = None
        self._buffer, self._stream, self._progress = buffer, stream, progress
        self._started = lane
        self._points = points
        self._known = {lane.base_no: (lane.base_hash, lane.base_msg), 0: (bytes(32), 0)}
        self._acked_msgs = 0
        self._no, self._msg, self._prev = lane.base_no + 1, lane.base_msg + 1, lane.base_hash
        self._ts_us: int | None = None
        self._seen: _Seen | None = None
        self._deep, self._opener = False, None
        self._devices: dict[str, int] = {}
        self._clock_findings = 0
        self._no_key = 0
        self._unreadable: dict[int, str] = {}

    def read_contents(self, opener: Opener | None) -> None:
        """Have the content of each frame read too."""
        self._deep, self._opener = True, opener  # type: ignore[assignment]  # None at first

    def run(self) -> None:
        """Walk."""
        for stored in self._rows():
            self._take(stored)
        self._end()

    def hash_at(self, no: int) -> bytes | None:
        """Give the hash of a frame that was asked for, if it was met."""
        return self._known[no][0] if no in self._known else None

    def msgs_after(self, no: int) -> int:
        """Say how many stored readings lie above frame `no` (the acknowledged end)."""
        return self.msgs if no <= self.lane.base_no else self.msgs - self._acked_msgs

    # -- rows ----------------------------------------------------------------------

    def _rows(self) -> Iterator[StoredFrame]:
        """Give the stored frames in order, page by page, around what cannot be read."""
        after_no, place = self.lane.base_no, (self._stream.id, self.lane.lane)
        while True:
            try:
                with self._buffer.reading() as connection:
                    page = stored_frames(connection, *place, after_no)
            except DunesError as e:
                numbers = self._numbers(after_no, e)
                page = [found for no in numbers if (found := self._one(no)) is not None]
                if not numbers:
                    return
                after_no = numbers[-1]
            else:
                if not page:
                    return
                after_no = page[-1].no
            for stored in page:
                if stored.no > self._started.last_no:
                    return  # written since the walk began
                yield stored
            self._progress(self.frames)

    def _numbers(self, after_no: int, error: DunesError) -> list[int]:
        """Ask the key index alone which frames come next; after an error in the table."""
        try:
            with self._buffer.reading() as connection:
                rows = _NUMBERS(
                    connection,
                    of_stream=self._stream.id,
                    lane_no=self.lane.lane,
                    after_no=after_no,
                    page=PAGE_FRAMES,
                ).fetchall()
        except DunesError:
            last = self._started.last_no
            self._find(Kind.UNREADABLE, error.message, after_no + 1, last)
            # nothing further down this lane can be reached
            self._no, self._msg, self._prev = last + 1, self._started.next_msg, b""
            return []
        return [int(row[0]) for row in rows]

    def _one(self, no: int) -> StoredFrame | None:
        """Read one frame; one that the database cannot give is a finding."""
        try:
            with self._buffer.reading() as connection:
                return stored_frame(connection, self._stream.id, self.lane.lane, no)
        except DunesError as e:
            self._unreadable[no] = e.message
            return None

    # -- one frame -----------------------------------------------------------------

    def _take(self, stored: StoredFrame) -> None:
        """Judge the frame before, then hold this one against it."""
        if stored.no != self._no:
            self._judge_seen(None)
            self._cross(stored)
            if stored.no < self._no:
                return  # acknowledged and deleted while the walk came along
        header = self._header(stored)
        computed = frame_hash(stored.header, stored.body)
        alone = self._seen is None
        if header is not None and self._misplaced(stored, header, computed):
            header = None  # a frame of another place says nothing of its neighbours here
        self._judge_seen(None if header is None else header.prev_hash)
        seen = _Seen(stored, computed, judged=header is None)
        self._count(stored, header)
        if header is not None:
            if alone and self._prev and header.prev_hash != self._prev:
                self._find_frame(Kind.TAMPER, "does not follow the frame before it", stored)
            self._check_place(stored, header)
            if self._deep and computed == stored.hash:
                self._read(Frame(header, stored.header, stored.body, computed))
        self._seen = seen
        # 0: the row cannot say which reading comes next
        next_msg = 0 if header is None else stored.last_msg + 1
        self._no, self._msg, self._prev = stored.no + 1, next_msg, stored.hash
        if stored.no in self._points:
            self._known[stored.no] = (stored.hash, stored.last_msg)

    def _header(self, stored: StoredFrame) -> Header | None:
        """Read a frame's header; None, and a finding, if it is none."""
        try:
            header = parse_header(stored.header)
        except BadFrame as e:
            self._find_frame(Kind.BITROT, e.message, stored)
            return None
        if header.body_len != len(stored.body):
            detail = f"{len(stored.body)} bytes of body where there were {header.body_len}"
            self._find_frame(Kind.BITROT, detail, stored)
            return None
        return header

    def _misplaced(self, stored: StoredFrame, header: Header, computed: bytes) -> bool:
        """Find a frame that lies in another's place, or under other columns."""
        inside = (header.no, header.n, header.first_msg, header.ts_min_us, header.ts_max_us)
        row = (stored.no, stored.n, stored.first_msg, stored.ts_min_us, stored.ts_max_us)
        foreign = header.lane != self.lane.lane or header.epoch != self._stream.epoch
        if inside == row and not foreign:
            return False
        kind, detail = Kind.BITROT, "the header is not that which was stored"
        if foreign:
            kind, detail = Kind.REORDER, "a frame of another lane or epoch lies here"
        elif header.no != stored.no and computed == stored.hash:
            kind, detail = Kind.REORDER, f"frame {header.no} lies in the place of {stored.no}"
            with self._buffer.reading() as connection:
                row_there = _HASH(
                    connection,
                    of_stream=self._stream.id,
                    lane_no=self.lane.lane,
                    frame_no=header.no,
                ).first()
            if row_there is not None and bytes(row_there[0]) == computed:
                kind = Kind.DUPLICATE
                detail = f"a copy of frame {header.no} lies in the place of {stored.no}"
        elif computed == stored.hash:
            kind, detail = Kind.TAMPER, "the row's columns are not those of the frame"
        self._find_frame(kind, detail, stored)
        return True

    def _judge_seen(self, named: bytes | None) -> None:
        """Judge the frame before, now that its successor names it by its hash (or is none).

        Its bytes, its stored hash and the name should all agree.
        """
        seen, self._seen = self._seen, None
        if seen is None or seen.judged:
            return
        stored, computed = seen.stored, seen.computed
        if computed == stored.hash:
            if named is not None and named != computed:
                self._find_frame(Kind.TAMPER, "not the frame that the next one follows", stored)
        elif named == computed:
            detail = "its stored hash was changed; the readings are sound"
            self._find_frame(Kind.BITROT, detail, stored, readings=0)
        else:
            self._find_frame(Kind.BITROT, "its bytes were changed since it was stored", stored)

    def _check_place(self, stored: StoredFrame, header: Header) -> None:
        """Check the reading numbers, and the clock."""
        if self._msg and header.first_msg != self._msg:
            detail = f"begins with reading {header.first_msg} where {self._msg} comes next"
            self._find_frame(Kind.TAMPER, detail, stored)
        if self._ts_us is not None and header.ts_max_us < self._ts_us - CLOCK_SLACK_US:
            back_s = (self._ts_us - header.ts_max_us) / US_PER_S
            self._clock(f"time went back by {back_s:.0f} s", stored)
        self._ts_us = header.ts_max_us

    def _count(self, stored: StoredFrame, header: Header | None) -> None:
        self.frames += 1
        self.msgs += stored.n
        self.size_bytes += HEADER_BYTES + len(stored.body)
        if stored.no <= self.lane.cum_no:
            self._acked_msgs += stored.n
        if self.first_no is None:
            self.first_no = stored.no
        if header is not None:
            self.sealed += header.sealed
            earliest, latest = header.ts_min_us, header.ts_max_us
            if self.ts_min_us is None or earliest < self.ts_min_us:
                self.ts_min_us = earliest
            if self.ts_max_us is None or latest > self.ts_max_us:
                self.ts_max_us = latest

    # -- content -------------------------------------------------------------------

    def _read(self, frame: Frame) -> None:
        """L3: unseal, unfold, read, and look at each device's clock."""
        header = frame.header
        try:
            readings = open_readings(frame, self._opener)
        except BadFrame as e:
            if e.reason is FrameReason.NO_KEY:
                self._no_key += 1
                return
            self._find_header(Kind.CONTENT, e.message, header)
            return
        except NotARecipient:
            self._no_key += 1
            return
        except DunesError as e:
            self._find_header(Kind.CONTENT, e.message, header)
            return
        for reading in readings:
            before = self._devices.get(reading.device)
            if before is not None and reading.ts_us < before - CLOCK_SLACK_US:
                back_s = (before - reading.ts_us) / US_PER_S
                self._clock(f"the clock of {reading.device} went back by {back_s:.0f} s", None)
            if before is not None or len(self._devices) < DEVICES_KEPT:
                self._devices[reading.device] = reading.ts_us

    # -- holes and ends ------------------------------------------------------------

    def _tombs(self) -> list[Tombstone]:
        try:
            with self._buffer.reading() as connection:
                place = (self._stream.id, self.lane.lane)
                return tombstones(connection, *place, self._no - 1)
        except BadTombstone as e:
            self._find(Kind.BITROT, e.message, self._no, self._no, readings=0)
            return []

    def _cross(self, stored: StoredFrame | None) -> None:
        """Get over a hole: by tombstones, by what was deleted meanwhile, or as a gap."""
        until = self._started.last_no if stored is None else stored.no - 1
        self._follow_base()
        for tomb in self._tombs():
            if tomb.from_no > until:
                break
            if tomb.from_no == self._no:
                if tomb.prev_hash != self._prev:
                    detail = "a tombstone does not follow the frame before it"
                    self._find(Kind.TAMPER, detail, tomb.from_no, tomb.to_no, readings=0)
                self._jump(tomb.to_no, tomb.first_msg + tomb.n_msgs - 1, tomb.last_hash)
        if self._no > until:
            return
        if stored is not None:
            kind, detail = self._why_hole(Kind.GAP, "frames are missing")
            self._find_hole(kind, detail, until, stored.first_msg - 1, stored)
            self._no, self._msg, self._prev = stored.no, stored.first_msg, b""
            return
        kind, detail = self._why_hole(Kind.TRUNCATED, "the newest frames are missing")
        self._find_hole(kind, detail, until, self._started.last_msg, None)
        self._jump(until, self._started.last_msg, self._started.head_hash)

    def _why_hole(self, kind: Kind, detail: str) -> tuple[Kind, str]:
        """Tell frames that are not there from frames that the database cannot give."""
        message = self._unreadable.get(self._no)
        return (kind, detail) if message is None else (Kind.UNREADABLE, message)

    def _follow_base(self) -> None:
        """Go on above what was acknowledged or dropped while the walk came along."""
        with self._buffer.reading() as connection:
            lane = self._buffer.lane(connection, self._stream.id, self.lane.lane)
        if lane.base_no >= self._no:
            self.lane = lane
            self._jump(lane.base_no, lane.base_msg, lane.base_hash)

    def _jump(self, no: int, msg: int, hash_: bytes) -> None:
        self._no, self._msg, self._prev = no + 1, msg + 1, hash_
        if no in self._points:
            self._known[no] = (hash_, msg)

    def _end(self) -> None:
        """Hold the last frame and the counters against each other."""
        started = self._started
        if self._no <= started.last_no:
            self._judge_seen(None)
            self._cross(None)
        else:
            self._judge_seen(started.head_hash)
        self._known.setdefault(started.last_no, (started.head_hash, started.last_msg))
        if (
            self._msg not in {0, started.next_msg}
            and self._no == started.next_no
            and not self.findings
        ):
            detail = f"the counters say {started.last_msg} readings, the frames {self._msg - 1}"
            self._find(Kind.COUNTERS, detail, None, None)
        with self._buffer.reading() as connection:
            now = self._buffer.lane(connection, self._stream.id, self.lane.lane)
        unmoved = (now.base_no, now.next_no) == (started.base_no, started.next_no)
        counted = (self.frames, self.msgs, self.size_bytes)
        stored = (now.frames, now.msgs, now.size_bytes)
        if unmoved and counted != stored and not self.findings:
            detail = f"counted frames, readings, bytes: {counted}; the counters say {stored}"
            self._find(Kind.COUNTERS, detail, None, None)
        if self._no_key:
            detail = f"{self._no_key} sealed frames were not read: no key is at hand"
            self._find(Kind.SEALED, detail, None, None)

    def judge_head(self, head: Head) -> list[Finding]:
        """Hold a signed head against the frames."""
        last = self._started
        if head.no > last.last_no:
            return [
                Finding(
                    Kind.TRUNCATED,
                    f"frame {head.no} was signed, the newest here is {last.last_no}",
                    from_no=last.last_no + 1,
                    to_no=head.no,
                    from_msg=last.next_msg,
                    to_msg=head.n_total,
                    readings=max(0, head.n_total - last.last_msg),
                    from_at=_at(self.ts_max_us),
                    to_at=_at(head.ts_us),
                )
            ]
        known = self._known.get(head.no)
        if known is not None and known != (head.frame_hash, head.n_total):
            detail = f"frame {head.no} is not the one that was signed"
            return [Finding(Kind.TAMPER, detail, from_no=head.no, to_no=head.no)]
        return []

    # -- findings ------------------------------------------------------------------

    def _find(
        self, kind: Kind, detail: str, from_no: int | None, to_no: int | None, readings: int = 0
    ) -> None:
        self.findings.append(
            Finding(kind, detail, from_no=from_no, to_no=to_no, readings=readings)
        )

    def _find_frame(
        self, kind: Kind, detail: str, stored: StoredFrame, readings: int | None = None
    ) -> None:
        """One frame is affected; its columns tell which readings that are."""
        self.findings.append(
            Finding(
                kind,
                detail,
                from_no=stored.no,
                to_no=stored.no,
                from_msg=stored.first_msg,
                to_msg=stored.last_msg,
                readings=stored.n if readings is None else readings,
                from_at=_at(stored.ts_min_us),
                to_at=_at(stored.ts_max_us),
            )
        )

    def _find_header(self, kind: Kind, detail: str, header: Header) -> None:
        self.findings.append(
            Finding(
                kind,
                detail,
                from_no=header.no,
                to_no=header.no,
                from_msg=header.first_msg,
                to_msg=header.last_msg,
                readings=header.n,
                from_at=_at(header.ts_min_us),
                to_at=_at(header.ts_max_us),
            )
        )

    def _find_hole(
        self, kind: Kind, detail: str, to_no: int, to_msg: int, after: StoredFrame | None
    ) -> None:
        """Frames from the next one expected on are affected; their neighbours tell which."""
        self.findings.append(
            Finding(
                kind,
                detail,
                from_no=self._no,
                to_no=to_no,
                from_msg=self._msg or None,
                to_msg=to_msg,
                readings=max(0, to_msg - self._msg + 1) if self._msg else 0,
                from_at=_at(self._ts_us),
                to_at=None if after is None else _at(after.ts_min_us),
            )
        )

    def _clock(self, detail: str, stored: StoredFrame | None) -> None:
        self._clock_findings += 1
        if self._clock_findings <= CLOCK_FINDINGS_MAX:
            no = self._no if stored is None else stored.no
            self._find(Kind.CLOCK, detail, no, no)
