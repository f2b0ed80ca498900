"""The loop: source → readings → appender, until the end, a signal or (strict) a bad line.

With a `mark` (a followed file) every commit stores how far the file was read, in the
same transaction as its readings: each line is taken over exactly once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from dunes.buffer.appender import Appender, Mark
from dunes.buffer.intake.decode import (
    Bad,
    DocumentDecoder,
    Format,
    Item,
    LineDecoder,
    detect,
)
from dunes.buffer.intake.lines import LineSplitter
from dunes.buffer.intake.source import POLL_S, FollowedFile, Source, What
from dunes.buffer.intake.stop import Stop
from dunes.errors import DataError, StorageError
from dunes.model import Priority, Reading

REJECTS_KEPT = 100
REJECTS_SHOWN = 20
"""As they come; the report has the first hundred."""
KEYS_KEPT = 10_000
"""Pairs of device and kind whose last time is remembered."""
COMMIT_EVERY = 500
"""Readings after which is looked whether a commit is due."""
RETRY_S = 1.0
GIVE_UP_TRIES = 30
"""How often a commit for which there is no room is tried again, unless following."""


@dataclass(slots=True)
class Reject:
    """A record that was not taken.

    Attributes:
        place: e.g. `line 17`, `readings[3]`.
        line: from 1.
        reason: see `dunes.buffer.intake.fields.Reason`.
        detail: a sentence.
        excerpt: how it begins.
    """

    place: str
    line: int
    reason: str
    detail: str
    excerpt: str


@dataclass(slots=True)
class IngestReport:
    """What `dunes ingest` did.

    Attributes:
        table: where the readings went.
        buffer: the guide's name of it.
        gateway: under which gateway.
        source: where they came from; `-` is standard input.
        format: `jsonl`, `json` or `csv`.
        accepted: readings on the disk.
        lanes: of those, by priority.
        rejected: records that were not taken.
        reasons: of those, by reason.
        rejects: the first hundred of them.
        refused: readings for which there was no room.
        dropped: older readings that gave way.
        same_time: readings with the same device, kind and time as the one before; they
            are kept, as nobody can tell which is right.
        frames: frames made.
        state: how the buffer fares at the end: `ok`, `evicting`, `alerts-only`, `disk-full`.
        sealed: frames are sealed.
        signed: lane heads are signed.
        resumed_at: byte at which a followed file was taken up again; None: at its start.
        interrupted: ended by a signal.
        duration_s: how long it took.
    """

    table: str
    buffer: str
    gateway: str
    source: str
    format: str = ""
    accepted: int = 0
    lanes: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    refused: int = 0
    dropped: int = 0
    same_time: int = 0
    frames: int = 0
    state: str = "ok"
    sealed: bool = False
    signed: bool = False
    resumed_at: int | None = None
    interrupted: bool = False
    duration_s: float = 0.0


@dataclass(slots=True)
class Voice:
    """How the loop speaks to whoever watches.

    Attributes:
        note: something happened.
        warn: something is wrong.
        detail: a commit, with what it holds.
        progress: bytes read so far.
    """

    note: Callable[[str], None] = lambda _: None
    warn: Callable[[str], None] = lambda _: None
    detail: Callable[[str], None] = lambda _: None
    progress: Callable[[int], None] = lambda _: None


class StrictStop(DataError):
    """A record was rejected, and `--strict` asks to stop there."""

    code = "rejected"


class Intake:
    """One run of the loop.

    Args:
        appender: takes the readings.
        source: gives the bytes.
        report: is filled in.
        stop: asks to end.
        voice: speaks.
        wanted: the format, or `auto`.
        strict: stop at the first reject.
    """

    def __init__(
        self,
        appender: Appender,
        source: Source,
        report: IngestReport,
        stop: Stop,
        voice: Voice,
        *,
        wanted: Format = Format.AUTO,
        strict: bool = False,
    ) -> None:
        self._appender, self._source, self._report = appender, source, report
        self._stop, self._voice, self._wanted, self._strict = stop, voice, wanted, strict
        self._followed = source if isinstance(source, FollowedFile) else None
        self._decoder: LineDecoder | DocumentDecoder | None = None
        self._head = b""
        self._times: dict[tuple[str, str], int] = {}
        self._read_bytes = 0
        self._since = 0

    def run(self) -> None:
        """Read until the end; what was taken over is committed in any case.

        Raises:
            DataError: input of no known format, or a broken JSON document.
            StrictStop: a rejected record, with `strict`.
            StorageError: no room, for too long; the report tells what is stored.
        """
        clock = self._appender.buffer.clock
        started_s = clock.monotonic_s()
        try:
            self._begin()
            while not self._stop.requested and self._step():
                pass
            self._commit(everything=True)
        except (DataError, StrictStop):
            self._commit(everything=True)
            raise
        finally:
            self._report.interrupted = bool(self._stop.signal)
            self._fill_in()
            self._report.duration_s = round(clock.monotonic_s() - started_s, 3)

    # -- steps ---------------------------------------------------------------------

    def _begin(self) -> None:
        if self._followed is None:
            return
        for note in self._followed.notes:
            self._voice.warn(note)
        if self._followed.started:
            self._report.resumed_at = self._followed.started
            head = self._followed.first_line() + b"\n"
            self._decoder = self._choose(self._format_of(head, whole=True))

    def _step(self) -> bool:
        """Do one thing; False at the end."""
        said = self._source.read(self._patience_s())
        if said.what is What.DATA:
            self._read_bytes += len(said.data)
            self._feed(said.data)
            self._voice.progress(self._read_bytes)
        elif said.what is What.NEXT:
            self._finish()
            self._commit(everything=True)
            self._decoder, self._head = None, b""
            self._voice.note(said.note)
        elif said.what is What.END:
            self._finish()
            return False
        self._commit()
        return True

    def _patience_s(self) -> float:
        due_s = self._appender.next_due_s()
        if due_s is None:
            return 10 * POLL_S
        return max(0.0, due_s - self._appender.buffer.clock.monotonic_s())

    def _format_of(self, head: bytes, *, whole: bool) -> Format | None:
        if self._wanted is not Format.AUTO:
            return self._wanted
        return detect(head, whole=whole)

    def _choose(self, chosen: Format | None) -> LineDecoder | DocumentDecoder | None:
        """Make the decoder of a format; None where it is not known yet."""
        if chosen is None:
            return None
        self._report.format = str(chosen)
        followed = self._followed
        if chosen is Format.JSON:
            if followed is not None:
                raise DataError(
                    f"{self._source.name} is one JSON document; only JSON Lines and CSV grow",
                    hint="leave --follow away",
                )
            return DocumentDecoder()
        header, splitter = None, LineSplitter()
        if followed is not None and followed.started:
            splitter.number = followed.line
            if chosen is Format.CSV:
                header = followed.first_line().decode("utf-8", "replace")
        return LineDecoder(csv=chosen is Format.CSV, header=header, splitter=splitter)

    def _feed(self, data: bytes, *, whole: bool = False) -> None:
        decoder = self._decoder
        if decoder is None:
            data = self._head + data
            decoder = self._choose(self._format_of(data, whole=whole))
            self._decoder, self._head = decoder, b"" if decoder is not None else data
        if decoder is not None:
            self._take(decoder.feed(data, self._appender.buffer.clock.unix_us()))

    def _finish(self) -> None:
        """Nothing more comes from the present file."""
        if self._head:
            self._feed(b"", whole=True)
        if self._decoder is not None:
            self._take(self._decoder.finish(self._appender.buffer.clock.unix_us()))

    def _take(self, items: Iterable[Item]) -> None:
        for item in items:
            if isinstance(item, Bad):
                self._reject(item)
                continue
            self._appender.add(item.reading)
            self._look_at_time(item.reading)
            self._since += 1
            if self._since >= COMMIT_EVERY:
                self._commit()

    def _reject(self, bad: Bad) -> None:
        report = self._report
        report.rejected += 1
        reason = str(bad.reason)
        report.reasons[reason] = report.reasons.get(reason, 0) + 1
        if len(report.rejects) < REJECTS_KEPT:
            report.rejects.append(Reject(bad.place, bad.line, reason, bad.detail, bad.excerpt))
        if self._strict:
            raise StrictStop(
                f"{self._source.name}: {bad.place}: {bad.detail}",
                hint="mend it, or leave --strict away to keep the others",
            )
        if report.rejected <= REJECTS_SHOWN:
            self._voice.warn(f"{self._source.name}: {bad.place}: {bad.detail}")
        elif report.rejected == REJECTS_SHOWN + 1:
            self._voice.warn("further rejects are counted, not shown")

    def _look_at_time(self, reading: Reading) -> None:
        """Count readings that repeat the time of the one before."""
        key = (reading.device, reading.kind)
        before = self._times.get(key)
        if before == reading.ts_us:
            self._report.same_time += 1
        elif before is not None or len(self._times) < KEYS_KEPT:
            self._times[key] = reading.ts_us

    # -- commits -------------------------------------------------------------------

    def _commit(self, *, everything: bool = False) -> None:
        """Commit what is due (or all), again and again while there is no room."""
        self._since = 0
        tries = 0
        while True:
            try:
                self._commit_once(everything=everything)
            except StorageError as e:
                tries += 1
                if tries == 1:
                    self._voice.warn(f"{e.message}: waiting for room")
                gives_up = self._followed is None and tries >= GIVE_UP_TRIES
                if gives_up or self._stop.wait(RETRY_S):
                    raise
                continue
            if tries:
                self._voice.note("there is room again")
            return

    def _commit_once(self, *, everything: bool) -> None:
        appender = self._appender
        due = appender.due()
        if due or everything:
            mark = self._mark()
            stored = appender.commit(None if everything or mark else due, mark=mark)
            for made in stored:
                self._voice.detail(
                    f"stored {Priority(made.lane).name.lower()} frame {made.no}: readings "
                    f"{made.first_msg} to {made.last_msg}"
                )
        if everything:
            appender.close()
        else:
            appender.sign_due()

    def _mark(self) -> Mark | None:
        """Say how far the followed file was read."""
        if self._followed is None or not isinstance(self._decoder, LineDecoder):
            return None
        splitter = self._decoder.splitter
        lines = splitter.number - self._followed.line
        position = self._followed.position(splitter.consumed, lines)
        return None if position is None else Mark(str(self._followed.path), position)

    def _fill_in(self) -> None:
        totals, report = self._appender.totals, self._report
        by_lane: Mapping[int, int] = totals.accepted
        report.accepted = sum(by_lane.values())
        report.lanes = {Priority(lane).name.lower(): n for lane, n in by_lane.items()}
        report.refused = sum(totals.refused.values())
        report.dropped = totals.dropped.msgs
        report.frames = totals.frames
        report.state = self._appender.state.value
