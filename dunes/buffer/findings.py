"""What check-buffer can find, and its report."""

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong with a part of a lane."""

    GAP = "gap"
    """Frames are missing, and no tombstone says why."""
    REORDER = "reorder"
    """A frame lies where another one belongs."""
    DUPLICATE = "duplicate"
    """A copy of another frame lies in a frame's place."""
    TAMPER = "tamper"
    """A frame is sound in itself, but not the one that the chain or a signature names."""
    BITROT = "bitrot"
    """A frame's bytes are not those that were stored."""
    TRUNCATED = "truncated"
    """The newest frames are missing; the counters, a signature or the ground know of them."""
    UNREADABLE = "unreadable"
    """The database cannot give the frame."""
    CONTENT = "content"
    """The chain is sound, but the readings in the frame cannot be read."""
    COUNTERS = "counters"
    """The lane's counters do not agree with its frames."""
    SIGNATURE = "signature"
    """A signed head or receipt does not verify."""
    DATABASE = "database"
    """SQLite's own check complains."""
    CLOCK = "clock"
    """Time went back: no damage, but the order of times is not that of the readings."""
    SEALED = "sealed"
    """The content was not checked, as no key is at hand."""


NOTICES = frozenset({Kind.CLOCK, Kind.SEALED})
"""Worth knowing, but no damage."""


@dataclass(slots=True)
class Finding:
    """One thing found.

    Attributes:
        kind: see `Kind`.
        detail: a sentence.
        gateway: whose stream; empty for the database itself.
        epoch: the stream's, 32 hex digits.
        lane: `alert`, `warning` or `routine`.
        from_no: first frame concerned.
        to_no: last frame concerned.
        from_msg: number of the first reading concerned.
        to_msg: number of the last.
        readings: how many readings are affected.
        from_at: not earlier than this are the readings (RFC 3339), as far as known.
        to_at: not later than this.
        at_ground: a destination has acknowledged all of them: they are safe there.
        damage: whether the buffer counts as damaged.
    """

    kind: Kind
    detail: str
    gateway: str = ""
    epoch: str = ""
    lane: str | None = None
    from_no: int | None = None
    to_no: int | None = None
    from_msg: int | None = None
    to_msg: int | None = None
    readings: int = 0
    from_at: str | None = None
    to_at: str | None = None
    at_ground: bool = False
    damage: bool = True


@dataclass(slots=True)
class LaneReport:
    """One lane of one stream.

    Attributes:
        gateway: whose.
        epoch: 32 hex digits.
        lane: `alert`, `warning` or `routine`.
        frames: stored now.
        readings: in them.
        sealed_frames: how many of them are sealed.
        size_bytes: of headers and bodies.
        first_no: oldest frame stored.
        last_no: newest frame written.
        first_at: earliest time stored.
        last_at: latest time stored.
        written: readings ever written to the lane.
        acknowledged: of those, known to be at every destination.
        pending: stored and not yet acknowledged.
        dropped: lost to the quota or to damage.
        refused: never taken, for want of room.
        head_hash: of the newest frame.
        signature: `good`, `none`, `bad` or `unknown key`.
        signed_no: newest frame that a signature vouches for.
        signed_age_s: how old that signature is.
    """

    gateway: str
    epoch: str
    lane: str
    frames: int = 0
    readings: int = 0
    sealed_frames: int = 0
    size_bytes: int = 0
    first_no: int | None = None
    last_no: int = 0
    first_at: str | None = None
    last_at: str | None = None
    written: int = 0
    acknowledged: int = 0
    pending: int = 0
    dropped: int = 0
    refused: int = 0
    head_hash: str = ""
    signature: str = "none"
    signed_no: int | None = None
    signed_age_s: float | None = None


@dataclass(slots=True)
class VerifyReport:
    """What `dunes check-buffer` found.

    Attributes:
        table: the table's name.
        buffer: the guide's name of it.
        database: where it is.
        intact: nothing is damaged.
        levels: what was checked: `database`, `chain`, `signatures`, `content`, `ground`.
        frames: how many were checked.
        readings: how many those hold.
        affected: how many readings the damage concerns.
        sealed: `all`, `some` or `none` of the frames are sealed.
        sqlite_version: of the library in use; empty on PostgreSQL.
        sqlite_safe: free of the WAL-reset bug.
        lanes: one report each.
        findings: damage first; at most `FINDINGS_MAX`.
        more_findings: how many were left out.
        repaired: what `--repair` did, or would do.
        duration_s: how long it took.
    """

    table: str
    buffer: str
    database: str
    intact: bool = True
    levels: list[str] = field(default_factory=list)
    frames: int = 0
    readings: int = 0
    affected: int = 0
    sealed: str = "none"
    sqlite_version: str = ""
    sqlite_safe: bool = True
    lanes: list[LaneReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    repaired: list[str] = field(default_factory=list)
    duration_s: float = 0.0


FINDINGS_MAX = 1000
