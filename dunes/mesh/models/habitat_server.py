"""The node's side of our vendor model: reports with alert flag, time and sequence."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from dunes.errors import LocalError
from dunes.mesh.models.habitat import (
    LATITUDE_STEP_DEG,
    LONGITUDE_STEP_DEG,
    NO_VALUE,
    SEQUENCE_MODULUS,
    TIME_MODULUS,
    Habitat,
    habitat,
)
from dunes.mesh.models.server import Context, Outcome, Raw, Server
from dunes.mesh.wire import Message, ModelId

ALERT_REPEAT_S = 2.0
"""An alert is sent again after that, then after twice as long, and so on."""
ALERT_TRIES = 6
ALERTS_MAX = 16
"""Alerts that wait for an acknowledgement; the oldest is given up for a new one."""


@dataclass(slots=True)
class _Alert:
    kind: int
    sequence: int
    payload: bytes
    tries: int
    due_s: float


@dataclass(frozen=True, slots=True)
class HabitatMessage(Message):
    """A message of the model, its fields by name."""

    name: str
    values: Mapping[str, int]


@dataclass(slots=True)
class HabitatServer(Server):
    """What one element reports."""

    messages: ClassVar[Mapping[int, type[Message]]] = {}
    unix_offset_s: float | None = None
    sequence: int = 0
    latest: dict[int, bytes] = field(default_factory=dict)
    _alerts: deque[_Alert] = field(default_factory=lambda: deque(maxlen=ALERTS_MAX))

    @property
    def identity(self) -> ModelId:
        """Give the model's identifier, as the definition has it."""
        return self.definition.server

    @property
    def definition(self) -> Habitat:
        """Give the definition."""
        return habitat()

    def report(
        self, kind: int, number: float | None, now_s: float, *, alert: bool = False
    ) -> Message:
        """Make a report to publish; an alert is repeated until it is acknowledged.

        Args:
            kind: a code of the definition.
            number: in the kind's unit; None: no value.
            now_s: seconds.
            alert: it is outside of its limits.
        """
        known = self.definition.kinds.get(kind)
        if known is None:
            raise LocalError(f"no kind {kind} in the habitat model")
        offset_s = self.unix_offset_s
        payload = self.definition.make(
            "Report",
            kind=kind,
            alert=int(alert),
            clock_set=int(offset_s is not None),
            sequence=self.sequence,
            time_s=int(now_s + (offset_s or 0.0)) % TIME_MODULUS,
            value=NO_VALUE if number is None else round(number * known.divisor),
        )
        if alert:
            self._alerts.append(
                _Alert(kind, self.sequence, payload, ALERT_TRIES, now_s + ALERT_REPEAT_S)
            )
        self.sequence = (self.sequence + 1) % SEQUENCE_MODULUS
        self.latest.pop(kind, None)
        self.latest[kind] = payload
        return Raw(payload)

    def position(
        self, latitude_deg: float, longitude_deg: float, *, alert: bool = False
    ) -> Message:
        """Make a position to publish."""
        payload = self.definition.make(
            "Position",
            alert=int(alert),
            clock_set=int(self.unix_offset_s is not None),
            sequence=self.sequence,
            latitude=round(latitude_deg / LATITUDE_STEP_DEG),
            longitude=min(round(longitude_deg / LONGITUDE_STEP_DEG), (1 << 23) - 1),
        )
        self.sequence = (self.sequence + 1) % SEQUENCE_MODULUS
        return Raw(payload)

    def decode(self, opcode: int, parameters: bytes) -> Message | None:
        """Read a message of this model."""
        found = self.definition.read(opcode, parameters)
        return None if found is None else HabitatMessage(*found)

    def receive(self, message: Message, context: Context) -> Outcome:
        """Take a message."""
        if not isinstance(message, HabitatMessage):
            return Outcome()
        values = message.values
        match message.name:
            case "ReportGet":
                return Outcome([Raw(payload) for payload in self._asked(values["kind"])])
            case "AlertAck":
                kept = [
                    each
                    for each in self._alerts
                    if (each.kind, each.sequence) != (values["kind"], values["sequence"])
                ]
                self._alerts = deque(kept, maxlen=ALERTS_MAX)
            case "ClockSet":
                self.unix_offset_s = values["unix_s"] - context.now_s
                return Outcome([Raw(self.definition.make("ClockStatus", unix_s=values["unix_s"]))])
        return Outcome()

    def _asked(self, kind: int) -> list[bytes]:
        if kind:
            return [self.latest[kind]] if kind in self.latest else []
        return list(self.latest.values())[-1:]

    def publication(self, now_s: float) -> Message | None:
        """Publish nothing by period: reports are sent when they are made."""
        del now_s
        return None

    def next_timer_s(self) -> float | None:
        """Say when an alert is sent again."""
        return min((each.due_s for each in self._alerts), default=None)

    def handle_timer(self, now_s: float) -> Outcome:
        """Send again the alerts that nobody acknowledged."""
        outcome, kept = Outcome(), []
        for each in self._alerts:
            if each.due_s <= now_s:
                outcome.publish.append(Raw(each.payload))
                each.tries -= 1
                each.due_s = now_s + ALERT_REPEAT_S * 2 ** (ALERT_TRIES - each.tries)
            if each.tries:
                kept.append(each)
        self._alerts = deque(kept, maxlen=ALERTS_MAX)
        return outcome
