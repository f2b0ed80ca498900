"""Rotated keys and countersigned logs, over real connections to a ground station."""

import sqlite3
from datetime import UTC, datetime
from uuid import UUID

import pytest

from dunes.crypto import identity as identities
from dunes.crypto.keyfile import KeyPair, read_key_document
from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
from dunes.crypto.rotation import rotate
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import PeerError
from dunes.mu.issue import issue
from dunes.mu.log import TransparencyLog, log_directory
from dunes.mu.note import name_of
from dunes.mu.receipt import draft
from dunes.settings import write_profile
from dunes.uplink.audit import audit
from dunes.uplink.enroll import enroll, find_gateway
from dunes.uplink.errors import OtherKey
from dunes.uplink.grounddir import ground_paths, station_identity

from .conftest import API_KEY, TABLE

NOW_US = 1_800_000_000_000_000


def turn(gateway, version):
    """Rotate a gateway's key."""
    seed = bytes([version]) * 32
    signing = identities.SigningKey.from_seed(seed)
    recipient = identities.RecipientKey.from_seeds(signing.kid, seed * 2, seed)
    pair = KeyPair("gateway", signing, recipient)
    write_profile(gateway.settings, {"gateway.id": gateway.name})  # as `dunes keys rotate` does
    rotate(gateway.paths, pair, Description("gateway", "dilithium", NOW_US), now_us=NOW_US)
    gateway.identity = identities.load_identity(gateway.paths)


def enter(gateway, count=1):
    """Enter receipts into the gateway's log."""
    key = gateway.identity.signing
    directory = log_directory(gateway.paths.state)
    with TransparencyLog.open(directory, origin=name_of(key.kid)) as log:
        for number in range(count):
            made = draft(
                b"a: %d\n" % number,
                name="a.yaml",
                at=datetime(2026, 1, 5, tzinfo=UTC),
                uuid=UUID(int=number),
                tool="test",
            )
            issue(made, key, key.public.raw, log)
        return log.size


@pytest.mark.parametrize("turns", [1, 3])
def test_a_rotated_key_is_believed_for_the_one_before_it(ground, gateway, turns):
    gateway.write(frames=2)
    gateway.sync()
    for version in range(turns):
        gateway.write(frames=1)
        turn(gateway, version)
    gateway.write(frames=1)
    report = gateway.sync()
    assert report.complete
    assert list(range(1, 3 * (3 + turns) + 1)) == ground.seqs()
    assert any("follows the enrolled one" in note for note in report.notes)
    with ground.buffer() as buffer:
        assert gateway.identity.kid == find_gateway(buffer, gateway.name).kid
        found = audit(ground.data, buffer, TABLE, deep=False)
    assert found.intact
    assert {"good"} == {lane.signature for lane in found.lanes if lane.frames}
    gateway.write(frames=1)
    assert [] == gateway.sync().notes


def test_what_was_sealed_before_a_rotation_is_read_at_the_ground(ground, gateway):
    from dunes.buffer.appender import Appender
    from dunes.buffer.keyring import Keyring
    from dunes.buffer.query import Query, query
    from dunes.buffer.store import open_buffer
    from dunes.model import Priority, Reading
    from dunes.uplink.audit import ground_opener

    document = station_identity(ground.data).document
    TrustStore.at(gateway.paths).add(document, [Role.GROUND_STATION], NOW_US)
    for version in range(3):
        keys = Keyring.load(gateway.settings)
        with open_buffer(gateway.settings, gateway.name) as buffer:
            appender = Appender(
                buffer, TABLE, signer=keys.identity.signing, make_sealer=keys.make_sealer
            )
            reading = Reading("d", "co2", 1.0, "ppm", NOW_US, Priority.ROUTINE, version)
            appender.add(reading)
            appender.close()
        turn(gateway, version)
    assert gateway.sync().complete
    with ground.buffer() as buffer:
        answer = query(buffer, TABLE, Query(), ground_opener(ground.data, buffer))
        assert [0, 1, 2] == [found.reading.seq for found in answer.readings]
        assert 0 == answer.unreadable
    raw = sqlite3.connect(ground.data / "ground.db").execute("select body from frame").fetchall()
    assert 3 == len(raw)
    assert not any(b"co2" in body for (body,) in raw)


def test_a_key_that_nobody_signed_for_is_refused_and_everything_stays(ground, gateway):
    gateway.write(frames=2)
    write_profile(gateway.settings, {"gateway.id": gateway.name})
    identities.identity_path(gateway.paths).unlink()
    gateway.identity = identities.create_identity(gateway.paths)
    with pytest.raises(OtherKey) as caught:
        gateway.sync()
    assert "enroll" in caught.value.hint
    assert 2 == gateway.stored_frames()
    assert [] == ground.seqs()


def test_a_forged_successor_is_refused(ground, gateway):
    gateway.write(frames=1)
    turn(gateway, 1)
    path = identities.public_path(gateway.paths, gateway.identity.kid)
    document = read_key_document(path.read_bytes())
    pair = KeyPair("gateway", gateway.identity.signing, gateway.identity.recipient)
    stranger = identities.SigningKey.from_seed(bytes([99]) * 32)
    forged = write_key_document(
        pair, Description.of(document), bytes(RANDOM_BYTES), endorse=stranger
    )
    path.write_bytes(forged)
    with pytest.raises(PeerError, match="not signed by"):
        gateway.sync()
    with ground.buffer() as buffer:
        assert gateway.identity.kid != find_gateway(buffer, gateway.name).kid
    assert not list(TrustStore.at(ground_paths(ground.data)))


def test_the_log_is_countersigned_once_for_each_state(ground, gateway):
    gateway.write(frames=1)
    assert gateway.sync().log_entries is None
    for count in (3, 1):
        size = enter(gateway, count)
        assert size == gateway.sync().log_entries
        assert gateway.sync().log_entries is None
    with TransparencyLog(log_directory(gateway.paths.state)) as log:
        assert 4 == log.cosigned_size()


def test_a_lost_countersignature_is_asked_for_again(ground, gateway):
    gateway.write(frames=1)
    enter(gateway, 2)
    gateway.sync()
    (log_directory(gateway.paths.state) / "checkpoint.cosigned").unlink()
    assert 2 == gateway.sync().log_entries


def test_the_log_goes_on_being_countersigned_after_a_rotation(ground, gateway):
    gateway.write(frames=1)
    enter(gateway, 2)
    gateway.sync()
    turn(gateway, 1)
    gateway.write(frames=1)
    enter(gateway, 1)
    assert 3 == gateway.sync().log_entries


def test_a_log_that_was_set_back_is_told_and_not_countersigned(ground, gateway):
    gateway.write(frames=1)
    directory = log_directory(gateway.paths.state)
    enter(gateway, 2)
    kept = {path.name: path.read_bytes() for path in directory.iterdir()}
    enter(gateway, 2)
    gateway.sync()
    for path in directory.iterdir():
        path.unlink()
    for name, content in kept.items():
        (directory / name).write_bytes(content)
    report = gateway.sync()
    assert report.log_entries is None
    assert any("set back" in note for note in report.notes)
    enter(gateway, 3)  # longer than before, and another history
    assert any("not those that were there" in note for note in gateway.sync().notes)


def test_no_gateway_can_speak_for_anothers_log(ground, gateway, make_gateway):
    other = make_gateway("other")
    pem = other.identity.signing.public.pem
    enroll(ground.data, other.name, pem, API_KEY)
    other.point_at(ground.running.url, ground.running.tls_sha256)
    other.write(frames=1)
    key = other.identity.signing
    directory = log_directory(other.paths.state)
    with TransparencyLog.open(directory, origin=name_of(gateway.identity.kid)) as log:
        log.append([lambda _index: b"{}"])
        log.sign(key, key.public.raw)
    assert any("belongs to gateway" in note for note in other.sync().notes)
    gateway.write(frames=1)
    enter(gateway, 1)
    assert 1 == gateway.sync().log_entries
