"""What linked devices measure, as reports of our vendor model: which, and how fast. Pure.

    bridge = Bridge(simulated=False, links={"cube-sat-001": 1})
    said = bridge.offer(reading, unix_us)          why it is not told, once per reason
    for report in bridge.due(now_s): …             element and access payload

A mesh carries a few messages a second, for all. So of each kind the newest value waits, one
message a second leaves for each device, and alerts leave at once: each kind's at most once a
second, too, and before whatever else waits.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from dunes.buffer.kinds import fold_kind, known_unit
from dunes.clock import US_PER_S
from dunes.errors import LocalError
from dunes.mesh.models.habitat import (
    NO_VALUE,
    SEQUENCE_MODULUS,
    TIME_MODULUS,
    ReportKind,
    habitat,
)
from dunes.model import Priority, Reading

PERIOD_S = 1.0
"""Between two messages of a device, and between two alerts of one kind."""
AGE_MAX_S = 86_400
"""A report's time wraps, and whoever hears one that is further off takes it for a present one."""
SAID_MAX = 256


@dataclass(frozen=True, slots=True)
class Report:
    """A message to send.

    Attributes:
        element: of ours that sends it.
        payload: opcode and parameters.
        alert: it is one.
    """

    element: int
    payload: bytes
    alert: bool


@dataclass(frozen=True, slots=True)
class _Waiting:
    ts_us: int
    value: int


@dataclass(slots=True)
class _Device:
    """What waits for one element, by the code of its kind."""

    alerts: OrderedDict[int, _Waiting] = field(default_factory=OrderedDict)
    values: OrderedDict[int, _Waiting] = field(default_factory=OrderedDict)
    alert_at_s: dict[int, float] = field(default_factory=dict)
    sent_s: float = float("-inf")


@dataclass(slots=True)
class Bridge:
    """The way of linked devices' readings into a mesh.

    Attributes:
        simulated: the mesh is that of the simulated site; into a real one nothing simulated goes.
        links: element by device.
        sequences: numbers of the next reports, by element; they go on when links change.
        published: messages that were given out.
        superseded: values that gave way to newer ones while they waited.
        skipped: readings that no message can tell, by reason.
    """

    simulated: bool
    links: Mapping[str, int] = field(default_factory=dict)
    sequences: dict[int, int] = field(default_factory=dict)
    published: int = 0
    superseded: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    _devices: dict[int, _Device] = field(default_factory=dict)
    _said: set[tuple[str, str, str]] = field(default_factory=set)

    def relink(self, links: Mapping[str, int]) -> None:
        """Take other links; what waits for devices that are linked no longer is dropped."""
        kept = {element for name, element in links.items() if self.links.get(name) == element}
        for element in set(self._devices) - kept:
            del self._devices[element]
        self.links = dict(links)

    def offer(self, reading: Reading, unix_us: int) -> str:
        """Take a reading that is new in the buffer.

        Args:
            reading: of any device.
            unix_us: the present, µs since 1970.

        Returns:
            Why it is not told to the mesh, the first time for that reason; else an empty text.
        """
        element = self.links.get(reading.device)
        if element is None:
            return ""
        reason, why = self._hindrance(reading, unix_us)
        if reason:
            self.skipped[reason] += 1
            key = reason, reading.device, reading.kind
            if key in self._said or len(self._said) >= SAID_MAX:
                return ""
            self._said.add(key)
            return f"{reading.device} {reading.kind} is not told to the mesh: {why}"
        device = self._devices.setdefault(element, _Device())
        code, value = _in_report(reading)
        urgent = reading.priority is Priority.ALERT
        place = device.alerts if urgent else device.values
        others = [each for each in (place.get(code), device.alerts.get(code)) if each is not None]
        if any(each.ts_us > reading.ts_us for each in others):
            self.superseded += 1
            return ""
        self.superseded += code in place
        place[code] = _Waiting(reading.ts_us, value)
        older = device.values.get(code) if urgent else None
        if older is not None and older.ts_us <= reading.ts_us:
            del device.values[code]
            self.superseded += 1
        return ""

    def _hindrance(self, reading: Reading, unix_us: int) -> tuple[str, str]:
        """Say why no report can tell a reading, in a word and in a few; empty: one can."""
        known, value = _kind_of(reading), reading.value
        if known is None:
            return "kind", "the vendor model has no such kind"
        most = (-NO_VALUE - 1) / known.divisor
        if known_unit(reading.unit) != known.unit:
            found = "unit", f"the vendor model tells it in {known.unit}"
        elif isinstance(value, (bool, str)):
            found = "value", "the vendor model tells numbers only"
        elif abs(round(value * known.divisor)) >= -NO_VALUE:
            found = "range", f"a report holds at most {most:g} {known.unit}"
        elif reading.simulated and not self.simulated:
            found = "simulation", "it is simulated, and the mesh is not"
        elif abs(unix_us - reading.ts_us) > AGE_MAX_S * US_PER_S:
            found = "time", "it is more than a day off"
        else:
            found = "", ""
        return found

    @property
    def waiting(self) -> int:
        """Count the values that wait."""
        return sum(len(each.alerts) + len(each.values) for each in self._devices.values())

    def due(self, now_s: float) -> list[Report]:
        """Give what may leave now, alerts first; it is out of here then."""
        out = []
        for element, device in self._devices.items():
            for code in list(device.alerts):
                if now_s - device.alert_at_s.get(code, float("-inf")) >= PERIOD_S:
                    device.alert_at_s[code] = device.sent_s = now_s
                    out.append(self._report(element, code, device.alerts.pop(code), alert=True))
        for element, device in self._devices.items():
            if device.values and now_s - device.sent_s >= PERIOD_S:
                device.sent_s = now_s
                code, value = device.values.popitem(last=False)
                out.append(self._report(element, code, value, alert=False))
        self.published += len(out)
        return out

    def _report(self, element: int, code: int, waiting: _Waiting, *, alert: bool) -> Report:
        sequence = self.sequences.get(element, 0)
        self.sequences[element] = (sequence + 1) % SEQUENCE_MODULUS
        payload = habitat().make(
            "Report",
            kind=code,
            alert=int(alert),
            clock_set=1,
            sequence=sequence,
            time_s=waiting.ts_us // US_PER_S % TIME_MODULUS,
            value=waiting.value,
        )
        return Report(element, payload, alert)


def _kind_of(reading: Reading) -> ReportKind | None:
    name = fold_kind(reading.kind)
    return next((each for each in habitat().kinds.values() if each.name == name), None)


def _in_report(reading: Reading) -> tuple[int, int]:
    """Give the code of a kind, and the value in its scale; nothing hinders it."""
    known = _kind_of(reading)
    if known is None or isinstance(reading.value, (bool, str)):
        raise LocalError(f"no report tells {reading.kind}")
    return known.code, round(reading.value * known.divisor)
