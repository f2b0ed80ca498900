"""Put damaged frames aside, so that the rest of a lane can go on (check-buffer --repair).

Each run of damaged or missing frames is replaced by a tombstone; what there was of
their bytes is copied to files first. The ground station then learns that they are
missing and why, instead of waiting for ever. Readings are never made up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from dunes.buffer import schema
from dunes.buffer.findings import Finding, Kind, VerifyReport
from dunes.buffer.frame import frame_hash
from dunes.buffer.frameheader import HASH_BYTES, HEADER_BYTES, BadFrame, parse_header
from dunes.buffer.read import chain_point, stored_frame, stored_frames
from dunes.buffer.records import DropReason, Head, Tombstone, parse_head
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Lane, Stream
from dunes.errors import DunesError, StorageError
from dunes.model import Priority

ASIDE = frozenset(
    {
        Kind.GAP,
        Kind.REORDER,
        Kind.DUPLICATE,
        Kind.TAMPER,
        Kind.BITROT,
        Kind.TRUNCATED,
        Kind.UNREADABLE,
        Kind.CONTENT,
    }
)
"""Kinds of findings whose frames are put aside."""

_F, _T, _H = schema.frame.c, schema.tombstone.c, schema.head_sig.c
_RANGE = (
    _F.stream_id == bindparam("of_stream"),
    _F.lane == bindparam("lane_no"),
    _F.no >= bindparam("from_frame"),
    _F.no <= bindparam("to_frame"),
)
_DELETE = Prepared(delete(schema.frame).where(*_RANGE))
_UNTOMB = Prepared(
    delete(schema.tombstone).where(
        _T.stream_id == bindparam("of_stream"),
        _T.lane == bindparam("lane_no"),
        _T.from_no >= bindparam("from_frame"),
        _T.to_no <= bindparam("to_frame"),
    )
)
_COUNT = Prepared(
    select(
        func.count(),
        func.coalesce(func.sum(_F.n), 0),
        func.coalesce(func.sum(func.length(_F.body)), 0),
    ).where(_F.stream_id == bindparam("of_stream"), _F.lane == bindparam("lane_no"))
)
_HEADS = Prepared(
    select(_H.no, _H.record).where(
        _H.stream_id == bindparam("of_stream"), _H.lane == bindparam("lane_no")
    )
)
_UNHEAD = Prepared(
    delete(schema.head_sig).where(
        _H.stream_id == bindparam("of_stream"),
        _H.lane == bindparam("lane_no"),
        _H.no == bindparam("frame_no"),
    )
)


@dataclass(slots=True)
class _Run:
    """Frames side by side that are put aside together."""

    from_no: int
    to_no: int
    missing: bool


def plan(report: VerifyReport) -> list[str]:
    """Say what `repair` would do."""
    return [
        f"{lane}: put frames {run.from_no} to {run.to_no} aside, leave a tombstone"
        for (_, _, lane), runs in _runs(report.findings).items()
        for run in runs
    ] + [
        f"{finding.lane}: {finding.detail}: count again"
        for finding in report.findings
        if finding.kind is Kind.COUNTERS
    ]


def repair(buffer: Buffer, report: VerifyReport, folder: Path) -> list[str]:
    """Repair what a report found.

    Args:
        buffer: the buffer.
        report: of this table, just made.
        folder: where the bytes of damaged frames go; made if needed.

    Returns:
        A sentence for each thing that was done.

    Raises:
        StorageError: a copy could not be written; nothing more was changed.
    """
    done: list[str] = []
    streams = {(s.gateway, s.epoch.hex()): s for s in buffer.streams(report.table)}
    runs = _runs(report.findings)
    for (gateway, epoch, lane_name), lane_runs in runs.items():
        stream = streams[gateway, epoch]
        lane = Priority[lane_name.upper()]
        done += [_put_aside(buffer, stream, lane, run, folder) for run in lane_runs]
    for finding in report.findings:
        if finding.lane is None:
            continue
        stream = streams[finding.gateway, finding.epoch]
        lane = Priority[finding.lane.upper()]
        if finding.kind is Kind.COUNTERS:
            with buffer.writing() as connection:
                _recount(buffer, connection, stream, lane)
            done.append(f"{finding.lane}: counted again")
        elif finding.kind is Kind.SIGNATURE and finding.from_no is not None:
            with buffer.writing() as connection:
                _UNHEAD(
                    connection, of_stream=stream.id, lane_no=int(lane), frame_no=finding.from_no
                )
            done.append(f"{finding.lane}: removed the bad signature of frame {finding.from_no}")
    return done


def _runs(findings: Iterable[Finding]) -> dict[tuple[str, str, str], list[_Run]]:
    """Join the findings of each lane to runs of frames."""
    runs: dict[tuple[str, str, str], list[_Run]] = {}
    chosen = [f for f in findings if f.kind in ASIDE and f.lane and f.from_no and f.to_no]
    for finding in sorted(chosen, key=lambda f: (f.from_no or 0, f.to_no or 0)):
        lane = runs.setdefault((finding.gateway, finding.epoch, finding.lane or ""), [])
        from_no, to_no = finding.from_no or 0, finding.to_no or 0
        missing = finding.kind in {Kind.GAP, Kind.TRUNCATED}
        if lane and from_no <= lane[-1].to_no + 1:
            lane[-1].to_no = max(lane[-1].to_no, to_no)
            lane[-1].missing &= missing
        else:
            lane.append(_Run(from_no, to_no, missing))
    return runs


def _put_aside(buffer: Buffer, stream: Stream, lane_no: int, run: _Run, folder: Path) -> str:
    name = Priority(lane_no).name.lower()
    with buffer.writing() as connection:
        if (
            not run.missing
            and run.from_no == run.to_no
            and _mend_hash(connection, stream, lane_no, run.from_no)
        ):
            return f"{name}: frame {run.from_no} is sound; its stored hash was mended"
        lane = buffer.lane(connection, stream.id, lane_no, lock=True)
        from_no, to_no = max(run.from_no, lane.base_no + 1), run.to_no
        if from_no > to_no:
            return f"{name}: frames {run.from_no} to {to_no} are gone by now"
        before = _before(connection, lane, from_no)
        after = _after(connection, stream, lane, to_no)
        if before is None or after is None:
            return (
                f"{name}: frames {from_no} to {to_no} were left: the chain around them is not "
                "known"
            )
        saved = _copy_out(connection, stream, lane_no, from_no, to_no, folder)
        now_us = buffer.clock.unix_us()
        n_msgs = after[1] - before[1]
        tomb = Tombstone(
            stream.epoch,
            lane_no,
            from_no,
            to_no,
            before[1] + 1,
            n_msgs,
            before[0],
            after[0],
            DropReason.MISSING if run.missing else DropReason.DAMAGED,
            now_us,
        )
        place = {"of_stream": stream.id, "lane_no": int(lane_no)}
        _DELETE(connection, **place, from_frame=from_no, to_frame=to_no)
        _UNTOMB(connection, **place, from_frame=from_no, to_frame=to_no)
        connection.execute(
            insert(schema.tombstone).values(
                stream_id=stream.id,
                lane=int(lane_no),
                from_no=from_no,
                to_no=to_no,
                n_msgs=n_msgs,
                ts_us=now_us,
                record=tomb.encoded,
            )
        )
        buffer.update_lane(
            connection,
            stream.id,
            lane_no,
            dropped_frames=lane.dropped_frames + tomb.n_frames,
            dropped_msgs=lane.dropped_msgs + n_msgs,
        )
        if to_no >= lane.last_no:
            end = {"next_no": to_no + 1, "next_msg": after[1] + 1, "head_hash": after[0]}
            buffer.update_lane(connection, stream.id, lane_no, **end)
        _recount(buffer, connection, stream, lane_no)
    copied = f"; {saved} copied to {folder}" if saved else ""
    return f"{name}: frames {from_no} to {to_no} put aside ({n_msgs} readings){copied}"


def _mend_hash(connection: Connection, stream: Stream, lane_no: int, no: int) -> bool:
    """Mend a stored hash, where the frame itself is what its successor names."""
    stored = stored_frame(connection, stream.id, lane_no, no)
    following = stored_frame(connection, stream.id, lane_no, no + 1)
    if stored is None or following is None:
        return False
    try:
        named = parse_header(following.header).prev_hash
        own = parse_header(stored.header)
    except BadFrame:
        return False
    computed = frame_hash(stored.header, stored.body)
    columns = (stored.no, stored.n, stored.first_msg, stored.ts_min_us, stored.ts_max_us)
    inside = (own.no, own.n, own.first_msg, own.ts_min_us, own.ts_max_us)
    if named != computed or stored.hash == computed or columns != inside:
        return False
    connection.execute(
        update(schema.frame)
        .where(_F.stream_id == stream.id, _F.lane == int(lane_no), _F.no == no)
        .values(hash=computed)
    )
    return True


def _before(connection: Connection, lane: Lane, from_no: int) -> tuple[bytes, int] | None:
    """Give hash and last reading number of what lies before the run."""
    return chain_point(connection, lane, from_no - 1)


def _after(
    connection: Connection, stream: Stream, lane: Lane, to_no: int
) -> tuple[bytes, int] | None:
    """Give hash and last reading number of the run's end, as its successor knows them."""
    following = stored_frames(connection, stream.id, lane.lane, to_no, limit=1)
    if following and following[0].no == to_no + 1:
        try:
            header = parse_header(following[0].header)
        except BadFrame:
            return None
        return header.prev_hash, header.first_msg - 1
    for head in _heads(connection, stream, lane.lane):
        if head.no == to_no:
            return head.frame_hash, head.n_total
    return (lane.head_hash, lane.last_msg) if to_no == lane.last_no else None


def _heads(connection: Connection, stream: Stream, lane_no: int) -> list[Head]:
    heads = []
    for _, record in _HEADS(connection, of_stream=stream.id, lane_no=int(lane_no)).fetchall():
        try:
            heads.append(parse_head(bytes(record)))
        except DunesError:
            continue  # a damaged head is a finding of its own
    return heads


def _copy_out(
    connection: Connection, stream: Stream, lane_no: int, from_no: int, to_no: int, folder: Path
) -> int:
    """Write what there is of the frames to files; say how many."""
    saved, no = 0, from_no - 1
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            page = stored_frames(connection, stream.id, lane_no, no)
            for stored in page:
                if stored.no > to_no:
                    return saved
                name = f"{stream.table}-{stream.epoch.hex()[:8]}-{int(lane_no)}-{stored.no}.frame"
                (folder / name).write_bytes(stored.encoded + stored.hash[:HASH_BYTES])
                saved, no = saved + 1, stored.no
            if not page:
                return saved
    except OSError as e:
        raise StorageError(
            f"cannot write to {folder}: {e.strerror}", hint=f"df -h {folder}"
        ) from e


def _recount(buffer: Buffer, connection: Connection, stream: Stream, lane_no: int) -> None:
    """Set a lane's counters to what is stored."""
    frames, msgs, body_bytes = _COUNT(connection, of_stream=stream.id, lane_no=int(lane_no)).one()
    buffer.update_lane(
        connection,
        stream.id,
        lane_no,
        frames=frames,
        msgs=msgs,
        size_bytes=body_bytes + HEADER_BYTES * frames,
    )
