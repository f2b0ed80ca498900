"""What is measured, in which units, and from where on it is urgent: one table. Pure.

Units are written as in UCUM, where it is short (`Cel`, `uSv/h`, `/min`), and `ppm`.
Another spelling of the same unit (`°C`, `µSv/h`, `bpm`) is taken as that unit; a value
is never converted. A kind that is not in the table is stored all the same, if its unit
is known; a unit that is not known is refused, as nobody could tell later what it was.

Limits that depend on the place (a cabin's pressure, a rover's temperature) are not
here: whoever knows the place gives the reading its priority.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from dunes.model import Priority, Value

SYMBOLS: Mapping[str, str] = {
    "Cel": "°C",
    "uSv/h": "µSv/h",
    "mSv/h": "mSv/h",
    "uGy/h": "µGy/h",
    "deg": "°",
    "1": "",
    "umol/mol": "µmol/mol",
    "ug/m3": "µg/m³",
    "mg/m3": "mg/m³",
    "m/s2": "m/s²",
    "Ohm": "Ω",
}
"""How people like to see a unit, where that is not its code."""

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "1": (),
    "%": ("percent", "pct", "%RH", "%vol", "vol%"),
    "ppm": ("[ppm]", "PPM", "ppmv"),
    "ppb": ("[ppb]", "PPB"),
    "umol/mol": ("µmol/mol", "μmol/mol"),
    "Cel": ("°C", "℃", "degC", "C", "celsius", "Celsius"),
    "K": ("kelvin", "Kelvin"),
    "Pa": (),
    "hPa": ("mbar",),
    "kPa": ("kpa",),
    "bar": (),
    "uSv/h": ("µSv/h", "μSv/h", "uSv/hr", "µSv/hr", "μSv/hr"),
    "mSv/h": ("mSv/hr",),
    "uGy/h": ("µGy/h", "μGy/h"),
    "/min": ("bpm", "1/min", "min-1", "min^-1", "beats/min", "breaths/min"),
    "/s": ("1/s", "s-1"),
    "Hz": ("hz",),
    "kHz": (),
    "MHz": (),
    "V": ("volt",),
    "mV": (),
    "A": ("amp", "ampere"),
    "mA": (),
    "W": ("watt",),
    "kW": (),
    "Wh": (),
    "kWh": (),
    "Ohm": ("Ω", "ohm"),
    "m": ("metre", "meter"),
    "mm": (),
    "cm": (),
    "km": (),
    "m/s": ("mps",),
    "km/h": ("kmh", "kph"),
    "m/s2": ("m/s^2", "m/s²"),
    "deg": ("°", "degree", "degrees"),
    "rad": (),
    "deg/s": ("°/s",),
    "g": (),
    "kg": (),
    "mg/m3": ("mg/m³",),
    "ug/m3": ("µg/m³", "μg/m³"),
    "L/min": ("l/min", "lpm"),
    "mm[Hg]": ("mmHg",),
    "mmol/L": ("mmol/l",),
    "lx": ("lux",),
    "dB": (),
    "dBm": (),
    "s": ("sec",),
    "ms": (),
    "min": (),
    "h": (),
    "By": ("B", "bytes"),
    "N": (),
    "J": (),
    "T": (),
    "uT": ("µT", "μT"),
}
"""Every unit, with other spellings of the same."""


def _by_spelling() -> dict[str, str]:
    found = {unit: unit for unit in SPELLINGS}
    for unit, others in SPELLINGS.items():
        found.update(dict.fromkeys(others, unit))
    return found


UNIT_OF: Mapping[str, str] = _by_spelling()


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a value becomes urgent; None: never.

    Attributes:
        warn_below: a warning below this.
        warn_above: a warning above this.
        alert_below: an alert below this.
        alert_above: an alert above this.
        source: who says so.
    """

    warn_below: float | None = None
    warn_above: float | None = None
    alert_below: float | None = None
    alert_above: float | None = None
    source: str = "house default"

    def priority(self, value: float) -> Priority:
        """Say how urgent a value is."""
        if _beyond(value, self.alert_below, self.alert_above):
            return Priority.ALERT
        if _beyond(value, self.warn_below, self.warn_above):
            return Priority.WARNING
        return Priority.ROUTINE


def _beyond(value: float, below: float | None, above: float | None) -> bool:
    return (below is not None and value < below) or (above is not None and value > above)


@dataclass(frozen=True, slots=True)
class KindSpec:
    """One kind of measurement.

    Attributes:
        what: a few words.
        units: the units it comes in; empty for a truth value or text.
        limits: by unit, where it becomes urgent.
        alarm: a truth value whose `true` is an alert.
    """

    what: str
    units: tuple[str, ...] = ()
    limits: Mapping[str, Limits] = field(default_factory=dict)
    alarm: bool = False


KINDS: Mapping[str, KindSpec] = {
    # air
    "co2": KindSpec(
        "carbon dioxide",
        ("ppm", "%"),
        {"ppm": Limits(warn_above=5000, alert_above=8000, source="OSHA PEL 5,000 ppm over 8 h")},
    ),
    "o2": KindSpec(
        "oxygen",
        ("%", "kPa"),
        {
            "%": Limits(
                warn_below=20.0,
                alert_below=19.5,
                alert_above=23.5,
                source="OSHA 29 CFR 1910.146: deficient below 19.5 %, enriched above 23.5 %",
            )
        },
    ),
    "co": KindSpec(
        "carbon monoxide",
        ("ppm", "ppb"),
        {"ppm": Limits(warn_above=35, alert_above=200, source="NIOSH REL and ceiling")},
    ),
    "pressure": KindSpec("pressure", ("kPa", "Pa", "hPa", "bar")),
    "humidity": KindSpec("relative humidity", ("%",)),
    "temperature": KindSpec("temperature", ("Cel", "K")),
    "pm25": KindSpec("fine dust", ("ug/m3", "mg/m3")),
    "sound": KindSpec("sound level", ("dB",)),
    "light": KindSpec("illuminance", ("lx",)),
    # radiation
    "radiation": KindSpec(
        "dose rate",
        ("uSv/h", "mSv/h", "uGy/h"),
        {
            "uSv/h": Limits(
                warn_above=100,
                alert_above=1000,
                source="10 CFR 20.1003: high radiation area above 1 mSv in an hour",
            ),
            "mSv/h": Limits(warn_above=0.1, alert_above=1.0, source="10 CFR 20.1003"),
        },
    ),
    # people
    "heart_rate": KindSpec(
        "heart rate",
        ("/min",),
        {"/min": Limits(warn_above=175, alert_below=35, alert_above=190)},
    ),
    "respiration": KindSpec("breaths", ("/min",)),
    "spo2": KindSpec("oxygen saturation", ("%",), {"%": Limits(warn_below=92, alert_below=88)}),
    "body_temperature": KindSpec(
        "core temperature",
        ("Cel",),
        {"Cel": Limits(warn_above=38.0, alert_below=35.0, alert_above=40.0)},
    ),
    "skin_temperature": KindSpec("skin temperature", ("Cel",)),
    "blood_pressure_systolic": KindSpec("blood pressure, systolic", ("mm[Hg]", "kPa")),
    "blood_pressure_diastolic": KindSpec("blood pressure, diastolic", ("mm[Hg]", "kPa")),
    # power and motion
    "battery": KindSpec("state of charge", ("%",), {"%": Limits(warn_below=20, alert_below=10)}),
    "bus_voltage": KindSpec("bus voltage", ("V", "mV")),
    "battery_voltage": KindSpec("battery voltage", ("V", "mV")),
    "wheel_current": KindSpec("wheel motor current", ("A", "mA")),
    "current": KindSpec("electric current", ("A", "mA")),
    "power": KindSpec("power", ("W", "kW")),
    "speed": KindSpec("speed", ("m/s", "km/h")),
    "odometer": KindSpec("way travelled", ("m", "km")),
    "acceleration": KindSpec("acceleration", ("m/s2",)),
    "heading": KindSpec("heading", ("deg", "rad")),
    "tilt": KindSpec("tilt", ("deg", "rad")),
    "latitude": KindSpec("latitude", ("deg",)),
    "longitude": KindSpec("longitude", ("deg",)),
    "altitude": KindSpec("altitude", ("m", "km")),
    # ground and sky
    "soil_water": KindSpec("water in soil", ("%",)),
    "soil_temperature": KindSpec("soil temperature", ("Cel", "K")),
    "optical_depth": KindSpec("dust in the sky", ("1",)),
    "wind_speed": KindSpec("wind speed", ("m/s", "km/h")),
    "magnetic_field": KindSpec("magnetic field", ("uT", "T")),
    # radio
    "rssi": KindSpec("received signal strength", ("dBm",)),
    "snr": KindSpec("signal to noise", ("dB",)),
    # alarms: true is an alert
    "smoke": KindSpec("smoke detected", alarm=True),
    "fire": KindSpec("fire detected", alarm=True),
    "leak": KindSpec("leak detected", alarm=True),
    "fall": KindSpec("a person fell", alarm=True),
    "sos": KindSpec("a person calls for help", alarm=True),
}

ALIASES: Mapping[str, str] = {
    "carbon_dioxide": "co2",
    "oxygen": "o2",
    "carbon_monoxide": "co",
    "temp": "temperature",
    "rh": "humidity",
    "relative_humidity": "humidity",
    "dose_rate": "radiation",
    "hr": "heart_rate",
    "pulse": "heart_rate",
    "breathing_rate": "respiration",
    "respiratory_rate": "respiration",
    "soc": "battery",
    "battery_level": "battery",
    "lat": "latitude",
    "lon": "longitude",
    "lng": "longitude",
}
"""Other names of kinds."""


def fold_kind(name: str) -> str:
    """Fold a kind's name: lower case, `_` for `-` and blanks, other names to the one here."""
    folded = name.strip().lower().replace("-", "_").replace(" ", "_")
    return ALIASES.get(folded, folded)


def known_unit(unit: str) -> str | None:
    """Give the unit's code for any of its spellings; None if it is not known."""
    return UNIT_OF.get(unit)


def near_units(unit: str, kind: str) -> list[str]:
    """Suggest units: those of the kind, or else those that are spelt like it."""
    spec = KINDS.get(kind)
    if spec is not None and spec.units:
        return list(spec.units)
    near = get_close_matches(unit, UNIT_OF, n=3, cutoff=0.5)
    return list(dict.fromkeys(UNIT_OF[found] for found in near))


def symbol(unit: str) -> str:
    """Write a unit as people like to see it."""
    return SYMBOLS.get(unit, unit)


def priority_of(kind: str, unit: str, value: Value) -> Priority:
    """Say how urgent a reading is that does not say so itself."""
    spec = KINDS.get(kind)
    if spec is None:
        return Priority.ROUTINE
    if spec.alarm:
        return Priority.ALERT if value is True else Priority.ROUTINE
    limits = spec.limits.get(unit)
    if limits is None or isinstance(value, (bool, str)):
        return Priority.ROUTINE
    return limits.priority(value)
