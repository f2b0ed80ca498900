"""SEQ: numbers are reserved in blocks and stored before the first of them is sent.

After a crash sending goes on at the end of the stored block: numbers are skipped, none is
ever sent twice. When the IV index to send with rises, numbers begin at 0, in a block of
that index; nothing is sent before that block is stored.

Source: Mesh Protocol 1.1, 3.9.3; what is stored when: `dunes.mesh.state`.
"""

from dataclasses import dataclass

from dunes.mesh.address import SEQ_END

BLOCK = 1000
"""Numbers reserved at once."""


@dataclass(frozen=True, slots=True)
class SeqRecord:
    """A reservation as it is stored: numbers below `limit` may have been sent.

    Attributes:
        iv_index: the index they are sent with.
        limit: one past the last reserved number.
    """

    iv_index: int = 0
    limit: int = 0


@dataclass(slots=True)
class Sequence:
    """The counter of one device, shared by its elements.

    Attributes:
        iv_index: the index that numbers are taken for.
        next: the next number.
        limit: one past the last that may be used: stored.
        asked: the limit that somebody is storing.
    """

    iv_index: int = 0
    next: int = 0
    limit: int = 0
    asked: int = 0
    block: int = BLOCK

    @classmethod
    def restore(cls, record: SeqRecord, iv_index: int, block: int = BLOCK) -> "Sequence":
        """Go on behind everything that may have been sent.

        Args:
            record: as stored last.
            iv_index: the index to send with now.
            block: numbers to reserve at once.
        """
        begin = record.limit if record.iv_index >= iv_index else 0
        return cls(max(iv_index, record.iv_index), begin, begin, begin, block)

    def take(self) -> int | None:
        """Take the next number; None while no reserved one is left."""
        if self.next >= self.limit:
            return None
        self.next += 1
        return self.next - 1

    @property
    def usable(self) -> int:
        """Count the stored numbers that are left."""
        return self.limit - self.next

    @property
    def left(self) -> int:
        """Count the numbers until the end of all."""
        return SEQ_END - self.next

    def reservation(self) -> SeqRecord | None:
        """Say what has to be stored next; None if nothing has."""
        if self.asked - self.next > self.block // 2 or self.asked >= SEQ_END:
            return None
        self.asked = min(max(self.asked, self.next) + self.block, SEQ_END)
        return SeqRecord(self.iv_index, self.asked)

    def stored(self, record: SeqRecord) -> None:
        """Use numbers up to a limit that is stored now."""
        if record.iv_index == self.iv_index:
            self.limit = max(self.limit, record.limit)

    def restart(self, iv_index: int) -> bool:
        """Begin at 0 if the index to send with rose; say whether."""
        if iv_index <= self.iv_index:
            return False
        self.iv_index, self.next, self.limit, self.asked = iv_index, 0, 0, 0
        return True
