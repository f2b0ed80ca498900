"""What the mesh counted, as evidence: what is new since the last look, and more than noise."""

import pytest

from dunes.authority.standing import Kind
from dunes.paths import find_paths
from sakina.evidence import FILE, compare


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path / "dunes")})


def look(paths, counts, node="rover-002", *, remember=True):
    found = compare(paths, "mesh-001", {node: counts})
    if remember:
        found.remember()
    return [(e.subject, e.kind, e.count) for e in found.events]


def test_the_first_look_takes_all_in(paths):
    assert [("rover-002", Kind.REPLAY, 40)] == look(paths, {"mesh-replay": 40, "mesh-pdu": 99})


def test_a_second_look_takes_in_what_is_new(paths):
    look(paths, {"mesh-mic": 40})
    assert [] == look(paths, {"mesh-mic": 40})
    assert [("rover-002", Kind.BAD_MIC, 25)] == look(paths, {"mesh-mic": 65})


def test_little_is_noise_until_it_adds_up(paths):
    assert [] == look(paths, {"mesh-replay": 6})
    assert [("rover-002", Kind.REPLAY, 12)] == look(paths, {"mesh-replay": 12})
    assert [] == look(paths, {"mesh-replay": 12})


def test_counters_that_began_anew_are_counted_from_nothing(paths):
    look(paths, {"mesh-replay": 500})
    assert [("rover-002", Kind.REPLAY, 20)] == look(paths, {"mesh-replay": 20})


def test_what_did_not_get_into_the_ledger_is_new_at_the_next_look(paths):
    assert [("rover-002", Kind.BAD_MIC, 40)] == look(paths, {"mesh-mic": 40}, remember=False)
    assert [("rover-002", Kind.BAD_MIC, 40)] == look(paths, {"mesh-mic": 40})
    assert [] == look(paths, {"mesh-mic": 40})


def test_a_damaged_memory_is_no_memory(paths):
    look(paths, {"mesh-replay": 40})
    (paths.state / FILE).write_text('{"mesh-001": 7}')
    assert [("rover-002", Kind.REPLAY, 40)] == look(paths, {"mesh-replay": 40})
