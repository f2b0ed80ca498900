"""People's names never reach the buffer's frames."""

import pytest

from dunes.authority.masking import Mask, Reveal, mask_of, masked_name
from dunes.authority.policy import Document, Scope
from dunes.authority.pseudokey import load_pseudonyms
from dunes.authority.pseudonym import Pseudonyms, is_token
from dunes.authority.store import encode, policies_path
from dunes.buffer.appender import Appender
from dunes.buffer.query import Query, query
from dunes.buffer.store import open_buffer
from dunes.errors import ConfigError, DataError
from dunes.model import Reading
from dunes.paths import write_atomic
from dunes.secrets import secret_path
from dunes.settings import load


def vital(device="crew-001", kind="heart_rate", value=61.0):
    return Reading(device, kind, value, "", 1_800_000_000_000_000)


def test_the_vital_signs_table_is_masked_and_others_are_not(paths):
    sensor = vital("hab-sensor-001", "co2")
    assert sensor is mask_of(paths, "lunar_telemetry")(sensor)
    assert not secret_path(paths, "pseudonyms").exists()
    masked = mask_of(paths, "vitals_data")(vital())
    assert is_token(masked.device)
    assert ("heart_rate", 61.0) == (masked.kind, masked.value)
    assert 0o600 == secret_path(paths, "pseudonyms").stat().st_mode & 0o777


def test_a_wearable_is_masked_in_whatever_table_it_reports(paths):
    mask = mask_of(paths, "lunar_telemetry")
    assert is_token(mask(vital("crew-003", "heart_rate")).device)
    assert (
        mask_of(paths, "vitals_data")(vital("crew-003")).device == mask(vital("crew-003")).device
    )


def test_texts_that_name_people_are_masked_too_and_other_texts_are_not(paths):
    mask = mask_of(paths, "vitals_data")
    assert is_token(mask(vital(kind="patient", value="Ada Lovelace")).value)
    assert "asleep" == mask(vital(kind="state", value="asleep")).value


def test_this_place_turns_its_tokens_back_and_another_does_not(paths, tmp_path):
    masked = mask_of(paths, "vitals_data")(vital())
    assert vital() == Reveal(paths)(masked)
    foreign = Mask(lambda: Pseudonyms(b"x" * 32), frozenset({"device"}))(vital())
    assert foreign == Reveal(paths)(foreign)
    assert vital() == Reveal(paths)(vital())


def test_a_search_for_a_person_finds_the_token(paths):
    masked = mask_of(paths, "vitals_data")(vital())
    assert masked.device == masked_name(paths, "vitals_data", "crew-001")
    assert masked.device == masked_name(paths, "vitals_data", masked.device)
    assert masked.device == masked_name(paths, "lunar_telemetry", "crew-001")
    assert "hab-1" == masked_name(paths, "lunar_telemetry", "hab-1")
    assert masked_name(paths, "vitals_data", None) is None


def test_no_name_lies_in_the_buffers_files(paths, tmp_path):
    settings = load({}, paths=paths, folder=tmp_path)
    with open_buffer(settings, "gw-1") as buffer:
        appender = Appender(buffer, "vitals_data", rewrite=mask_of(paths, "vitals_data"))
        appender.add(vital(device="neil-armstrong"))
        appender.extend([vital(device="buzz-aldrin")])
        appender.close()
        found = [f.reading.device for f in query(buffer, "vitals_data", Query(), lambda _: None)
                 .readings]  # fmt: skip
    assert all(map(is_token, found))
    for path in paths.data.rglob("*"):
        if path.is_file():
            assert b"armstrong" not in path.read_bytes()
            assert b"aldrin" not in path.read_bytes()


def test_a_scope_of_ones_own_masks_its_table(paths):
    crew = Scope("crew-location", actions=("table.read",), tables=("crew_tracks",),
                 tokenize=("device",))  # fmt: skip
    write_atomic(policies_path(paths), encode(Document(1, (crew,))))
    assert is_token(mask_of(paths, "crew_tracks")(vital()).device)


def test_policies_that_cannot_be_read_let_nothing_in_unmasked(paths):
    write_atomic(policies_path(paths), b"{")
    with pytest.raises(ConfigError):
        mask_of(paths, "vitals_data")


def test_a_damaged_key_is_not_replaced_and_not_shown(paths):
    load_pseudonyms(paths, create=True)
    path = secret_path(paths, "pseudonyms")
    path.write_text("c0ffee")
    with pytest.raises(DataError) as e:
        load_pseudonyms(paths, create=True)
    assert "c0ffee" not in str(e.value)
    assert e.value.__cause__ is None
    assert "c0ffee" == path.read_text()


def test_two_who_need_the_key_at_once_get_the_same(paths):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        made = pool.map(
            lambda _: load_pseudonyms(paths, create=True).token("a", "device"), range(8)
        )
        assert 1 == len(set(made))
