"""Read the record of decisions back, and check its chain and its seals."""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dunes.authority.audit import FIRST_PREV, hash_line, segments, signed_bytes, whole_lines
from dunes.crypto import names
from dunes.crypto.errors import BadSignature
from dunes.mu.errors import Verifier

WRONG_MAX = 10


@dataclass(slots=True)
class AuditReport:
    """What the files hold, after checking the chain.

    Attributes:
        folder: where they are.
        intact: nothing is wrong.
        wrong: what is, at most ten.
        lines: how many lines are kept, seals included.
        first_no: number of the first line that is kept.
        last_no: number of the last one.
        sealed_no: last line that a known key signed for.
        sealed_by: that key's id.
        rows: the last ones that were asked for, oldest first.
    """

    folder: str
    intact: bool = True
    wrong: list[str] = field(default_factory=list)
    lines: int = 0
    first_no: int = 0
    last_no: int = 0
    sealed_no: int = 0
    sealed_by: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)


def read_audit(
    folder: Path,
    find: Callable[[str], Verifier | None] = lambda _: None,
    *,
    last: int = 20,
    wanted: Callable[[dict[str, Any]], bool] = lambda _: True,
) -> AuditReport:
    """Check the whole chain and give the last rows.

    Args:
        folder: where the files are.
        find: gives the key of a key id, None if it is not known.
        last: how many rows.
        wanted: which rows.
    """
    report = AuditReport(str(folder))
    prev: str | None = None
    for path in segments(folder):
        for line in whole_lines(path.read_bytes()):
            try:
                body = json.loads(line)
                no, said = int(body["no"]), str(body["prev"])
            except (ValueError, KeyError, TypeError):
                _complain(report, f"{path.name}: a line that cannot be read")
                prev, report.last_no = hash_line(line), report.last_no + 1
                continue
            if prev is None:
                report.first_no = no
                if no == 1 and said != FIRST_PREV:
                    _complain(report, "the first line does not begin the chain")
            elif said != prev or no != report.last_no + 1:
                _complain(report, f"line {no} does not follow line {report.last_no}")
            prev, report.last_no = hash_line(line), no
            report.lines += 1
            if "seal" in body:
                _check_seal(report, body, find)
            elif wanted(body):
                report.rows.append(body)
                if len(report.rows) > max(0, last):
                    del report.rows[0]
    return report


def _check_seal(
    report: AuditReport, body: dict[str, Any], find: Callable[[str], Verifier | None]
) -> None:
    try:
        kid = str(body["seal"]["kid"])
        signature = base64.b64decode(body["seal"]["sig"], validate=True)
        key = find(kid)
        if key is None:
            return
        key.verify(signature, signed_bytes(int(body["no"]), str(body["prev"])), names.SIGN_AUDIT)
    except (KeyError, TypeError, ValueError, binascii.Error, BadSignature):
        _complain(report, f"the seal in line {body['no']} is not one of the key that it names")
    else:
        report.sealed_no, report.sealed_by = int(body["no"]), kid


def _complain(report: AuditReport, text: str) -> None:
    report.intact = False
    if len(report.wrong) < WRONG_MAX:
        report.wrong.append(text)
