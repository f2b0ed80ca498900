"""Ways to carry batches to a ground station and receipts back."""

from typing import Any, Protocol

from dunes.errors import PeerError, TryLater


class NoAnswer(TryLater):
    """Nothing came back: no connection, a timeout, a connection that broke."""

    code = "link-down"


class Busy(TryLater):
    """The ground station is there and cannot take more now.

    Args:
        message: what it said.
        retry_after_s: when it may be asked again, if it said so.
    """

    code = "ground-busy"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint="the batch stays queued; mcp sync tries again")
        self.retry_after_s = retry_after_s


class TooLarge(PeerError):
    """The ground station takes smaller batches only.

    Args:
        limit_bytes: how large at most.
    """

    code = "too-large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the ground station takes batches of at most {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class NoGroundStation(PeerError):
    """Something answers, and it is not a ground station of ours."""

    code = "not-a-ground-station"


class Carrier(Protocol):
    """Carries a batch of records to the ground station, and its answer back.

    All sizes in bytes, all times in seconds.
    """

    async def post(
        self, gateway: str, table: str, epoch: bytes, batch: bytes, *, alert: bool = False
    ) -> bytes:
        """Carry a batch; give the encoded receipt. One of alerts waits for no other.

        Raises:
            NoAnswer, Busy: try again later.
            TooLarge: try again with less.
            Conflict: the ground station knows another history.
            Denied: it will not have this gateway.
            PeerError: the answer is not a ground station's.
        """
        ...

    async def ask(self, gateway: str, table: str, epoch: bytes) -> bytes:
        """Ask what the ground station holds of a stream; give the encoded receipt."""
        ...

    async def heads(self, gateway: str, table: str) -> Any:
        """Ask which streams and heads the ground station holds (its JSON)."""
        ...

    async def hashes(
        self, gateway: str, table: str, epoch: bytes, lane: int, after_no: int
    ) -> list[tuple[int, bytes]]:
        """Ask for the hashes of its frames after a number, some thousands at a time."""
        ...

    async def aclose(self) -> None:
        """End all connections."""
        ...
