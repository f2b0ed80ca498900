"""Reassembly: segments that arrive, acknowledgements that leave.

Bounded: `capacity` unfinished messages of at most 384 octets, the last `FINISHED_MAX`
finished ones as numbers only. A new transfer without room is answered with "none".

Source: Mesh Protocol 1.1, 3.5.3.3.3, 3.5.3.4.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from dunes.mesh.address import is_unicast
from dunes.mesh.lower import Ack, Segment, seq_auth_of
from dunes.mesh.network import NetworkPdu
from dunes.mesh.timing import SarReceiver

CAPACITY = 64
FINISHED_MAX = 256


class Whole(NamedTuple):
    """A message whose segments are all there.

    Attributes:
        pdu: the network PDU of the segment that completed it.
        segment: that segment.
        seq_auth: SEQ of segment 0.
        upper: upper transport PDU.
    """

    pdu: NetworkPdu
    segment: Segment
    seq_auth: int
    upper: bytes


class AckDue(NamedTuple):
    """An acknowledgement to send.

    Attributes:
        src: our address: the destination of the segments.
        dst: who sent them.
        ttl: 0 if the segments came with TTL 0, else None: the default.
        net_index: the subnet.
        ack: what to say.
    """

    src: int
    dst: int
    ttl: int | None
    net_index: int
    ack: Ack


class _Key(NamedTuple):
    src: int
    dst: int
    ctl: bool


class _Age(NamedTuple):
    """What orders the messages of one source: compares as a tuple."""

    iv_index: int
    seq_auth: int


@dataclass(slots=True)
class _Transfer:
    age: _Age
    like: Segment
    pdu: NetworkPdu
    parts: dict[int, bytes]
    discard_at_s: float
    ack_at_s: float | None


@dataclass(slots=True)
class _Finished:
    age: _Age
    acked: int
    quiet_until_s: float


@dataclass(slots=True)
class Reassembler:
    """All transfers on their way to us; one per source, destination and kind."""

    settings: SarReceiver = field(default_factory=SarReceiver)
    capacity: int = CAPACITY
    acks: list[AckDue] = field(default_factory=list)
    discarded: int = 0
    _open: dict[_Key, _Transfer] = field(default_factory=dict)
    _finished: dict[_Key, _Finished] = field(default_factory=dict)

    def receive(self, pdu: NetworkPdu, segment: Segment, now_s: float) -> Whole | None:
        """Take a segment; gives the message with the last missing one.

        Raises:
            BadPdu: a SeqZero that no SEQ explains.
        """
        age = _Age(pdu.iv_index, seq_auth_of(pdu.seq, segment.seq_zero))
        key = _Key(pdu.src, pdu.dst, pdu.ctl)
        done = self._finished.get(key)
        if done is not None and age <= done.age:
            if age == done.age and now_s >= done.quiet_until_s:
                done.quiet_until_s = now_s + self.settings.ack_delay_s(segment.seg_n)
                self._acknowledge(pdu, segment.seq_zero, done.acked)
            return None
        transfer = self._transfer(key, age, pdu, segment, now_s)
        if transfer is None or not _alike(transfer.like, segment):
            return None
        if segment.seg_o in transfer.parts:
            if transfer.ack_at_s is None:
                transfer.ack_at_s = now_s + self.settings.ack_delay_s(segment.seg_n)
            return None
        transfer.parts[segment.seg_o] = segment.part
        if pdu.seq > transfer.pdu.seq:
            transfer.pdu = pdu  # its SEQ goes into the replay list: the highest, not the last
        transfer.ack_at_s = now_s + self.settings.ack_delay_s(segment.seg_n)
        if len(transfer.parts) <= segment.seg_n:
            return None
        return self._finish(key, transfer, segment, now_s)

    def handle_timer(self, now_s: float) -> None:
        """Acknowledge what is due, drop what is too old."""
        for key, transfer in list(self._open.items()):
            if transfer.discard_at_s <= now_s:
                del self._open[key]
                self.discarded += 1
            elif transfer.ack_at_s is not None and transfer.ack_at_s <= now_s:
                transfer.ack_at_s = None
                self._acknowledge(transfer.pdu, transfer.like.seq_zero, _bits(transfer.parts))

    def next_timer_s(self) -> float | None:
        """Say when `handle_timer` has something to do."""
        if not self._open:
            return None
        return min(
            each.discard_at_s if each.ack_at_s is None else min(each.ack_at_s, each.discard_at_s)
            for each in self._open.values()
        )

    def take_acks(self) -> list[AckDue]:
        """Give the acknowledgements to send, once."""
        acks, self.acks = self.acks, []
        return acks

    @property
    def unfinished(self) -> int:
        """Count the transfers that are open."""
        return len(self._open)

    def _transfer(
        self, key: _Key, age: _Age, pdu: NetworkPdu, segment: Segment, now_s: float
    ) -> _Transfer | None:
        """Find the open transfer of a segment, or open one; None if there is no room."""
        known = self._open.get(key)
        if known is not None and age < known.age:
            return None
        if known is None or age > known.age:
            if known is None and len(self._open) >= self.capacity:
                self._acknowledge(pdu, segment.seq_zero, 0)
                return None
            known = _Transfer(age, segment, pdu, {}, now_s + self.settings.discard_s, None)
            self._open[key] = known
        return known

    def _finish(self, key: _Key, transfer: _Transfer, segment: Segment, now_s: float) -> Whole:
        del self._open[key]
        acked = _bits(transfer.parts)
        quiet_s = now_s + self.settings.ack_delay_s(segment.seg_n)
        self._finished.pop(key, None)
        self._finished[key] = _Finished(transfer.age, acked, quiet_s)
        if len(self._finished) > FINISHED_MAX:
            del self._finished[next(iter(self._finished))]
        self._acknowledge(transfer.pdu, segment.seq_zero, acked)
        upper = b"".join(transfer.parts[number] for number in range(segment.seg_n + 1))
        return Whole(transfer.pdu, segment, transfer.age.seq_auth, upper)

    def _acknowledge(self, pdu: NetworkPdu, seq_zero: int, acked: int) -> None:
        if is_unicast(pdu.dst) and len(self.acks) < self.capacity:
            ack = Ack(obo=False, seq_zero=seq_zero, acked=acked)
            ttl = None if pdu.ttl else 0
            self.acks.append(AckDue(pdu.dst, pdu.src, ttl, pdu.net_index, ack))


def _alike(one: Segment, other: Segment) -> bool:
    return (one.first, one.szmic, one.seg_n) == (other.first, other.szmic, other.seg_n)


def _bits(parts: dict[int, bytes]) -> int:
    return sum(1 << number for number in parts)
