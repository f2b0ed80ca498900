"""The gateway's side: what to send next, and what to believe. Sans-IO.

Sent is memory, acknowledged is disk: a sender that restarts asks what the ground
station has and goes on from there. It never waits for an acknowledgement before it
sends more; a window (or, over minutes of delay, the link's rate) bounds what is under
way. Alerts go alone and at once.

    sender = Sender(rng=Random(seed))
    sender.set_lane(epoch, lane, last=…, cum=…)    whenever frames were added
    sender.on_link(up=True, now_s=now)
    while (send := sender.next_send(now)):         Ask or Send; load its frames, then
        sender.on_loaded(send.id, last, size, now)
    sender.on_receipt(receipt, own_hashes, now)    any time; judged before it is believed
    sender.on_reply(send.id, now) / on_failed(…)   where the carrier has replies
    sender.next_deadline(now)                      when to call again at the latest
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from random import Random

from dunes.uplink.backoff import Backoff
from dunes.uplink.errors import BadReceipt, GroundWentBack
from dunes.uplink.judge import judge_receipt
from dunes.uplink.lane import Lane
from dunes.uplink.protocol import LANES, REQUEST_BYTES, REQUEST_FRAMES, REQUEST_MIN_FRAMES
from dunes.uplink.receipt import Receipt
from dunes.uplink.window import WINDOW_MIN, Mark, Window

LONG_DELAY_S = 120.0
"""From this round trip on the sender does not wait for answers: no TCP lives there."""
ALERT_COPIES = 3
"""Over a long delay, how often an alert is sent; at 2 % loss one in 125,000 is lost."""
REPAIR_COPIES = 3
"""Over a long delay, how often a lost frame is sent again at once: a round trip is dear."""
COPY_GAP_S = 2.0
"""Between two copies, so that one burst of loss does not take both."""
PACE_AHEAD_S = 2.0
"""Over a long delay, how much may wait in the modem: an alert waits no longer."""
SETTLE_SLACK_S = 5.0
"""How much later than expected a receipt may be before a frame counts as lost."""
ASK_AGAIN_S = 60.0
"""Over a long delay, the shortest time between two questions."""
ALERT_EXTRA = 4
"""Requests with alerts that may be under way besides the window."""
FRUITLESS_MAX = 8
"""Answers in a row that accept frames which then are missing: the peer does not store."""


class State(Enum):
    """What the sender is doing."""

    DOWN = auto()
    """There is no link."""
    ASKING = auto()
    """There is one; what the ground station has is not known yet."""
    FLOWING = auto()
    """Frames go out."""
    WAITING = auto()
    """Something failed; the next try is later."""


class Event(Enum):
    """What changes the state."""

    LINK_UP = auto()
    LINK_DOWN = auto()
    ANSWERED = auto()
    FAILED = auto()
    WAITED = auto()


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.DOWN, Event.LINK_UP): State.ASKING,
    (State.DOWN, Event.LINK_DOWN): State.DOWN,
    (State.DOWN, Event.ANSWERED): State.DOWN,
    (State.DOWN, Event.FAILED): State.DOWN,
    (State.ASKING, Event.LINK_UP): State.ASKING,
    (State.ASKING, Event.LINK_DOWN): State.DOWN,
    (State.ASKING, Event.ANSWERED): State.FLOWING,
    (State.ASKING, Event.FAILED): State.WAITING,
    (State.FLOWING, Event.LINK_UP): State.FLOWING,
    (State.FLOWING, Event.LINK_DOWN): State.DOWN,
    (State.FLOWING, Event.ANSWERED): State.FLOWING,
    (State.FLOWING, Event.FAILED): State.WAITING,
    (State.WAITING, Event.LINK_UP): State.WAITING,
    (State.WAITING, Event.LINK_DOWN): State.DOWN,
    # a late answer: something gets through
    (State.WAITING, Event.ANSWERED): State.FLOWING,
    (State.WAITING, Event.FAILED): State.WAITING,
    (State.WAITING, Event.WAITED): State.ASKING,
}
"""A missing pair is a bug of ours."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask what the ground station has of a stream."""

    id: int
    epoch: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Send frames `first` to `last` of a lane, or as many as fit into a batch.

    Attributes:
        id: for the answer.
        epoch: 16 bytes.
        lane: the lane.
        first: number of the first.
        last: number of the last.
        again: whether they were sent before.
    """

    id: int
    epoch: bytes
    lane: int
    first: int
    last: int
    again: bool


@dataclass(slots=True)
class _Flight:
    """A batch under way."""

    send: Send
    first: int
    last: int
    mark: Mark
    size_bytes: int = 0
    settles_s: float = math.inf


@dataclass(slots=True)
class Sender:
    """All lanes of one buffer on their way to one destination.

    Attributes:
        rng: the dice of the back-off.
        long_delay: no replies, no window: send the backlog, repair from gap reports.
        rate_bps: the link's rate, if somebody knows it; needed for a long delay.
        rtt_s: its round trip, likewise.
        request_frames: the most frames in a batch.
        request_bytes: the size of a full batch.
    """

    rng: Random
    long_delay: bool = False
    rate_bps: float = 0.0
    rtt_s: float = 0.0
    request_frames: int = REQUEST_FRAMES
    request_bytes: int = REQUEST_BYTES
    state: State = State.DOWN
    lanes: dict[tuple[bytes, int], Lane] = field(default_factory=dict)
    window: Window = field(default_factory=Window)
    backoff: Backoff = field(init=False)
    _order: list[bytes] = field(default_factory=list)
    _receipt_no: dict[bytes, int] = field(default_factory=dict)
    _flights: dict[int, _Flight] = field(default_factory=dict)
    _asks: dict[int, tuple[bytes, Mark, int]] = field(default_factory=dict)
    _unasked: list[bytes] = field(default_factory=list)
    _copies: list[tuple[float, int, Send]] = field(default_factory=list)
    _next_id: int = 1
    _wake_s: float = 0.0
    _free_at_s: float = 0.0
    _ask_at_s: float = math.inf
    _batch_bytes: float = 0.0
    _fruitless: int = 0

    def __post_init__(self) -> None:
        """Give the back-off the same dice."""
        self.backoff = Backoff(self.rng)

    # -- what the store says ------------------------------------------------------------

    def set_stream(self, epoch: bytes, receipt_no: int) -> None:
        """Add a stream; older ones first. `receipt_no`: of the newest receipt stored here."""
        if epoch not in self._order:
            self._order.append(epoch)
            self._receipt_no[epoch] = receipt_no
            if self.state is not State.DOWN:
                self._unasked.append(epoch)

    def set_lane(self, epoch: bytes, number: int, *, last: int, cum: int) -> None:
        """Say how far a lane goes, and what this destination acknowledged of it."""
        lane = self.lanes.get((epoch, number))
        if lane is None:
            lane = self.lanes[epoch, number] = Lane(epoch, number, cum=cum, high=cum)
        lane.last = max(lane.last, last)
        if cum > lane.cum:
            lane.cum, lane.high = cum, max(cum, lane.high)
            lane.redo.remove(0, cum)

    def drop_stream(self, epoch: bytes) -> None:
        """Forget a stream: it goes on under another epoch.

        Call it with nothing under way; what still counts as such, of any stream, is lost.
        """
        self._lose_all()
        self._order.remove(epoch)
        self._receipt_no.pop(epoch)
        for key in [key for key in self.lanes if key[0] == epoch]:
            del self.lanes[key]
        if self.state is not State.DOWN:
            self._ask_all()

    # -- what the link says ---------------------------------------------------------------

    def on_link(
        self, *, up: bool, now_s: float, rate_bps: float | None = None, rtt_s: float | None = None
    ) -> None:
        """Hear that the link came up or went down, and what is known of it."""
        if rate_bps:
            self.rate_bps = rate_bps
        if rtt_s is not None:
            self.rtt_s = rtt_s
            self.long_delay = rtt_s >= LONG_DELAY_S
        self.window.seed(rate_bps, None if self.long_delay else rtt_s, now_s)
        was_down = self.state is State.DOWN
        self._step(Event.LINK_UP if up else Event.LINK_DOWN)
        if up and was_down:
            self.backoff.worked()
            self._ask_all()
            self._free_at_s = now_s
        elif not up:
            self._lose_all()

    def on_failed(self, send_id: int, now_s: float, retry_after_s: float | None = None) -> None:
        """Hear that a batch or question got no good answer; it will be sent again later."""
        if self._drop(send_id) is None:
            return
        until_s = now_s + self.backoff.failed(retry_after_s)
        self._wake_s = max(self._wake_s, until_s) if self.state is State.WAITING else until_s
        self._step(Event.FAILED)

    def on_reply(self, send_id: int, now_s: float) -> None:
        """Hear that a batch or question was answered well.

        Call it after `on_receipt` with what the answer said.

        Raises:
            BadReceipt: the ground station accepts frames, time and again, and does not
                have them.
        """
        if (asked := self._asks.pop(send_id, None)) is not None:
            self.window.delivered(asked[1], 0, now_s)
        elif (flight := self._flights.pop(send_id, None)) is not None:
            self.window.delivered(flight.mark, flight.size_bytes, now_s)
            lane = self.lanes[flight.send.epoch, flight.send.lane]
            absent = lane.absent(flight.first, flight.last)
            self._fruitless = self._fruitless + 1 if absent else 0
            if self._fruitless > FRUITLESS_MAX:
                raise BadReceipt(
                    f"the ground station accepted frames {flight.first} to {flight.last} of lane "
                    f"{lane.number} and does not have them, {self._fruitless} times in a row",
                    hint="nothing was deleted; mcp ground-station status tells what it stores",
                )
            lane.missing.update(absent)
            lane.settle(self._flying(lane))
        else:
            return
        self.backoff.worked()
        if self.state is not State.ASKING or not (self._asks or self._unasked):
            self._step(Event.ANSWERED)

    def on_receipt(
        self, receipt: Receipt, own_hashes: Mapping[int, bytes | None], now_s: float
    ) -> bool:
        """Take over what the ground station has, if it can be true.

        Args:
            receipt: its signature was verified.
            own_hashes: see `judge_receipt`.
            now_s: the present.

        Returns:
            Whether it is newer than what was known: store it, and delete up to `cum`.

        Raises:
            OtherHistory: it contradicts our lanes.
            GroundWentBack: it is older than one that we had before we asked.
        """
        epoch = receipt.epoch
        if epoch not in self._receipt_no:
            return False
        known = self._receipt_no[epoch]
        mine = {n: lane for (e, n), lane in self.lanes.items() if e == epoch}
        self._refuse_set_back(receipt, mine)
        judge_receipt(receipt, mine, own_hashes)
        if receipt.receipt_no < known:
            return False
        self._receipt_no[epoch] = receipt.receipt_no
        for number, said in receipt.lanes.items():
            if (lane := mine.get(number)) is not None:
                lane.acknowledged(said)
        if self.long_delay:
            self._step(Event.ANSWERED)
            self._settle_long(mine, epoch, now_s)
        for lane in mine.values():
            lane.settle(self._flying(lane))
        return receipt.receipt_no > known

    def _refuse_set_back(self, receipt: Receipt, mine: Mapping[int, Lane]) -> None:
        """Refuse a receipt of a ground station that forgot what it had acknowledged."""
        known = self._receipt_no[receipt.epoch]
        asked = [no for e, _, no in self._asks.values() if e == receipt.epoch]
        older = bool(asked) and receipt.receipt_no < min(asked)
        less = receipt.receipt_no >= known and any(
            said.cum < mine[number].cum for number, said in receipt.lanes.items() if number in mine
        )
        if older or less:
            raise GroundWentBack(
                f"the ground station acknowledged more before: receipt {known} is stored here, "
                f"it now gives {receipt.receipt_no} with less; its store was set back",
                hint="restore the ground station's newest copy; if it is lost for good: "
                "mcp sync --forget-receipts",
            )

    # -- what to do -----------------------------------------------------------------------

    @property
    def drained(self) -> bool:
        """Whether everything is acknowledged."""
        return all(lane.drained for lane in self.lanes.values())

    @property
    def stalled(self) -> bool:
        """Whether all that can be sent is acknowledged, and damaged frames are in the way."""
        return (
            not self._flights
            and not self._asks
            and not self.drained
            and all(
                lane.drained or (lane.stuck and not lane.waiting and not lane.missing_sent)
                for lane in self.lanes.values()
            )
        )

    def next_send(self, now_s: float) -> Ask | Send | None:
        """Give one thing to send now; None if there is nothing to do yet."""
        if self.state is State.DOWN:
            return None
        if self.state is State.WAITING:
            if now_s < self._wake_s:
                return None
            self._step(Event.WAITED)
            self._ask_all()
        if self._unasked:
            return self._ask(self._unasked.pop(0), now_s)
        return self._next_long(now_s) if self.long_delay else self._next_windowed(now_s)

    def on_loaded(self, send_id: int, last: int, size_bytes: int, now_s: float) -> None:
        """Say what a batch really holds, once its frames were read.

        Args:
            send_id: of the `Send`.
            last: the last number in it (a tombstone may reach further than was asked);
                `first - 1`: nothing could be read.
            size_bytes: its size.
            now_s: the present.
        """
        flight = self._flights.get(send_id)
        if flight is None:
            return
        lane = self.lanes[flight.send.epoch, flight.send.lane]
        if last < flight.last:
            if flight.send.again or lane.high != flight.last:
                lane.put_back(last + 1, flight.last)
            else:
                lane.high = last
        elif last > flight.last:
            lane.redo.remove(flight.last, last)
            lane.high = max(lane.high, last)
        if last < flight.first:
            del self._flights[send_id]
            return
        flight.last = last
        flight.size_bytes = size_bytes
        self._batch_bytes = 0.75 * (self._batch_bytes or size_bytes) + 0.25 * size_bytes
        if self.long_delay:
            took_s = size_bytes * 8 / self.rate_bps if self.rate_bps else 0.0
            self._free_at_s = max(self._free_at_s, now_s) + took_s
            flight.settles_s = self._free_at_s + self.rtt_s + SETTLE_SLACK_S
            known_s = 0.0 if self._ask_at_s == math.inf else self._ask_at_s
            self._ask_at_s = max(flight.settles_s, known_s)
            self._copies = [
                (due_s, left, replace(old, last=last) if old.id == send_id else old)
                for due_s, left, old in self._copies
            ]

    def skip(self, epoch: bytes, number: int, no: int) -> None:
        """Leave out a frame that is damaged here, until the buffer is repaired."""
        self.lanes[epoch, number].skip(no)

    def on_too_large(self, limit_bytes: int) -> None:
        """Hear that the ground station takes batches up to this size only."""
        self.request_bytes = min(self.request_bytes, limit_bytes)

    def next_deadline(self, now_s: float) -> float | None:
        """Say when `next_send` may have something, if nothing else happens before."""
        if self.state is State.DOWN:
            return None
        if self.state is State.WAITING:
            return self._wake_s
        if not self.long_delay:
            return None
        times = [due_s for due_s, _, _ in self._copies]
        if any(lane.waiting for lane in self.lanes.values()):
            times.append(self._free_at_s - PACE_AHEAD_S)
        if not self.drained:
            times.append(self._ask_at_s)
        return max(now_s, min(times)) if times else None

    @property
    def under_way(self) -> int:
        """How many batches and questions are under way."""
        return len(self._flights) + len(self._asks)

    # -- inside ---------------------------------------------------------------------------

    def _step(self, event: Event) -> None:
        self.state = TRANSITIONS[self.state, event]

    def _limit(self) -> int:
        return self.window.limit(int(self._batch_bytes) or self.request_bytes)

    def _number(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _ask_all(self) -> None:
        asked = {epoch for epoch, _, _ in self._asks.values()}
        self._unasked = [epoch for epoch in self._order if epoch not in asked]

    def _ask(self, epoch: bytes, now_s: float) -> Ask:
        ask = Ask(self._number(), epoch)
        if not self.long_delay:
            self._asks[ask.id] = (epoch, self.window.mark(now_s), self._receipt_no[epoch])
        elif not self._unasked:
            self._ask_at_s = now_s + max(ASK_AGAIN_S, self.rtt_s / 8)
        return ask

    def _flying(self, lane: Lane) -> list[tuple[int, int]]:
        return [
            (f.first, f.last)
            for f in self._flights.values()
            if f.send.lane == lane.number and f.send.epoch == lane.epoch
        ]

    def _take(self, number: int, now_s: float) -> Send | None:
        """Take the next batch of this priority, oldest stream first."""
        for epoch in self._order:
            lane = self.lanes.get((epoch, number))
            if lane is None or not lane.waiting:
                continue
            if lane.waiting < REQUEST_MIN_FRAMES and number and not lane.redo:
                busy = any(f.send.lane == number for f in self._flights.values())
                if busy and not self.long_delay:
                    continue  # a batch of this lane is under way: collect some more
            taken = lane.take(self.request_frames)
            if taken is not None:
                first, last, again = taken
                send = Send(self._number(), epoch, number, first, last, again)
                self._flights[send.id] = _Flight(send, first, last, self.window.mark(now_s))
                return send
        return None

    def _next_windowed(self, now_s: float) -> Send | None:
        """Alerts at once, the rest once it is known what the other side has."""
        under_way, limit = len(self._flights), self._limit()
        alert, *rest = LANES
        if under_way < limit + ALERT_EXTRA and (send := self._take(alert, now_s)):
            return send
        if under_way < limit and (self.state is State.FLOWING or self._may_guess()):
            for number in rest:
                if send := self._take(number, now_s):
                    return send
        return None

    def _may_guess(self) -> bool:
        """Tell whether to send before it is known what the other side has.

        A little, at the first contact: it saves a round trip, and at worst arrives twice.
        """
        if self.state is not State.ASKING or self.backoff.failures:
            return False
        waiting = sum(lane.waiting for lane in self.lanes.values())
        return waiting <= WINDOW_MIN * self.request_frames and not any(
            lane.redo for lane in self.lanes.values()
        )

    def _next_long(self, now_s: float) -> Ask | Send | None:
        """Over a long delay: copies that are due, then what the link's rate allows."""
        for copy in [copy for copy in self._copies if copy[0] <= now_s]:
            self._copies.remove(copy)
            _, left, old = copy
            if self.lanes[old.epoch, old.lane].cum < old.last:
                return self._copy(old, left, now_s)
        if self._free_at_s - now_s < PACE_AHEAD_S:
            for number in LANES:
                if send := self._take(number, now_s):
                    copies = ALERT_COPIES if number == 0 else REPAIR_COPIES if send.again else 1
                    if copies > 1:
                        self._copies.append((now_s + COPY_GAP_S, copies - 2, send))
                    return send
        if now_s >= self._ask_at_s and not self.drained:
            self._ask_all()
            if self._unasked:
                return self._ask(self._unasked.pop(0), now_s)
        return None

    def _copy(self, old: Send, left: int, now_s: float) -> Send:
        """Send the same numbers once more."""
        if left:
            self._copies.append((now_s + COPY_GAP_S, left - 1, old))
        send = Send(self._number(), old.epoch, old.lane, old.first, old.last, again=True)
        self._flights[send.id] = _Flight(send, send.first, send.last, self.window.mark(now_s))
        return send

    def _settle_long(self, mine: Mapping[int, Lane], epoch: bytes, now_s: float) -> None:
        """End the flights that a receipt of now must know about; what it misses is lost."""
        done = [
            i for i, f in self._flights.items() if f.send.epoch == epoch and f.settles_s <= now_s
        ]
        for flight in [self._flights.pop(i) for i in done]:
            lane = mine[flight.send.lane]
            lane.missing.update(lane.absent(flight.first, flight.last))

    def _lose_all(self) -> None:
        """Count all that is under way as lost."""
        for send_id in [*self._flights]:
            self._drop(send_id)
        self._asks.clear()
        self._unasked.clear()
        self._copies.clear()

    def _drop(self, send_id: int) -> object:
        """End a flight or question that failed."""
        if (flight := self._flights.pop(send_id, None)) is not None:
            lane = self.lanes[flight.send.epoch, flight.send.lane]
            lane.put_back(flight.first, flight.last)
            lane.redo.remove_all(self._flying(lane))
            return flight
        return self._asks.pop(send_id, None)
