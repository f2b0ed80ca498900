"""Bytes become readings and rejects, whichever format they are in. Pure.

Formats: `jsonl` (one object a line), `json` (one document, see `jsondoc`), `csv`. The
format of `auto` shows in the first line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from dunes.buffer.intake.csvrows import CsvHeader, is_header
from dunes.buffer.intake.fields import Defaults, Reason, Rejected, parse_record, parse_time
from dunes.buffer.intake.jsondoc import ARRAYS, DocumentSplitter, Element
from dunes.buffer.intake.lines import LINE_MAX_BYTES, Line, LineSplitter
from dunes.clock import US_PER_S
from dunes.errors import DataError
from dunes.model import Reading

EXCERPT_BYTES = 80
SERIES_MAX = 100_000
"""Values of one series."""
_NOT_FINITE = re.compile(rb":\s*[+-]?(?:NaN|Infinity)\b", re.IGNORECASE)


class Format(StrEnum):
    """How the input is written."""

    AUTO = "auto"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class Good(NamedTuple):
    """A reading."""

    reading: Reading


class Bad(NamedTuple):
    """What could not become one.

    Attributes:
        place: e.g. `line 17`, `readings[3]`.
        line: from 1.
        reason: see `Reason`.
        detail: a sentence.
        excerpt: how it begins; bytes that are no text are escaped.
    """

    place: str
    line: int
    reason: Reason
    detail: str
    excerpt: str


Item = Good | Bad


def detect(head: bytes, *, whole: bool) -> Format | None:
    """Tell the format from how the input begins.

    Args:
        head: its first bytes.
        whole: that is all there is.

    Returns:
        None where more has to come first.

    Raises:
        DataError: nothing that could be telemetry.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if not text:
        return Format.JSONL if whole else None
    if text[:1] == b"[":
        return Format.JSON
    line, end, _ = text.partition(b"\n")
    if not end and not whole and len(text) < LINE_MAX_BYTES:
        return None
    if text[:1] == b"{":
        try:
            first = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # `{` alone, or a member per line: a document; a damaged record of a stream
            # has its brace on the same line
            return Format.JSONL if line.rstrip().endswith(b"}") else Format.JSON
        return Format.JSON if ARRAYS & first.keys() else Format.JSONL
    if is_header(line.decode("utf-8", "replace")):
        return Format.CSV
    raise DataError(
        f"the input begins with {_excerpt(line)!r}: not JSON, JSON Lines or CSV with a header",
        hint="name it with --format json, jsonl or csv; docs/telemetry.md shows each",
        code="unknown-format",
    )


class LineDecoder:
    """JSON Lines, or CSV rows.

    Args:
        csv: it is CSV; the first line is its header.
        header: that header, where reading begins further down.
        splitter: where it stands.
    """

    def __init__(
        self, *, csv: bool, header: str | None = None, splitter: LineSplitter | None = None
    ) -> None:
        self.splitter = splitter or LineSplitter()
        self._csv = csv
        self._header = None if header is None else CsvHeader(header)

    @property
    def consumed(self) -> int:
        """How many bytes were whole lines."""
        return self.splitter.consumed

    def feed(self, data: bytes, now_us: int) -> Iterator[Item]:
        """Give what the whole lines of `data` hold.

        Raises:
            DataError: a CSV header that is none.
        """
        return self._items(self.splitter.feed(data), now_us)

    def finish(self, now_us: int) -> Iterator[Item]:
        """Give what the last line holds, if it has no end."""
        return self._items(self.splitter.finish(), now_us)

    def _items(self, lines: Iterable[Line], now_us: int) -> Iterator[Item]:
        defaults = Defaults(now_us, text_values=self._csv)
        for number, data, size in lines:
            if data is None:
                detail = f"a line of {size} bytes; {LINE_MAX_BYTES} at most"
                yield Bad(f"line {number}", number, Reason.TOO_LONG, detail, "")
                continue
            if number == 1:
                data = data.removeprefix(b"\xef\xbb\xbf")  # noqa: PLW2901 - a byte order mark
            if not data or data.isspace():
                continue
            if self._csv and self._header is None:
                self._header = CsvHeader(data.decode("utf-8", "replace"))
                continue
            try:
                record = self._row(data) if self._csv else _object(data)
                yield Good(parse_record(record, defaults))
            except Rejected as e:
                yield Bad(f"line {number}", number, e.reason, e.detail, _excerpt(data))

    def _row(self, data: bytes) -> Mapping[str, str]:
        if self._header is None:
            return {}
        try:
            return self._header.record(data.decode("utf-8"))
        except UnicodeDecodeError as e:
            raise Rejected(Reason.NOT_UTF8, f"byte {e.start + 1} is no UTF-8") from e


class DocumentDecoder:
    """One JSON document."""

    def __init__(self) -> None:
        self._splitter = DocumentSplitter()

    def feed(self, data: bytes, now_us: int) -> Iterator[Item]:
        """Give what the elements that end in `data` hold.

        Raises:
            DataError: the structure is broken.
        """
        for element in self._splitter.feed(data):
            yield from self._element(element, Defaults(now_us))

    def finish(self, _now_us: int) -> Iterator[Item]:
        """Say that nothing more comes.

        Raises:
            DataError: the document is cut short.
        """
        self._splitter.finish()
        return iter(())

    def _element(self, element: Element, defaults: Defaults) -> Iterator[Item]:
        place, data = element.place, element.data
        if data is None:
            yield Bad(place, element.line, Reason.TOO_LONG, "an element of over 1 MiB", "")
            return
        try:
            record = _object(data)
            if element.array == "series":
                yield from _series(record, element, defaults)
            else:
                yield Good(parse_record(record, defaults))
        except Rejected as e:
            yield Bad(place, element.line, e.reason, e.detail, _excerpt(data))


def _series(record: Mapping[str, Any], element: Element, defaults: Defaults) -> Iterator[Item]:
    """Unfold a series: one value each `interval_s` from `start` on."""
    values, interval_s = record.get("values"), record.get("interval_s")
    if not isinstance(values, list) or len(values) > SERIES_MAX:
        raise Rejected(Reason.BAD_SERIES, f"values are no list of up to {SERIES_MAX}")
    if isinstance(interval_s, bool) or not isinstance(interval_s, (int, float)) or interval_s <= 0:
        raise Rejected(Reason.BAD_SERIES, "interval_s is no number of seconds above 0")
    if record.get("start") is None:
        raise Rejected(Reason.BAD_SERIES, "start does not say when the first value was")
    start_us, seq = parse_time(record["start"]), record.get("seq")
    for i, value in enumerate(values):
        ts_us = start_us + round(i * interval_s * US_PER_S)
        row = {**record, "value": value, "ts_us": ts_us}
        if isinstance(seq, int) and not isinstance(seq, bool):
            row["seq"] = seq + i
        try:
            yield Good(parse_record(row, defaults))
        except Rejected as e:
            place = f"{element.place}.values[{i}]"
            yield Bad(place, element.line, e.reason, e.detail, str(value)[:EXCERPT_BYTES])


def _object(data: bytes) -> Mapping[str, Any]:
    """Parse one JSON object."""
    try:
        found = msgspec.json.decode(data)
    except UnicodeDecodeError as e:
        raise Rejected(Reason.NOT_UTF8, "bytes that are no UTF-8") from e
    except (msgspec.DecodeError, RecursionError) as e:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as wrong:
            raise Rejected(Reason.NOT_UTF8, f"byte {wrong.start + 1} is no UTF-8") from wrong
        if _NOT_FINITE.search(data):
            raise Rejected(Reason.NOT_FINITE, "a value that is not a finite number") from e
        raise Rejected(Reason.NOT_JSON, str(e)[:200]) from e
    if not isinstance(found, dict):
        raise Rejected(Reason.NOT_AN_OBJECT, f"a {type(found).__name__}, not an object")
    return found


def _excerpt(data: bytes) -> str:
    return data[:EXCERPT_BYTES].decode("utf-8", "backslashreplace")
