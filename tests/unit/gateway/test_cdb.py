"""Configuration Databases: what we write, and what we read of others.

`examples/app-mesh.json` is made by hand after what the encoders of Nordic's nRF Mesh library
write (github.com/NordicSemiconductor/IOS-nRF-Mesh-Library, `Library/Mesh Model`, BSD-3-Clause);
its keys are made up. What other exporters do differently is taken from the same library's
decoders, which mend it, and named at each test.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path
from random import Random

import jsonschema
import pytest
import states
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dunes.errors import DataError, DunesError, NotFound
from dunes.gateway.addressrange import LEAST, WANTED, choose_range
from dunes.gateway.cdb import Provisioner, write_cdb
from dunes.gateway.cdbread import is_cdb, read_cdb
from dunes.gateway.groups import Group, Label
from dunes.gateway.wholestate import About, WholeMesh
from dunes.mesh.ivindex import UNKNOWN
from dunes.mesh.keys import AppKeyRecord, NetKeyRecord, Phase
from dunes.mesh.managerstate import NodeGone, Progress
from dunes.mesh.models.composition import Composition, Element
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import KeysRecord
from dunes.mesh.toolbox import virtual_address
from dunes.mesh.wire import ModelId
from dunes.model import check_name

ROOT = Path(__file__).parents[3]
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "docs/mesh-cdb.schema.json").read_text())
)
APP = json.loads((ROOT / "examples/app-mesh.json").read_text())
OWN = Provisioner("gw-1", b"p" * 16, b"o" * 16)
LABEL = bytes.fromhex(APP["groups"][2]["address"])


@pytest.fixture
def app():
    return copy.deepcopy(APP)


def whole(state=None, **more) -> WholeMesh:
    return WholeMesh(
        states.MESH_ID,
        b"m" * 16,
        state or states.state(),
        written_us=1_800_000_000_123_456,
        **more,
    )


# ---------------------------------------------------------------- reading


def test_an_apps_export_is_read(app):
    found = read_cdb(app)
    assert ("Farm West", 16) == (found.name, len(found.uuid))
    assert (1, 1) == (len(found.keys.nets), len(found.keys.apps))
    assert bytes.fromhex(app["netKeys"][0]["key"]) == found.keys.nets[0].key
    named = {node.name: node for node in found.nodes}
    probe = named["soil-probe-1"]
    assert (2, 2, Progress.CONFIGURED, 0) == (
        probe.unicast,
        probe.elements,
        probe.progress,
        probe.net_index,
    )
    page = Composition.decode(probe.composition)
    assert (0x0059, 10, 0b0011) == (page.cid, page.crpl, page.features)
    assert [1] == page.has(ModelId(0x000A, 0x0059))
    assert [1] == page.has(ModelId(0x1000))
    settings_ = found.about[2].settings
    assert {"count": 3, "interval": 20} == settings_["networkTransmit"]
    assert 5 == settings_["defaultTTL"]
    assert [Group(0xC000, "Soil probes"), Group(0xC001, "Valves")] == found.groups
    assert [Label(LABEL, virtual_address(LABEL), "Everybody")] == found.labels
    assert [NodeGone(5, 2, 0)] == found.gone
    assert [(0x0001, 0x199A)] == found.ranges
    (phone,) = found.others
    assert "nrf-mesh-provisioner" == phone.name
    assert "nRF Mesh Provisioner" == found.about[1].settings["provisioner"]["provisionerName"]
    assert b"" == phone.composition


def test_names_become_names_that_a_reading_may_have_and_come_back_as_they_were(app):
    for node, name in zip(
        app["nodes"], ("Tür 1", "Light (kitchen)", "light kitchen"), strict=True
    ):
        node["name"] = name
    found = read_cdb(app)
    everybody = [*found.others, *found.nodes]
    assert ["t-r-1", "light-kitchen", "node-0004"] == [node.name for node in everybody]
    for node in everybody:
        check_name(node.name, "device")
    state, _ = found.join(Random(1))
    mesh = WholeMesh("m", found.uuid, state, about=found.about, others=tuple(found.others))
    names = [node["name"] for node in write_cdb(mesh, OWN)["nodes"][1:]]
    assert ["Tür 1", "Light (kitchen)", "light kitchen"] == names
    renamed = replace(state, nodes=tuple(replace(n, name="x") for n in state.nodes))
    names = [node["name"] for node in write_cdb(replace(mesh, state=renamed), OWN)["nodes"][1:]]
    assert ["Tür 1", "x", "x"] == names


def test_a_gateway_that_joins_takes_addresses_that_are_nobodys(app):
    state, shared = read_cdb(app).join(Random(1))
    assert not shared
    assert state.unicast > 0x199A
    assert (state.unicast + 8, state.unicast + WANTED - 1) == (state.low, state.high)
    assert (UNKNOWN, SeqRecord()) == (state.stack.iv.index, state.stack.seq)
    other, _ = read_cdb(app).join(Random(2))
    assert other.unicast != state.unicast


def test_a_mesh_without_our_application_key_gets_one(app):
    app["appKeys"][0]["index"] = 3
    for node in app["nodes"]:
        node["appKeys"] = []
    found = read_cdb(app)
    state, _ = found.join(Random(1))
    assert [0, 3] == [key.index for key in state.stack.keys.apps]
    assert any("application key 0 was made" in note for note in found.notes)
    assert state.stack.keys.apps[0].key != found.join(Random(2))[0].stack.keys.apps[0].key
    assert found.keys.apps == found.join(Random(1))[0].stack.keys.apps[1:]


def test_what_was_read_is_written_again(app):
    found = read_cdb(app)
    state, _ = found.join(Random(1))
    made = write_cdb(
        WholeMesh(
            "farm",
            found.uuid,
            state,
            tuple(found.groups),
            tuple(found.labels),
            found.about,
            tuple(found.others),
        ),
        OWN,
    )
    SCHEMA.validate(made)
    for name in ("meshUUID", "groups", "networkExclusions"):
        assert app[name] == made[name], name
    assert app["netKeys"][0]["key"] == made["netKeys"][0]["key"]
    assert app["provisioners"][0] == made["provisioners"][1]
    app["nodes"][0]["configComplete"] = True  # the phone's: not ours to set up
    given_nodes = {node["unicastAddress"]: node for node in app["nodes"]}
    for node in made["nodes"][1:]:
        assert given_nodes[node["unicastAddress"]] == node


def test_our_own_export_is_read_again():
    page = Composition(0x0059, 1, 2, 64, 1, (Element(7, (ModelId(0),)), Element(0, ())))
    node = replace(states.state().nodes[0], composition=page.encode(), elements=2)
    state = states.state(nodes=(node, states.state().nodes[1]))
    about = {2: About({"features": {"relay": 1, "proxy": 2}, "defaultTTL": 9})}
    groups, labels = (Group(0xC001, "sensors", 0xC000),), (Label(LABEL, 1, "all"),)
    made = write_cdb(whole(state, groups=groups, labels=labels, about=about), OWN)
    SCHEMA.validate(made)
    found = read_cdb(json.loads(json.dumps(made)))
    assert [] == found.without_key
    assert state.stack.keys == found.keys
    nodes = {each.unicast: each for each in found.nodes}
    assert replace(node, step=0) == nodes[2]
    assert {"relay": 1, "proxy": 2, "friend": 2, "lowPower": 2} == (
        found.about[2].settings["features"]
    )
    assert [(1, "gw-1")] == [(each.unicast, each.name) for each in found.others]
    assert list(groups) == found.groups
    assert [Label(LABEL, virtual_address(LABEL), "all")] == found.labels
    assert list(state.gone) == found.gone


def test_a_key_refresh_goes_over_with_both_keys():
    keys = KeysRecord(
        (NetKeyRecord(0, b"n" * 16, b"N" * 16, Phase.SWITCHING), NetKeyRecord(3, b"m" * 16)),
        (AppKeyRecord(0, 0, b"a" * 16, b"A" * 16), AppKeyRecord(1, 3, b"b" * 16)),
    )
    state = states.state(stack=replace(states.state().stack, keys=keys))
    made = write_cdb(whole(state), OWN)
    SCHEMA.validate(made)
    assert (b"N" * 16).hex().upper() == made["netKeys"][0]["key"]
    assert (b"n" * 16).hex().upper() == made["netKeys"][0]["oldKey"]
    assert keys == read_cdb(made).keys


def test_without_device_keys_it_is_partial():
    made = write_cdb(whole(), OWN, device_keys=False)
    SCHEMA.validate(made)
    assert made["partial"]
    assert "deviceKey" not in json.dumps(made)
    found = read_cdb(made)
    assert ([], ["gw-1", "hab-1", "node-0005"]) == (found.nodes, sorted(found.without_key))
    state, _ = found.join(Random(1))
    assert not {1, 2, 3, 4, 5}.intersection(range(state.unicast, state.high + 1))


@given(states.STATES, st.booleans())
@settings(deadline=None, max_examples=50)
def test_whatever_we_hold_is_written_as_the_schema_says(state, device_keys):
    assume(state.stack.keys.nets)
    SCHEMA.validate(write_cdb(whole(state), OWN, device_keys=device_keys))


# ---------------------------------------------------------------- other exporters


def sloppy(node):
    """Write a member of the tree as careless exporters do."""
    if isinstance(node, dict):
        return {name: sloppy(value) for name, value in node.items()}
    if isinstance(node, list):
        return [sloppy(value) for value in node]
    if isinstance(node, str) and len(node) == 4 and not node.isalpha():
        return "0x" + node.lower()
    return node.lower() if isinstance(node, str) and len(node) in {8, 32} else node


def test_small_letters_and_prefixes_mean_the_same(app):
    given_ = sloppy(app)
    assert given_ != app
    assert read_cdb(app) == read_cdb(given_)


def test_uuids_without_dashes_are_uuids(app):
    """As nRF Mesh before 3.0 wrote them."""
    expected = read_cdb(app)
    app["meshUUID"] = app["meshUUID"].replace("-", "")
    for each in [*app["nodes"], *app["provisioners"]]:
        each["UUID"] = each["UUID"].replace("-", "")
    assert expected == read_cdb(app)


def test_lists_that_are_left_out_are_empty(app):
    """One Android version left empty groups out; old ones knew no scenes or exclusions."""
    for name in ("groups", "scenes", "networkExclusions", "provisioners"):
        app.pop(name)
    found = read_cdb(app)
    assert ([], [], [], []) == (found.groups, found.labels, found.gone, found.ranges)
    app["groups"] = app["nodes"][1]["appKeys"] = None
    assert 3 == len(read_cdb(app).nodes)


def test_blacklisted_is_the_old_word_for_excluded(app):
    for word in ("blacklisted", "excluded"):
        given_ = copy.deepcopy(app)
        given_["nodes"][2].pop("excluded")
        given_["nodes"][2][word] = True
        found = read_cdb(given_)
        assert ["soil-probe-1"] == [node.name for node in found.nodes]
        assert NodeGone(4, 1, 0) in found.gone


def test_intervals_as_steps_are_turned_into_milliseconds(app):
    """Some Android versions exported the protocol's steps."""
    app["nodes"][1]["networkTransmit"] = {"count": 3, "interval": 1}
    app["nodes"][1]["relayRetransmit"] = {"count": 0, "interval": 0}
    found = read_cdb(app)
    assert {"count": 3, "interval": 20} == found.about[2].settings["networkTransmit"]
    assert "relayRetransmit" not in found.about[2].settings
    assert {"intervals were read as steps of 10 ms": 1} == {
        text: count for text, count in found.notes.items() if count and "steps" in text
    }


def test_a_resolution_that_is_the_whole_period_is_divided(app):
    publish = app["nodes"][1]["elements"][0]["models"][2]["publish"]
    publish["period"] = {"numberOfSteps": 10, "resolution": 10 * 10_000}
    publish["retransmit"] = {"count": 2, "interval": 3}
    models = read_cdb(app).about[2].settings["elements"][0]["models"]
    assert 100_000 == models[2]["publish"]["period"]
    assert {"count": 2, "interval": 200} == models[2]["publish"]["retransmit"]


def test_a_period_in_milliseconds_is_one_too(app):
    """As drafts of the format had it, and as a node's settings here have it."""
    publish = app["nodes"][1]["elements"][0]["models"][2]["publish"]
    for given_, ms in ((0, 0), (60_000, 60_000), (None, 0), (37_800_000, 37_800_000)):
        publish["period"] = given_
        models = read_cdb(app).about[2].settings["elements"][0]["models"]
        assert ms == models[2]["publish"]["period"]


@pytest.mark.parametrize(
    ("ms", "steps", "resolution"),
    [(0, 0, 100), (6300, 63, 100), (60_000, 60, 1000), (600_000, 60, 10_000)],
)
def test_a_period_is_written_in_steps(ms, steps, resolution):
    publish = {"address": "C001", "index": 0, "ttl": 255, "period": ms}
    models = [{"modelId": "1100", "bind": [0], "publish": publish}]
    about = {2: About({"elements": [{"index": 0, "models": models}]})}
    made = write_cdb(whole(about=about), OWN)
    SCHEMA.validate(made)
    (model,) = made["nodes"][1]["elements"][0]["models"]
    assert {"numberOfSteps": steps, "resolution": resolution} == model["publish"]["period"]


def test_an_envelope_around_the_database_is_opened(app):
    wrapped = {"meshNetwork": app, "appVersion": 7}
    assert is_cdb(wrapped)
    assert read_cdb(app) == read_cdb(wrapped)


def test_security_has_older_words(app):
    for word, meant in (("high", "secure"), ("low", "insecure"), ("secure", "secure")):
        app["nodes"][1]["security"] = word
        assert meant == read_cdb(app).about[2].settings["security"]


def test_a_refresh_that_lacks_its_old_key_is_over(app):
    app["netKeys"][0]["phase"] = 2
    assert Phase.NORMAL is read_cdb(app).keys.nets[0].phase


def test_numbers_in_place_of_texts_are_taken(app):
    app["nodes"][1]["unicastAddress"] = 2
    app["nodes"][1]["cid"] = 0x0059
    app["nodes"][1]["elements"][0]["models"][0]["modelId"] = 0
    assert read_cdb(APP) == read_cdb(app)


# ---------------------------------------------------------------- refused


def wrong(path, value):
    return pytest.param(path, value, id="/".join(map(str, path)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        wrong(["meshUUID"], "short"),
        wrong(["netKeys"], []),
        wrong(["netKeys"], "key"),
        wrong(["netKeys", 0, "key"], "00"),
        wrong(["netKeys", 0, "index"], 4096),
        wrong(["netKeys", 0, "phase"], 9),
        wrong(["appKeys", 0, "boundNetKey"], 1),
        wrong(["appKeys", 0, "key"], None),
        wrong(["nodes", 1, "unicastAddress"], "0000"),
        wrong(["nodes", 1, "unicastAddress"], "8000"),
        wrong(["nodes", 1, "unicastAddress"], True),
        wrong(["nodes", 1, "deviceKey"], "secret"),
        wrong(["nodes", 1, "netKeys", 0, "index"], 5),
        wrong(["nodes", 1, "elements", 1, "index"], "1"),
        wrong(["nodes", 1, "elements"], [{"index": 1}]),
        wrong(["nodes", 1, "elements", 0, "models", 0, "modelId"], "XYZ"),
        wrong(["nodes", 1, "elements", 0, "models", 0, "bind"], ["0"]),
        wrong(["nodes", 1, "defaultTTL"], 128),
        wrong(["nodes", 1, "networkTransmit", "count"], 9),
        wrong(["nodes", 1, "networkTransmit", "interval"], 33),
        wrong(["nodes", 1, "features", "relay"], 3),
        wrong(["provisioners", 0, "allocatedUnicastRange", 0, "highAddress"], "0000"),
        wrong(["groups", 0, "address"], "C00000"),
        wrong(["networkExclusions", 0, "addresses"], ["C000"]),
        wrong(["networkExclusions", 0, "ivIndex"], -1),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(app, path, value):
    at = app
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(DataError) as caught:
        read_cdb(app)
    assert "bad-cdb" == caught.value.code
    assert str(path[-1] if isinstance(path[-1], str) else path[-2]) in caught.value.message
    assert caught.value.hint


def test_two_nodes_with_one_address_are_refused(app):
    app["nodes"][2]["unicastAddress"] = "0003"
    with pytest.raises(DataError, match="0x0003 belongs to two nodes"):
        read_cdb(app)


def test_one_index_twice_is_refused(app):
    app["appKeys"].append(app["appKeys"][0])
    with pytest.raises(DataError, match="appKeys has index 0 twice"):
        read_cdb(app)


def test_no_message_shows_a_key(app):
    for path in (("netKeys", "key"), ("appKeys", "key"), ("nodes", "deviceKey")):
        given_ = copy.deepcopy(app)
        given_[path[0]][0][path[1]] = "SECRET-" + "A" * 25
        with pytest.raises(DataError) as caught:
            read_cdb(given_)
        assert "SECRET" not in str(caught.value.message) + str(caught.value.hint)
    assert app["netKeys"][0]["key"].lower() not in repr(read_cdb(app)).lower()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["index", "key", "UUID", "models", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_any_change_is_read_or_refused_and_never_a_traceback(data):
    changed = copy.deepcopy(APP)
    at = changed
    while isinstance(at, (dict, list)) and at:
        names = list(at) if isinstance(at, dict) else list(range(len(at)))
        name = data.draw(st.sampled_from(names))
        if not isinstance(at[name], (dict, list)) or not at[name] or data.draw(st.booleans()):
            at[name] = data.draw(JSON)
            break
        at = at[name]
    try:
        found = read_cdb(changed)
        state, _ = found.join(Random(1))
    except DunesError:
        return
    groups, labels, others = tuple(found.groups), tuple(found.labels), tuple(found.others)
    mesh = WholeMesh("m", found.uuid, state, groups, labels, found.about, others)
    SCHEMA.validate(write_cdb(mesh, OWN))


# ---------------------------------------------------------------- address ranges


RANGES = st.lists(
    st.tuples(st.integers(1, 0x7FFF), st.integers(1, 0x7FFF)).map(sorted).map(tuple), max_size=6
)


@given(RANGES, RANGES, st.integers(0, 99))
def test_a_range_is_free_and_others_unless_nothing_else_is(taken, others, seed):
    try:
        first, last, shared = choose_range(Random(seed), taken, others)
    except NotFound:
        used = {n for low, high in taken for n in range(low, high + 1)}
        free = set(range(1, 0x8000)) - used
        assert not any(n + 1 in free for n in free)
        return
    assert 1 <= first
    assert last <= 0x7FFF
    assert LEAST <= last - first + 1 <= WANTED
    avoided = taken if shared else [*taken, *others]
    assert not any(low <= last and first <= high for low, high in avoided)


def test_a_range_within_anothers_is_said(app):
    app["provisioners"][0]["allocatedUnicastRange"] = [
        {"lowAddress": "0001", "highAddress": "7FFF"}
    ]
    state, shared = read_cdb(app).join(Random(1))
    assert shared
    assert state.unicast > 6
