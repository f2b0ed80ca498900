"""Verify a ground station's store, at the levels of check-buffer.

The walk is the buffer's own. A ground station may hold frames above a gap that the
gateway still owes; heads that vouch for those are no sign of damage.
"""

from collections.abc import Callable
from pathlib import Path

from dunes.buffer.findings import Finding, Kind, VerifyReport
from dunes.buffer.frame import Opener
from dunes.buffer.opening import StreamOpener
from dunes.buffer.read import stored_frame
from dunes.buffer.records import Verifier
from dunes.buffer.store import Buffer, Stream
from dunes.buffer.verify import Checks, check
from dunes.crypto.identity import Identity, load_identity
from dunes.errors import DunesError
from dunes.model import Priority
from dunes.uplink.grounddir import ground_paths
from dunes.uplink.ledger import SqlLedger
from dunes.uplink.receipt import parse_receipt
from dunes.uplink.succession import known_keys


def ground_opener(data: Path, buffer: Buffer) -> Callable[[Stream], Opener | None]:
    """Give what opens the sealed frames of enrolled gateways with the station's key."""
    identity = load_identity(ground_paths(data))
    senders = known_keys(data, buffer).values()

    return lambda stream: StreamOpener(buffer, stream, identity.frame_opener(senders))


def audit(
    data: Path,
    buffer: Buffer,
    table: str,
    *,
    deep: bool,
    progress: Callable[[int], None] = lambda _done: None,
) -> VerifyReport:
    """Verify one table of a ground station.

    Args:
        data: its data directory.
        buffer: its database.
        table: folded name; it exists.
        deep: open and read every frame too.
        progress: told how many frames are done.
    """
    identity = load_identity(ground_paths(data))
    keys: dict[str, Verifier] = {**known_keys(data, buffer)}
    report = check(
        buffer,
        table,
        Checks(
            deep=deep,
            opener_for=ground_opener(data, buffer),
            keys=keys,
            check_receipt=_receipt_checker(identity),
            progress=progress,
        ),
    )
    owed = _heads_above_gaps(buffer, table)
    report.findings = [f for f in report.findings if not _is_owed(f, owed)]
    report.intact = not any(finding.damage for finding in report.findings)
    report.affected = sum(f.readings for f in report.findings if f.damage)
    return report


def _receipt_checker(identity: Identity) -> Callable[[Stream, str, bytes], None]:
    keys = {key.kid: key for key in identity.own_senders}

    def check_receipt(_stream: Stream, _destination: str, body: bytes) -> None:
        receipt = parse_receipt(body)
        if receipt.kid in keys:
            receipt.verify(keys[receipt.kid])
        else:
            raise DunesError(f"signed by {receipt.kid}, which is no key of this station")

    return check_receipt


def _heads_above_gaps(buffer: Buffer, table: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Give, for lanes with a gap, where the complete part ends and the highest number."""
    found = {}
    for stream in buffer.streams(table):
        with buffer.reading() as connection:
            ledger = SqlLedger(buffer, connection, stream)
            for priority in Priority:
                held = ledger.held(priority)
                top = held.last
                if top is not None and stored_frame(connection, stream.id, priority, top):
                    place = stream.gateway, stream.epoch.hex(), priority.name.lower()
                    found[place] = ledger.cum(priority).no, top
    return found


def _is_owed(finding: Finding, owed: dict[tuple[str, str, str], tuple[int, int]]) -> bool:
    """Tell whether a finding is only that a lane has a gap."""
    place = finding.gateway, finding.epoch, finding.lane or ""
    if finding.kind is not Kind.TRUNCATED or place not in owed or finding.to_no is None:
        return False
    cum_no, top = owed[place]
    return finding.from_no == cum_no + 1 and finding.to_no <= top
