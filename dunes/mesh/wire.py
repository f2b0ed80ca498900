"""Access messages as dataclasses: each field says how many octets it takes.

    class RelaySet(Message, opcode=0x8027):
        \"\"\"Set the relay state.\"\"\"
        state: U8
        retransmit: U8

    RelaySet(1, 0x42).encode() == bytes.fromhex("80270142")
    RelaySet.decode(parameters)

Little-endian, as all of the access layer. A field `… | None` at the end may be left out;
once one is, so are those behind it. Octets too many or too few are a `BadPdu`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, NamedTuple, Self, get_type_hints

from dunes.errors import LocalError
from dunes.mesh.access import encode_opcode
from dunes.mesh.errors import BadPdu
from dunes.mesh.keys import KEY_INDEX_MAX

PAIR_BYTES = 3
INDEX_BITS = 12


@dataclass(frozen=True, slots=True)
class Wire:
    """How a field is written.

    Attributes:
        size: octets; None: all that is left.
        encode: value to octets.
        decode: octets to value; raises ValueError where they cannot be.
        optional: may be left out at the end.
    """

    size: int | None
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    optional: bool = False


def uint(size: int, *, most: int | None = None, optional: bool = False) -> Wire:
    """Write an unsigned number of some octets."""
    limit = (1 << 8 * size) - 1 if most is None else most

    def decode(data: bytes) -> int:
        value = int.from_bytes(data, "little")
        if value > limit:
            raise ValueError(f"{value:#x} is more than {limit:#x}")
        return value

    return Wire(size, lambda value: int(value).to_bytes(size, "little"), decode, optional)


def sint(size: int) -> Wire:
    """Write a signed number of some octets."""
    return Wire(
        size,
        lambda value: int(value).to_bytes(size, "little", signed=True),
        lambda data: int.from_bytes(data, "little", signed=True),
    )


def octets(size: int | None) -> Wire:
    """Write octets as they are."""
    return Wire(size, bytes, bytes)


class ModelId(NamedTuple):
    """A model: of the SIG, or of a company."""

    model: int
    company: int | None = None

    def __str__(self) -> str:
        """Write it as databases do: `1100`, or company and model `003F002A`."""
        head = "" if self.company is None else f"{self.company:04X}"
        return f"{head}{self.model:04X}"

    def encode(self) -> bytes:
        """Give 2 octets, or 4 with a company."""
        head = b"" if self.company is None else self.company.to_bytes(2, "little")
        return head + self.model.to_bytes(2, "little")


SIG_MODEL_BYTES, VENDOR_MODEL_BYTES = 2, 4


def decode_model(data: bytes) -> ModelId:
    """Read a model of 2 or 4 octets."""
    if len(data) == SIG_MODEL_BYTES:
        return ModelId(int.from_bytes(data, "little"))
    if len(data) == VENDOR_MODEL_BYTES:
        company = int.from_bytes(data[:2], "little")
        return ModelId(int.from_bytes(data[2:], "little"), company)
    raise ValueError(f"a model of {len(data)} octets")


def pack_pair(pair: tuple[int, int]) -> bytes:
    """Pack two key indexes of 12 bits into 3 octets (4.3.1.1)."""
    return (pair[0] | pair[1] << INDEX_BITS).to_bytes(PAIR_BYTES, "little")


def unpack_pair(data: bytes) -> tuple[int, int]:
    """Read two key indexes from 3 octets."""
    both = int.from_bytes(data, "little")
    return both & KEY_INDEX_MAX, both >> INDEX_BITS


def pack_indexes(indexes: Iterable[int]) -> bytes:
    """Pack a list of key indexes: pairs, an odd last one in 2 octets."""
    every = list(indexes)
    pairs = zip(every[::2], every[1::2], strict=False)
    tail = every[-1].to_bytes(2, "little") if len(every) % 2 else b""
    return b"".join(pack_pair(pair) for pair in pairs) + tail


def unpack_indexes(data: bytes) -> tuple[int, ...]:
    """Read a list of key indexes."""
    whole, rest = divmod(len(data), PAIR_BYTES)
    if rest not in (0, 2):
        raise ValueError(f"a key index list of {len(data)} octets")
    found: list[int] = []
    for number in range(whole):
        found += unpack_pair(data[number * PAIR_BYTES : (number + 1) * PAIR_BYTES])
    if rest:
        found.append(int.from_bytes(data[-2:], "little") & KEY_INDEX_MAX)
    return tuple(found)


def unpack_u16s(data: bytes) -> tuple[int, ...]:
    """Read a list of numbers of 2 octets."""
    if len(data) % 2:
        raise ValueError(f"a list of {len(data)} octets")
    return tuple(int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2))


def _pack_u16s(values: Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)


U8 = Annotated[int, uint(1)]
U16 = Annotated[int, uint(2)]
U24 = Annotated[int, uint(3)]
U32 = Annotated[int, uint(4)]
S16 = Annotated[int, sint(2)]
S32 = Annotated[int, sint(4)]
KeyIndex = Annotated[int, uint(2, most=KEY_INDEX_MAX)]
KeyPair = Annotated[tuple[int, int], Wire(PAIR_BYTES, pack_pair, unpack_pair)]
KeyIndexes = Annotated[tuple[int, ...], Wire(None, pack_indexes, unpack_indexes)]
Addresses = Annotated[tuple[int, ...], Wire(None, _pack_u16s, unpack_u16s)]
Key = Annotated[bytes, octets(16)]
Rest = Annotated[bytes, octets(None)]
Model = Annotated[ModelId, Wire(None, ModelId.encode, decode_model)]
OptionalU8 = Annotated[int | None, uint(1, optional=True)]
OptionalU16 = Annotated[int | None, uint(2, optional=True)]


@dataclass(frozen=True, slots=True)
class Message:
    """The base of all access messages; a subclass gives its opcode and fields."""

    opcode: ClassVar[int]

    def __init_subclass__(cls, opcode: int | None = None) -> None:
        """Note the opcode; `slots=True` makes the class again without it, then it stays."""
        if opcode is not None:
            cls.opcode = opcode

    def encode(self) -> bytes:
        """Give the access payload: opcode and parameters.

        Raises:
            LocalError: a value does not fit its field.
        """
        parts = [encode_opcode(self.opcode)]
        kind: Any = type(self)
        for name, wire in layout(kind):
            value = getattr(self, name)
            if wire.optional and value is None:
                break
            try:
                part = wire.encode(value)
            except (OverflowError, TypeError, ValueError) as error:
                raise LocalError(f"{type(self).__name__}.{name}: {error}") from error
            if wire.size not in (None, len(part)):
                raise LocalError(f"{type(self).__name__}.{name} has {len(part)} octets")
            parts.append(part)
        return b"".join(parts)

    @classmethod
    def decode(cls, parameters: bytes) -> Self:
        """Read the parameters.

        Raises:
            BadPdu: too many or too few octets, or a value that cannot be.
        """
        values: list[Any] = []
        at = 0
        kind: Any = cls
        for name, wire in layout(kind):
            size = len(parameters) - at if wire.size is None else wire.size
            part = parameters[at : at + size]
            if wire.optional and not part:
                values.append(None)
                continue
            if len(part) != size:
                raise BadPdu(f"{cls.__name__} of {len(parameters)} octets ends in {name}")
            try:
                values.append(wire.decode(part))
            except ValueError as error:
                raise BadPdu(f"{cls.__name__}.{name}: {error}") from error
            at += size
        if at != len(parameters):
            raise BadPdu(f"{cls.__name__} of {len(parameters)} octets, not {at}")
        return cls(*values)


@cache
def layout(cls: Any) -> tuple[tuple[str, Wire], ...]:
    """Give the fields of a message with how they are written."""
    hints = get_type_hints(cls, include_extras=True)
    found = []
    for each in fields(cls):
        wires = [meta for meta in getattr(hints[each.name], "__metadata__", ()) if _is_wire(meta)]
        if len(wires) != 1:
            raise LocalError(f"{cls.__name__}.{each.name} does not say how it is written")
        found.append((each.name, wires[0]))
    return tuple(found)


def _is_wire(meta: object) -> bool:
    return isinstance(meta, Wire)


def table(*classes: type[Message]) -> Mapping[int, type[Message]]:
    """Make a lookup of messages by opcode."""
    found = {each.opcode: each for each in classes}
    if len(found) != len(classes):
        raise LocalError("two messages with one opcode")
    return found
