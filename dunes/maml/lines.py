"""Lines of a text and the place of a character among them."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field

LINE_END = re.compile(r"\r\n|\n|\r")
"""A line ends as CommonMark says (section 2.1); no other character ends one."""


@dataclass(slots=True)
class Lines:
    """Where each line of `text` starts and ends.

    Attributes:
        text: the whole text.
        starts: index of each line's first character.
        ends: index after each line's last character, its line end left out.
    """

    text: str
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find the lines."""
        text, end = self.text, len(self.text)
        if "\r" in text:
            found = [m.span() for m in LINE_END.finditer(text)]
            self.starts = [0, *(after for _, after in found)]
            self.ends = [*(before for before, _ in found), end]
        else:
            self.starts, self.ends, at = [0], [], text.find("\n")
            while at >= 0:
                self.ends.append(at)
                self.starts.append(at + 1)
                at = text.find("\n", at + 1)
            self.ends.append(end)
        if self.starts[-1] == end and end:  # nothing follows the last line end
            self.starts.pop()
            self.ends.pop()

    def __len__(self) -> int:
        """Count the lines."""
        return len(self.starts)

    def __getitem__(self, number: int) -> str:
        """Give line `number` (from 0) without its line end."""
        return self.text[self.starts[number] : self.ends[number]]

    def after(self, number: int) -> int:
        """Give the index after line `number` (from 0) and its line end."""
        return self.starts[number + 1] if number + 1 < len(self.starts) else len(self.text)

    def number_at(self, index: int) -> int:
        """Give the number (from 0) of the line that holds the character at `index`."""
        return max(0, bisect_right(self.starts, index) - 1)

    def position(self, index: int) -> tuple[int, int]:
        """Give (line, column), both from 1, of the character at `index`."""
        number = self.number_at(index)
        return number + 1, index - self.starts[number] + 1
