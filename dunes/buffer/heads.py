"""Signed lane heads: who vouches for a lane up to which frame."""

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from dunes.buffer import schema
from dunes.buffer.read import chain_point
from dunes.buffer.records import Head, Signer, parse_head
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Lane, Stream
from dunes.errors import NotFound

KEPT = 4
"""The newest is enough; a few more survive one that was damaged."""
CADENCE_S = 10.0
"""A signature is 3.3 kB: every 10 s of traffic it adds less than 1 % to the frames."""

_H, _T = schema.head_sig.c, schema.tombstone.c
_OF_LANE = (_H.stream_id == bindparam("stream_id"), _H.lane == bindparam("lane_no"))
_DROPPED_ABOVE = Prepared(
    select(func.coalesce(func.sum(_T.n_msgs), 0)).where(
        _T.stream_id == bindparam("stream_id"),
        _T.lane == bindparam("lane_no"),
        _T.from_no > bindparam("frame_no"),
    )
)
_NEWEST = Prepared(
    select(_H.record, _H.no).where(*_OF_LANE).order_by(_H.no.desc()).limit(bindparam("page"))
)
_REMOVE = Prepared(delete(schema.head_sig).where(*_OF_LANE, _H.no == bindparam("frame_no")))
_PRUNE = Prepared(delete(schema.head_sig).where(*_OF_LANE, _H.no < bindparam("frame_no")))
_INSERT = Prepared(insert(schema.head_sig))


def sign_head(
    connection: Connection, stream: Stream, lane: Lane, no: int, signer: Signer, now_us: int
) -> Head:
    """Sign a head for any frame of a lane whose hash is known; nothing is stored.

    Args:
        connection: of the buffer.
        stream: whose lane.
        lane: its counters, as of now.
        no: the frame to vouch for, with all below it.
        signer: the gateway's key.
        now_us: when.

    Raises:
        NotFound: the frame is not stored and no end of the lane.
    """
    point = chain_point(connection, lane, no)
    if point is None or no == 0:
        raise NotFound(f"frame {no} of lane {lane.lane} is not stored", code="unknown-frame")
    frame_hash, n_total = point
    above = int(
        _DROPPED_ABOVE(
            connection, stream_id=stream.id, lane_no=lane.lane, frame_no=no
        ).scalar_one()
    )
    return Head(
        stream.gateway,
        stream.table,
        stream.epoch,
        lane.lane,
        no,
        frame_hash,
        n_total,
        lane.dropped_msgs - above,
        now_us,
    ).sign(signer)


def store_head(connection: Connection, stream_id: int, head: Head) -> None:
    """Keep a head, in place of an older one for the same frame, and forget the oldest."""
    place = {"stream_id": stream_id, "lane_no": head.lane}
    _REMOVE(connection, **place, frame_no=head.no)
    _INSERT(
        connection,
        stream_id=stream_id,
        lane=head.lane,
        no=head.no,
        hash=head.frame_hash,
        ts_us=head.ts_us,
        record=head.encoded,
    )
    kept = _NEWEST(connection, **place, page=KEPT).fetchall()
    if len(kept) == KEPT:
        _PRUNE(connection, **place, frame_no=kept[-1][1])


def stored_heads(connection: Connection, stream_id: int, lane: int) -> list[Head]:
    """Give the kept heads of a lane, newest first.

    Raises:
        BadHead: one of them is damaged.
    """
    rows = _NEWEST(connection, stream_id=stream_id, lane_no=int(lane), page=KEPT).fetchall()
    return [parse_head(row[0]) for row in rows]
