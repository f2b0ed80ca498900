"""What rover sensors look at: battery, wheels, soil and sky of machines on Mars.

A sol is 88,775 s; the wheel speed is that of Curiosity (some 4 cm/s); dust of
optical depth 0.5 on a clear day and 4 and more in a storm takes the light as
exp(-depth), roughly what reaches a panel.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

SOL_S = 88_775.0
METRES_PER_DEGREE = 59_274.0
"""Of latitude on Mars (radius 3,396 km)."""

DRIVE_MPS = 0.04
BATTERY_WH = 1600.0
PANEL_W = 420.0
DRIVE_W, IDLE_W = 190.0, 75.0


LEVEL_MAX = 0x7FFF
"""A Generic Level that is full speed."""


@dataclass(slots=True)
class Body:
    """The state of one rover.

    Attributes:
        charge: of its battery, 0 to 1.
        odometer_m: way so far.
        north_m, east_m: from where it started.
        driving: it drives now.
        may_drive: nobody has switched its drive off.
        speed_share: of full speed, as it was set.
    """

    charge: float = 0.72
    odometer_m: float = 0.0
    north_m: float = 0.0
    east_m: float = 0.0
    driving: bool = False
    may_drive: bool = True
    speed_share: float = 1.0


@dataclass(slots=True)
class Rovers:
    """A swarm, from `start_s` on.

    Attributes:
        count: how many.
        latitude_deg, longitude_deg: where they start.
        start_s: site time at which they start.
        rng: for what differs between rovers.
        storms: when dust storms begin.
    """

    count: int
    latitude_deg: float
    longitude_deg: float
    start_s: float
    rng: Random
    storms: list[float] = field(default_factory=list)
    bodies: list[Body] = field(init=False)
    _headings: list[float] = field(init=False)
    _step_s: float = field(init=False)

    def __post_init__(self) -> None:
        """Place the rovers."""
        self.bodies = [Body(charge=self.rng.uniform(0.6, 0.9)) for _ in range(self.count)]
        self._headings = [self.rng.uniform(0, math.tau) for _ in range(self.count)]
        self._step_s = self.start_s

    def trigger(self, kind: str, at_s: float) -> bool:
        """Let a dust storm begin; False for anything else."""
        if kind != "dust-storm":
            return False
        self.storms.append(at_s)
        return True

    def depth(self, at_s: float) -> float:
        """Give the optical depth of the dust."""
        return 0.5 + sum(
            4.5 * (1 - math.exp(-(at_s - begin_s) / 60.0)) * math.exp(-(at_s - begin_s) / 2e5)
            for begin_s in self.storms
            if at_s > begin_s
        )

    def sun(self, at_s: float) -> float:
        """Give the height of the sun: 1 at noon, 0 and less at night."""
        return math.sin(math.tau * ((at_s / SOL_S) % 1.0))

    def advance(self, at_s: float) -> None:
        """Drive and charge up to `at_s`, in steps of ten seconds."""
        step_s = 10.0
        while self._step_s + step_s <= at_s:
            light = max(0.0, self.sun(self._step_s)) * math.exp(-self.depth(self._step_s))
            for number, body in enumerate(self.bodies):
                # drives by daylight with enough charge, 40 minutes in the hour
                hour_share = (self._step_s / 3600.0 + number / self.count) % 1.0
                body.driving = light > 0.1 and body.charge > 0.35 and hour_share < 2 / 3  # noqa: PLR2004 - the rule above
                body.driving = body.driving and body.may_drive and body.speed_share > 0
                load_w = DRIVE_W if body.driving else IDLE_W
                change_wh = (PANEL_W * light - load_w) * step_s / 3600.0
                body.charge = min(1.0, max(0.02, body.charge + change_wh / BATTERY_WH))
                if body.driving:
                    way_m = DRIVE_MPS * body.speed_share * step_s
                    heading = self._headings[number] + 0.4 * math.sin(self._step_s / 900.0)
                    body.odometer_m += way_m
                    body.north_m += way_m * math.cos(heading)
                    body.east_m += way_m * math.sin(heading)
            self._step_s += step_s

    def act(self, what: str, place: int, value: int) -> bool:
        """Take what an actuator of a rover was set to; False if that moves nothing here."""
        body = self.bodies[place - 1]
        if what == "drive":
            body.may_drive = bool(value)
        elif what == "speed":
            body.speed_share = max(0, value) / LEVEL_MAX
        else:
            return False
        return True

    def probe(self, kind: str, place: int) -> Callable[[float], float]:
        """Give the function that a sensor of `kind` on rover `place` measures.

        Raises:
            KeyError: no rover measures that.
        """
        body = self.bodies[place - 1]
        phase = self.rng.uniform(0, math.tau)
        narrow = math.cos(math.radians(self.latitude_deg))

        def soil(_: float) -> float:
            hills = math.sin(body.north_m / 40.0 + phase) + math.sin(body.east_m / 23.0)
            return max(0.1, 2.0 + 0.6 * hills)

        def wheel(_: float) -> float:
            return (2.1 + 0.5 * math.sin(body.odometer_m / 3.0 + phase)) if body.driving else 0.05

        return {
            "battery": lambda _: 100.0 * body.charge,
            "bus_voltage": lambda _: 26.0 + 6.5 * body.charge - (0.6 if body.driving else 0.0),
            "speed": lambda _: DRIVE_MPS * body.speed_share if body.driving else 0.0,
            "wheel_current": wheel,
            "odometer": lambda _: body.odometer_m,
            "latitude": lambda _: self.latitude_deg + body.north_m / METRES_PER_DEGREE,
            "longitude": lambda _: self.longitude_deg + body.east_m / (METRES_PER_DEGREE * narrow),
            "soil_water": soil,
            "optical_depth": self.depth,
            "temperature": lambda t: -55.0 + 40.0 * self.sun(t - 6000.0),
        }[kind]
