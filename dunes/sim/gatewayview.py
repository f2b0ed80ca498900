"""What lies in the gateway's own buffer, for waiting, for show, and to tell late from lost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dunes.authority.masking import Reveal
from dunes.buffer.keyring import Keyring
from dunes.buffer.query import Query, query
from dunes.buffer.store import Buffer, open_buffer
from dunes.errors import NotFound
from dunes.model import Reading
from dunes.settings import Settings


class Queue(NamedTuple):
    """Readings of a table: ever written, and lying there now."""

    written: int
    there: int


@dataclass(slots=True)
class GatewayView:
    """The gateway's buffer; it may not exist yet.

    Args:
        settings: of the gateway.
        table: the table that is looked at.
    """

    settings: Settings
    table: str
    _buffer: Buffer | None = None

    def close(self) -> None:
        """Close the database."""
        if self._buffer is not None:
            self._buffer.close()
            self._buffer = None

    def count(self) -> Queue:
        """Count readings; cheap."""
        if (buffer := self._open()) is None:
            return Queue(0, 0)
        written = there = 0
        for stream in buffer.streams(self.table):
            with buffer.reading() as connection:
                for lane in buffer.lanes(connection, stream).values():
                    written += lane.last_msg
                    there += lane.msgs
        return Queue(written, there)

    def epochs(self) -> set[bytes]:
        """Give the epochs of the table's streams here."""
        buffer = self._open()
        return set() if buffer is None else {each.epoch for each in buffer.streams(self.table)}

    def readings(self, since_us: int) -> Iterator[Reading]:
        """Read what lies there; frames that cannot be opened hold nothing for us."""
        if (buffer := self._open()) is None:
            return
        openers = Keyring.load(self.settings).opener_for(buffer)
        answer = query(buffer, self.table, Query(since_us=since_us), openers)
        reveal = Reveal(self.settings.paths)
        for found in answer.readings:
            yield reveal(found.reading)

    def _open(self) -> Buffer | None:
        if self._buffer is None:
            try:
                self._buffer = open_buffer(self.settings, create=False)
            except NotFound:
                return None
        return self._buffer
