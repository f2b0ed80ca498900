"""Batches: the golden samples, and each kind of wrong with its own reason."""

import base64
import contextlib
import hashlib
import json
import struct
import zlib
from pathlib import Path

import pytest
from cryptography.cobblestone import Cobblestone256Encryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.crypto import batch, container, merkle, names
from dunes.crypto.errors import (
    BadContainer,
    BadSignature,
    ChainBroken,
    NotARecipient,
    Replayed,
    SuiteRefused,
    Tampered,
    Untrusted,
)
from dunes.crypto.signing import SIGNATURE_BYTES, SigningKey
from dunes.crypto.xwing import RecipientKey
from dunes.errors import DunesError, LocalError

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "vectors" / "crypto" / "batch_golden.json").read_text()
)["tests"]
MESSAGES = [b'{"co2":801.5}', b"", b"\x00\xff" * 100]


def seal(sender, *recipients, **changes):
    given = {
        "messages": MESSAGES,
        "sender": sender.signing,
        "recipients": [to.recipient.public for to in recipients],
        "stream": "lunar-data",
        "seq": 0,
        "prev": batch.FIRST_PREV,
        "dek": b"d" * 32,
        "at_s": 1_763_900_000,
    } | changes
    return batch.seal_batch(given.pop("messages"), **given)


def keys(*parties):
    return {party.kid: party.recipient for party in parties}


def senders(*parties):
    return {party.kid: party.signing.public for party in parties}


def reseal(blob, signer, *, header=None, body=None, messages_body=None, dek=b"d" * 32):
    """Make a blob whose seal and signature are right and whose content is as given."""
    old = batch.read_batch(blob).encoded
    encoded = old if header is None else container.encode_header(json.loads(old) | header)
    ciphertext = blob[14 + len(old) + SIGNATURE_BYTES :] if body is None else body
    if messages_body is not None:
        context = names.LABEL_BODY + b"\x00" + hashlib.sha512(encoded).digest()
        sealer = Cobblestone256Encryptor(dek, context)
        ciphertext = sealer.update(messages_body) + sealer.finalize()
    start = container.prefix(batch.MAGIC, encoded)
    digest = hashlib.sha512(start + ciphertext).digest()
    return start + signer.signing.sign(digest, names.SIGN_BATCH) + ciphertext


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["stream"])
def test_the_golden_samples_open(case):
    blob = base64.b64decode(case["blob"])
    assert case["blob_sha256"] == hashlib.sha256(blob).hexdigest()
    key = RecipientKey.from_seeds(
        case["recipient_kid"],
        bytes.fromhex(case["recipient_mlkem768_seed"]),
        bytes.fromhex(case["recipient_x25519"]),
    )
    sender = SigningKey.from_seed(bytes.fromhex(case["sender_mldsa65_seed"])).public
    assert case["sender_pub_sha256"] == hashlib.sha256(sender.raw).hexdigest()
    opened = batch.open_batch(blob, {key.kid: key}, {case["sender_kid"]: sender})
    assert [text.encode() for text in case["messages"]] == list(opened.messages)
    assert case["merkle_root"] == opened.root.hex()
    found = opened.header
    assert (case["stream"], case["seq"], case["prev"]) == (found.stream, found.seq, found.prev)


@pytest.mark.parametrize("compress", [True, False])
def test_each_recipient_opens_a_batch(gateway, station, compress):
    blob = seal(gateway, gateway, station, compress=compress)
    for party in (gateway, station):
        opened = batch.open_batch(blob, keys(party), senders(gateway))
        assert MESSAGES == list(opened.messages)
        assert merkle.root(MESSAGES) == opened.root


def test_a_relay_verifies_without_any_private_key(gateway, station):
    blob = seal(gateway, station)
    header = batch.verify_batch(blob, senders(gateway))
    assert (gateway.kid, hashlib.sha256(blob).hexdigest()) == (header.sender, header.digest)


def test_an_empty_batch_opens(gateway):
    assert (
        ()
        == batch.open_batch(
            seal(gateway, gateway, messages=[]), keys(gateway), senders(gateway)
        ).messages
    )


def test_a_stranger_is_not_trusted_and_not_a_recipient(gateway, station, stranger):
    blob = seal(gateway, station)
    with pytest.raises(Untrusted, match=gateway.kid):
        batch.open_batch(blob, keys(station), senders(stranger))
    with pytest.raises(NotARecipient, match=station.kid):
        batch.open_batch(blob, keys(stranger), senders(gateway))


def test_every_flipped_byte_is_refused(gateway):
    blob = seal(gateway, gateway)
    for at in range(0, len(blob), 53):
        changed = bytearray(blob)
        changed[at] ^= 0x10
        with pytest.raises(DunesError):
            batch.open_batch(bytes(changed), keys(gateway), senders(gateway))


def test_every_cut_and_every_addition_is_refused(gateway):
    blob = seal(gateway, gateway)
    for size in range(0, len(blob), 97):
        with pytest.raises((BadContainer, BadSignature)):
            batch.open_batch(blob[:size], keys(gateway), senders(gateway))
    with pytest.raises(BadSignature):
        batch.open_batch(blob + b"\x00", keys(gateway), senders(gateway))


def test_another_trusted_sender_cannot_claim_a_batch(gateway, station):
    stolen = reseal(seal(gateway, gateway), station, header={"sender": station.kid})
    with pytest.raises(Tampered):
        batch.open_batch(stolen, keys(gateway), senders(gateway, station))
    with pytest.raises(BadSignature):
        batch.open_batch(reseal(seal(gateway, gateway), station), keys(gateway), senders(gateway))


@pytest.mark.parametrize("change", [{"seq": 1}, {"stream": "other"}, {"t": 1}, {"prev": "1" * 64}])
def test_a_body_moved_under_another_header_does_not_open(gateway, change):
    moved = reseal(seal(gateway, gateway), gateway, header=change)
    with pytest.raises(Tampered):
        batch.open_batch(moved, keys(gateway), senders(gateway))


def test_a_swapped_recipient_does_not_open(gateway, station):
    blob = seal(gateway, gateway, station)
    wraps = json.loads(batch.read_batch(blob).encoded)["rcpt"]
    wraps[0]["kid"], wraps[1]["kid"] = wraps[1]["kid"], wraps[0]["kid"]
    with pytest.raises(Tampered, match="another key"):
        batch.open_batch(
            reseal(blob, gateway, header={"rcpt": wraps}), keys(gateway), senders(gateway)
        )


@pytest.mark.parametrize(
    "suite",
    [
        "2048-AES/0:none",
        "2048-AES/1:xwing+hkdf-sha256+aes-128-gcm+cobblestone-128+ml-dsa-44",
        "",
        None,
        1,
        ["x"],
    ],
)
def test_a_downgrade_is_refused_by_name_before_anything_else(gateway, suite):
    blob = seal(gateway, gateway)
    encoded = container.encode_header(
        json.loads(batch.read_batch(blob).encoded) | {"suite": suite}
    )
    changed = container.prefix(batch.MAGIC, encoded) + bytes(SIGNATURE_BYTES + 72)
    with pytest.raises(SuiteRefused, match="only 2048-AES/1"):
        batch.open_batch(changed, keys(gateway), senders(gateway))


def test_another_version_and_another_file_are_told_apart(gateway):
    blob = seal(gateway, gateway)
    with pytest.raises(SuiteRefused, match="version 2"):
        batch.read_batch(blob[:9] + b"\x02" + blob[10:])
    with pytest.raises(BadContainer, match="this is not a 2048-AES batch"):
        batch.read_batch(b"PK\x03\x04" + blob)


@pytest.mark.parametrize(
    "change",
    [
        {"seq": True},
        {"seq": -1},
        {"seq": 1.0},
        {"seq": "0"},
        {"stream": "a\x00b"},
        {"stream": ""},
        {"stream": "x" * 65},
        {"prev": "0" * 63},
        {"prev": "G" * 64},
        {"zip": "gzip"},
        {"t": None},
        {"sender": "x"},
        {"rcpt": []},
        {"rcpt": [{}]},
        {"rcpt": {}},
        {"more": 1},
    ],
    ids=str,
)
def test_an_impossible_header_is_refused_though_well_signed(gateway, change):
    blob = seal(gateway, gateway)
    with pytest.raises(BadContainer):
        batch.open_batch(reseal(blob, gateway, header=change), keys(gateway), senders(gateway))


def test_a_header_in_any_other_spelling_is_refused(gateway):
    encoded = batch.read_batch(seal(gateway, gateway)).encoded
    for changed in (
        encoded.replace(b'"seq":0', b'"seq": 0'),
        encoded.replace(b'"seq":0', b'"seq":0,"seq":0'),
        encoded.replace(b'"seq":0', b'"seq":0.0e0'),
        encoded.replace(b'"seq":0', b'"seq":NaN'),
        encoded.replace(b"lunar", b"\\u006cunar"),
        b"[" * 60000,
        b"{}",
        b"[]",
        b"\xff",
        b'"' + b"9" * 5000 + b'"',
        b"9" * 5000,
    ):
        blob = container.prefix(batch.MAGIC, changed) + bytes(SIGNATURE_BYTES + 72)
        with pytest.raises((BadContainer, SuiteRefused)):
            batch.read_batch(blob)


def test_a_header_longer_than_the_limit_is_not_read():
    blob = batch.MAGIC + b"\x01" + struct.pack(">I", 65537) + bytes(70000)
    with pytest.raises(BadContainer, match="header of 65537 bytes"):
        batch.read_batch(blob)


def test_a_bomb_is_refused_within_the_limit(gateway):
    bomb = zlib.compress(bytes(batch.BODY_MAX_BYTES + 1), 9)
    blob = reseal(seal(gateway, gateway), gateway, messages_body=bomb)
    with pytest.raises(BadContainer, match="64 MiB"):
        batch.open_batch(blob, keys(gateway), senders(gateway))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}\n",
        b'{"n":1,"root":"x"}\n',
        b'{"n":1}\n',
        b"[]\n",
        b'{"n":true,"root":"' + base64.b64encode(bytes(32)) + b'"}\n',
        b'{"n":-1,"root":"' + base64.b64encode(bytes(32)) + b'"}\n',
        b'{"n":9,"root":"' + base64.b64encode(bytes(32)) + b'"}\n',
        b'{"n":1,"root":"' + base64.b64encode(bytes(32)) + b'"}\n\xff\xff\xff\xff',
        b'{"n":0,"root":"' + base64.b64encode(bytes(32)) + b'"}\nmore',
        b"no newline" * 100,
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_an_impossible_body_is_refused_though_well_signed(gateway, body, packed):
    blob = seal(gateway, gateway, compress=packed)
    changed = reseal(blob, gateway, messages_body=zlib.compress(body) if packed else body)
    with pytest.raises(BadContainer):
        batch.open_batch(changed, keys(gateway), senders(gateway))


def test_trailing_bytes_in_the_zlib_stream_are_refused(gateway):
    good = zlib.compress(b'{"n":0,"root":"' + base64.b64encode(merkle.EMPTY_ROOT) + b'"}\n')
    for packed in (good + b"x", good[:-1], b"\x00"):
        blob = reseal(seal(gateway, gateway), gateway, messages_body=packed)
        with pytest.raises(BadContainer):
            batch.open_batch(blob, keys(gateway), senders(gateway))


def test_messages_of_another_root_are_refused(gateway):
    body = b'{"n":1,"root":"' + base64.b64encode(bytes(32)) + b'"}\n\x00\x00\x00\x01x'
    blob = reseal(seal(gateway, gateway, compress=False), gateway, messages_body=body)
    with pytest.raises(Tampered, match="Merkle root"):
        batch.open_batch(blob, keys(gateway), senders(gateway))


def test_forty_recipients_fit_and_one_more_is_our_mistake(gateway):
    many = [RecipientKey.from_xwing_seed(f"{i:032x}", bytes([i]) * 32).public for i in range(41)]
    blob = seal(gateway, recipients=many[:40])
    assert 40 == len(batch.read_batch(blob).wraps)
    with pytest.raises(LocalError):
        seal(gateway, recipients=many)
    with pytest.raises(LocalError):
        seal(gateway, recipients=[many[0], many[0]])


def test_a_stream_is_accepted_once_each_and_in_order(gateway, station):
    guard, prev, headers = batch.StreamGuard(), batch.FIRST_PREV, []
    for seq in range(3):
        blob = seal(gateway, gateway, seq=seq, prev=prev)
        headers.append(batch.verify_batch(blob, senders(gateway)))
        prev = headers[-1].digest
    with pytest.raises(ChainBroken, match="0 is missing"):
        guard.accept(headers[1])
    guard.accept(headers[0])
    with pytest.raises(Replayed):
        guard.accept(headers[0])
    with pytest.raises(ChainBroken, match="1 is missing"):
        guard.accept(headers[2])
    guard.accept(headers[1])
    guard.accept(headers[2])
    with pytest.raises(Replayed):
        guard.accept(headers[1])
    other = batch.verify_batch(seal(gateway, gateway, seq=3), senders(gateway))
    with pytest.raises(ChainBroken, match="does not follow"):
        guard.accept(other)
    guard.accept(batch.verify_batch(seal(station, gateway), senders(station)))


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=5000), known=st.booleans())
def test_any_bytes_are_refused_as_our_error(gateway, data, known):
    head = b"DUNES2048\x01\x00\x00" if known else b""
    with contextlib.suppress(BadContainer, SuiteRefused, Untrusted, BadSignature):
        batch.open_batch(head + data, keys(gateway), senders(gateway))
        pytest.fail("random bytes were accepted as a batch")


@settings(max_examples=150, deadline=None)
@given(messages=st.lists(st.binary(max_size=300), max_size=20), compress=st.booleans())
def test_what_is_sealed_comes_back(gateway, messages, compress):
    blob = seal(gateway, gateway, messages=messages, compress=compress)
    assert messages == list(batch.open_batch(blob, keys(gateway), senders(gateway)).messages)


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=400), packed=st.booleans())
def test_any_body_under_a_good_seal_is_messages_or_our_error(gateway, body, packed):
    blob = seal(gateway, gateway, compress=packed)
    with contextlib.suppress(BadContainer, Tampered):
        batch.open_batch(
            reseal(blob, gateway, messages_body=zlib.compress(body) if packed else body),
            keys(gateway),
            senders(gateway),
        )
