"""What a rehearsed outage came to: the report of `dunes simulate-disconnect`. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dunes.sim.judge import AlertSeen, MissingRun, Verdict

US_PER_S = 1_000_000
PERCENT = 100.0

REHEARSAL = "rehearsal.json"
"""Where the last report is left, in the state directory."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rehearsal has come.

    Attributes:
        phase: `prepare`, `before`, `cut`, `drain` or `judge`.
        done_s: seconds of the outage that have passed, site time.
        total_s: its length.
        made: readings made since the rehearsal began.
        buffered: readings that lie in the gateway's buffer now.
        delivered: readings that came to the ground station since it began.
        note: what is happening, in words.
    """

    phase: str
    done_s: float = 0.0
    total_s: float = 0.0
    made: int = 0
    buffered: int = 0
    delivered: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class AlertFigures:
    """How alerts fared; times in our seconds, as seen by looking several times a second.

    Attributes:
        delivered: alerts of the rehearsal that came through.
        hit_by_outage: of those, the ones that the outage held up.
        delay_max_s: longest way of an alert that had nothing to do with the outage, from the
            sensor's file to the ground station's store; null without one.
        after_restore_max_s: longest way of the others from the link's return on, or from
            their making if that was later; null without one.
    """

    delivered: int = 0
    hit_by_outage: int = 0
    delay_max_s: float | None = None
    after_restore_max_s: float | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Local operation: whether readings were durably accepted all the time.

    Attributes:
        looks: how often that was looked at.
        good: how often all that was made 2 s before lay on the gateway's disk; what the mesh
            lost on its way there is judged apart.
        percent: the share of good looks.
    """

    looks: int = 0
    good: int = 0

    @property
    def percent(self) -> float:
        """The share of good looks."""
        return PERCENT * self.good / self.looks if self.looks else 0.0


@dataclass(frozen=True, slots=True)
class MeshFigures:
    """How telemetry fared on its way over the mesh, before it reached the gateway.

    Attributes:
        mesh_id: the mesh.
        nodes: how many are part of it.
        reports: numbered reports that they sent in the rehearsal, by their own account.
        heard: of those, how many the gateway or the ground station holds.
        heard_percent: the share; null if none was sent.
        passed: whether it is the guide's 95 % or more.
        unheard: the others, by node; at most twenty runs of numbers.
    """

    mesh_id: str
    nodes: int
    reports: int
    heard: int
    heard_percent: float | None
    passed: bool
    unheard: tuple[MissingRun, ...] = ()


@dataclass(frozen=True, slots=True)
class OutageReport:
    """A rehearsed outage, judged from what sensors made and what the ground station holds.

    Attributes:
        passed: all came through, nothing twice.
        interrupted: somebody ended it early; figures are what is so far.
        simulated: site, sensors and ground station were simulated.
        site: the simulated site's name.
        how: `sky` (the virtual sky was cut) or `hold` (the uplink was held).
        table: the buffer table.
        destination: the ground station.
        interface: what was cut.
        duration_s: of the outage, site seconds.
        speed: site seconds in one of ours.
        outage_s: of the outage, our seconds.
        made: readings that the sensors made in the rehearsal; over a mesh those that the
            gateway heard (`mesh` tells of the others).
        buffered: the most that lay in the gateway's buffer.
        delivered: readings of the rehearsal that the ground station holds.
        late: those that it does not hold yet, and the gateway's buffer does.
        lost: those that neither of them holds.
        duplicated: how often the ground station holds one once more; null where only
            its receipts are known, which count each reading once.
        drain_s: from the link's return until all that was made before lay on the ground,
            our seconds; null if that did not come.
        longest_gap_s: between two readings of a device on the ground, site seconds;
            null where only receipts are known.
        gap_device: whose.
        alerts: how alerts fared.
        accepted_percent: share of looks at which all that was made 2 s before was durable;
            null where nobody knows what was made.
        accepted_looks: how many looks.
        started: the commands that were started for it.
        missing_runs: what is missing, by device.
        mesh: how readings fared over the mesh; null where they came another way.
    """

    passed: bool
    interrupted: bool
    simulated: bool
    site: str
    how: str
    table: str
    destination: str
    interface: str
    duration_s: float
    speed: float
    outage_s: float
    made: int
    buffered: int
    delivered: int
    late: int
    lost: int
    duplicated: int | None
    drain_s: float | None
    longest_gap_s: float | None
    gap_device: str
    alerts: AlertFigures
    accepted_percent: float | None
    accepted_looks: int
    started: tuple[str, ...] = ()
    missing_runs: tuple[MissingRun, ...] = field(default=())
    mesh: MeshFigures | None = None

    @property
    def delivered_percent(self) -> float:
        """Share of the readings made that came through."""
        return PERCENT * self.delivered / self.made if self.made else 0.0

    @property
    def retained_percent(self) -> float:
        """Share of the readings made that exist somewhere."""
        return PERCENT * (self.made - self.lost) / self.made if self.made else 0.0


def alert_figures(
    alerts: Iterable[AlertSeen], cut_us: int | None, restored_us: int | None
) -> AlertFigures:
    """Sum alerts up.

    An alert had to do with the outage if it was made in it, or under way when it began,
    or made after it before its own alerts had come through.

    Args:
        alerts: as they were seen on the ground.
        cut_us: when the link went, our clock; None if it did not.
        restored_us: when it came back; None if it did not.
    """
    seen = list(alerts)
    if cut_us is None:
        return AlertFigures(len(seen), 0, _longest_s([a.seen_us - a.made_us for a in seen]), None)
    back_us = restored_us if restored_us is not None else max((a.seen_us for a in seen), default=0)
    through_us = max((a.seen_us for a in seen if cut_us <= a.made_us < back_us), default=back_us)
    hit = [a for a in seen if a.made_us < through_us and a.seen_us > cut_us]
    free = [a for a in seen if not (a.made_us < through_us and a.seen_us > cut_us)]
    return AlertFigures(
        delivered=len(seen),
        hit_by_outage=len(hit),
        delay_max_s=_longest_s([a.seen_us - a.made_us for a in free]),
        after_restore_max_s=None
        if restored_us is None
        else _longest_s([a.seen_us - max(a.made_us, restored_us) for a in hit]),
    )


def _longest_s(times_us: Sequence[int]) -> float | None:
    return max(0, *times_us) / US_PER_S if times_us else None


def passes(verdict: Verdict) -> bool:
    """Say whether the outage did no harm; one without readings shows nothing."""
    return verdict.flawless and verdict.made > 0
