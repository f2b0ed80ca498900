import contextlib
import hashlib
import subprocess
import sys

import pytest
from firmware_making import HEADER_BYTES, make_key, sign_image
from hypothesis import given
from hypothesis import strategies as st

from dunes.firmware.errors import BadImage, Reason
from dunes.firmware.image import SIZE_MAX_BYTES, parse_image, peek_version
from dunes.firmware.version import Version


def reason(data: bytes) -> Reason:
    with pytest.raises(BadImage) as refused:
        parse_image(data)
    return refused.value.reason


def test_an_image_of_imgtool_is_read_whole(signed):
    image = parse_image(signed)
    assert Version(1, 2, 0) == image.version
    assert HEADER_BYTES == image.header_bytes
    assert 4096 == image.body_bytes
    assert "test/board" == image.board
    assert "ECDSA" == image.signature
    assert ("sha256", True, 0) == (image.hash_algorithm, image.hash_checked, image.padding_bytes)
    assert hashlib.sha256(signed).hexdigest() == image.sha256


def test_the_hash_is_the_one_that_imgtool_verifies(signed, tmp_path):
    path = tmp_path / "image.bin"
    path.write_bytes(signed)
    told = subprocess.run(
        [sys.executable, "-c", "from imgtool.main import imgtool; imgtool()", "verify", str(path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"Image digest: {parse_image(signed).hash.hex()}" in told.stdout


@pytest.mark.parametrize(
    ("kind", "name", "algorithm"),
    [
        ("rsa-2048", "RSA-2048-PSS", "sha256"),
        ("rsa-3072", "RSA-3072-PSS", "sha256"),
        ("ecdsa-p384", "ECDSA", "sha384"),
        ("ed25519", "Ed25519", "sha256"),
    ],
)
def test_signature_and_hash_are_named(tmp_path, kind, name, algorithm):
    image = parse_image(sign_image(tmp_path, kind=kind))
    assert (name, algorithm) == (image.signature, image.hash_algorithm)


def test_the_key_hash_is_that_of_the_public_key(tmp_path):
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    image = parse_image(sign_image(tmp_path))
    key = load_pem_private_key(make_key(tmp_path).read_bytes(), None).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(der).hexdigest() == image.key_hash


def test_a_padded_image_is_read_and_its_padding_counted(tmp_path):
    image = parse_image(sign_image(tmp_path, more=("--pad",)))
    assert 0x69000 == len(image.data)
    assert image.padding_bytes > 0x60000


def test_an_encrypted_image_is_read_without_judging_its_hash(tmp_path):
    key = make_key(tmp_path, "x25519")
    public = tmp_path / "public.pem"
    from imgtool.main import imgtool

    imgtool(["getpub", "-k", str(key), "-e", "pem", "-o", str(public)], standalone_mode=False)
    image = parse_image(sign_image(tmp_path, kind="ed25519", more=("--encrypt", str(public))))
    assert not image.hash_checked
    assert ("encrypted-aes128",) == image.flag_names


def test_every_shorter_piece_of_an_image_is_truncated(signed):
    for size in [*range(40), 0x200, 0x1200, len(signed) - 200, len(signed) - 1]:
        assert Reason.TRUNCATED == reason(signed[:size]), size


def test_a_flipped_bit_of_header_body_or_protected_tlvs_is_damage(signed):
    for at in (0x10 + 5, 0x14, 0x180, 0x300, 0x11FF, 0x1200 + 9):
        data = bytearray(signed)
        data[at] ^= 0x10
        assert Reason.DAMAGED == reason(bytes(data)), hex(at)


def test_a_flipped_bit_of_the_hash_is_damage(signed):
    at = signed.index(parse_image(signed).hash)
    data = bytearray(signed)
    data[at] ^= 1
    assert Reason.DAMAGED == reason(bytes(data))


def test_a_wrong_magic_is_no_image(signed):
    assert Reason.NOT_AN_IMAGE == reason(b"\x7fELF" + signed[4:])
    assert Reason.NOT_AN_IMAGE == reason(b"PK\x03\x04" + bytes(500))


def test_an_image_larger_than_any_flash_is_not_read():
    assert Reason.NOT_AN_IMAGE == reason(bytes(SIZE_MAX_BYTES + 1))


def test_two_hashes_are_no_image(signed):
    # the bootloader's own rule: the entry would be ambiguous
    image = parse_image(signed)
    body_end = image.header_bytes + image.body_bytes
    protected = 4 + 4 + len("board=test/board")
    entry = b"\x10\x00\x20\x00" + image.hash
    tlvs = b"\x07\x69" + (4 + 72).to_bytes(2, "little") + entry + entry
    assert Reason.NOT_AN_IMAGE == reason(signed[: body_end + protected] + tlvs)


def test_the_version_of_a_truncated_image_can_still_be_read(signed):
    assert Version(1, 2, 0) == peek_version(signed[:64])
    with pytest.raises(BadImage):
        peek_version(signed[:31])


@given(data=st.binary(max_size=300), start=st.booleans())
def test_any_bytes_give_an_image_or_a_reason(data, start):
    with contextlib.suppress(BadImage):
        parse_image((b"\x3d\xb8\xf3\x96" if start else b"") + data)


@given(st.data())
def test_any_change_of_an_image_gives_an_image_or_a_reason(signed, data):
    changed = bytearray(signed)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.sampled_from([*range(32), *range(0x1200, len(signed))]))] = data.draw(
            st.integers(0, 255)
        )
    with contextlib.suppress(BadImage):
        parse_image(bytes(changed))
