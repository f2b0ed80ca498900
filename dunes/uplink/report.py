"""What a sync did, for people and for `--json`."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LaneSync:
    """One lane of a sync report.

    Attributes:
        lane: `alert`, `warning` or `routine`.
        frames: acknowledged by the ground station in this run.
        readings: in those.
        left_frames: not acknowledged yet.
        left_readings: in those.
        damaged_frames: found damaged here, and not sent.
    """

    lane: str
    frames: int
    readings: int
    left_frames: int
    left_readings: int
    damaged_frames: int


@dataclass(slots=True)
class SyncReport:
    """What a sync did.

    Attributes:
        buffer: as people call it, e.g. `lunar-data`.
        table: the table, e.g. `lunar_telemetry`.
        destination: name of the ground station.
        url: its address.
        station: id of the key that signed its receipts.
        simulated: it belongs to the simulated site.
        complete: everything that was there is acknowledged.
        frames: acknowledged in this run.
        readings: in those.
        sent_bytes: that went out, repetitions included.
        requests: batches sent.
        repeated_frames: sent more than once, after failures.
        freed_frames: deleted here, as every destination has them.
        duration_s: how long it took.
        readings_per_s: acknowledged in a second.
        left_frames: not acknowledged yet.
        left_readings: in those.
        lanes: the same by lane, alerts first.
        notes: what a person should know.
        state: `done`, `queued` (the link is down), or, with `--watch`, `syncing`.
        log_entries: entries of the log of receipts that the ground station countersigned
            in this run; null if there was nothing new in it.
    """

    buffer: str
    table: str
    destination: str
    url: str
    station: str
    simulated: bool
    complete: bool = False
    frames: int = 0
    readings: int = 0
    sent_bytes: int = 0
    requests: int = 0
    repeated_frames: int = 0
    freed_frames: int = 0
    duration_s: float = 0.0
    readings_per_s: float = 0.0
    left_frames: int = 0
    left_readings: int = 0
    lanes: list[LaneSync] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    state: str = "done"
    log_entries: int | None = None
