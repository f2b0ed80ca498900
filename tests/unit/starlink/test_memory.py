"""The monitor's file."""

import stat

import pytest

from dunes.errors import StorageError
from dunes.paths import find_paths
from dunes.starlink.memory import LinkMemory
from dunes.starlink.monitor import Monitor, State

T0 = 1_800_000_000.0


def memory(tmp_path) -> LinkMemory:
    return LinkMemory(tmp_path / "state/starlink-link.json")


def down() -> Monitor:
    return Monitor(state=State.DOWN, cause="NO_SATS", device="ut1", answered_at_s=10.0)


def test_a_state_is_found_again(tmp_path):
    memory(tmp_path).save(down(), 12.0, T0)
    found = memory(tmp_path).load(500.0, T0 + 60)
    assert (found.state, found.cause, found.answered_at_s) == (State.DOWN, "NO_SATS", 438.0)


def test_the_file_is_private_and_replaced_as_a_whole(tmp_path):
    kept = memory(tmp_path)
    kept.save(down(), 12.0, T0)
    kept.save(down(), 13.0, T0 + 1)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert [kept.path] == list(kept.path.parent.iterdir())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"saved_unix_s": "x"}', b"\xff"])
def test_a_damaged_file_starts_anew(tmp_path, content):
    kept = memory(tmp_path)
    kept.path.parent.mkdir()
    kept.path.write_bytes(content)
    assert kept.load(0.0, T0).state is State.UNKNOWN


def test_a_rehearsal_has_a_file_of_its_own(tmp_path):
    paths = find_paths({"DUNES_HOME": str(tmp_path)})
    real, simulated = (LinkMemory.at(paths, simulated=s) for s in (False, True))
    simulated.save(down(), 0.0, T0)
    assert real.load(0.0, T0).state is State.UNKNOWN
    assert simulated.load(0.0, T0).state is State.DOWN


def test_no_file_starts_anew(tmp_path):
    assert memory(tmp_path).load(0.0, T0).state is State.UNKNOWN


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StorageError, match="the next run starts anew"):
        memory(tmp_path).save(down(), 0.0, T0)
