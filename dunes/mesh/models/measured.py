"""What a message measured, whichever model said it: one shape for the buffer's readings."""

from collections.abc import Iterator
from dataclasses import dataclass

from dunes.mesh.models.habitat import LATITUDE_STEP_DEG, LONGITUDE_STEP_DEG, habitat
from dunes.mesh.models.habitat_server import HabitatMessage
from dunes.mesh.models.health import CurrentStatus, fault_name
from dunes.mesh.models.sensor import Marshalled, SensorStatus, unmarshal
from dunes.mesh.wire import Message

UNKNOWN_UNIT = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """One value.

    Attributes:
        kind: what: `temperature`; `property_1234` or `kind_99` where no table knows it.
        value: a number; hexadecimal octets where no table knows the property; a fault's name.
        unit: of the value; empty where it is not known.
        alert: the node says that it is urgent.
        time_s: the node's own time of it, modulo 2^24, if its clock is set.
        sequence: the node's own number for it.
    """

    kind: str
    value: float | str
    unit: str
    alert: bool = False
    time_s: int | None = None
    sequence: int | None = None


def measured(message: Message | None) -> Iterator[Measured]:
    """Give what a message measured; values that a sensor says it does not have are left out.

    Raises:
        BadPdu: a Sensor Status that cannot be read.
    """
    match message:
        case SensorStatus():
            for each in unmarshal(message.values):
                yield from _sensor(each)
        case HabitatMessage(name="Report"):
            yield from _report(message)
        case HabitatMessage(name="Position"):
            yield from _position(message)
        case CurrentStatus():
            for fault in message.faults:
                if fault:
                    yield Measured("fault", fault_name(fault), UNKNOWN_UNIT, alert=True)


def _sensor(each: Marshalled) -> Iterator[Measured]:
    value = each.value()
    if value is not None and value.number is not None:
        yield Measured(value.property.name, value.number, value.property.unit)
    elif value is None and each.raw is not None:
        yield Measured(f"property_{each.property_id:04x}", each.raw.hex(), UNKNOWN_UNIT)


def _report(message: HabitatMessage) -> Iterator[Measured]:
    values = message.values
    known = habitat().kinds.get(values["kind"])
    number = habitat().number(values["kind"], values["value"])
    alert, sequence = bool(values["alert"]), values["sequence"]
    time_s = values["time_s"] if values["clock_set"] else None
    if known is None:
        kind = f"kind_{values['kind']}"
        yield Measured(kind, values["value"], UNKNOWN_UNIT, alert, time_s, sequence)
    elif number is not None:
        yield Measured(known.name, number, known.unit, alert, time_s, sequence)


def _position(message: HabitatMessage) -> Iterator[Measured]:
    values = message.values
    alert, sequence = bool(values["alert"]), values["sequence"]
    for kind, step_deg in (("latitude", LATITUDE_STEP_DEG), ("longitude", LONGITUDE_STEP_DEG)):
        yield Measured(kind, values[kind] * step_deg, "deg", alert, None, sequence)


def unwrap_time(time_s: int, unix_s: float) -> int:
    """Give the Unix time nearest to now that a node's time modulo 2^24 stands for."""
    modulus = 1 << 24
    behind = (int(unix_s) - time_s) % modulus
    if behind > modulus // 2:
        behind -= modulus
    return int(unix_s) - behind
