"""Verify a whole log, trusting neither its index nor its checkpoints."""

import os
from dataclasses import dataclass
from pathlib import Path

from dunes.crypto.errors import BadSignature
from dunes.mu import logfile
from dunes.mu.checkpoint import Checkpoint, cosigners_of, log_signers_of, read_checkpoint
from dunes.mu.errors import BadNote, LogDamaged
from dunes.mu.log import CHECKPOINT, COSIGNED, ENTRIES, no_log
from dunes.mu.logfile import HashIndex
from dunes.mu.note import read_note
from dunes.mu.tree import root_at
from dunes.mu.verdict import Find


@dataclass(frozen=True, slots=True)
class FullCheck:
    """What a full verification found.

    Attributes:
        size: entries that are good.
        root: over them.
        damaged: what is wrong with the entries, or None.
        checkpoint_size: size in the last checkpoint; None if there is none.
        signers: known keys that signed it.
        cosigned_size: size in the last countersigned checkpoint; None if there is none.
        cosigners: known keys that countersigned it.
        contradictions: what the checkpoints and the entries disagree about.
    """

    size: int
    root: bytes
    damaged: str | None
    checkpoint_size: int | None
    signers: tuple[str, ...]
    cosigned_size: int | None
    cosigners: tuple[str, ...]
    contradictions: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.damaged is None and not self.contradictions


def verify_all(directory: Path, find: Find) -> FullCheck:
    """Verify a whole log, trusting neither its index nor its checkpoints.

    Args:
        directory: where it is kept.
        find: gives the key of a key id, None if it is not believed.

    Raises:
        NotFound: there is no log.
        LogDamaged: its first line is not that of a log.
    """
    try:
        file = os.open(directory / ENTRIES, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as e:
        raise no_log(directory) from e
    index = HashIndex(directory / "no index: made in memory")
    damaged = None
    try:
        origin, first = logfile.read_origin(file)
        try:
            for row in logfile.read_rows(file, first, 0):
                index.add(row)
        except LogDamaged as e:
            damaged = e.message
    finally:
        os.close(file)
    wrong: list[str] = []
    sizes: list[int | None] = []
    kids: list[tuple[str, ...]] = []
    for name, signers in ((CHECKPOINT, log_signers_of), (COSIGNED, cosigners_of)):
        size: int | None = None
        who: tuple[str, ...] = ()
        try:
            note = read_note((directory / name).read_bytes())
            checkpoint = read_checkpoint(note.text)
            size = checkpoint.size
            complaint = _contradiction(checkpoint, origin, index)
            if complaint is not None:
                wrong.append(f"{name}: {complaint}")
            who = signers(note, find)
        except FileNotFoundError:
            pass
        except (BadNote, BadSignature) as e:
            wrong.append(f"{name}: {e.message}")
        sizes.append(size)
        kids.append(who)
    root = root_at(index.size, index.hash_at)
    return FullCheck(index.size, root, damaged, sizes[0], kids[0], sizes[1], kids[1], tuple(wrong))


def _contradiction(checkpoint: Checkpoint, origin: str, index: HashIndex) -> str | None:
    if checkpoint.origin != origin:
        return f"it is of log {checkpoint.origin}"
    if checkpoint.size > index.size:
        return f"it counts {checkpoint.size} entries, {index.size} are good"
    if root_at(checkpoint.size, index.hash_at) != checkpoint.root:
        return "its root is not that of the entries"
    return None
