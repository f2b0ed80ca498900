"""Any loss, order, repetition and restart: every reading arrives once, in order in its lane."""

import heapq
import itertools
from dataclasses import dataclass, field
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunes.uplink.protocol import REQUEST_FRAMES
from dunes.uplink.sender import Ask, Sender

TIMEOUT_S = 3.0


@dataclass
class World:
    """A sender and a ground station on a virtual clock, with a bad network between them."""

    writer: object
    station: object
    ground_key: object
    rng: Random
    loss: float
    twice: float
    rtt_s: float = 0.2
    long_delay: bool = False
    now_s: float = 0.0
    events: list = field(default_factory=list)
    order: object = field(default_factory=itertools.count)
    generation: int = 0
    sender: Sender = None
    cum: dict = field(default_factory=lambda: {0: 0, 1: 0, 2: 0})
    receipt_no: int = 0
    batches: int = 0

    def at(self, delay_s, action):
        heapq.heappush(self.events, (self.now_s + delay_s, next(self.order), action))

    def start(self):
        self.generation += 1
        self.sender = Sender(self.rng, request_frames=7)
        self.sender.set_stream(self.writer.epoch, self.receipt_no)
        self.refresh()
        self.sender.on_link(
            up=True, now_s=self.now_s, rate_bps=1e5, rtt_s=1000.0 if self.long_delay else None
        )

    def refresh(self):
        for lane in (0, 1, 2):
            self.sender.set_lane(
                self.writer.epoch, lane, last=self.writer.last(lane), cum=self.cum[lane]
            )

    def delay(self):
        base = 500.0 if self.long_delay else self.rtt_s / 2
        return base * self.rng.uniform(0.9, 1.005 if self.long_delay else 3.0)

    def pump(self):
        while send := self.sender.next_send(self.now_s):
            self.launch(send)
        due = self.sender.next_deadline(self.now_s)
        if due is not None:
            generation = self.generation
            self.at(
                max(due - self.now_s, 0.01),
                lambda: self.pump() if generation == self.generation else None,
            )

    def launch(self, send):
        batch = b""
        if not isinstance(send, Ask):
            assert send.first > self.cum[send.lane] or send.last > self.cum[send.lane]
            first = max(send.first, self.cum[send.lane] + 1)  # what is below is deleted
            last = min(send.last, first + self.rng.randint(0, REQUEST_FRAMES))
            batch = self.writer.batch(send.lane, first, last)
            self.sender.on_loaded(send.id, last, len(batch), self.now_s)
        self.batches += 1
        generation, replied = self.generation, []
        if not self.long_delay:
            self.at(TIMEOUT_S, lambda: replied or self.failed(generation, send.id))
        for _ in range(2 if self.rng.random() < self.twice else 1):
            if self.rng.random() >= self.loss:
                self.at(self.delay(), lambda: self.arrive(generation, send.id, batch, replied))

    def failed(self, generation, send_id):
        if generation == self.generation:
            self.sender.on_failed(send_id, self.now_s)
            self.pump()

    def arrive(self, generation, send_id, batch, replied):
        self.station.take(batch)
        receipt = self.station.receipt(self.ground_key)
        if self.rng.random() >= self.loss:
            self.at(self.delay(), lambda: self.reply(generation, send_id, receipt, replied))

    def reply(self, generation, send_id, receipt, replied):
        if generation != self.generation:
            return
        replied.append(True)
        own = {lane: self.writer.hash_of(lane, said.cum) for lane, said in receipt.lanes.items()}
        if self.sender.on_receipt(receipt, own, self.now_s):
            self.receipt_no = receipt.receipt_no
            for lane, said in receipt.lanes.items():
                self.cum[lane] = max(self.cum[lane], said.cum)
        self.sender.on_reply(send_id, self.now_s)
        self.pump()

    def write(self, lane, n):
        for _ in range(n):
            self.writer.append(lane, n=self.rng.randint(1, 3))
        self.refresh()
        self.pump()

    def run(self, until_s):
        while self.events and self.now_s < until_s:
            self.now_s, _, action = heapq.heappop(self.events)
            action()

    def restart(self):
        self.start()
        self.pump()


PLAN = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 2), st.integers(1, 40)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.integers(1, 50)),
    ),
    min_size=1,
    max_size=12,
)


def play(world, plan, step_s):
    world.start()
    world.pump()
    at_s = 0.0
    for kind, lane, amount in plan:
        if kind == "write":
            world.at(at_s, lambda lane=lane, n=amount: world.write(lane, n))
        elif kind == "restart":
            world.at(at_s, world.restart)
        else:
            at_s += amount * step_s
    world.run(1e7)
    for lane in (0, 1, 2):
        last = world.writer.frames[lane][-1].header.last_msg if world.writer.last(lane) else 0
        assert list(range(1, last + 1)) == world.station.delivered(lane)
        assert world.writer.last(lane) == world.cum[lane]
    assert world.sender.drained


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    plan=PLAN,
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.05, 0.4]),
    twice=st.sampled_from([0.0, 0.3]),
)
def test_everything_arrives_once_and_in_order_whatever_the_network_does(
    make_writer, make_station, ground_key, plan, seed, loss, twice
):
    world = World(make_writer(), make_station(), ground_key, Random(seed), loss, twice)
    play(world, plan, 0.1)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plan=PLAN, seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.05, 0.3]))
def test_the_same_holds_over_minutes_of_delay(
    make_writer, make_station, ground_key, plan, seed, loss
):
    world = World(
        make_writer(), make_station(), ground_key, Random(seed), loss, 0.1, long_delay=True
    )
    play(world, plan, 100.0)
