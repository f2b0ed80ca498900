"""Where logins are kept: sealed, whole or not at all, and honest about what is wrong."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys

import pytest

from dunes.crypto.errors import WrongPassphrase
from dunes.errors import ConfigError, DataError, DunesError, StorageError, UsageError
from dunes.secrets import Secret
from sakina.grant import Grant
from sakina.journal import Journal
from sakina.memory import load_memory
from sakina.oauth.discovery import Metadata
from sakina.oauth.errors import StoreUnusable
from sakina.store.choose import choose_store
from sakina.store.file import FileStore
from sakina.store.keyring import KeyringStore

GRANT = Grant(
    profile="default",
    provider="https://i.example",
    flow="device",
    metadata=Metadata("https://i.example", "https://i.example/token"),
    client_id="cli",
    access_token=Secret("at-hush"),
    token_type="Bearer",
    obtained_s=1,
    refresh_token=Secret("rt-hush"),
)
PASS = {"DUNES_PASSPHRASE": "a long enough phrase"}


@pytest.fixture
def store(paths):
    return FileStore(paths, {})


def test_a_login_is_kept_sealed_and_private(store):
    store.save(GRANT)
    (path,) = store.folder.glob("*.token")
    assert (0o600, 0o700) == (path.stat().st_mode & 0o777, store.folder.stat().st_mode & 0o777)
    assert b"hush" not in path.read_bytes()
    assert GRANT == store.load("default")
    assert ("machine", ["default"]) == (store.lock_of("default"), store.profiles())


def test_a_passphrase_locks_it(paths):
    store = FileStore(paths, PASS)
    store.save(GRANT)
    assert GRANT == store.load("default")
    assert "passphrase" == store.lock_of("default")
    with pytest.raises(WrongPassphrase, match="passphrase is not"):
        FileStore(paths, {"DUNES_PASSPHRASE": "another phrase"}).load("default")
    with pytest.raises(ConfigError, match="none is given"):
        FileStore(paths, {}).load("default")


def test_a_file_that_was_copied_alone_is_worth_nothing(store, tmp_path):
    from dunes.paths import find_paths

    store.save(GRANT)
    elsewhere = FileStore(find_paths({"DUNES_HOME": str(tmp_path / "other")}), {})
    elsewhere.folder.mkdir(parents=True)
    copy = elsewhere.folder / "default.token"
    copy.write_bytes((store.folder / "default.token").read_bytes())
    copy.chmod(0o600)
    with pytest.raises(DunesError, match="machine"):
        elsewhere.load("default")
    elsewhere.save(dataclasses.replace(GRANT, profile="second"))
    with pytest.raises(WrongPassphrase, match="another machine"):
        elsewhere.load("default")


def test_every_changed_byte_is_seen(store):
    store.save(GRANT)
    path = store.folder / "default.token"
    good = path.read_bytes()
    for at in {*range(0, len(good), 37), len(good) - 1}:
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(DunesError):
            store.load("default")
    for cut in (0, 10, 80, len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(DunesError):
            store.load("default")


def test_the_login_of_one_profile_is_not_that_of_another(store):
    store.save(GRANT)
    (store.folder / "default.token").rename(store.folder / "admin.token")
    with pytest.raises(DataError, match="another profile"):
        store.load("admin")


def test_no_two_writes_are_sealed_alike(store):
    seen = set()
    for _ in range(3):
        store.save(GRANT)
        seen.add((store.folder / "default.token").read_bytes())
    assert 3 == len(seen)


def test_a_file_that_others_can_read_is_refused(store):
    store.save(GRANT)
    (store.folder / "default.token").chmod(0o644)
    with pytest.raises(DunesError, match="mode 0644"):
        store.load("default")


def test_a_directory_that_others_can_enter_is_closed(store):
    store.save(GRANT)
    store.folder.chmod(0o755)
    store.save(GRANT)
    assert 0o700 == store.folder.stat().st_mode & 0o777


@pytest.mark.parametrize("name", ["../x", "", "a/b", "A", ".hidden", "x" * 65])
def test_a_profile_cannot_leave_the_directory(store, name):
    with pytest.raises(DataError):
        store.load(name)


def test_in_clear_only_if_somebody_insists(paths):
    store = FileStore(paths, {}, in_clear=True)
    store.save(GRANT)
    assert b"at-hush" in (store.folder / "default.token").read_bytes()
    assert GRANT == FileStore(paths, {}).load("default")
    assert "none" == store.lock_of("default")
    assert 0o600 == (store.folder / "default.token").stat().st_mode & 0o777


def test_a_trial_leaves_nothing_and_tells_a_full_disk(store, monkeypatch):
    store.probe()
    assert [] == [p for p in store.folder.iterdir() if p.name != "machine.key"]

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnusable, match="No space left"):
        store.probe()


def test_a_write_that_fails_leaves_the_old_login(store, monkeypatch):
    store.save(GRANT)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StorageError):
            store.save(dataclasses.replace(GRANT, access_token=Secret("new")))
    assert GRANT == store.load("default")
    assert ["default.token"] == [p.name for p in store.folder.iterdir()]


def test_what_is_gone_is_gone(store):
    store.save(GRANT)
    assert (True, False) == (store.delete("default"), store.delete("default"))
    assert store.load("default") is None


# ---------------------------------------------------------------------- keyrings


class Ring:
    """A keyring as backends behave: a dictionary, or an error from the system."""

    def __init__(self, error=None):
        self.kept, self.error = {}, error

    def set_password(self, service, name, text):
        if self.error:
            raise self.error
        self.kept[service, name] = text

    def get_password(self, service, name):
        if self.error:
            raise self.error
        return self.kept.get((service, name))

    def delete_password(self, service, name):
        del self.kept[service, name]


def test_a_keyring_keeps_logins_and_their_names_are_remembered(paths):
    ring = Ring()
    store = KeyringStore(load_memory(paths), ring)
    store.probe()
    assert {} == ring.kept
    store.save(GRANT)
    assert GRANT == store.load("default")
    again = KeyringStore(load_memory(paths), ring)
    assert ["default"] == again.profiles()
    assert again.delete("default")
    assert ([], None, False) == (
        again.profiles(), again.load("default"), again.delete("default"),
    )  # fmt: skip


def test_a_keyring_that_fails_says_so_without_the_secret(paths):
    store = KeyringStore(load_memory(paths), Ring(RuntimeError("at-hush")))
    for act in (store.probe, lambda: store.save(GRANT), lambda: store.load("default")):
        with pytest.raises(StorageError) as caught:
            act()
        assert "hush" not in caught.value.message


def test_the_keyring_of_a_machine_without_a_desktop_is_found_out(paths):
    with pytest.raises(StoreUnusable, match="NoKeyringError"):
        KeyringStore(load_memory(paths)).probe()


# ---------------------------------------------------------------------- which one


def test_option_then_environment_then_memory_then_what_works(paths):
    memory = load_memory(paths)
    chosen = choose_store(paths, memory, environ={})
    assert ("file", "default") == (chosen.store.name, chosen.origin)
    memory.token_store = "none"
    assert "none" == choose_store(paths, memory, environ={}).store.name
    env = {"SAKINA_TOKEN_STORE": "file"}
    assert ("file", "SAKINA_TOKEN_STORE") == (
        choose_store(paths, memory, environ=env).store.name,
        choose_store(paths, memory, environ=env).origin,
    )
    assert "none" == choose_store(paths, memory, "none", environ=env).store.name
    with pytest.raises(UsageError):
        choose_store(paths, memory, "usb-stick", environ=env)


def test_a_keyring_that_works_is_preferred_to_a_file(paths, monkeypatch):
    ring = Ring()
    monkeypatch.setattr("sakina.store.keyring._find_backend", lambda: ring)
    memory = load_memory(paths)
    assert "keyring" == choose_store(paths, memory, environ={}, trial=True).store.name
    ring.error = RuntimeError("locked")
    assert "file" == choose_store(paths, memory, environ={}, trial=True).store.name
    assert "file" == choose_store(paths, memory, environ={}).store.name, "looking writes nothing"


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"profiles": 5}'])
def test_a_damaged_memory_is_named(paths, raw):
    paths.ready(paths.config)
    (paths.config / "sakina.json").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"sakina\.json"):
        load_memory(paths)


# ---------------------------------------------------------------------- killed

KILLED = """
import os, signal, sys
from dunes.paths import find_paths
from sakina.store.file import FileStore
from sakina.preparing import Wishes, make_login
from sakina.oauth.wait import Wait

FileStore.save = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

class Nobody:
    def show_code(self, code): pass
    def show_page(self, url, opened): pass
    def warn(self, text): print(text)

wishes = Wishes(provider=sys.argv[1], client_id="cli", flow=sys.argv[2], token_store="file")
make_login(find_paths(), wishes, Nobody(), wait=Wait(sleep_s=lambda s: None))
"""


@pytest.mark.parametrize("flow", ["device", "client-credentials"])
def test_a_kill_between_receiving_and_storing_is_told(issuer, paths, flow):
    """The kernel's own kill, at the very moment: the token is there, and not yet stored."""
    token = {"access_token": "at-hush", "token_type": "Bearer", "expires_in": 300}
    code = {
        "device_code": "d", "user_code": "U", "verification_uri": f"{issuer.url}/v",
        "expires_in": 60, "interval": 0,
    }  # fmt: skip
    issuer.answers |= {"/device": (200, code), "/token": (200, token)}
    env = {
        "DUNES_HOME": str(paths.config), "PATH": os.environ["PATH"],
        "DUNES_CLIENT_SECRET": "s" if flow == "client-credentials" else "",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", KILLED, issuer.url, flow],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert -signal.SIGKILL == done.returncode, done.stderr
    assert FileStore(paths, {}).load("default") is None
    (word,) = Journal(paths).look("default")
    assert ("login", issuer.url) == (word.kind, word.issuer)
    left = [p for p in paths.config.rglob("*") if p.is_file() and b"at-hush" in p.read_bytes()]
    assert [] == left, "nothing half-written"


def test_a_lock_is_dropped_with_its_process_and_word_can_be_torn(paths):
    journal = Journal(paths)
    with journal.hold("default", "refresh", 0.0) as held:
        held.ask("https://i.example")
        assert [] == journal.look("default"), "it goes on right now"
    assert "https://i.example" == journal.look("default")[0].issuer
    (paths.state / "sakina/default.refresh").write_bytes(b'{"at": "20')
    assert "an unknown time" == journal.look("default")[0].at
    journal.forget("default")
    assert [] == journal.look("default")
    assert ["default"] == journal.profiles()


def test_a_word_holds_no_secret(paths):
    journal = Journal(paths)
    with journal.hold("default", "login", 0.0) as held:
        held.ask("https://i.example")
    line = json.loads((paths.state / "sakina/default.login").read_bytes())
    assert {"at", "issuer"} == set(line)
