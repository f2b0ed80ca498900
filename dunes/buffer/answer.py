"""The JSON that `dunes query` prints."""

from dataclasses import dataclass, field

from dunes.model import Value


@dataclass(slots=True)
class QueriedReading:
    """One reading, as `dunes ingest` would read it again.

    Attributes:
        device: who measured.
        kind: what was measured.
        value: the value.
        unit: its unit; empty where there is none.
        time: RFC 3339 UTC.
        priority: `alert`, `warning` or `routine`.
        seq: the sensor's own number, where it has one.
        simulated: only if it was made by the simulated site.
    """

    device: str
    kind: str
    value: Value
    unit: str
    time: str
    priority: str
    seq: int | None = None
    simulated: bool = False


@dataclass(slots=True)
class QueryReport:
    """The answer.

    Attributes:
        readings: oldest first.
        count: how many.
        more: the limit cut the answer.
        next: cursor to give to `--after`.
        unreadable: frames that could not be read.
    """

    readings: list[QueriedReading] = field(default_factory=list)
    count: int = 0
    more: bool = False
    next: str = ""
    unreadable: int = 0
