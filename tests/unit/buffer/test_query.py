"""Reading back: by device, kind, time and priority, page by page."""

import pytest
from sqlalchemy import text

from dunes.buffer.appender import Appender
from dunes.buffer.query import Query, parse_cursor, query
from dunes.errors import UsageError
from dunes.model import Priority

TABLE = "lunar_telemetry"


def ask(buffer, **wanted):
    answer = query(buffer, TABLE, Query(**wanted), lambda _: None)
    return [found.reading for found in answer.readings], answer


@pytest.fixture
def filled(buffer, appender, reading):
    for first in range(0, 200, 20):
        appender.extend(
            reading(i, Priority.ALERT if i % 50 == 7 else Priority.ROUTINE)
            for i in range(first, first + 20)
        )
        appender.commit()
    return buffer


def test_all_come_back_in_the_order_of_time(filled):
    found, answer = ask(filled)
    assert list(range(200)) == [x.seq for x in found]
    assert not answer.more
    assert 0 == answer.unreadable


def test_readings_are_found_by_device_kind_and_priority(filled, appender, reading):
    appender.extend([reading(300, kind="o2", unit="%")])
    appender.commit()
    found, _ = ask(filled, device="hab-sensor-003")
    assert list(range(3, 200, 5)) == [x.seq for x in found]
    assert [300] == [x.seq for x in ask(filled, kind="o2")[0]]
    found, _ = ask(filled, priority=Priority.ALERT)
    assert [7, 57, 107, 157] == [x.seq for x in found]
    assert [] == ask(filled, device="hab-sensor-00")[0]


def test_readings_are_found_by_time(filled, reading):
    found, _ = ask(filled, since_us=reading(50).ts_us, until_us=reading(60).ts_us)
    assert list(range(50, 60)) == [x.seq for x in found]
    assert [] == ask(filled, since_us=reading(1000).ts_us)[0]


def test_a_clock_that_jumped_hides_nothing(buffer, appender, reading):
    times = [5, 6, 900, 7, 8, 3, 901, 9]
    for i, t in enumerate(times):
        appender.add(reading(i, ts_us=t))
        appender.commit()
    for since in (*times, 4, 100, 1000):
        found, _ = ask(buffer, since_us=since)
        assert sorted(t for t in times if t >= since) == sorted(x.ts_us for x in found)


@pytest.mark.parametrize("limit", [1, 7, 20, 199, 200, 500])
def test_pages_join_without_gap_or_repeat(filled, limit):
    seen, after = [], ""
    while True:
        found, answer = ask(filled, limit=limit, after=after)
        seen += [x.seq for x in found]
        after = answer.next_cursor
        if not answer.more:
            break
        assert limit == len(found)
    assert list(range(200)) == seen


def test_a_cursor_finds_what_came_since(filled, appender, reading):
    _, answer = ask(filled)
    appender.extend([reading(200), reading(201, Priority.WARNING)])
    appender.commit()
    found, _ = ask(filled, after=answer.next_cursor)
    assert [200, 201] == [x.seq for x in found]


def test_epochs_are_read_one_after_the_other(filled, appender, reading):
    filled.new_epoch(TABLE)
    appender.add(reading(500))
    appender.commit()
    found, _ = ask(filled)
    assert [*range(200), 500] == [x.seq for x in found]


def test_only_the_wanted_gateway_is_read(open_at, reading):
    for gateway in ("gw-a", "gw-b"):
        appender = Appender(open_at(gateway=gateway), TABLE)
        appender.add(reading(0, device=gateway))
        appender.commit()
    both, _ = ask(open_at())
    assert {"gw-a", "gw-b"} == {x.device for x in both}
    one, _ = ask(open_at(), gateway="gw-b")
    assert ["gw-b"] == [x.device for x in one]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE frame SET body = zeroblob(length(body)) WHERE lane=2 AND no=3",
        "UPDATE frame SET header = zeroblob(120) WHERE lane=2 AND no=3",
        "UPDATE frame SET hash = zeroblob(32) WHERE lane=2 AND no=3",
        "UPDATE frame SET body = substr(body, 1, 30) WHERE lane=2 AND no=3",
    ],
)
def test_a_bad_frame_costs_only_itself(filled, damage):
    with filled.writing() as connection:
        connection.execute(text(damage))
    found, answer = ask(filled)
    lost = {i for i in range(40, 60) if i % 50 != 7}
    assert [i for i in range(200) if i not in lost] == [x.seq for x in found]
    assert 1 == answer.unreadable
    ((place, error),) = answer.problems
    assert 3 == place.no
    assert "bad-frame" == error.code


@pytest.mark.parametrize("bad", ["x", "1.2", "1.3.1.1", "1.2.3.4;", "1.2.3.4,,5"])
def test_a_cursor_that_is_none_is_refused(bad):
    with pytest.raises(UsageError):
        parse_cursor(bad)
