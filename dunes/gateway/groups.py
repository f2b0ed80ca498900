"""Groups and virtual addresses with the names that people gave them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Group:
    """A group address.

    Attributes:
        address: 0xC000 to 0xFEFF.
        name: for people.
        parent: the group it belongs to; 0 if none.
    """

    address: int
    name: str
    parent: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """A virtual address.

    Attributes:
        uuid: Label UUID, 16 bytes.
        address: its hash, 0x8000 to 0xBFFF.
        name: for people.
    """

    uuid: bytes
    address: int
    name: str
