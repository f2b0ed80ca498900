"""The identity of a place: made once, kept private, bound to its machine."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from dunes.crypto import identity, keyio
from dunes.crypto.errors import KeyExists, KeyRefused, NoIdentity, WrongPassphrase
from dunes.paths import find_paths


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path)})


def test_an_identity_comes_back_as_it_was_made(paths):
    made = identity.create_identity(paths, "lunar-gateway")
    loaded = identity.load_identity(paths)
    assert ("lunar-gateway", made.kid) == (loaded.name, loaded.kid)
    assert made.recipient.public == loaded.recipient.public
    loaded.signing.public.verify(made.signing.sign(b"x", b"c"), b"x", b"c")
    assert b"s" == loaded.recipient.unwrap(made.recipient.public.wrap(b"s", b"i"), b"i")


def test_without_an_identity_the_next_command_is_named(paths):
    with pytest.raises(NoIdentity) as caught:
        identity.load_identity(paths)
    assert "dunes keygen" == caught.value.hint


def test_an_identity_is_never_overwritten(paths):
    made = identity.create_identity(paths)
    with pytest.raises(KeyExists):
        identity.create_identity(paths)
    assert made.kid == identity.ensure_identity(paths).kid


def test_many_starters_agree_on_one_identity(paths):
    with ThreadPoolExecutor(8) as pool:
        kids = set(pool.map(lambda _: identity.ensure_identity(paths).kid, range(8)))
    assert 1 == len(kids)


def test_all_secret_files_are_for_the_owner_alone_whatever_the_umask(paths):
    before = os.umask(0)
    try:
        identity.create_identity(paths)
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in paths.keys.iterdir()}
    assert {"machine.key": 0o600, identity.FILE_NAME: 0o600, "public": 0o700} == modes


def test_an_identity_from_another_machine_does_not_open(paths):
    identity.create_identity(paths)
    (paths.keys / "machine.key").unlink()
    keyio.write_new(paths.keys / "machine.key", os.urandom(32).hex().encode())
    with pytest.raises(WrongPassphrase, match="does not open on this machine"):
        identity.load_identity(paths)


def test_a_key_that_others_can_read_is_refused(paths):
    identity.create_identity(paths)
    identity.identity_path(paths).chmod(0o640)
    with pytest.raises(KeyRefused) as caught:
        identity.load_identity(paths)
    assert "chmod 600" in caught.value.hint
