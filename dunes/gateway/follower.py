"""Readings of some devices that come into a gateway's buffer from now on, whoever writes them.

A look is one query over the counters of all lanes; only frames that are new are read, and of
those only such as hold one of the devices.
"""

from collections.abc import Callable, Collection, Iterator

from sqlalchemy import select

from dunes.buffer import schema
from dunes.buffer.frame import Opener, open_body, parse_frame
from dunes.buffer.payload import parse_readings, plain_text
from dunes.buffer.read import StoredFrame, stored_frames
from dunes.buffer.store import Buffer, Stream
from dunes.errors import DunesError
from dunes.model import Reading


class Follower:
    """Follows one gateway's streams of a buffer.

    Args:
        buffer: opened to read.
        gateway: whose streams.
        opener_for: gives the opener of a stream's sealed frames.

    Attributes:
        unreadable: frames that could not be read.
    """

    def __init__(
        self, buffer: Buffer, gateway: str, opener_for: Callable[[Stream], Opener | None]
    ) -> None:
        self.buffer, self.gateway = buffer, gateway
        self.unreadable = 0
        self._opener_for = opener_for
        self._openers: dict[int, Opener | None] = {}
        self._seen: dict[tuple[int, int], int] = {}

    def skip(self) -> None:
        """Begin behind all that is there."""
        self._seen = self._ends()

    def read(self, devices: Collection[str]) -> list[Reading]:
        """Give the readings of these devices that are new since the last call, lane by lane.

        Raises:
            StorageError: the database; what is new comes the next time.
        """
        texts = [plain_text(device)[0] for device in devices]
        found: list[Reading] = []
        for (stream_id, lane), end in sorted(self._ends().items()):
            while self._seen.get((stream_id, lane), 0) < end:
                after = self._seen.get((stream_id, lane), 0)
                with self.buffer.reading() as connection:
                    frames = stored_frames(connection, stream_id, lane, after)
                for stored in frames:
                    self._seen[stream_id, lane] = stored.no
                    found += self._readings(stream_id, stored, devices, texts)
                if not frames:  # what was there gave way to newer readings
                    self._seen[stream_id, lane] = end
        return found

    def _ends(self) -> dict[tuple[int, int], int]:
        """Give the number of the newest frame of each lane."""
        lane, stream = schema.lane.c, schema.stream.c
        query = (
            select(lane.stream_id, lane.lane, lane.next_no)
            .join(schema.stream, stream.id == lane.stream_id)
            .where(stream.gateway == self.gateway)
        )
        with self.buffer.reading() as connection:
            return {(of, at): next_no - 1 for of, at, next_no in connection.execute(query)}

    def _readings(
        self, stream_id: int, stored: StoredFrame, devices: Collection[str], texts: list[bytes]
    ) -> Iterator[Reading]:
        try:
            frame = parse_frame(stored.encoded)
            plain = open_body(frame, self._opener(stream_id))
            if any(text in plain for text in texts):
                readings = parse_readings(plain, frame.header)
                yield from (each for each in readings if each.device in devices)
        except DunesError:
            self.unreadable += 1

    def _opener(self, stream_id: int) -> Opener | None:
        if stream_id not in self._openers:
            for stream in self.buffer.streams(gateway=self.gateway):
                self._openers.setdefault(stream.id, self._opener_for(stream))
        return self._openers[stream_id]
