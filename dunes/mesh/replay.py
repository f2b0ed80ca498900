"""The replay list: the last (IV index, SEQ) of each source.

Checked when a PDU arrives, written only when its message was authentic and accepted.

Source: Mesh Protocol 1.1, 3.9.8.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dunes.mesh.errors import Replayed


@dataclass(frozen=True, slots=True)
class ReplayEntry:
    """The last that was accepted of a source, as it is stored."""

    src: int
    iv_index: int
    seq: int


@dataclass(slots=True)
class ReplayList:
    """What was seen; at most `capacity` sources (the CRPL of a composition)."""

    capacity: int
    last: dict[int, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def restore(cls, capacity: int, entries: Iterable[ReplayEntry]) -> "ReplayList":
        """Go on from stored entries; a longer store than `capacity` is kept whole."""
        return cls(capacity, {each.src: (each.iv_index, each.seq) for each in entries})

    @property
    def entries(self) -> tuple[ReplayEntry, ...]:
        """Give what is stored."""
        return tuple(ReplayEntry(src, *seen) for src, seen in self.last.items())

    def check(self, src: int, iv_index: int, seq: int) -> None:
        """Refuse what is not newer than the last of its source.

        Raises:
            Replayed: seen before, or a new source and the list is full.
        """
        seen = self.last.get(src)
        if seen is None:
            if len(self.last) >= self.capacity:
                raise Replayed(
                    f"the replay list is full: nothing from {src:#06x} can be accepted",
                    code="mesh-replay-full",
                )
        elif (iv_index, seq) <= seen:
            raise Replayed(f"SEQ {seq} of {src:#06x} is not newer than {seen[1]}")

    def accept(self, src: int, iv_index: int, seq: int) -> ReplayEntry:
        """Write what was accepted; never goes back."""
        newest = max((iv_index, seq), self.last.get(src, (0, 0)))
        self.last[src] = newest
        return ReplayEntry(src, *newest)

    def purge(self, iv_index: int) -> None:
        """Forget what can no longer be received: IV indexes before `iv_index - 1`."""
        self.last = {src: seen for src, seen in self.last.items() if seen[0] >= iv_index - 1}
