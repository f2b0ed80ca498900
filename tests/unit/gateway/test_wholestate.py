"""The whole state as a file: what was written is read, and nothing else is."""

import json
from dataclasses import replace
from random import Random

import pytest
import states
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.errors import DataError, DunesError
from dunes.gateway.groups import Group, Label
from dunes.gateway.recovery import SEQ_MARGIN
from dunes.gateway.wholestate import (
    About,
    WholeMesh,
    _digest,
    encode_whole,
    is_whole,
    read_whole,
)
from dunes.mesh.ivindex import UNKNOWN, IvRecord
from dunes.mesh.managerstate import KnownNode, NodeGone
from dunes.mesh.sequence import SeqRecord

T0_US = 1_800_000_000_000_000
MOMENT = st.integers(0, 2_000_000_000_000_000)
ABOUT = st.builds(
    About,
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=3),
    MOMENT,
    st.none() | MOMENT,
)
TEXT = st.text(max_size=64)
GROUPS = st.builds(Group, st.integers(0, 0xFFFF), TEXT)
LABELS = st.builds(Label, states.KEY, st.integers(0, 0xFFFF), TEXT)


@st.composite
def wholes(draw):
    state = draw(states.STATES)
    count = draw(st.integers(0, len(state.nodes)))
    others, nodes = state.nodes[:count], state.nodes[count:]
    state = replace(state, nodes=nodes)
    return WholeMesh(
        draw(st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True)),
        draw(states.KEY),
        state,
        tuple(draw(st.lists(GROUPS, max_size=2, unique_by=lambda each: each.address))),
        tuple(draw(st.lists(LABELS, max_size=2, unique_by=lambda each: each.uuid))),
        {node.unicast: draw(ABOUT) for node in (*others, *nodes)}
        | {node.unicast: About({"provisioner": {}}) for node in others},
        others,
        draw(TEXT),
        draw(st.booleans()),
        draw(MOMENT),
    )


@given(wholes())
@settings(deadline=None, max_examples=50)
def test_what_was_written_is_read(whole):
    content = json.loads(encode_whole(whole))
    assert is_whole(content)
    assert whole == read_whole(content)


@pytest.fixture
def content():
    return json.loads(encode_whole(whole()))


def whole(**more) -> WholeMesh:
    about = {2: About({"defaultTTL": 5}, T0_US, T0_US), 5: About({}, T0_US)}
    parts = {"about": about, "gateway": "gw-1", "written_us": T0_US} | more
    return WholeMesh(states.MESH_ID, b"m" * 16, states.state(), **parts)


def signed(content):
    """Make an edited file's digest fit again."""
    return content | {"sha256": _digest(content)}


def taken(given_, now_us=T0_US):
    return given_.for_import(now_us, Random(1))


def test_ages_grow_by_the_time_that_passed():
    iv = IvRecord(6, updating=True, age_s=10.0, recovered_age_s=100.0)
    state = states.state(stack=replace(states.state().stack, iv=iv))
    given_ = replace(whole(), state=state)
    assert IvRecord(6, True, 12.5, 102.5) == taken(given_, T0_US + 2_500_000).stack.iv
    assert iv == taken(given_, T0_US - 9_000_000).stack.iv


def test_nobody_knows_what_was_sent_after_an_export_so_another_address_sends():
    state = taken(whole())
    assert state.unicast > 7
    assert (SeqRecord(), NodeGone(1, 1, 6)) == (state.stack.seq, state.gone[-1])
    assert state.unicast != whole().for_import(T0_US, Random(2)).unicast


def test_a_mesh_that_was_given_away_keeps_its_address_for_a_day():
    moved = whole(moved=True)
    state = taken(moved, T0_US + 3_600_000_000)
    assert (1, SeqRecord(6, 3000 + SEQ_MARGIN)) == (state.unicast, state.stack.seq)
    assert 1 != taken(moved, T0_US + 90_000_000_000).unicast


def test_where_no_address_is_left_numbers_are_skipped():
    full = replace(whole(), state=states.state(low=2, high=7))
    assert SeqRecord(6, 3000 + SEQ_MARGIN) == taken(full).stack.seq
    late = states.state(low=2, high=7, stack=replace(full.state.stack, seq=SeqRecord(6, 1 << 24)))
    assert SeqRecord(6, 1 << 24) == taken(replace(full, state=late)).stack.seq


def test_an_unknown_iv_index_stays_unknown(content):
    content["iv"]["index"] = UNKNOWN
    assert UNKNOWN == read_whole(signed(content)).state.stack.iv.index


def test_an_edited_file_is_noticed(content):
    content["seq"]["limit"] = 0
    with pytest.raises(DataError, match="cut or edited") as caught:
        read_whole(content)
    assert (65, "bad-mesh-state") == (caught.value.exit, caught.value.code)
    assert "mesh-export" in caught.value.hint


def test_a_newer_format_is_said(content):
    with pytest.raises(DataError, match="mesh-state/2; this program reads") as e:
        read_whole(content | {"format": "dunes.mesh-state/2"})
    assert "upgrade" in e.value.hint


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("mesh_id", "../etc"),
        ("mesh_uuid", "00"),
        ("unicast", 0),
        ("unicast", "0001"),
        ("high", 0x8000),
        ("moved", 1),
        ("written_at", "yesterday"),
        ("iv.index", -2),
        ("iv.updating", None),
        ("iv.age_s", -1.0),
        ("seq.limit", (1 << 24) + 1),
        ("net_keys.0.key", "00" * 15),
        ("net_keys.0.phase", 4),
        ("app_keys.0.index", 4096),
        ("nodes", {}),
        ("nodes.0", []),
        ("nodes.0.elements", 0),
        ("nodes.0.device_key", "xyz"),
        ("nodes.0.progress", 4),
        ("nodes.0.settings", []),
        ("nodes.0.seen_at", 5),
        ("replay.0.seq", 1 << 24),
        ("gone.0.elements", True),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(content, place, value):
    at = content
    *steps, last = (int(step) if step.isdigit() else step for step in place.split("."))
    for step in steps:
        at = at[step]
    at[last] = value
    with pytest.raises(DataError) as caught:
        read_whole(signed(content))
    assert (str(last) if isinstance(last, str) else f"[{last}]") in (
        caught.value.message + " mesh_id"
    )


def test_an_address_with_two_owners_is_refused():
    state = states.state(nodes=(KnownNode(b"u" * 16, 1, 1, b"d" * 16),))
    with pytest.raises(DataError, match="0x0001 of the state export has two owners"):
        read_whole(json.loads(encode_whole(replace(whole(), state=state))))


@pytest.mark.parametrize("name", ["net_keys", "app_keys", "replay", "groups", "labels"])
def test_what_stands_twice_is_refused(name):
    groups, labels = (Group(0xC000, "a"),), (Label(b"l" * 16, 0x8000, "b"),)
    content = json.loads(encode_whole(whole(groups=groups, labels=labels)))
    content[name].append(content[name][0])
    with pytest.raises(DataError, match=f"{name} has one of them twice"):
        read_whole(signed(content))


def test_no_message_and_no_repr_shows_a_key(content):
    assert "64" * 16 in json.dumps(content)
    assert (b"d" * 16).hex() not in repr(read_whole(content))
    assert "dddddddd" not in repr(read_whole(content)) + repr(whole())
    for which in ("net_keys", "app_keys"):
        content[which][0]["key"] = "SECRET"
        with pytest.raises(DataError) as caught:
            read_whole(signed(content))
        assert "SECRET" not in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_any_change_is_read_or_refused_and_never_a_traceback(data):
    content = json.loads(encode_whole(whole()))
    at = content
    while isinstance(at, (dict, list)) and at:
        name = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[name], (dict, list)) or not at[name] or data.draw(st.booleans()):
            at[name] = data.draw(JSON)
            break
        at = at[name]
    try:
        read_whole(signed(content))
    except DunesError as e:
        refused = e
    else:
        return
    assert refused.hint
