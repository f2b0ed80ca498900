"""Health messages: faults and attention (Mesh Protocol 1.1, 4.3.3)."""

from dataclasses import dataclass

from dunes.mesh.wire import U8, U16, Message, ModelId, Rest, table

HEALTH_SERVER, HEALTH_CLIENT = ModelId(0x0002), ModelId(0x0003)

FAULTS = {
    0x00: "no fault",
    0x01: "battery low",
    0x02: "battery low error",
    0x03: "supply voltage too low",
    0x04: "supply voltage too low error",
    0x05: "supply voltage too high",
    0x06: "supply voltage too high error",
    0x07: "power supply interrupted",
    0x08: "power supply interrupted error",
    0x09: "no load",
    0x0A: "no load error",
    0x0B: "overload",
    0x0C: "overload error",
    0x0D: "overheat",
    0x0E: "overheat error",
    0x0F: "condensation",
    0x10: "condensation error",
    0x11: "vibration",
    0x12: "vibration error",
    0x13: "configuration",
    0x14: "configuration error",
    0x15: "element not calibrated",
    0x16: "element not calibrated error",
    0x17: "memory",
    0x18: "memory error",
    0x19: "self-test",
    0x1A: "self-test error",
    0x1B: "input too low",
    0x1C: "input too low error",
    0x1D: "input too high",
    0x1E: "input too high error",
    0x1F: "input no change",
    0x20: "input no change error",
    0x21: "actuator blocked",
    0x22: "actuator blocked error",
    0x23: "housing opened",
    0x24: "housing opened error",
    0x25: "tamper",
    0x26: "tamper error",
    0x27: "device moved",
    0x28: "device moved error",
    0x29: "device dropped",
    0x2A: "device dropped error",
    0x2B: "overflow",
    0x2C: "overflow error",
    0x2D: "empty",
    0x2E: "empty error",
    0x2F: "internal bus",
    0x30: "internal bus error",
    0x31: "mechanism jammed",
    0x32: "mechanism jammed error",
}
"""Odd codes warn, even ones are errors (4.2.16.1); from 0x80 on a vendor's own."""


def fault_name(code: int) -> str:
    """Name a fault for people."""
    return FAULTS.get(code, f"fault {code:#04x}")


def is_fault_warning(code: int) -> bool:
    """Say whether a fault is a warning, not an error."""
    return bool(code & 1)


@dataclass(frozen=True, slots=True)
class CurrentStatus(Message, opcode=0x04):
    """The faults there are now, one octet each."""

    test: U8
    company: U16
    faults: Rest = b""


@dataclass(frozen=True, slots=True)
class FaultStatus(Message, opcode=0x05):
    """The faults there were since they were cleared."""

    test: U8
    company: U16
    faults: Rest = b""


@dataclass(frozen=True, slots=True)
class FaultGet(Message, opcode=0x8031):
    """Ask for the faults there were."""

    company: U16


@dataclass(frozen=True, slots=True)
class FaultClear(Message, opcode=0x802F):
    """Clear them, and answer."""

    company: U16


@dataclass(frozen=True, slots=True)
class FaultClearUnacknowledged(Message, opcode=0x8030):
    """Clear them."""

    company: U16


@dataclass(frozen=True, slots=True)
class FaultTest(Message, opcode=0x8032):
    """Run a self-test, and answer."""

    test: U8
    company: U16


@dataclass(frozen=True, slots=True)
class FaultTestUnacknowledged(Message, opcode=0x8033):
    """Run a self-test."""

    test: U8
    company: U16


@dataclass(frozen=True, slots=True)
class PeriodGet(Message, opcode=0x8034):
    """Ask for the fast period divisor."""


@dataclass(frozen=True, slots=True)
class PeriodSet(Message, opcode=0x8035):
    """Publish 2^divisor times as often while there are faults, and answer."""

    divisor: U8


@dataclass(frozen=True, slots=True)
class PeriodSetUnacknowledged(Message, opcode=0x8036):
    """Publish 2^divisor times as often while there are faults."""

    divisor: U8


@dataclass(frozen=True, slots=True)
class PeriodStatus(Message, opcode=0x8037):
    """The fast period divisor."""

    divisor: U8


@dataclass(frozen=True, slots=True)
class AttentionGet(Message, opcode=0x8004):
    """Ask how long it still draws attention."""


@dataclass(frozen=True, slots=True)
class AttentionSet(Message, opcode=0x8005):
    """Draw attention for some seconds, and answer."""

    duration_s: U8


@dataclass(frozen=True, slots=True)
class AttentionSetUnacknowledged(Message, opcode=0x8006):
    """Draw attention for some seconds."""

    duration_s: U8


@dataclass(frozen=True, slots=True)
class AttentionStatus(Message, opcode=0x8007):
    """How long it still draws attention."""

    left_s: U8


MESSAGES = table(
    CurrentStatus,
    FaultStatus,
    FaultGet,
    FaultClear,
    FaultClearUnacknowledged,
    FaultTest,
    FaultTestUnacknowledged,
    PeriodGet,
    PeriodSet,
    PeriodSetUnacknowledged,
    PeriodStatus,
    AttentionGet,
    AttentionSet,
    AttentionSetUnacknowledged,
    AttentionStatus,
)
