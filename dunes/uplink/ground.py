"""The ground station's store: a batch in, one transaction, then the receipt.

What is acknowledged is on the disk: COMMIT first, the answer after it. One writer at
a time; every method may wait for the disk, so call them from a thread.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, bindparam, insert, select, update

from dunes.buffer import schema
from dunes.buffer.frame import Frame
from dunes.buffer.heads import stored_heads
from dunes.buffer.quota import live_bytes
from dunes.buffer.records import Head, Signer
from dunes.buffer.statements import Prepared
from dunes.buffer.store import DEFAULT_CAP_BYTES, Buffer, Stream
from dunes.clock import SYSTEM_CLOCK, Clock
from dunes.crypto.signing import VerifyKey
from dunes.errors import NotFound, StorageFull
from dunes.paths import write_atomic
from dunes.uplink.enroll import Enrolled
from dunes.uplink.errors import Conflict
from dunes.uplink.grounddir import REJECTED, ground_buffer, station_identity
from dunes.uplink.ledger import SqlLedger
from dunes.uplink.protocol import LANES, Record, encode_batch, parse_batch
from dunes.uplink.rangeset import RangeSet
from dunes.uplink.receipt import LaneReceipt, Receipt
from dunes.uplink.receiver import Taken, lane_receipt, receive

SELF = ""
"""The destination under which a ground station keeps the receipts it issued."""
REJECTED_MAX = 200
"""So many conflicting batches are kept as evidence."""
HASHES_MAX = 10_000

_R, _F = schema.receipt.c, schema.frame.c
_RECEIPT = Prepared(
    select(_R.receipt_no).where(
        _R.stream_id == bindparam("of_stream"), _R.destination == bindparam("station")
    )
)
_HASHES = Prepared(
    select(_F.no, _F.hash)
    .where(
        _F.stream_id == bindparam("stream_id"),
        _F.lane == bindparam("lane_no"),
        _F.no > bindparam("after_no"),
    )
    .order_by(_F.no)
    .limit(bindparam("page"))
)


@dataclass(frozen=True, slots=True)
class LaneOnGround:
    """What a ground station holds of a lane, and the newest head that vouches for it."""

    said: LaneReceipt
    frames: int
    readings: int
    dropped: int
    head: Head | None


@dataclass(slots=True)
class GroundStation:
    """A ground station's store.

    Attributes:
        data: its data directory.
        buffer: its database.
        signer: signs receipts.
        public: the key that verifies them.
        quota_bytes: above this size it takes no more.
        clock: for receipts.
    """

    data: Path
    buffer: Buffer
    signer: Signer
    public: VerifyKey
    quota_bytes: int = DEFAULT_CAP_BYTES
    clock: Clock = SYSTEM_CLOCK
    document: bytes = b""
    _held: dict[int, dict[int, RangeSet]] = field(default_factory=dict)
    _known_from: dict[tuple[int, int], int] = field(default_factory=dict)
    _writer: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, data: Path, *, quota_bytes: int = DEFAULT_CAP_BYTES) -> Self:
        """Open a data directory, making it at first."""
        buffer = ground_buffer(data, create=True, quota_bytes=quota_bytes)
        identity = station_identity(data)
        signing = identity.signing
        return cls(data, buffer, signing, signing.public, quota_bytes, document=identity.document)

    def close(self) -> None:
        """Close the database."""
        self.buffer.close()

    # -- writing --------------------------------------------------------------------------

    def take(
        self, gateway: Enrolled, table: str, epoch: bytes, body: bytes
    ) -> tuple[Receipt, Taken]:
        """Store a batch and say what is held now; on the disk when this returns.

        Args:
            gateway: who sent it, authenticated.
            table: which of its tables.
            epoch: which stream.
            body: the batch.

        Raises:
            BadRecord: refused as a whole; nothing was stored.
            Conflict: another frame has a number; nothing was stored, the batch is kept
                beside the database as evidence.
            StorageFull: no room; nothing was stored.
        """
        records = parse_batch(body)
        with self._writer:
            try:
                return self._take(gateway, table, epoch, records, len(body))
            except Conflict as e:
                self._set_aside(gateway.gateway, table, epoch, e, records)
                raise

    def _take(
        self,
        gateway: Enrolled,
        table: str,
        epoch: bytes,
        records: Sequence[Record],
        size_bytes: int,
    ) -> tuple[Receipt, Taken]:
        with self.buffer.writing() as connection:
            if live_bytes(connection) + size_bytes > self.quota_bytes:
                raise StorageFull(
                    f"the ground station's store is full ({self.data})",
                    hint="mcp ground-station serve with a larger --quota",
                    code="ground-full",
                )
            stream = self.buffer.add_stream(connection, gateway.gateway, table, epoch)
            ledger = SqlLedger(
                self.buffer, connection, stream, known=self._held.get(stream.id, {})
            )
            taken = receive(
                records,
                ledger,
                gateway=gateway.gateway,
                table=table,
                epoch=epoch,
                key=gateway.key,
            )
            ledger.finish()
            receipt_no = self._next_receipt_no(connection, stream, taken)
            receipt = self._receipt(stream, ledger, receipt_no)
            if taken.changed:
                self._keep_receipt(connection, stream, receipt)
        self._held[stream.id] = self._held.get(stream.id, {}) | ledger.now_held
        return receipt, taken

    def _next_receipt_no(self, connection: Connection, stream: Stream, taken: Taken) -> int:
        found = _RECEIPT(connection, of_stream=stream.id, station=SELF).scalar()
        return int(found or 0) + taken.changed

    def _keep_receipt(self, connection: Connection, stream: Stream, receipt: Receipt) -> None:
        changes: dict[str, Any] = {
            "receipt_no": receipt.receipt_no,
            "ts_us": receipt.stored_at_us,
            "body": receipt.encoded,
        }
        done = connection.execute(
            update(schema.receipt)
            .where(_R.stream_id == stream.id, _R.destination == SELF)
            .values(**changes)
        )
        if not done.rowcount:
            connection.execute(
                insert(schema.receipt).values(stream_id=stream.id, destination=SELF, **changes)
            )

    def _receipt(self, stream: Stream, ledger: SqlLedger, receipt_no: int) -> Receipt:
        lanes = {}
        for lane in LANES:
            place = stream.id, lane
            said = lane_receipt(
                ledger.cum(lane), ledger.held(lane), self._known_from.get(place, 0)
            )
            # the next receipt goes on where this one's list of gaps ends
            self._known_from[place] = said.known_to + 1 if said.known_to < said.max_seen else 0
            lanes[lane] = said
        now_us = self.clock.unix_us()
        receipt = Receipt(stream.gateway, stream.table, stream.epoch, receipt_no, now_us, lanes)
        return receipt.sign(self.signer)

    def _set_aside(
        self,
        gateway: str,
        table: str,
        epoch: bytes,
        conflict: Conflict,
        records: Sequence[Record],
    ) -> None:
        """Keep a batch that contradicts the store, as evidence; the oldest stay."""
        folder = self.data / REJECTED
        folder.mkdir(mode=0o700, exist_ok=True)
        kept = [r for r in records if isinstance(r, Frame | Head)]
        name = f"{gateway}-{table}-{epoch.hex()[:8]}-{conflict.lane}-{conflict.no}.batch"
        if sum(1 for _ in folder.iterdir()) < REJECTED_MAX and not (folder / name).exists():
            write_atomic(folder / name, encode_batch(r.encoded for r in kept))

    # -- reading --------------------------------------------------------------------------

    def receipt(self, gateway: str, table: str, epoch: bytes) -> Receipt:
        """Say what is held of a stream; nothing, for one that was never heard of."""
        try:
            stream = self.buffer.stream(gateway, table, epoch)
        except NotFound:
            lanes = {lane: LaneReceipt() for lane in LANES}
            now_us = self.clock.unix_us()
            return Receipt(gateway, table, epoch, 0, now_us, lanes).sign(self.signer)
        with self._writer, self.buffer.reading() as connection:
            ledger = SqlLedger(
                self.buffer, connection, stream, known=self._held.get(stream.id, {})
            )
            found = _RECEIPT(connection, of_stream=stream.id, station=SELF).scalar()
            return self._receipt(stream, ledger, int(found or 0))

    def streams_of(self, gateway: str, table: str) -> list[tuple[Stream, dict[int, LaneOnGround]]]:
        """Give what is held of each stream of a table, oldest first."""
        found = []
        for stream in self.buffer.streams(table, gateway):
            with self.buffer.reading() as connection:
                ledger = SqlLedger(self.buffer, connection, stream)
                lanes = {}
                for lane in LANES:
                    row = ledger.lane(lane)
                    frames, readings = ledger.above(lane)
                    heads = stored_heads(connection, stream.id, lane)
                    lanes[lane] = LaneOnGround(
                        lane_receipt(ledger.cum(lane), ledger.held(lane)),
                        row.frames + frames,
                        row.msgs + readings,
                        row.dropped_msgs,
                        heads[0] if heads else None,
                    )
            found.append((stream, lanes))
        return found

    def hashes(
        self, gateway: str, table: str, epoch: bytes, lane: int, after_no: int, limit: int
    ) -> list[tuple[int, bytes]]:
        """Give (number, hash) of the stored frames after `after_no`, in order.

        Raises:
            NotFound: no such stream.
        """
        stream = self.buffer.stream(gateway, table, epoch)
        with self.buffer.reading() as connection:
            rows = _HASHES(
                connection,
                stream_id=stream.id,
                lane_no=lane,
                after_no=after_no,
                page=min(limit, HASHES_MAX),
            ).fetchall()
        return [(int(no), bytes(digest)) for no, digest in rows]
