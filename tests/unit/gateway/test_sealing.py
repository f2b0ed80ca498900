"""Keys at rest: opened by this gateway, in their own row, and by nobody else anywhere else."""

import pickle

import pytest
import states
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from dunes.crypto.errors import NotARecipient, Tampered
from dunes.errors import LocalError
from dunes.gateway.sealing import FieldSealer, field_name
from dunes.gateway.store import MeshStore
from dunes.settings import load

SECRET, MESH = b"s" * 32, b"m" * 16
SALTS = st.binary(min_size=16, max_size=16)


@given(st.binary(max_size=40), SALTS)
def test_what_was_sealed_opens(field, salt):
    sealer = FieldSealer(SECRET)
    name = field_name(MESH, "device", 5, b"u" * 16)
    sealed = sealer.seal(field, name, salt)
    assert len(field) + 32 == len(sealed)
    assert field == sealer.open(sealed, name)


NAMES = [
    field_name(MESH, "net", 0),
    field_name(MESH, "net", 1),
    field_name(MESH, "net-new", 0),
    field_name(MESH, "app", 0),
    field_name(b"o" * 16, "net", 0),
    field_name(MESH, "device", 5, b"u" * 16),
    field_name(MESH, "device", 5, b"v" * 16),
    field_name(MESH, "device", 6, b"u" * 16),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_field_opens_in_its_own_row_only(name):
    sealer = FieldSealer(SECRET)
    sealed = sealer.seal(b"k" * 16, name, b"0" * 16)
    for other in NAMES:
        if other != name:
            with pytest.raises(Tampered):
                sealer.open(sealed, other)
    with pytest.raises(Tampered):
        FieldSealer(b"t" * 32).open(sealed, name)


@given(st.integers(0, 47), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at, change):
    sealer = FieldSealer(SECRET)
    sealed = bytearray(sealer.seal(b"k" * 16, NAMES[0], b"0" * 16))
    sealed[at] ^= change
    with pytest.raises(Tampered):
        sealer.open(bytes(sealed), NAMES[0])


@pytest.mark.parametrize("size", [0, 15, 16, 31])
def test_a_cut_field_is_said(size):
    with pytest.raises(Tampered, match="cut short"):
        FieldSealer(SECRET).open(bytes(size), NAMES[0])


def test_the_secret_opens_by_any_key_it_was_wrapped_to_and_in_its_mesh_only():
    first, second, third = (states.identity(n) for n in (1, 2, 3))
    sealer = FieldSealer(SECRET)
    wraps = {each.kid: sealer.wrap(MESH, each.recipient.public) for each in (first, second)}
    sealed = sealer.seal(b"k" * 16, NAMES[0], b"0" * 16)
    for each in (first, second):
        opened = FieldSealer.unwrap(MESH, wraps, each.opening_keys)
        assert b"k" * 16 == opened.open(sealed, NAMES[0])
        with pytest.raises(Tampered):
            FieldSealer.unwrap(b"o" * 16, wraps, each.opening_keys)
    with pytest.raises(NotARecipient, match=first.kid):
        FieldSealer.unwrap(MESH, wraps, third.opening_keys)


def test_nothing_secret_is_shown_or_pickled():
    sealer = FieldSealer(b"SECRET-SECRET-SECRET-SECRET-1234")
    assert "SECRET-" not in repr(sealer) + str(sealer)
    with pytest.raises(LocalError):
        pickle.dumps(sealer)
    with pytest.raises(LocalError):
        FieldSealer(b"short")
    with pytest.raises(LocalError):
        sealer.seal(b"k", NAMES[0], b"short")


def test_keys_that_change_places_in_the_database_are_noticed(tmp_path):
    home = load({"DUNES_HOME": str(tmp_path)}, folder=tmp_path)
    with MeshStore.create(home, states.MESH_ID, states.state(), identity=states.identity()) as s:
        with s.buffer.writing() as connection:
            rows = dict(
                connection.execute(
                    text("SELECT unicast, sealed_device_key FROM mesh_node")
                ).fetchall()
            )
            for unicast, other in ((2, 5), (5, 2)):
                connection.execute(
                    text("UPDATE mesh_node SET sealed_device_key=:key WHERE unicast=:u"),
                    {"key": rows[other], "u": unicast},
                )
        with pytest.raises(Tampered, match="another row"):
            s.load()
