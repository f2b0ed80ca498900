import os
import stat
from pathlib import Path

import pytest

from dunes.paths import find_paths, write_atomic

XDG = {
    "HOME": "/home/ann",
    "XDG_CONFIG_HOME": "/home/ann/.c",
    "XDG_DATA_HOME": "/home/ann/.d",
    "XDG_STATE_HOME": "/home/ann/.s",
    "XDG_RUNTIME_DIR": "/run/user/1000",
}


def test_dunes_home_holds_everything():
    paths = find_paths({"DUNES_HOME": "/x", "STATE_DIRECTORY": "/y"}, uid=0)
    assert Path("/x") == paths.config
    assert [Path("/x/data"), Path("/x/keys"), Path("/x/state"), Path("/x/run")] == [
        paths.data,
        paths.keys,
        paths.state,
        paths.runtime,
    ]


def test_systemd_s_folders_come_next():
    env = {"STATE_DIRECTORY": "/var/lib/dunes:/other", "RUNTIME_DIRECTORY": "/run/dunes"}
    paths = find_paths(env, uid=999)
    assert Path("/var/lib/dunes/data") == paths.data
    assert Path("/run/dunes") == paths.runtime
    assert Path("/etc/dunes") == paths.config


def test_root_uses_the_system_s_folders():
    paths = find_paths({"HOME": "/root"}, uid=0)
    assert Path("/var/lib/dunes/data") == paths.data
    assert Path("/etc/dunes") == paths.config


def test_a_person_uses_the_xdg_folders():
    paths = find_paths(XDG, uid=1000)
    assert Path("/home/ann/.c/dunes") == paths.config
    assert Path("/home/ann/.d/dunes") == paths.data
    assert Path("/home/ann/.s/dunes") == paths.state
    assert Path("/run/user/1000/dunes") == paths.runtime
    bare = find_paths({"HOME": "/home/ann"}, uid=1000)
    assert Path("/home/ann/.local/share/dunes") == bare.data
    assert bare.data / "run" == bare.runtime


def test_a_file_is_replaced_as_a_whole_and_private_from_the_start(tmp_path):
    target = tmp_path / "deep" / "file"
    write_atomic(target, b"one")
    write_atomic(target, b"two")
    assert b"two" == target.read_bytes()
    assert 0o600 == stat.S_IMODE(target.stat().st_mode)
    assert [target] == list(target.parent.iterdir())


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch):
    target = tmp_path / "file"
    write_atomic(target, b"one")

    def fail(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomic(target, b"two")
    assert b"one" == target.read_bytes()
    assert [target] == list(tmp_path.iterdir())
