"""Sensor server and sensor setup server (Mesh Model 1.1, 4.3).

The host writes values with `set_value`; they are answered, published by period, and, where a
cadence says so, published at once when they changed enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from dunes.errors import LocalError
from dunes.mesh.errors import BadPdu
from dunes.mesh.models import sensor
from dunes.mesh.models.properties import PROPERTIES
from dunes.mesh.models.sensor import (
    ACCESS_READ_WRITE,
    Cadence,
    Descriptor,
    Marshalled,
    marshal,
    marshal_number,
)
from dunes.mesh.models.server import Context, Outcome, Server
from dunes.mesh.wire import Message, ModelId

PERCENT_STEP = 10_000
"""Deltas in 0.01 % of the value."""


@dataclass(slots=True)
class Sensor:
    """One value that a node measures.

    Attributes:
        descriptor: what it is.
        raw: its octets.
        cadence: when it is published oftener.
        settings: by setting property ID.
    """

    descriptor: Descriptor
    raw: bytes
    cadence: Cadence | None = None
    settings: dict[int, bytes] = field(default_factory=dict)
    published_raw: bytes = b""
    published_at_s: float = float("-inf")

    @property
    def property_id(self) -> int:
        """Give the property it measures."""
        return self.descriptor.property_id

    def number(self, raw: bytes) -> float:
        """Read raw octets as a number, for comparisons."""
        known = PROPERTIES.get(self.property_id)
        return int.from_bytes(raw, "little", signed=known is not None and known.signed)

    def is_due(self, now_s: float) -> bool:
        """Say whether its cadence wants it published now."""
        cadence = self.cadence
        if cadence is None or self.raw == self.published_raw or not self.published_raw:
            return False
        if now_s - self.published_at_s < (1 << cadence.min_interval) / 1000:
            return False
        before, now = self.number(self.published_raw), self.number(self.raw)
        delta = cadence.delta_up if now > before else cadence.delta_down
        limit: float = int.from_bytes(delta, "little")
        if cadence.percent:
            limit = abs(before) * limit / PERCENT_STEP
        return limit > 0 and abs(now - before) >= limit

    def is_fast(self) -> bool:
        """Say whether the value is in the fast range of its cadence."""
        if self.cadence is None or not self.cadence.fast_divisor:
            return False
        low, high = self.number(self.cadence.fast_low), self.number(self.cadence.fast_high)
        now = self.number(self.raw)
        return low <= now <= high if low <= high else now < high or now > low


@dataclass(slots=True)
class SensorServer(Server):
    """The values of one element."""

    model: ClassVar[ModelId] = sensor.SENSOR_SERVER
    messages: ClassVar[Mapping[int, type[Message]]] = sensor.SERVER_MESSAGES
    sensors: dict[int, Sensor] = field(default_factory=dict)

    @classmethod
    def of(cls, *property_ids: int) -> "SensorServer":
        """Make a server of known properties, all values 0."""
        found = {
            each: Sensor(Descriptor(each), bytes(PROPERTIES[each].size)) for each in property_ids
        }
        return cls(found)

    def set_value(self, property_id: int, number: float, now_s: float) -> Message | None:
        """Write a value; gives a status to publish where its cadence wants it."""
        known = self.sensors.get(property_id)
        if known is None or property_id not in PROPERTIES:
            raise LocalError(f"no sensor of property {property_id:#06x}")
        known.raw = marshal_number(PROPERTIES[property_id], number).raw or b""
        if not known.is_due(now_s):
            return None
        known.published_raw, known.published_at_s = known.raw, now_s
        return sensor.SensorStatus(Marshalled(property_id, known.raw).encode())

    def receive(self, message: Message, context: Context) -> Outcome:
        """Take a message."""
        del context
        match message:
            case sensor.SensorGet():
                return Outcome([sensor.SensorStatus(self._values(message.property_id))])
            case sensor.DescriptorGet():
                return Outcome([sensor.DescriptorStatus(self._descriptors(message.property_id))])
            case sensor.ColumnGet():
                return Outcome([sensor.ColumnStatus(message.property_id, message.x)])
            case sensor.SeriesGet():
                return Outcome([sensor.SeriesStatus(message.property_id)])
        return Outcome()

    def publication(self, now_s: float) -> Message | None:
        """Publish all values."""
        for each in self.sensors.values():
            each.published_raw, each.published_at_s = each.raw, now_s
        return sensor.SensorStatus(self._values(None)) if self.sensors else None

    def divisor(self) -> int:
        """Say how many times as often to publish, as a cadence wants it."""
        fast = [
            each.cadence.fast_divisor
            for each in self.sensors.values()
            if each.cadence and each.is_fast()
        ]
        return 1 << max(fast, default=0)

    def _values(self, property_id: int | None) -> bytes:
        if property_id is None:
            return marshal(
                Marshalled(each.property_id, each.raw) for each in self.sensors.values()
            )
        known = self.sensors.get(property_id)
        return Marshalled(property_id, None if known is None else known.raw).encode()

    def _descriptors(self, property_id: int | None) -> bytes:
        if property_id is None:
            return b"".join(each.descriptor.encode() for each in self.sensors.values())
        known = self.sensors.get(property_id)
        return property_id.to_bytes(2, "little") if known is None else known.descriptor.encode()


@dataclass(slots=True)
class SensorSetupServer(Server):
    """Cadence and settings of a sensor server."""

    model: ClassVar[ModelId] = sensor.SENSOR_SETUP_SERVER
    messages: ClassVar[Mapping[int, type[Message]]] = sensor.SETUP_MESSAGES
    server: SensorServer = field(default_factory=SensorServer)

    def receive(self, message: Message, context: Context) -> Outcome:
        """Take a message."""
        del context
        match message:
            case sensor.CadenceSet() | sensor.CadenceSetUnacknowledged():
                self._set_cadence(message.property_id, message.cadence)
                return self._cadence(message)
            case sensor.CadenceGet():
                return self._cadence(message)
            case sensor.SettingsGet():
                known = self.server.sensors.get(message.property_id)
                ids = () if known is None else tuple(known.settings)
                packed = b"".join(each.to_bytes(2, "little") for each in ids)
                return Outcome([sensor.SettingsStatus(message.property_id, packed)])
            case sensor.SettingSet() | sensor.SettingSetUnacknowledged():
                self._set(message.property_id, message.setting_id, message.raw)
                return self._setting(message)
            case sensor.SettingGet():
                return self._setting(message)
        return Outcome()

    def _set_cadence(self, property_id: int, data: bytes) -> None:
        known = self.server.sensors.get(property_id)
        if known is not None:
            known.cadence = Cadence.decode(data, len(known.raw))

    def _cadence(
        self, message: sensor.CadenceGet | sensor.CadenceSet | sensor.CadenceSetUnacknowledged
    ) -> Outcome:
        if isinstance(message, sensor.CadenceSetUnacknowledged):
            return Outcome()
        known = self.server.sensors.get(message.property_id)
        cadence = None if known is None else known.cadence
        data = b"" if cadence is None else cadence.encode()
        return Outcome([sensor.CadenceStatus(message.property_id, data)])

    def _set(self, property_id: int, setting_id: int, raw: bytes) -> None:
        known = self.server.sensors.get(property_id)
        if known is None or setting_id not in known.settings:
            return
        if len(raw) != len(known.settings[setting_id]):
            raise BadPdu(f"setting {setting_id:#06x} of {len(raw)} octets")
        known.settings[setting_id] = raw

    def _setting(
        self, message: sensor.SettingGet | sensor.SettingSet | sensor.SettingSetUnacknowledged
    ) -> Outcome:
        if isinstance(message, sensor.SettingSetUnacknowledged):
            return Outcome()
        known = self.server.sensors.get(message.property_id)
        raw = None if known is None else known.settings.get(message.setting_id)
        data = b"" if raw is None else bytes([ACCESS_READ_WRITE]) + raw
        return Outcome([sensor.SettingStatus(message.property_id, message.setting_id, data)])
