"""The trust ledger: what evidence adds up to, and that it is kept in the signed log."""

import json

import pytest

from dunes.authority.ledger import append_events, load_ledger, replay, summary_path
from dunes.authority.record import Recorder
from dunes.authority.standing import HALF_LIFE_DAYS, Event, Kind, Ledger, read_event
from dunes.crypto.identity import create_identity
from dunes.errors import DataError
from dunes.mu.dsse import INTOTO_TYPE, seal
from dunes.mu.log import ENTRIES, TransparencyLog, log_directory

DAY_US = 86_400_000_000
NOW_US = 1_800_000_000_000_000


def ledger(*events):
    found = Ledger()
    found.add(events)
    return found


def event(kind, count=1, value=None, at_us=NOW_US, subject="rover-002", reason=""):
    return Event(subject, kind, at_us, count, value, reason)


def score(*events, now_us=NOW_US):
    return round(ledger(*events).standing("rover-002", now_us).score, 3)


def test_nothing_known_is_one_half():
    assert 0.5 == score()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([event(Kind.VERIFIED, 8)], 0.9),
        ([event(Kind.FAILED)], 0.25),
        ([event(Kind.VERIFIED, 8), event(Kind.FAILED, 2)], 0.643),
        ([event(Kind.REPLAY, 10)], 0.4),
        ([event(Kind.REPLAY, 10_000)], 0.333),
        ([event(Kind.REPLAY, 10_000), event(Kind.REPLAY, 10_000)], 0.25),
        ([event(Kind.BAD_MIC, 10)], 0.333),
        ([event(Kind.BAD_MIC)], 0.476),
        ([event(Kind.SET, value=1.0)], 0.917),
        ([event(Kind.SET, value=0.0)], 0.083),
        ([event(Kind.FAILED, 100), event(Kind.SET, value=0.5)], 0.5),
    ],
)
def test_the_score_is_the_mean_of_a_beta_distribution(events, expected):
    assert expected == score(*events)


def test_evidence_fades_by_half_in_its_half_life():
    later = NOW_US + round(HALF_LIFE_DAYS * DAY_US)
    assert 0.9 == score(event(Kind.VERIFIED, 8))
    assert round(5 / 6, 3) == score(event(Kind.VERIFIED, 8), now_us=later)
    assert 0.5 == score(event(Kind.FAILED), now_us=NOW_US + 10_000 * DAY_US)


def test_asking_does_not_fade_what_is_kept():
    found = ledger(event(Kind.VERIFIED, 8))
    later = NOW_US + 300 * DAY_US
    assert found.standing("rover-002", later) == found.standing("rover-002", later)
    assert 0.9 == round(found.standing("rover-002", NOW_US).score, 3)


def test_a_quarantine_lasts_until_it_is_lifted():
    out = event(Kind.QUARANTINE, reason="captured")
    assert "captured" == ledger(out).standing("rover-002", NOW_US + 999 * DAY_US).quarantined
    assert "" == ledger(out, event(Kind.RELEASE)).standing("rover-002", NOW_US).quarantined


def test_an_event_from_a_slow_clock_counts_as_of_the_last():
    assert score(event(Kind.VERIFIED, 8), event(Kind.VERIFIED, at_us=NOW_US - DAY_US)) == score(
        event(Kind.VERIFIED, 9)
    )


@pytest.mark.parametrize(
    "body",
    [
        None, {}, {"subject": "a", "kind": "praise", "at_us": 1},
        {"subject": "a", "kind": "set", "at_us": 1, "value": 2},
        {"subject": 1, "kind": "set", "at_us": 1}, {"subject": "a", "kind": "set", "at_us": 1.5},
        {"subject": "a", "kind": "replay", "at_us": 1, "count": 0},
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(body):
    with pytest.raises(DataError):
        read_event(body)


# -- on disk --------------------------------------------------------------------------


@pytest.fixture
def pen(paths):
    return Recorder(paths, create_identity(paths))


def test_events_are_receipts_in_the_log_and_add_up_again(paths, pen):
    [issued] = append_events(
        pen, [event(Kind.VERIFIED, 8), event(Kind.SET, value=0.3, subject="b")]
    )
    assert 0 == issued.log_index
    append_events(pen, [event(Kind.QUARANTINE, reason="lost")])
    found = load_ledger(paths)
    assert (3, "lost") == (found.events, found.standing("rover-002", NOW_US).quarantined)
    assert found == replay(paths)


def test_a_summary_that_was_forged_is_made_again_when_the_log_says_otherwise(paths, pen):
    append_events(pen, [event(Kind.QUARANTINE, reason="lost")])
    body = json.loads(summary_path(paths).read_text())
    summary_path(paths).write_text(json.dumps(body | {"root": "0" * 64, "tallies": {}}))
    assert "lost" == load_ledger(paths).standing("rover-002", NOW_US).quarantined
    summary_path(paths).write_text("{")
    assert "lost" == load_ledger(paths).standing("rover-002", NOW_US).quarantined


def test_events_that_another_key_signed_do_not_count(paths, pen, keys):
    [issued] = append_events(pen, [event(Kind.VERIFIED)])
    from dunes.mu.dsse import read_envelope

    directory = log_directory(paths.state)
    statement = json.loads(read_envelope(issued.envelope).payload)
    statement["predicate"]["trust"] = [event(Kind.RELEASE).encode()] * 5
    forged = seal(json.dumps(statement).encode(), INTOTO_TYPE, keys[0])
    renamed = forged.replace(keys[0].kid.encode(), pen.identity.kid.encode())
    with TransparencyLog(directory) as log:
        log.append([lambda _: forged, lambda _: renamed])
    assert 1 == replay(paths).events


def test_a_log_that_was_cut_is_noticed(paths, pen):
    from dunes.mu.errors import LogDamaged

    append_events(pen, [event(Kind.VERIFIED)])
    append_events(pen, [event(Kind.QUARANTINE, reason="lost")])
    entries = log_directory(paths.state) / ENTRIES
    with TransparencyLog(log_directory(paths.state)) as log:
        first_end = next(log.rows()).end
    with entries.open("r+b") as file:
        file.truncate(first_end)
    with pytest.raises(LogDamaged):
        load_ledger(paths)


def test_a_thousand_events_and_one_make_two_entries(paths, pen):
    made = append_events(pen, [event(Kind.REPLAY, subject=f"n{n}") for n in range(1001)])
    assert 2 == len(made)
    assert 1001 == load_ledger(paths).events
