"""Nodes that cannot be asked: behind a UF2 volume or a debug probe."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dunes.errors import DunesError, UsageError
from dunes.firmware.catalogue import Firmware
from dunes.firmware.copy import check_volume, copy_uf2, read_volume
from dunes.firmware.errors import Reason, Refused
from dunes.firmware.probe import flash_by_probe
from dunes.firmware.report import NodeRow
from dunes.firmware.rules import Objection, allow
from dunes.firmware.session import Stage
from dunes.firmware.target import Target, Way

if TYPE_CHECKING:
    from dunes.firmware.flash import Flasher

UNREADABLE = {Reason.TRUNCATED, Reason.DAMAGED, Reason.NOT_AN_IMAGE}


def by_hand(flasher: "Flasher", target: Target) -> NodeRow:
    """Flash a board by copying a file, or through a probe; what goes wrong is in its row."""
    row = NodeRow(target.text, target.way.value)
    began_s = time.monotonic()
    try:
        flash = _copy if target.way is Way.UF2 else _probe
        row = flash(flasher, target, row)
    except Refused as e:
        row = _ended(row, "refused", e)
    except DunesError as e:
        row = _ended(row, "failed", e)
    return replace(row, duration_s=round(time.monotonic() - began_s, 3))


def _copy(flasher: "Flasher", target: Target, row: NodeRow) -> NodeRow:
    volume = read_volume(Path(target.address))
    row = replace(row, board=volume.board)
    judged = []
    for firmware in flasher.variants:
        data = flasher.shelf.image(firmware)
        found = flasher.shelf.objections(firmware)
        if not any(objection.reason in UNREADABLE for objection in found):
            found += check_volume(firmware.manifest, data, volume)
        judged.append((len(found), firmware, data, found))
    _, firmware, data, objections = min(judged, key=lambda each: each[0])
    allow(objections, flasher.force)
    if flasher.dry_run:
        return replace(row, result="would-update")
    copy_uf2(data, volume, _teller(flasher, target, data))
    return _done(row, firmware, data, "copied")


def _probe(flasher: "Flasher", target: Target, row: NodeRow) -> NodeRow:
    firmware, *others = flasher.variants
    if others:
        boards = ", ".join(f.manifest.board for f in flasher.variants)
        raise UsageError(
            f"a debug probe does not say which board it is at: {boards}", hint="--board BOARD"
        )
    manifest, data = firmware.manifest, flasher.shelf.image(firmware)
    objections = flasher.shelf.objections(firmware)
    if manifest.simulated:
        why = f"{manifest.label} is for simulated nodes; no debug probe is at one"
        objections.append(Objection(Reason.SIMULATED, why))
    allow(objections, flasher.force)
    if flasher.dry_run:
        return replace(row, board=manifest.board, result="would-update")
    flash_by_probe(manifest, data, target.address, _teller(flasher, target, data))
    return _done(replace(row, board=manifest.board), firmware, data, "updated")


def _teller(flasher: "Flasher", target: Target, data: bytes) -> Callable[[int], None]:
    return lambda done: flasher.tell(target.text, Stage.UPLOAD, done, len(data))


def _done(row: NodeRow, firmware: Firmware, data: bytes, result: str) -> NodeRow:
    version = str(firmware.manifest.version)
    return replace(row, result=result, now=version, sent_bytes=len(data))


def _ended(row: NodeRow, result: str, error: DunesError) -> NodeRow:
    return replace(
        row,
        result=result,
        code=error.code,
        message=error.message,
        hint=error.hint or "",
        exit=int(error.exit),
    )
