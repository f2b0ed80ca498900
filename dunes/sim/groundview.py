"""What the ground station really holds, read from its own database and opened with its keys.

The judge's eyes: nothing here comes from the gateway, from a receipt or from anybody's
account of what was sent.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dunes.buffer.frame import Opener
from dunes.buffer.opening import StreamOpener
from dunes.buffer.query import Query, query
from dunes.buffer.store import Buffer, Stream
from dunes.crypto.identity import Identity
from dunes.errors import DataError
from dunes.model import Priority, Reading
from dunes.uplink.grounddir import ground_buffer, station_identity
from dunes.uplink.succession import known_keys


@dataclass(slots=True)
class GroundView:
    """A ground station's store, seen by somebody who may open it.

    Args:
        data: its directory.
        buffer: its database.
        identity: its keys.
        table: the table that is looked at.
        reveal: turns the gateway's tokens back to the names of those that measured.
    """

    data: Path
    buffer: Buffer
    identity: Identity
    table: str
    reveal: Callable[[Reading], Reading] = lambda reading: reading

    @classmethod
    def open(
        cls,
        data: Path,
        table: str,
        reveal: Callable[[Reading], Reading] = lambda reading: reading,
    ) -> Self:
        """Look at a data directory.

        Raises:
            NotFound: no ground station has its data there.
        """
        return cls(data, ground_buffer(data), station_identity(data), table, reveal)

    def close(self) -> None:
        """Close the database."""
        self.buffer.close()

    def count(self, epochs: Container[bytes] | None = None) -> int:
        """Say how many readings are stored; cheap.

        Args:
            epochs: of the streams to count; None: all, of any gateway.
        """
        total = 0
        for stream in self.buffer.streams(self.table):
            if epochs is not None and stream.epoch not in epochs:
                continue
            with self.buffer.reading() as connection:
                total += sum(lane.msgs for lane in self.buffer.lanes(connection, stream).values())
        return total

    def readings(
        self, since_us: int | None = None, priority: Priority | None = None
    ) -> Iterator[Reading]:
        """Read what is stored, from a time on.

        Raises:
            DataError: a frame cannot be opened: what is in it cannot be judged.
        """
        answer = query(
            self.buffer, self.table, Query(since_us=since_us, priority=priority), self._opener_for
        )
        for found in answer.readings:
            yield self.reveal(found.reading)
        if answer.unreadable:
            place, why = answer.problems[0]
            raise DataError(
                f"{answer.unreadable} frames on the ground cannot be read; "
                f"the first is lane {place.lane} frame {place.no}: {why}",
                hint="mcp ground-station verify",
                code="ground-unreadable",
            )

    def _opener_for(self, stream: Stream) -> Opener | None:
        """Open what a gateway sealed to this station."""
        opener = self.identity.frame_opener(known_keys(self.data, self.buffer).values())
        return StreamOpener(self.buffer, stream, opener)
