"""What virtual boards keep in their flash over a restart of the site.

A file per board says which images lie in its slots and how they are marked; the images
themselves lie once each, by their SHA-256, however many boards have them, and are in memory
once too. As with all that nodes keep: a killed process loses nothing, a power cut of the
computer may.
"""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from dunes.errors import StorageError
from dunes.sim.mcuboot import Board, Slot

VERSION = 1


@dataclass(frozen=True, slots=True)
class KeptBoard:
    """One board: SHA-256 of what lies in its slots, and the marks."""

    slots: tuple[str, str]
    confirmed: bool
    pending: bool
    permanent: bool
    trial: bool
    version: int = VERSION


@dataclass(slots=True)
class BoardKeeper:
    """The flash of all boards, on the disk.

    Attributes:
        folder: where.
    """

    folder: Path
    _kept: dict[str, KeptBoard] = field(default_factory=dict)
    _images: dict[str, bytes] = field(default_factory=dict)

    def fill(self, name: str, board: Board) -> None:
        """Put back what a board had, if it had anything.

        Raises:
            StorageError: it cannot be read.
        """
        path = self.folder / f"{name}.json"
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=KeptBoard)
            if kept.version != VERSION:
                raise StorageError(f"{path} has version {kept.version}", hint=f"rm {path}")
            board.slots = [Slot(self._image(digest)) for digest in kept.slots]
        except FileNotFoundError:
            if path.exists():
                raise StorageError(
                    f"an image of the virtual board {name} is gone", hint=f"rm {path}"
                ) from None
            return
        except (msgspec.MsgspecError, OSError) as e:
            raise StorageError(f"{path}: {e}", hint=f"rm {path}; the node is new then") from e
        self._kept[name] = kept
        board.confirmed, board.pending = kept.confirmed, kept.pending
        board.permanent, board.trial = kept.permanent, kept.trial

    def keep(self, name: str, board: Board) -> None:
        """Write down what a board has now, if that is another thing than before."""
        first, second = (self._store(slot) for slot in board.slots)
        now = KeptBoard(
            (first, second), board.confirmed, board.pending, board.permanent, board.trial
        )
        if self._kept.get(name) != now:
            self._kept[name] = now
            self._write(f"{name}.json", msgspec.json.encode(now))

    def _store(self, slot: Slot) -> str:
        """Write what lies in a slot, once for all boards; gives its SHA-256."""
        if not slot.data:
            return ""
        digest = hashlib.sha256(slot.data).hexdigest()
        slot.data = self._images.setdefault(digest, slot.data)
        if not (self.folder / f"{digest}.bin").exists():
            self._write(f"{digest}.bin", slot.data)
        return digest

    def _write(self, name: str, content: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.folder / f"{name}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(self.folder / name)

    def _image(self, digest: str) -> bytes:
        if digest and digest not in self._images:
            self._images[digest] = (self.folder / f"{digest}.bin").read_bytes()
        return self._images.get(digest, b"")
