"""Device properties: how the raw octets of a sensor become a number with a unit.

    number = raw * scale        raw values that say "unknown" or "over range" give none

Formats are those of the GATT Specification Supplement; a property that is not in the table
stays raw, so that telemetry of unknown sensors is kept and not lost.
"""

from dataclasses import dataclass

from dunes.errors import LocalError
from dunes.mesh.errors import BadPdu

FORMAT_A_ID_MAX = 0x7FF
"""A larger property ID needs format B."""


@dataclass(frozen=True, slots=True)
class Property:
    """One device property.

    Attributes:
        id: its number.
        name: the kind that a reading of it has: `temperature`.
        unit: as readings have it: `Cel`, `%`, `ppm`.
        size: octets.
        scale_inverse: the raw number is so many times the value.
        signed: the raw number may be negative.
        special: raw values that are no value, with what they say.
    """

    id: int
    name: str
    unit: str
    size: int
    scale_inverse: float = 1
    signed: bool = False
    special: tuple[tuple[int, str], ...] = ()

    def read(self, raw: bytes) -> "Value":
        """Read raw octets.

        Raises:
            BadPdu: a wrong number of them.
        """
        if len(raw) != self.size:
            raise BadPdu(f"{self.name} of {len(raw)} octets, not {self.size}")
        bits = int.from_bytes(raw, "little")
        for value, meaning in self.special:
            if bits == value:
                return Value(self, None, meaning)
        return Value(self, self.number(int.from_bytes(raw, "little", signed=self.signed)))

    def number(self, raw: int) -> float:
        """Scale a raw number."""
        return raw if self.scale_inverse == 1 else raw / self.scale_inverse

    def write(self, value: float) -> bytes:
        """Give the raw octets of a number.

        Raises:
            LocalError: it does not fit.
        """
        raw = round(value * self.scale_inverse)
        try:
            return raw.to_bytes(self.size, "little", signed=self.signed)
        except OverflowError as error:
            raise LocalError(f"{self.name} cannot be {value} {self.unit}") from error


@dataclass(frozen=True, slots=True)
class Value:
    """A sensor's value.

    Attributes:
        property: what it is of.
        number: in the property's unit; None where the sensor says it has none.
        meaning: why it has none: `not known`, `over range`.
    """

    property: Property
    number: float | None
    meaning: str = ""


def unknown(size: int, *, signed: bool = False) -> tuple[tuple[int, str], ...]:
    """Give the raw value that says "not known": all ones, or the least signed number."""
    raw = 1 << (8 * size - 1) if signed else (1 << 8 * size) - 1
    return ((raw, "not known"),)


CONCENTRATION = ((0xFFFE, "over range"), (0xFFFF, "not known"))
TEMPERATURE_8 = ((0x7F, "not known"),)

PROPERTIES = {
    each.id: each
    for each in (
        Property(0x0042, "presence", "1", 1),
        Property(0x004D, "motion", "%", 1, 2, special=unknown(1)),
        Property(0x004E, "light", "lx", 3, 100, special=unknown(3)),
        Property(0x004F, "temperature", "Cel", 1, 2, True, TEMPERATURE_8),
        Property(0x0054, "device_temperature", "Cel", 2, 100, True, unknown(2, signed=True)),
        Property(0x0056, "temperature", "Cel", 1, 2, True, TEMPERATURE_8),
        Property(0x005B, "outdoor_temperature", "Cel", 1, 2, True, TEMPERATURE_8),
        Property(0x0075, "temperature", "Cel", 2, 100, True, unknown(2, signed=True)),
        Property(0x0076, "humidity", "%", 2, 100, special=unknown(2)),
        Property(0x0077, "co2", "ppm", 2, special=CONCENTRATION),
        Property(0x0078, "voc", "ppb", 2, special=CONCENTRATION),
        Property(0x0079, "sound", "dB", 1, special=((0xFE, "over range"), (0xFF, "not known"))),
        Property(0x0082, "pressure", "kPa", 4, 10_000),
    )
}
"""By property ID."""
