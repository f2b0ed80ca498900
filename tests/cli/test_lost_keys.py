"""A key that is lost, locked or another one: what each command then says, and does not do."""

import contextlib
import json
import shutil
import sqlite3

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dunes.crypto.framekeys import KeyRecord, derive_frame_key
from dunes.crypto.identity import load_identity
from dunes.paths import find_paths

TABLE = "lunar_telemetry"
ROWS = "".join(
    json.dumps(
        {"device": "hab-1", "kind": "co2", "value": 400 + n, "unit": "ppm", "seq": n, "ts_s": n}
    )
    + "\n"
    for n in range(1, 21)
)


@pytest.fixture
def sealed(typed, home):
    """A place whose readings are sealed to itself and to a ground station."""
    assert 0 == typed("dunes", "keygen", "-o", "gs.maml", "--role", "ground-station").returncode
    (home / "dunes/keys").rename(home / "ground-keys")
    assert 0 == typed("dunes", "keys", "trust", "gs.pub.maml", "--yes").returncode
    (home / "rows.jsonl").write_text(ROWS)
    done = typed("dunes", "ingest", "--table", TABLE, "rows.jsonl")
    assert 0 == done.returncode, done.stderr
    return typed


def check(typed, *more):
    done = typed("dunes", "check-buffer", "--table", TABLE, "--json", *more)
    return done, json.loads(done.stdout or "{}")


def signatures(report):
    return {lane["signature"] for lane in report["lanes"] if lane["frames"]}


def test_signatures_are_verified_where_no_private_key_is(sealed, home):
    (home / "dunes/keys/identity.maml").rename(home / "away.maml")
    done, report = check(sealed)
    assert 0 == done.returncode
    assert "all" == report["sealed"]
    assert {"good"} == signatures(report)


def test_a_deep_check_without_a_key_does_not_claim_to_have_read(sealed, home):
    assert "content" in check(sealed, "--deep")[1]["levels"]
    (home / "dunes/keys/identity.maml").rename(home / "away.maml")
    done, report = check(sealed, "--deep")
    assert 0 == done.returncode
    assert "content" not in report["levels"]
    assert ["sealed"] == [finding["kind"] for finding in report["findings"]]
    read = sealed("dunes", "query", "--table", TABLE)
    assert 1 == read.returncode
    assert "no key is at hand" in read.stderr


def test_another_machine_s_key_is_a_clear_error_and_changes_nothing(sealed, home):
    path = home / "dunes/keys/machine.key"
    right = path.read_bytes()
    before = (home / "dunes/data/buffer.db").read_bytes()
    path.write_text("00" * 32 + "\n")
    for words in (
        ("dunes", "query", "--table", TABLE),
        ("dunes", "ingest", "--table", TABLE, "rows.jsonl"),
        ("dunes", "check-buffer", "--table", TABLE, "--deep"),
        ("dunes", "markup-generate", "--table", TABLE),
    ):
        done = sealed(*words)
        assert 77 == done.returncode
        assert "does not open on this machine" in done.stderr
        assert "restore both from a backup" in done.stderr
    done, report = check(sealed)
    assert 0 == done.returncode
    assert {"good"} == signatures(report)
    path.write_bytes(right)
    assert before == (home / "dunes/data/buffer.db").read_bytes()
    assert 20 == len(
        json.loads(sealed("dunes", "query", "--table", TABLE, "--json").stdout)["readings"]
    )


def test_rotation_loses_nothing_and_keeps_the_gateway_s_name(sealed, home):
    name = check(sealed)[1]["lanes"][0]["gateway"]
    for _ in range(2):
        assert 0 == sealed("dunes", "keys", "rotate").returncode
        assert 0 == sealed("dunes", "ingest", "--table", TABLE, "rows.jsonl").returncode
    done, report = check(sealed, "--deep")
    assert 0 == done.returncode
    assert "content" in report["levels"]
    assert {name} == {lane["gateway"] for lane in report["lanes"]}
    assert 60 == report["readings"]
    found = json.loads(sealed("dunes", "query", "--table", TABLE, "--json").stdout)
    assert (60, 0) == (len(found["readings"]), found["unreadable"])


def test_a_receipt_of_a_sealed_table_is_made_from_what_is_in_it(sealed, home):
    done = sealed("dunes", "markup-generate", "--table", TABLE, "--json")
    assert 0 == done.returncode, done.stderr
    assert 20 == json.loads(done.stdout)["rows"]


def test_a_restored_snapshot_never_seals_under_a_key_and_nonce_again(sealed, home):
    """Every frame that any copy of the place ever wrote: another content, another key."""
    place, copy, kept = home / "dunes", home / "copy", []

    def ingest(value):
        (home / "more.jsonl").write_text(ROWS.replace("hab-1", f"hab-1{value}"))
        done = sealed("dunes", "ingest", "--table", TABLE, "more.jsonl")
        assert 0 == done.returncode, done.stderr
        kept.append(keys_and_bodies(place))

    shutil.copytree(place, copy)
    ingest(1)
    ingest(2)
    for value in (3, 4):  # twice the same snapshot, as a card that is cloned
        shutil.rmtree(place)
        shutil.copytree(copy, place)
        ingest(value)
    found = set().union(*kept)
    assert 5 <= len(found)
    assert len(found) == len({key for key, _ in found})


def keys_and_bodies(place):
    """Give (key and nonce, content) of each frame of a place's buffer, by its own key."""
    identity = load_identity(find_paths({"DUNES_HOME": str(place), "HOME": str(place)}))
    found = set()
    with contextlib.closing(sqlite3.connect(place / "data/buffer.db")) as database:
        records = {}
        for (encoded,) in database.execute("select record from key_record"):
            record = KeyRecord.parse(encoded)
            wrapped = record.wraps[identity.kid]
            secret = identity.recipient.unwrap(wrapped, record.info_for(identity.kid))
            records[record.key_id] = secret, record.record_hash
        for header, body in database.execute("select header, body from frame"):
            secret, record_hash = records[header[60:68]]
            key, nonce = derive_frame_key(secret, record_hash, header[68:84])
            found.add((key + nonce, AESGCM(key).decrypt(nonce, body, header)))
    return found
