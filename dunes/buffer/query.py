"""Readings back out of the buffer.

Frames are walked page by page from a cursor, by their keys; a page costs the same in a
table of any size. Lanes are merged by time; within a lane readings come in the order
in which they were stored. A frame that cannot be read costs only itself.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from itertools import islice
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from dunes.buffer import schema
from dunes.buffer.frame import Opener, open_body, parse_frame
from dunes.buffer.frameheader import NUMBER_MAX, BadFrame, FrameReason
from dunes.buffer.payload import parse_readings, plain_text
from dunes.buffer.read import StoredFrame, stored_frames
from dunes.buffer.statements import Prepared
from dunes.buffer.store import Buffer, Stream
from dunes.errors import DunesError, UsageError
from dunes.model import Priority, Reading

_F = schema.frame.c
_SEEK = Prepared(
    select(func.min(_F.no)).where(
        _F.stream_id == bindparam("of_stream"),
        _F.lane == bindparam("lane_no"),
        _F.ts_max >= bindparam("since"),
    )
)
FIRST_PAGE = 4
"""Frames read at first: a small question costs little; pages then double up to 256."""
LAST_PAGE = 256
PROBLEMS_KEPT = 20
MEMORY_BYTES = 24 * 1024 * 1024
"""What the pages of all lanes that are walked side by side may hold together."""


class Place(NamedTuple):
    """One reading's place: the number it has in its lane for ever."""

    stream_id: int
    lane: int
    no: int
    msg: int


class Found(NamedTuple):
    """A reading, and where it is."""

    reading: Reading
    place: Place
    stream: Stream


@dataclass(frozen=True, slots=True)
class Query:
    """Which readings are wanted.

    Attributes:
        device: only this device's.
        kind: only this kind.
        since_us: at or after this time.
        until_us: before this time.
        priority: only this lane.
        gateway: only this gateway's (at a ground station).
        limit: at most so many; None: all.
        after: a cursor, as `next_cursor` of an earlier answer.
    """

    device: str | None = None
    kind: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    priority: Priority | None = None
    gateway: str | None = None
    limit: int | None = None
    after: str = ""


@dataclass(slots=True)
class Answer:
    """Readings, one after the other, and what was met on the way.

    Attributes:
        readings: iterate over it once.
        unreadable: how many frames could not be read, as far as walked.
        problems: (place, reason) of the first of them.
        places: the last reading given of each lane.
        more: whether the limit cut the answer; known when `readings` is used up.
    """

    readings: Iterator[Found]
    unreadable: int = 0
    problems: list[tuple[Place, DunesError]] = field(default_factory=list)
    places: dict[tuple[int, int], Place] = field(default_factory=dict)
    more: bool = False

    @property
    def next_cursor(self) -> str:
        """Where to go on."""
        return ",".join(".".join(map(str, place)) for _, place in sorted(self.places.items()))


CURSOR = re.compile(r"\d{1,18}\.[012]\.\d{1,18}\.\d{1,18}")


def parse_cursor(text: str) -> dict[tuple[int, int], Place]:
    """Read a cursor.

    Raises:
        UsageError: it is none.
    """
    places = {}
    for part in filter(None, text.split(",")):
        if CURSOR.fullmatch(part) is None:
            raise UsageError(
                f"{text[:60]!r} is not a cursor",
                hint="give --after what an earlier query printed",
            )
        place = Place(*map(int, part.split(".")))
        places[place.stream_id, place.lane] = place
    return places


def query(
    buffer: Buffer, table: str, wanted: Query, opener_for: Callable[[Stream], Opener | None]
) -> Answer:
    """Find readings of a table.

    Args:
        buffer: the buffer.
        table: folded name.
        wanted: which.
        opener_for: gives the opener of a stream's sealed frames, None without keys.

    Raises:
        UsageError: the cursor.
    """
    after = parse_cursor(wanted.after)
    lanes = list(Priority) if wanted.priority is None else [wanted.priority]
    answer = Answer(iter(()), places=dict(after))
    streams = buffer.streams(table, wanted.gateway)
    page_bytes = max(64 * 1024, MEMORY_BYTES // max(1, len(streams) * len(lanes)))
    walks = []
    for stream in streams:
        opener = opener_for(stream)
        for lane in lanes:
            start = after.get((stream.id, int(lane)), Place(stream.id, int(lane), 0, 0))
            walks.append(_walk(buffer, stream, start, wanted, opener, answer, page_bytes))
    answer.readings = _cut(_merge(walks), wanted.limit, answer)
    return answer


def _cut(found: Iterator[Found], limit: int | None, answer: Answer) -> Iterator[Found]:
    """Stop at the limit, keep the cursor, and find out whether there is more."""
    for each in islice(found, limit):
        answer.places[each.place.stream_id, each.place.lane] = each.place
        yield each
    if limit is not None and next(found, None) is not None:
        answer.more = True


def _merge(walks: list[Iterator[Found]]) -> Iterator[Found]:
    """Merge lanes by time, each in its own order, whatever its clock did."""
    heap: list[tuple[int, int, Found, Iterator[Found]]] = []
    for i, walk in enumerate(walks):
        first = next(walk, None)
        if first is not None:
            heap.append((first.reading.ts_us, i, first, walk))
    heapify(heap)
    while heap:
        _, i, found, walk = heap[0]
        yield found
        following = next(walk, None)
        if following is None:
            heappop(heap)
        else:
            heapreplace(heap, (following.reading.ts_us, i, following, walk))


def _walk(
    buffer: Buffer,
    stream: Stream,
    start: Place,
    wanted: Query,
    opener: Opener | None,
    answer: Answer,
    page_bytes: int,
) -> Iterator[Found]:
    """Give the wanted readings of one lane, in its order."""
    texts = plain_text(wanted.device, wanted.kind)
    # the frame of the cursor may have more of them
    no, page = max(start.no - 1, _seek(buffer, start, wanted.since_us)), FIRST_PAGE
    while True:
        with buffer.reading() as connection:
            frames = stored_frames(
                connection, stream.id, start.lane, no, limit=page, max_bytes=page_bytes
            )
        for stored in frames:
            no = stored.no
            if _outside(stored, wanted):
                continue
            try:
                readings = _open(stored, texts, opener)
            except DunesError as e:
                answer.unreadable += 1
                if len(answer.problems) < PROBLEMS_KEPT:
                    place = Place(stream.id, start.lane, no, stored.first_msg)
                    answer.problems.append((place, e))
                continue
            for i, reading in enumerate(readings):
                msg = stored.first_msg + i
                if msg > start.msg and _matches(reading, wanted):
                    yield Found(reading, Place(stream.id, start.lane, no, msg), stream)
        if not frames:
            return
        page = min(LAST_PAGE, page * 2)


def _seek(buffer: Buffer, start: Place, since_us: int | None) -> int:
    """Say after which frame readings since a time can begin, whatever the clocks did.

    The time index answers alone; it is walked as far as there are frames since then.
    """
    if since_us is None:
        return 0
    with buffer.reading() as connection:
        first = _SEEK(
            connection, of_stream=start.stream_id, lane_no=start.lane, since=since_us
        ).scalar()
    return NUMBER_MAX if first is None else int(first) - 1


def _outside(stored: StoredFrame, wanted: Query) -> bool:
    """Say whether a frame's times exclude it."""
    return (wanted.since_us is not None and stored.ts_max_us < wanted.since_us) or (
        wanted.until_us is not None and stored.ts_min_us >= wanted.until_us
    )


def _open(stored: StoredFrame, texts: list[bytes], opener: Opener | None) -> list[Reading]:
    """Read a frame, unless it holds nothing of what is wanted."""
    frame = parse_frame(stored.encoded)
    if frame.hash != stored.hash:
        raise BadFrame(FrameReason.HASH, f"frame {stored.no} was changed since it was stored")
    plain = open_body(frame, opener)
    if not all(text in plain for text in texts):
        return []
    return parse_readings(plain, frame.header)


def _matches(reading: Reading, wanted: Query) -> bool:
    return (
        (wanted.device is None or reading.device == wanted.device)
        and (wanted.kind is None or reading.kind == wanted.kind)
        and (wanted.since_us is None or reading.ts_us >= wanted.since_us)
        and (wanted.until_us is None or reading.ts_us < wanted.until_us)
    )
