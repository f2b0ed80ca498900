"""What happens within one commit: frames get their places, keys and heads go along.

One connection serves all commits of a writer, and what it knew at the end of one it
still knows at the next, where SQLite says that nobody else wrote meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from sqlalchemy import Connection, bindparam, insert, select, update

from dunes.buffer import schema
from dunes.buffer.frame import Frame, Sealer, make_frame
from dunes.buffer.frameheader import HEADER_BYTES, NO_SALT, SALT_BYTES
from dunes.buffer.heads import sign_head, store_head
from dunes.buffer.payload import Batch
from dunes.buffer.quota import (
    Dropped,
    QuotaFull,
    limit_bytes,
    live_bytes,
    make_room,
    needed_bytes,
)
from dunes.buffer.records import Signer
from dunes.buffer.statements import Prepared, data_version
from dunes.buffer.store import Buffer, Lane, Stream
from dunes.model import Priority

HEADROOM_MAX_BYTES = 64 * 1024 * 1024
"""Far from the quota it is looked at again after this much (and when somebody else wrote)."""
SEAL_EPOCH_S = 3600.0
"""A long-lived writer takes a new secret so often, and whoever is trusted by then."""
SEAL_AGAIN_S = 60.0
"""While nothing is sealed: how often it is asked whether there is somebody to seal to."""

SealerFactory = Callable[[Stream], Sealer | None]

_K, _L, _S = schema.key_record.c, schema.lane.c, schema.stream.c
_INSERT = Prepared(insert(schema.frame))
_ADVANCE = Prepared(
    update(schema.lane)
    .where(_L.stream_id == bindparam("of_stream"), _L.lane == bindparam("lane_no"))
    .values(
        next_no=bindparam("to_no"),
        next_msg=bindparam("to_msg"),
        head_hash=bindparam("to_hash"),
        frames=bindparam("to_frames"),
        msgs=bindparam("to_msgs"),
        size_bytes=bindparam("to_bytes"),
    )
)
_REFUSE = Prepared(
    update(schema.lane)
    .where(_L.stream_id == bindparam("of_stream"), _L.lane == bindparam("lane_no"))
    .values(refused_msgs=_L.refused_msgs + bindparam("more"))
)
_KEY = Prepared(
    select(_K.key_id).where(
        _K.stream_id == bindparam("stream_id"), _K.key_id == bindparam("id_of_key")
    )
)
_ADD_KEY = Prepared(insert(schema.key_record))
_NEWEST = Prepared(
    select(_S.id, _S.gateway, _S.table_name, _S.epoch, _S.created_us)
    .where(_S.gateway == bindparam("of_gateway"), _S.table_name == bindparam("of_table"))
    .order_by(_S.id.desc())
    .limit(1)
)


class Stored(NamedTuple):
    """A frame that is on the disk."""

    stream: Stream
    lane: int
    no: int
    first_msg: int
    n: int
    hash: bytes

    @property
    def last_msg(self) -> int:
        """The number of its last reading."""
        return self.first_msg + self.n - 1


@dataclass(slots=True)
class Work:
    """What happens within one transaction.

    Attributes:
        refused: batches for which there was no room.
        evict_first: on a full disk: older frames gave way before anything was added.
        room_bytes: what they made room for and was not used.
        stored: frames that were added.
        dropped: frames that gave way.
        signed: lanes whose heads were signed.
    """

    refused: list[Batch]
    evict_first: bool
    room_bytes: int = 0
    stored: list[Stored] = field(default_factory=list)
    dropped: Dropped = field(default_factory=Dropped)
    signed: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Tip:
    """A lane's newest end, known from one commit to the next while nobody else writes."""

    next_no: int
    next_msg: int
    head_hash: bytes
    frames: int
    msgs: int
    size_bytes: int

    @classmethod
    def of(cls, lane: Lane) -> Self:
        return cls(
            lane.next_no, lane.next_msg, lane.head_hash, lane.frames, lane.msgs, lane.size_bytes
        )

    def add(self, frame: Frame) -> None:
        n = frame.header.n
        self.next_no += 1
        self.next_msg += n
        self.head_hash = frame.hash
        self.frames += 1
        self.msgs += n
        self.size_bytes += HEADER_BYTES + len(frame.body)


class Committer:
    """Adds batches to the newest stream of a table, a transaction at a time.

    Args:
        buffer: opened with a gateway's name.
        table: folded name of the table.
        make_sealer: makes the sealer of a stream; None leaves frames in clear.
        random: gives that many fresh random bytes.
    """

    def __init__(
        self,
        buffer: Buffer,
        table: str,
        make_sealer: SealerFactory | None,
        random: Callable[[int], bytes],
    ) -> None:
        self.buffer, self.table = buffer, table
        self.stream: Stream | None = None
        self._make_sealer, self._random = make_sealer, random
        self._sealer: Sealer | None = None
        self._renew_s = buffer.clock.monotonic_s()
        self._connection: Connection | None = None
        self._version: int | None = None
        self._headroom_bytes = 0
        self._tips: dict[int, _Tip] = {}

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write on a connection of our own: a checkout from the pool is half a commit."""
        if self._connection is None:
            self._connection = self.buffer.own_connection()
        try:
            with self.buffer.writing(self._connection) as connection:
                yield connection
        except BaseException:
            self.let_go()  # the next commit begins with a fresh one
            raise

    def let_go(self) -> None:
        """Give the connection back, and forget what was known."""
        self._version = None
        self._headroom_bytes = 0
        self._tips.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def current_stream(self, connection: Connection) -> Stream:
        """Give the newest stream: another process may have begun a new epoch.

        What is known from the last commit still holds where nobody else wrote since.
        """
        version = data_version(connection)
        renew = self._make_sealer is not None and self.buffer.clock.monotonic_s() >= self._renew_s
        if (
            version is not None
            and version == self._version
            and self.stream is not None
            and not renew
        ):
            return self.stream
        self._tips.clear()
        self._headroom_bytes = 0
        row = _NEWEST(connection, of_gateway=self.buffer.gateway, of_table=self.table).first()
        if row is None:
            stream = self.buffer.writing_stream(connection, self.table)
        else:
            stream = Stream(*row)
        if renew or self.stream != stream:
            self.stream = stream
            self._sealer = None if self._make_sealer is None else self._make_sealer(stream)
            wait_s = SEAL_AGAIN_S if self._sealer is None else SEAL_EPOCH_S
            self._renew_s = self.buffer.clock.monotonic_s() + wait_s
        if self._sealer is not None:
            self._keep_key(connection, stream, self._sealer)
        self._version = version
        return stream

    def _keep_key(self, connection: Connection, stream: Stream, sealer: Sealer) -> None:
        """Store the key record before, and with, the first frame that needs it."""
        if _KEY(connection, stream_id=stream.id, id_of_key=sealer.key_id).first() is None:
            _ADD_KEY(
                connection,
                stream_id=stream.id,
                key_id=sealer.key_id,
                created_us=self.buffer.clock.unix_us(),
                record=sealer.key_record,
            )

    def append(self, connection: Connection, stream: Stream, batch: Batch, work: Work) -> None:
        """Give a batch its place in the lane and add the frame, or refuse it."""
        need = needed_bytes(len(batch.packed))
        self._headroom_bytes -= need
        if self._headroom_bytes < 0:
            try:
                make_room(self.buffer, connection, need, batch.lane, work.dropped)
            except QuotaFull:
                if batch.lane == Priority.ALERT:
                    raise
                work.refused.append(batch)
                return
            free = limit_bytes(self.buffer, Priority.ROUTINE) - live_bytes(connection) - need
            self._headroom_bytes = max(0, min(free // 2, HEADROOM_MAX_BYTES))
        if work.dropped.frames:
            self._tips.clear()
        tip = self._tips.get(batch.lane)
        if tip is None:
            lane = self.buffer.lane(connection, stream.id, batch.lane, lock=True)
            tip = self._tips[batch.lane] = _Tip.of(lane)
        frame = make_frame(
            batch,
            epoch=stream.epoch,
            no=tip.next_no,
            first_msg=tip.next_msg,
            prev_hash=tip.head_hash,
            sealer=self._sealer,
            salt=NO_SALT if self._sealer is None else self._random(SALT_BYTES),
        )
        _INSERT(
            connection,
            stream_id=stream.id,
            lane=batch.lane,
            no=tip.next_no,
            n=batch.n,
            first_msg=tip.next_msg,
            ts_min=batch.ts_min_us,
            ts_max=batch.ts_max_us,
            hash=frame.hash,
            header=frame.header_bytes,
            body=frame.body,
        )
        work.stored.append(
            Stored(stream, batch.lane, tip.next_no, tip.next_msg, batch.n, frame.hash)
        )
        tip.add(frame)
        _ADVANCE(
            connection,
            of_stream=stream.id,
            lane_no=batch.lane,
            to_no=tip.next_no,
            to_msg=tip.next_msg,
            to_hash=tip.head_hash,
            to_frames=tip.frames,
            to_msgs=tip.msgs,
            to_bytes=tip.size_bytes,
        )

    def sign(self, connection: Connection, stream: Stream, lane_no: int, signer: Signer) -> None:
        """Sign and store the head of a lane; nothing, for a lane without a frame."""
        lane = self.buffer.lane(connection, stream.id, lane_no)
        if not lane.last_no:
            return
        now_us = self.buffer.clock.unix_us()
        head = sign_head(connection, stream, lane, lane.last_no, signer, now_us)
        store_head(connection, stream.id, head)


def save_refusals(connection: Connection, stream: Stream, refusals: Mapping[int, int]) -> None:
    """Add to how many readings of each lane were refused."""
    for lane, n in refusals.items():
        _REFUSE(connection, of_stream=stream.id, lane_no=lane, more=n)
