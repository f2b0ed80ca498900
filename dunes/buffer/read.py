"""Frames and tombstones as they are stored.

Every read is a short keyset page: it costs the same in a table of any size, and never
holds a transaction that would make the write-ahead log grow.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from dunes.buffer import schema
from dunes.buffer.frameheader import NO_HASH
from dunes.buffer.records import Tombstone, parse_tombstone
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Lane

PAGE_FRAMES = 256
PAGE_BYTES = 8 * 1024 * 1024
"""A page ends here, whatever the number of frames; bounds the memory of every walk."""

_F, _T = schema.frame.c, schema.tombstone.c
_COLUMNS = (_F.no, _F.n, _F.first_msg, _F.ts_min, _F.ts_max, _F.hash, _F.header, _F.body)
_IN_LANE = (_F.stream_id == bindparam("stream_id"), _F.lane == bindparam("lane_no"))
_PAGE = Prepared(
    select(*_COLUMNS)
    .where(*_IN_LANE, _F.no > bindparam("after_no"))
    .order_by(_F.no)
    .limit(bindparam("page"))
)
_ONE = Prepared(select(*_COLUMNS).where(*_IN_LANE, _F.no == bindparam("frame_no")))
_POINT = Prepared(
    select(_F.hash, _F.first_msg + _F.n - 1).where(*_IN_LANE, _F.no == bindparam("frame_no"))
)
_TOMBS = Prepared(
    select(_T.record)
    .where(
        _T.stream_id == bindparam("stream_id"),
        _T.lane == bindparam("lane_no"),
        _T.to_no > bindparam("after_no"),
    )
    .order_by(_T.from_no)
    .limit(bindparam("page"))
)


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A row of the frame table, believed in nothing.

    Attributes:
        no: its number in the lane.
        n: how many readings.
        first_msg: the number of the first.
        ts_min_us: the earliest time in it.
        ts_max_us: the latest.
        hash: as stored.
        header: 120 bytes, if it is sound.
        body: the rest.
    """

    no: int
    n: int
    first_msg: int
    ts_min_us: int
    ts_max_us: int
    hash: bytes
    header: bytes
    body: bytes

    @property
    def encoded(self) -> bytes:
        """The frame as it travels."""
        return self.header + self.body

    @property
    def last_msg(self) -> int:
        """The number of its last reading."""
        return self.first_msg + self.n - 1


def stored_frames(
    connection: Connection,
    stream_id: int,
    lane: int,
    after_no: int = 0,
    *,
    limit: int = PAGE_FRAMES,
    max_bytes: int = PAGE_BYTES,
) -> list[StoredFrame]:
    """Read the frames of a lane that come after number `after_no`, in order.

    Args:
        connection: from `Buffer.reading`.
        stream_id: `Stream.id`.
        lane: the priority.
        after_no: the last number already seen.
        limit: how many at most.
        max_bytes: about how many bytes at most; one frame comes in any case.
    """
    found: list[StoredFrame] = []
    size = 0
    result = _PAGE(
        connection, stream_id=stream_id, lane_no=int(lane), after_no=after_no, page=limit
    )
    for row in result:
        stored = StoredFrame(*tuple(row))
        size += len(stored.header) + len(stored.body)
        if found and size > max_bytes:
            break
        found.append(stored)
    result.close()
    return found


def stored_frame(connection: Connection, stream_id: int, lane: int, no: int) -> StoredFrame | None:
    """Read one frame."""
    row = _ONE(connection, stream_id=stream_id, lane_no=int(lane), frame_no=no).first()
    return None if row is None else StoredFrame(*tuple(row))


def chain_point(connection: Connection, lane: Lane, no: int) -> tuple[bytes, int] | None:
    """Give the hash of frame `no` and the number of its last reading.

    Known for frames that are stored, for the newest and oldest ends of the lane and
    for the ends of tombstones; None for any other.
    """
    if no == 0:
        return NO_HASH, 0
    if no == lane.last_no:
        return lane.head_hash, lane.last_msg
    if no == lane.base_no:
        return lane.base_hash, lane.base_msg
    row = _POINT(connection, stream_id=lane.stream_id, lane_no=lane.lane, frame_no=no).first()
    if row is not None:
        return row[0], row[1]
    for tomb in tombstones(connection, lane.stream_id, lane.lane, no - 1, limit=1):
        if tomb.to_no == no:
            return tomb.last_hash, tomb.first_msg + tomb.n_msgs - 1
    return None


def tombstones(
    connection: Connection, stream_id: int, lane: int, after_no: int = 0, *, limit: int = 1000
) -> list[Tombstone]:
    """Read the tombstones of a lane that reach beyond frame `after_no`, in order."""
    rows = _TOMBS(
        connection, stream_id=stream_id, lane_no=int(lane), after_no=after_no, page=limit
    )
    return [parse_tombstone(row[0]) for row in rows.fetchall()]
