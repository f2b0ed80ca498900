"""How segments are paced, repeated and acknowledged.

The defaults are those of the SAR Transmitter and SAR Receiver states.

Source: Mesh Protocol 1.1, 4.2.48, 4.2.49.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SarTransmitter:
    """The sender's side.

    Attributes:
        segment_interval_s: between two segments.
        unicast_tries: transmissions of a segment at most.
        unicast_tries_without_progress: the same, counted anew with each progress.
        unicast_retry_s: from the last segment to the next try.
        unicast_retry_hop_s: more of it for each hop (TTL - 1).
        multicast_passes: transmissions to a group; nobody acknowledges.
        multicast_pause_s: between them.
    """

    segment_interval_s: float = 0.060
    unicast_tries: int = 3
    unicast_tries_without_progress: int = 3
    unicast_retry_s: float = 0.200
    unicast_retry_hop_s: float = 0.050
    multicast_passes: int = 3
    multicast_pause_s: float = 0.250

    def retry_s(self, ttl: int) -> float:
        """Say how long to wait for an acknowledgement."""
        return self.unicast_retry_s + self.unicast_retry_hop_s * max(ttl - 1, 0)


@dataclass(frozen=True, slots=True)
class SarReceiver:
    """The receiver's side.

    Attributes:
        ack_delay_segments: the acknowledgement waits for that many segment intervals.
        segment_interval_s: the sender's, as we suppose it.
        discard_s: an unfinished message is dropped after that.
    """

    ack_delay_segments: float = 2.5
    segment_interval_s: float = 0.060
    discard_s: float = 10.0

    def ack_delay_s(self, seg_n: int) -> float:
        """Say how long after the last new segment to acknowledge."""
        return min(seg_n + 0.5, self.ack_delay_segments) * self.segment_interval_s


@dataclass(frozen=True, slots=True)
class Timing:
    """Both sides."""

    transmitter: SarTransmitter = SarTransmitter()
    receiver: SarReceiver = SarReceiver()
