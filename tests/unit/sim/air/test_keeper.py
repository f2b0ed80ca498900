"""What nodes keep over a restart."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.errors import StorageError
from dunes.mesh.models.node_config import ModelConfig, NodeConfig, Publication
from dunes.mesh.nodestate import Erased, granted
from dunes.mesh.provisioning.crypto import Grant
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import Store
from dunes.mesh.wire import ModelId
from dunes.sim.air.keeper import SKIPPED, Account, Keeper, Kept

STATE = granted(
    Grant(bytes(range(16)), 0, False, False, 5, 0x0100),
    bytes(16),
    NodeConfig(
        models=(
            ModelConfig(
                1, ModelId(1, 0xFFFF), (0,), Publication(0xC000, bytes(16)), (1,), (bytes(16),)
            ),
        )
    ),
)


@pytest.fixture
def keeper(tmp_path):
    return Keeper(tmp_path / "air")


def stored(keeper, *changes, before_sending=False):
    keeper.store("n", Store(1, changes, before_sending), 7)


def on_disk(keeper):
    return Keeper(keeper.folder).load("n")


def test_a_new_node_has_kept_nothing_and_makes_no_file(keeper):
    assert Kept() == keeper.load("n")
    assert not keeper.folder.exists()


def test_what_is_kept_comes_back_whole(keeper):
    keeper.load("n")
    account = Account(5, 9, 1, 300, 2)
    keeper.change("n", 123, state=STATE, account=account, actuators={"heater": -5})
    keeper.write("n")
    assert Kept(1, STATE, account, {"heater": -5}, 123) == on_disk(keeper)


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=4), st.integers(0, 2**24 - 1))
def test_any_configuration_comes_back(tmp_path_factory, labels, limit):
    keeper = Keeper(tmp_path_factory.mktemp("air"))
    keeper.load("n")
    model = replace(STATE.config.models[0], labels=tuple(labels))
    state = replace(STATE, config=replace(STATE.config, models=(model,)))
    state = replace(state, stack=replace(state.stack, seq=SeqRecord(0, limit)))
    keeper.change("n", 1, state=state)
    keeper.write("n")
    assert state == on_disk(keeper).state


def test_what_must_not_be_forgotten_is_written_at_once_and_the_rest_later(keeper):
    keeper.load("n")
    keeper.change("n", 1, state=STATE)
    keeper.write("n")
    stored(keeper, ReplayEntry(1, 0, 9))
    assert () == on_disk(keeper).state.stack.replay
    stored(keeper, SeqRecord(0, 2000))
    assert (2000, 1) == (
        on_disk(keeper).state.stack.seq.limit,
        len(on_disk(keeper).state.stack.replay),
    )
    stored(keeper, ReplayEntry(2, 0, 9))
    keeper.write_waiting()
    assert 2 == len(on_disk(keeper).state.stack.replay)


def test_the_numbers_of_reports_go_on_after_an_end_and_further_on_after_a_kill(keeper):
    keeper.load("n")
    keeper.sent("n", 1, Account(sequence=5))
    keeper.sent("n", 1, Account(sequence=6))
    assert 5 + SKIPPED == on_disk(keeper).account.sequence
    keeper.end()
    assert 6 == on_disk(keeper).account.sequence
    again = Keeper(keeper.folder)
    again.load("n")
    again.sent("n", 1, Account(sequence=2**14 - 1))
    assert SKIPPED - 1 == on_disk(keeper).account.sequence


def test_who_is_killed_twice_goes_on_behind_what_was_sent_between(keeper):
    keeper.load("n")
    keeper.sent("n", 1, Account(sequence=5))
    second = Keeper(keeper.folder)
    sent = second.load("n").account.sequence + 1
    second.sent("n", 1, Account(sequence=sent))
    assert on_disk(keeper).account.sequence > sent


def test_a_node_that_left_its_network_is_new(keeper):
    keeper.load("n")
    keeper.change("n", 1, state=STATE)
    stored(keeper, Erased(), before_sending=True)
    assert None is on_disk(keeper).state


def test_files_are_for_their_owner_alone_and_have_no_rests(keeper):
    keeper.load("n")
    keeper.change("n", 1, state=STATE)
    keeper.write("n")
    (path,) = keeper.folder.iterdir()
    assert ("n.json", 0o600, 0o700) == (
        path.name,
        path.stat().st_mode & 0o777,
        keeper.folder.stat().st_mode & 0o777,
    )


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1, "state": {}}', '{"version": 2}'])
def test_a_file_that_is_none_is_said_with_its_name(keeper, content):
    keeper.folder.mkdir()
    (keeper.folder / "n.json").write_text(content)
    with pytest.raises(StorageError, match=r"n\.json") as caught:
        keeper.load("n")
    assert "the nodes are new then" in caught.value.hint


def test_the_file_is_json_that_people_can_read(keeper):
    keeper.load("n")
    keeper.change("n", 1, state=STATE)
    keeper.write("n")
    content = json.loads((keeper.folder / "n.json").read_text())
    assert 0x0100 == content["state"]["identity"]["unicast"]
