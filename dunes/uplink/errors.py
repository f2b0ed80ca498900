"""What the uplink refuses, each with its own reason.

::

    DunesError
    └── PeerError
        ├── OtherKey       76   other-key: signed by another key than the enrolled one
        ├── BadRecord      76   bad-record: the n-th record of a batch is not what it should be
        ├── Unvouched      76   unvouched: no signed head vouches for a frame
        ├── Conflict       76   conflict: two different frames with one number
        ├── BadReceipt     76   bad-receipt: an acknowledgement that cannot be true
        │   └── OtherHistory     it contradicts our lane: a lie, or our store was set back
        └── GroundWentBack 76   ground-went-back: it lost what it had acknowledged
"""

from dunes.errors import PeerError


class OtherKey(PeerError):
    """A gateway signs with another key than the one it is enrolled with."""

    code = "other-key"

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            hint="at the ground station: mcp ground-station enroll NAME --key FILE --replace",
        )


class BadRecord(PeerError):
    """A record of a batch is not what it should be.

    Args:
        index: its place in the batch, from 0.
        why: what is wrong with it.
    """

    code = "bad-record"

    def __init__(self, index: int, why: str) -> None:
        super().__init__(f"record {index} of the batch: {why}")
        self.index = index
        self.why = why


class Unvouched(BadRecord):
    """No head signed by the gateway vouches for a frame."""

    code = "unvouched"


class Conflict(PeerError):
    """A frame arrived under a number that holds another one, both signed for.

    Args:
        lane: its lane.
        no: its number.
    """

    code = "conflict"

    def __init__(self, lane: int, no: int) -> None:
        super().__init__(
            f"frame {no} of lane {lane} differs from the one that is stored under that number: "
            "a second gateway has this identity, or the gateway's store was set back",
            hint="dunes keygen on the copy, so that each gateway signs for itself",
        )
        self.lane = lane
        self.no = no


class BadReceipt(PeerError):
    """An acknowledgement that cannot be true; nothing is deleted on its word."""

    code = "bad-receipt"


class OtherHistory(BadReceipt):
    """A receipt that contradicts our own lane.

    Either the ground station lies, or our store was set back to an older state: the
    heads that we signed, which the ground station keeps, tell which.

    Args:
        message: what contradicts what.
        epoch: the stream's.
        lane: the lane.
        cum: what the receipt acknowledges.
    """

    def __init__(self, message: str, epoch: bytes, lane: int, cum: int) -> None:
        super().__init__(message, hint="nothing was deleted; dunes check-buffer")
        self.epoch = epoch
        self.lane = lane
        self.cum = cum


class GroundWentBack(PeerError):
    """The ground station does not know any more what it had acknowledged."""

    code = "ground-went-back"
