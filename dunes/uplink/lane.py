"""One lane on its way to one destination: what was sent, what has to be sent again. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dunes.uplink.rangeset import RangeSet
from dunes.uplink.receipt import LaneReceipt


@dataclass(slots=True)
class Lane:
    """The sender's memory of a lane. What is sent is memory; what is acknowledged is disk.

    Attributes:
        epoch: 16 bytes, its stream's.
        number: the priority.
        last: the newest frame's number.
        cum: acknowledged by the destination: all up to here.
        high: all up to here was sent at least once since the start.
        redo: sent, lost, to be sent again.
        missing: what the newest receipt does not have.
        seen: the highest number that the newest receipt has.
        stuck: damaged here; not sent before somebody repairs the buffer.
    """

    epoch: bytes
    number: int
    last: int = 0
    cum: int = 0
    high: int = 0
    redo: RangeSet = field(default_factory=RangeSet)
    missing: RangeSet = field(default_factory=RangeSet)
    seen: int = 0
    stuck: RangeSet = field(default_factory=RangeSet)

    @property
    def waiting(self) -> int:
        """How many frames are to be sent now."""
        top = max(self.high, self.cum)
        stuck = sum(b - a + 1 for a, b in self.stuck.within(top + 1, self.last))
        return self.redo.count() + max(0, self.last - top) - stuck

    @property
    def drained(self) -> bool:
        """Whether everything is acknowledged."""
        return self.cum >= self.last

    @property
    def missing_sent(self) -> bool:
        """Whether the destination lacks something that can be sent again."""
        lacking = RangeSet(self.missing.within(self.cum + 1, self.high))
        lacking.add(max(self.seen, self.cum) + 1, self.high)
        lacking.remove_all(self.stuck)
        return bool(lacking)

    def take(self, most: int) -> tuple[int, int, bool] | None:
        """Take the lowest numbers that are to be sent, as one range.

        Args:
            most: how many at most.

        Returns:
            First, last, and whether they were sent before; None if there is nothing.
        """
        if self.redo.first is not None:
            first, end = next(iter(self.redo))
            last = min(end, first + most - 1)
            self.redo.remove(first, last)
            return first, last, True
        for first, end in self.stuck.gaps(max(self.high, self.cum) + 1, self.last):
            self.high = min(end, first + most - 1)
            return first, self.high, False
        return None

    def skip(self, no: int) -> None:
        """Leave a frame out that cannot be sent."""
        self.stuck.add(no, no)
        self.redo.remove(no, no)

    def put_back(self, first: int, last: int) -> None:
        """Remember that a range did not arrive."""
        self.redo.add(max(first, self.cum + 1), last)
        self.redo.remove_all(self.stuck)

    def acknowledged(self, said: LaneReceipt) -> None:
        """Take over what a newer receipt says, but for what is under way (`settle`)."""
        if said.cum > self.cum:
            self.cum = said.cum
            self.high = max(self.high, self.cum)
            self.redo.remove(0, self.cum)
            self.missing.remove(0, self.cum)
        self.seen = max(said.max_seen, said.cum)
        self.missing.remove(said.known_from, said.known_to)
        self.missing.update(said.gaps)
        if said.known_from <= max(self.high, self.cum) + 1:
            self.high = max(self.high, said.known_to)  # sent before we restarted
        # what arrived although its answer was lost need not go again
        self.redo.remove_all(RangeSet(said.gaps).gaps(said.known_from, said.known_to))

    def absent(self, first: int, last: int) -> list[tuple[int, int]]:
        """Give what the newest receipt, which must know, does not have of a range."""
        gone = RangeSet(self.missing.within(first, last))
        gone.add(max(first, self.seen + 1), last)
        gone.remove(0, self.cum)
        return list(gone)

    def settle(self, flying: Iterable[tuple[int, int]]) -> None:
        """Order again what is missing, was sent, and is not under way."""
        lost = RangeSet(
            (first, min(last, self.high)) for first, last in self.missing if first <= self.high
        )
        lost.remove_all(flying)
        lost.remove_all(self.stuck)
        self.redo.update(lost)

    def forget(self) -> None:
        """Begin anew above what is acknowledged, as after a restart."""
        self.high = self.cum
        self.redo = RangeSet()
        self.missing = RangeSet()
