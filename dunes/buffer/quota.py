"""What gives way when the buffer is full.

Live bytes are what counts: (pages - free pages) x page size, in O(1); counting
payload bytes overran the cap. In this order, oldest first, a whole prefix of a lane at
a time, never more than needed, and never what outranks the arrival:

1. frames that some destination has acknowledged (others still want them),
2. routine frames,
3. warning frames, for a warning or an alert.

An unacknowledged alert is never dropped; the last percents of the cap are kept for
alerts. Each drop leaves a tombstone, in the same transaction, so that the ground
station knows what is missing and why.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from dunes.buffer import schema
from dunes.buffer.frameheader import HEADER_BYTES
from dunes.buffer.records import DropReason, Tombstone
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Lane
from dunes.errors import StorageFull
from dunes.model import Priority
from dunes.units import show_size

CHUNK_FRAMES = 32
PAGE_BYTES = 4096
PERCENT = 100

_F, _L, _T, _A = schema.frame.c, schema.lane.c, schema.tombstone.c, schema.ack.c
_LANES = Prepared(select(schema.lane).where(_L.lane == bindparam("lane_no"), _L.frames > 0))
_PREFIX = Prepared(
    select(_F.no, _F.n, _F.first_msg, func.length(_F.body), _F.ts_max, _F.hash)
    .where(
        _F.stream_id == bindparam("stream_id"),
        _F.lane == bindparam("lane_no"),
        _F.no <= bindparam("up_to_no"),
    )
    .order_by(_F.no)
    .limit(bindparam("page"))
)
_DELETE = Prepared(
    delete(schema.frame).where(
        _F.stream_id == bindparam("of_stream"),
        _F.lane == bindparam("lane_no"),
        _F.no <= bindparam("up_to_no"),
    )
)
_UNTOMB = Prepared(
    delete(schema.tombstone).where(
        _T.stream_id == bindparam("of_stream"),
        _T.lane == bindparam("lane_no"),
        _T.from_no > bindparam("after_no"),
        _T.to_no <= bindparam("up_to_no"),
    )
)
_TOMB = Prepared(insert(schema.tombstone))
_ACKED = Prepared(
    select(func.coalesce(func.max(_A.cum_no), 0)).where(
        _A.stream_id == bindparam("stream_id"), _A.lane == bindparam("lane_no")
    )
)
_TOTAL = Prepared(select(func.coalesce(func.sum(_L.size_bytes), 0)))


class QuotaFull(StorageFull):
    """The quota is full of what must not be dropped."""

    code = "quota-full"


@dataclass(slots=True)
class Dropped:
    """How much gave way."""

    frames: int = 0
    msgs: int = 0


def live_bytes(connection: Connection) -> int:
    """Say how many bytes of the database are in use (SQLite: pages that are not free)."""
    if connection.dialect.name != "sqlite":
        return int(_TOTAL(connection).scalar_one())
    raw: Any = connection.connection.driver_connection
    pages = raw.db.execute("PRAGMA page_count").get
    free = raw.db.execute("PRAGMA freelist_count").get
    return int(pages - free) * PAGE_BYTES


def needed_bytes(body_bytes: int) -> int:
    """Say how much a frame will take at most: its pages, and a split of three trees."""
    return (body_bytes // (PAGE_BYTES - 8) + 5) * PAGE_BYTES


def limit_bytes(buffer: Buffer, priority: int) -> int:
    """Say up to which size a priority may fill the buffer."""
    if priority == Priority.ALERT:
        return buffer.cap_bytes
    return buffer.cap_bytes * (PERCENT - buffer.alert_reserve) // PERCENT


def make_room(
    buffer: Buffer, connection: Connection, need_bytes: int, priority: int, dropped: Dropped
) -> None:
    """Let older frames give way, if that is needed for a new one.

    Args:
        buffer: the buffer.
        connection: in the transaction that will add the frame.
        need_bytes: how much it takes.
        priority: its lane.
        dropped: what gives way is added to it.

    Raises:
        QuotaFull: nothing that may be dropped is left.
    """
    limit = limit_bytes(buffer, priority)
    excess = live_bytes(connection) + need_bytes - limit
    if excess <= 0:
        return
    # a little more than needed, so that it is not needed for every frame
    spare = min(16 * 1024 * 1024, buffer.cap_bytes // 200)
    drop_oldest(buffer, connection, limit - need_bytes - spare, priority, dropped)
    if live_bytes(connection) + need_bytes > limit:
        raise QuotaFull(
            f"{buffer.where} is full: {show_size(buffer.cap_bytes)} of readings that must not "
            "be dropped",
            hint="mcp sync, or raise buffer.cap",
        )


def drop_oldest(
    buffer: Buffer, connection: Connection, target_bytes: int, priority: int, dropped: Dropped
) -> None:
    """Drop frames in the order above until `target_bytes` are in use, or none is left.

    Args:
        buffer: the buffer.
        connection: in a writing transaction.
        target_bytes: live bytes to reach.
        priority: of the arrival: what outranks it stays, unless acknowledged.
        dropped: is added to.
    """
    for lane, up_to_no in _candidates(connection, priority):
        if live_bytes(connection) <= target_bytes:
            return
        _drop_prefix(buffer, connection, lane, up_to_no, dropped)


def _candidates(connection: Connection, priority: int) -> Iterator[tuple[Lane, int]]:
    """Give lanes to drop a chunk of, in order, again and again while they have frames."""
    for lane_no in sorted(Priority, reverse=True):
        while acked := _oldest(connection, lane_no, acked_only=True):
            yield acked
    for lane_no in (Priority.ROUTINE, Priority.WARNING):
        while lane_no >= priority and (found := _oldest(connection, lane_no, acked_only=False)):
            yield found


def _oldest(connection: Connection, lane_no: int, *, acked_only: bool) -> tuple[Lane, int] | None:
    """Find the lane of this priority, over all streams, whose front is the oldest."""
    best: tuple[int, Lane, int] | None = None
    for row in _LANES(connection, lane_no=int(lane_no)).fetchall():
        lane = Lane(*tuple(row))
        up_to_no = lane.last_no
        if acked_only:
            up_to_no = int(
                _ACKED(connection, stream_id=lane.stream_id, lane_no=lane.lane).scalar_one()
            )
        front = _PREFIX(
            connection, stream_id=lane.stream_id, lane_no=lane.lane, up_to_no=up_to_no, page=1
        ).first()
        if front is not None and (best is None or front[4] < best[0]):
            best = (front[4], lane, up_to_no)
    return None if best is None else best[1:]


def _drop_prefix(
    buffer: Buffer, connection: Connection, lane: Lane, up_to_no: int, dropped: Dropped
) -> None:
    """Drop a lane's oldest frames, a chunk of them, and leave one tombstone."""
    rows = _PREFIX(
        connection,
        stream_id=lane.stream_id,
        lane_no=lane.lane,
        up_to_no=up_to_no,
        page=CHUNK_FRAMES,
    ).fetchall()
    no, n, first_msg, _, _, last_hash = rows[-1]
    last_msg = first_msg + n - 1
    epoch = connection.execute(
        select(schema.stream.c.epoch).where(schema.stream.c.id == lane.stream_id)
    ).scalar_one()
    now_us = buffer.clock.unix_us()
    tomb = Tombstone(
        bytes(epoch),
        lane.lane,
        lane.base_no + 1,
        no,
        lane.base_msg + 1,
        last_msg - lane.base_msg,
        lane.base_hash,
        bytes(last_hash),
        DropReason.QUOTA,
        now_us,
    )
    remove_prefix(buffer, connection, lane, rows, last_msg, bytes(last_hash), dropped=True)
    _TOMB(
        connection,
        stream_id=lane.stream_id,
        lane=lane.lane,
        from_no=tomb.from_no,
        to_no=tomb.to_no,
        n_msgs=tomb.n_msgs,
        ts_us=now_us,
        record=tomb.encoded,
    )
    dropped.frames += len(rows)
    dropped.msgs += sum(row[1] for row in rows)


def remove_prefix(
    buffer: Buffer,
    connection: Connection,
    lane: Lane,
    rows: Any,
    last_msg: int,
    last_hash: bytes,
    *,
    dropped: bool,
) -> None:
    """Delete a lane's oldest frames and move its base; tombstones between them go too.

    Args:
        buffer: the buffer.
        connection: in a writing transaction.
        lane: its counters before.
        rows: (no, n, first_msg, body bytes, …) of the frames, oldest first.
        last_msg: the number of the last reading that goes.
        last_hash: the hash of the last frame that goes.
        dropped: they are lost, not delivered.
    """
    no, msgs = rows[-1][0], sum(row[1] for row in rows)
    place = {"of_stream": lane.stream_id, "lane_no": lane.lane, "up_to_no": no}
    _DELETE(connection, **place)
    # a drop keeps the tombstones of those before it; what is delivered needs none
    _UNTOMB(connection, **place, after_no=lane.base_no if dropped else 0)
    buffer.update_lane(
        connection,
        lane.stream_id,
        lane.lane,
        base_no=no,
        base_msg=last_msg,
        base_hash=last_hash,
        frames=lane.frames - len(rows),
        msgs=lane.msgs - msgs,
        size_bytes=lane.size_bytes - sum(row[3] + HEADER_BYTES for row in rows),
        dropped_frames=lane.dropped_frames + (len(rows) if dropped else 0),
        dropped_msgs=lane.dropped_msgs + (msgs if dropped else 0),
    )
