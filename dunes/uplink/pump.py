"""One buffer to one destination: the only I/O of the sending side.

The sender says what to send; the pump reads it from the buffer, hands it to the
carrier, and gives back what the ground station answers.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from dunes.buffer.ack import last_receipt
from dunes.buffer.store import Buffer, Stream
from dunes.errors import DunesError, PeerError, TryLater
from dunes.model import Priority
from dunes.uplink.carriers import Busy, Carrier, NoAnswer, NoGroundStation, TooLarge
from dunes.uplink.errors import BadReceipt, BadRecord, Conflict, OtherHistory
from dunes.uplink.forget import acknowledged
from dunes.uplink.fork import CLOSED
from dunes.uplink.hold import Hold
from dunes.uplink.inbox import Inbox
from dunes.uplink.outbox import Loaded, Outbox
from dunes.uplink.protocol import BATCH_MAX_BYTES, LANES
from dunes.uplink.receipt import LaneReceipt, Receipt, parse_receipt
from dunes.uplink.sender import Ask, Send, Sender

REFRESH_S = 0.1
"""How often the buffer is asked for new frames; an alert waits no longer."""
FAILURES_MAX, FAILING_S = 4, 4.0
"""Without --watch: so many failures in a row, over so long, and the link counts as down."""
LAST_ANSWERS_S = 0.5
"""At the end, how long answers under way are waited for."""
STRIKES_MAX = 4
"""So many answers in a row that no ground station gives."""


@dataclass(slots=True)
class LaneCount:
    """One lane of the table, all its streams together.

    Attributes:
        frames: acknowledged in this run.
        readings: in those.
        left_frames: not acknowledged yet.
        left_readings: in those.
        damaged: frames that cannot be sent.
    """

    frames: int = 0
    readings: int = 0
    left_frames: int = 0
    left_readings: int = 0
    damaged: int = 0


@dataclass(slots=True)
class Counts:
    """What a run did.

    Attributes:
        lanes: by lane.
        requests: batches sent.
        sent_frames: frames in them.
        sent_bytes: their size.
        deleted_frames: deleted here, as every destination has them.
        notes: what a person should know.
    """

    lanes: dict[int, LaneCount] = field(
        default_factory=lambda: {lane: LaneCount() for lane in LANES}
    )
    requests: int = 0
    sent_frames: int = 0
    sent_bytes: int = 0
    deleted_frames: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Frames acknowledged in this run."""
        return sum(lane.frames for lane in self.lanes.values())

    @property
    def left_frames(self) -> int:
        """Frames not acknowledged yet."""
        return sum(lane.left_frames for lane in self.lanes.values())


@dataclass(slots=True)
class _Track:
    """What the pump remembers of a stream."""

    stream: Stream
    said: dict[int, LaneReceipt] = field(default_factory=dict)
    known_keys: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class Pump:
    """Drains a buffer table to a destination.

    Attributes:
        buffer: the gateway's, opened with its name.
        table: folded name.
        outbox: makes batches.
        inbox: takes receipts.
        carrier: brings them there and back.
        rng: the dice of the back-off.
        timeout_s: without `watch`: silence after which the link counts as down.
        held: tells whether the uplink is to behave as if cut.
        fork: called when the ground station knows another history of a stream; begins
            a new epoch and says so, or raises.
        on_progress: told now and then.
    """

    buffer: Buffer
    table: str
    outbox: Outbox
    inbox: Inbox
    carrier: Carrier
    rng: Random
    timeout_s: float
    held: Callable[[], Hold | None]
    fork: Callable[[Stream, PeerError], Awaitable[str]] | None = None
    on_progress: Callable[[Counts, str], None] = lambda _counts, _note: None
    counts: Counts = field(default_factory=Counts)
    sender: Sender = field(init=False)
    _tracks: dict[bytes, _Track] = field(default_factory=dict)
    _began: dict[tuple[bytes, int], tuple[int, int]] = field(default_factory=dict)
    _settled: dict[int, tuple[int, int]] = field(default_factory=dict)
    _tasks: dict["asyncio.Task[bytes]", tuple[Ask | Send, Loaded]] = field(default_factory=dict)
    _heard_s: float = 0.0
    _failures: int = 0
    _strikes: int = 0
    _trouble: str = ""

    def __post_init__(self) -> None:
        """Make the sender."""
        self.sender = Sender(self.rng)

    async def run(self, *, watch: bool = False) -> Counts:
        """Send what is there; with `watch` also all that comes, until cancelled.

        Raises:
            TryLater: the link is down; what is queued stays queued.
            PeerError: the ground station breaks the protocol; nothing was deleted.
            Denied: it does not want this gateway.
        """
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        await asyncio.to_thread(self._refresh, LANES)
        up = False
        try:
            while watch or not (self.sender.drained or self.sender.stalled):
                hold = self.held()
                if hold is not None and not watch:
                    raise TryLater(f"the uplink is held: {hold.reason}", code="uplink-held")
                if up != (hold is None):
                    up = hold is None
                    await self._link(up, loop.time())
                await self._launch(loop.time())
                if not watch and (self.sender.drained or self.sender.stalled):
                    break
                await self._wait(loop.time(), watch=watch)
                await self._collect(loop.time())
                await asyncio.to_thread(self._refresh, LANES if watch else LANES[:1])
                if not watch:
                    self._give_up(loop.time())
                self.on_progress(self.counts, self._trouble)
        finally:
            await self._end_tasks()
            self._count()
        return self.counts

    def heard(self) -> None:
        """Note that bytes move on the link."""
        self._heard_s = asyncio.get_running_loop().time()

    # -- out ------------------------------------------------------------------------------

    async def _link(self, up: bool, now_s: float) -> None:
        if not up:
            await self._end_tasks()
        self.sender.on_link(up=up, now_s=now_s)

    async def _end_tasks(self) -> None:
        """End what is under way; what is about to end anyway may, and closes its connection."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_ANSWERS_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def _launch(self, now_s: float) -> None:
        """Start all that the sender wants to send now."""
        while (send := self.sender.next_send(now_s)) is not None:
            track = self._tracks[send.epoch]
            stream, loaded = track.stream, Loaded()
            if isinstance(send, Ask):
                call = self.carrier.ask(stream.gateway, stream.table, stream.epoch)
            else:
                loaded = await asyncio.to_thread(self._load, track, send)
                self.sender.on_loaded(send.id, loaded.last, len(loaded.batch), now_s)
                if loaded.damaged:
                    self._skip(send, loaded.damaged)
                if not loaded.batch:
                    continue
                self.counts.requests += 1
                self.counts.sent_frames += loaded.frames
                self.counts.sent_bytes += len(loaded.batch)
                call = self.carrier.post(
                    stream.gateway,
                    stream.table,
                    stream.epoch,
                    loaded.batch,
                    alert=send.lane == Priority.ALERT,
                )
                loaded.batch = b""  # the task holds it as long as it is needed
            task = asyncio.ensure_future(call)
            self._tasks[task] = (send, loaded)

    def _load(self, track: _Track, send: Send) -> Loaded:
        return self.outbox.load(
            track.stream,
            send.lane,
            send.first,
            send.last,
            max_bytes=min(self.sender.request_bytes, BATCH_MAX_BYTES // 2),
            acknowledged=track.said.get(send.lane, LaneReceipt()),
            known_keys=track.known_keys,
        )

    def _skip(self, send: Send, no: int) -> None:
        self.sender.skip(send.epoch, send.lane, no)
        self.counts.lanes[send.lane].damaged += 1
        self.counts.notes.append(
            f"frame {no} of lane {Priority(send.lane).name.lower()} is damaged here and was not "
            f"sent: dunes check-buffer --table {self.table} --repair"
        )

    # -- in -------------------------------------------------------------------------------

    async def _wait(self, now_s: float, *, watch: bool) -> None:
        """Wait for an answer, the sender's next deadline, or new frames."""
        due_s = self.sender.next_deadline(now_s)
        wait_s = REFRESH_S if watch or due_s is None else max(0.0, min(due_s - now_s, REFRESH_S))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(wait_s)

    async def _collect(self, now_s: float) -> None:
        """Hear all answers that came; act upon the newest receipt of each stream."""
        newest: dict[bytes, Receipt] = {}
        quarrel: tuple[Stream, PeerError] | None = None
        for task in [task for task in self._tasks if task.done()]:
            send, loaded = self._tasks.pop(task)
            if send.epoch not in self._tracks:
                continue
            track = self._tracks[send.epoch]
            try:
                receipt = await asyncio.to_thread(self.inbox.read, task.result(), track.stream)
                own = await asyncio.to_thread(self.inbox.own_hashes, receipt, track.stream)
                if self.sender.on_receipt(receipt, own, now_s):
                    newest[send.epoch] = receipt
                    track.said = dict(receipt.lanes)
                elif not track.said:
                    track.said = dict(receipt.lanes)
                self.sender.on_reply(send.id, now_s)
            except (OtherHistory, Conflict) as e:
                self.sender.on_failed(send.id, now_s)
                quarrel = track.stream, e
            except DunesError as e:
                self._failed(send, loaded, e, now_s)
            else:
                track.known_keys |= loaded.key_ids
                self._answered(send, now_s)
        for epoch, receipt in newest.items():
            applied = await asyncio.to_thread(
                self.inbox.apply, receipt, self._tracks[epoch].stream
            )
            self.counts.deleted_frames += applied.frames
        if quarrel is not None:
            await self._quarrel(*quarrel)
        self._count()

    def _answered(self, send: Ask | Send, now_s: float) -> None:
        """Forget earlier failures; an answered question says nothing of refused batches."""
        self._heard_s, self._failures, self._trouble = now_s, 0, ""
        if isinstance(send, Send):
            self._strikes = 0

    def _failed(self, send: Ask | Send, loaded: Loaded, error: DunesError, now_s: float) -> None:
        """Decide what a failure means: again later, or the end."""
        retry_after_s = None
        match error:
            case TooLarge() if loaded.frames > 1:
                self.sender.on_too_large(error.limit_bytes)
            case Busy():
                retry_after_s = error.retry_after_s
                self._failures += 1
            case NoAnswer():
                self._failures += 1
            case NoGroundStation() | BadRecord():
                self._strikes += 1
                if self._strikes >= STRIKES_MAX:
                    raise error
            case _:
                raise error
        self._trouble = error.message
        self.sender.on_failed(send.id, now_s, retry_after_s)

    async def _quarrel(self, stream: Stream, error: PeerError) -> None:
        """Let the fork mechanism find out who is right, once nothing is under way."""
        if self.fork is None:
            raise error
        if self._tasks:
            await asyncio.wait(self._tasks)
            self._tasks.clear()
        self.counts.notes.append(await self.fork(stream, error))
        self._count()
        self._settled = {number: (c.frames, c.readings) for number, c in self.counts.lanes.items()}
        self._began.clear()
        self.sender.drop_stream(stream.epoch)
        del self._tracks[stream.epoch]
        await asyncio.to_thread(self._refresh, LANES)
        for epoch, number in self.sender.lanes:
            self._began.setdefault((epoch, number), self._place(epoch, number))

    def _give_up(self, now_s: float) -> None:
        """Without `watch`: stop trying when nothing has come for long enough."""
        silent_s = now_s - self._heard_s
        failing = self._failures >= FAILURES_MAX and silent_s > FAILING_S
        if failing or (silent_s > self.timeout_s and self._trouble):
            raise TryLater(self._trouble, code="link-down")
        if silent_s > self.timeout_s:
            raise TryLater(
                f"the ground station gave no answer in {self.timeout_s:g} s", code="link-down"
            )

    # -- the buffer -----------------------------------------------------------------------

    def _refresh(self, lanes: tuple[int, ...]) -> None:
        """Tell the sender how far the table's lanes go by now."""
        streams = self.buffer.streams(self.table, self.buffer.gateway)
        newest = streams[-1].id if streams else 0
        for stream in streams:
            with self.buffer.reading() as connection:
                rows = self.buffer.lanes(connection, stream)
                kept = last_receipt(connection, stream.id, self.inbox.destination)
                acks = acknowledged(connection, stream.id, self.inbox.destination)
            if kept is not None and kept[0] >= CLOSED:
                continue
            if stream.epoch not in self._tracks:
                done = all(acks.get(n, 0) >= row.last_no for n, row in rows.items())
                if done and stream.id != newest:
                    continue
                track = self._tracks[stream.epoch] = _Track(stream)
                if kept is not None:
                    with contextlib.suppress(BadReceipt):
                        track.said = dict(parse_receipt(kept[1]).lanes)
                self.sender.set_stream(stream.epoch, 0 if kept is None else kept[0])
                todo: tuple[int, ...] = LANES
            else:
                todo = lanes
            for number in todo:
                row = rows[number]
                self.sender.set_lane(
                    stream.epoch, number, last=row.last_no, cum=acks.get(number, 0)
                )
                self._began.setdefault((stream.epoch, number), self._place(stream.epoch, number))

    def _place(self, epoch: bytes, number: int) -> tuple[int, int]:
        said = self._tracks[epoch].said.get(number, LaneReceipt())
        return said.cum, said.cum_msg

    def _count(self) -> None:
        """Bring the counts of this run up to date."""
        for number, lane in self.counts.lanes.items():
            lane.frames, lane.readings = self._settled.get(number, (0, 0))
        for (epoch, number), (cum, cum_msg) in self._began.items():
            if epoch in self._tracks:
                now_cum, now_msg = self._place(epoch, number)
                self.counts.lanes[number].frames += now_cum - cum
                self.counts.lanes[number].readings += now_msg - cum_msg
