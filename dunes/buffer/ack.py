"""What a ground station has acknowledged may go.

The caller has verified the receipt's signature. Still nothing is deleted that is not
ours: a receipt that acknowledges more than was written, or another frame under one of
our numbers, is refused whole.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from dunes.buffer import schema
from dunes.buffer.quota import remove_prefix
from dunes.buffer.read import chain_point, tombstones
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Lane, Stream
from dunes.errors import PeerError

DELETE_FRAMES = 1000
"""Frames deleted in one transaction: others get their turn in between."""

_F, _R, _A, _T, _K = (
    schema.frame.c,
    schema.receipt.c,
    schema.ack.c,
    schema.tombstone.c,
    schema.key_record.c,
)
_GET_RECEIPT = Prepared(
    select(_R.receipt_no, _R.body).where(
        _R.stream_id == bindparam("of_stream"), _R.destination == bindparam("of_destination")
    )
)
_DROP_RECEIPT = Prepared(
    delete(schema.receipt).where(
        _R.stream_id == bindparam("of_stream"), _R.destination == bindparam("of_destination")
    )
)
_ADD_RECEIPT = Prepared(insert(schema.receipt))
_GET_ACKS = Prepared(
    select(_A.destination, _A.cum_no).where(
        _A.stream_id == bindparam("of_stream"), _A.lane == bindparam("lane_no")
    )
)
_DROP_ACK = Prepared(
    delete(schema.ack).where(
        _A.stream_id == bindparam("of_stream"),
        _A.destination == bindparam("of_destination"),
        _A.lane == bindparam("lane_no"),
    )
)
_ADD_ACK = Prepared(insert(schema.ack))
_PREFIX = Prepared(
    select(_F.no, _F.n, _F.first_msg, func.length(_F.body), _F.hash)
    .where(
        _F.stream_id == bindparam("of_stream"),
        _F.lane == bindparam("lane_no"),
        _F.no <= bindparam("up_to_no"),
    )
    .order_by(_F.no)
    .limit(bindparam("page"))
)
_UNTOMB = Prepared(
    delete(schema.tombstone).where(
        _T.stream_id == bindparam("of_stream"),
        _T.lane == bindparam("lane_no"),
        _T.to_no <= bindparam("up_to_no"),
    )
)
_DROP_KEYS = Prepared(delete(schema.key_record).where(_K.stream_id == bindparam("of_stream")))


class AckRefused(PeerError):
    """A receipt that acknowledges what was never written here."""

    code = "ack-refused"


@dataclass(frozen=True, slots=True)
class AckedLane:
    """What a receipt says of one lane.

    Attributes:
        lane: the priority.
        cum_no: frames 1 to this are stored there, or known there as dropped.
        cum_hash: the hash of frame `cum_no`; `NO_HASH` if `cum_no` is 0.
    """

    lane: int
    cum_no: int
    cum_hash: bytes


@dataclass(slots=True)
class Applied:
    """What a receipt did.

    Attributes:
        stale: it was not newer than the last one; nothing was learnt.
        frames: deleted, as every destination has them.
        msgs: readings in those.
        regressed: lanes of which the destination says that it has less than it had
            acknowledged before: it was restored from a copy. What was deleted here
            meanwhile cannot be sent again.
    """

    stale: bool = False
    frames: int = 0
    msgs: int = 0
    regressed: list[int] = field(default_factory=list)


def last_receipt(
    connection: Connection, stream_id: int, destination: str
) -> tuple[int, bytes] | None:
    """Give (receipt_no, body) of the newest receipt from a destination."""
    row = _GET_RECEIPT(connection, of_stream=stream_id, of_destination=destination).first()
    return None if row is None else (row[0], bytes(row[1]))


def save_receipt(
    connection: Connection,
    stream_id: int,
    destination: str,
    receipt_no: int,
    body: bytes,
    ts_us: int,
) -> None:
    """Keep a receipt in place of the one before: the ground's own, or one that came."""
    _DROP_RECEIPT(connection, of_stream=stream_id, of_destination=destination)
    _ADD_RECEIPT(
        connection,
        stream_id=stream_id,
        destination=destination,
        receipt_no=receipt_no,
        ts_us=ts_us,
        body=body,
    )


def apply_receipt(
    buffer: Buffer,
    stream: Stream,
    destination: str,
    receipt_no: int,
    acked: Sequence[AckedLane],
    body: bytes,
    destinations: Collection[str] = (),
) -> Applied:
    """Take a receipt into account, and delete what every destination has.

    Args:
        buffer: the gateway's.
        stream: which the receipt is for.
        destination: who issued it; its signature was verified.
        receipt_no: its number; one not above the last is ignored.
        acked: its lanes.
        body: the receipt as it came, kept as evidence.
        destinations: all that are to have the data; those that ever acknowledged some
            count in any case.

    Raises:
        AckRefused: it acknowledges more than was written, or another frame under one of
            our numbers; nothing was changed.
    """
    applied = Applied()
    with buffer.writing() as connection:
        known = last_receipt(connection, stream.id, destination)
        if known is not None and receipt_no <= known[0]:
            applied.stale = True
        else:
            for each in acked:
                _take_ack(buffer, connection, stream, destination, each, applied)
            now_us = buffer.clock.unix_us()
            save_receipt(connection, stream.id, destination, receipt_no, body, now_us)
    prune(buffer, stream, {destination, *destinations}, applied)
    return applied


def _take_ack(
    buffer: Buffer,
    connection: Connection,
    stream: Stream,
    destination: str,
    acked: AckedLane,
    applied: Applied,
) -> None:
    """Check one lane of a receipt against our own chain, and store it."""
    lane = buffer.lane(connection, stream.id, acked.lane, lock=True)
    if acked.cum_no > lane.last_no:
        raise AckRefused(
            f"{destination} acknowledges frame {acked.cum_no} of lane {acked.lane} in "
            f"{stream.table}; only {lane.last_no} were written",
            hint="mcp sync finds out whether this gateway was restored from a copy",
            code="ack-beyond",
        )
    if acked.cum_no >= lane.base_no:
        point = chain_point(connection, lane, acked.cum_no)
        covering = tombstones(connection, stream.id, acked.lane, acked.cum_no - 1, limit=1)
        # a frame that was put aside here, damaged, may have arrived there before
        unknown = point is None and any(t.from_no <= acked.cum_no for t in covering)
        if not unknown and (point is None or point[0] != acked.cum_hash):
            raise AckRefused(
                f"{destination} acknowledges another frame {acked.cum_no} of lane {acked.lane} "
                f"in {stream.table} than the one written here",
                hint="mcp sync finds out whether this gateway was restored from a copy",
                code="ack-conflict",
            )
    before: dict[str, int] = dict(
        _GET_ACKS(connection, of_stream=stream.id, lane_no=acked.lane).fetchall()
    )
    if acked.cum_no < before.get(destination, 0):
        applied.regressed.append(acked.lane)
    place = {"of_stream": stream.id, "of_destination": destination, "lane_no": acked.lane}
    _DROP_ACK(connection, **place)
    _ADD_ACK(
        connection,
        stream_id=stream.id,
        destination=destination,
        lane=acked.lane,
        cum_no=acked.cum_no,
        cum_hash=acked.cum_hash,
    )


def prune(buffer: Buffer, stream: Stream, destinations: Collection[str], applied: Applied) -> None:
    """Delete what all destinations have; may be repeated after any interruption."""
    with buffer.reading() as connection:
        lanes = list(buffer.lanes(connection, stream))
    for lane_no in lanes:
        while _prune_some(buffer, stream, lane_no, destinations, applied):
            pass
    if applied.frames:
        _forget_keys(buffer, stream)


def _prune_some(
    buffer: Buffer,
    stream: Stream,
    lane_no: int,
    destinations: Collection[str],
    applied: Applied,
) -> bool:
    """Delete up to `DELETE_FRAMES` frames of a lane; say whether to go on."""
    with buffer.reading() as connection:  # mostly there is nothing to do
        lane = buffer.lane(connection, stream.id, lane_no)
        cum_no = _lowest(connection, lane, destinations)
    if cum_no <= lane.base_no and cum_no <= lane.cum_no:
        return False
    with buffer.writing() as connection:
        lane = buffer.lane(connection, stream.id, lane_no, lock=True)
        cum_no = _lowest(connection, lane, destinations)
        rows = _PREFIX(
            connection,
            of_stream=stream.id,
            lane_no=lane_no,
            up_to_no=cum_no,
            page=DELETE_FRAMES,
        ).fetchall()
        more = len(rows) == DELETE_FRAMES
        point = None if more else chain_point(connection, lane, cum_no)
        if rows:
            _, n, first_msg, _, last_hash = rows[-1]
            remove_prefix(
                buffer, connection, lane, rows, first_msg + n - 1, bytes(last_hash), dropped=False
            )
            applied.frames += len(rows)
            applied.msgs += sum(row[1] for row in rows)
        if point is not None:
            if cum_no > lane.base_no:
                # a tombstone may reach beyond the last frame that went
                base = {"base_no": cum_no, "base_hash": point[0], "base_msg": point[1]}
                buffer.update_lane(connection, stream.id, lane_no, **base)
            done = {"cum_no": cum_no, "cum_hash": point[0], "cum_msg": point[1]}
            buffer.update_lane(connection, stream.id, lane_no, **done)
            _UNTOMB(connection, of_stream=stream.id, lane_no=lane_no, up_to_no=cum_no)
        return more


def _lowest(connection: Connection, lane: Lane, destinations: Collection[str]) -> int:
    """Say up to which frame every destination has the lane."""
    rows = _GET_ACKS(connection, of_stream=lane.stream_id, lane_no=lane.lane).fetchall()
    acks = dict.fromkeys(destinations, 0) | {row[0]: int(row[1]) for row in rows}
    return min(acks.values(), default=0)


def _forget_keys(buffer: Buffer, stream: Stream) -> None:
    """Forget the key records of a stream that has no frame left.

    A writer that is still at work stores its record again with its next frame.
    """
    with buffer.writing() as connection:
        if not any(lane.frames for lane in buffer.lanes(connection, stream).values()):
            _DROP_KEYS(connection, of_stream=stream.id)
