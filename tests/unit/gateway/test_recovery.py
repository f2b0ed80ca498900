"""A database against the mark outside of it."""

import json
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
import states
from hypothesis import given
from hypothesis import strategies as st

from dunes.errors import StorageError
from dunes.gateway.mark import Mark, merged, read_mark, with_range, without
from dunes.gateway.recovery import (
    SEQ_MARGIN,
    Judgement,
    MeshOutdated,
    another_address,
    judge,
)
from dunes.gateway.store import MeshStore
from dunes.mesh.ivindex import STATE_MIN_S, IvRecord
from dunes.mesh.managerstate import ManagerState, NodeGone, free_address
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord, Store
from dunes.settings import load

MESH = b"m" * 16


def mark(**changes) -> Mark:
    parts = {
        "mesh": MESH,
        "generation": 5,
        "keys_generation": 2,
        "unicast": 1,
        "iv_index": 6,
        "limit": 3000,
        "network_iv": 6,
        "updating": False,
        "given": ((2, 7),),
    }
    return Mark(**(parts | changes))


def judged(found, generation=5, state=None):
    return judge(state or states.state(), MESH, generation, 2, found, Random(1))


def test_a_mark_that_is_as_far_changes_nothing():
    for generation in (5, 6, 99):
        found = judged(mark(limit=9000), generation)
        assert (None, None, [], []) == (found.seq, found.iv, found.gone, found.notes)


def test_a_newer_mark_says_what_was_used():
    found = judged(mark(generation=6, limit=9000, given=((2, 9), (20, 21))))
    assert SeqRecord(6, 9000) == found.seq
    assert found.iv is None
    assert [NodeGone(8, 2, 6), NodeGone(20, 2, 6)] == found.gone


def test_a_newer_mark_brings_the_iv_index_too():
    found = judged(mark(generation=6, iv_index=6, limit=9000, network_iv=7, updating=True))
    assert (SeqRecord(6, 9000), IvRecord(7, True, STATE_MIN_S)) == (found.seq, found.iv)
    found = judged(mark(generation=6, iv_index=8, limit=10, network_iv=8))
    assert (SeqRecord(8, 10), IvRecord(8, False, STATE_MIN_S)) == (found.seq, found.iv)


def test_an_update_that_ended_is_newer_than_one_in_progress():
    stack = replace(states.state().stack, iv=IvRecord(6, updating=True))
    copy = replace(states.state(), stack=stack)
    found = judged(mark(generation=6), state=copy)
    assert IvRecord(6, False, STATE_MIN_S) == found.iv
    assert judged(mark(generation=6, updating=True)).iv is None


def test_older_keys_are_refused_with_the_way_out():
    with pytest.raises(MeshOutdated, match="keys of the mesh were changed") as caught:
        judged(mark(generation=6, keys_generation=3))
    assert (74, "mesh-outdated") == (caught.value.exit, caught.value.code)
    assert "dunes mesh-import FILE" in caught.value.hint


@pytest.mark.parametrize("found", [None, mark(mesh=b"x" * 16, limit=1)])
def test_without_a_mark_sending_goes_on_from_an_address_that_nobody_used(found):
    judgement = judged(found)
    assert judgement.unicast not in {None, 1, 2, 3, 4, 5, 6, 7}
    assert 2 <= judgement.unicast <= 0x7FF
    assert (None, [NodeGone(1, 1, 6)]) == (judgement.seq, judgement.gone)
    fresh = states.state(stack=replace(states.state().stack, seq=SeqRecord()))
    assert Judgement() == judged(found, state=fresh)


def test_where_no_address_is_left_numbers_are_skipped():
    full = states.state(low=2, high=7)
    assert another_address(full, Random(1)) is None
    assert SeqRecord(6, 3000 + SEQ_MARGIN) == judged(None, state=full).seq
    seq = SeqRecord(6, (1 << 24) - 5)
    late = replace(full, stack=replace(full.stack, seq=seq))
    assert SeqRecord(6, 1 << 24) == judged(None, state=late).seq


@given(states.STATES, st.integers(0, 99))
def test_another_address_is_free_and_in_our_range(state, seed):
    address = another_address(state, Random(seed))
    assert address is not None
    assert state.low <= address <= state.high
    assert address != state.unicast
    assert not any(node.has(address) for node in state.nodes)


@given(states.STATES, st.integers(0, 9), st.integers(0, 9), st.data())
def test_no_judgement_lets_a_number_or_an_address_be_used_twice(state, ours, theirs, data):
    """Whatever the two say: what the mark has seen used is not free afterwards."""
    seen = Mark(
        MESH,
        theirs,
        0,
        state.unicast,
        data.draw(states.IV),
        data.draw(st.integers(0, 1 << 24)),
        data.draw(states.IV),
        data.draw(st.booleans()),
        merged(data.draw(st.lists(st.tuples(st.integers(2, 90), st.integers(2, 90)).map(sorted)))),
    )
    found = judge(state, MESH, ours, 0, seen, Random(1))
    seq = found.seq or state.stack.seq
    assert (seq.iv_index, seq.limit) >= (state.stack.seq.iv_index, state.stack.seq.limit)
    if theirs > ours:
        assert (seq.iv_index, seq.limit) >= (seen.iv_index, seen.limit)
        iv = found.iv or state.stack.iv
        assert iv.transmit >= max(seen.network_iv - seen.updating, 0)
        address = free_address(
            1,
            low=1,
            high=0x7FFF + 400,
            taken=[(node.unicast, node.elements) for node in state.nodes],
            gone=found.gone,
            iv_index=iv.index,
        )
        known = {a for g in state.gone for a in range(g.unicast, g.unicast + g.elements)}
        assert address in known or not any(low <= address <= high for low, high in seen.given)


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted).map(tuple))


@given(RANGES, RANGES)
def test_ranges_are_sets_of_addresses(some, others):
    def members(ranges):
        return {n for first, last in ranges for n in range(first, last + 1)}

    assert members(some) | members(others) == members(merged([*some, *others]))
    assert members(some) - members(others) == members(without(merged(some), others))
    left = without(merged(some), others)
    assert all(a[1] + 1 < b[0] for a, b in pairwise(left))
    assert ((2, 5), (9, 9)) == with_range(((2, 3), (9, 9)), 4, 2)


def test_a_mark_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "mesh" / "x.mark"
    assert read_mark(path) is None
    mark().write(path)
    assert mark() == read_mark(path)
    assert 0o600 == path.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"format": "other/1"}', '{"format": "dunes.mesh-mark/1"}'],
)
def test_an_unreadable_mark_is_said_with_what_to_do(tmp_path, text):
    path = tmp_path / "x.mark"
    path.write_text(text)
    with pytest.raises(StorageError, match="not readable as the mark") as caught:
        read_mark(path)
    assert f"rm {path}" in caught.value.hint


def test_a_field_of_another_kind_is_no_mark(tmp_path):
    path = tmp_path / "x.mark"
    mark().write(path)
    whole = json.loads(path.read_text())
    for key in whole:
        path.write_text(json.dumps(whole | {key: [[None]]}))
        with pytest.raises(StorageError):
            read_mark(path)


# ---------------------------------------------------------------- with a real database


@pytest.fixture
def home(tmp_path):
    settings = load({"DUNES_HOME": str(tmp_path)}, folder=tmp_path)
    MeshStore.create(settings, states.MESH_ID, states.state(), identity=states.identity()).close()
    return settings


def reopened(home) -> MeshStore:
    return MeshStore.open(home, identity=states.identity())


def test_a_lost_mark_costs_an_address_once(home):
    with reopened(home) as store:
        store.mark_path.unlink()
    with reopened(home) as store:
        state = store.load()
        assert state.unicast > 7
        assert SeqRecord() == state.stack.seq
        assert NodeGone(1, 1, 6) == state.gone[-1]
        assert f"sends from {state.unicast:#06x} from now on" in store.notes[0]
        store.apply(Store(1, (SeqRecord(6, 1000),), before_sending=False))
    with reopened(home) as store:
        assert (state.unicast, SeqRecord(6, 1000), []) == (
            store.load().unicast,
            store.load().stack.seq,
            store.notes,
        )


def test_a_copy_with_older_keys_is_opened_only_to_look(home, tmp_path):
    copy = (home.paths.data / "buffer.db").read_bytes()
    with reopened(home) as store:
        keys = store.load().stack.keys
        more = KeysRecord(keys.nets, (*keys.apps, replace(keys.apps[0], index=1)))
        store.apply(Store(1, (more,), before_sending=True))
        mark_path = store.mark_path
    (home.paths.data / "buffer.db").write_bytes(copy)
    with pytest.raises(MeshOutdated):
        reopened(home)
    with MeshStore.open(home, write=False, identity=states.identity()) as looking:
        assert isinstance(looking.load(), ManagerState)
    mark_path.unlink()  # whoever takes the old keys on his own responsibility
    with reopened(home) as store:
        assert 1 != store.load().unicast


def test_a_crash_between_database_and_mark_is_no_copy(home, monkeypatch):
    with reopened(home) as store:
        monkeypatch.setattr(Mark, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.apply(Store(1, (SeqRecord(6, 4000),), before_sending=False))
        monkeypatch.undo()
    with reopened(home) as store:
        assert (SeqRecord(6, 4000), []) == (store.load().stack.seq, store.notes)


def test_a_mark_that_could_not_be_written_is_written_when_the_store_is_tried_again(
    home, monkeypatch
):
    event = Store(1, (SeqRecord(6, 4000),), before_sending=False)
    with reopened(home) as store:
        monkeypatch.setattr(Mark, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            store.apply(event)
        monkeypatch.undo()
        store.apply(event)
        assert 4000 == read_mark(store.mark_path).limit
