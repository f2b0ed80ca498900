"""Sensor messages, and the marshalled values in them (Mesh Model 1.1, 4.2).

format A   2 octets: 0, length-1 (4 bits), property (11 bits) | value of 1 to 16
format B   3 octets: 1, length-1 (7 bits; 0x7F: no value), property (16 bits) | value
"""

from collections.abc import Iterable
from dataclasses import dataclass

from dunes.errors import LocalError
from dunes.mesh.errors import BadPdu
from dunes.mesh.models.properties import FORMAT_A_ID_MAX, PROPERTIES, Property, Value
from dunes.mesh.wire import U16, Message, ModelId, OptionalU16, Rest, table

SENSOR_SERVER, SENSOR_SETUP_SERVER, SENSOR_CLIENT = (
    ModelId(0x1100),
    ModelId(0x1101),
    ModelId(0x1102),
)

FORMAT_A_BYTES, FORMAT_B_BYTES = 2, 3
FORMAT_A_VALUE_MAX, FORMAT_B_VALUE_MAX = 16, 127
NO_VALUE = 0x7F
DESCRIPTOR_BYTES = 8


@dataclass(frozen=True, slots=True)
class Marshalled:
    """One property in a Sensor Status.

    Attributes:
        property_id: 16 bits.
        raw: its octets; None: the sensor has no such property.
    """

    property_id: int
    raw: bytes | None

    def encode(self) -> bytes:
        """Give marshalled property ID and value, in format A where it fits."""
        if self.raw is None:
            return bytes([NO_VALUE << 1 | 1]) + self.property_id.to_bytes(2, "little")
        size = len(self.raw)
        if not 0 < size <= FORMAT_B_VALUE_MAX:
            raise LocalError(f"a sensor value of {size} octets")
        if self.property_id <= FORMAT_A_ID_MAX and size <= FORMAT_A_VALUE_MAX:
            head = (self.property_id << 5 | size - 1 << 1).to_bytes(2, "little")
        else:
            head = bytes([size - 1 << 1 | 1]) + self.property_id.to_bytes(2, "little")
        return head + self.raw

    def value(self) -> Value | None:
        """Read it by the property table; None where the table does not know it.

        Raises:
            BadPdu: a wrong number of octets.
        """
        known = PROPERTIES.get(self.property_id)
        return None if known is None or self.raw is None else known.read(self.raw)


def marshal(values: Iterable[Marshalled]) -> bytes:
    """Give the parameters of a Sensor Status."""
    return b"".join(value.encode() for value in values)


def marshal_number(known: Property, number: float) -> Marshalled:
    """Make a marshalled value of a number."""
    return Marshalled(known.id, known.write(number))


def unmarshal(data: bytes) -> list[Marshalled]:
    """Read the parameters of a Sensor Status.

    Raises:
        BadPdu: it ends in the middle of a value.
    """
    found, at = [], 0
    while at < len(data):
        value, at = _next(data, at)
        found.append(value)
    return found


def _next(data: bytes, at: int) -> tuple[Marshalled, int]:
    head_bytes = FORMAT_B_BYTES if data[at] & 1 else FORMAT_A_BYTES
    head = data[at : at + head_bytes]
    if len(head) < head_bytes:
        raise BadPdu("a Sensor Status that ends in a property ID")
    if head[0] & 1:
        length, property_id = head[0] >> 1, int.from_bytes(head[1:], "little")
        size = 0 if length == NO_VALUE else length + 1
    else:
        bits = int.from_bytes(head, "little")
        size, property_id = (bits >> 1 & 0xF) + 1, bits >> 5
    if not property_id:
        raise BadPdu("a Sensor Status with property 0")
    at += head_bytes
    raw = data[at : at + size]
    if len(raw) < size:
        raise BadPdu("a Sensor Status that ends in a value")
    return Marshalled(property_id, raw if size else None), at + size


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a sensor says of one of its values (4.1.1).

    Attributes:
        property_id: the property.
        positive_tolerance: of 4095 parts; 0 unspecified.
        negative_tolerance: the same below.
        sampling: 0 unspecified, 1 instantaneous, 2 mean, 3 RMS, 4 maximum, 5 minimum,
            6 accumulated, 7 count.
        period: measurement period, as the power of 1.1 of octet - 64 in seconds; 0 unknown.
        interval: update interval, likewise.
    """

    property_id: int
    positive_tolerance: int = 0
    negative_tolerance: int = 0
    sampling: int = 0
    period: int = 0
    interval: int = 0

    def encode(self) -> bytes:
        """Give its 8 octets."""
        tolerances = self.positive_tolerance | self.negative_tolerance << 12
        return b"".join(
            (
                self.property_id.to_bytes(2, "little"),
                tolerances.to_bytes(3, "little"),
                bytes([self.sampling, self.period, self.interval]),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> "Descriptor":
        """Read 8 octets."""
        tolerances = int.from_bytes(data[2:5], "little")
        property_id = int.from_bytes(data[:2], "little")
        return cls(property_id, tolerances & 0xFFF, tolerances >> 12, data[5], data[6], data[7])


def read_descriptors(data: bytes) -> list[Descriptor] | int:
    """Read the parameters of a Descriptor Status: descriptors, or the unknown property's ID.

    Raises:
        BadPdu: a length that cannot be.
    """
    if len(data) == FORMAT_A_BYTES:
        return int.from_bytes(data, "little")
    if len(data) % DESCRIPTOR_BYTES:
        raise BadPdu(f"a Descriptor Status of {len(data)} octets")
    return [
        Descriptor.decode(data[at : at + DESCRIPTOR_BYTES])
        for at in range(0, len(data), DESCRIPTOR_BYTES)
    ]


@dataclass(frozen=True, slots=True)
class Cadence:
    """When a sensor publishes oftener than by its period (4.1.3).

    Attributes:
        fast_divisor: log2: in the fast range it publishes 2^n times as often; 0 to 15.
        percent: deltas are in 0.01 % of the value, not in the value's format.
        delta_down: publish when it fell by so much; raw octets.
        delta_up: publish when it rose by so much; raw octets.
        min_interval: log2 of the milliseconds between two publications; 0 to 26.
        fast_low: the fast range begins; raw octets. Above `fast_high`: outside of the range.
        fast_high: it ends.
    """

    fast_divisor: int
    percent: bool
    delta_down: bytes
    delta_up: bytes
    min_interval: int
    fast_low: bytes
    fast_high: bytes

    def encode(self) -> bytes:
        """Give the octets after the property ID."""
        head = bytes([self.fast_divisor | self.percent << 7])
        deltas = head + self.delta_down + self.delta_up
        return deltas + bytes([self.min_interval]) + self.fast_low + self.fast_high

    @classmethod
    def decode(cls, data: bytes, size: int) -> "Cadence":
        """Read the octets after the property ID; `size` is that of the property's value.

        Raises:
            BadPdu: a wrong number of octets, or a number out of range.
        """
        if not data:
            raise BadPdu("a sensor cadence of 0 octets")
        percent = bool(data[0] >> 7)
        step = 2 if percent else size
        if len(data) != 2 + 2 * step + 2 * size:
            raise BadPdu(f"a sensor cadence of {len(data)} octets")
        down, up = data[1 : 1 + step], data[1 + step : 1 + 2 * step]
        rest = data[1 + 2 * step :]
        found = cls(
            data[0] & 0x7F, percent, down, up, rest[0], rest[1 : 1 + size], rest[1 + size :]
        )
        if found.fast_divisor > FAST_DIVISOR_MAX or found.min_interval > MIN_INTERVAL_MAX:
            raise BadPdu("a sensor cadence out of range")
        return found


FAST_DIVISOR_MAX, MIN_INTERVAL_MAX = 15, 26


@dataclass(frozen=True, slots=True)
class DescriptorGet(Message, opcode=0x8230):
    """Ask what a sensor measures."""

    property_id: OptionalU16 = None


@dataclass(frozen=True, slots=True)
class DescriptorStatus(Message, opcode=0x51):
    """What a sensor measures; see `read_descriptors`."""

    descriptors: Rest


@dataclass(frozen=True, slots=True)
class SensorGet(Message, opcode=0x8231):
    """Ask for the values, or for one."""

    property_id: OptionalU16 = None


@dataclass(frozen=True, slots=True)
class SensorStatus(Message, opcode=0x52):
    """Values; see `unmarshal`."""

    values: Rest


@dataclass(frozen=True, slots=True)
class CadenceGet(Message, opcode=0x8234):
    """Ask when it publishes."""

    property_id: U16


@dataclass(frozen=True, slots=True)
class CadenceSet(Message, opcode=0x55):
    """Set when it publishes, and answer; see `Cadence`."""

    property_id: U16
    cadence: Rest


@dataclass(frozen=True, slots=True)
class CadenceSetUnacknowledged(Message, opcode=0x56):
    """Set when it publishes."""

    property_id: U16
    cadence: Rest


@dataclass(frozen=True, slots=True)
class CadenceStatus(Message, opcode=0x57):
    """When it publishes; empty: it has no cadence."""

    property_id: U16
    cadence: Rest


@dataclass(frozen=True, slots=True)
class SettingsGet(Message, opcode=0x8235):
    """Ask which settings a sensor has."""

    property_id: U16


@dataclass(frozen=True, slots=True)
class SettingsStatus(Message, opcode=0x58):
    """Which settings: property IDs of 2 octets each."""

    property_id: U16
    settings: Rest


@dataclass(frozen=True, slots=True)
class SettingGet(Message, opcode=0x8236):
    """Ask for a setting."""

    property_id: U16
    setting_id: U16


@dataclass(frozen=True, slots=True)
class SettingSet(Message, opcode=0x59):
    """Set a setting, and answer."""

    property_id: U16
    setting_id: U16
    raw: Rest


@dataclass(frozen=True, slots=True)
class SettingSetUnacknowledged(Message, opcode=0x5A):
    """Set a setting."""

    property_id: U16
    setting_id: U16
    raw: Rest


@dataclass(frozen=True, slots=True)
class SettingStatus(Message, opcode=0x5B):
    """A setting: access (1 read, 3 read and write) and octets; nothing: there is none."""

    property_id: U16
    setting_id: U16
    access_and_raw: Rest = b""


@dataclass(frozen=True, slots=True)
class ColumnGet(Message, opcode=0x8232):
    """Ask for a column of a histogram; our server has none."""

    property_id: U16
    x: Rest = b""


@dataclass(frozen=True, slots=True)
class SeriesGet(Message, opcode=0x8233):
    """Ask for several columns of a histogram; our server has none."""

    property_id: U16
    range: Rest = b""


@dataclass(frozen=True, slots=True)
class ColumnStatus(Message, opcode=0x53):
    """A column of a histogram."""

    property_id: U16
    column: Rest = b""


@dataclass(frozen=True, slots=True)
class SeriesStatus(Message, opcode=0x54):
    """Columns of a histogram."""

    property_id: U16
    columns: Rest = b""


ACCESS_READ, ACCESS_READ_WRITE = 1, 3

SERVER_MESSAGES = table(DescriptorGet, SensorGet, ColumnGet, SeriesGet)
SETUP_MESSAGES = table(
    CadenceGet,
    CadenceSet,
    CadenceSetUnacknowledged,
    SettingsGet,
    SettingGet,
    SettingSet,
    SettingSetUnacknowledged,
)
CLIENT_MESSAGES = table(
    DescriptorStatus,
    SensorStatus,
    CadenceStatus,
    SettingsStatus,
    SettingStatus,
    ColumnStatus,
    SeriesStatus,
)
