"""`dunes firmware add`: take what west built into the catalogue."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.commands.firmware_list import FirmwareRow, signed_by
from dunes.commands.keys_options import (
    KeyFile,
    PassphraseFd,
    PassphraseFile,
    given_passphrase,
    open_keys,
)
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.firmware.manifest import Manifest


@dataclass(frozen=True, slots=True)
class AddReport:
    """Firmware that was added.

    Attributes:
        firmware: as in the list.
        folder: where it lies.
        dry_run: nothing was written.
    """

    firmware: FirmwareRow
    folder: str
    dry_run: bool


@command(schema="dunes.firmware-add/1", report="dunes.commands.firmware_add:AddReport")
def add(
    screen: Screen,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A signed MCUboot image (zephyr.signed.bin), or UF2."),
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="Its name.")] = "ble-mesh",
    board: Annotated[
        str,
        typer.Option(
            metavar="BOARD",
            help="For which board it was built, as west names it; default: as the image says.",
        ),
    ] = "",
    version: Annotated[
        str, typer.Option(metavar="VERSION", help="Of a UF2 file, which does not know it.")
    ] = "",
    about: Annotated[str, typer.Option(metavar="TEXT", help="A line for people.")] = "",
    min_bootloader: Annotated[
        str, typer.Option(metavar="VERSION", help="The oldest bootloader that takes it.")
    ] = "",
    address: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where a debug probe writes it, e.g. 0xc000."),
    ] = "",
    catalogue: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Into this catalogue instead of this place's own."),
    ] = None,
    key: KeyFile = None,
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check it, but write nothing.")
    ] = False,
) -> int:
    """Take an image that west built into the catalogue, and sign it.

    The image is not changed: the bootloader's signature in it stays what it is. What is
    signed here, with this place's key, is the manifest beside it; `dunes flash-node` wants
    it signed by this place or by an operator's key that it trusts.
    """
    from dunes.crypto.hardening import harden_process
    from dunes.firmware import catalogue as shelf
    from dunes.paths import find_paths

    paths = find_paths()
    folder = shelf.Folder(catalogue) if catalogue else shelf.Folder.at(paths)
    data = read_image_file(file)
    manifest = describe(
        data,
        name,
        board,
        version,
        about=printable(about, 200),
        min_bootloader=min_bootloader,
        address=parse_address(address),
    )
    signer = ""
    if not dry_run:
        harden_process()
        secret = given_passphrase(passphrase_file, passphrase_fd)
        keys = open_keys(screen, paths, key, secret)
        signer = shelf.add(folder, manifest, data, keys.signing).signer
    row = FirmwareRow(
        firmware=manifest.label,
        version=str(manifest.version),
        board=manifest.board,
        kind=manifest.kind,
        size_bytes=manifest.size_bytes,
        signer=signer,
        believed=key is None and not dry_run,
        simulated=manifest.simulated,
        source=folder.name,
        about=manifest.about,
    )
    screen.show(AddReport(row, str(folder.path / manifest.place), dry_run), lines)
    return Exit.OK


def read_image_file(path: Path) -> bytes:
    """Read the file, no more than an image can have.

    Raises:
        NotFound, StorageError: the file.
    """
    from dunes.commands.seal_files import reading
    from dunes.firmware.uf2 import SIZE_MAX_BYTES

    with reading(path) as source:
        data = bytearray()
        while len(data) <= SIZE_MAX_BYTES and (part := source.read(1 << 20)):
            data += part
    return bytes(data)


def describe(data: bytes, name: str, board: str, version: str, **more: Any) -> "Manifest":
    """Make the manifest of an image.

    Raises:
        BadImage: it is none, or is damaged.
        UsageError: what has to be said was not, or contradicts the image.
    """
    from dunes.clock import SYSTEM_CLOCK, rfc3339
    from dunes.firmware.image import parse_image
    from dunes.firmware.manifest import manifest_of, manifest_of_uf2
    from dunes.firmware.rules import same_board
    from dunes.firmware.uf2 import HEAD, MAGIC_FIRST, parse_uf2
    from dunes.firmware.version import Version

    created = rfc3339(SYSTEM_CLOCK.unix_us() // 1_000_000 * 1_000_000)
    if len(data) >= HEAD.size and HEAD.unpack_from(data)[0] == MAGIC_FIRST:
        parse_uf2(data)
        if not board or not version:
            raise UsageError(
                "a UF2 file names neither board nor version",
                hint="--board BOARD --version VERSION",
            )
        return manifest_of_uf2(data, name, Version.parse(version), board, created, **more)
    image = parse_image(data)
    if version and Version.parse(version) != image.version:
        raise UsageError(f"the image says that it is {image.version}, not {version}")
    if board and image.board and not same_board(image.board, board):
        raise UsageError(f"the image says that it is for {image.board}, not for {board}")
    if not (board or image.board):
        raise UsageError(
            "the image does not say for which board it is",
            hint="--board nrf52840dk/nrf52840, as west was told",
        )
    return manifest_of(image, name, board or image.board, created, **more)


def parse_address(text: str) -> int | None:
    """Read `0xc000`.

    Raises:
        UsageError: no address.
    """
    try:
        return int(text, 0) if text else None
    except ValueError as e:
        raise UsageError(f"{text[:40]!r} is no address", hint="--address 0xc000") from e


def lines(report: AddReport) -> Iterator[str]:
    """Tell what was added."""
    row = report.firmware
    verb = "would add" if report.dry_run else "added"
    size = f"{row.size_bytes} bytes"
    yield f"{verb} {row.firmware} ({row.version}) for {printable(row.board)}, {size}"
    if not report.dry_run:
        yield f"signed by {signed_by(row)}"
        yield f"in {printable(report.folder)}"
