"""Named secrets: stored 0600, never shown."""

import copy
import io
import json
import pickle
import stat
import traceback

import msgspec
import pytest

from dunes.errors import DataError, Denied, NotFound, UsageError
from dunes.paths import find_paths
from dunes.secrets import Secret, given_secret, load_secret, parse_secret, store_secret

TEXT = "lunar-mission-uuid"


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path)})


def test_a_secret_is_shown_nowhere():
    secret = Secret(TEXT)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", f"{[secret]}"]
    assert not any(TEXT in text for text in shown)
    assert secret.reveal() == TEXT


@pytest.mark.parametrize("dump", [pickle.dumps, copy.copy, json.dumps, msgspec.json.encode])
def test_a_secret_is_not_serialised(dump):
    with pytest.raises(TypeError):
        dump(Secret(TEXT))


def test_secrets_are_compared_by_their_text():
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT


def test_what_is_stored_is_found_again_and_private(paths):
    path = store_secret(paths, "api-key", Secret(TEXT))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_secret(paths, "api-key") == Secret(TEXT)


def test_a_second_one_takes_the_place_of_the_first(paths):
    store_secret(paths, "api-key", Secret("old"))
    path = store_secret(paths, "api-key", Secret("new"))
    assert load_secret(paths, "api-key") == Secret("new")
    assert [path] == list(path.parent.iterdir())


def test_a_secret_that_is_not_there_is_not_found(paths):
    with pytest.raises(NotFound):
        load_secret(paths, "api-key")


def test_a_secret_that_others_can_read_is_refused(paths):
    store_secret(paths, "api-key", Secret(TEXT)).chmod(0o644)
    with pytest.raises(Denied) as caught:
        load_secret(paths, "api-key")
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("name", ["", "../x", "A b", "/etc/passwd"])
def test_a_name_cannot_leave_the_directory(paths, name):
    with pytest.raises(DataError):
        store_secret(paths, name, Secret(TEXT))


@pytest.mark.parametrize(
    "raw", [b"", b" \n", b"two\nlines", b"\x00", b"\xff\xfe", b"x" * 4097, b"esc\x1b[0m"]
)
def test_what_cannot_be_a_secret_is_refused_without_being_quoted(raw):
    with pytest.raises(DataError) as caught:
        parse_secret(raw, "--api-key")
    text = "".join(traceback.format_exception(caught.value))
    assert "esc" not in text.replace("describe", "")
    assert "xxx" not in text


def test_an_option_on_the_command_line_is_taken_with_a_warning():
    given = given_secret("api-key", value=TEXT, environ={})
    assert (given.secret, given.origin) == (Secret(TEXT), "--api-key")
    assert "ps" in given.warning
    assert TEXT not in repr(given)


def test_a_dash_reads_stdin(monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(b"lunar-mission-uuid\n"))
    monkeypatch.setattr("sys.stdin", stdin)
    given = given_secret("api-key", value="-", environ={})
    assert (given.secret, given.warning) == (Secret(TEXT), "")


def test_a_file_is_read(tmp_path):
    path = tmp_path / "key"
    path.write_text(TEXT + "\n")
    path.chmod(0o600)
    given = given_secret("api-key", file=path, environ={})
    assert (given.secret, given.warning) == (Secret(TEXT), "")
    path.chmod(0o644)
    assert "chmod 600" in given_secret("api-key", file=path, environ={}).warning


def test_the_order_is_option_environment_credential(tmp_path):
    (tmp_path / "api-key").write_text("from-credential")
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert given_secret("api-key", environ=env).secret == Secret("from-credential")
    env["DUNES_API_KEY"] = "from-environment"
    assert given_secret("api-key", environ=env).secret == Secret("from-environment")
    assert given_secret("api-key", value=TEXT, environ=env).secret == Secret(TEXT)
    assert given_secret("api-key", environ={}) is None


def test_two_ways_at_once_are_refused(tmp_path):
    with pytest.raises(UsageError):
        given_secret("api-key", value=TEXT, file=tmp_path / "key", environ={})


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        given_secret("api-key", file=tmp_path / "key", environ={})
