import contextlib
import json
from dataclasses import replace

import pytest
from firmware_boards import image
from hypothesis import given
from hypothesis import strategies as st

from dunes.errors import UsageError
from dunes.firmware.errors import BadManifest
from dunes.firmware.image import parse_image
from dunes.firmware.manifest import Wanted, check_manifest, manifest_of, read_manifest
from dunes.firmware.version import Version

GOOD = manifest_of(parse_image(image()), "ble-mesh", "simulated", "2026-01-01T00:00:00Z")


def test_a_manifest_comes_back_as_it_was_written():
    noted = replace(GOOD, about="Röver", min_bootloader="2.1", address=0xC000)
    assert noted == read_manifest(noted.encode())
    assert ("ble-mesh-v1.2", "ble-mesh-v1.2/simulated") == (noted.label, noted.place)


def test_a_board_makes_one_folder():
    assert "ble-mesh-v1.2/nrf52840dk_nrf52840" == replace(GOOD, board="nrf52840dk/nrf52840").place


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ble-mesh-v1.2", Wanted("ble-mesh", Version(1, 2))),
        ("ble-mesh", Wanted("ble-mesh", None)),
        ("a-v2-v1.0.3+4", Wanted("a-v2", Version(1, 0, 3, 4))),
    ],
)
def test_firmware_is_named_with_and_without_a_version(text, wanted):
    assert wanted == Wanted.parse(text)


@pytest.mark.parametrize("text", ["", "-v1", "Ble", "a b", "../x", "x-v1.2.3.4.5", "a" * 80])
def test_what_names_no_firmware_is_refused(text):
    with pytest.raises(UsageError):
        Wanted.parse(text)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../etc"},
        {"name": "A"},
        {"board": ""},
        {"board": "x" * 65},
        {"board": "a\nb"},
        {"kind": "elf"},
        {"sha256": "00"},
        {"sha256": "g" * 64},
        {"image_hash": "abc"},
        {"size_bytes": -1},
        {"address": 1 << 32},
        {"min_bootloader": "new"},
        {"simulated": False},
        {"board": "nrf52840dk"},
    ],
    ids=str,
)
def test_values_that_cannot_be_are_refused(change):
    changed = replace(GOOD, **change)
    with pytest.raises(UsageError):
        check_manifest(changed)
    with pytest.raises(BadManifest):
        read_manifest(changed.encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"schema": 3}', b'{"schema": "dunes.firmware/2"}', b"x" * 70000,
     b"[" * 60000],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(data):
    with pytest.raises(BadManifest):
        read_manifest(data)


def test_keys_of_a_later_version_are_passed_over():
    body = json.loads(GOOD.encode()) | {"colour": "red"}
    assert GOOD == read_manifest(json.dumps(body).encode())


@given(
    st.sampled_from(sorted(json.loads(GOOD.encode()))),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=4,
    ),
)
def test_any_value_gives_a_manifest_or_an_error(key, value):
    body = json.loads(GOOD.encode()) | {key: value}
    with contextlib.suppress(BadManifest):
        read_manifest(json.dumps(body).encode())
