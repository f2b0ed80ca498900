"""Provisioning PDUs: one octet of type, then fixed fields, big-endian (5.4.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from dunes.mesh.errors import BadPdu


class PduType(IntEnum):
    """The first octet."""

    INVITE = 0x00
    CAPABILITIES = 0x01
    START = 0x02
    PUBLIC_KEY = 0x03
    INPUT_COMPLETE = 0x04
    CONFIRMATION = 0x05
    RANDOM = 0x06
    DATA = 0x07
    COMPLETE = 0x08
    FAILED = 0x09


class Reason(IntEnum):
    """Why a device gave up (5.4.4)."""

    PROHIBITED = 0
    INVALID_PDU = 1
    """It did not know the PDU."""
    INVALID_FORMAT = 2
    """A field was out of range."""
    UNEXPECTED_PDU = 3
    """It was not that PDU's turn."""
    CONFIRMATION_FAILED = 4
    """The OOB value was another one."""
    OUT_OF_RESOURCES = 5
    DECRYPTION_FAILED = 6
    UNEXPECTED_ERROR = 7
    CANNOT_ASSIGN_ADDRESSES = 8
    """It has no place for these addresses."""
    INVALID_DATA = 9
    """The address, or a key index, is invalid."""


class BadProvisioning(BadPdu):
    """A provisioning PDU that cannot be, with the reason that a device answers."""

    code = "mesh-provisioning"

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Algorithm(IntEnum):
    """The value in Start; in Capabilities it is the bit's number."""

    CMAC = 0
    """ECDH on P-256, AES-CMAC, AES-CCM; confirmations of 16 octets."""
    HMAC = 1
    """ECDH on P-256, HMAC-SHA-256, AES-CCM; confirmations of 32 octets."""

    @property
    def size_bytes(self) -> int:
        """Give the size of confirmations, randoms and authentication values."""
        return 32 if self is Algorithm.HMAC else 16


class OobType(IntFlag):
    """Bits of Capabilities."""

    STATIC = 1
    OOB_ONLY = 2
    """Neither "no OOB" nor CMAC."""


class Method(IntEnum):
    """How the two authenticate each other."""

    NONE = 0
    STATIC = 1
    """A value that both know."""
    OUTPUT = 2
    """The device shows one, the operator types it in here."""
    INPUT = 3
    """We show one, the operator types it into the device."""


class OutputAction(IntEnum):
    """How a device shows a value; in Capabilities the bit's number."""

    BLINK = 0
    BEEP = 1
    VIBRATE = 2
    NUMERIC = 3
    ALPHANUMERIC = 4


class InputAction(IntEnum):
    """How a value gets into a device; in Capabilities the bit's number."""

    PUSH = 0
    TWIST = 1
    NUMERIC = 2
    ALPHANUMERIC = 3


OOB_SIZE_MAX = 8


@dataclass(frozen=True, slots=True)
class Invite:
    """Come in; draw attention to yourself for some seconds."""

    attention_s: int = 0

    def encode(self) -> bytes:
        """Give the PDU."""
        return bytes([PduType.INVITE, self.attention_s])


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a device can do.

    Attributes:
        elements: how many addresses it needs.
        algorithms: bits, see `Algorithm`.
        public_key_oob: its public key can be had out of band.
        oob_type: see `OobType`.
        output_size: digits or letters it can show, 0 to 8.
        output_actions: bits, see `OutputAction`.
        input_size: digits or letters it takes, 0 to 8.
        input_actions: bits, see `InputAction`.
    """

    elements: int = 1
    algorithms: int = 1 << Algorithm.CMAC | 1 << Algorithm.HMAC
    public_key_oob: bool = False
    oob_type: int = 0
    output_size: int = 0
    output_actions: int = 0
    input_size: int = 0
    input_actions: int = 0

    def encode(self) -> bytes:
        """Give the PDU."""
        return b"".join(
            (
                bytes([PduType.CAPABILITIES, self.elements]),
                self.algorithms.to_bytes(2, "big"),
                bytes([self.public_key_oob, self.oob_type, self.output_size]),
                self.output_actions.to_bytes(2, "big"),
                bytes([self.input_size]),
                self.input_actions.to_bytes(2, "big"),
            )
        )

    def offers(self, algorithm: Algorithm) -> bool:
        """Say whether an algorithm is offered."""
        return bool(self.algorithms >> algorithm & 1)


@dataclass(frozen=True, slots=True)
class Start:
    """How it shall be done.

    Attributes:
        algorithm: which.
        public_key_oob: the device's public key is known already.
        method: of authentication.
        action: an `OutputAction` or `InputAction`; 0 with other methods.
        size: digits or letters; 0 with other methods.
    """

    algorithm: Algorithm
    public_key_oob: bool = False
    method: Method = Method.NONE
    action: int = 0
    size: int = 0

    def encode(self) -> bytes:
        """Give the PDU."""
        fields = (self.algorithm, self.public_key_oob, self.method, self.action, self.size)
        return bytes([PduType.START, *fields])


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: X and Y, 32 octets each."""

    xy: bytes

    def encode(self) -> bytes:
        """Give the PDU."""
        return bytes([PduType.PUBLIC_KEY]) + self.xy


@dataclass(frozen=True, slots=True)
class InputComplete:
    """The operator has typed the value into the device."""

    def encode(self) -> bytes:
        """Give the PDU."""
        return bytes([PduType.INPUT_COMPLETE])


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A commitment to a random number: 16 or 32 octets."""

    value: bytes

    def encode(self) -> bytes:
        """Give the PDU."""
        return bytes([PduType.CONFIRMATION]) + self.value


@dataclass(frozen=True, slots=True)
class Random:
    """That random number."""

    value: bytes

    def encode(self) -> bytes:
        """Give the PDU."""
        return bytes([PduType.RANDOM]) + self.value


@dataclass(frozen=True, slots=True)
class Data:
    """Keys and address, sealed: 25 octets and a MIC of 8."""

    sealed: bytes

    def encode(self) -> bytes:
        """Give the PDU."""
        return bytes([PduType.DATA]) + self.sealed


@dataclass(frozen=True, slots=True)
class Complete:
    """The device is a node now."""

    def encode(self) -> bytes:
        """Give the PDU."""
        return bytes([PduType.COMPLETE])


@dataclass(frozen=True, slots=True)
class Failed:
    """The device gave up."""

    reason: Reason

    def encode(self) -> bytes:
        """Give the PDU."""
        return bytes([PduType.FAILED, self.reason])


Pdu = (
    Invite
    | Capabilities
    | Start
    | PublicKey
    | InputComplete
    | Confirmation
    | Random
    | Data
    | Complete
    | Failed
)

SIZES = {
    PduType.INVITE: (1,),
    PduType.CAPABILITIES: (11,),
    PduType.START: (5,),
    PduType.PUBLIC_KEY: (64,),
    PduType.INPUT_COMPLETE: (0,),
    PduType.CONFIRMATION: (16, 32),
    PduType.RANDOM: (16, 32),
    PduType.DATA: (33,),
    PduType.COMPLETE: (0,),
    PduType.FAILED: (1,),
}


def parse_provisioning(data: bytes) -> Pdu:
    """Read a provisioning PDU.

    Raises:
        BadProvisioning: an unknown type, a wrong length, a reserved value.
    """
    if not data or data[0] not in SIZES:
        raise BadProvisioning(Reason.INVALID_PDU, f"a provisioning PDU {data[:1].hex()}")
    kind, rest = PduType(data[0]), data[1:]
    if len(rest) not in SIZES[kind]:
        raise BadProvisioning(
            Reason.INVALID_FORMAT, f"{kind.name} of {len(rest)} bytes, not {SIZES[kind]}"
        )
    return READERS[kind](rest)


def _capabilities(rest: bytes) -> Capabilities:
    found = Capabilities(
        rest[0],
        int.from_bytes(rest[1:3], "big"),
        bool(rest[3] & 1),
        rest[4],
        rest[5],
        int.from_bytes(rest[6:8], "big"),
        rest[8],
        int.from_bytes(rest[9:11], "big"),
    )
    if not found.elements or max(found.output_size, found.input_size) > OOB_SIZE_MAX:
        raise BadProvisioning(Reason.INVALID_FORMAT, "capabilities that cannot be")
    return found


def _start(rest: bytes) -> Start:
    try:
        start = Start(Algorithm(rest[0]), bool(rest[1]), Method(rest[2]), rest[3], rest[4])
        if start.method is Method.OUTPUT:
            OutputAction(start.action)
        elif start.method is Method.INPUT:
            InputAction(start.action)
    except ValueError as error:
        raise BadProvisioning(Reason.INVALID_FORMAT, f"Start with {error}") from error
    interactive = start.method in (Method.OUTPUT, Method.INPUT)
    sized = 0 < start.size <= OOB_SIZE_MAX
    if rest[1] > 1 or (interactive and not sized):
        raise BadProvisioning(Reason.INVALID_FORMAT, f"Start {rest.hex()}")
    if not interactive and (start.action or start.size):
        raise BadProvisioning(Reason.INVALID_FORMAT, f"Start {rest.hex()}")
    return start


def _failed(rest: bytes) -> Failed:
    known = rest[0] in Reason.__members__.values()
    return Failed(Reason(rest[0]) if known else Reason.UNEXPECTED_ERROR)


READERS: dict[PduType, Callable[[bytes], Pdu]] = {
    PduType.INVITE: lambda rest: Invite(rest[0]),
    PduType.CAPABILITIES: _capabilities,
    PduType.START: _start,
    PduType.PUBLIC_KEY: PublicKey,
    PduType.INPUT_COMPLETE: lambda _: InputComplete(),
    PduType.CONFIRMATION: Confirmation,
    PduType.RANDOM: Random,
    PduType.DATA: Data,
    PduType.COMPLETE: lambda _: Complete(),
    PduType.FAILED: _failed,
}
