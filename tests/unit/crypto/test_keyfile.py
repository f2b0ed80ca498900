"""Key documents: what is read, what is refused, and why."""

import base64
import contextlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunes.crypto import identity, keyio, names, pkcs8
from dunes.crypto.errors import (
    BadKeyFile,
    BadSignature,
    KeyExists,
    KeyRefused,
    WrongPassphrase,
)
from dunes.crypto.keyfile import KeyPair, read_key_document, split_signatures
from dunes.crypto.keywriter import Description, sign_document, write_key_document
from dunes.crypto.pkcs8 import Cost, Lock
from dunes.crypto.signing import SigningKey
from dunes.errors import DunesError, NotFound, UsageError
from dunes.maml import parse, validate

CHEAP = Cost(1 << 4)
ABOUT = Description("gateway", "dilithium3", 1_763_900_000_000_000, {"os": 512})
MAML = Path(__file__).parents[2] / "vectors" / "maml"


@pytest.fixture(scope="module")
def pair():
    signing = SigningKey.from_seed(b"k" * 32)
    from dunes.crypto.xwing import RecipientKey

    return KeyPair("gateway-01", signing, RecipientKey.from_xwing_seed(signing.kid, b"k" * 32))


@pytest.fixture(scope="module")
def public(pair):
    return write_key_document(pair, ABOUT, bytes(64))


@pytest.fixture(scope="module")
def private(pair):
    lock = Lock(b"passphrase", b"s" * 16, CHEAP)
    return write_key_document(pair, ABOUT, bytes(range(64)), lock=lock, lock_kind="passphrase")


def resign(document, pair, *edits):
    """Edit the signed part and sign again, as the owner of the key could."""
    signed, _ = split_signatures(document)
    for old, new in edits:
        assert old in signed
        signed = signed.replace(old, new, 1)
    return sign_document(signed, [pair.signing])


def test_a_public_document_says_who_and_for_what(public, pair):
    found = read_key_document(public)
    assert (pair.kid, "gateway-01", "gateway", "active", False) == (
        found.kid,
        found.name,
        found.role,
        found.status,
        found.private,
    )
    assert pair.recipient.public == found.recipient
    assert pair.signing.public == found.verify_key
    assert ("dilithium3", {"os": 512}) == (found.requested, found.entropy)
    assert found.self_signed


def test_our_documents_are_valid_without_a_warning(public, private):
    for document in (public, private):
        assert [] == list(validate(parse(document), strict=True))


def test_a_private_document_opens_with_its_passphrase_only(private, pair):
    found = read_key_document(private)
    opened = found.unlock(b"passphrase")
    assert (pair.kid, pair.signing.seed_bytes(), pair.recipient.seed_bytes()) == (
        opened.kid,
        opened.signing.seed_bytes(),
        opened.recipient.seed_bytes(),
    )
    for wrong in (b"Passphrase", b"", b"passphrase\n"):
        with pytest.raises(WrongPassphrase):
            found.unlock(wrong)


def test_no_secret_stands_in_a_private_document(private, pair):
    seeds = (pair.signing.seed_bytes(), *pair.recipient.seed_bytes())
    blocks = re.findall(rb"-----BEGIN [A-Z ]+-----\n([^-]+)-----END", private)
    plain = private + b"".join(base64.b64decode(block) for block in blocks)
    for seed in seeds:
        for spelling in (seed, seed.hex().encode(), base64.b64encode(seed)[:20]):
            assert spelling not in plain


def test_the_library_opens_our_encrypted_keys_by_itself(private):
    """A stranger needs only `cryptography` (and OpenSSL where N is at most 2^14)."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    blocks = re.findall(rb"-----BEGIN ENCRYPTED.*?-----END [A-Z ]+-----\n", private, re.DOTALL)
    loaded = [type(load_pem_private_key(block, b"passphrase")).__name__ for block in blocks]
    assert ["MLDSA65PrivateKey", "MLKEM768PrivateKey", "X25519PrivateKey"] == loaded


@pytest.mark.parametrize("edit", ["gateway-01", "active", "agent://*", "MIIH", "PUBLIC", "Intent"])
def test_an_edited_document_is_refused(public, edit):
    changed = public.replace(edit.encode(), edit.swapcase().encode(), 1)
    with pytest.raises((BadSignature, BadKeyFile)):
        read_key_document(changed)


def test_swapped_recipient_keys_are_refused(public, stranger):
    theirs = write_key_document(
        KeyPair("x", stranger.signing, stranger.recipient), ABOUT, bytes(64)
    )
    block = re.compile(rb"```pem\n-----BEGIN PUBLIC KEY-----\nMIIEsj.*?```\n", re.DOTALL)
    swapped = block.sub(lambda _: block.search(theirs)[0], public)
    assert swapped != public
    with pytest.raises(BadSignature):
        read_key_document(swapped)


def test_a_document_signed_again_by_a_stranger_is_refused(public, stranger):
    signed, _ = split_signatures(public)
    with pytest.raises(BadKeyFile, match="first signature"):
        read_key_document(sign_document(signed, [stranger.signing]))


def test_bytes_after_the_signature_are_refused(public):
    for more in (b"\n", b"## History\n", b"x"):
        with pytest.raises(BadKeyFile, match="signature section is damaged"):
            read_key_document(public + more)


def test_converted_line_ends_are_named_as_the_likely_cause(public):
    with pytest.raises((BadKeyFile, BadSignature)):
        read_key_document(public.replace(b"\n", b"\r\n"))


def test_a_signature_of_another_kind_is_none_of_a_key(public, pair):
    signed, _ = split_signatures(public)
    other = base64.b64encode(pair.signing.sign(signed, names.SIGN_DETACHED)).decode()
    changed = signed + f"## Signature\n```signature\n{pair.kid} {other}\n```\n".encode()
    with pytest.raises(BadSignature):
        read_key_document(changed)


def test_a_wrong_kid_or_algorithm_is_refused_though_well_signed(public, pair):
    with pytest.raises(BadKeyFile, match="kid"):
        read_key_document(resign(public, pair, (pair.kid.encode(), b"0" * 32)))
    with pytest.raises(BadKeyFile, match="alg"):
        read_key_document(resign(public, pair, (b"ML-DSA-65\n", b"ML-DSA-44\n")))


def test_a_private_key_in_clear_is_refused(private, pair):
    clear = pkcs8.pem(pair.signing.pkcs8_der(), "PRIVATE KEY").encode()
    block = re.search(rb"-----BEGIN ENCRYPTED.*?-----END [A-Z ]+-----\n", private, re.DOTALL)[0]
    with pytest.raises(KeyRefused, match="in clear"):
        read_key_document(resign(private, pair, (block, clear)))


def test_private_keys_of_another_are_refused(private, pair, stranger):
    """CBC has no tag: the comparison with the public key is what finds this."""
    lock = Lock(b"passphrase", b"s" * 16, CHEAP)
    theirs = pkcs8.pem(lock.lock(stranger.signing.pkcs8_der(), b"i" * 16)).encode()
    ours = re.search(rb"-----BEGIN ENCRYPTED.*?-----END [A-Z ]+-----\n", private, re.DOTALL)[0]
    document = read_key_document(resign(private, pair, (ours, theirs)))
    with pytest.raises(BadKeyFile, match="do not belong"):
        document.unlock(b"passphrase")


def test_private_keys_in_another_order_are_refused(private, pair):
    blocks = re.findall(rb"-----BEGIN ENCRYPTED.*?-----END [A-Z ]+-----\n", private, re.DOTALL)
    swapped = resign(private, pair, (blocks[0], b"@@"), (blocks[1], blocks[0]), (b"@@", blocks[1]))
    with pytest.raises(BadKeyFile):
        read_key_document(swapped).unlock(b"passphrase")


@pytest.mark.parametrize(
    ("cost", "wanted"),
    [
        (Cost(1 << 21), "N=2097152"),
        (Cost(1 << 24), "limits"),
        (Cost(1 << 10, r=17), "r=17"),
        (Cost(1 << 10, p=5), "p=5"),
        (Cost(1 << 20, r=16), "1 GiB"),
        (Cost(1 << 60), "limits"),
    ],
)
def test_a_key_that_asks_for_hours_or_gigabytes_is_refused_at_once(cost, wanted):
    lock = Lock(b"p", b"s" * 16, CHEAP)
    lock.cost = cost
    with pytest.raises(KeyRefused, match=wanted):
        pkcs8.unlock([lock.lock(b"der", bytes(16))], b"p")


@pytest.mark.parametrize("cost", [Cost(0), Cost(1), Cost(3), Cost(1 << 10, r=0), Cost(16, p=0)])
def test_impossible_scrypt_parameters_are_refused(cost):
    lock = Lock(b"p", b"s" * 16, CHEAP)
    lock.cost = cost
    with pytest.raises(BadKeyFile):
        pkcs8.read_locked(lock.lock(b"der", bytes(16)))


def test_a_pbkdf2_key_as_the_library_writes_it_is_refused(pair):
    from cryptography.hazmat.primitives import serialization as s

    weak = pair.signing._key.private_bytes(
        s.Encoding.DER, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"p")
    )
    with pytest.raises(BadKeyFile, match="scrypt"):
        pkcs8.read_locked(weak)


def test_documents_of_others_are_read_for_their_signing_key_alone():
    path = MAML / "key-01-habitat-key.pub.maml"
    if not path.exists():
        pytest.skip(f"{path.name} is not among the vectors")
    found = read_key_document(path.read_bytes())
    assert ("f410307432f93e7908cbd51973bbde32", False, None) == (
        found.kid,
        found.self_signed,
        found.recipient,
    )


@pytest.mark.parametrize("name", ["Gateway", "a b", "../x", "", "x" * 64, "-a"])
def test_a_name_that_is_none_is_a_usage_error(pair, name):
    with pytest.raises(UsageError):
        write_key_document(KeyPair(name, pair.signing, pair.recipient), ABOUT, bytes(64))


def test_repr_and_errors_show_nothing_secret(private, pair):
    document = read_key_document(private)
    shown = [
        repr(pair),
        repr(document.unlock(b"passphrase")),
        repr(Lock(b"pw-secret", b"s" * 16, CHEAP)),
    ]
    with pytest.raises(WrongPassphrase) as caught:
        document.unlock(b"not-the-passphrase")
    shown += [repr(caught.value), str(caught.value)]
    for secret in (pair.signing.seed_bytes().hex(), "pw-secret", "not-the-passphrase", "kkkkkk"):
        assert all(secret not in text for text in shown)


def test_files_that_others_could_use_are_refused(tmp_path, private):
    path = tmp_path / "key.maml"
    keyio.write_new(path, private)
    for mode in (0o640, 0o604, 0o660, 0o610):
        path.chmod(mode)
        with pytest.raises(KeyRefused, match=f"{mode:04o}"):
            identity.load_document(path)
    path.chmod(0o600)
    link = tmp_path / "link.maml"
    link.symlink_to(path)
    with pytest.raises(KeyRefused, match="symbolic link"):
        identity.load_document(link)
    with pytest.raises(KeyRefused, match="not a regular file"):
        identity.load_document(tmp_path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with pytest.raises(KeyRefused, match="not a regular file"):
        identity.load_document(fifo)
    with pytest.raises(NotFound):
        identity.load_document(tmp_path / "none.maml")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_a_foreign_owner_is_refused(tmp_path, private):
    path = tmp_path / "key.maml"
    keyio.write_new(path, private)
    os.chown(path, 12345, -1)
    with pytest.raises(KeyRefused, match="belongs to user 12345"):
        identity.load_document(path)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "big.maml"
    path.touch(0o600)
    os.truncate(path, 1 << 40)
    with pytest.raises(BadKeyFile, match="over 256 KiB"):
        identity.load_document(path)


def test_a_link_in_the_place_of_a_new_key_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "key").symlink_to(victim)
    with pytest.raises(KeyExists):
        keyio.write_new(tmp_path / "key", b"secret")
    keyio.write_over(tmp_path / "key", b"secret")
    assert (b"precious", b"secret") == (victim.read_bytes(), (tmp_path / "key").read_bytes())


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(NotFound) as caught:
        keyio.write_new(tmp_path / "none" / "key", b"secret")
    assert caught.value.hint.startswith("mkdir -p")


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=2000))
def test_any_bytes_as_a_key_document_are_refused_as_our_error(data):
    with pytest.raises(DunesError):
        read_key_document(data)


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 10_600), add=st.binary(max_size=30), drop=st.integers(1, 30))
def test_any_edit_of_a_private_document_is_refused_as_our_error(private, at, add, drop):
    at %= len(private)
    changed = private[:at] + add + private[at + drop :]
    if changed != private:
        with pytest.raises(DunesError):
            read_key_document(changed)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400), known=st.booleans())
def test_any_bytes_as_an_encrypted_key_are_refused_as_our_error(data, known):
    good = Lock(b"p", b"s" * 16, CHEAP).lock(b"x" * 54, bytes(16))
    with contextlib.suppress(BadKeyFile, KeyRefused, WrongPassphrase):
        pkcs8.unlock([good[: len(data) % len(good)] + data if known else data], b"p")
        pytest.fail("random bytes were accepted as a key")
