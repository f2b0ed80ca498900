"""The records of one JSON document, one after the other, without holding it whole. Pure.

A document is an array of records, or an object with such arrays under `readings` and
`series` (all else in it is ignored). Only the structure is followed here: strings,
brackets, commas; each element is parsed by itself, so one bad element costs itself.
Where the structure breaks, nothing after it can be trusted.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from dunes.errors import DataError

ELEMENT_MAX_BYTES = 1024 * 1024
ARRAYS = frozenset({"readings", "series"})

_TOKEN = re.compile(rb'["{}\[\],:]')
_STRING_END = re.compile(rb'["\\]')
_BLANK = b" \t\r\n"
KEY_MAX_BYTES = 256


class Element(NamedTuple):
    """One element of an array.

    Attributes:
        array: `readings`, `series`, or empty for the document's own array.
        number: from 0.
        line: the line on which it ends, from 1.
        data: its JSON; None if it was too long.
    """

    array: str
    number: int
    line: int
    data: bytes | None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.array}[{self.number}]"


class _In(Enum):
    START = auto()
    OBJECT = auto()
    ARRAY = auto()
    END = auto()


class DocumentSplitter:
    """Splits what is fed into the elements of a document's arrays."""

    def __init__(self) -> None:
        self._where = _In.START
        self._array = ""
        self._index = 0
        self._line = 1
        self._depth = 0  # brackets open within the present element or member
        self._in_string = False
        self._rest = b""  # a backslash whose partner has not come
        self._element: list[bytes] = []
        self._size = 0
        self._too_long = False
        self._outer_object = False
        self._key = b""
        self._reading_key = False

    def feed(self, data: bytes) -> Iterator[Element]:
        """Give the elements that end in `data`.

        Raises:
            DataError: the document's structure is broken.
        """
        data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data):
            if self._in_string:
                at = self._skip_string(data, at)
                continue
            found = _TOKEN.search(data, at)
            stop = len(data) if found is None else found.start()
            self._between(data[at:stop])
            if found is None:
                return
            token = found.group()
            at = stop + 1
            if token == b'"' and self._where in {_In.OBJECT, _In.ARRAY}:
                self._in_string = True
                self._keep(token)
            else:
                yield from self._structure(token)

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises:
            DataError: the document is cut short, or empty.
        """
        if self._where is not _In.END:
            what = "is empty" if self._where is _In.START else "is cut short"
            raise DataError(f"line {self._line}: the JSON document {what}")

    def _skip_string(self, data: bytes, at: int) -> int:
        """Go to the end of a string, as far as there is data."""
        found = _STRING_END.search(data, at)
        if found is None:
            self._keep(data[at:])
            return len(data)
        stop = found.start()
        if found.group() == b"\\":
            if stop + 1 == len(data):
                self._keep(data[at:stop])
                self._rest = data[stop:]
                return len(data)
            self._keep(data[at : stop + 2])
            return stop + 2
        self._keep(data[at : stop + 1])
        self._in_string = False
        return stop + 1

    def _between(self, data: bytes) -> None:
        """Take what lies between two tokens: numbers, literals, blanks."""
        if not data:
            return
        if self._where in {_In.START, _In.END} and data.strip(_BLANK + b"\xef\xbb\xbf"):
            raise self._broken("begin with [ or {" if self._where is _In.START else "end here")
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        """Remember a part of the present element or key."""
        self._line += data.count(b"\n")
        if self._where is _In.ARRAY and not self._too_long:
            self._size += len(data)
            if self._size > ELEMENT_MAX_BYTES:
                self._element, self._too_long = [], True
            else:
                self._element.append(data)
        elif self._where is _In.OBJECT and self._reading_key and self._depth == 0:
            self._key = (self._key + data)[:KEY_MAX_BYTES]

    def _structure(self, token: bytes) -> Iterator[Element]:
        if self._where is _In.START:
            self._begin(token)
        elif self._where is _In.OBJECT:
            self._in_object(token)
        elif self._where is _In.ARRAY:
            yield from self._in_array(token)
        else:
            raise self._broken("end here")

    def _begin(self, token: bytes) -> None:
        if token == b"[":
            self._where = _In.ARRAY
        elif token == b"{":
            self._where, self._outer_object, self._reading_key = _In.OBJECT, True, True
        else:
            raise self._broken("begin with [ or {")

    def _in_object(self, token: bytes) -> None:
        """Follow the members of the outer object until an array of records begins."""
        if self._depth == 0 and token == b":" and self._reading_key:
            self._reading_key = False
        elif self._depth == 0 and token == b",":
            self._reading_key, self._key = True, b""
        elif self._depth == 0 and token == b"[" and not self._reading_key:
            name = self._key.strip(_BLANK).strip(b'"').decode("utf-8", "replace")
            if name in ARRAYS:
                self._where, self._array, self._index = _In.ARRAY, name, 0
            else:
                self._depth += 1
        elif token in b"[{":
            self._depth += 1
        elif token in b"]}":
            if self._depth == 0:
                if token != b"}":
                    raise self._broken("have } here")
                self._where = _In.END
            else:
                self._depth -= 1

    def _in_array(self, token: bytes) -> Iterator[Element]:
        if self._depth == 0 and token == b",":
            yield self._take()
        elif self._depth == 0 and token in b"]}":
            if token != b"]":
                raise self._broken("have ] here")
            if self._too_long or b"".join(self._element).strip(_BLANK):
                yield self._take()
            self._element, self._size, self._too_long = [], 0, False
            self._where = _In.OBJECT if self._outer_object else _In.END
            self._key = b""
        else:
            self._depth += (token in b"[{") - (token in b"]}")
            self._keep(token)

    def _take(self) -> Element:
        data = None if self._too_long else b"".join(self._element).strip(_BLANK)
        element = Element(self._array, self._index, self._line, data)
        self._index += 1
        self._element, self._size, self._too_long = [], 0, False
        return element

    def _broken(self, wanted: str) -> DataError:
        return DataError(f"line {self._line}: the JSON document should {wanted}")
