"""Flash through a debug probe (CMSIS-DAP, J-Link, ST-Link), by pyOCD.

The image goes to the primary slot, at the address that its manifest names; what was
written is read back and compared. There is no trial: who has a probe can repair a board.
"""

import io
from collections.abc import Callable
from typing import Any

from dunes.errors import ConfigError, NotFound, StorageError, Unavailable, UsageError
from dunes.firmware.manifest import Manifest
from dunes.text import printable

CHIPS = ("nrf52840", "nrf52833", "nrf52832")
"""pyOCD's names of chips that a board's name contains, the longer ones first."""
PIECE_BYTES = 4096


def chip_of_board(board: str) -> str:
    """Give pyOCD's name of the chip on a board, e.g. of `nrf52840dk/nrf52840`.

    Raises:
        UsageError: it is not known here.
    """
    found = next((chip for chip in CHIPS if chip in board.lower()), None)
    if found is None:
        raise UsageError(
            f"which chip the board {board} has is not known here",
            hint="pyocd load --target CHIP image.bin",
        )
    return found


def flash_by_probe(
    manifest: Manifest, data: bytes, serial: str, tell: Callable[[int], None]
) -> None:
    """Write an image through a probe, and read it back.

    Args:
        manifest: of it; names board and address.
        data: it.
        serial: of the probe; empty: the only one.
        tell: told how many bytes are there.

    Raises:
        ConfigError: pyOCD is not installed.
        NotFound: no such probe, or several and none was named.
        UsageError: the manifest names no address, or no chip that we know.
        Unavailable: the probe or the board does not do it.
        StorageError: what was read back is something else.
    """
    if manifest.address is None:
        raise UsageError(
            f"the manifest of {manifest.label} names no address for a debug probe",
            hint="dunes firmware add … --address 0xc000",
        )
    chip = chip_of_board(manifest.board)
    try:
        from pyocd.core.exceptions import Error  # type: ignore[import-not-found, unused-ignore]
        from pyocd.core.helpers import ConnectHelper  # type: ignore[import-not-found, unused-ignore]
        from pyocd.flash.file_programmer import FileProgrammer  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"a debug probe needs pyOCD, which is not installed ({e.name})",
            hint="pip install 'dunes-mcp[probe]'",
            code="no-pyocd",
        ) from e
    probes = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=serial or None)
    if len(probes) != 1:
        known = ", ".join(sorted(printable(p.unique_id, 40) for p in probes))
        raise NotFound(
            f"{len(probes)} debug probes match: {known}" if probes else "no debug probe is there",
            hint="--device probe:SERIAL" if probes else "lsusb; is its udev rule installed?",
            code="no-probe",
        )
    try:
        session = ConnectHelper.session_with_chosen_probe(
            unique_id=probes[0].unique_id, blocking=False, target_override=chip
        )
        with session:
            programmer = FileProgrammer(
                session, progress=lambda share: tell(int(share * len(data)))
            )
            programmer.program(io.BytesIO(data), file_format="bin", base_address=manifest.address)
            _compare(session.target, manifest.address, data)
            session.target.reset()
    except Error as e:
        raise Unavailable(
            f"the probe could not flash the board: {printable(str(e), 120)}",
            hint="is the board powered, and its debug port open?",
            code="probe-failed",
        ) from e


def _compare(target: Any, address: int, data: bytes) -> None:
    for at in range(0, len(data), PIECE_BYTES):
        wanted = data[at : at + PIECE_BYTES]
        if bytes(target.read_memory_block8(address + at, len(wanted))) != wanted:
            raise StorageError(
                f"what was written at {address + at:#x} reads back differently",
                hint="repeat; if it stays so, the flash is worn",
            )
