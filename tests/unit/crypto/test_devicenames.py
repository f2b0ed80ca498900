"""A device's key by the device's name."""

import os

import pytest

from dunes.crypto import entropy
from dunes.crypto.errors import UnknownKey
from dunes.crypto.identity import make_keys
from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
from dunes.crypto.truststore import NAMES, PEERS, Role, TrustStore


def document(name, seed):
    pair = make_keys(name, entropy.mix(None, bytes([seed]) * entropy.OS_BYTES))
    about = Description("device", "a test", 1_800_000_000_000_000)
    return pair.kid, write_key_document(pair, about, os.urandom(RANDOM_BYTES))


def test_a_device_is_found_by_its_name(tmp_path):
    store = TrustStore(tmp_path)
    kid, data = document("rover-001", 1)
    store.add(data, [Role.DEVICE], 1)
    assert kid == store.device("rover-001").kid
    assert ["rover-001"] == store.device_names()
    assert [kid] == [entry.kid for entry in store]


@pytest.mark.parametrize("name", ["rover-002", "", "../trusted", "..", "names/x", "Rover-001"])
def test_a_name_that_is_none_finds_nothing(tmp_path, name):
    store = TrustStore(tmp_path)
    store.add(document("rover-001", 1)[1], [Role.DEVICE], 1)
    with pytest.raises(UnknownKey):
        store.device(name)


def test_a_key_of_another_role_is_no_devices(tmp_path):
    store = TrustStore(tmp_path)
    store.add(document("rover-001", 1)[1], [Role.GATEWAY], 1)
    with pytest.raises(UnknownKey):
        store.device("rover-001")
    assert [] == store.device_names()


def test_the_key_that_was_trusted_last_counts(tmp_path):
    store = TrustStore(tmp_path)
    store.add(document("rover-001", 1)[1], [Role.DEVICE], 1)
    later, data = document("rover-001", 2)
    store.add(data, [Role.DEVICE], 2)
    assert later == store.device("rover-001").kid


def test_a_revoked_key_is_found_as_revoked_and_not_replaced_by_an_older_one(tmp_path):
    store = TrustStore(tmp_path)
    first, one = document("rover-001", 1)
    store.add(one, [Role.DEVICE], 1)
    later, two = document("rover-001", 2)
    store.add(two, [Role.DEVICE], 2)
    store.revoke(later, "stolen")
    assert "stolen" == store.device("rover-001").revoked
    store.revoke(first, "old")
    assert later == store.device("rover-001").kid


def test_a_store_from_before_the_index_gets_one(tmp_path):
    store = TrustStore(tmp_path)
    store.add(document("rover-001", 1)[1], [Role.DEVICE], 1)
    later, data = document("rover-001", 2)
    store.add(data, [Role.DEVICE], 2)
    for path in (tmp_path / NAMES).iterdir():
        path.unlink()
    (tmp_path / NAMES).rmdir()
    assert later == store.device("rover-001").kid


def roles_of(store):
    return {entry.document.name: set(entry.roles) for entry in store.peers()}


def test_keys_that_are_more_than_devices_are_found_without_reading_the_devices(tmp_path):
    store = TrustStore(tmp_path)
    for n in range(3):
        store.add(document(f"rover-00{n}", n)[1], [Role.DEVICE], 1)
    store.add(document("earth-gs", 8)[1], [Role.GROUND_STATION], 1)
    store.add(document("both", 9)[1], [Role.DEVICE, Role.GATEWAY], 1)
    for kid in (document(f"rover-00{n}", n)[0] for n in range(3)):
        (tmp_path / f"{kid}.json").write_text("damaged: whoever reads this is told so")
    assert {"earth-gs": {"ground-station"}, "both": {"device", "gateway"}} == roles_of(store)
    assert {document("earth-gs", 8)[0]} == set(store.senders(2, Role.GROUND_STATION))
    assert {document("both", 9)[0]} == set(store.recipients(2, Role.GATEWAY))


def test_a_device_that_is_trusted_for_more_later_is_found(tmp_path):
    store = TrustStore(tmp_path)
    data = document("rover-001", 1)[1]
    store.add(data, [Role.DEVICE], 1)
    assert {} == roles_of(store)
    store.add(data, [Role.OPERATOR], 2)
    assert {"rover-001": {"device", "operator"}} == roles_of(store)


def test_a_mark_without_its_entry_is_no_key(tmp_path):
    """Killed between the mark and the entry: nothing is trusted yet."""
    store = TrustStore(tmp_path)
    store.add(document("earth-gs", 8)[1], [Role.GROUND_STATION], 1)
    (tmp_path / PEERS / ("0" * 32)).touch()
    assert {"earth-gs"} == set(roles_of(store))


def test_a_store_from_before_the_marks_gets_them(tmp_path):
    store = TrustStore(tmp_path)
    store.add(document("earth-gs", 8)[1], [Role.GROUND_STATION], 1)
    for path in (tmp_path / PEERS).iterdir():
        path.unlink()
    (tmp_path / PEERS).rmdir()
    assert {"earth-gs"} == set(roles_of(store))
    assert {} == roles_of(TrustStore(tmp_path / "none"))


def test_an_index_that_names_another_devices_key_is_not_believed(tmp_path):
    store = TrustStore(tmp_path)
    kid, data = document("rover-001", 1)
    store.add(data, [Role.DEVICE], 1)
    (tmp_path / NAMES / "rover-002").write_text(kid)
    with pytest.raises(UnknownKey):
        store.device("rover-002")
