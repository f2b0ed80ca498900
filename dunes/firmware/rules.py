"""May this firmware go to that node? If not, for which reasons.

Each reason is judged by itself, so that `--force REASON` can take away exactly one.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dunes.errors import DataError
from dunes.firmware.errors import FORCEABLE, BadImage, Reason, Refused
from dunes.firmware.image import parse_image
from dunes.firmware.manifest import SIMULATED_BOARD, Manifest
from dunes.firmware.uf2 import parse_uf2
from dunes.firmware.version import Version


class Objection(NamedTuple):
    """One reason against flashing."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node said of itself.

    Attributes:
        name: what people call it.
        board: its board; empty if it does not say.
        version: what it runs; None if it does not say.
        bootloader: version of its bootloader; None if it does not say.
    """

    name: str
    board: str = ""
    version: Version | None = None
    bootloader: Version | None = None


def check_signature(
    manifest: Manifest, signer: str, believed: Mapping[str, Any]
) -> list[Objection]:
    """Judge who signed a manifest.

    Args:
        manifest: it.
        signer: kid of the key whose good signature it has; empty if it has none.
        believed: keys that may sign firmware, by kid.
    """
    if signer and signer in believed:
        return []
    who = f"key {signer}, which may sign no firmware here" if signer else "nobody"
    return [Objection(Reason.STRANGER, f"{manifest.label} was signed by {who}")]


def check_file(manifest: Manifest, data: bytes) -> list[Objection]:
    """Judge an image's bytes by its manifest and by themselves."""
    if len(data) < manifest.size_bytes:
        missing = f"{len(data)} of {manifest.size_bytes} bytes"
        found = [Objection(Reason.TRUNCATED, f"{manifest.label} is truncated: {missing}")]
        try:  # a file that lost no more than its padding is an image still
            return found + _check_content(manifest, data)
        except BadImage as e:
            kept = e.reason is not Reason.TRUNCATED
            return found + [Objection(e.reason, f"{manifest.label}: {e.message}")] * kept
    if len(data) != manifest.size_bytes or (hashlib.sha256(data).hexdigest() != manifest.sha256):
        return [
            Objection(
                Reason.DAMAGED, f"{manifest.label}: the image is not the one that was signed"
            )
        ]
    try:
        return _check_content(manifest, data)
    except BadImage as e:
        return [Objection(e.reason, f"{manifest.label}: {e.message}")]


def _check_content(manifest: Manifest, data: bytes) -> list[Objection]:
    """Judge an image by what stands in it; raises BadImage."""
    if manifest.kind == "uf2":
        parse_uf2(data)
        return []
    image = parse_image(data)
    if (image.version, image.hash.hex()) != (manifest.version, manifest.image_hash):
        here = f"{image.version}, hash {image.hash.hex()[:16]}"
        told = f"{manifest.version}, hash {manifest.image_hash[:16]}"
        raise BadImage(Reason.DAMAGED, f"the image is {here}; its manifest says {told}")
    if image.board and not same_board(image.board, manifest.board):
        raise BadImage(
            Reason.OTHER_BOARD,
            f"the image names the board {image.board}, its manifest {manifest.board}",
        )
    return []


def check_node(manifest: Manifest, node: NodeFacts) -> list[Objection]:
    """Judge whether an image is for a node."""
    found = []
    if manifest.simulated and node.board != SIMULATED_BOARD:
        found.append(
            Objection(
                Reason.SIMULATED, f"{manifest.label} is for simulated nodes; {node.name} is none"
            )
        )
    elif not node.board:
        found.append(Objection(Reason.OTHER_BOARD, f"{node.name} does not say which board it is"))
    elif not same_board(manifest.board, node.board):
        found.append(
            Objection(
                Reason.OTHER_BOARD,
                f"{manifest.label} is for {manifest.board}; {node.name} is a {node.board}",
            )
        )
    if node.version is not None and manifest.version < node.version:
        found.append(
            Objection(
                Reason.DOWNGRADE,
                f"{manifest.label} is older than {node.version}, which {node.name} runs",
            )
        )
    if (
        manifest.min_bootloader
        and node.bootloader is not None
        and node.bootloader < Version.parse(manifest.min_bootloader)
    ):
        found.append(
            Objection(
                Reason.BOOTLOADER,
                f"{manifest.label} needs bootloader {manifest.min_bootloader}; {node.name} has "
                f"{node.bootloader}",
            )
        )
    return found


def same_board(built_for: str, board: str) -> bool:
    """Tell whether two spellings mean one board.

    Nodes say `nrf52840dk` or `nrf52840dk@1.0.0` (Zephyr's OS info, format `i`), west says
    `nrf52840dk/nrf52840`: what both say has to agree.
    """
    one, other = _parts(built_for), _parts(board)
    return one[0] == other[0] and all(
        not a or not b or a == b for a, b in zip(one[1:], other[1:], strict=True)
    )


def _parts(board: str) -> tuple[str, str, str]:
    """Split `name@revision/qualifiers`."""
    name, _, qualifiers = board.partition("/")
    name, _, revision = name.partition("@")
    return name, revision, qualifiers


def allow(objections: Iterable[Objection], force: Reason | None) -> None:
    """Let pass what is without objection but the one that is forced.

    Raises:
        Refused: for the first other one.
    """
    for objection in objections:
        if objection.reason != force:
            hint = None
            if objection.reason in FORCEABLE:
                hint = f"if you know better: --force {objection.reason}"
            raise Refused(objection.reason, objection.message, hint=hint)


def read_reason(text: str) -> Reason:
    """Read the word after `--force`.

    Raises:
        DataError: it names nothing that can be forced.
    """
    if text not in FORCEABLE:
        raise DataError(f"{text[:40]!r} cannot be forced", hint=f"one of {', '.join(FORCEABLE)}")
    return Reason(text)
