"""A ground station in a dictionary, frames made quickly, and a signer that costs nothing."""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from dunes.buffer.frame import Frame, make_frame
from dunes.buffer.frameheader import NO_HASH
from dunes.buffer.payload import pack_readings
from dunes.buffer.records import Head, Tombstone
from dunes.crypto.errors import BadSignature
from dunes.model import Priority, Reading
from dunes.uplink.protocol import SignedTombstone, encode_batch, parse_batch
from dunes.uplink.rangeset import RangeSet
from dunes.uplink.receipt import Receipt
from dunes.uplink.receiver import Cum, Link, Taken, lane_receipt, receive

EPOCH = bytes(range(16))
GATEWAY, TABLE = "gw-one", "lunar_telemetry"


@dataclass(frozen=True)
class FakeKey:
    """Signs and verifies by HMAC: the protocol does not care, and ML-DSA takes a millisecond."""

    secret: bytes

    @property
    def kid(self) -> str:
        return hashlib.sha256(self.secret).hexdigest()[:32]

    def sign(self, data: bytes, context: bytes, /) -> bytes:
        return hmac.digest(self.secret, context + b"\0" + data, "sha256")

    def verify(self, signature: bytes, data: bytes, context: bytes, /) -> None:
        if signature != self.sign(data, context):
            raise BadSignature("not signed by that key")


GATEWAY_KEY, GROUND_KEY = FakeKey(b"gateway"), FakeKey(b"ground")


@dataclass
class Writer:
    """A gateway's store: lanes of frames."""

    epoch: bytes = EPOCH
    frames: dict[int, list[Frame]] = field(default_factory=lambda: {0: [], 1: [], 2: []})
    first: dict[int, int] = field(default_factory=lambda: {0: 1, 1: 1, 2: 1})
    tombs: dict[int, list[Tombstone]] = field(default_factory=lambda: {0: [], 1: [], 2: []})
    seq: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0, 2: 0})

    def append(self, lane: int = 2, n: int = 1, *, device: str = "d") -> Frame:
        done = self.frames[lane]
        readings = []
        for _ in range(n):
            self.seq[lane] += 1
            readings.append(
                Reading(device, "k", 1.0, "", self.seq[lane], Priority(lane), seq=self.seq[lane])
            )
        frame = make_frame(
            pack_readings(readings, lane, level=0),
            epoch=self.epoch,
            no=len(done) + 1,
            first_msg=done[-1].header.last_msg + 1 if done else 1,
            prev_hash=done[-1].hash if done else NO_HASH,
        )
        done.append(frame)
        return frame

    def last(self, lane: int) -> int:
        return len(self.frames[lane])

    def hash_of(self, lane: int, no: int) -> bytes | None:
        return self.frames[lane][no - 1].hash if 0 < no <= self.last(lane) else None

    def head(self, lane: int, no: int, key: FakeKey = GATEWAY_KEY) -> Head:
        frame = self.frames[lane][no - 1]
        head = Head(GATEWAY, TABLE, self.epoch, lane, no, frame.hash, frame.header.last_msg, 0, 7)
        return head.sign(key)

    def tomb(self, lane: int, from_no: int, to_no: int) -> Tombstone:
        first, last = self.frames[lane][from_no - 1], self.frames[lane][to_no - 1]
        n_msgs = last.header.last_msg - first.header.first_msg + 1
        return Tombstone(
            self.epoch,
            lane,
            from_no,
            to_no,
            first.header.first_msg,
            n_msgs,
            first.header.prev_hash,
            last.hash,
            1,
            7,
        )

    def batch(self, lane: int, first: int, last: int) -> bytes:
        records = [frame.encoded for frame in self.frames[lane][first - 1 : last]]
        return encode_batch([*records, self.head(lane, last).encoded])

    def batch_of(self, *parts: object) -> bytes:
        return encode_batch(part.encoded for part in parts)

    def sign_tomb(self, tomb: Tombstone) -> SignedTombstone:
        return SignedTombstone.make(tomb, GATEWAY_KEY)


@dataclass
class MemoryLedger:
    """One stream of a ground station. `copy` and assignment make transactions of it."""

    frames: dict[tuple[int, int], Frame] = field(default_factory=dict)
    tombstones: dict[tuple[int, int], Tombstone] = field(default_factory=dict)
    heads: list[Head] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)
    cums: dict[int, Cum] = field(default_factory=dict)
    receipt_no: int = 0

    def copy(self) -> "MemoryLedger":
        return MemoryLedger(
            dict(self.frames),
            dict(self.tombstones),
            list(self.heads),
            set(self.keys),
            dict(self.cums),
            self.receipt_no,
        )

    def cum(self, lane: int) -> Cum:
        return self.cums.get(lane, Cum())

    def set_cum(self, lane: int, cum: Cum) -> None:
        self.cums[lane] = cum

    def held(self, lane: int) -> RangeSet:
        found = RangeSet((no, no) for at, no in self.frames if at == lane)
        found.update((t.from_no, t.to_no) for (at, _), t in self.tombstones.items() if at == lane)
        found.remove(0, self.cum(lane).no)
        return found

    def frame_link(self, lane: int, no: int) -> Link | None:
        frame = self.frames.get((lane, no))
        if frame is None:
            return None
        return Link(no, no, frame.header.prev_hash, frame.hash, frame.header.last_msg)

    def links(self, lane: int, first: int, last: int) -> Iterator[Link]:
        found = [self.frame_link(at, no) for at, no in self.frames if at == lane]
        found += [
            Link(t.from_no, t.to_no, t.prev_hash, t.last_hash, t.first_msg + t.n_msgs - 1)
            for (at, _), t in self.tombstones.items()
            if at == lane
        ]
        yield from sorted(
            (link for link in found if link.last >= first and link.first <= last),
            key=lambda link: (link.first, -link.last),
        )

    def tombs(self, lane: int, first: int, last: int) -> Sequence[Tombstone]:
        return [
            t
            for (at, _), t in self.tombstones.items()
            if at == lane and t.to_no >= first and t.from_no <= last
        ]

    def add_frame(self, frame: Frame) -> None:
        assert (frame.header.lane, frame.header.no) not in self.frames
        self.frames[frame.header.lane, frame.header.no] = frame

    def add_tomb(self, tomb: Tombstone) -> None:
        self.tombstones[tomb.lane, tomb.from_no] = tomb

    def add_head(self, head: Head) -> None:
        self.heads.append(head)

    def add_keys(self, record: bytes) -> None:
        self.keys.add(record)


@dataclass
class Station:
    """A ground station that keeps what it committed, and can lose the rest."""

    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    known_from: dict[int, int] = field(default_factory=dict)

    def take(self, batch: bytes) -> Taken:
        trial = self.ledger.copy()
        taken = receive(
            parse_batch(batch),
            trial,
            gateway=GATEWAY,
            table=TABLE,
            epoch=EPOCH,
            key=GATEWAY_KEY,
        )
        if taken.changed:
            trial.receipt_no += 1
        self.ledger = trial
        return taken

    def receipt(self, key: FakeKey = GROUND_KEY) -> Receipt:
        lanes = {
            lane: lane_receipt(
                self.ledger.cum(lane), self.ledger.held(lane), self.known_from.get(lane, 0)
            )
            for lane in (0, 1, 2)
        }
        for lane, said in lanes.items():
            self.known_from[lane] = said.known_to + 1 if said.known_to < said.max_seen else 0
        return Receipt(GATEWAY, TABLE, EPOCH, self.ledger.receipt_no, 7, lanes).sign(key)

    def delivered(self, lane: int) -> list[int]:
        """Give the numbers of the readings up to `cum`, in order."""
        frames = sorted(no for at, no in self.ledger.frames if at == lane)
        return [
            number
            for no in frames
            if no <= self.ledger.cum(lane).no
            for number in range(
                self.ledger.frames[lane, no].header.first_msg,
                self.ledger.frames[lane, no].header.last_msg + 1,
            )
        ]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def station() -> Station:
    return Station()


@pytest.fixture
def make_writer():
    return Writer


@pytest.fixture
def make_station():
    return Station


@pytest.fixture
def fake_key():
    return FakeKey


@pytest.fixture
def ground_key() -> FakeKey:
    return GROUND_KEY
