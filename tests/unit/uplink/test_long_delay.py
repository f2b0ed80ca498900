"""The Moon and Mars on a virtual clock: a ten hour backlog, drained in the time physics asks for.

Frames are sizes here; which of them are lost, and the real sender's and the real
receipts' behaviour, are what is measured.
"""

import heapq
import itertools
from dataclasses import dataclass, field
from random import Random

import pytest

from dunes.uplink.rangeset import RangeSet
from dunes.uplink.receipt import Receipt
from dunes.uplink.receiver import Cum, lane_receipt
from dunes.uplink.sender import Ask, Send, Sender

EPOCH = bytes(16)
FRAMES = 360_000
"""Ten hours of 2,000 readings a second, 200 in a frame."""
FRAME_BYTES = 3_890
"""1.40 GB together."""
RECEIPT_EVERY_S = 10.0
HOUR_S = 3600.0
HASH = b"h" * 32


@dataclass
class Deep:
    """A link with a long delay, a shared rate upwards, and loss of whole bundles both ways."""

    delay_s: float
    rate_bps: float
    loss: float
    bundle: int = 100
    rng: Random = field(default_factory=lambda: Random(42))
    now_s: float = 0.0
    free_s: float = 0.0
    sent_bytes: int = 0
    events: list = field(default_factory=list)
    order: object = field(default_factory=itertools.count)

    def __post_init__(self):
        self.sender = Sender(self.rng, request_frames=self.bundle)
        self.sender.set_stream(EPOCH, 0)
        self.held = {0: RangeSet(), 2: RangeSet()}
        self.cum = {0: 0, 2: 0}
        self.known_from = {0: 0, 2: 0}
        self.receipt_no = 0
        self.changed = False
        self.arrived_s = {}

    def at(self, time_s, action):
        heapq.heappush(self.events, (time_s, next(self.order), action))

    def pump(self):
        while send := self.sender.next_send(self.now_s):
            size = 60
            if isinstance(send, Send):
                size = (send.last - send.first + 1) * FRAME_BYTES
                self.sender.on_loaded(send.id, send.last, size, self.now_s)
            self.sent_bytes += size
            self.free_s = max(self.free_s, self.now_s) + size * 8 / self.rate_bps
            if self.rng.random() >= self.loss:
                self.at(self.free_s + self.delay_s, lambda send=send: self.arrive(send))

    def arrive(self, send):
        if isinstance(send, Ask):
            self.changed = True
            return
        held = self.held[send.lane]
        held.add(max(send.first, self.cum[send.lane] + 1), send.last)
        self.arrived_s.setdefault((send.lane, send.first), self.now_s)
        if held.first == self.cum[send.lane] + 1:
            first, self.cum[send.lane] = next(iter(held))
            held.remove(first, self.cum[send.lane])
        self.receipt_no += 1
        self.changed = True

    def report(self):
        if self.changed:
            self.changed = False
            lanes = {}
            for lane, held in self.held.items():
                cum = self.cum[lane]
                lanes[lane] = said = lane_receipt(
                    Cum(cum, HASH if cum else bytes(32), cum), held, self.known_from[lane]
                )
                more = said.known_to < said.max_seen
                self.known_from[lane] = said.known_to + 1 if more else 0
            receipt = Receipt("gw", "t", EPOCH, self.receipt_no, 0, lanes)
            if self.rng.random() >= self.loss:
                self.at(self.now_s + self.delay_s, lambda: self.heard(receipt))
        self.at(self.now_s + RECEIPT_EVERY_S, self.report)

    def heard(self, receipt):
        self.sender.on_receipt(receipt, {0: HASH, 2: HASH}, self.now_s)

    def drain(self, frames):
        self.sender.set_lane(EPOCH, 0, last=0, cum=0)
        self.sender.set_lane(EPOCH, 2, last=frames, cum=0)
        self.sender.on_link(up=True, now_s=0.0, rate_bps=self.rate_bps, rtt_s=2 * self.delay_s)
        self.at(0.0, self.report)
        while not self.sender.drained:
            self.pump()
            due_s = self.sender.next_deadline(self.now_s)
            if due_s is not None and due_s < self.events[0][0]:
                self.now_s = max(due_s, self.now_s + 1e-3)
                continue
            self.now_s, _, action = heapq.heappop(self.events)
            action()
        return self.now_s


@pytest.mark.parametrize(
    ("delay_s", "limit_h"), [(240.0, 2.1), (1440.0, 4.8)], ids=["mars-4min", "mars-24min"]
)
def test_mars_gets_its_ten_hours_of_backlog_through_two_percent_of_loss(delay_s, limit_h):
    link = Deep(delay_s, 2e6, 0.02)
    took_h = link.drain(FRAMES) / HOUR_S
    print(f"{took_h:.2f} h; sent {link.sent_bytes / 1e9:.2f} GB")
    assert took_h <= limit_h
    assert link.sent_bytes < 1.10 * FRAMES * FRAME_BYTES


def test_small_bundles_with_more_gaps_than_a_receipt_holds_do_as_well():
    link = Deep(1440.0, 2e6, 0.02, bundle=5)
    took_h = link.drain(FRAMES // 6) / HOUR_S
    wire_h = FRAMES // 6 * FRAME_BYTES * 8 / 2e6 / HOUR_S
    print(f"{took_h:.2f} h; the wire alone {wire_h:.2f} h")
    assert took_h <= wire_h * 1.15 + 4 * 1440.0 / HOUR_S + 0.2


def test_an_alert_passes_a_backlog_in_one_way_time():
    link = Deep(1440.0, 2e6, 0.02)
    link.at(600.0, lambda: link.sender.set_lane(EPOCH, 0, last=1, cum=0))
    link.drain(20_000)
    assert link.arrived_s[0, 1] - 600.0 < 1440.0 + 10.0
