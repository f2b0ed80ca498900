"""The log's entries: one append-only file, and an index that can be made again.

Why a file and not a table: an entry is written once, read by number and never
changed; a file needs no database to be read in twenty years, `tail -f` follows it, and
append plus fsync is the whole durability protocol. It begins with
`dunes-log/1 <origin>`; each further line is an entry::

    <leaf hash, 64 hex digits> <entry bytes>

A line without its newline is the torn end of an append that was never acknowledged:
readers ignore it, the next writer cuts it off. A whole line whose hash is wrong is
damage, and is never cut off.

The index holds, per entry, where it ends (u64, big-endian) and the hashes that it
completes (32 bytes each). It is synced before a checkpoint is written, and trusted up
to the size in the checkpoint; what lies beyond is made again from the entries.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dunes.crypto.merkle import HASH_BYTES, leaf_hash, node_hash
from dunes.errors import DataError, StorageError
from dunes.mu.errors import LogDamaged
from dunes.mu.tree import completed_by, stored_hash_count, stored_hash_number

MAGIC = b"dunes-log/1 "
HEX_BYTES = 2 * HASH_BYTES
ENTRY_MAX_BYTES = 256 * 1024
HEADER_MAX_BYTES = 400
OFFSET_BYTES = 8
READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as it stands in the file.

    Attributes:
        index: from 0.
        data: the entry's bytes.
        leaf: its leaf hash.
        end: offset after its newline.
    """

    index: int
    data: bytes
    leaf: bytes
    end: int


def encode_header(origin: str) -> bytes:
    """Write the first line of a log."""
    return MAGIC + origin.encode() + b"\n"


def encode_row(data: bytes) -> bytes:
    """Write one entry's line.

    Raises:
        DataError: it holds a newline, is empty or too long.
    """
    if not data or b"\n" in data or len(data) > ENTRY_MAX_BYTES:
        raise DataError(
            f"a log entry is 1 to {ENTRY_MAX_BYTES} bytes without a newline", code="bad-entry"
        )
    return leaf_hash(data).hex().encode() + b" " + data + b"\n"


def read_origin(descriptor: int) -> tuple[str, int]:
    """Give (the log's name, the offset of its first entry).

    Raises:
        LogDamaged: the first line is not that of a log.
    """
    head = os.pread(descriptor, HEADER_MAX_BYTES, 0)
    line, newline, _ = head.partition(b"\n")
    if not newline or not line.startswith(MAGIC):
        raise LogDamaged("the log's first line is not that of a log")
    return line.removeprefix(MAGIC).decode("utf-8", "replace"), len(line) + 1


def read_rows(descriptor: int, offset: int, index: int) -> Iterator[Row]:
    """Read entries from an offset on, checking each; a torn end is left out.

    Args:
        descriptor: the open file.
        offset: where an entry begins.
        index: that entry's number.

    Raises:
        LogDamaged: a whole line that is no entry, or whose hash is wrong.
    """
    held = b""
    while chunk := os.pread(descriptor, READ_BYTES, offset + len(held)):
        held += chunk
        begin = 0
        while (end := held.find(b"\n", begin)) >= 0:
            yield _row(held[begin:end], index, offset + end + 1)
            begin, index = end + 1, index + 1
        held, offset = held[begin:], offset + begin
        if len(held) > ENTRY_MAX_BYTES + HEX_BYTES + 2:
            raise LogDamaged(f"entry {index} has no end")


def _row(line: bytes, index: int, end: int) -> Row:
    data = line[HEX_BYTES + 1 :]
    leaf = leaf_hash(data)
    if line[: HEX_BYTES + 1] != leaf.hex().encode() + b" ":
        raise LogDamaged(
            f"entry {index} is not what was written: its hash is wrong",
            hint="restore the log from a copy; dunes log verify shows how far it is good",
        )
    return Row(index, data, leaf, end)


class HashIndex:
    """The index: where entries end, and the tree's hashes; what is new waits in memory.

    Args:
        path: its file; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fresh = bytearray()
        self._file = -1
        self._kept = 0
        with suppress(FileNotFoundError):
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._kept = os.fstat(self._file).st_size
        self.size = _leaves_in(self._kept)
        self._kept = _position(self.size)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def shorten(self, size: int) -> None:
        """Take no more than the first `size` entries from the file."""
        self.size = min(self.size, size)
        self._kept = _position(self.size)
        self._fresh.clear()

    def _read(self, position: int, count: int) -> bytes:
        if position >= self._kept:
            at = position - self._kept
            found = bytes(self._fresh[at : at + count])
        else:
            found = os.pread(self._file, count, position)
        if len(found) < count:
            raise LogDamaged(f"{self.path} is cut", hint=f"rm {self.path}; it is made again")
        return found

    def end_of(self, index: int) -> int:
        """Give the offset after entry `index`."""
        return int.from_bytes(self._read(_position(index), OFFSET_BYTES), "big")

    def hash_at(self, level: int, n: int) -> bytes:
        """Give a stored hash; see `dunes.mu.tree`."""
        number = stored_hash_number(level, n)
        position = HASH_BYTES * number + OFFSET_BYTES * ((n + 1) << level)
        return self._read(position, HASH_BYTES)

    def add(self, row: Row) -> None:
        """Add the next entry, and the subtrees that it completes."""
        self._fresh += row.end.to_bytes(OFFSET_BYTES, "big") + row.leaf
        found, index = row.leaf, row.index
        for level in range(completed_by(row.index)):
            found = node_hash(self.hash_at(level, (index >> level) - 1), found)
            self._fresh += found
        self.size += 1

    def save(self) -> None:
        """Write what is new, and sync it; only the holder of the log's lock may."""
        if not self._fresh:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        try:
            file = os.open(self.path, flags, 0o600)
            try:
                # other readers may be at work: replace what is there by the same bytes
                write_all(file, self._fresh, self._kept)
                os.ftruncate(file, self._kept + len(self._fresh))
                os.fsync(file)
            finally:
                os.close(file)
            self.close()
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as e:
            raise StorageError(f"cannot write {self.path}: {e.strerror}") from e
        self._kept = _position(self.size)
        self._fresh.clear()


def write_all(file: int, content: bytes | bytearray, at: int) -> None:
    """Write bytes at an offset, all of them."""
    view = memoryview(content)
    try:
        while view:
            written = os.pwrite(file, view, at)
            rest = view[written:]
            view.release()
            view, at = rest, at + written
    finally:
        view.release()


def _position(leaves: int) -> int:
    """Give where the index ends for so many entries."""
    return HASH_BYTES * stored_hash_count(leaves) + OFFSET_BYTES * leaves


def _leaves_in(size_bytes: int) -> int:
    """Give how many entries an index of so many bytes holds completely."""
    low, high = 0, size_bytes // (HASH_BYTES + OFFSET_BYTES) + 1
    while low < high:
        middle = (low + high + 1) // 2
        if _position(middle) <= size_bytes:
            low = middle
        else:
            high = middle - 1
    return low
