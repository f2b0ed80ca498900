"""The vendor model "habitat telemetry", as `habitat.toml` defines it.

    report = habitat().make("Report", kind=1, alert=1, clock_set=1, sequence=7,
                            time_s=unix_s % 2**24, value=-1250)
    habitat().read(opcode, parameters)     -> ("Report", {"kind": 1, …})

The file is the only place that says which bit is where.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from dunes.errors import DataError, LocalError
from dunes.mesh.access import encode_opcode, vendor_opcode
from dunes.mesh.errors import BadPdu
from dunes.mesh.wire import ModelId

PARAMETER_BYTES_MAX = 8
"""With 3 octets of opcode: one unsegmented access PDU."""
NO_VALUE = -0x8000
TIME_MODULUS = 1 << 24
SEQUENCE_MODULUS = 1 << 14
LATITUDE_STEP_DEG, LONGITUDE_STEP_DEG = 180 / (1 << 24), 360 / (1 << 24)


@dataclass(frozen=True, slots=True)
class BitField:
    """Some bits of a message."""

    name: str
    bits: int
    at: int
    signed: bool
    doc: str


@dataclass(frozen=True, slots=True)
class Layout:
    """One message of the model."""

    name: str
    number: int
    size: int
    fields: tuple[BitField, ...]
    doc: str

    def pack(self, values: Mapping[str, int]) -> bytes:
        """Give the parameters.

        Raises:
            LocalError: a field is missing, unknown, or out of range.
        """
        names = [each.name for each in self.fields]
        if set(values) != set(names):
            raise LocalError(f"{self.name} takes {names}, not {sorted(values)}")
        bits = 0
        for each in self.fields:
            value, low = values[each.name], -(1 << each.bits - 1) if each.signed else 0
            if not low <= value < low + (1 << each.bits):
                raise LocalError(f"{self.name}.{each.name} cannot be {value}")
            bits |= (value & (1 << each.bits) - 1) << each.at
        return bits.to_bytes(self.size, "little")

    def unpack(self, parameters: bytes) -> dict[str, int]:
        """Read the parameters.

        Raises:
            BadPdu: a wrong number of octets.
        """
        if len(parameters) != self.size:
            raise BadPdu(f"{self.name} of {len(parameters)} octets, not {self.size}")
        bits = int.from_bytes(parameters, "little")
        found = {}
        for each in self.fields:
            value = bits >> each.at & (1 << each.bits) - 1
            if each.signed and value >> each.bits - 1:
                value -= 1 << each.bits
            found[each.name] = value
        return found


@dataclass(frozen=True, slots=True)
class ReportKind:
    """What a report may be of: `value / divisor` in `unit`."""

    code: int
    name: str
    unit: str
    divisor: int


@dataclass(frozen=True, slots=True)
class Habitat:
    """The whole definition.

    Attributes:
        company: company identifier.
        server: the model that nodes have.
        client: the model that gateways have.
        messages: by name.
        kinds: by code.
    """

    company: int
    server: ModelId
    client: ModelId
    messages: Mapping[str, Layout]
    kinds: Mapping[int, ReportKind]

    def opcode(self, name: str) -> int:
        """Give a message's opcode as a number."""
        return vendor_opcode(self.messages[name].number, self.company)

    def make(self, name: str, **values: int) -> bytes:
        """Give the access payload of a message."""
        return encode_opcode(self.opcode(name)) + self.messages[name].pack(values)

    def read(self, opcode: int, parameters: bytes) -> tuple[str, dict[str, int]] | None:
        """Read a message; None where the opcode is not of this model.

        Raises:
            BadPdu: a wrong number of octets.
        """
        for name, layout in self.messages.items():
            if self.opcode(name) == opcode:
                return name, layout.unpack(parameters)
        return None

    def number(self, kind: int, value: int) -> float | None:
        """Give a report's value in its unit; None where there is none, or no such kind."""
        known = self.kinds.get(kind)
        return None if known is None or value == NO_VALUE else value / known.divisor


def load_habitat(text: str) -> Habitat:
    """Read a definition.

    Raises:
        DataError: it is no TOML, or its bits do not fit.
    """
    try:
        data = tomllib.loads(text)
        messages = {each["name"]: _layout(each) for each in data["message"]}
        kinds = {each["code"]: ReportKind(**each) for each in data["kind"]}
        return Habitat(
            data["company"],
            ModelId(data["server"], data["company"]),
            ModelId(data["client"], data["company"]),
            messages,
            kinds,
        )
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"no definition of a vendor model: {error}") from error


def _layout(data: Mapping[str, Any]) -> Layout:
    fields, at = [], 0
    for each in data["field"]:
        signed = each.get("signed", False)
        fields.append(BitField(each["name"], each["bits"], at, signed, each["doc"]))
        at += each["bits"]
    size, rest = divmod(at, 8)
    if rest or size > PARAMETER_BYTES_MAX:
        raise DataError(f"{data['name']} has {at} bits: not whole octets, or more than 8")
    return Layout(data["name"], data["opcode"], size, tuple(fields), data["doc"])


@cache
def habitat() -> Habitat:
    """Give the definition that comes with the library."""
    text = resources.files("dunes.mesh.models").joinpath("habitat.toml").read_text("utf-8")
    return load_habitat(text)
