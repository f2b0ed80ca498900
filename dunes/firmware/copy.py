"""Flash by copying a UF2 file to the volume of a bootloader.

The volume says in INFO_UF2.TXT what it is. The board restarts when it has all blocks, and
the volume goes away under our feet: that is how it says yes.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dunes.errors import NotFound, StorageError
from dunes.firmware.errors import Reason
from dunes.firmware.manifest import SIMULATED_BOARD, Manifest
from dunes.firmware.rules import Objection
from dunes.firmware.uf2 import INFO_FILE, INFO_MAX_BYTES, chip_of_info, parse_info, parse_uf2

TARGET_FILE = "FIRMWARE.UF2"
PIECE_BYTES = 64 * 1024
GONE = frozenset({errno.EIO, errno.ENODEV, errno.ENOENT, errno.ENXIO})
"""What a volume that went away answers."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The volume of a UF2 bootloader.

    Attributes:
        path: where it is mounted.
        board: its Board-ID.
        chip: as in `uf2.FAMILIES`; empty if we do not know it.
    """

    path: Path
    board: str
    chip: str


def read_volume(path: Path) -> Volume:
    """Look at a mounted volume.

    Raises:
        NotFound: it is not there, or is none of a UF2 bootloader.
        StorageError: it cannot be read.
    """
    try:
        with (path / INFO_FILE).open("rb") as file:
            info = parse_info(file.read(INFO_MAX_BYTES).decode("utf-8", "replace"))
    except (FileNotFoundError, NotADirectoryError) as e:
        raise NotFound(
            f"{path} is not the volume of a UF2 bootloader: it has no {INFO_FILE}",
            hint="press the board's reset button twice, and mount what appears",
            code="no-uf2-volume",
        ) from e
    except OSError as e:
        raise StorageError(f"cannot read {path / INFO_FILE}: {e.strerror}") from e
    return Volume(path, info.get("Board-ID", ""), chip_of_info(info))


def check_volume(manifest: Manifest, data: bytes, volume: Volume) -> list[Objection]:
    """Judge whether a UF2 file is for the board behind a volume.

    Raises:
        BadImage: it is no UF2 file; `check_file` has said so before.
    """
    if manifest.board == SIMULATED_BOARD:
        return [Objection(Reason.SIMULATED, f"{manifest.label} is for simulated nodes")]
    chip, told = parse_uf2(data).chip, volume.board or "the board"
    if not volume.chip:
        return [Objection(Reason.OTHER_BOARD, f"{told} does not say which chip it has")]
    if chip != volume.chip:
        return [
            Objection(
                Reason.OTHER_BOARD,
                f"{manifest.label} is for the chip {chip or 'that it does not name'}; "
                f"{told} has {volume.chip}",
            )
        ]
    return []


def copy_uf2(data: bytes, volume: Volume, tell: Callable[[int], None]) -> None:
    """Copy all blocks.

    Args:
        data: the UF2 file.
        volume: where to.
        tell: told how many bytes are there.

    Raises:
        StorageError: it broke off; the board keeps its bootloader, and can be tried again.
    """
    done = 0
    try:
        descriptor = os.open(
            volume.path / TARGET_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644
        )
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            while done < len(data):
                done += file.write(data[done : done + PIECE_BYTES])
                tell(done)
            os.fsync(file.fileno())
    except OSError as e:
        if done == len(data) and e.errno in GONE:
            return
        raise StorageError(
            f"the copy to {volume.path} broke off at {done} of {len(data)} bytes: {e.strerror}",
            hint="press the board's reset button twice, and repeat",
        ) from e
