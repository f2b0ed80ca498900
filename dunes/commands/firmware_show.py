"""`dunes firmware show`: one firmware, with everything that is known of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.firmware_list import FirmwareRow, row_of, signed_by
from dunes.commands.firmware_options import Catalogues, find_shelf
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.firmware.catalogue import Firmware
    from dunes.firmware.shelf import Shelf


@dataclass(frozen=True, slots=True)
class ImageRow:
    """What an MCUboot image says of itself.

    Attributes:
        hash: what a node calls it.
        hash_algorithm: of that.
        hash_checked: whether it is right; false where the body is encrypted.
        signature: kind of the bootloader's signature; empty if there is none.
        key_hash: SHA-256 of the key that signed for the bootloader.
        board: that the image itself names; empty if it does not.
        flags: of the header.
        header_bytes, body_bytes, padding_bytes: sizes.
    """

    hash: str
    hash_algorithm: str
    hash_checked: bool
    signature: str
    key_hash: str
    board: str
    flags: tuple[str, ...]
    header_bytes: int
    body_bytes: int
    padding_bytes: int


@dataclass(frozen=True, slots=True)
class ObjectionRow:
    """A reason not to flash it."""

    reason: str
    message: str
    forceable: bool


@dataclass(frozen=True, slots=True)
class FirmwareReport:
    """One firmware.

    Attributes:
        firmware: as in the list.
        sha256: of the image file.
        min_bootloader: the oldest bootloader that takes it; empty: any.
        address: where a debug probe writes it; null: not told.
        created: when it was added.
        place: its folder in the catalogue.
        image: what the image says; null for UF2, or where it cannot be read.
        objections: what speaks against flashing it, whatever the node.
    """

    firmware: FirmwareRow
    sha256: str
    min_bootloader: str
    address: int | None
    created: str
    place: str
    image: ImageRow | None
    objections: tuple[ObjectionRow, ...]


@dataclass(frozen=True, slots=True)
class FirmwareShown:
    """The firmware of one name and version, for each board."""

    found: tuple[FirmwareReport, ...]


@command(schema="dunes.firmware-show/1", report="dunes.commands.firmware_show:FirmwareShown")
def show(
    screen: Screen,
    firmware: Annotated[
        str, typer.Argument(metavar="NAME", help="For example ble-mesh-v1.2, or ble-mesh.")
    ],
    board: Annotated[str, typer.Option(metavar="BOARD", help="Only that for one board.")] = "",
    catalogue: Catalogues = None,
) -> int:
    """Show one firmware: its manifest, its image, and what speaks against it."""
    from dunes.firmware.manifest import Wanted
    from dunes.settings import load
    from dunes.site import running_site

    settings = load()
    wanted = Wanted.parse(firmware)
    shelf = find_shelf(settings, running_site(settings.paths), catalogue, wanted.name)
    found = shelf.named(wanted, board=board)
    screen.show(FirmwareShown(tuple(report_of(f, shelf) for f in found)), lines)
    return Exit.OK


def report_of(firmware: "Firmware", shelf: "Shelf") -> FirmwareReport:
    """Read and judge a firmware."""
    from dunes.firmware.errors import FORCEABLE

    manifest = firmware.manifest
    return FirmwareReport(
        firmware=row_of(firmware, shelf),
        sha256=manifest.sha256,
        min_bootloader=manifest.min_bootloader,
        address=manifest.address,
        created=manifest.created,
        place=firmware.place,
        image=image_row(shelf.image(firmware)) if manifest.kind == "mcuboot" else None,
        objections=tuple(
            ObjectionRow(o.reason, o.message, o.reason in FORCEABLE)
            for o in shelf.objections(firmware)
        ),
    )


def image_row(data: bytes) -> ImageRow | None:
    """Read an image; None if it is none."""
    from dunes.firmware.errors import BadImage
    from dunes.firmware.image import parse_image

    try:
        image = parse_image(data)
    except BadImage:
        return None
    return ImageRow(
        hash=image.hash.hex(),
        hash_algorithm=image.hash_algorithm,
        hash_checked=image.hash_checked,
        signature=image.signature,
        key_hash=image.key_hash,
        board=image.board,
        flags=image.flag_names,
        header_bytes=image.header_bytes,
        body_bytes=image.body_bytes,
        padding_bytes=image.padding_bytes,
    )


def lines(report: FirmwareShown) -> Iterator[str]:
    """Write one after the other."""
    for number, found in enumerate(report.found):
        if number:
            yield ""
        yield from firmware_lines(found)


def firmware_lines(report: FirmwareReport) -> Iterator[str]:
    """Write one firmware."""
    row, image = report.firmware, report.image
    yield f"firmware      {row.firmware} ({row.version})"
    if row.about:
        yield f"about         {printable(row.about)}"
    yield f"board         {printable(row.board)}" + (" (simulated)" if row.simulated else "")
    yield f"image         {row.kind}, {row.size_bytes} bytes, sha256 {report.sha256}"
    if image is not None:
        for name, value in asdict(image).items():
            shown = ", ".join(value) if isinstance(value, tuple) else value
            if shown not in {"", None}:
                yield f"  {name:<16} {printable(str(shown), 140)}"
    if report.min_bootloader:
        yield f"bootloader    {report.min_bootloader} or newer"
    if report.address is not None:
        yield f"address       {report.address:#x}, for a debug probe"
    yield f"signed by     {signed_by(row)}"
    yield f"added         {printable(report.created)}"
    yield f"in            {printable(row.source)}/{report.place}"
    for objection in report.objections:
        forced = f" (--force {objection.reason})" if objection.forceable else ""
        yield f"REFUSED       {printable(objection.message)}{forced}"
