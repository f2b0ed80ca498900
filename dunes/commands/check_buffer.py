"""`dunes check-buffer`: is every reading that was taken still what it was?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.buffer.findings import Finding, LaneReport, VerifyReport
    from dunes.buffer.keyring import Keyring
    from dunes.buffer.store import Buffer
    from dunes.buffer.verify import Ground
    from dunes.settings import Settings

FINDINGS_SHOWN = 20


@command(schema="dunes.check-buffer/1", report="dunes.buffer.findings:VerifyReport")
def check_buffer(
    screen: Screen,
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", help="Table or buffer to verify.")
    ],
    deep: Annotated[
        bool, typer.Option("--deep", help="Open and read every frame too, not only its hash.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="DESTINATION", help="Compare with what a ground station has."
        ),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Put damaged frames aside and leave tombstones."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --repair: say what it would do.")
    ] = False,
) -> int:
    """Verify every frame of a buffer table: chain, gaps, tail, signatures."""
    from dunes.buffer.keyring import Keyring
    from dunes.buffer.repair import plan
    from dunes.buffer.repair import repair as put_aside
    from dunes.buffer.store import open_buffer
    from dunes.settings import load
    from dunes.uplink.against import ground_station

    if dry_run and not repair:
        raise UsageError("--dry-run belongs to --repair", hint="dunes check-buffer --help")
    settings = load()
    keys = Keyring.load(settings, public_only=not deep)
    with open_buffer(settings, create=False) as buffer:
        folded = buffer.need_table(table)
        ground = None if against is None else ground_station(settings, against)
        look = _Look(screen, settings, buffer, folded, keys, ground, deep)
        report = look.check()
        if repair and dry_run:
            report.repaired = plan(report)
        elif repair and not report.intact:
            folder = settings.paths.data / "damaged"
            done = put_aside(buffer, report, folder)
            report = look.check()
            report.repaired = done
    if not report.sqlite_safe:
        screen.warn(
            f"SQLite {report.sqlite_version} has the WAL-reset bug; writers take turns by a "
            "lock file. Install a current apsw: pip install --upgrade apsw"
        )
    screen.show(report, lines)
    return Exit.OK if report.intact else Exit.NO


@dataclass(frozen=True, slots=True)
class _Look:
    """One way of looking at a table, for before and after a repair."""

    screen: Screen
    settings: "Settings"
    buffer: "Buffer"
    table: str
    keys: "Keyring"
    ground: "Ground | None"
    deep: bool

    def check(self) -> "VerifyReport":
        """Look, and show how far it has come."""
        from dunes.buffer.verify import Checks, check
        from dunes.uplink.against import receipt_checker

        with self.screen.progress(f"check {self.table}", self._total(), "frames") as bar:
            return check(
                self.buffer,
                self.table,
                Checks(
                    deep=self.deep,
                    opener_for=self.keys.opener_for(self.buffer),
                    keys=self.keys.verifiers(),
                    check_receipt=receipt_checker(self.settings.paths),
                    ground=self.ground,
                    progress=bar.update,
                ),
            )

    def _total(self) -> int:
        """Say how many frames there are to look at."""
        streams = self.buffer.streams(self.table)
        with self.buffer.reading() as connection:
            return sum(
                lane.frames
                for stream in streams
                for lane in self.buffer.lanes(connection, stream).values()
            )


def lines(report: "VerifyReport") -> Iterator[str]:
    """Say what was found, for people."""
    from dunes.units import show_duration, show_size

    verdict = "sound" if report.intact else "DAMAGED"
    size = show_size(sum(lane.size_bytes for lane in report.lanes))
    yield (
        f"{report.table} ({report.buffer}): {verdict}; {report.readings:,} readings in "
        f"{report.frames:,} frames, {size}, checked in {show_duration(report.duration_s)}"
    )
    yield f"checked: {', '.join(report.levels)}"
    sealed = {"all": "sealed", "some": "some frames are not sealed", "none": "not sealed"}
    version = f"; SQLite {report.sqlite_version}" if report.sqlite_version else ""
    yield f"content: {sealed[report.sealed] if report.frames else 'none stored'}{version}"
    yield from _lane_lines(report.lanes)
    for finding in report.findings[:FINDINGS_SHOWN]:
        yield from _finding_lines(finding)
    hidden = len(report.findings) - FINDINGS_SHOWN + report.more_findings
    if hidden > 0:
        yield f"and {hidden:,} more (--json has them)"
    if report.affected:
        yield f"{report.affected:,} readings are affected"
    for done in report.repaired:
        yield f"repair: {done}"
    if not report.intact and not report.repaired:
        yield "next: dunes check-buffer --table " + report.table + " --repair --dry-run"


def _lane_lines(lanes: "list[LaneReport]") -> Iterator[str]:
    """Give a small table for each stream that has anything in it."""
    from itertools import groupby

    from dunes.console.screen import table_lines
    from dunes.units import show_duration

    heads = ("lane", "written", "pending", "acked", "dropped", "refused", "signature", "times")
    for (gateway, epoch), group in groupby(lanes, key=lambda lane: (lane.gateway, lane.epoch)):
        rows = []
        for lane in group:
            if not lane.written and not lane.refused:
                continue
            age_s = lane.signed_age_s
            age = "" if age_s is None else f", {show_duration(max(0.0, age_s))} ago"
            times = f"{_second(lane.first_at)} … {_second(lane.last_at)}" if lane.frames else ""
            counts = (lane.written, lane.pending, lane.acknowledged, lane.dropped, lane.refused)
            numbers = (f"{count:,}" for count in counts)
            rows.append((lane.lane, *numbers, lane.signature + age, times))
        if rows:
            yield f"stream of {gateway}, epoch {epoch[:8]}:"
            yield from (f"  {line}" for line in table_lines(heads, rows))


def _second(time: str | None) -> str:
    """Cut a time to its second, for people."""
    return "?" if time is None else time[:19].replace("T", " ")


def _finding_lines(finding: "Finding") -> Iterator[str]:
    from dunes.console.screen import printable

    where = "" if finding.lane is None else f" {finding.lane}"
    if finding.from_no is not None:
        where += f" frame {finding.from_no}"
        if finding.to_no != finding.from_no:
            where += f" to {finding.to_no}"
    mark = finding.kind.upper() if finding.damage else f"note: {finding.kind}"
    yield f"{mark}{where}: {printable(finding.detail)}"
    if finding.readings:
        numbers = f"readings {finding.from_msg} to {finding.to_msg}"
        times = f", {finding.from_at or '?'} to {finding.to_at or '?'}"
        safe = "; they are safe at the ground station" if finding.at_ground else ""
        yield f"  {numbers} ({finding.readings:,}){times}{safe}"
