"""Judge an outage: what the sensors made against what the ground station holds. Pure.

Each device counts its readings 1, 2, 3, …. The site tells how far each had come before
and after the trial, the ground station's store gives what arrived; nothing here asks
the programs under trial.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from dunes.model import Priority, Reading

US_PER_S = 1_000_000

RUNS_MAX = 20
"""So many runs of missing readings are told one by one."""

SEQ_AHEAD_MAX = 50_000_000
"""A running number further ahead than this is nobody's; bounds the memory."""


@dataclass(frozen=True, slots=True)
class MissingRun:
    """Readings of a device that are not there: running numbers `first` to `last`."""

    device: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """An alert that arrived.

    Attributes:
        device: who raised it.
        made_us: when, by our clock.
        seen_us: when it was first seen in the ground station's store.
    """

    device: str
    made_us: int
    seen_us: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the readings of a trial.

    Attributes:
        made: readings that the sensors made in it.
        delivered: of those, how many the ground station holds.
        missing: how many it does not hold.
        duplicated: how often it holds one once more.
        longest_gap_s: between two readings of one device that follow one another on the
            ground, site seconds.
        gap_device: whose.
        alerts: alerts of the trial that the ground station holds.
        missing_runs: the missing ones, by device; at most `RUNS_MAX`.
    """

    made: int
    delivered: int
    missing: int
    duplicated: int
    longest_gap_s: float
    gap_device: str
    alerts: int
    missing_runs: tuple[MissingRun, ...]

    @property
    def flawless(self) -> bool:
        """Whether all arrived, once each."""
        return not (self.missing or self.duplicated)


@dataclass(slots=True)
class Series:
    """One device on the ground, from the number `before` on (exclusive)."""

    before: int
    times: "array[int]" = field(default_factory=lambda: array("q"))
    seen: bytearray = field(default_factory=bytearray)
    more: dict[int, int] = field(default_factory=dict)
    alerts: set[int] = field(default_factory=set)

    def add(self, seq: int, ts_us: int) -> bool:
        """Take a reading; False if it does not belong to the trial."""
        index = seq - self.before - 1
        if not 0 <= index < SEQ_AHEAD_MAX:
            return False
        if index >= len(self.seen):
            missing = index + 1 - len(self.seen)
            self.seen.extend(bytes(missing))
            self.times.frombytes(bytes(8 * missing))
        if self.seen[index]:
            self.more[seq] = self.more.get(seq, 0) + 1
        else:
            self.seen[index] = 1
            self.times[index] = ts_us
        return True

    def has(self, seq: int) -> bool:
        """Say whether a reading is there."""
        index = seq - self.before - 1
        return 0 <= index < len(self.seen) and self.seen[index] == 1

    def held(self, after: int) -> int:
        """Count the different readings up to `after`."""
        return self.seen.count(1, 0, max(0, after - self.before))

    def duplicated(self, after: int) -> int:
        """Count the repetitions of readings up to `after`."""
        return sum(times for seq, times in self.more.items() if seq <= after)

    def gap_us(self, after: int) -> int:
        """Give the longest time between neighbours among the readings up to `after`."""
        count = min(len(self.seen), max(0, after - self.before))
        times = [self.times[i] for i in range(count) if self.seen[i]]
        return max((b - a for a, b in pairwise(times)), default=0)

    def missing_runs(self, device: str, after: int) -> list[MissingRun]:
        """List the runs of numbers that are not there."""
        flags = bytes(self.seen[: max(0, after - self.before)])
        flags += bytes(max(0, after - self.before) - len(flags))
        runs: list[MissingRun] = []
        start = flags.find(0)
        while start >= 0 and len(runs) <= RUNS_MAX:
            end = flags.find(1, start)
            end = len(flags) if end < 0 else end
            runs.append(MissingRun(device, self.before + start + 1, self.before + end))
            start = flags.find(0, end)
        return runs


class Judge:
    """What the ground station holds of a trial, as it comes in.

    Args:
        before: how far each device had counted when the trial began.
    """

    def __init__(self, before: Mapping[str, int]) -> None:
        self._series = {device: Series(seq) for device, seq in before.items()}
        self.foreign = 0
        """Readings on the ground that are none of the trial's."""

    def see(self, reading: Reading) -> bool:
        """Take a reading from the ground station's store.

        Returns:
            Whether it belongs to the trial.
        """
        series = self._series.get(reading.device)
        if series is None or reading.seq is None or not series.add(reading.seq, reading.ts_us):
            self.foreign += 1
            return False
        if reading.priority is Priority.ALERT:
            series.alerts.add(reading.seq)
        return True

    def missing(self, after: Mapping[str, int]) -> int:
        """Count the readings up to `after` that are not there yet."""
        return sum(
            after.get(device, series.before) - series.before - series.held(after[device])
            for device, series in self._series.items()
            if after.get(device, 0) > series.before
        )

    def newest_there(self, after: Mapping[str, int]) -> bool:
        """Say whether the last reading up to `after` of every device is there."""
        return all(
            series.has(after[device])
            for device, series in self._series.items()
            if after.get(device, 0) > series.before
        )

    def verdict(self, after: Mapping[str, int]) -> Verdict:
        """Judge.

        Args:
            after: how far each device had counted when the trial ended.
        """
        made = missing = duplicated = alerts = 0
        gap_us, gap_device = 0, ""
        runs: list[MissingRun] = []
        for device, series in sorted(self._series.items()):
            end = max(after.get(device, 0), series.before)
            made += end - series.before
            missing += end - series.before - series.held(end)
            duplicated += series.duplicated(end)
            alerts += sum(seq <= end for seq in series.alerts)
            if (own_us := series.gap_us(end)) > gap_us:
                gap_us, gap_device = own_us, device
            runs += series.missing_runs(device, end)
        return Verdict(
            made=made,
            delivered=made - missing,
            missing=missing,
            duplicated=duplicated,
            longest_gap_s=gap_us / US_PER_S,
            gap_device=gap_device,
            alerts=alerts,
            missing_runs=tuple(runs[:RUNS_MAX]),
        )
