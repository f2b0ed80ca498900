"""One stream of the ground station's database, as the receiver sees it.

The ground station's lane counters (`frames`, `msgs`, `size_bytes`, `next_no`, `next_msg`,
`head_hash`) count the complete part of a lane, up to `cum_*`. What is stored above a gap
is in `held`, and is counted when the gap closes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from dunes.buffer import schema
from dunes.buffer.frame import Frame
from dunes.buffer.frameheader import HEADER_BYTES, parse_header
from dunes.buffer.heads import store_head
from dunes.buffer.keyrecords import add_key_records
from dunes.buffer.read import tombstones
from dunes.buffer.records import Head, Tombstone
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Lane, Stream
from dunes.uplink.rangeset import RangeSet
from dunes.uplink.receiver import Cum, Link

PAGE = 2000

_F, _T, _L = schema.frame.c, schema.tombstone.c, schema.lane.c
_IN_LANE = (_F.stream_id == bindparam("stream_id"), _F.lane == bindparam("lane_no"))
_LINK = (_F.no, _F.header, _F.hash, _F.first_msg + _F.n - 1)
_ONE = Prepared(select(*_LINK).where(*_IN_LANE, _F.no == bindparam("frame_no")))
_SOME = Prepared(
    select(*_LINK)
    .where(*_IN_LANE, _F.no > bindparam("after_no"), _F.no <= bindparam("up_to_no"))
    .order_by(_F.no)
    .limit(bindparam("page"))
)
_NUMBERS = Prepared(
    select(_F.no)
    .where(*_IN_LANE, _F.no > bindparam("after_no"))
    .order_by(_F.no)
    .limit(bindparam("page"))
)
_SUM = Prepared(
    select(
        func.count(),
        func.coalesce(func.sum(_F.n), 0),
        func.coalesce(func.sum(HEADER_BYTES + func.length(_F.body)), 0),
    ).where(*_IN_LANE, _F.no > bindparam("after_no"), _F.no <= bindparam("up_to_no"))
)
_ABOVE = Prepared(
    select(func.count(), func.coalesce(func.sum(_F.n), 0)).where(
        *_IN_LANE, _F.no > bindparam("after_no")
    )
)
_LAST = Prepared(select(func.max(_F.ts_max)).where(*_IN_LANE))
_ADD = Prepared(insert(schema.frame))
_COUNT = Prepared(
    update(schema.lane)
    .where(_L.stream_id == bindparam("of_stream"), _L.lane == bindparam("lane_no"))
    .values(
        frames=_L.frames + bindparam("more_frames"),
        msgs=_L.msgs + bindparam("more_msgs"),
        size_bytes=_L.size_bytes + bindparam("more_bytes"),
        dropped_frames=_L.dropped_frames + bindparam("more_dropped"),
        dropped_msgs=_L.dropped_msgs + bindparam("more_dropped_msgs"),
    )
)
_TOMB = Prepared(insert(schema.tombstone))
_UNTOMB = Prepared(
    delete(schema.tombstone).where(
        _T.stream_id == bindparam("of_stream"),
        _T.lane == bindparam("lane_no"),
        _T.from_no == bindparam("first_no"),
    )
)


@dataclass(slots=True)
class _Counts:
    """What a transaction adds to a lane's counters."""

    frames: int = 0
    msgs: int = 0
    size_bytes: int = 0
    dropped_frames: int = 0
    dropped_msgs: int = 0


@dataclass(slots=True)
class SqlLedger:
    """The receiver's view of a stream, within one transaction.

    Attributes:
        buffer: the ground station's database.
        connection: the transaction.
        stream: which stream.
        known: by lane, what is stored above `cum`, as of the last commit; read from the
            database where it is not there. Never changed: see `now_held`.
        now_held: by lane, the same as of this transaction; the caller keeps it if the
            transaction commits.
    """

    buffer: Buffer
    connection: Connection
    stream: Stream
    known: dict[int, RangeSet] = field(default_factory=dict)
    now_held: dict[int, RangeSet] = field(default_factory=dict)
    _cums: dict[int, Cum] = field(default_factory=dict)
    _counts: dict[int, _Counts] = field(default_factory=dict)

    def lane(self, lane: int) -> Lane:
        """Give a lane's counters as stored."""
        return self.buffer.lane(self.connection, self.stream.id, lane)

    def cum(self, lane: int) -> Cum:
        """Say how far the lane is complete."""
        if lane not in self._cums:
            row = self.lane(lane)
            self._cums[lane] = Cum(row.cum_no, bytes(row.cum_hash), row.cum_msg)
        return self._cums[lane]

    def set_cum(self, lane: int, cum: Cum) -> None:
        """Say how far it is complete now."""
        before, self._cums[lane] = self.cum(lane), cum
        held = self.held(lane)
        held.remove(0, cum.no)
        row = _SUM(
            self.connection,
            stream_id=self.stream.id,
            lane_no=lane,
            after_no=before.no,
            up_to_no=cum.no,
        ).one()
        counts = self._counts.setdefault(lane, _Counts())
        counts.frames += int(row[0])
        counts.msgs += int(row[1])
        counts.size_bytes += int(row[2])
        self.buffer.update_lane(
            self.connection,
            self.stream.id,
            lane,
            cum_no=cum.no,
            cum_hash=cum.hash,
            cum_msg=cum.msg,
            next_no=cum.no + 1,
            next_msg=cum.msg + 1,
            head_hash=cum.hash,
        )

    def held(self, lane: int) -> RangeSet:
        """Give the numbers above `cum` that are stored, tombstones included."""
        if lane not in self.now_held:
            known = self.known.get(lane)
            self.now_held[lane] = self._read_held(lane) if known is None else known.copy()
        return self.now_held[lane]

    def _read_held(self, lane: int) -> RangeSet:
        cum = self.cum(lane)
        found, after_no = RangeSet(), cum.no
        while True:
            rows = _NUMBERS(
                self.connection,
                stream_id=self.stream.id,
                lane_no=lane,
                after_no=after_no,
                page=PAGE,
            ).fetchall()
            for row in rows:
                found.add(row[0], row[0])
            if len(rows) < PAGE:
                break
            after_no = rows[-1][0]
        found.update((t.from_no, t.to_no) for t in self._tombs_after(lane, cum.no))
        found.remove(0, cum.no)
        return found

    def above(self, lane: int) -> tuple[int, int]:
        """Count (frames, readings) that are stored above the complete part."""
        row = _ABOVE(
            self.connection,
            stream_id=self.stream.id,
            lane_no=lane,
            after_no=self.cum(lane).no,
        ).one()
        return int(row[0]), int(row[1])

    def last_us(self, lane: int) -> int | None:
        """Give the time of the lane's newest reading; None if there is none."""
        value = _LAST(self.connection, stream_id=self.stream.id, lane_no=lane).scalar()
        return None if value is None else int(value)

    def frame_link(self, lane: int, no: int) -> Link | None:
        """Give a stored frame's place in the chain."""
        row = _ONE(self.connection, stream_id=self.stream.id, lane_no=lane, frame_no=no).first()
        return None if row is None else _link(tuple(row))

    def links(self, lane: int, first: int, last: int) -> Iterator[Link]:
        """Give frames and tombstones that touch a range: by `first`, the longest before."""
        tombs = [
            Link(t.from_no, t.to_no, t.prev_hash, t.last_hash, t.first_msg + t.n_msgs - 1)
            for t in self.tombs(lane, first, last)
        ]
        tombs.sort(key=_order)
        yield from merge(tombs, self._frame_links(lane, first, last), key=_order)

    def _frame_links(self, lane: int, first: int, last: int) -> Iterator[Link]:
        after_no = first - 1
        while after_no < last:
            rows = _SOME(
                self.connection,
                stream_id=self.stream.id,
                lane_no=lane,
                after_no=after_no,
                up_to_no=last,
                page=PAGE,
            ).fetchall()
            yield from (_link(tuple(row)) for row in rows)
            if len(rows) < PAGE:
                return
            after_no = rows[-1][0]

    def tombs(self, lane: int, first: int, last: int) -> Sequence[Tombstone]:
        """Give the tombstones that touch a range."""
        return [t for t in self._tombs_after(lane, first - 1) if t.from_no <= last]

    def _tombs_after(self, lane: int, after_no: int) -> list[Tombstone]:
        return tombstones(self.connection, self.stream.id, lane, after_no, limit=1_000_000)

    def add_frame(self, frame: Frame) -> None:
        """Store a frame."""
        header = frame.header
        held = self.held(header.lane)  # as of before
        _ADD(
            self.connection,
            stream_id=self.stream.id,
            lane=header.lane,
            no=header.no,
            n=header.n,
            first_msg=header.first_msg,
            ts_min=header.ts_min_us,
            ts_max=header.ts_max_us,
            hash=frame.hash,
            header=frame.header_bytes,
            body=frame.body,
        )
        counts = self._counts.setdefault(header.lane, _Counts())
        complete = header.no <= self.cum(header.lane).no
        if complete or header.no in held:
            # a tombstone has this number: the data came after all
            counts.dropped_frames -= 1
            counts.dropped_msgs -= header.n
        if complete:
            counts.frames += 1
            counts.msgs += header.n
            counts.size_bytes += len(frame.header_bytes) + len(frame.body)
        else:
            held.add(header.no, header.no)

    def add_tomb(self, tomb: Tombstone) -> None:
        """Store a tombstone, in place of those that it covers."""
        held = self.held(tomb.lane)
        for old in self.tombs(tomb.lane, tomb.from_no, tomb.to_no):
            if tomb.from_no <= old.from_no and old.to_no <= tomb.to_no:
                self._count_dropped(old, -1)
                _UNTOMB(
                    self.connection,
                    of_stream=self.stream.id,
                    lane_no=old.lane,
                    first_no=old.from_no,
                )
        _TOMB(
            self.connection,
            stream_id=self.stream.id,
            lane=tomb.lane,
            from_no=tomb.from_no,
            to_no=tomb.to_no,
            n_msgs=tomb.n_msgs,
            ts_us=tomb.ts_us,
            record=tomb.encoded,
        )
        self._count_dropped(tomb, 1)
        held.add(max(tomb.from_no, self.cum(tomb.lane).no + 1), tomb.to_no)

    def _count_dropped(self, tomb: Tombstone, sign: int) -> None:
        """Count what a tombstone declares dropped, but for frames that came after all."""
        row = _SUM(
            self.connection,
            stream_id=self.stream.id,
            lane_no=tomb.lane,
            after_no=tomb.from_no - 1,
            up_to_no=tomb.to_no,
        ).one()
        counts = self._counts.setdefault(tomb.lane, _Counts())
        counts.dropped_frames += sign * (tomb.n_frames - int(row[0]))
        counts.dropped_msgs += sign * (tomb.n_msgs - int(row[1]))

    def add_head(self, head: Head) -> None:
        """Store a head; the newest few are kept."""
        store_head(self.connection, self.stream.id, head)

    def add_keys(self, record: bytes) -> None:
        """Store a key record, if it is not there."""
        add_key_records(self.connection, self.stream.id, [record])

    def finish(self) -> None:
        """Write the counters; call it once, before the commit."""
        for lane, counts in self._counts.items():
            _COUNT(
                self.connection,
                of_stream=self.stream.id,
                lane_no=lane,
                more_frames=counts.frames,
                more_msgs=counts.msgs,
                more_bytes=counts.size_bytes,
                more_dropped=counts.dropped_frames,
                more_dropped_msgs=counts.dropped_msgs,
            )


def _order(link: Link) -> tuple[int, int]:
    return link.first, -link.last


def _link(row: tuple[Any, ...]) -> Link:
    no, header, frame_hash, last_msg = row
    return Link(no, no, parse_header(bytes(header)).prev_hash, bytes(frame_hash), last_msg)
