"""Sets of numbers kept as ranges: memory by holes, not by numbers. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Self


class RangeSet:
    """A set of whole numbers as disjoint, non-adjacent ranges, both ends included."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add all numbers from `first` to `last`; nothing if `last < first`."""
        if last < first:
            return
        i = bisect_left(self._ends, first - 1)
        j = bisect_right(self._starts, last + 1)
        if i < j:
            first = min(first, self._starts[i])
            last = max(last, self._ends[j - 1])
        self._starts[i:j] = [first]
        self._ends[i:j] = [last]

    def remove(self, first: int, last: int) -> None:
        """Take out all numbers from `first` to `last`."""
        if last < first:
            return
        i = bisect_left(self._ends, first)
        j = bisect_right(self._starts, last)
        if i >= j:
            return
        kept = []
        if self._starts[i] < first:
            kept.append((self._starts[i], first - 1))
        if self._ends[j - 1] > last:
            kept.append((last + 1, self._ends[j - 1]))
        self._starts[i:j] = [a for a, _ in kept]
        self._ends[i:j] = [b for _, b in kept]

    def update(self, other: Iterable[tuple[int, int]]) -> None:
        """Add all ranges of another set."""
        for first, last in other:
            self.add(first, last)

    def remove_all(self, other: Iterable[tuple[int, int]]) -> None:
        """Take out all ranges of another set."""
        for first, last in other:
            self.remove(first, last)

    def within(self, first: int, last: int) -> list[tuple[int, int]]:
        """Give the ranges of this set that lie in `first` to `last`, cut to it."""
        i = bisect_left(self._ends, first)
        j = bisect_right(self._starts, last)
        return [
            (max(a, first), min(b, last))
            for a, b in zip(self._starts[i:j], self._ends[i:j], strict=True)
        ]

    def gaps(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Give the ranges of `first` to `last` that are not in this set, in order."""
        at = first
        for a, b in self.within(first, last):
            if at < a:
                yield at, a - 1
            at = b + 1
        if at <= last:
            yield at, last

    @property
    def first(self) -> int | None:
        """The lowest number; None if there is none."""
        return self._starts[0] if self._starts else None

    @property
    def last(self) -> int | None:
        """The highest number; None if there is none."""
        return self._ends[-1] if self._ends else None

    def copy(self) -> Self:
        """Give a set of its own with the same numbers."""
        return type(self)(self)

    def count(self) -> int:
        """Say how many numbers there are."""
        return sum(self._ends) - sum(self._starts) + len(self._starts)

    def __contains__(self, number: int) -> bool:
        """Tell whether a number is in the set."""
        i = bisect_left(self._ends, number)
        return i < len(self._starts) and self._starts[i] <= number

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Give the ranges in order."""
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def __len__(self) -> int:
        """Say how many ranges there are."""
        return len(self._starts)

    def __bool__(self) -> bool:
        """Tell whether there is any number."""
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        """Compare by the numbers."""
        return (
            isinstance(other, RangeSet)
            and other._starts == self._starts
            and other._ends == self._ends
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        """Show the ranges."""
        return f"RangeSet({list(self)})"
