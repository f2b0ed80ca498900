"""Elements of the gateway for devices that are no nodes: given, kept, carried along."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import jsonschema
import pytest
import states

from dunes.crypto.identity import ensure_identity
from dunes.errors import DataError
from dunes.gateway.devicelinks import NoElement, choose_element
from dunes.gateway.exporting import Wish, export_mesh
from dunes.gateway.importing import carry_out, plan_import, read_export
from dunes.gateway.mark import read_mark
from dunes.gateway.recovery import another_address, given_by
from dunes.gateway.store import MeshLost, MeshStore
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import KnownNode, ManagerState, NodeGone
from dunes.settings import load

SAT = "cube-sat-001"
SCHEMA = Path(__file__).parents[3] / "docs/mesh-cdb.schema.json"


@pytest.fixture
def home(tmp_path):
    return load({"DUNES_HOME": str(tmp_path)}, folder=tmp_path)


@pytest.fixture
def made(home):
    """Make a mesh; give a function that opens it."""

    def make(state=None):
        given = state or ManagerState.new(Random(1))
        MeshStore.create(home, states.MESH_ID, given, identity=ensure_identity(home.paths)).close()
        return lambda **more: MeshStore.open(
            home, states.MESH_ID, identity=ensure_identity(home.paths), **more
        )

    return make


def test_a_device_gets_an_element_once_and_a_restart_knows_it(made):
    open_ = made()
    with open_() as store:
        assert (1, True) == store.link(SAT)
        assert (1, False) == store.link(SAT)
        assert (2, True) == store.link("buoy-001")
    with open_() as store:
        assert {SAT: 1, "buoy-001": 2} == store.linked()
        manager = Manager.start(store.load(), Random(1), now_s=0.0)
        assert (1, 3) == (manager.stack.unicast, manager.stack.elements)
        assert all(manager.stack.is_own(address) for address in (1, 2, 3))
        assert not manager.stack.is_own(4)
        assert 9 == manager.book.allocate(2)


def test_a_look_says_which_element_it_would_be_and_writes_nothing(made):
    open_ = made()
    with open_(write=False) as store:
        assert (1, True) == store.link(SAT, dry_run=True)
        assert [] == store.links()


def test_an_element_that_was_some_devices_stays_ours_for_the_next(made):
    open_ = made()
    with open_() as store:
        store.link(SAT)
        store.link("buoy-001")
        assert 1 == store.unlink(SAT)
        assert store.unlink(SAT) is None
        assert 3 == store.load().elements
        assert (1, True) == store.link("probe-9")
        assert {"probe-9": 1, "buoy-001": 2} == store.linked()


def test_there_are_seven_and_then_it_says_so(made):
    open_ = made()
    with open_() as store:
        for number in range(7):
            assert (number + 1, True) == store.link(f"buoy-{number}")
        with pytest.raises(NoElement, match="7 devices are linked") as caught:
            store.link(SAT)
        assert 66 == caught.value.exit
        store.unlink("buoy-3")
        assert (4, True) == store.link(SAT)


def test_where_the_next_address_is_a_nodes_it_says_whose(made):
    open_ = made(states.state())
    with open_() as store:
        with pytest.raises(NoElement, match=r"0x0002, is hab-1's") as caught:
            store.link(SAT)
        assert "mesh-export --format state" in caught.value.hint
        assert [] == store.links()


def test_an_old_mesh_without_a_node_there_has_room_and_gives_the_address_to_no_node(made):
    open_ = made(states.state(nodes=(), gone=()))
    with open_() as store:
        assert (1, True) == store.link(SAT)
        manager = Manager.start(store.load(), Random(1), now_s=0.0)
        assert 3 == manager.book.allocate(1)
        manager.grow(3)
        assert 4 == manager.book.allocate(1)


@pytest.mark.parametrize(
    ("iv_index", "element"), [(5, None), (6, None), (7, 1)], ids=["same", "next", "later"]
)
def test_an_address_that_a_node_left_waits_for_the_iv_index(iv_index, element):
    def choose():
        gone = [NodeGone(2, 1, 5)]
        return choose_element([], unicast=1, high=99, taken=[], gone=gone, iv_index=iv_index)

    if element is None:
        with pytest.raises(NoElement, match="was a node's lately"):
            choose()
    else:
        assert element == choose()


def test_at_the_end_of_our_range_there_is_none():
    with pytest.raises(NoElement, match="is not ours"):
        choose_element([], unicast=9, high=9, taken=[], gone=[], iv_index=0)


@pytest.mark.parametrize("name", ["hab-1", "hab-1.1", "node-0005", "Hab 1", ""])
def test_a_node_speaks_for_itself_and_a_name_is_one_of_readings(made, name):
    open_ = made(states.state())
    with open_() as store, pytest.raises(DataError):
        store.link(name)


def test_only_the_writer_links(made):
    open_ = made()
    with open_() as first:
        first._lock.release()
        with open_() as second:
            second.link(SAT)
            with pytest.raises(MeshLost):
                first.link("buoy-001")


def test_the_mark_knows_our_elements_from_the_next_opening_on(made):
    open_ = made(states.state(nodes=(), gone=()))
    with open_() as store:
        store.link(SAT)
    with open_() as store:
        assert ((2, 2),) == read_mark(store.mark_path).given


def test_another_address_has_room_for_all_elements():
    nodes = (KnownNode(b"u" * 16, 12, 90, b"d" * 16),)
    state = states.state(nodes=nodes, gone=(), low=9, high=120, elements=3)
    for seed in range(50):
        address = another_address(state, Random(seed))
        assert 102 <= address <= 113  # 9 to 11 hold three, yet none to come
        taken = given_by(replace(state, unicast=address))
        assert not any(at <= address + 3 and address <= last for at, last in taken[:1])
    narrow = replace(state, high=104)
    assert {9, 102} == {another_address(narrow, Random(seed)) for seed in range(50)}
    assert another_address(replace(state, high=103, low=10), Random(1)) is None


def take_over(home, file, **options):
    plan = plan_import(read_export(file), home, file, **options)
    carry_out(plan, home, ensure_identity(home.paths), holder="test")
    return plan.report


def out(store, file, **wish):
    export_mesh(store, "gw-1", Wish(output=file, force=True, **wish))
    return json.loads(file.read_bytes())


def test_a_state_export_takes_the_links_along_and_makes_room_where_there_was_none(
    made, home, tmp_path
):
    open_ = made(states.state())
    file = tmp_path / "state.json"
    with open_() as store:
        assert "links" not in out(store, file, format="state")
    take_over(home, file, force=True)
    with open_() as store:
        assert (1, True) == store.link(SAT)  # as the hint says
        links, before = store.links(), store.load()
        assert [SAT] == [each["device"] for each in out(store, file, format="state")["links"]]
    take_over(home, file, force=True)
    with open_() as store:
        after = store.load()
        assert (links, 2) == (store.links(), after.elements)
        assert before.unicast != after.unicast
        assert NodeGone(before.unicast, 2, 6) in after.gone


def test_in_a_configuration_database_the_elements_are_ours_and_nobody_elses(made, home, tmp_path):
    open_ = made(replace(states.state(nodes=(), gone=()), low=9))
    file = tmp_path / "cdb.json"
    with open_() as store:
        store.link(SAT)
        table, links = out(store, file), store.links()
    jsonschema.validate(table, json.loads(SCHEMA.read_text()))
    (own,) = table["nodes"]
    assert [(0, "gw-1"), (1, SAT)] == [(e["index"], e["name"]) for e in own["elements"]]
    assert ["FFFF0001"] == [model["modelId"] for model in own["elements"][1]["models"]]
    ranges = table["provisioners"][0]["allocatedUnicastRange"]
    assert [{"lowAddress": "0001", "highAddress": "07FF"}] == ranges
    take_over(home, file, force=True)
    with open_() as store:
        assert (links, 2) == (store.links(), store.load().elements)
    other = replace_home(home, tmp_path / "other")
    report = take_over(other, file)
    assert int(report.unicast, 16) > 0x7FF
    first, last = (int(each, 16) for each in report.range.split("-"))
    assert 8 == first - int(report.unicast, 16) < last


def replace_home(home, folder):
    folder.mkdir()
    return load({"DUNES_HOME": str(folder)}, folder=folder)


def test_nodes_are_given_no_address_of_ours():
    manager = Manager.start(ManagerState.new(Random(1)), Random(1), now_s=0.0)
    assert (9, 0x7FFF) == (manager.book.low, manager.book.high)
