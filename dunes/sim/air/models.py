"""The server models of virtual nodes: those of the stack, fed by instruments."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dunes.mesh.models.generic_server import LevelServer, OnOffServer
from dunes.mesh.models.habitat import NO_VALUE, ReportKind, habitat
from dunes.mesh.models.habitat_server import HabitatServer
from dunes.mesh.models.health_server import HealthServer
from dunes.mesh.models.properties import PROPERTIES, Property
from dunes.mesh.models.sensor import SensorGet
from dunes.mesh.models.sensor_server import SensorServer, SensorSetupServer
from dunes.mesh.models.server import Context, Outcome, Server
from dunes.mesh.wire import Message
from dunes.sim.definition import ElementSpec

SENSOR_PROPERTIES = {"temperature": 0x0075, "humidity": 0x0076, "co2": 0x0077, "pressure": 0x0082}
"""Kinds that have a device property, and which."""
REPORT_CODES = {each.name: each.code for each in habitat().kinds.values()}
SPACING_S = 0.2
"""Between the reports of a period: what overtakes what was sent before makes it look replayed."""
REPORT_LIMIT = -NO_VALUE - 1
POSITION = "position"
"""What a node reports in a message of its own: latitude and longitude."""

Read = Callable[[str], float | None]


def _ignore(_count: int, _alerts: int) -> None:
    return


@dataclass
class MeasuringServer(SensorServer):
    """A Sensor Server that measures when somebody asks, and when it publishes.

    Attributes:
        read: measures a kind.
        sent: told how many readings a publication has, and how many of them are alerts.
    """

    read: Read = lambda _kind: None
    sent: Callable[[int, int], None] = _ignore

    def measure(self) -> None:
        """Take a new value of everything."""
        for kind, number in SENSOR_PROPERTIES.items():
            if number in self.sensors and (value := self.read(kind)) is not None:
                known = PROPERTIES[number]
                self.sensors[number].raw = known.write(_within(known, value))

    def receive(self, message: Message, context: Context) -> Outcome:
        """Measure, then answer."""
        if isinstance(message, SensorGet):
            self.measure()
        return super().receive(message, context)

    def publication(self, now_s: float) -> Message | None:
        """Measure, then publish."""
        self.measure()
        message = super().publication(now_s)
        if message is not None:
            self.sent(len(self.sensors), 0)
        return message


def _within(known: Property, number: float) -> float:
    """Keep a number in what its property can say; the ends say that there is no value."""
    highest = (1 << (8 * known.size - known.signed)) - 3
    lowest = -highest if known.signed else 0
    return min(max(number, lowest / known.scale_inverse), highest / known.scale_inverse)


@dataclass
class ReportingServer(HabitatServer):
    """Our vendor model: each period it reports every kind that the node measures.

    Attributes:
        kinds: what it reports.
        read: measures a kind.
        sent: as above.
    """

    kinds: tuple[str, ...] = ()
    read: Read = lambda _kind: None
    sent: Callable[[int, int], None] = _ignore
    _more: list[str] = field(default_factory=list)
    _more_s: float = 0.0

    def publication(self, now_s: float) -> Message | None:
        """Begin a period: the first report goes now, the others one after the other."""
        self._more = list(self.kinds)
        return self._next(now_s)

    def _next(self, now_s: float) -> Message | None:
        """Measure the next kind that this node has; None if there is no more."""
        self._more_s = now_s + SPACING_S
        while self._more:
            found = self._measured(self._more.pop(0), now_s)
            if found is not None:
                message, readings = found
                self.sent(readings, 0)
                return message
        return None

    def alert(self, kind: str, value: float, now_s: float) -> Message:
        """Make a report that is sent again until it is acknowledged."""
        message = self._report(kind, value, now_s, alert=True)
        self.sent(1, 1)
        return message

    def next_timer_s(self) -> float | None:
        """Say when something is to be sent."""
        due_s = super().next_timer_s()
        if not self._more:
            return due_s
        return self._more_s if due_s is None else min(due_s, self._more_s)

    def handle_timer(self, now_s: float) -> Outcome:
        """Send the next report of a period, and alerts again."""
        outcome = super().handle_timer(now_s)
        if self._more and now_s >= self._more_s and (message := self._next(now_s)) is not None:
            outcome.publish.append(message)
        return outcome

    def _measured(self, kind: str, now_s: float) -> tuple[Message, int] | None:
        """Measure a kind: a message and its readings; None where this node does not."""
        if kind == POSITION:
            latitude_deg, longitude_deg = self.read("latitude"), self.read("longitude")
            if latitude_deg is None or longitude_deg is None:
                return None
            return self.position(latitude_deg, longitude_deg), 2
        value = self.read(kind)
        return None if value is None else (self._report(kind, value, now_s, alert=False), 1)

    def _report(self, kind: str, value: float, now_s: float, *, alert: bool) -> Message:
        known: ReportKind = self.definition.kinds[REPORT_CODES[kind]]
        limit = REPORT_LIMIT / known.divisor
        number = min(max(value, -limit), limit)
        return self.report(known.code, number, now_s, alert=alert)


@dataclass(slots=True)
class Models:
    """All server models of one node.

    Attributes:
        elements: as the node's description wants them.
        sensors: those that measure.
        reporting: the vendor model, with its element.
        actuators: OnOff and Level servers by what they move, with their element.
        health: of the primary element.
    """

    elements: list[list[Server]] = field(default_factory=list)
    sensors: list[MeasuringServer] = field(default_factory=list)
    reporting: tuple[int, ReportingServer] | None = None
    actuators: dict[str, tuple[int, OnOffServer | LevelServer]] = field(default_factory=dict)
    health: HealthServer = field(default_factory=HealthServer)


def make_models(
    specs: tuple[ElementSpec, ...], read: Read, sent: Callable[[int, int], None]
) -> Models:
    """Make the models of a node.

    Args:
        specs: of its elements.
        read: measures a kind.
        sent: told what publications hold.
    """
    made = Models()
    for number, spec in enumerate(specs):
        servers: list[Server] = [] if number else [made.health]
        if spec.onoff:
            switch = OnOffServer()
            servers.append(switch)
            made.actuators[spec.onoff] = number, switch
        if spec.level:
            level = LevelServer()
            servers.append(level)
            made.actuators[spec.level] = number, level
        if spec.sensors:
            plain = SensorServer.of(*(SENSOR_PROPERTIES[kind] for kind in spec.sensors))
            sensor = MeasuringServer(plain.sensors, read, sent)
            servers += [sensor, SensorSetupServer(server=sensor)]
            made.sensors.append(sensor)
        if spec.reports:
            reporting = ReportingServer(kinds=spec.reports, read=read, sent=sent)
            servers.append(reporting)
            made.reporting = number, reporting
        made.elements.append(servers)
    return made
