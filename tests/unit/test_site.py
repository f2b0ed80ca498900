import fcntl
import json
import os

import pytest

from dunes.errors import NotFound, StorageError
from dunes.paths import find_paths
from dunes.site import Endpoint, Site, need_site, resolve, running_site, site_directory


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path)})


@pytest.fixture
def site_lock(paths):
    directory = site_directory(paths)
    directory.mkdir(parents=True)
    (directory / "site.json").write_text(json.dumps({"name": "lunar", "control_token": "hush"}))
    lock = os.open(directory / "site.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield directory
    os.close(lock)


def test_no_lock_file_means_no_site(paths):
    assert running_site(paths) is None
    with pytest.raises(NotFound) as caught:
        need_site(paths)
    assert "dunes sim up" == caught.value.hint


@pytest.mark.usefixtures("site_lock")
def test_a_held_lock_means_the_site_lives(paths):
    assert "lunar" == need_site(paths).name


def test_a_lock_that_nobody_holds_is_a_dead_site(paths, site_lock):
    lock_path = site_lock / "site.lock"
    lock_path.unlink()
    lock_path.touch()
    assert running_site(paths) is None


def test_a_damaged_description_is_an_error_with_a_way_out(paths, site_lock):
    (site_lock / "site.json").write_text("{")
    with pytest.raises(StorageError) as caught:
        running_site(paths)
    assert "dunes sim down" == caught.value.hint


def test_a_site_still_starting_is_not_up_yet(paths, site_lock):
    (site_lock / "site.json").unlink()
    assert running_site(paths) is None


@pytest.mark.usefixtures("site_lock")
def test_the_control_token_is_in_no_repr(paths):
    assert "hush" not in repr(running_site(paths))


def test_only_a_site_s_own_addresses_are_led_to_it():
    site = Site("lunar", endpoints={"192.168.1.1:9000": "127.0.0.1:41000"})
    assert Endpoint("127.0.0.1", 41000, simulated=True) == resolve("192.168.1.1", 9000, site)
    assert Endpoint("192.168.1.1", 9200, simulated=False) == resolve("192.168.1.1", 9200, site)
    assert Endpoint("192.168.1.1", 9000, simulated=False) == resolve("192.168.1.1", 9000, None)
