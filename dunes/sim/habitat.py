"""What habitat sensors look at: air, warmth and radiation in a closed volume with people.

Balances of a well mixed volume, integrated in steps of a second of site time.
Figures: CO2 1.0 kg and O2 0.84 kg per person and day, tripled in exercise
(NASA BVAD, NASA/TP-2015-218570, table 3.31); ISS cabin CO2 of some 2,500 ppm;
galactic radiation of 57 µSv/h on the Moon's surface (Zhang et al. 2020, Chang'E 4),
a quarter of it behind regolith.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

DAY_S = 86_400
HOUR_S = 3600.0

CO2_M3_PER_HOUR = 1.0 / 24 / 1.82
"""Breathed out by one person at rest: 1.0 kg a day, 1.82 kg/m3 at 101 kPa and 22 °C."""

O2_M3_PER_HOUR = 0.84 / 24 / 1.32
"""Used by one person at rest: 0.84 kg a day, 1.32 kg/m3."""

SCRUBBED_PPM = 2500.0
"""Where the scrubber holds a resting crew."""

SHIELDED_USV_PER_HOUR = 13.5

LEVEL_MAX = 0x7FFF
"""A Generic Level that is full on."""

WAKE_H, SLEEP_H, SPORT_H = 6, 22, 9


def activity(crew_member: int, at_s: float) -> float:
    """Say how hard a person works, as a multiple of rest: asleep 0.7, awake 1.1, sport 3.

    Args:
        crew_member: from 0; each has an own hour of sport.
        at_s: site time, seconds since 1970 UTC.
    """
    hour = at_s % DAY_S / HOUR_S
    if not WAKE_H <= hour < SLEEP_H:
        return 0.7
    if int(hour) == (SPORT_H + 2 * crew_member) % 24:
        return 3.0
    return 1.1


@dataclass(slots=True)
class Air:
    """The state of the volume at one moment."""

    co2_ppm: float
    o2_pct: float
    temperature_c: float
    pressure_kpa: float
    humidity_pct: float


@dataclass(slots=True)
class Habitat:
    """A habitat, from `start_s` on.

    Attributes:
        crew: people in it.
        volume_m3: of air.
        start_s: site time at which it starts in balance.
        rng: for what differs between habitats (phases, how sensors are placed).
        storms: solar particle events: (start, peak in µSv/h).
        leaks: punctures: (start, kPa lost in a minute until patched after 5 minutes).
        oxygen_set: the oxygen valve as somebody set it; null: the regulator decides.
        heater_set: share of the heater's power, likewise; null: the thermostat decides.
    """

    crew: int
    volume_m3: float
    start_s: float
    rng: Random
    storms: list[tuple[float, float]] = field(default_factory=list)
    leaks: list[tuple[float, float]] = field(default_factory=list)
    _before: Air = field(init=False)
    _after: Air = field(init=False)
    _step_s: float = field(init=False)
    oxygen_set: bool | None = None
    heater_set: float | None = None
    _oxygen_on: bool = False
    _heater_on: bool = True

    def __post_init__(self) -> None:
        """Start in balance."""
        self._before = self._after = Air(SCRUBBED_PPM, 20.95, 22.0, 101.2, 46.0)
        self._step_s = self.start_s

    def advance(self, at_s: float) -> None:
        """Bring the air to the step that `at_s` lies in."""
        while self._step_s <= at_s:
            self._before = self._after
            self._after = self._next(self._before, self._step_s)
            self._step_s += 1.0

    def trigger(self, kind: str, at_s: float) -> bool:
        """Let something happen; False if it cannot happen here."""
        if kind == "solar-particle":
            self.storms.append((at_s, 420.0))
        elif kind == "micrometeorite":
            self.leaks.append((at_s, 0.9))
        else:
            return False
        return True

    def act(self, what: str, place: int, value: int) -> bool:
        """Take what an actuator was set to; False if that moves nothing here."""
        del place  # one volume
        if what == "oxygen":
            self.oxygen_set = bool(value)
        elif what == "heater":
            self.heater_set = max(0, value) / LEVEL_MAX
        else:
            return False
        return True

    def probe(self, kind: str, place: int) -> Callable[[float], float]:
        """Give the function that a sensor of `kind` in `place` measures: time → true value.

        Raises:
            KeyError: the habitat has no such quantity.
        """
        phase = self.rng.uniform(0, math.tau)
        offset = self.rng.gauss(0.0, 1.0)
        start_s = self.start_s
        member = place % max(1, self.crew)

        def co2(at_s: float) -> float:
            t = at_s - start_s
            breath = math.sin(math.tau * 0.25 * t + phase)  # 15 breaths a minute
            plume = math.sin(t / 47.0 + phase) + 0.6 * math.sin(t / 13.0 - 2 * phase)
            near = activity(member, at_s)
            return self._between("co2_ppm", at_s) + near * (6 * breath + 22 * plume) + 20 * offset

        def radiation(at_s: float) -> float:
            slow = 1.0 + 0.03 * math.sin(math.tau * at_s / (27 * DAY_S) + 0.1)
            return SHIELDED_USV_PER_HOUR * slow + sum(
                storm_dose(at_s - begin_s, peak) for begin_s, peak in self.storms
            )

        def temperature(at_s: float) -> float:
            return self._between("temperature_c", at_s) + 0.5 * offset

        def humidity(at_s: float) -> float:
            return self._between("humidity_pct", at_s) + 1.5 * offset

        return {
            "co2": co2,
            "o2": lambda at_s: self._between("o2_pct", at_s),
            "temperature": temperature,
            "pressure": lambda at_s: self._between("pressure_kpa", at_s),
            "humidity": humidity,
            "radiation": radiation,
        }[kind]

    def _between(self, name: str, at_s: float) -> float:
        first, last = getattr(self._before, name), getattr(self._after, name)
        share = min(1.0, max(0.0, at_s - (self._step_s - 1.0)))
        return float(first + (last - first) * share)

    def _next(self, air: Air, at_s: float) -> Air:
        """Integrate one second."""
        work = sum(activity(member, at_s) for member in range(self.crew))
        hour = 1.0 / HOUR_S
        made_ppm = 1e6 * CO2_M3_PER_HOUR * work / self.volume_m3
        resting_ppm = 1e6 * CO2_M3_PER_HOUR * self.crew / self.volume_m3
        scrubbed = resting_ppm * air.co2_ppm / SCRUBBED_PPM
        used_pct = 100 * O2_M3_PER_HOUR * work / self.volume_m3
        if air.o2_pct < 20.85:  # noqa: PLR2004 - the valve opens
            self._oxygen_on = True
        elif air.o2_pct > 21.05:  # noqa: PLR2004 - the valve closes
            self._oxygen_on = False
        if air.temperature_c < 21.7:  # noqa: PLR2004 - the thermostat
            self._heater_on = True
        elif air.temperature_c > 22.3:  # noqa: PLR2004
            self._heater_on = False
        oxygen_on = self._oxygen_on if self.oxygen_set is None else self.oxygen_set
        heat = float(self._heater_on) if self.heater_set is None else self.heater_set
        patched_s = 300.0
        leak_kpa = sum(
            rate / 60.0 for begin_s, rate in self.leaks if begin_s <= at_s < begin_s + patched_s
        )
        # nitrogen and oxygen make up for losses, at most 0.1 kPa a minute
        makeup_kpa = min(0.1 / 60.0, max(0.0, 101.3 - air.pressure_kpa) * 0.02)
        dew = 46.0 + 1.2 * (work / self.crew - 1.1) if self.crew else 40.0
        return Air(
            air.co2_ppm + (made_ppm - scrubbed) * hour,
            air.o2_pct + ((1.2 if oxygen_on else 0.0) - used_pct) * hour,
            air.temperature_c + (2.9 * heat - 1.1) * hour,
            air.pressure_kpa - leak_kpa - 0.015 * hour + makeup_kpa,
            air.humidity_pct + (dew - air.humidity_pct) / 900.0,
        )


def storm_dose(age_s: float, peak: float) -> float:
    """Give the extra dose rate of a solar particle event, in µSv/h.

    Rises within minutes, falls within hours.
    """
    if age_s <= 0:
        return 0.0
    return peak * (1.0 - math.exp(-age_s / 90.0)) * math.exp(-age_s / (4 * HOUR_S))
