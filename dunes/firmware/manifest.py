"""What a firmware is: its manifest, and how firmware is named.

`ble-mesh-v1.2` is the firmware `ble-mesh` in version 1.2; there may be one for each board.
A manifest is a JSON file of its own; its signature lies beside it as `dunes sign` writes
it (ML-DSA-65), so any tool that verifies those verifies this.

Source: docs/formats.md, "Firmware manifest".
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from dunes.errors import UsageError
from dunes.firmware.errors import BadManifest
from dunes.firmware.image import Image, board_entry
from dunes.firmware.version import Version

SCHEMA = "dunes.firmware/1"
SIMULATED_BOARD = "simulated"
"""The board that only virtual nodes have."""
MANIFEST_MAX_BYTES = 64 * 1024
SHA256_DIGITS = 64
KINDS = ("mcuboot", "uf2")
FILES = {"mcuboot": "image.bin", "uf2": "image.uf2"}
"""Name of the image beside the manifest, by kind; never taken from the manifest."""
TEXT_MAX = 200
ADDRESS_MAX = 0xFFFFFFFF
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,38}[a-z0-9])?")
_WANTED = re.compile(r"(?P<name>.+?)(?:-v(?P<version>[0-9][0-9.+]*))?")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")


class Wanted(NamedTuple):
    """A firmware as people name it: a name, and a version unless the latest is meant."""

    name: str
    version: Version | None

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """Read `ble-mesh-v1.2` or `ble-mesh`.

        Raises:
            UsageError: neither.
        """
        found = _WANTED.fullmatch(text)
        if found is None or _NAME.fullmatch(found["name"]) is None:
            raise UsageError(
                f"{text[:80]!r} does not name a firmware", hint="for example ble-mesh-v1.2"
            )
        return cls(found["name"], Version.parse(found["version"]) if found["version"] else None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What somebody signed about an image.

    Attributes:
        name: e.g. `ble-mesh`.
        version: e.g. 1.2.0.
        board: for which it was built, as west names it: `nrf52840dk/nrf52840`.
        kind: `mcuboot` or `uf2`.
        size_bytes: of the image file.
        sha256: of the image file, hexadecimal.
        image_hash: of an MCUboot image, what a node calls it; empty for UF2.
        min_bootloader: the oldest bootloader that takes it; empty: any.
        address: where in flash a debug probe writes it; None: not told.
        simulated: for virtual nodes only.
        about: a line for people.
        created: when it was added, RFC 3339.
    """

    name: str
    version: Version
    board: str
    kind: str
    size_bytes: int
    sha256: str
    image_hash: str = ""
    min_bootloader: str = ""
    address: int | None = None
    simulated: bool = False
    about: str = ""
    created: str = ""

    @property
    def label(self) -> str:
        """Its name with its version: `ble-mesh-v1.2`."""
        return f"{self.name}-v{self.version.short}"

    @property
    def place(self) -> str:
        """The folder of it in a catalogue: `ble-mesh-v1.2/nrf52840dk_nrf52840`."""
        return f"{self.label}/{re.sub(r'[^A-Za-z0-9.@-]', '_', self.board)}"

    @property
    def file(self) -> str:
        """Name of the image's file."""
        return FILES[self.kind]

    def encode(self) -> bytes:
        """Write it as the bytes that are signed."""
        body = {"schema": SCHEMA} | asdict(self) | {"version": str(self.version)}
        return json.dumps(body, indent=1, ensure_ascii=False).encode() + b"\n"


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest; unknown keys are passed over.

    Raises:
        BadManifest: it is none, or a value is impossible.
    """
    if len(data) > MANIFEST_MAX_BYTES:
        raise BadManifest(f"a firmware manifest of {len(data)} bytes is too long to be one")
    try:
        body: dict[str, Any] = json.loads(data)
        if body["schema"] != SCHEMA:
            raise BadManifest(
                f"not a firmware manifest of {SCHEMA}, but {str(body['schema'])[:40]!r}"
            )
        found = Manifest(
            version=Version.parse(_text(body, "version")),
            size_bytes=int(body["size_bytes"]),
            address=None if body.get("address") is None else int(body["address"]),
            simulated=body.get("simulated", False) is True,
            **{
                key: _text(body, key)
                for key in (
                    "name", "board", "kind", "sha256", "image_hash", "min_bootloader", "about",
                    "created",
                )
            },
        )  # fmt: skip
        return check_manifest(found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError) as e:
        raise BadManifest(f"this is no firmware manifest: {_why(e)}") from e


def check_manifest(manifest: Manifest) -> Manifest:
    """Give a manifest back if its values can be.

    Raises:
        UsageError: which one cannot.
    """
    if _NAME.fullmatch(manifest.name) is None:
        raise UsageError(
            f"{manifest.name[:80]!r} is no name of a firmware",
            hint="lower-case letters, digits, '.', '_' and '-', at most 40",
        )
    board_entry(manifest.board)
    if manifest.kind not in KINDS:
        raise UsageError(f"no kind of image {manifest.kind[:40]!r}: {' or '.join(KINDS)}")
    if len(manifest.sha256) != SHA256_DIGITS or not _HEX.fullmatch(manifest.sha256):
        raise UsageError("sha256 is not 64 hex digits")
    if not _HEX.fullmatch(manifest.image_hash) or manifest.size_bytes < 0:
        raise UsageError("image_hash or size_bytes cannot be so")
    if manifest.address is not None and not 0 <= manifest.address <= ADDRESS_MAX:
        raise UsageError(f"{manifest.address:#x} is no address in flash")
    if manifest.min_bootloader:
        Version.parse(manifest.min_bootloader)
    if manifest.simulated != (manifest.board == SIMULATED_BOARD):
        raise UsageError(f"simulated firmware is for the board {SIMULATED_BOARD}, and it alone is")
    return manifest


def manifest_of(image: Image, name: str, board: str, created: str, **more: Any) -> Manifest:
    """Describe an MCUboot image.

    Args:
        image: it.
        name: of the firmware.
        board: for which it was built.
        created: now, RFC 3339.
        more: `about`, `min_bootloader`, `address`.

    Raises:
        UsageError: a value that cannot be.
    """
    return check_manifest(
        Manifest(
            name=name,
            version=image.version,
            board=board,
            kind="mcuboot",
            size_bytes=len(image.data),
            sha256=image.sha256,
            image_hash=image.hash.hex(),
            simulated=board == SIMULATED_BOARD,
            created=created,
            **more,
        )
    )


def manifest_of_uf2(
    data: bytes, name: str, version: Version, board: str, created: str, **more: Any
) -> Manifest:
    """Describe a UF2 file, which does not know its version. As `manifest_of`."""
    return check_manifest(
        Manifest(
            name=name,
            version=version,
            board=board,
            kind="uf2",
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            simulated=board == SIMULATED_BOARD,
            created=created,
            **more,
        )
    )


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        raise TypeError(f"{key} is no short text")
    return value


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    return getattr(error, "message", None) or str(error)[:TEXT_MAX]
