"""When pending readings become a frame: the rule of the group commit. Pure.

A commit costs a sync of the disk, whatever its size; so readings wait a moment for
company, but an alert for nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from dunes.buffer.frameheader import READINGS_MAX
from dunes.errors import LocalError
from dunes.model import Priority, Reading

LINE_BYTES = 96
"""About what a payload line has besides a text value."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a group is due.

    Attributes:
        age_s: the oldest pending reading waits no longer.
        readings: nor do more than this many in one lane; also the most in one frame.
        size_bytes: nor more than about this many bytes in one lane.
    """

    age_s: float = 0.1
    readings: int = 1000
    size_bytes: int = 256 * 1024


LIMITS = Limits()
_PRIORITY, _VALUE = attrgetter("priority"), attrgetter("value")


class Group:
    """Readings that were taken over but are not committed yet, by lane."""

    __slots__ = ("_lanes", "_limits", "_since_s", "_text")

    def __init__(self, limits: Limits = LIMITS) -> None:
        if not 1 <= limits.readings <= READINGS_MAX:
            raise LocalError(f"a group of {limits.readings} readings does not fit into a frame")
        self._limits = limits
        self._lanes: dict[int, list[Reading]] = {int(p): [] for p in Priority}
        self._text = dict.fromkeys(self._lanes, 0)  # characters of text values
        self._since_s: float | None = None

    def __len__(self) -> int:
        """How many readings are pending."""
        return sum(map(len, self._lanes.values()))

    def add(self, reading: Reading, now_s: float) -> None:
        """Take a reading over."""
        self._lanes[reading.priority].append(reading)
        if reading.value.__class__ is str:
            self._text[reading.priority] += len(reading.value)
        if self._since_s is None:
            self._since_s = now_s

    def extend(self, readings: Iterable[Reading], now_s: float) -> None:
        """Take readings over, in their order."""
        taken = list(readings)
        if not taken:
            return
        first = taken[0].priority
        # every eighth value tells whether there is text: the size counts only about
        if any(map(first.__ne__, map(_PRIORITY, taken))) or str in set(
            map(type, map(_VALUE, taken[::8]))
        ):
            for reading in taken:
                self.add(reading, now_s)
            return
        self._lanes[first] += taken  # the common case: numbers of one lane
        if self._since_s is None:
            self._since_s = now_s

    def ready(self, now_s: float) -> list[int]:
        """Name the lanes to commit now.

        All of them, if one is full or the oldest reading has waited long enough;
        else that of the alerts alone, if there are any.
        """
        if self._since_s is None:
            return []
        full = any(
            len(readings) >= self._limits.readings
            or len(readings) * LINE_BYTES + self._text[lane] >= self._limits.size_bytes
            for lane, readings in self._lanes.items()
        )
        if full or now_s >= self._since_s + self._limits.age_s:
            return list(self._lanes)
        return [int(Priority.ALERT)] if self._lanes[Priority.ALERT] else []

    def next_due_s(self) -> float | None:
        """Say when `ready` will name all lanes if nothing else comes."""
        return None if self._since_s is None else self._since_s + self._limits.age_s

    def take(self, lanes: Iterable[int] | None = None) -> list[tuple[int, list[Reading]]]:
        """Take readings out to commit them, alerts first, in pieces that fit a frame.

        Args:
            lanes: which; default: all.
        """
        taken: list[tuple[int, list[Reading]]] = []
        step = self._limits.readings
        for lane in sorted(self._lanes if lanes is None else lanes):
            found, self._lanes[lane], self._text[lane] = self._lanes[lane], [], 0
            taken += [(lane, found[i : i + step]) for i in range(0, len(found), step)]
        if not any(self._lanes.values()):
            self._since_s = None
        return taken

    def put_back(self, taken: Iterable[tuple[int, list[Reading]]], now_s: float) -> None:
        """Take back what could not be committed, before what came since."""
        for lane, readings in reversed(list(taken)):
            self._lanes[lane][:0] = readings
            self._text[lane] += sum(len(r.value) for r in readings if isinstance(r.value, str))
            if self._since_s is None:
                self._since_s = now_s
