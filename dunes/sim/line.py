"""One direction of a link as arithmetic: a shared serial line, then a delay.

No socket and no clock inside: `now_s` comes in, the moment of arrival goes out.
"""

from dataclasses import dataclass, field
from random import Random

BITS = 8

PACKET_BYTES = 1448
"""What a TCP segment carries over Ethernet with timestamps."""


@dataclass(slots=True)
class Line:
    """A line that all connections of one direction share.

    TCP hides loss and shows a stall instead: a piece with a lost packet arrives one
    round trip late, and what follows it on its connection waits (the slower growth
    of TCP's window after a loss is not modelled).

    Attributes:
        delay_s: from the last bit sent to its arrival.
        rate_bps: bits a second for all connections together; None: as fast as it goes.
        jitter_s: each piece arrives up to this much later, evenly distributed.
        loss: share of packets lost, 0 to 1.
        rng: the dice of jitter and loss.
        free_at_s: when the line has sent all that was given to it.
        sent_bytes: all that was ever given to it.
    """

    delay_s: float = 0.0
    rate_bps: float | None = None
    jitter_s: float = 0.0
    loss: float = 0.0
    rng: Random = field(default_factory=lambda: Random(0))  # noqa: S311 - jitter, no secret
    free_at_s: float = 0.0
    sent_bytes: int = 0

    def send(self, size_bytes: int, now_s: float) -> float:
        """Put a piece on the line and say when it arrives."""
        begin_s = max(now_s, self.free_at_s)
        seconds = size_bytes * BITS / self.rate_bps if self.rate_bps else 0.0
        self.free_at_s = begin_s + seconds
        self.sent_bytes += size_bytes
        late_s = self.rng.uniform(0.0, self.jitter_s) if self.jitter_s else 0.0
        if self.loss:
            packets = -(-size_bytes // PACKET_BYTES)
            if self.rng.random() > (1.0 - self.loss) ** packets:
                late_s += 2 * self.delay_s
        return self.free_at_s + self.delay_s + late_s

    def wait_s(self, now_s: float) -> float:
        """Say how long the line is busy from now with what it already has."""
        return max(0.0, self.free_at_s - now_s)

    def piece_bytes(self, span_s: float, most: int) -> int:
        """Say how much goes through in `span_s`, between a packet and `most` bytes."""
        if not self.rate_bps:
            return most
        return max(PACKET_BYTES, min(most, int(self.rate_bps * span_s / BITS)))
