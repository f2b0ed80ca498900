"""What a ground station holds, for `mcp ground-station status`."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from dunes.buffer.quota import live_bytes
from dunes.buffer.store import Buffer
from dunes.clock import rfc3339
from dunes.model import Priority
from dunes.uplink.enroll import list_gateways
from dunes.uplink.grounddir import LOCK, PUBLIC_KEY, REJECTED, ground_buffer


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """An enrolled gateway.

    Attributes:
        gateway: its name.
        kid: id of its signing key.
        standing: `enrolled` or `revoked`.
        enrolled_at: since when, RFC 3339.
    """

    gateway: str
    kid: str
    standing: str
    enrolled_at: str


@dataclass(frozen=True, slots=True)
class LaneRow:
    """One lane of a gateway's table, all its epochs together.

    Attributes:
        gateway: whose.
        table: which table.
        lane: `alert`, `warning` or `routine`.
        epochs: how many streams.
        frames: stored.
        readings: stored.
        complete_readings: of those, below the first gap.
        dropped_readings: declared dropped by the gateway, and never delivered.
        missing_frames: gaps that the gateway still owes.
        last_at: time of the newest reading, RFC 3339; empty if there is none.
    """

    gateway: str
    table: str
    lane: str
    epochs: int
    frames: int
    readings: int
    complete_readings: int
    dropped_readings: int
    missing_frames: int
    last_at: str


@dataclass(slots=True)
class GroundStatus:
    """A ground station's store.

    Attributes:
        data: its directory.
        running: process that serves it; 0 if none does.
        station: id of the key that signs its receipts.
        public_key: file of that key.
        size_bytes: the database in use.
        gateways: who may write.
        lanes: what is stored.
        rejected: batches put aside, as they contradicted what was stored.
    """

    data: str
    running: int
    station: str
    public_key: str
    size_bytes: int
    gateways: list[GatewayRow] = field(default_factory=list)
    lanes: list[LaneRow] = field(default_factory=list)
    rejected: int = 0


def look_at_ground(data: Path) -> GroundStatus:
    """Describe a ground station's store; reads only.

    Raises:
        NotFound: nothing is there.
    """
    from dunes.crypto.identity import load_identity
    from dunes.errors import NotFound
    from dunes.uplink.grounddir import ground_paths

    with ground_buffer(data) as buffer:
        try:
            kid = load_identity(ground_paths(data)).kid
        except NotFound:
            kid = ""
        with buffer.reading() as connection:
            size = live_bytes(connection)
        folder = data / REJECTED
        return GroundStatus(
            str(data),
            _holder(data),
            kid,
            str(data / PUBLIC_KEY),
            size,
            [
                GatewayRow(g.gateway, g.kid, g.standing.value, rfc3339(g.enrolled_us))
                for g in list_gateways(buffer)
            ],
            _lanes(buffer),
            sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0,
        )


def _holder(data: Path) -> int:
    """Give the process that serves the directory, by its lock; 0 if none does."""
    import fcntl

    try:
        descriptor = os.open(data / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else -1
    else:
        return 0
    finally:
        os.close(descriptor)


def _lanes(buffer: Buffer) -> list[LaneRow]:
    from dunes.uplink.ledger import SqlLedger

    found: dict[tuple[str, str, int], LaneRow] = {}
    for stream in buffer.streams():
        with buffer.reading() as connection:
            ledger = SqlLedger(buffer, connection, stream)
            for priority in Priority:
                lane = ledger.lane(priority)
                held = ledger.held(priority)
                top = held.last or lane.cum_no
                missing = top - lane.cum_no - held.count()
                frames, readings = ledger.above(priority)
                last_us = ledger.last_us(priority)
                key = stream.gateway, stream.table, int(priority)
                old = found.get(key)
                found[key] = LaneRow(
                    stream.gateway,
                    stream.table,
                    priority.name.lower(),
                    1 + (old.epochs if old else 0),
                    lane.frames + frames + (old.frames if old else 0),
                    lane.msgs + readings + (old.readings if old else 0),
                    lane.msgs + (old.complete_readings if old else 0),
                    lane.dropped_msgs + (old.dropped_readings if old else 0),
                    missing + (old.missing_frames if old else 0),
                    max(old.last_at if old else "", rfc3339(last_us) if last_us else ""),
                )
    return [found[key] for key in sorted(found)]
