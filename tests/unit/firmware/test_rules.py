from dataclasses import replace

import pytest
from firmware_boards import image
from firmware_making import sign_image

from dunes.errors import DataError
from dunes.firmware.errors import FORCEABLE, Reason, Refused
from dunes.firmware.image import parse_image
from dunes.firmware.manifest import manifest_of
from dunes.firmware.rules import (
    NodeFacts,
    Objection,
    allow,
    check_file,
    check_node,
    check_signature,
    read_reason,
    same_board,
)
from dunes.firmware.version import Version

BOARD = "nrf52840dk/nrf52840"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return sign_image(tmp_path_factory.mktemp("rules"), board=BOARD)


@pytest.fixture(scope="module")
def manifest(data):
    return manifest_of(parse_image(data), "ble-mesh", BOARD, "2026-01-01T00:00:00Z")


def node(**more):
    return NodeFacts(**{"name": "n", "board": "nrf52840dk", "version": Version(1, 1)} | more)


def reasons(objections):
    return [objection.reason for objection in objections]


def test_good_firmware_for_its_board_meets_no_objection(manifest, data):
    assert [] == check_file(manifest, data)
    assert [] == check_node(manifest, node())
    assert [] == check_signature(manifest, "k", {"k": None})


def test_a_file_is_truncated_damaged_or_another(manifest, data):
    assert [Reason.TRUNCATED] == reasons(check_file(manifest, data[:-1]))
    assert [Reason.TRUNCATED] == reasons(check_file(manifest, b""))
    assert [Reason.DAMAGED] == reasons(check_file(manifest, data + b"\0"))
    assert [Reason.DAMAGED] == reasons(check_file(manifest, data[:-1] + b"\0"))


def test_a_manifest_that_tells_another_image_than_it_has_is_damage(manifest, data):
    assert [Reason.DAMAGED] == reasons(check_file(replace(manifest, version=Version(9)), data))
    assert [Reason.DAMAGED] == reasons(check_file(replace(manifest, image_hash="00" * 32), data))


def test_an_image_that_names_another_board_than_its_manifest_is_for_another(manifest, data):
    found = check_file(replace(manifest, board="nrf5340dk/nrf5340/cpuapp"), data)
    assert [Reason.OTHER_BOARD] == reasons(found)


def test_a_file_that_is_no_image_is_told_so(manifest):
    import hashlib

    junk = bytes(100)
    told = replace(manifest, size_bytes=100, sha256=hashlib.sha256(junk).hexdigest())
    assert [Reason.NOT_AN_IMAGE] == reasons(check_file(told, junk))


def test_another_board_an_unknown_one_and_an_older_version_are_each_a_reason(manifest):
    assert [Reason.OTHER_BOARD] == reasons(check_node(manifest, node(board="nrf52dk")))
    assert [Reason.OTHER_BOARD] == reasons(check_node(manifest, node(board="")))
    assert [Reason.DOWNGRADE] == reasons(check_node(manifest, node(version=Version(1, 2, 1))))
    assert [] == reasons(check_node(manifest, node(version=Version(1, 2))))
    assert [] == reasons(check_node(manifest, node(version=None)))
    both = check_node(manifest, node(board="x", version=Version(2)))
    assert [Reason.OTHER_BOARD, Reason.DOWNGRADE] == reasons(both)


def test_an_old_bootloader_is_a_reason_where_it_is_known(manifest):
    picky = replace(manifest, min_bootloader="2.2")
    assert [Reason.BOOTLOADER] == reasons(check_node(picky, node(bootloader=Version(2, 1))))
    assert [] == check_node(picky, node(bootloader=Version(2, 2)))
    assert [] == check_node(picky, node(bootloader=None))


def test_simulated_firmware_is_refused_by_every_real_board_and_never_forced():
    simulated = manifest_of(parse_image(image()), "ble-mesh", "simulated", "")
    found = check_node(simulated, node())
    assert [Reason.SIMULATED] == reasons(found)
    assert [Reason.SIMULATED] == reasons(check_node(simulated, node(board="")))
    assert [] == check_node(simulated, node(board="simulated"))
    assert Reason.SIMULATED not in FORCEABLE
    with pytest.raises(Refused):
        allow(found, Reason.OTHER_BOARD)


def test_real_firmware_is_refused_by_simulated_nodes(manifest):
    assert [Reason.OTHER_BOARD] == reasons(check_node(manifest, node(board="simulated")))


def test_unsigned_and_signed_by_a_stranger_are_the_same_reason(manifest):
    for signer in ("", "k"):
        assert [Reason.STRANGER] == reasons(check_signature(manifest, signer, {"other": None}))


@pytest.mark.parametrize("reason", FORCEABLE)
def test_force_takes_away_exactly_one_reason(reason):
    mine = Objection(reason, "mine")
    allow([mine], reason)
    with pytest.raises(Refused) as refused:
        allow([mine], None)
    assert f"--force {reason}" in refused.value.hint
    for other in Reason:
        if other != reason:
            with pytest.raises(Refused) as refused:
                allow([mine, Objection(other, "other")], reason)
            assert other == refused.value.reason


def test_what_cannot_be_forced_is_no_word_for_force():
    for word in ("damaged", "simulated", "not-an-image", "everything", ""):
        with pytest.raises(DataError):
            read_reason(word)
    assert Reason.DOWNGRADE == read_reason("downgrade")


@pytest.mark.parametrize(
    ("built", "board", "same"),
    [
        ("nrf52840dk/nrf52840", "nrf52840dk", True),
        ("nrf52840dk/nrf52840", "nrf52840dk@1.0.0", True),
        ("nrf52840dk@1.0.0/nrf52840", "nrf52840dk@2.0.0", False),
        ("nrf5340dk/nrf5340/cpuapp", "nrf5340dk/nrf5340/cpunet", False),
        ("nrf52840dk/nrf52840", "nrf52840dongle", False),
        ("nrf52840dk", "nrf52840dk/nrf52840", True),
    ],
)
def test_boards_are_compared_as_west_and_nodes_spell_them(built, board, same):
    assert same == same_board(built, board)
