"""Segmented sending: pace, wait for acknowledgements, repeat what is missing.

One transfer per destination at a time; the next waits. Groups get passes instead, as
nobody acknowledges.

Source: Mesh Protocol 1.1, 3.5.3.3.1, 3.5.3.3.2.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from dunes.mesh.address import is_unicast
from dunes.mesh.lower import SEQ_ZERO_MASK, Ack, Segment
from dunes.mesh.timing import SarTransmitter


class Fate(Enum):
    """How a transfer ended."""

    DELIVERED = auto()
    """Every segment is acknowledged; to a group: every pass was sent."""
    SILENT = auto()
    """Nobody acknowledged the rest."""
    REFUSED = auto()
    """The receiver acknowledged none: it has no room."""
    TOO_OLD = auto()
    """SEQ ran 8192 ahead of the first segment's, or the IV index moved on."""


@dataclass(slots=True)
class Transfer:
    """One segmented message under way.

    Attributes:
        handle: the sender's name for it.
        dst: destination.
        ttl: TTL of its segments.
        iv_index: all segments are sent with this one.
        seq_auth: SEQ of segment 0.
        segments: all of them.
    """

    handle: int
    src: int
    dst: int
    ttl: int
    net_index: int
    iv_index: int
    seq_auth: int
    segments: list[Segment]
    missing: set[int] = field(init=False)
    to_send: list[int] = field(init=False)
    next_at_s: float = 0.0
    tries_left: int = 0
    tries_without_progress_left: int = 0

    def __post_init__(self) -> None:
        """Begin with every segment."""
        self.missing = set(range(len(self.segments)))
        self.to_send = sorted(self.missing)


@dataclass(slots=True)
class Transfers:
    """All segmented messages under way."""

    settings: SarTransmitter = field(default_factory=SarTransmitter)
    active: dict[int, Transfer] = field(default_factory=dict)
    ended: list[tuple[Transfer, Fate]] = field(default_factory=list)

    def busy(self, dst: int) -> bool:
        """Say whether a transfer to an address is under way."""
        return dst in self.active

    def begin(self, transfer: Transfer, now_s: float) -> Segment:
        """Start a transfer; gives its first segment, which goes out at once with `seq_auth`."""
        settings = self.settings
        unicast = is_unicast(transfer.dst)
        tries = settings.unicast_tries if unicast else settings.multicast_passes
        transfer.tries_left = tries - 1
        transfer.tries_without_progress_left = settings.unicast_tries_without_progress - 1
        self.active[transfer.dst] = transfer
        number = transfer.to_send.pop(0)
        transfer.next_at_s = now_s + self._pause_s(transfer)
        return transfer.segments[number]

    def next_segment(self, now_s: float, seq: int) -> tuple[Transfer, Segment] | None:
        """Give a segment that is due, the longest due first; the caller sends it with `seq`."""
        for transfer in sorted(self.active.values(), key=lambda each: each.next_at_s):
            if transfer.next_at_s > now_s:
                return None
            if not transfer.to_send and not self._again(transfer):
                continue
            if seq - transfer.seq_auth > SEQ_ZERO_MASK:
                self._end(transfer, Fate.TOO_OLD)
                continue
            number = transfer.to_send.pop(0)
            transfer.next_at_s = now_s + self._pause_s(transfer)
            return transfer, transfer.segments[number]
        return None

    def receive_ack(self, src: int, dst: int, ack: Ack, now_s: float) -> bool:
        """Take an acknowledgement; say whether it belongs to a transfer of ours."""
        for transfer in self._candidates(src, ack):
            if transfer.src != dst or transfer.seq_auth & SEQ_ZERO_MASK != ack.seq_zero:
                continue
            self._take(transfer, ack, now_s)
            return True
        return False

    def _candidates(self, src: int, ack: Ack) -> list[Transfer]:
        if ack.obo:
            return [each for each in self.active.values() if is_unicast(each.dst)]
        return [self.active[src]] if src in self.active else []

    def _take(self, transfer: Transfer, ack: Ack, now_s: float) -> None:
        if not ack.acked:
            self._end(transfer, Fate.REFUSED)
            return
        left = {number for number in transfer.missing if not ack.acked >> number & 1}
        if left == transfer.missing:
            return
        transfer.missing = left
        if not left:
            self._end(transfer, Fate.DELIVERED)
            return
        waiting = not transfer.to_send
        transfer.to_send = [number for number in transfer.to_send if number in left]
        transfer.tries_without_progress_left = self.settings.unicast_tries_without_progress
        if waiting or not transfer.to_send:
            transfer.next_at_s = now_s

    def next_timer_s(self) -> float | None:
        """Say when a segment is due."""
        return min((each.next_at_s for each in self.active.values()), default=None)

    def take_ended(self) -> list[tuple[Transfer, Fate]]:
        """Give the transfers that ended, once."""
        ended, self.ended = self.ended, []
        return ended

    def abandon(self, iv_index: int) -> None:
        """End the transfers that were begun with an older IV index."""
        for transfer in list(self.active.values()):
            if transfer.iv_index != iv_index:
                self._end(transfer, Fate.TOO_OLD)

    def _pause_s(self, transfer: Transfer) -> float:
        """Say how long to wait after a segment: for the next one, or for an answer."""
        if transfer.to_send:
            return self.settings.segment_interval_s
        if is_unicast(transfer.dst):
            return self.settings.retry_s(transfer.ttl)
        return self.settings.multicast_pause_s if transfer.tries_left else 0.0

    def _again(self, transfer: Transfer) -> bool:
        """Begin the next pass over what is missing; False if that was the last."""
        unicast = is_unicast(transfer.dst)
        if not transfer.tries_left or (unicast and not transfer.tries_without_progress_left):
            self._end(transfer, Fate.SILENT if unicast else Fate.DELIVERED)
            return False
        transfer.tries_left -= 1
        transfer.tries_without_progress_left -= 1
        transfer.to_send = sorted(transfer.missing)
        return True

    def _end(self, transfer: Transfer, fate: Fate) -> None:
        if self.active.pop(transfer.dst, None) is not None:
            self.ended.append((transfer, fate))
