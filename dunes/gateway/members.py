"""Read a JSON object member by member; what is wrong is said with its place, never its value.

The files that are read so hold keys, so a message names `nodes[3].device_key` and what it
should be, and shows nothing of what stood there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from dunes.clock import to_us
from dunes.errors import DataError

T = TypeVar("T")
SECONDS_MAX = float(1 << 53)
TEXT_MAX = 64


@dataclass(frozen=True, slots=True)
class Members:
    """An object of a file.

    Attributes:
        content: its members.
        hint: what to do where one is wrong.
        code: of the error then.
        where: the path to this object, with a dot behind; empty at the top.
    """

    content: dict[str, Any] = field(repr=False)
    hint: str
    code: str
    where: str = ""

    def wrong(self, name: str, wanted: str) -> DataError:
        """Make the error for a member."""
        return DataError(f"{self.where}{name} is not {wanted}", hint=self.hint, code=self.code)

    def number(self, name: str, low: int, high: int) -> int:
        """Give a whole number of a range."""
        found = self.content.get(name)
        if type(found) is not int or not low <= found <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}")
        return found

    def flag(self, name: str) -> bool:
        """Give true or false."""
        found = self.content.get(name)
        if not isinstance(found, bool):
            raise self.wrong(name, "true or false")
        return found

    def age_s(self, name: str) -> float:
        """Give a duration in seconds."""
        found = self.content.get(name)
        if type(found) not in {int, float} or not 0 <= found < SECONDS_MAX:  # type: ignore[operator]  # it is a number
            raise self.wrong(name, "a number of seconds")
        return float(found)  # type: ignore[arg-type]  # the same

    def text(self, name: str, limit: int = TEXT_MAX) -> str:
        """Give a text."""
        found = self.content.get(name)
        if not isinstance(found, str) or len(found) > limit:
            raise self.wrong(name, f"a text of at most {limit} characters")
        return found

    def octets(self, name: str, size: int | None) -> bytes:
        """Give bytes that stand as hexadecimal digits; `size` of them, if that is given."""
        found = self.content.get(name)
        try:
            data = bytes.fromhex(found) if isinstance(found, str) else None
        except ValueError:
            data = None
        if data is None or (size is not None and len(data) != size):
            digits = "" if size is None else f"{2 * size} "
            raise self.wrong(name, f"{digits}hexadecimal digits")
        return data

    def moment_us(self, name: str) -> int:
        """Give a moment as µs since 1970."""
        found = self.content.get(name)
        try:
            return to_us(datetime.fromisoformat(found))  # type: ignore[arg-type]  # judged here
        except (ValueError, TypeError, OverflowError) as e:
            raise self.wrong(name, "a time such as 2031-05-01T12:00:00Z") from e

    def maybe(self, name: str, read: Callable[[str], T]) -> T | None:
        """Read a member that may be missing or null."""
        return None if self.content.get(name) is None else read(name)

    def part(self, name: str) -> "Members":
        """Give an object within."""
        return self._within(self.content.get(name), name)

    def parts(self, name: str) -> list["Members"]:
        """Give a list of objects."""
        found = self.content.get(name)
        if not isinstance(found, list):
            raise self.wrong(name, "a list")
        return [self._within(each, f"{name}[{at}]") for at, each in enumerate(found)]

    def _within(self, found: object, name: str) -> "Members":
        if not isinstance(found, dict):
            raise self.wrong(name, "an object")
        return Members(found, self.hint, self.code, f"{self.where}{name}.")
