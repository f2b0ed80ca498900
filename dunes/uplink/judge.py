"""Is this receipt true? What a gateway checks before it believes one. Pure.

Nothing is deleted on the word of a receipt that fails here.
"""

from collections.abc import Mapping
from typing import Protocol

from dunes.uplink.errors import OtherHistory
from dunes.uplink.receipt import Receipt


class Written(Protocol):
    """What the judge needs to know of a lane: the newest number we wrote."""

    @property
    def last(self) -> int:
        """The newest frame's number."""
        ...


def judge_receipt(
    receipt: Receipt, lanes: Mapping[int, Written], own_hashes: Mapping[int, bytes | None]
) -> None:
    """Return if the receipt can be true of our lanes.

    Args:
        receipt: its signature was verified.
        lanes: our lanes.
        own_hashes: by lane, our hash of the receipt's frame `cum`; None where we
            deleted that frame long ago, so that nothing hangs on it.

    Raises:
        OtherHistory: it acknowledges what we never wrote, or names another hash.
    """
    for number, said in receipt.lanes.items():
        lane = lanes.get(number)
        last = 0 if lane is None else lane.last
        if max(said.cum, said.max_seen) > last:
            raise OtherHistory(
                f"the ground station has frame {max(said.cum, said.max_seen)} of lane {number}, "
                f"but only {last} were ever written here",
                receipt.epoch,
                number,
                said.cum,
            )
        own = own_hashes.get(number)
        if said.cum and own is not None and own != said.cum_hash:
            raise OtherHistory(
                f"the ground station acknowledges frame {said.cum} of lane {number} with hash "
                f"{said.cum_hash.hex()[:12]}, but ours is {own.hex()[:12]}",
                receipt.epoch,
                number,
                said.cum,
            )
