"""`dunes firmware list`: all firmware that is at hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dunes.commands.firmware_options import Catalogues, find_shelf
from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.firmware.catalogue import Firmware
    from dunes.firmware.shelf import Shelf


@dataclass(frozen=True, slots=True)
class FirmwareRow:
    """One firmware.

    Attributes:
        firmware: its name with its version, as `dunes flash-node --firmware` takes it.
        version: whole.
        board: for which it was built.
        kind: mcuboot or uf2.
        size_bytes: of the image.
        signer: kid that its signature names; empty if it is unsigned.
        believed: whether that key may sign firmware here.
        simulated: for virtual nodes only.
        source: the catalogue in which it lies.
        about: a line for people.
    """

    firmware: str
    version: str
    board: str
    kind: str
    size_bytes: int
    signer: str
    believed: bool
    simulated: bool
    source: str
    about: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """Firmware that cannot be read."""

    place: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FirmwareList:
    """All firmware that is at hand; `bad` cannot be read."""

    firmware: tuple[FirmwareRow, ...]
    bad: tuple[BadRow, ...]


def row_of(firmware: "Firmware", shelf: "Shelf") -> FirmwareRow:
    """Describe a firmware."""
    manifest = firmware.manifest
    return FirmwareRow(
        firmware=manifest.label,
        version=str(manifest.version),
        board=manifest.board,
        kind=manifest.kind,
        size_bytes=manifest.size_bytes,
        signer=firmware.claimed,
        believed=firmware.signer in shelf.believed_for(manifest),
        simulated=manifest.simulated,
        source=firmware.source.name,
        about=manifest.about,
    )


@command(schema="dunes.firmware-list/1", report="dunes.commands.firmware_list:FirmwareList")
def list_(screen: Screen, catalogue: Catalogues = None) -> int:
    """List all firmware that is at hand, and who signed it."""
    from dunes.settings import load
    from dunes.site import running_site

    settings = load()
    shelf = find_shelf(settings, running_site(settings.paths), catalogue)
    rows = tuple(row_of(firmware, shelf) for firmware in shelf.firmware)
    bad = tuple(BadRow(b.place, b.error.code, b.error.message) for b in shelf.bad)
    screen.show(FirmwareList(rows, bad), lines)
    return Exit.OK


def lines(report: FirmwareList) -> Iterator[str]:
    """Write a table, then what is wrong."""
    from dunes.units import show_size

    if not report.firmware:
        yield "no firmware here; dunes firmware add FILE takes what west built"
    else:
        yield from table_lines(
            ("FIRMWARE", "BOARD", "SIZE", "SIGNED BY", "IN"),
            (
                (
                    row.firmware,
                    printable(row.board, 40),
                    show_size(row.size_bytes),
                    signed_by(row),
                    printable(row.source, 80),
                )
                for row in report.firmware
            ),
        )
    for bad in report.bad:
        yield f"bad: {printable(bad.place, 200)}: {printable(bad.message)}"


def signed_by(row: FirmwareRow) -> str:
    """Write who signed, and whether that counts."""
    if not row.signer:
        return "nobody"
    return row.signer[:8] + ("" if row.believed else ", a stranger")
