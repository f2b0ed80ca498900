"""What virtual boards keep in their flash over a restart of the site.

`boards.json` says for each board which images lie in its slots and how they are marked; the
images themselves lie once each, by their SHA-256, however many boards have them.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from dunes.errors import StorageError
from dunes.paths import write_atomic
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


@dataclass(frozen=True, slots=True)
class KeptBoards:
    """The file."""

    version: int = VERSION
    boards: dict[str, KeptBoard] = field(default_factory=dict)


@dataclass(slots=True)
class BoardKeeper:
    """The flash of all boards, on the disk.

    Attributes:
        folder: where.
    """

    folder: Path
    _kept: dict[str, KeptBoard] = field(default_factory=dict)

    def load(self) -> None:
        """Read the file, if there is one.

        Raises:
            StorageError: it cannot be read.
        """
        path = self.folder / "boards.json"
        try:
            found = msgspec.json.decode(path.read_bytes(), type=KeptBoards)
        except FileNotFoundError:
            return
        except (msgspec.MsgspecError, OSError) as e:
            raise StorageError(f"{path}: {e}", hint=f"remove {self.folder}") from e
        if found.version != VERSION:
            raise StorageError(f"{path} has version {found.version}", hint=f"rm -r {self.folder}")
        self._kept = dict(found.boards)

    def fill(self, name: str, board: Board) -> None:
        """Put back what a board had.

        Raises:
            StorageError: an image is gone.
        """
        kept = self._kept.get(name)
        if kept is None:
            return
        board.slots = [Slot(self._image(digest)) for digest in kept.slots]
        board.confirmed, board.pending = kept.confirmed, kept.pending
        board.permanent, board.trial = kept.permanent, kept.trial

    def keep(self, name: str, board: Board) -> None:
        """Write down what a board has now, if that is another thing than before."""
        first, second = (self._store(slot.data) for slot in board.slots)
        now = KeptBoard(
            (first, second), board.confirmed, board.pending, board.permanent, board.trial
        )
        if self._kept.get(name) != now:
            self._kept[name] = now
            encoded = msgspec.json.encode(KeptBoards(boards=self._kept))
            write_atomic(self.folder / "boards.json", encoded)

    def _store(self, data: bytes) -> str:
        if not data:
            return ""
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / f"{digest}.bin"
        if not path.exists():
            write_atomic(path, data)
        return digest

    def _image(self, digest: str) -> bytes:
        try:
            return (self.folder / f"{digest}.bin").read_bytes() if digest else b""
        except OSError as e:
            raise StorageError(
                f"an image of a virtual board is gone: {e}", hint=f"rm -r {self.folder}"
            ) from e
