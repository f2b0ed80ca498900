"""Authentication values: what an operator sees, types or was given (5.4.2.4)."""

from dataclasses import dataclass
from random import Random

from dunes.errors import UsageError
from dunes.mesh.provisioning.pdus import InputAction, Method, OutputAction, Start

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(frozen=True, slots=True)
class Oob:
    """How an operator and a device can meet.

    Attributes:
        static: a value that both have, any number of octets; None if there is none.
        output: somebody here can read what the device shows.
        input: somebody can type into the device what we show.
        none: without anything it is fine too.
    """

    static: bytes | None = None
    output: bool = False
    input: bool = False
    none: bool = True

    def __repr__(self) -> str:
        """Hide the value."""
        return f"<Oob static={self.static is not None} output={self.output} input={self.input}>"


def is_alphanumeric(start: Start) -> bool:
    """Say whether the value is letters and digits, not a number."""
    if start.method is Method.OUTPUT:
        return start.action == OutputAction.ALPHANUMERIC
    return start.action == InputAction.ALPHANUMERIC


def is_count(start: Start) -> bool:
    """Say whether the value is a number of blinks, beeps or pushes: 1 and more."""
    if start.method is Method.OUTPUT:
        return start.action < OutputAction.NUMERIC
    return start.action < InputAction.NUMERIC


def draw_value(start: Start, rng: Random) -> str:
    """Draw the value to show, as text: digits, letters, or a count."""
    if is_alphanumeric(start):
        return "".join(rng.choice(LETTERS) for _ in range(start.size))
    number = rng.randrange(1 if is_count(start) else 0, 10**start.size)
    return str(number) if is_count(start) else str(number).zfill(start.size)


def auth_value(start: Start, typed: str = "", static: bytes = b"") -> bytes:
    """Make the 16 or 32 octets that both sides compute with.

    Args:
        start: which method.
        typed: what was shown or typed in, with output and input OOB.
        static: with static OOB.

    Raises:
        UsageError: the typed text cannot be such a value.
    """
    size = start.algorithm.size_bytes
    if start.method is Method.NONE:
        return bytes(size)
    if start.method is Method.STATIC:
        return static[:size].ljust(size, b"\0")
    text = typed.strip()
    if is_alphanumeric(start):
        text = text.upper()
        if not 0 < len(text) <= start.size or not set(text) <= set(LETTERS):
            raise UsageError(f"expected up to {start.size} letters and digits")
        return text.encode("ascii").ljust(size, b"\0")
    if not text.isascii() or not text.isdecimal() or int(text) >= 10**start.size:
        raise UsageError(f"expected a number of up to {start.size} digits")
    return int(text).to_bytes(size, "big")
