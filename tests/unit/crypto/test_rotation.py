"""Rotation: the old key vouches for the new one, and still opens what was sealed to it."""

import os

import pytest

from dunes.crypto import entropy, identity, keyio
from dunes.crypto.errors import NoIdentity, Replayed, UnknownKey, Untrusted, WrongPassphrase
from dunes.crypto.framekeys import FrameOpener, FrameSealer
from dunes.crypto.keyfile import read_key_document
from dunes.crypto.keywriter import Description
from dunes.crypto.rotation import rotate
from dunes.crypto.truststore import Role, TrustStore
from dunes.paths import find_paths

NOW_US = 1_763_900_000_000_000
DAY_US = 86_400_000_000


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path)})


def turn(paths, **more):
    new = identity.make_keys("gateway", entropy.mix(None, os.urandom(64)))
    about = Description(role="", requested="rotation", created_us=NOW_US)
    return rotate(paths, new, about, now_us=NOW_US, **more)


def sealed_to(place):
    sealer = FrameSealer.new([place.recipient.public], place.signing, "s", os.urandom(32), 1)
    return sealer, sealer.seal(b"readings", b"h", bytes(16))


def test_what_was_sealed_before_three_rotations_still_opens(paths):
    place = identity.create_identity(paths)
    frames = []
    for _ in range(3):
        frames.append(sealed_to(place))
        turn(paths)
        place = identity.load_identity(paths)
    opener = place.frame_opener()
    for sealer, body in [*frames, sealed_to(place)]:
        key_id = opener.add_record(sealer.key_record)
        assert b"readings" == opener.open(key_id, bytes(16), body, b"h")
    assert 3 == len(place.retired)
    assert () == place.unopened


def test_the_new_document_is_signed_by_the_old_key_and_has_a_higher_version(paths):
    old = identity.create_identity(paths)
    document = read_key_document(turn(paths))
    assert document.endorsed_by(old.signing.public)
    assert (2, (old.kid,)) == (document.version, document.supersedes)
    assert (document.kid, old.kid) == document.signed_by


def test_the_old_key_becomes_verify_only_with_an_end(paths):
    old = identity.create_identity(paths)
    turn(paths)
    document = read_key_document(keyio.read_public(identity.public_path(paths, old.kid)))
    assert ("verify-only", NOW_US + 90 * DAY_US) == (document.status, document.not_after_us)


def test_the_end_of_an_older_key_does_not_move(paths):
    first = identity.create_identity(paths)
    turn(paths)
    turn(paths, keep_us=500 * DAY_US)
    document = read_key_document(keyio.read_public(identity.public_path(paths, first.kid)))
    assert NOW_US + 90 * DAY_US == document.not_after_us


def test_a_rotation_can_bring_a_passphrase_for_all_keys(paths, monkeypatch):
    monkeypatch.setattr(identity, "PASSPHRASE_COST", identity.MACHINE_COST)
    monkeypatch.delenv("DUNES_PASSPHRASE", raising=False)
    old = identity.create_identity(paths)
    turn(paths, new_secret=b"correct horse")
    with pytest.raises(WrongPassphrase, match="locked with a passphrase"):
        identity.load_identity(paths)
    with pytest.raises(WrongPassphrase):
        identity.load_identity(paths, b"wrong")
    place = identity.load_identity(paths, b"correct horse")
    assert [old.kid] == [pair.kid for pair in place.retired]
    monkeypatch.setenv("DUNES_PASSPHRASE", "correct horse")
    assert place.kid == identity.load_identity(paths).kid


@pytest.mark.parametrize("writes", range(4))
def test_a_rotation_cut_off_anywhere_leaves_a_working_place(paths, monkeypatch, writes):
    old = identity.create_identity(paths)
    sealer, body = sealed_to(old)
    left, real = [writes], keyio.write_over

    class PowerCut(Exception):
        pass

    def until_cut(*given, **more):
        if left[0] == 0:
            raise PowerCut
        left[0] -= 1
        real(*given, **more)

    monkeypatch.setattr(keyio, "write_over", until_cut)
    with pytest.raises(PowerCut):
        turn(paths)
    monkeypatch.setattr(keyio, "write_over", real)
    place = identity.load_identity(paths)
    assert (writes < 3) == (place.kid == old.kid)
    opener = place.frame_opener()
    assert b"readings" == opener.open(opener.add_record(sealer.key_record), bytes(16), body, b"h")
    turn(paths)
    assert old.kid in {pair.kid for pair in identity.load_identity(paths).retired}


def test_without_a_key_there_is_nothing_to_rotate(paths):
    with pytest.raises(NoIdentity):
        turn(paths)


def test_a_retired_key_of_another_machine_does_not_stop_the_place(paths):
    old = identity.create_identity(paths)
    turn(paths)
    other = find_paths({"DUNES_HOME": str(paths.config / "other")})
    stranger = identity.create_identity(other)
    keyio.write_new(
        identity.retired_path(paths, stranger.kid),
        keyio.read_private(identity.identity_path(other)),
    )
    place = identity.load_identity(paths)
    assert ((stranger.kid,), [old.kid]) == (place.unopened, [pair.kid for pair in place.retired])


def test_a_station_follows_a_rotation_of_a_gateway_it_trusts(paths, tmp_path):
    old = identity.create_identity(paths)
    store = TrustStore(tmp_path / "station")
    store.add(old.document, [Role.GATEWAY], NOW_US)
    new = turn(paths)
    assert old.kid == store.successor_of(read_key_document(new), NOW_US).kid
    store.add(new, [Role.GATEWAY], NOW_US)
    verify_only = keyio.read_public(identity.public_path(paths, old.kid))
    store.add(verify_only, [], NOW_US)
    senders = store.senders(NOW_US, Role.GATEWAY)
    new_kid = read_key_document(new).kid
    assert {old.kid, new_kid} == set(senders)
    assert {new_kid} == set(store.recipients(NOW_US, Role.GATEWAY))
    assert {new_kid} == set(store.senders(NOW_US + 91 * DAY_US, Role.GATEWAY))


def test_a_stranger_is_no_successor(paths, tmp_path):
    old = identity.create_identity(paths)
    store = TrustStore(tmp_path / "station")
    store.add(old.document, [Role.GATEWAY], NOW_US)
    other = find_paths({"DUNES_HOME": str(tmp_path / "other")})
    identity.create_identity(other)
    turn(other)
    forged = read_key_document(identity.load_identity(other).document)
    assert store.successor_of(forged, NOW_US) is None


def test_the_trust_store_refuses_what_it_should(paths, tmp_path):
    place = identity.create_identity(paths)
    store = TrustStore(tmp_path / "store")
    assert [] == list(store)
    with pytest.raises(UnknownKey, match="is not trusted here"):
        store.get(place.kid)
    with pytest.raises(UnknownKey, match="not a key id"):
        store.get("../../etc/passwd")
    store.add(place.document, [Role.GATEWAY], NOW_US)
    turn(paths)
    verify_only = keyio.read_public(identity.public_path(paths, place.kid))
    store.add(verify_only, [Role.OPERATOR], NOW_US)
    assert {Role.GATEWAY, Role.OPERATOR} == store.get(place.kid).roles
    with pytest.raises(Replayed):
        store.add(place.document, [Role.GATEWAY], NOW_US)
    store.revoke(place.kid, "stolen")
    assert {} == store.senders(NOW_US)
    with pytest.raises(Untrusted, match="stolen"):
        store.add(verify_only, [Role.GATEWAY], NOW_US)


def test_a_private_document_is_not_trusted_by_mistake(paths, tmp_path):
    identity.create_identity(paths)
    private = keyio.read_private(identity.identity_path(paths))
    with pytest.raises(Exception, match="private key document"):
        TrustStore(tmp_path).add(private, [Role.GATEWAY], NOW_US)


def test_an_opener_without_the_retired_key_says_who_could_read(paths):
    old = identity.create_identity(paths)
    sealer, body = sealed_to(old)
    turn(paths)
    place = identity.load_identity(paths)
    opener = FrameOpener([place.recipient], place.own_senders)
    key_id = opener.add_record(sealer.key_record)
    with pytest.raises(Exception, match=old.kid):
        opener.open(key_id, bytes(16), body, b"h")
