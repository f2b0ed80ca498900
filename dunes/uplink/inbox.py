"""Receipts into a gateway's buffer: verified, judged by the sender, then acted upon."""

from collections.abc import Collection
from dataclasses import dataclass

from dunes.buffer.ack import AckedLane, Applied, apply_receipt
from dunes.buffer.read import chain_point
from dunes.buffer.records import Verifier
from dunes.buffer.store import Buffer, Stream
from dunes.crypto.errors import BadSignature
from dunes.uplink.errors import BadReceipt
from dunes.uplink.protocol import LANES
from dunes.uplink.receipt import Receipt, parse_receipt


@dataclass(frozen=True, slots=True)
class Inbox:
    """Takes receipts of one destination.

    Attributes:
        buffer: the gateway's.
        destination: the name under which receipts are kept.
        key: the ground station's, enrolled here.
        destinations: all that are to have the data before it is deleted.
    """

    buffer: Buffer
    destination: str
    key: Verifier
    destinations: Collection[str] = ()

    def read(self, encoded: bytes, stream: Stream) -> Receipt:
        """Read and verify a receipt.

        Raises:
            BadReceipt: none, of another stream, or not signed by the ground station.
        """
        receipt = parse_receipt(encoded)
        if (receipt.gateway, receipt.table, receipt.epoch) != (
            stream.gateway,
            stream.table,
            stream.epoch,
        ):
            raise BadReceipt(f"a receipt for {receipt.gateway}/{receipt.table} came in answer")
        try:
            receipt.verify(self.key)
        except BadSignature as e:
            raise BadReceipt(
                f"the receipt's signature is not the ground station's: {e.message}",
                hint="nothing was deleted; compare mcp ground-station status with the profile",
            ) from e
        return receipt

    def own_hashes(self, receipt: Receipt, stream: Stream) -> dict[int, bytes | None]:
        """Give our own hashes of the frames that a receipt acknowledges."""
        found: dict[int, bytes | None] = {}
        with self.buffer.reading() as connection:
            for number, said in receipt.lanes.items():
                lane = self.buffer.lane(connection, stream.id, number)
                point = chain_point(connection, lane, said.cum)
                found[number] = None if point is None else bytes(point[0])
        return found

    def apply(self, receipt: Receipt, stream: Stream) -> Applied:
        """Keep a receipt, and delete what all destinations have."""
        acked = [
            AckedLane(number, said.cum, said.cum_hash)
            for number, said in sorted(receipt.lanes.items())
            if number in LANES
        ]
        return apply_receipt(
            self.buffer,
            stream,
            self.destination,
            receipt.receipt_no,
            acked,
            receipt.encoded,
            self.destinations,
        )
