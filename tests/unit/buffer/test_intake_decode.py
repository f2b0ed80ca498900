"""Bytes become readings and rejects: the same ones, however the bytes are cut."""

import contextlib
import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.buffer.intake.csvrows import CsvHeader
from dunes.buffer.intake.decode import (
    Bad,
    DocumentDecoder,
    Format,
    Good,
    LineDecoder,
    detect,
)
from dunes.buffer.intake.fields import Reason
from dunes.buffer.intake.jsondoc import DocumentSplitter
from dunes.buffer.intake.lines import LINE_MAX_BYTES, LineSplitter
from dunes.errors import DataError

NOW_US = 1_764_038_000_000_000


def line(**changes):
    good = {"device": "d-1", "kind": "co2", "value": 600, "unit": "ppm", "ts_us": 5}
    return json.dumps(good | changes).encode()


def pieces(data, cuts):
    places = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def decode(decoder, *parts):
    items = [item for part in parts for item in decoder.feed(part, NOW_US)]
    return items + list(decoder.finish(NOW_US))


# -- lines ---------------------------------------------------------------------------


@given(st.binary(max_size=300), st.lists(st.integers(0, 1000), max_size=8))
def test_lines_are_the_same_however_the_bytes_are_cut(data, cuts):
    splitter = LineSplitter()
    got = [x for part in pieces(data, cuts) for x in splitter.feed(part)]
    got += splitter.finish()
    want = data.split(b"\n")
    if not want[-1]:
        want.pop()
    assert [w.removesuffix(b"\r") for w in want] == [x.data for x in got]
    assert list(range(1, len(want) + 1)) == [x.number for x in got]
    assert len(data) == splitter.consumed == sum(x.size_bytes for x in got)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=10), st.lists(st.integers(0, 999)))
def test_a_line_that_is_too_long_costs_only_itself(sizes, cuts):
    data = b"".join(b"x" * (n - 1) + b"\n" for n in sizes)
    splitter = LineSplitter(max_bytes=10)
    got = [x for part in pieces(data, cuts) for x in splitter.feed(part)]
    assert [n if n <= 10 else None for n in sizes] == [
        None if x.data is None else x.size_bytes for x in got
    ]
    assert len(data) == splitter.consumed
    assert 0 == splitter.pending


def test_a_line_of_ten_megabytes_costs_no_memory():
    import tracemalloc

    splitter = LineSplitter()
    chunk = b"x" * 65536
    tracemalloc.start()
    for _ in range(160):
        assert [] == list(splitter.feed(chunk))
    (long, short) = splitter.feed(b"\nnext\n")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (None, 160 * 65536 + 1) == (long.data, long.size_bytes)
    assert b"next" == short.data
    assert peak < 4 * LINE_MAX_BYTES


# -- documents -----------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
CUTS = st.lists(st.integers(0, 2000), max_size=8)


def elements(data, cuts):
    splitter = DocumentSplitter()
    found = [x for part in pieces(data, cuts) for x in splitter.feed(part)]
    splitter.finish()
    return [(x.array, x.number, json.loads(x.data)) for x in found]


@given(st.lists(JSON, max_size=6), CUTS, st.sampled_from([None, 1]))
def test_an_array_gives_its_elements(document, cuts, indent):
    data = json.dumps(document, indent=indent).encode()
    assert [("", i, x) for i, x in enumerate(document)] == elements(data, cuts)


@given(
    st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    st.lists(JSON, max_size=4),
    st.lists(JSON, max_size=3),
    CUTS,
    st.booleans(),
)
def test_an_object_gives_the_elements_of_its_two_arrays(other, readings, series, cuts, escape):
    other = {k: v for k, v in other.items() if k not in {"readings", "series"}}
    document = {**other, "readings": readings, "more": [{"readings": [1]}], "series": series}
    data = json.dumps(document, ensure_ascii=escape).encode()
    want = [("readings", i, x) for i, x in enumerate(readings)]
    want += [("series", i, x) for i, x in enumerate(series)]
    assert want == elements(data, cuts)


@given(st.binary(max_size=200), CUTS)
def test_any_bytes_are_a_document_or_a_data_error(data, cuts):
    decoder = DocumentDecoder()
    with contextlib.suppress(DataError):
        decode(decoder, *pieces(data, cuts))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b'[{"a":1}', "is cut short"),
        (b'{"readings":[{"a":1}]', "is cut short"),
        (b"[1,2}", "have ] here"),
        (b"[] []", "end here"),
        (b"7", "begin with"),
        (b'"x"', "begin with"),
        (b'{"a":1]', "have } here"),
    ],
)
def test_a_broken_structure_is_said(data, says):
    def split():
        splitter = DocumentSplitter()
        list(splitter.feed(data))
        splitter.finish()

    with pytest.raises(DataError, match=f"line 1: .*{re.escape(says)}"):
        split()


def test_a_bad_element_costs_only_itself():
    document = (
        b'{"site":"x",\n"readings":[\n'
        + b",\n".join(
            [line(), b'{"device": nonsense}', line(value=float("nan")), line(seq=3), b"7"]
        )
        + b"]}"
    )
    items = decode(DocumentDecoder(), document)
    assert [Good, Bad, Bad, Good, Bad] == [type(x) for x in items]
    assert [
        ("readings[1]", 4, Reason.NOT_JSON),
        ("readings[2]", 5, Reason.NOT_FINITE),
        ("readings[4]", 7, Reason.NOT_AN_OBJECT),
    ] == [(x.place, x.line, x.reason) for x in items if isinstance(x, Bad)]


def test_an_element_that_is_too_long_costs_only_itself():
    huge = b'{"device":"' + b"x" * (2 * LINE_MAX_BYTES) + b'"}'
    items = decode(DocumentDecoder(), b"[" + b",".join([line(), huge, line()]) + b"]")
    assert [Good, Bad, Good] == [type(x) for x in items]
    assert Reason.TOO_LONG == items[1].reason


def test_a_series_is_unfolded():
    series = {
        "device": "d-1",
        "kind": "co2",
        "unit": "ppm",
        "start": "1970-01-01T00:00:01Z",
        "interval_s": 0.1,
        "seq": 5,
        "values": [600, "x", 602],
    }
    items = decode(DocumentDecoder(), json.dumps({"series": [series, {}]}).encode())
    first, bad, third, empty = items
    assert (600, 1_000_000, 5) == (first.reading.value, first.reading.ts_us, first.reading.seq)
    assert (602, 1_200_000, 7) == (third.reading.value, third.reading.ts_us, third.reading.seq)
    assert ("series[0].values[1]", Reason.BAD_VALUE) == (bad.place, bad.reason)
    assert ("series[1]", Reason.BAD_SERIES) == (empty.place, empty.reason)


# -- JSON Lines ----------------------------------------------------------------------


def test_bad_lines_are_rejected_by_their_place_and_the_good_ones_kept():
    data = b"\n".join(
        [
            line(seq=1),
            b"",
            b'{"device":"d-1",',
            b'{"device":"\xff\xfe","kind":"co2"}',
            line(value=float("nan")),
            line(unit="pmm"),
            b"[1]",
            b"x" * (LINE_MAX_BYTES + 1),
            line(seq=2) + b"\r",
            b"{" * 5000,
        ]
    )
    items = decode(LineDecoder(csv=False), data)
    assert [1, 2] == [x.reading.seq for x in items if isinstance(x, Good)]
    assert [
        (3, Reason.NOT_JSON),
        (4, Reason.NOT_UTF8),
        (5, Reason.NOT_FINITE),
        (6, Reason.BAD_UNIT),
        (7, Reason.NOT_AN_OBJECT),
        (8, Reason.TOO_LONG),
        (10, Reason.NOT_JSON),
    ] == [(x.line, x.reason) for x in items if isinstance(x, Bad)]


@given(st.binary(max_size=300), st.booleans(), CUTS)
def test_any_bytes_give_readings_and_rejects(data, csv, cuts):
    decoder = LineDecoder(csv=csv, header="kind,value" if csv else None)
    for item in decode(decoder, *pieces(data, cuts)):
        assert isinstance(item, (Good, Bad))


# -- CSV -----------------------------------------------------------------------------


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_rows_are_read_by_their_header(separator):
    rows = [
        ["Time", "Device", "Kind", "Value", "Unit"],
        ["1970-01-01T00:00:01Z", "d-1", "co2", "612", "ppm"],
        ["1970-01-01T00:00:02Z", "d-1", "door", '"open, wide"', ""],
    ]
    data = "\ufeff" + "\r\n".join(separator.join(row) for row in rows)
    first, second = decode(LineDecoder(csv=True), data.encode())
    assert ("co2", 612, "ppm", 1_000_000) == (
        first.reading.kind,
        first.reading.value,
        first.reading.unit,
        first.reading.ts_us,
    )
    assert "open, wide" == second.reading.value


def test_bad_csv_rows_are_rejected():
    data = b'device,kind,value,unit\nd-1,co2,1\nd-1,co2,"1,ppm\nd-1,co2,\xff,ppm\nd-1,co2,5,ppm\n'
    items = decode(LineDecoder(csv=True), data)
    assert [Reason.BAD_ROW, Reason.BAD_ROW, Reason.NOT_UTF8, None] == [
        getattr(x, "reason", None) for x in items
    ]


def test_a_csv_header_without_a_value_is_refused():
    with pytest.raises(DataError, match="no kind and value"):
        CsvHeader("a,b,c")


# -- formats -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "whole", "format_"),
    [
        (b"", True, Format.JSONL),
        (b"", False, None),
        (b"  [", False, Format.JSON),
        (line() + b"\n", False, Format.JSONL),
        (line(), False, None),
        (line(), True, Format.JSONL),
        (b'{"device":"d","value":NaN}\n', False, Format.JSONL),
        (b'{\n  "schema": 1,', False, Format.JSON),
        (b'{"schema":1,"readings":[]}', True, Format.JSON),
        (b'{"schema":1,"readings":[\n', False, Format.JSON),
        (b"\xef\xbb\xbfdevice,kind,value\n", False, Format.CSV),
        (b"time;device;kind;value\n", False, Format.CSV),
    ],
)
def test_the_format_shows_in_the_first_line(head, whole, format_):
    assert format_ == detect(head, whole=whole)


def test_input_of_no_known_format_is_refused():
    with pytest.raises(DataError, match="Dear Sir"):
        detect(b"Dear Sir, the air is fine.\n", whole=True)
