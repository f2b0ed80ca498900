import pytest
from firmware_boards import board, image

from dunes.errors import StorageError
from dunes.firmware.version import Version
from dunes.sim.boardkeeper import BoardKeeper


def flashed(*, permanent=False):
    made = board()
    made.slots[1].data = image()
    made.mark(permanent=permanent)
    return made


def again(folder):
    """A board of the same name, after a restart of the site."""
    made = board("0.9.0")
    BoardKeeper(folder).fill("rover-001", made)
    made.boot()
    return made


def test_a_board_that_was_never_flashed_is_new(tmp_path):
    assert Version(0, 9) == again(tmp_path).running.version


@pytest.mark.parametrize(("confirm", "version"), [(True, Version(1, 2)), (False, Version(1, 1))])
def test_what_was_confirmed_stays_and_a_trial_ends_with_the_site(tmp_path, confirm, version):
    made, keeper = flashed(), BoardKeeper(tmp_path)
    made.boot()
    if confirm:
        made.confirm()
    keeper.keep("rover-001", made)
    assert version == again(tmp_path).running.version


def test_a_mark_outlives_the_site(tmp_path):
    BoardKeeper(tmp_path).keep("rover-001", flashed(permanent=True))
    found = again(tmp_path)
    assert (Version(1, 2), True) == (found.running.version, found.confirmed)


def test_images_lie_once_on_the_disk_and_in_memory(tmp_path):
    keeper = BoardKeeper(tmp_path)
    boards = [flashed() for _ in range(5)]
    for number, made in enumerate(boards):
        made.slots[1].data = bytes(bytearray(made.slots[1].data))  # a copy, as an upload makes it
        keeper.keep(f"rover-{number:03}", made)
    assert 2 == len(list(tmp_path.glob("*.bin")))
    assert 1 == len({id(made.slots[1].data) for made in boards})


def test_files_that_cannot_be_read_are_told_with_what_to_remove(tmp_path):
    keeper = BoardKeeper(tmp_path)
    keeper.keep("rover-001", flashed())
    path = tmp_path / "rover-001.json"
    good = path.read_bytes()
    for bad in (b"", b"{}", good.replace(b'"version":1', b'"version":9')):
        path.write_bytes(bad)
        with pytest.raises(StorageError) as refused:
            again(tmp_path)
        assert str(path) in refused.value.hint
    path.write_bytes(good)
    next(tmp_path.glob("*.bin")).unlink()
    with pytest.raises(StorageError):
        again(tmp_path)
