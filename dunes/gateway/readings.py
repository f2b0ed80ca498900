"""What nodes say becomes readings of the house: device, kind, unit, time, urgency. Pure.

A reading's device is the node, by its name; where two elements of a node measure the same
kind, all but the first have their number behind it: `hab-sensor-001.1`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from dunes.buffer.kinds import fold_kind, known_unit, priority_of
from dunes.clock import US_PER_S
from dunes.errors import PeerError
from dunes.mesh.manager import Received
from dunes.mesh.models.habitat_server import HabitatMessage
from dunes.mesh.models.measured import Measured, measured, unwrap_time
from dunes.model import Priority, Reading

REPORTS_MAX = 8192
"""Reports that are remembered, as an alert is repeated until it is acknowledged."""
KINDS_MAX = 65_536
"""Kinds of all nodes whose element is remembered; nobody honest has so many."""
SKEW_MAX_S = 86_400
"""A node's clock that is further off is not believed."""


@dataclass(frozen=True, slots=True)
class Ack:
    """An alert to acknowledge once it is on the disk."""

    dst: int
    app_index: int
    kind: int
    sequence: int
    fingerprint: bytes
    """By which it is known when it is said again."""


@dataclass(frozen=True, slots=True)
class Item:
    """A reading, with the alert that it acknowledges; or an alert that was kept before."""

    reading: Reading | None
    ack: Ack | None = None


@dataclass(slots=True)
class Readings:
    """Turns messages into readings.

    Attributes:
        node_of: primary address and name of the node that an element belongs to; None where
            it is none of ours.
        unix_us: the present, µs since 1970.
        fingerprint: tells messages apart.
        simulated: what is heard comes from the simulated site.
        unreadable: messages that could not be read.
        repeated: reports that came before.
    """

    node_of: Callable[[int], tuple[int, str] | None]
    unix_us: Callable[[], int]
    fingerprint: Callable[[bytes], bytes] = bytes
    simulated: bool = False
    unreadable: int = 0
    repeated: int = 0
    _first: dict[tuple[int, str], int] = field(default_factory=dict)
    _reports: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    def remember(self, fingerprints: Iterable[bytes]) -> None:
        """Take what an earlier listener kept."""
        self._reports.update(dict.fromkeys(fingerprints))

    def read(self, received: Received) -> list[Item]:
        """Give the readings of a message; none where it measures nothing, or says it again."""
        access = received.access
        try:
            values = list(measured(received.message))
        except PeerError:
            self.unreadable += 1
            return []
        found = self.node_of(access.src)
        if not values or found is None:
            return []
        ack = None
        if isinstance(received.message, HabitatMessage):
            said = self.fingerprint(access.src.to_bytes(2, "big") + access.parameters)
            ack = _ack(received, received.message, said)
            if self._known(said):
                self.repeated += 1
                return [] if ack is None else [Item(None, ack)]
        return list(self._items(received, found, values, ack))

    def _items(
        self, received: Received, node: tuple[int, str], values: list[Measured], ack: Ack | None
    ) -> Iterator[Item]:
        now_us, access = self.unix_us(), received.access
        for value in values:
            kind = fold_kind(value.kind)
            unit = known_unit(value.unit) or ""
            urgency = Priority.ALERT if value.alert else priority_of(kind, unit, value.value)
            yield Item(
                Reading(
                    self._device(node, access.src, kind),
                    kind,
                    value.value,
                    unit,
                    self._time_us(value, now_us),
                    urgency,
                    access.seq if value.sequence is None else value.sequence,
                    self.simulated,
                ),
                ack,
            )

    def _device(self, node: tuple[int, str], src: int, kind: str) -> str:
        unicast, name = node
        element = src - unicast
        first = self._first.get((unicast, kind), element)
        if len(self._first) >= KINDS_MAX:
            self._first.clear()
        self._first[unicast, kind] = min(first, element)
        return name if element <= first else f"{name}.{element}"

    def _time_us(self, value: Measured, now_us: int) -> int:
        if value.time_s is None:
            return now_us
        unix_s = unwrap_time(value.time_s, now_us / US_PER_S)
        if abs(unix_s - now_us / US_PER_S) > SKEW_MAX_S:
            return now_us
        return unix_s * US_PER_S

    def _known(self, said: bytes) -> bool:
        """Say whether this very report came before; remember it."""
        known = said in self._reports
        self._reports.pop(said, None)
        self._reports[said] = None
        if len(self._reports) > REPORTS_MAX:
            self._reports.popitem(last=False)
        return known


def _ack(received: Received, message: HabitatMessage, said: bytes) -> Ack | None:
    access = received.access
    if access.app_index is None or message.name != "Report" or not message.values["alert"]:
        return None
    kind, sequence = message.values["kind"], message.values["sequence"]
    return Ack(access.src, access.app_index, kind, sequence, said)
