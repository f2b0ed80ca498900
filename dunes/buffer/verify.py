"""Verify a buffer table: levels L0 to L4, the way check-buffer reports it.

    L0 database    SQLite's quick check
    L1 chain       numbers, hashes, counters, tombstones: no key needed
    L2 signatures  lane heads and receipts: public keys only
    L3 content     unseal, unfold, read; times per device          (--deep)
    L4 ground      what a ground station says of the lanes          (--against)

The walk reads short pages, so it runs beside a writer; what is deleted under it,
because it was acknowledged, is no gap. One bad frame costs only itself: the chain goes
on from its stored hash.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import bindparam, select, text

from dunes.buffer import dbapi, schema
from dunes.buffer.chainwalk import LaneWalk
from dunes.buffer.engine import sqlite_is_safe
from dunes.buffer.findings import FINDINGS_MAX, NOTICES, Finding, Kind, LaneReport, VerifyReport
from dunes.buffer.frame import Opener
from dunes.buffer.records import BadHead, Head, Verifier, parse_head
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Lane, Stream
from dunes.clock import US_PER_S, rfc3339
from dunes.errors import DunesError
from dunes.model import Priority, buffer_name

QUICK_CHECK_ROWS = 20

_A, _H = schema.ack.c, schema.head_sig.c
_ACKS = Prepared(
    select(_A.destination, _A.cum_no, _A.cum_hash).where(
        _A.stream_id == bindparam("of_stream"), _A.lane == bindparam("lane_no")
    )
)
_HEADS = Prepared(
    select(_H.no, _H.record)
    .where(_H.stream_id == bindparam("of_stream"), _H.lane == bindparam("lane_no"))
    .order_by(_H.no.desc())
)


@dataclass(frozen=True, slots=True)
class GroundLane:
    """What a ground station says of one lane.

    Attributes:
        cum_no: it has, and vouches for, frames 1 to this.
        cum_hash: the hash of that frame.
    """

    cum_no: int
    cum_hash: bytes


class Ground(Protocol):
    """A ground station to compare with (level L4)."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def lanes(self, stream: Stream) -> Mapping[int, GroundLane]:
        """Say what it has of a stream. Raises a DunesError if it does not answer."""
        ...


@dataclass(slots=True)
class Checks:
    """How deep to look, and with which keys.

    Attributes:
        deep: read every frame's content too (L3).
        opener_for: gives the opener of a stream's sealed frames, None without keys.
        keys: public keys that may sign heads, by key id.
        check_receipt: raises a DunesError if a stored receipt is not good; None: not checked.
        ground: a ground station to compare with (L4).
        progress: told how many frames are done, over all lanes.
    """

    deep: bool = False
    opener_for: Callable[[Stream], Opener | None] = lambda _: None
    keys: Mapping[str, Verifier] = field(default_factory=dict)
    check_receipt: Callable[[Stream, str, bytes], None] | None = None
    ground: Ground | None = None
    progress: Callable[[int], None] = lambda _: None


def check(buffer: Buffer, table: str, checks: Checks) -> VerifyReport:
    """Verify a table.

    Args:
        buffer: the buffer.
        table: folded name; it exists.
        checks: how deep.

    Raises:
        StorageError, BufferDamaged: nothing at all can be read.
    """
    started_s = buffer.clock.monotonic_s()
    report = VerifyReport(table, buffer_name(table), buffer.where)
    _check_database(buffer, report)
    report.levels += ["chain", "signatures"]
    for stream in buffer.streams(table):
        walk = _StreamCheck(buffer, stream, checks, report)
        for priority in Priority:
            walk.check_lane(int(priority))
        walk.check_receipts()
    if checks.deep and all(finding.kind is not Kind.SEALED for finding in report.findings):
        report.levels.append("content")
    if checks.ground is not None:
        report.levels.append("ground")
    _sum_up(report)
    report.duration_s = round(buffer.clock.monotonic_s() - started_s, 3)
    return report


def _check_database(buffer: Buffer, report: VerifyReport) -> None:
    """L0: ask SQLite; PostgreSQL checks its pages itself."""
    if buffer.path is None:
        return
    report.levels.append("database")
    report.sqlite_version, report.sqlite_safe = dbapi.sqlite_version, sqlite_is_safe()
    try:
        with buffer.reading() as connection:
            rows = connection.execute(text(f"PRAGMA quick_check({QUICK_CHECK_ROWS})")).scalars()
            complaints = [str(row) for row in rows if row != "ok"]
    except DunesError as e:
        complaints = [e.message]
    for complaint in complaints:
        report.findings.append(Finding(Kind.DATABASE, complaint[:300]))


def _sum_up(report: VerifyReport) -> None:
    """Fill in what follows from the lanes and findings, damage first."""
    report.frames = sum(lane.frames for lane in report.lanes)
    report.readings = sum(lane.readings for lane in report.lanes)
    sealed = sum(lane.sealed_frames for lane in report.lanes)
    report.sealed = "none" if not sealed else "all" if sealed == report.frames else "some"
    for finding in report.findings:
        finding.damage = finding.kind not in NOTICES
    report.findings.sort(key=lambda finding: not finding.damage)
    report.intact = not any(finding.damage for finding in report.findings)
    report.affected = _affected(report.findings)
    report.more_findings = max(0, len(report.findings) - FINDINGS_MAX)
    del report.findings[FINDINGS_MAX:]


def _affected(findings: Iterable[Finding]) -> int:
    """Count the readings that damage concerns, each once."""
    spans: dict[tuple[str, str, str | None], list[tuple[int, int]]] = {}
    for f in findings:
        if f.damage and f.readings and f.from_msg is not None and f.to_msg is not None:
            spans.setdefault((f.gateway, f.epoch, f.lane), []).append((f.from_msg, f.to_msg))
    total = 0
    for lane in spans.values():
        done = 0
        for first, last in sorted(lane):
            total += max(0, last - max(first - 1, done))
            done = max(done, last)
    return total


class _StreamCheck:
    """The lanes of one stream."""

    def __init__(
        self, buffer: Buffer, stream: Stream, checks: Checks, report: VerifyReport
    ) -> None:
        self.buffer, self.stream, self.checks, self.report = buffer, stream, checks, report
        self.opener = checks.opener_for(stream) if checks.deep else None
        self.ground = {} if checks.ground is None else checks.ground.lanes(stream)

    def check_lane(self, lane_no: int) -> None:
        """L1 to L4 of one lane."""
        with self.buffer.reading() as connection:
            lane = self.buffer.lane(connection, self.stream.id, lane_no)
            acks = _ACKS(connection, of_stream=self.stream.id, lane_no=lane_no).fetchall()
            heads = _HEADS(connection, of_stream=self.stream.id, lane_no=lane_no).fetchall()
        parsed = self._read_heads(lane_no, heads)
        points = {head.no for head in parsed} | {row[1] for row in acks}
        if lane_no in self.ground:
            points.add(self.ground[lane_no].cum_no)
        before = sum(other.frames for other in self.report.lanes)
        walk = LaneWalk(
            self.buffer,
            self.stream,
            lane,
            points,
            progress=lambda frames: self.checks.progress(before + frames),
        )
        if self.checks.deep:
            walk.read_contents(self.opener)
        walk.run()
        found = walk.findings
        lane_report = self._report_lane(walk.lane, walk)
        found += self._check_heads(walk, parsed, lane_report)
        for destination, cum_no, cum_hash in acks:
            found += self._compare(walk, destination, GroundLane(cum_no, bytes(cum_hash)))
        if self.checks.ground is not None and lane_no in self.ground:
            found += self._compare(walk, self.checks.ground.name, self.ground[lane_no])
        safe_no = max((row[1] for row in acks), default=0)
        for finding in found:
            finding.gateway, finding.epoch = self.stream.gateway, self.stream.epoch.hex()
            finding.lane = Priority(lane_no).name.lower()
            finding.at_ground = finding.to_no is not None and finding.to_no <= safe_no
        self.report.findings += found
        self.report.lanes.append(lane_report)

    def _report_lane(self, lane: Lane, walk: LaneWalk) -> LaneReport:
        return LaneReport(
            self.stream.gateway,
            self.stream.epoch.hex(),
            Priority(lane.lane).name.lower(),
            frames=walk.frames,
            readings=walk.msgs,
            sealed_frames=walk.sealed,
            size_bytes=walk.size_bytes,
            first_no=walk.first_no,
            last_no=lane.last_no,
            first_at=None if walk.ts_min_us is None else rfc3339(walk.ts_min_us),
            last_at=None if walk.ts_max_us is None else rfc3339(walk.ts_max_us),
            written=lane.last_msg,
            acknowledged=lane.cum_msg,
            pending=walk.msgs_after(lane.cum_no),
            dropped=lane.dropped_msgs,
            refused=lane.refused_msgs,
            head_hash=lane.head_hash.hex(),
        )

    # -- L2 ------------------------------------------------------------------------

    def _read_heads(self, lane_no: int, rows: Iterable[tuple[object, ...]]) -> list[Head]:
        """Parse the stored heads; one that is damaged is a finding."""
        heads = []
        for no, record in rows:
            try:
                head = parse_head(bytes(record))  # type: ignore[call-overload]  # a blob column
            except BadHead as e:
                self._bad_signature(lane_no, int(str(no)), e.message)
                continue
            place = (self.stream.gateway, self.stream.table, self.stream.epoch, lane_no, no)
            if place == (head.gateway, head.table, head.epoch, head.lane, head.no):
                heads.append(head)
            else:
                self._bad_signature(lane_no, head.no, "the signed head is that of another lane")
        return heads

    def _bad_signature(self, lane_no: int, no: int, detail: str) -> None:
        self.report.findings.append(
            Finding(
                Kind.SIGNATURE,
                detail,
                self.stream.gateway,
                self.stream.epoch.hex(),
                Priority(lane_no).name.lower(),
                no,
                no,
            )
        )

    def _check_heads(
        self, walk: LaneWalk, heads: list[Head], lane_report: LaneReport
    ) -> list[Finding]:
        """L2: each signature, and that the frame it names is the one that lies there."""
        found: list[Finding] = []
        for head in heads:
            key = self.checks.keys.get(head.kid)
            state = "unknown key"
            if key is not None:
                try:
                    head.verify(key)
                    state = "good"
                except DunesError as e:
                    state = "bad"
                    found.append(
                        Finding(Kind.SIGNATURE, e.message, from_no=head.no, to_no=head.no)
                    )
            if state != "bad":
                found += walk.judge_head(head)
            if lane_report.signed_no is None:
                lane_report.signature, lane_report.signed_no = state, head.no
                age_us = self.buffer.clock.unix_us() - head.ts_us
                lane_report.signed_age_s = round(age_us / US_PER_S, 1)
        return found

    def check_receipts(self) -> None:
        """L2: the signatures of stored receipts, if somebody can check them."""
        if self.checks.check_receipt is None:
            return
        columns = schema.receipt.c
        with self.buffer.reading() as connection:
            rows = connection.execute(
                select(columns.destination, columns.body).where(
                    columns.stream_id == self.stream.id
                )
            ).all()
        for destination, body in rows:
            try:
                self.checks.check_receipt(self.stream, destination, bytes(body))
            except DunesError as e:
                self.report.findings.append(
                    Finding(
                        Kind.SIGNATURE,
                        f"the receipt of {destination}: {e.message}",
                        self.stream.gateway,
                        self.stream.epoch.hex(),
                    )
                )

    # -- L4 ------------------------------------------------------------------------

    def _compare(self, walk: LaneWalk, name: str, there: GroundLane) -> list[Finding]:
        """Compare a lane with what a ground station has, or once acknowledged."""
        lane = walk.lane
        if there.cum_no > lane.last_no:
            return [
                Finding(
                    Kind.TRUNCATED,
                    f"{name} has frames up to {there.cum_no}, here are {lane.last_no}: this "
                    "buffer was cut or restored from a copy",
                    from_no=lane.last_no + 1,
                    to_no=there.cum_no,
                )
            ]
        here = walk.hash_at(there.cum_no)
        if here is not None and here != there.cum_hash:
            return [
                Finding(
                    Kind.TAMPER,
                    f"{name} has another frame {there.cum_no} than the one here",
                    from_no=there.cum_no,
                    to_no=there.cum_no,
                )
            ]
        if there.cum_no < lane.cum_no:
            return [
                Finding(
                    Kind.TRUNCATED,
                    f"{name} has frames up to {there.cum_no}, but had acknowledged "
                    f"{lane.cum_no}: it lost some, or was restored from a copy",
                    from_no=there.cum_no + 1,
                    to_no=lane.cum_no,
                )
            ]
        return []
