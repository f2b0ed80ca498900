"""Batches out of a gateway's buffer.

Each run of frames goes with a head that vouches for its last one. What is gone goes as
a signed tombstone, so that the other side's count can go on. A frame that is damaged
here is not sent: the ground station would refuse it, and all after it in the batch.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection

from dunes.buffer.frame import frame_hash
from dunes.buffer.frameheader import BadFrame, parse_header
from dunes.buffer.heads import sign_head, stored_heads
from dunes.buffer.keyrecords import key_records
from dunes.buffer.read import StoredFrame, stored_frames, tombstones
from dunes.buffer.records import BadHead, DropReason, Signer, Tombstone
from dunes.buffer.store import Buffer, Lane, Stream
from dunes.crypto.keyrecord import KeyRecord
from dunes.uplink.protocol import SignedTombstone, encode_batch
from dunes.uplink.receipt import LaneReceipt


@dataclass(slots=True)
class Loaded:
    """A batch, ready to go.

    Attributes:
        batch: its bytes; empty if there is nothing to send.
        last: the last number in it; one less than asked for, if nothing.
        frames: how many frames.
        readings: how many readings.
        key_ids: key records that it carries.
        damaged: the number after `last` if that frame cannot be sent; 0 if it can.
    """

    batch: bytes = b""
    last: int = 0
    frames: int = 0
    readings: int = 0
    key_ids: set[bytes] = field(default_factory=set)
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Outbox:
    """Reads batches of one buffer.

    Attributes:
        buffer: the gateway's.
        signer: the gateway's key.
    """

    buffer: Buffer
    signer: Signer

    def load(
        self,
        stream: Stream,
        lane_no: int,
        first: int,
        last: int,
        *,
        max_bytes: int,
        acknowledged: LaneReceipt,
        known_keys: Collection[bytes] = (),
    ) -> Loaded:
        """Read frames and tombstones `first` to `last` of a lane, as far as they fit.

        Args:
            stream: whose lane.
            lane_no: which.
            first: the first number.
            last: the last one.
            max_bytes: about how large the batch may be; one frame goes in any case.
            acknowledged: what the destination has, for what was deleted before it came.
            known_keys: key records that it has.
        """
        with self.buffer.reading() as connection:
            lane = self.buffer.lane(connection, stream.id, lane_no)
            tombs = [
                t
                for t in tombstones(connection, stream.id, lane_no, first - 1, limit=100)
                if t.from_no <= last
            ]
            if first <= lane.base_no and not (tombs and tombs[0].from_no <= first):
                released = _released(stream, lane, first, tombs, acknowledged, self._now_us())
                tombs = [] if released is None else [released]
                last = min(last, lane.base_no)
            frames = stored_frames(
                connection,
                stream.id,
                lane_no,
                first - 1,
                limit=last - first + 1,
                max_bytes=max_bytes,
            )
            pieces, loaded = _in_order(first, last, frames, tombs)
            if not pieces:
                return loaded
            records = self._keys(connection, stream, pieces, known_keys, loaded)
            records += self._encode(connection, stream, lane, pieces)
        loaded.batch = encode_batch(records)
        return loaded

    def _now_us(self) -> int:
        return self.buffer.clock.unix_us()

    def _keys(
        self,
        connection: Connection,
        stream: Stream,
        pieces: list[StoredFrame | Tombstone],
        known_keys: Collection[bytes],
        loaded: Loaded,
    ) -> list[bytes]:
        """Give the key records that the frames name and the destination may not have.

        What was granted since goes with them.
        """
        named = {
            parse_header(piece.header).key_id for piece in pieces if isinstance(piece, StoredFrame)
        }
        wanted = {key_id for key_id in named if any(key_id)} - set(known_keys)
        if not wanted:
            return []
        records = dict(key_records(connection, stream.id))
        loaded.key_ids = wanted & records.keys()
        named_hashes = {hashlib.sha256(records[key_id]).digest() for key_id in loaded.key_ids}
        granted = [
            record for record in records.values() if KeyRecord.parse(record).grants in named_hashes
        ]
        return [*(records[key_id] for key_id in sorted(loaded.key_ids)), *granted]

    def _encode(
        self,
        connection: Connection,
        stream: Stream,
        lane: Lane,
        pieces: list[StoredFrame | Tombstone],
    ) -> list[bytes]:
        records: list[bytes] = []
        for i, piece in enumerate(pieces):
            if isinstance(piece, Tombstone):
                records.append(SignedTombstone.make(piece, self.signer).encoded)
                continue
            records.append(piece.encoded)
            after = pieces[i + 1] if i + 1 < len(pieces) else None
            vouched = isinstance(after, StoredFrame) or (
                isinstance(after, Tombstone) and after.from_no == piece.no + 1
            )
            if not vouched:
                records.append(self._head(connection, stream, lane, piece))
        return records

    def _head(
        self, connection: Connection, stream: Stream, lane: Lane, frame: StoredFrame
    ) -> bytes:
        """Give the stored head of a frame, or sign one."""
        try:
            for head in stored_heads(connection, stream.id, lane.lane):
                if (head.no, head.frame_hash, head.kid) == (
                    frame.no,
                    bytes(frame.hash),
                    self.signer.kid,
                ):
                    return head.encoded
        except BadHead:
            pass  # damaged in the store: a fresh one does as well
        return sign_head(connection, stream, lane, frame.no, self.signer, self._now_us()).encoded


def _released(
    stream: Stream,
    lane: Lane,
    first: int,
    tombs: list[Tombstone],
    acknowledged: LaneReceipt,
    now_us: int,
) -> Tombstone | None:
    """Make the tombstone of frames that others have, and that were deleted since."""
    if first != acknowledged.cum + 1:
        return None
    to_no, last_hash, last_msg = lane.base_no, lane.base_hash, lane.base_msg
    if tombs and tombs[0].from_no <= to_no:
        to_no, last_hash = tombs[0].from_no - 1, tombs[0].prev_hash
        last_msg = tombs[0].first_msg - 1
    return Tombstone(
        epoch=stream.epoch,
        lane=lane.lane,
        from_no=first,
        to_no=to_no,
        first_msg=acknowledged.cum_msg + 1,
        n_msgs=last_msg - acknowledged.cum_msg,
        prev_hash=acknowledged.cum_hash,
        last_hash=bytes(last_hash),
        reason=DropReason.RELEASED,
        ts_us=now_us,
    )


def _in_order(
    first: int, last: int, frames: list[StoredFrame], tombs: list[Tombstone]
) -> tuple[list[StoredFrame | Tombstone], Loaded]:
    """Line frames and tombstones up without a hole, until one is missing or damaged."""
    loaded = Loaded(last=first - 1)
    pieces: list[StoredFrame | Tombstone] = []
    by_no = {frame.no: frame for frame in frames}
    top = max(by_no, default=0)
    waiting = sorted(tombs, key=lambda t: t.from_no)
    while loaded.last < last:
        no = loaded.last + 1
        if (frame := by_no.get(no)) is not None:
            if not _sound(frame):
                loaded.damaged = no
                break
            pieces.append(frame)
            loaded.last = no
            loaded.frames += 1
            loaded.readings += frame.n
            continue
        tomb = next((t for t in waiting if t.from_no <= no <= t.to_no), None)
        if tomb is None:
            if no < top or not by_no:
                loaded.damaged = no  # neither here nor declared dropped
            break
        pieces.append(tomb)
        loaded.last = tomb.to_no
    return pieces, loaded


def _sound(frame: StoredFrame) -> bool:
    """Tell whether a frame is still what was hashed when it was written."""
    try:
        header = parse_header(frame.header)
    except BadFrame:
        return False
    return header.no == frame.no and frame_hash(frame.header, frame.body) == frame.hash
