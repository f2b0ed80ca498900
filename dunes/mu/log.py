"""The transparency log of one place: every receipt it signed, in order, for good.

In its directory: `entries` (see `logfile`), `index` (can be made again), `checkpoint`
(the last signed state), `checkpoint.cosigned` (the last one that somebody else
countersigned) and `lock`. Opening checks the last entry and compares the tree with
both checkpoints, so a log that was cut is noticed by whoever uses it next; a change
inside an older entry is noticed by whoever reads it, and by `verify_all`.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from dunes.crypto.errors import BadSignature
from dunes.crypto.merkle import leaf_hash
from dunes.errors import NotFound, StorageError
from dunes.mu import logfile
from dunes.mu.checkpoint import (
    Checkpoint,
    cosigners_of,
    log_signers_of,
    read_checkpoint,
    sign_checkpoint,
)
from dunes.mu.dsse import Envelope
from dunes.mu.errors import LogDamaged, NotTheSame, Signer
from dunes.mu.logfile import HashIndex, Row
from dunes.mu.note import Note, NoteSignature, name_of, read_note
from dunes.mu.proof import encode_proof
from dunes.mu.statement import Statement
from dunes.mu.tree import prove_consistency, prove_inclusion, root_at
from dunes.mu.verdict import Find, LogEvidence
from dunes.mu.witness import encode_request
from dunes.paths import write_atomic

ENTRIES, INDEX, LOCK = "entries", "index", "lock"
CHECKPOINT, COSIGNED = "checkpoint", "checkpoint.cosigned"


class TransparencyLog:
    """A log, open for reading; `append` and `sign` take its lock for a moment.

    Args:
        directory: where it is kept.

    Raises:
        NotFound: there is no log.
        LogDamaged: its entries are not what was written, or fewer than signed for.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            self._file = os.open(directory / ENTRIES, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as e:
            raise no_log(directory) from e
        except PermissionError:
            self._file = os.open(directory / ENTRIES, os.O_RDONLY | os.O_CLOEXEC)
        self._index = HashIndex(directory / INDEX)
        try:
            self.origin, self._first = logfile.read_origin(self._file)
            note = self.note()
            self._index.shorten(read_checkpoint(note.text).size if note is not None else 0)
            self._catch_up()
            self._compare()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, directory: Path, *, origin: str) -> Self:
        """Open a log, making it first if there is none.

        Args:
            directory: where it is kept.
            origin: the name of a new log, e.g. `dunes/<kid>`.
        """
        if not (directory / ENTRIES).exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(directory):
                if not (directory / ENTRIES).exists():
                    write_atomic(directory / ENTRIES, logfile.encode_header(origin))
        return cls(directory)

    def close(self) -> None:
        """Close the files."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._index.close()

    def __enter__(self) -> Self:
        """Give the log."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    # reading

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._index.size

    @property
    def end(self) -> int:
        """Offset after the last whole entry."""
        return self._index.end_of(self.size - 1) if self.size else self._first

    def root(self, size: int | None = None) -> bytes:
        """Give the root over the first `size` entries, by default over all."""
        return root_at(self.size if size is None else size, self._index.hash_at)

    def state(self, size: int | None = None) -> Checkpoint:
        """Give the log's state as a checkpoint, not signed."""
        count = self.size if size is None else size
        return Checkpoint(self.origin, count, self.root(count))

    def entry(self, index: int) -> bytes:
        """Give one entry's bytes.

        Raises:
            NotFound: there is no such entry.
            LogDamaged: it is not what was written.
        """
        if not 0 <= index < self.size:
            raise NotFound(
                f"the log has no entry {index}; it has {self.size}",
                hint="dunes log show",
                code="no-entry",
            )
        begin = self._index.end_of(index - 1) if index else self._first
        for row in logfile.read_rows(self._file, begin, index):
            return row.data
        raise LogDamaged(f"entry {index} is cut")

    def rows(self) -> Iterator[Row]:
        """Read all entries, checking each."""
        return logfile.read_rows(self._file, self._first, 0)

    def find(self, data: bytes) -> int | None:
        """Give the index of an entry with these bytes, by its leaf hash."""
        wanted = leaf_hash(data)
        for index in range(self.size - 1, -1, -1):
            if self._index.hash_at(0, index) == wanted:
                return index
        return None

    def note(self, name: str = CHECKPOINT) -> Note | None:
        """Give a kept checkpoint; None if there is none."""
        try:
            return read_note((self.directory / name).read_bytes())
        except FileNotFoundError:
            return None

    # proving

    def prove_inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Prove an entry's place among the first `size` entries."""
        return prove_inclusion(index, self.size if size is None else size, self._index.hash_at)

    def prove_consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Prove that the first `old` entries are the start of the first `size`."""
        return prove_consistency(old, self.size if size is None else size, self._index.hash_at)

    def proof(self, index: int) -> bytes:
        """Write an entry's proof against the best kept checkpoint that covers it.

        Raises:
            NotFound: no checkpoint covers the entry.
        """
        for name in (COSIGNED, CHECKPOINT):
            note = self.note(name)
            if note is not None:
                size = read_checkpoint(note.text).size
                if index < size <= self.size:
                    return encode_proof(index, self.prove_inclusion(index, size), note.encode())
        raise NotFound(f"no checkpoint covers entry {index}", hint="dunes log show --sign")

    def request_cosignature(self, old: int) -> tuple[Note, bytes] | None:
        """Make a request to countersign the last checkpoint (see `dunes.mu.witness`).

        Args:
            old: the size that the witness countersigned last, 0 if none or unknown.

        Returns:
            The checkpoint, to be given to `add_cosignature` with the line that comes back,
            and the request; None if there is nothing to countersign. With `old` the
            present size the answer is asked for again, as it was lost on its way.
        """
        note = self.note()
        size = read_checkpoint(note.text).size if note is not None else 0
        if note is None or size < old:
            return None
        proof = self.prove_consistency(old, size) if old else []
        return note, encode_request(old, proof, note.encode())

    def cosigned_size(self) -> int:
        """Give the size of the last countersigned checkpoint; 0 if there is none."""
        note = self.note(COSIGNED)
        return read_checkpoint(note.text).size if note is not None else 0

    def look_up(self, envelope: Envelope, statement: Statement, find: Find) -> LogEvidence | None:
        """Say what this log knows about a receipt's envelope; None: it is of no log or another.

        Raises:
            NotTheSame: a checkpoint of ours carries a bad signature by a known key.
        """
        if statement.log_origin is not None and statement.log_origin != self.origin:
            return None
        index = statement.log_index
        if index is None:
            index = self.find(envelope.raw)  # it never said that it was logged
            if index is None:
                return None
        held = index < self.size and self._index.hash_at(0, index) == leaf_hash(envelope.raw)
        if not held:
            if statement.log_origin is None:
                return None  # it does not say which log; another one, it seems
            message = f"entry {index} of log {self.origin} is another one"
            return LogEvidence(self.origin, None, message=message)
        return LogEvidence(self.origin, index, self._cosigners(index, find))

    def _cosigners(self, index: int, find: Find) -> tuple[str, ...]:
        note = self.note(COSIGNED)
        if note is None or read_checkpoint(note.text).size <= index:
            return ()
        try:
            own = set(log_signers_of(note, find))
            return tuple(kid for kid in cosigners_of(note, find) if kid not in own)
        except BadSignature as e:
            raise NotTheSame(f"the countersigned checkpoint: {e.message}", code=e.code) from e

    # writing

    def append(self, makers: Sequence[Callable[[int], bytes]]) -> list[int]:
        """Append entries; they are on disk when this returns.

        Args:
            makers: each is given the index its entry will have, and gives its bytes.

        Returns:
            The indexes.

        Raises:
            LogDamaged: the entries are not what was written; nothing is appended.
            StorageError: the disk said no; nothing counts as appended.
        """
        with _locked(self.directory):
            self._catch_up()
            self._compare()
            first, begin = self.size, self.end
            rows = []
            content = bytearray()
            for number, make in enumerate(makers):
                data = make(first + number)
                content += logfile.encode_row(data)
                rows.append(Row(first + number, data, leaf_hash(data), begin + len(content)))
            try:
                os.ftruncate(self._file, begin)  # a torn end was never acknowledged
                logfile.write_all(self._file, content, begin)
                os.fsync(self._file)
            except OSError as e:
                with suppress(OSError):
                    os.ftruncate(self._file, begin)
                raise StorageError(f"cannot append to the log: {e.strerror}") from e
            for row in rows:
                self._index.add(row)
        return [row.index for row in rows]

    def sign(self, signer: Signer, public: bytes) -> Note:
        """Sign the log's state and keep it as its checkpoint.

        Args:
            signer: the log's key.
            public: its raw public key.
        """
        with _locked(self.directory):
            self._catch_up()
            self._compare()
            note = sign_checkpoint(self.state(), signer, public)
            self._index.save()
            write_atomic(self.directory / CHECKPOINT, note.encode(), mode=0o644)
        return note

    def add_cosignature(self, note: Note, signature: NoteSignature, find: Find) -> Note:
        """Keep a countersigned checkpoint, after verifying that it is one.

        Args:
            note: the checkpoint that was sent out.
            signature: the line that came back.
            find: gives the key of a key id, None if it is not believed.

        Raises:
            BadSignature: not a cosignature by a known key.
            NotTheSame: the checkpoint is not one of this log.
        """
        full = note.with_signature(signature)
        if not any(name_of(kid) == signature.name for kid in cosigners_of(full, find)):
            raise BadSignature(f"no cosignature of a key that is believed here: {signature.name}")
        with _locked(self.directory):
            self._catch_up()
            self._require_ours(read_checkpoint(full.text), "the countersigned checkpoint")
            kept = self.note(COSIGNED)
            if kept is not None and kept.text == full.text:
                full = kept.with_signature(signature)
            write_atomic(self.directory / COSIGNED, full.encode(), mode=0o644)
        return full

    # recovery and verification

    def _catch_up(self) -> None:
        """Index what the file holds beyond the index; if that is not its own, all of it."""
        held = os.fstat(self._file).st_size
        if self.size and not self._index_is_ours(held):
            self._index.shorten(0)
        for row in logfile.read_rows(self._file, self.end, self.size):
            self._index.add(row)

    def _index_is_ours(self, held: int) -> bool:
        """Tell whether the index's last entry is the one in the file."""
        last = self.size - 1
        begin = self._index.end_of(last - 1) if last else self._first
        if not self._first <= begin < self.end <= held:
            return False
        try:
            row = next(logfile.read_rows(self._file, begin, last), None)
        except LogDamaged:
            return False
        return row is not None and (row.end, row.leaf) == (self.end, self._index.hash_at(0, last))

    def _compare(self) -> None:
        """Compare the entries with the kept checkpoints; doubt the index before the entries."""
        try:
            self._compare_once()
        except LogDamaged:
            self._index.shorten(0)
            self._catch_up()
            self._compare_once()

    def _compare_once(self) -> None:
        for name in (CHECKPOINT, COSIGNED):
            note = self.note(name)
            if note is None:
                continue
            try:
                self._require_ours(read_checkpoint(note.text), f"its {name}")
            except NotTheSame as e:
                raise LogDamaged(
                    f"log {self.origin}: {e.message}",
                    hint="restore the log from a copy; dunes log verify tells more",
                    code=e.code,
                ) from e

    def _require_ours(self, checkpoint: Checkpoint, what: str) -> None:
        if checkpoint.origin != self.origin:
            raise NotTheSame(f"{what} is of log {checkpoint.origin}")
        if checkpoint.size > self.size:
            raise NotTheSame(
                f"{what} counts {checkpoint.size} entries, the log holds {self.size}: "
                "entries were lost",
                code="log-shrunk",
            )
        if self.root(checkpoint.size) != checkpoint.root:
            raise NotTheSame(f"{what} and the entries disagree: entries were changed")


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the log's lock, alone."""
    try:
        file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise StorageError(f"cannot lock the log: {e.strerror}", hint=f"ls -l {directory}") from e
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def no_log(directory: Path) -> NotFound:
    """Make the error for a log that is not there."""
    return NotFound(
        f"there is no log yet ({directory})",
        hint="dunes markup-generate --input FILE writes its first entry",
        code="no-log",
    )


def log_directory(state: Path) -> Path:
    """Say where the log is kept under the state directory."""
    return state / "log"
