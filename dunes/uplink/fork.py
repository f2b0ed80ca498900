"""Two histories of one lane: our store was set back, or a copy of it lives elsewhere.

A ground station that contradicts our lane either lies, or knows more than we do: a
snapshot of this machine was restored, or its disk was cloned. The heads that we signed
tell which: if the ground station holds one of ours that does not fit our lane, we wrote
what we do not remember. Then what is new here goes on under a new epoch, and nothing
of it is lost; without such a proof nothing is changed.

All of it is one transaction: a crash leaves the old state or the new one.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from dunes.buffer import schema
from dunes.buffer.ack import Applied, prune, save_receipt
from dunes.buffer.frame import Frame, Sealer, make_frame, parse_frame
from dunes.buffer.frameheader import EPOCH_BYTES, NO_SALT, SALT_BYTES, Header
from dunes.buffer.keyrecords import add_key_records, key_records
from dunes.buffer.payload import Batch
from dunes.buffer.read import chain_point, stored_frames
from dunes.buffer.records import Head, parse_head
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Lane, Stream
from dunes.crypto.errors import NotARecipient
from dunes.crypto.framekeys import FrameOpener, FrameSealer
from dunes.crypto.identity import Identity
from dunes.crypto.keyrecord import KeyRecord
from dunes.errors import DunesError, PeerError
from dunes.model import Priority
from dunes.uplink.carriers import Carrier
from dunes.uplink.protocol import LANES

CLOSED = 2**62
"""The receipt number of a stream that goes on under another epoch."""
PAGE = 2000

_F, _H, _T, _A = schema.frame.c, schema.head_sig.c, schema.tombstone.c, schema.ack.c
_OWN = Prepared(
    select(_F.no, _F.hash)
    .where(
        _F.stream_id == bindparam("stream_id"),
        _F.lane == bindparam("lane_no"),
        _F.no > bindparam("after_no"),
    )
    .order_by(_F.no)
    .limit(bindparam("page"))
)


@dataclass(slots=True)
class Moved:
    """What went on under the new epoch.

    Attributes:
        epoch: the new one.
        frames: moved.
        readings: in those.
        known: the newest number that the ground station holds, by lane, where it is
            above ours.
    """

    epoch: bytes = b""
    frames: int = 0
    readings: int = 0
    known: dict[int, int] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """Say it to a person."""
        return (
            "this gateway's buffer was set back to an older copy, or a second gateway has its "
            "identity: the ground station holds other frames that this gateway signed. "
            f"{self.readings} readings in {self.frames} frames that it does not have go on "
            f"under a new epoch {self.epoch.hex()[:8]}; nothing is lost"
        )


async def settle_history(
    buffer: Buffer,
    stream: Stream,
    error: PeerError,
    *,
    identity: Identity,
    carrier: Carrier,
    destination: str,
    destinations: frozenset[str],
) -> Moved:
    """Find out whose history is right; begin a new epoch if it is the ground station's.

    Args:
        buffer: the gateway's.
        stream: the stream in question.
        error: what showed the contradiction; raised again if nothing proves it.
        identity: the gateway's.
        carrier: asks the ground station.
        destination: its name here.
        destinations: all that are to have the data.

    Raises:
        PeerError: `error`: the ground station has no proof.
        NotARecipient: the frames are sealed, and this gateway cannot open them.
    """
    heads = _heads(await carrier.heads(stream.gateway, stream.table), stream, identity)
    if not _proven(buffer, stream, heads):
        raise error
    forks: dict[int, int] = {}
    for lane in LANES:
        forks[lane] = await _first_unmatched(buffer, stream, lane, carrier)
    moved = _move(buffer, stream, forks, identity, destination)
    moved.known = {lane: head.no for lane, head in heads.items()}
    prune(buffer, stream, {destination, *destinations}, Applied())
    return moved


def _heads(body: Any, stream: Stream, identity: Identity) -> dict[int, Head]:
    """Take the heads of a stream that we signed ourselves out of an answer."""
    keys = {key.kid: key for key in identity.own_senders}
    found: dict[int, Head] = {}
    try:
        rows = [row for row in body["streams"] if row["epoch"] == stream.epoch.hex()]
        texts = [lane["head"] for row in rows for lane in row["lanes"].values() if lane["head"]]
    except (TypeError, KeyError, AttributeError):
        return found
    for text in texts:
        try:
            head = parse_head(base64.b64decode(text, validate=True))
            head.verify(keys[head.kid])
        except (DunesError, ValueError, KeyError, TypeError):
            continue  # no proof
        if (head.gateway, head.table, head.epoch) == (stream.gateway, stream.table, stream.epoch):
            found[head.lane] = head
    return found


def _proven(buffer: Buffer, stream: Stream, heads: Mapping[int, Head]) -> bool:
    """Tell whether we once signed what our lanes do not hold."""
    with buffer.reading() as connection:
        for number, head in heads.items():
            lane = buffer.lane(connection, stream.id, number)
            if head.no > lane.last_no:
                return True
            point = chain_point(connection, lane, head.no)
            if point is not None and bytes(point[0]) != head.frame_hash:
                return True
    return False


async def _first_unmatched(buffer: Buffer, stream: Stream, lane: int, carrier: Carrier) -> int:
    """Give the first of our frames that the ground station does not hold just so."""
    with buffer.reading() as connection:
        after_no = buffer.lane(connection, stream.id, lane).base_no
    theirs: dict[int, bytes] = {}
    top = after_no
    while True:
        with buffer.reading() as connection:
            own = _OWN(
                connection, stream_id=stream.id, lane_no=lane, after_no=after_no, page=PAGE
            ).fetchall()
        if not own:
            return after_no + 1
        while top < own[-1][0]:
            more = await carrier.hashes(stream.gateway, stream.table, stream.epoch, lane, top)
            theirs |= dict(more)
            top = more[-1][0] if more else own[-1][0]
        for no, digest in own:
            if theirs.pop(no, None) != bytes(digest):
                return int(no)
            after_no = no


def _move(
    buffer: Buffer,
    stream: Stream,
    forks: Mapping[int, int],
    identity: Identity,
    destination: str,
) -> Moved:
    moved = Moved(epoch=os.urandom(EPOCH_BYTES))
    with buffer.writing() as connection:
        new = buffer.add_stream(connection, stream.gateway, stream.table, moved.epoch)
        records = dict(key_records(connection, stream.id))
        sealers = _Sealers(records, identity)
        add_key_records(connection, new.id, records.values())
        for number in LANES:
            lane = buffer.lane(connection, stream.id, number, lock=True)
            first = max(forks[number], lane.base_no + 1)
            _move_lane(buffer, connection, new, lane, first, sealers, moved)
            end = buffer.lane(connection, stream.id, number)
            connection.execute(
                delete(schema.ack).where(
                    _A.stream_id == stream.id, _A.lane == number, _A.destination == destination
                )
            )
            connection.execute(
                insert(schema.ack).values(
                    stream_id=stream.id,
                    destination=destination,
                    lane=number,
                    cum_no=end.last_no,
                    cum_hash=end.head_hash,
                )
            )
        now_us = buffer.clock.unix_us()
        save_receipt(connection, stream.id, destination, CLOSED, b"", now_us)
    return moved


def _move_lane(
    buffer: Buffer,
    connection: Connection,
    new: Stream,
    lane: Lane,
    first: int,
    sealers: "_Sealers",
    moved: Moved,
) -> None:
    """Put the frames from `first` on behind one another in the new stream."""
    target = buffer.lane(connection, new.id, lane.lane)
    no, msg, last_hash = target.next_no, target.next_msg, target.head_hash
    frames = msgs = new_bytes = old_bytes = 0
    after_no = first - 1
    while page := stored_frames(connection, lane.stream_id, lane.lane, after_no):
        for row in page:
            after_no = row.no
            old = parse_frame(row.encoded)
            frame = sealers.place(old, new.epoch, no, msg, last_hash)
            connection.execute(insert(schema.frame).values(**_row(new.id, frame)))
            no, msg, last_hash = no + 1, msg + row.n, frame.hash
            frames, msgs = frames + 1, msgs + row.n
            new_bytes += len(frame.encoded)
            old_bytes += len(row.encoded)
    moved.frames += frames
    moved.readings += msgs
    buffer.update_lane(
        connection,
        new.id,
        lane.lane,
        next_no=no,
        next_msg=msg,
        head_hash=last_hash,
        frames=frames,
        msgs=msgs,
        size_bytes=new_bytes,
    )
    if first <= lane.last_no:
        _cut(buffer, connection, lane, first, (frames, msgs, old_bytes))


def _cut(
    buffer: Buffer,
    connection: Connection,
    lane: Lane,
    first: int,
    gone: tuple[int, int, int],
) -> None:
    """Let a lane end before frame `first`."""
    point = chain_point(connection, lane, first - 1)
    if point is None:  # a hole in front of it: the lane ends at its oldest end
        point = lane.base_hash, lane.base_msg
    for table, number in ((schema.frame, _F.no), (schema.head_sig, _H.no)):
        connection.execute(
            delete(table).where(
                table.c.stream_id == lane.stream_id,
                table.c.lane == lane.lane,
                number >= first,
            )
        )
    connection.execute(
        delete(schema.tombstone).where(
            _T.stream_id == lane.stream_id, _T.lane == lane.lane, _T.to_no >= first
        )
    )
    buffer.update_lane(
        connection,
        lane.stream_id,
        lane.lane,
        next_no=first,
        next_msg=point[1] + 1,
        head_hash=bytes(point[0]),
        frames=lane.frames - gone[0],
        msgs=lane.msgs - gone[1],
        size_bytes=lane.size_bytes - gone[2],
    )


def _row(stream_id: int, frame: Frame) -> dict[str, Any]:
    header = frame.header
    return {
        "stream_id": stream_id,
        "lane": header.lane,
        "no": header.no,
        "n": header.n,
        "first_msg": header.first_msg,
        "ts_min": header.ts_min_us,
        "ts_max": header.ts_max_us,
        "hash": frame.hash,
        "header": frame.header_bytes,
        "body": frame.body,
    }


@dataclass(slots=True)
class _Sealers:
    """Seals frames anew under the keys that they had; each gets a fresh salt."""

    records: dict[bytes, bytes]
    identity: Identity
    _made: dict[bytes, Sealer] = field(default_factory=dict)
    _opener: FrameOpener = field(init=False)

    def __post_init__(self) -> None:
        """Open with every key this place ever had."""
        self._opener = self.identity.frame_opener()

    def place(self, old: Frame, epoch: bytes, no: int, first_msg: int, prev_hash: bytes) -> Frame:
        """Give a frame's readings a place in another chain."""
        header, packed = old.header, old.body
        sealer, salt = None, NO_SALT
        if header.sealed:
            self._opener.add_record(self._record(header))
            packed = self._opener.open(header.key_id, header.salt, old.body, old.header_bytes)
            sealer, salt = self._sealer(header), os.urandom(SALT_BYTES)
        batch = Batch(
            header.lane,
            header.n,
            header.ts_min_us,
            header.ts_max_us,
            header.flags,
            header.codec,
            packed,
        )
        return make_frame(
            batch,
            epoch=epoch,
            no=no,
            first_msg=first_msg,
            prev_hash=prev_hash,
            sealer=sealer,
            salt=salt,
        )

    def _record(self, header: Header) -> bytes:
        record = self.records.get(header.key_id)
        if record is None:
            raise NotARecipient(
                f"frame {header.no} of lane {Priority(header.lane).name.lower()} is sealed and "
                "its key record is missing: it cannot go on under a new epoch",
                hint="dunes check-buffer --deep",
            )
        return record

    def _sealer(self, header: Header) -> Sealer:
        if header.key_id not in self._made:
            encoded = self._record(header)
            record = KeyRecord.parse(encoded)
            for key in self.identity.opening_keys:
                if key.kid in record.wraps:
                    secret = key.unwrap(record.wraps[key.kid], record.info_for(key.kid))
                    self._made[header.key_id] = FrameSealer(secret, encoded)
                    break
        return self._made[header.key_id]
