import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uf2_making import INFO, NRF52840, uf2

from dunes.firmware.errors import BadImage, Reason
from dunes.firmware.uf2 import chip_of_info, parse_info, parse_uf2


def reason(data):
    with pytest.raises(BadImage) as refused:
        parse_uf2(data)
    return refused.value.reason


def test_a_whole_file_is_read():
    found = parse_uf2(uf2())
    assert (NRF52840, "nrf52840", 0x26000, 768, 3) == (
        found.family, found.chip, found.start, found.payload_bytes, found.blocks,
    )  # fmt: skip


def test_a_file_without_a_family_is_read():
    data = bytearray(uf2(1))
    data[8:12] = bytes(4)
    assert parse_uf2(bytes(data)).family is None


def test_a_short_file_is_truncated():
    assert {Reason.TRUNCATED} == {reason(uf2()[:size]) for size in (32, 511, 512, 1024, 1535)}


def test_damaged_blocks_and_mixed_chips_are_refused():
    for at in (512, 1024 - 1, 512 + 20, 512 + 17):
        data = bytearray(uf2())
        data[at] ^= 0xFF
        assert Reason.DAMAGED == reason(bytes(data)), at
    assert Reason.DAMAGED == reason(uf2(2)[:512] + uf2(2, family=0xE48BFF56)[512:])
    assert Reason.DAMAGED == reason(uf2() + bytes(512))


def test_what_does_not_begin_as_uf2_is_none():
    assert Reason.NOT_AN_IMAGE == reason(b"")
    assert Reason.NOT_AN_IMAGE == reason(bytes(512))


@given(st.binary(max_size=1100), st.booleans())
def test_any_bytes_give_a_file_or_a_reason(data, start):
    with contextlib.suppress(BadImage):
        parse_uf2((uf2(2)[:12] if start else b"") + data)


def test_a_volume_says_which_chip_it_is():
    info = parse_info(INFO)
    assert "nRF52840-Feather-revD" == info["Board-ID"]
    assert "nrf52840" == chip_of_info(info)
    assert "rp2040" == chip_of_info({"Board-ID": "RPI-RP2", "Model": "Raspberry Pi RP2040"})
    assert "" == chip_of_info(parse_info("nothing\x00: useful"))
