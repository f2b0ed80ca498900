"""The reserve: room that can be given up, made only where there is plenty."""

import os
from types import SimpleNamespace

from dunes.buffer.reserve import Reserve


def test_a_reserve_takes_its_room_and_gives_it_up(tmp_path):
    reserve = Reserve(tmp_path / "b.db", 10_000_000)
    assert reserve.ensure()
    assert 262_144 == (tmp_path / "b.db.reserve").stat().st_size
    assert reserve.ensure()
    assert reserve.release()
    assert not reserve.release()
    assert not (tmp_path / "b.db.reserve").exists()


def test_it_grows_with_the_cap_up_to_a_limit(tmp_path):
    assert 2_000_000 == Reserve(tmp_path / "b.db", 100_000_000).size_bytes
    assert 4 * 1024 * 1024 == Reserve(tmp_path / "b.db", 10_000_000_000).size_bytes


def test_none_is_made_on_a_disk_that_is_nearly_full(tmp_path, monkeypatch):
    nearly_full = SimpleNamespace(f_bavail=100, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: nearly_full)
    assert not Reserve(tmp_path / "b.db", 10_000_000_000).ensure()
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    assert not Reserve(tmp_path / "none" / "b.db", 10_000_000).ensure()
