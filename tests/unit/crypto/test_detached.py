"""Signatures beside a file, and where secrets come from when nobody types."""

import contextlib
import io
import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.crypto import detached, machine, passphrase
from dunes.crypto.errors import (
    BadContainer,
    BadKeyFile,
    BadSignature,
    KeyRefused,
    NoIdentity,
    SuiteRefused,
    Untrusted,
    WrongPassphrase,
)
from dunes.errors import NotFound, UsageError


def sign(content, party):
    return detached.sign_stream(io.BytesIO(content), party.signing)


def verify(content, signature, *parties):
    senders = {party.kid: party.signing.public for party in parties}
    found = detached.read_signature(signature)
    return detached.verify_stream(io.BytesIO(content), found, senders)


def test_a_signature_says_who_signed(gateway, station):
    assert gateway.kid == verify(b"x" * 3_000_000, sign(b"x" * 3_000_000, gateway), gateway).kid
    with pytest.raises(Untrusted, match=gateway.kid):
        verify(b"x", sign(b"x", gateway), station)


def test_a_changed_file_or_an_exchanged_signer_is_refused(gateway, station):
    with pytest.raises(BadSignature):
        verify(b"y", sign(b"x", gateway), gateway)
    body = json.loads(sign(b"x", gateway)) | {"kid": station.kid}
    with pytest.raises(BadSignature):
        verify(b"x", json.dumps(body).encode(), gateway, station)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"schema": "dunes.signature/2"}, SuiteRefused),
        ({"context": "dunes/2048-aes/v1/file"}, SuiteRefused),
        ({"alg": "ML-DSA-87"}, BadContainer),
        ({"alg": "rsa"}, BadContainer),
        ({"kid": "x"}, BadContainer),
        ({"signature": "!"}, BadContainer),
        ({"signature": ""}, BadContainer),
        ({"more": 1}, BadContainer),
    ],
)
def test_another_kind_of_signature_is_refused(gateway, change, error):
    body = json.loads(sign(b"x", gateway)) | change
    with pytest.raises(error):
        detached.read_signature(json.dumps(body).encode())


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=300), st.just(b"[" * 10_000), st.just(b"null")))
def test_any_bytes_as_a_signature_are_refused_as_our_error(data):
    with contextlib.suppress(BadContainer, SuiteRefused):
        detached.read_signature(data)
        pytest.fail("random bytes were accepted as a signature")


def test_a_passphrase_is_the_first_line(tmp_path):
    path = tmp_path / "pw"
    for content, wanted in ((b"abc", b"abc"), (b"abc\r\nmore", b"abc"), (b" a b \n", b" a b ")):
        path.write_bytes(content)
        path.chmod(0o600)
        assert wanted == passphrase.from_file(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\nx", b"x" * 1025])
def test_an_empty_or_endless_passphrase_is_refused(content):
    with pytest.raises(WrongPassphrase):
        passphrase.clean(content)


def test_places_of_a_passphrase_are_asked_in_order(tmp_path):
    path = tmp_path / "pw"
    path.write_bytes(b"of-file\n")
    path.chmod(0o600)
    (tmp_path / "dunes-passphrase").write_bytes(b"of-credential\n")
    env = {
        "DUNES_PASSPHRASE_FILE": str(path),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "DUNES_PASSPHRASE": "of-env",
    }
    assert b"of-file" == passphrase.from_environment(env)
    del env["DUNES_PASSPHRASE_FILE"]
    assert b"of-credential" == passphrase.from_environment(env)
    del env["CREDENTIALS_DIRECTORY"]
    assert b"of-env" == passphrase.from_environment(env)
    assert passphrase.from_environment({}) is None


def test_a_passphrase_file_or_descriptor_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound):
        passphrase.from_file(tmp_path / "none")
    with pytest.raises(UsageError, match="descriptor 987"):
        passphrase.from_descriptor(987)


def test_a_machine_s_secret_needs_both_its_halves(tmp_path):
    ids = [tmp_path / name for name in ("a", "b", "none")]
    ids[0].write_text("0" * 31 + "1\n")
    ids[1].write_text("0" * 31 + "2\n")
    made = machine.machine_secret(tmp_path / "k", create=True, id_path=ids[0])
    assert made == machine.machine_secret(tmp_path / "k", create=True, id_path=ids[0])
    others = {machine.machine_secret(tmp_path / "k", id_path=other) for other in ids}
    others.add(machine.machine_secret(tmp_path / "k2", create=True, id_path=ids[0]))
    assert 4 == len(others)


def test_a_machine_s_key_is_refused_when_it_is_absent_damaged_or_open(tmp_path):
    with pytest.raises(NoIdentity):
        machine.machine_secret(tmp_path)
    path = tmp_path / "machine.key"
    for content in ("", "zz" * 32, "00" * 31):
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(BadKeyFile):
            machine.machine_secret(tmp_path)
    path.write_text(os.urandom(32).hex())
    path.chmod(0o644)
    with pytest.raises(KeyRefused):
        machine.machine_secret(tmp_path)


@pytest.mark.parametrize("content", ["", "uninitialized\n", "x" * 32, "0" * 33])
def test_a_machine_without_an_id_has_an_empty_one(tmp_path, content):
    path = tmp_path / "id"
    path.write_text(content)
    assert "" == machine.machine_id(path)
