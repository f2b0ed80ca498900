"""The ground station's side: what to store, what to refuse, how far it is complete. Sans-IO.

A frame is stored only when a head that its gateway signed vouches for it: the head
names its hash, or the frame above it does, which is itself vouched for. So nothing
forged or damaged ever takes a number that the real frame needs.

    parse -> heads and tombstones verified -> each frame vouched for, from the top down
          -> compared with what is stored: new, duplicate, or conflict
          -> stored -> the lane's `cum` advanced

A batch is taken as a whole or not at all. `Ledger` is one stream within one
transaction: the ground station's database, or a dictionary in a test.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from dunes.buffer.frame import Frame
from dunes.buffer.frameheader import NO_HASH
from dunes.buffer.records import Head, Tombstone, Verifier
from dunes.crypto.errors import BadSignature
from dunes.errors import PeerError
from dunes.uplink.errors import BadRecord, Conflict, OtherKey, Unvouched
from dunes.uplink.protocol import GAPS_MAX, Ask, KeyRecordBytes, Record, SignedTombstone
from dunes.uplink.rangeset import RangeSet
from dunes.uplink.receipt import LaneReceipt


class Link(NamedTuple):
    """A stored frame, or tombstone, as a piece of the chain."""

    first: int
    last: int
    prev_hash: bytes
    hash: bytes
    last_msg: int
    """Number of its last reading."""


class Cum(NamedTuple):
    """How far a lane is complete: its last frame, that one's hash, its last reading."""

    no: int = 0
    hash: bytes = NO_HASH
    msg: int = 0


class Ledger(Protocol):
    """One stream of the ground station's store, within one transaction."""

    def cum(self, lane: int) -> Cum:
        """Say how far the lane is complete."""
        ...

    def set_cum(self, lane: int, cum: Cum) -> None:
        """Say how far it is complete now."""
        ...

    def held(self, lane: int) -> RangeSet:
        """Give the numbers above `cum` that are stored, tombstones included."""
        ...

    def frame_link(self, lane: int, no: int) -> Link | None:
        """Give a stored frame's place in the chain."""
        ...

    def links(self, lane: int, first: int, last: int) -> Iterator[Link]:
        """Give frames and tombstones that touch a range: by `first`, the longest before."""
        ...

    def tombs(self, lane: int, first: int, last: int) -> Sequence[Tombstone]:
        """Give the tombstones that touch a range."""
        ...

    def add_frame(self, frame: Frame) -> None:
        """Store a frame."""
        ...

    def add_tomb(self, tomb: Tombstone) -> None:
        """Store a tombstone, in place of those that it covers."""
        ...

    def add_head(self, head: Head) -> None:
        """Store a head."""
        ...

    def add_keys(self, record: bytes) -> None:
        """Store a key record, if it is not there."""
        ...


@dataclass(slots=True)
class Taken:
    """What became of a batch.

    Attributes:
        frames: stored now.
        readings: in those.
        duplicates: frames that were here before.
        tombs: tombstones stored now.
        asked: it holds a question.
        lanes: what it touched.
    """

    frames: int = 0
    readings: int = 0
    duplicates: int = 0
    tombs: int = 0
    asked: bool = False
    lanes: set[int] = field(default_factory=set)

    @property
    def changed(self) -> bool:
        """Whether anything was stored."""
        return bool(self.frames or self.tombs)


@dataclass(slots=True)
class _Sorted:
    """A batch by kinds; each record with its index."""

    frames: dict[int, list[tuple[int, Frame]]] = field(default_factory=dict)
    tombs: dict[int, list[tuple[int, Tombstone]]] = field(default_factory=dict)
    heads: list[Head] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    asked: bool = False


def receive(
    records: Sequence[Record],
    ledger: Ledger,
    *,
    gateway: str,
    table: str,
    epoch: bytes,
    key: Verifier,
) -> Taken:
    """Take a batch of one stream.

    Args:
        records: as `parse_batch` gave them.
        ledger: the stream, within a transaction; undone by the caller if this raises.
        gateway: who sent it, authenticated.
        table: which of its tables.
        epoch: which stream of the table.
        key: the gateway's enrolled key.

    Raises:
        BadRecord: the batch is refused, with the index of the record that is at fault.
        Unvouched: no signed head vouches for a frame.
        Conflict: another frame is stored under its number.
    """
    batch = _sort(records, gateway, table, epoch, key)
    taken = Taken(asked=batch.asked)
    vouched = {(head.lane, head.no): head.frame_hash for head in batch.heads}
    for record in batch.keys:
        ledger.add_keys(record)
    for lane in sorted(batch.frames.keys() | batch.tombs.keys()):
        _take_lane(lane, batch, vouched, ledger, taken)
        taken.lanes.add(lane)
        _advance(lane, ledger)
    for head in batch.heads:
        _check_head(head, ledger)
        ledger.add_head(head)
    return taken


def _sort(
    records: Sequence[Record], gateway: str, table: str, epoch: bytes, key: Verifier
) -> _Sorted:
    """Check each record on its own: the right stream, a good signature."""
    batch = _Sorted()
    for index, record in enumerate(records):
        match record:
            case Frame():
                _same(index, record.header.epoch, epoch)
                batch.frames.setdefault(record.header.lane, []).append((index, record))
            case Head():
                _same(index, record.epoch, epoch)
                if (record.gateway, record.table) != (gateway, table):
                    raise BadRecord(index, f"a head of {record.gateway}/{record.table}")
                _signed(index, record, key)
                batch.heads.append(record)
            case SignedTombstone():
                _same(index, record.tombstone.epoch, epoch)
                _signed(index, record, key)
                tomb = record.tombstone
                batch.tombs.setdefault(tomb.lane, []).append((index, tomb))
            case KeyRecordBytes():
                batch.keys.append(record.encoded)
            case Ask():
                _same(index, record.epoch, epoch)
                batch.asked = True
    return batch


def _same(index: int, given: bytes, epoch: bytes) -> None:
    if given != epoch:
        raise BadRecord(index, f"epoch {given.hex()[:8]} in a batch of {epoch.hex()[:8]}")


def _signed(index: int, record: Head | SignedTombstone, key: Verifier) -> None:
    if isinstance(record, Head) and record.kid != key.kid:
        raise OtherKey(f"signed by key {record.kid}; the enrolled key is {key.kid}")
    try:
        record.verify(key)
    except (BadSignature, PeerError) as e:
        raise BadRecord(index, e.message) from e


def _take_lane(
    lane: int,
    batch: _Sorted,
    vouched: dict[tuple[int, int], bytes],
    ledger: Ledger,
    taken: Taken,
) -> None:
    """Store a batch's frames and tombstones of one lane, from the top down."""
    pieces: list[tuple[int, int, Frame | Tombstone]] = [
        (frame.header.no, index, frame) for index, frame in batch.frames.get(lane, [])
    ]
    pieces += [(tomb.to_no, index, tomb) for index, tomb in batch.tombs.get(lane, [])]
    for no, index, piece in sorted(pieces, key=lambda p: (-p[0], p[1])):
        if isinstance(piece, Frame):
            expected = vouched.get((lane, no)) or _expected(lane, no, ledger)
            if expected is None:
                raise Unvouched(index, f"no signed head vouches for frame {no} of lane {lane}")
            if expected != piece.hash:
                raise BadRecord(index, f"frame {no} of lane {lane} is not the one vouched for")
            _take_frame(lane, piece, ledger, taken)
            vouched.setdefault((lane, no - 1), piece.header.prev_hash)
        else:
            _take_tomb(lane, piece, ledger, taken)
            vouched.setdefault((lane, piece.to_no), piece.last_hash)
            vouched.setdefault((lane, piece.from_no - 1), piece.prev_hash)


def _expected(lane: int, no: int, ledger: Ledger) -> bytes | None:
    """Say which hash the store expects of a frame, if it knows."""
    own = ledger.frame_link(lane, no)
    if own is not None:
        return own.hash
    above = ledger.frame_link(lane, no + 1)
    if above is not None:
        return above.prev_hash
    return None


def _take_frame(lane: int, frame: Frame, ledger: Ledger, taken: Taken) -> None:
    """Store one vouched frame, unless it is here; data beat a tombstone."""
    header = frame.header
    stored = ledger.frame_link(lane, header.no)
    if stored is not None:
        if stored.hash != frame.hash:
            raise Conflict(lane, header.no)
        taken.duplicates += 1
        return
    _check_neighbours(lane, header.no, header.no, header.prev_hash, frame.hash, ledger)
    ledger.add_frame(frame)
    taken.frames += 1
    taken.readings += header.n


def _take_tomb(lane: int, tomb: Tombstone, ledger: Ledger, taken: Taken) -> None:
    """Store a tombstone, unless one says as much; a gateway that drops more extends it."""
    for old in ledger.tombs(lane, tomb.from_no, tomb.to_no):
        same_first, same_last = old.from_no == tomb.from_no, old.to_no == tomb.to_no
        if same_first and old.prev_hash != tomb.prev_hash:
            raise Conflict(lane, tomb.from_no)
        if same_last and old.last_hash != tomb.last_hash:
            raise Conflict(lane, tomb.to_no)
        if old.from_no <= tomb.from_no and tomb.to_no <= old.to_no:
            taken.duplicates += 1
            return
    _check_neighbours(lane, tomb.from_no, tomb.to_no, tomb.prev_hash, tomb.last_hash, ledger)
    ledger.add_tomb(tomb)
    taken.tombs += 1


def _check_neighbours(
    lane: int,
    first: int,
    last: int,
    prev_hash: bytes,
    own_hash: bytes,
    ledger: Ledger,
) -> None:
    """Refuse what does not join the chain that is stored around it."""
    cum = ledger.cum(lane)
    below = cum.hash if cum.no == first - 1 else None
    if below is None and (link := ledger.frame_link(lane, first - 1)) is not None:
        below = link.hash
    if first == 1:
        below = NO_HASH
    if below is not None and below != prev_hash:
        raise Conflict(lane, first)
    above = ledger.frame_link(lane, last + 1)
    if above is not None and above.prev_hash != own_hash:
        raise Conflict(lane, last)


def _check_head(head: Head, ledger: Ledger) -> None:
    """Refuse a head that contradicts the frame which is stored under its number."""
    cum = ledger.cum(head.lane)
    own = cum.hash if cum.no == head.no else None
    if own is None and (link := ledger.frame_link(head.lane, head.no)) is not None:
        own = link.hash
    if own is not None and own != head.frame_hash:
        raise Conflict(head.lane, head.no)


def _advance(lane: int, ledger: Ledger) -> None:
    """Move `cum` on as far as the chain goes without a hole."""
    cum = ledger.cum(lane)
    start = cum
    end = next((b for a, b in ledger.held(lane).within(cum.no + 1, 2**63) if a == cum.no + 1), 0)
    for link in ledger.links(lane, cum.no + 1, end):
        if link.first > cum.no + 1:
            break
        if link.last <= cum.no:
            continue
        if link.first == cum.no + 1 and link.prev_hash != cum.hash:
            raise Conflict(lane, link.first)
        cum = Cum(link.last, link.hash, link.last_msg)
    if cum != start:
        ledger.set_cum(lane, cum)


def lane_receipt(cum: Cum, held: RangeSet, known_from: int = 0) -> LaneReceipt:
    """Say what is held of a lane, in a receipt's words.

    Args:
        cum: how far it is complete.
        held: what is stored above.
        known_from: where the list of gaps is to begin; the next one begins where this
            one ends, so that any number of gaps is told in time.
    """
    max_seen = max(cum.no, held.last or 0)
    first = max(cum.no + 1, known_from)
    if first > max_seen:
        first = cum.no + 1
    gaps: list[tuple[int, int]] = []
    known_to = max_seen
    for gap in held.gaps(first, max_seen):
        if len(gaps) == GAPS_MAX:
            known_to = gap[0] - 1
            break
        gaps.append(gap)
    return LaneReceipt(cum.no, cum.msg, cum.hash, max_seen, first, known_to, tuple(gaps))
