"""Bytes become lines, each with its place. Pure; flat memory whatever comes.

A line longer than 1 MiB is given as too long, once, and its bytes are thrown away as
they come.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

LINE_MAX_BYTES = 1024 * 1024


class Line(NamedTuple):
    """One line.

    Attributes:
        number: from 1.
        data: without its line end; None if it was too long.
        size_bytes: of the line with its end.
    """

    number: int
    data: bytes | None
    size_bytes: int


@dataclass(slots=True)
class LineSplitter:
    """Splits what is fed at line feeds; a carriage return before one goes with it.

    Attributes:
        number: lines given so far.
        consumed: bytes of those; what lies after it is not a whole line yet.
        max_bytes: what a line may have.
    """

    number: int = 0
    consumed: int = 0
    max_bytes: int = LINE_MAX_BYTES
    _rest: bytes = b""
    _skipped: int = 0

    @property
    def pending(self) -> int:
        """Bytes after the last whole line."""
        return len(self._rest) + self._skipped

    def feed(self, data: bytes) -> Iterator[Line]:
        """Give the lines that end in `data`."""
        if self._skipped:
            end = data.find(b"\n")
            if end < 0:
                self._skipped += len(data)
                return
            yield self._line(None, self._skipped + end + 1)
            self._skipped, data = 0, data[end + 1 :]
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest
        for line in whole:
            size = len(line) + 1
            yield self._line(line if size <= self.max_bytes else None, size)
        if len(self._rest) > self.max_bytes:
            self._skipped, self._rest = len(self._rest), b""

    def finish(self) -> Iterator[Line]:
        """Give the last line, if it has no end."""
        if self._skipped:
            yield self._line(None, self._skipped)
        elif self._rest:
            yield self._line(self._rest, len(self._rest))
        self._rest, self._skipped = b"", 0

    def _line(self, data: bytes | None, size: int) -> Line:
        self.number += 1
        self.consumed += size
        if data is not None and data.endswith(b"\r"):
            data = data[:-1]
        return Line(self.number, data, size)
