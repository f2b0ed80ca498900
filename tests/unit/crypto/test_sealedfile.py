"""Sealed files: streamed both ways, and nothing believed before the end."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.crypto import container, keyio, names, sealedfile
from dunes.crypto.errors import (
    BadContainer,
    BadSignature,
    KeyExists,
    NotARecipient,
    SuiteRefused,
    Tampered,
    Untrusted,
)
from dunes.crypto.segments import SEGMENT_BYTES, SEGMENT_PLAIN_BYTES
from dunes.crypto.signing import SIGNATURE_BYTES
from dunes.errors import DunesError


class Drip(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data, step):
        self.data, self.step = io.BytesIO(data), step

    def readinto(self, view):
        part = self.data.read(min(self.step, len(view)))
        view[: len(part)] = part
        return len(part)


def seal(content, sender, *recipients, source=None):
    sink = io.BytesIO()
    sealedfile.seal_stream(
        source or io.BytesIO(content),
        sink,
        sender=sender.signing,
        recipients=[to.recipient.public for to in recipients],
        dek=b"d" * 32,
        at_s=1_763_900_000,
    )
    return sink.getvalue()


def unseal(blob, party, *senders, source=None):
    sink = io.BytesIO()
    passed = sealedfile.open_stream(
        source or io.BytesIO(blob),
        sink,
        {party.kid: party.recipient},
        {sender.kid: sender.signing.public for sender in senders},
    )
    assert (len(sink.getvalue()), len(blob)) == (passed.plain_bytes, passed.sealed_bytes)
    return sink.getvalue()


SIZES = [
    0,
    1,
    16383,
    16384,
    16385,
    SEGMENT_PLAIN_BYTES - 1,
    SEGMENT_PLAIN_BYTES,
    SEGMENT_PLAIN_BYTES + 1,
    3 * SEGMENT_PLAIN_BYTES,
    3 * SEGMENT_PLAIN_BYTES + 4000,
]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_comes_back(gateway, station, size):
    content = os.urandom(size)
    blob = seal(content, gateway, station)
    assert content == unseal(blob, station, gateway)
    public = {gateway.kid: gateway.signing.public}
    assert len(blob) == sealedfile.verify_stream(io.BytesIO(blob), public).sealed_bytes


@pytest.mark.parametrize("step", [1, 3309, 65536, SEGMENT_BYTES])
def test_a_pipe_that_drips_gives_the_same(gateway, step):
    content = os.urandom(40_000 if step == 1 else SEGMENT_PLAIN_BYTES + 77)
    blob = seal(content, gateway, gateway, source=Drip(content, step))
    assert content == unseal(blob, gateway, gateway, source=Drip(blob, step))


def test_every_cut_is_refused(gateway):
    blob = seal(os.urandom(50_000), gateway, gateway)
    for size in [*range(0, len(blob), 501), len(blob) - 1]:
        with pytest.raises((BadContainer, BadSignature, Tampered)):
            unseal(blob[:size], gateway, gateway)


def test_a_cut_at_a_chunk_is_found_only_at_the_end_and_refused(gateway):
    """The trap of chunked encryption: all chunks before the cut are good."""
    content = os.urandom(5 * 16384)
    blob = seal(content, gateway, gateway)
    header = sealedfile.read_header(io.BytesIO(blob))
    end = len(header.start) + 56 + 3 * (16384 + 16)
    for cut in (blob[:end] + blob[-SIGNATURE_BYTES:], blob[:end]):
        with pytest.raises((BadSignature, Tampered)):
            unseal(cut, gateway, gateway)


def test_every_flipped_byte_is_refused(gateway):
    blob = seal(os.urandom(3000), gateway, gateway)
    for at in range(0, len(blob), 61):
        changed = bytearray(blob)
        changed[at] ^= 0x04
        with pytest.raises(DunesError):
            unseal(bytes(changed), gateway, gateway)


def test_exchanged_segments_are_refused(gateway):
    blob = seal(os.urandom(3 * SEGMENT_PLAIN_BYTES), gateway, gateway)
    at = len(sealedfile.read_header(io.BytesIO(blob)).start) + 56
    one, two = blob[at : at + SEGMENT_BYTES], blob[at + SEGMENT_BYTES : at + 2 * SEGMENT_BYTES]
    with pytest.raises(Tampered):
        unseal(blob[:at] + two + one + blob[at + 2 * SEGMENT_BYTES :], gateway, gateway)
    with pytest.raises(BadSignature):
        sealedfile.verify_stream(
            io.BytesIO(blob[:at] + two + one + blob[at + 2 * SEGMENT_BYTES :]),
            {gateway.kid: gateway.signing.public},
        )


def test_strangers_are_told_why(gateway, station, stranger):
    blob = seal(b"x", gateway, station)
    with pytest.raises(NotARecipient, match=station.kid):
        unseal(blob, stranger, gateway)
    with pytest.raises(Untrusted, match=gateway.kid):
        unseal(blob, station, stranger)


def test_another_trusted_sender_cannot_claim_a_file(gateway, station):
    blob = seal(b"content", gateway, gateway)
    header = sealedfile.read_header(io.BytesIO(blob))
    encoded = container.encode_header(json.loads(header.encoded) | {"sender": station.kid})
    stolen = container.prefix(sealedfile.MAGIC, encoded) + blob[len(header.start) :]
    with pytest.raises(Tampered, match="sender"):
        unseal(stolen, gateway, gateway, station)


def test_a_signature_of_a_batch_is_none_of_a_file(gateway):
    blob = seal(b"content", gateway, gateway)
    passed = sealedfile.verify_stream(io.BytesIO(blob), {gateway.kid: gateway.signing.public})
    other = gateway.signing.sign(bytes.fromhex(passed.digest), names.SIGN_BATCH)
    with pytest.raises(BadSignature):
        unseal(blob[:-SIGNATURE_BYTES] + other, gateway, gateway)


def test_other_versions_suites_and_kinds_are_refused_by_name(gateway):
    blob = seal(b"content", gateway, gateway)
    with pytest.raises(SuiteRefused, match="version 9"):
        unseal(blob[:9] + b"\x09" + blob[10:], gateway, gateway)
    with pytest.raises(SuiteRefused, match="only 2048-AES/1"):
        unseal(blob.replace(b"aes-256", b"aes-128"), gateway, gateway)
    with pytest.raises(BadContainer, match="not a 2048-AES sealed file"):
        unseal(b"DUNES2048" + blob[9:], gateway, gateway)


def test_nothing_takes_the_name_when_a_file_is_refused(tmp_path, gateway):
    blob = seal(os.urandom(2 * SEGMENT_PLAIN_BYTES), gateway, gateway)
    changed = blob[:-1] + bytes([blob[-1] ^ 1])

    def open_into(target):
        with keyio.creating(target) as sink:
            sealedfile.open_stream(
                io.BytesIO(changed),
                sink,
                {gateway.kid: gateway.recipient},
                {gateway.kid: gateway.signing.public},
            )

    with pytest.raises(BadSignature):
        open_into(tmp_path / "plain")
    assert [] == list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused_unless_replacing(tmp_path):
    target = tmp_path / "x"
    target.write_bytes(b"old")
    with pytest.raises(KeyExists), keyio.creating(target):
        pytest.fail("the block ran")
    with keyio.creating(target, replace=True) as sink:
        sink.write(b"new")
    assert [b"new"] == [path.read_bytes() for path in tmp_path.iterdir()]


FLAT = """
import io, sys
sys.path.insert(0, {tests!r})
from conftest import make_party
from dunes.crypto import sealedfile
class Zeros(io.RawIOBase):
    left = {size}
    def readinto(self, view):
        size = min(self.left, len(view)); self.left -= size; return size
party = make_party("g")
with open({path!r}, "wb", buffering=0) as sink:
    sealedfile.seal_stream(Zeros(), sink, sender=party.signing,
        recipients=[party.recipient.public], dek=b"d" * 32, at_s=1)
with open({path!r}, "rb", buffering=0) as source, open("/dev/null", "wb", buffering=0) as sink:
    passed = sealedfile.open_stream(source, sink, {{party.kid: party.recipient}},
        {{party.kid: party.signing.public}})
assert passed.plain_bytes == {size}
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""


def test_memory_stays_flat_whatever_the_size(tmp_path):
    peaks = []
    for size in (1 << 20, 96 << 20):
        code = FLAT.format(
            tests=str(Path(__file__).parent), size=size, path=str(tmp_path / "sealed")
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout) // 1024)
    assert peaks[1] < 100
    assert peaks[1] - peaks[0] < 25


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=5000), known=st.booleans())
def test_any_bytes_are_refused_as_our_error(gateway, data, known):
    head = b"DUNESFILE\x01\x00\x00" if known else b""
    with contextlib.suppress(BadContainer, SuiteRefused, Untrusted):
        unseal(head + data, gateway, gateway)
        pytest.fail("random bytes were accepted as a sealed file")


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 4999), add=st.binary(min_size=1, max_size=40), drop=st.integers(0, 40))
def test_any_edit_of_a_good_file_is_refused_as_our_error(gateway, at, add, drop):
    blob = seal(b"the same content" * 100, gateway, gateway)
    at %= len(blob)
    changed = blob[:at] + add + blob[at + drop :]
    if changed != blob:
        with pytest.raises(DunesError) as caught:
            unseal(changed, gateway, gateway)
        assert "bug" != caught.value.code
