"""Versions as MCUboot counts them: major.minor.revision and a build number."""

import re
from typing import NamedTuple, Self

from dunes.errors import UsageError

_TEXT = re.compile(r"v?(\d{1,3})(?:\.(\d{1,3})(?:\.(\d{1,5})(?:[.+](\d{1,10}))?)?)?", re.ASCII)
_LIMITS = (0xFF, 0xFF, 0xFFFF, 0xFFFFFFFF)


class Version(NamedTuple):
    """One version; a later one compares as greater.

    Source: MCUboot design document, `struct image_version`: 8, 8, 16 and 32 bits.
    """

    major: int
    minor: int = 0
    revision: int = 0
    build: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1.2`, `v1.2.3`, `1.2.3+4` (imgtool) or `1.2.3.4` (as nodes answer).

        Raises:
            UsageError: it is none, or a number does not fit.
        """
        found = _TEXT.fullmatch(text.strip())
        numbers = [int(part or 0) for part in found.groups()] if found else []
        if not numbers or any(n > limit for n, limit in zip(numbers, _LIMITS, strict=True)):
            raise UsageError(
                f"{text[:40]!r} is no firmware version", hint="for example 1.2 or 1.2.0+7"
            )
        return cls(*numbers)

    @property
    def release(self) -> tuple[int, int, int]:
        """The version without its build number; bootloaders compare no more than this."""
        return self[:3]

    @property
    def short(self) -> str:
        """As in a firmware's name: `1.2`, or `1.2.3` where there is a revision."""
        text = f"{self.major}.{self.minor}"
        if self.revision or self.build:
            text += f".{self.revision}"
        return f"{text}+{self.build}" if self.build else text

    def __str__(self) -> str:
        """Write it whole: `1.2.0`, `1.2.0+7`."""
        text = f"{self.major}.{self.minor}.{self.revision}"
        return f"{text}+{self.build}" if self.build else text
