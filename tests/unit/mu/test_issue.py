"""Issued receipts against the log and against proofs that travel."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from dunes.crypto.signing import SigningKey
from dunes.errors import StorageError
from dunes.model import Priority, Reading
from dunes.mu import Level, draft, judge
from dunes.mu.checkpoint import cosign, read_checkpoint
from dunes.mu.issue import issue
from dunes.mu.log import TransparencyLog
from dunes.mu.logcheck import verify_all
from dunes.mu.note import LogKey, name_of
from dunes.mu.proof import evidence_of, read_proof
from dunes.mu.tables import table_source

KEY = SigningKey.from_seed(bytes(range(32)))
GROUND = SigningKey.from_seed(bytes(32))
KEYS = {k.kid: k.public for k in (KEY, GROUND)}
ORIGIN = name_of(KEY.kid)


def find(kid):
    return KEYS.get(kid)


def made(text="x: 1\n"):
    at = datetime(2026, 1, 5, tzinfo=UTC)
    return draft(text.encode(), name="a.yaml", at=at, uuid=UUID(int=1), tool="t/1")


def put(log, text="x: 1\n"):
    return issue(made(text), KEY, KEY.public.raw, log)


def asked(log):
    return lambda envelope, statement: log.look_up(envelope, statement, find)


@pytest.fixture
def log(tmp_path):
    with TransparencyLog.open(tmp_path / "log", origin=ORIGIN) as opened:
        yield opened


def test_an_issued_receipt_is_logged_at_the_index_it_names(log):
    for number in range(3):
        issued = put(log, f"x: {number}\n")
        assert (number, number + 1, ORIGIN) == (
            issued.log_index,
            issued.log_size,
            issued.log_origin,
        )
        verdict = judge(issued.data, find=find, look_up=asked(log))
        assert verdict.level is Level.LOGGED
        assert number == verdict.log_index
    assert verify_all(log.directory, find).intact


def test_a_receipt_that_never_claimed_to_be_logged_is_not_refused_for_it(log):
    put(log)
    unlogged = issue(made(), KEY)
    verdict = judge(unlogged.data, find=find, look_up=asked(log))
    assert verdict.valid
    assert verdict.level is Level.SIGNED
    assert issue(made(), None, log=log).log_index is None
    assert log.size == 1


def test_a_receipt_that_names_an_index_it_does_not_have_is_refused(log, tmp_path):
    with TransparencyLog.open(tmp_path / "twin", origin=ORIGIN) as twin:
        lost = put(twin, "other: 1\n")
    put(log)
    verdict = judge(lost.data, find=find, look_up=asked(log))
    assert not verdict.valid
    assert verdict.failure.code == "not-in-log"


def test_a_receipt_of_another_log_is_not_refused_here(log, tmp_path):
    with TransparencyLog.open(tmp_path / "other", origin="dunes/elsewhere") as other:
        theirs = put(other)
    put(log)
    verdict = judge(theirs.data, find=find, look_up=asked(log))
    assert verdict.valid
    assert verdict.level is Level.SIGNED


def test_a_countersigned_log_makes_its_receipts_cosigned(log):
    first, second = put(log, "a: 1\n"), put(log, "b: 1\n")
    note = log.note()
    line = cosign(
        note.encode(), GROUND, GROUND.public.raw, log_key=LogKey(ORIGIN, KEY.public), unix_s=1
    )
    log.add_cosignature(note, line, find)
    third = put(log, "c: 1\n")
    for issued, level in (
        (first, Level.COSIGNED),
        (second, Level.COSIGNED),
        (third, Level.LOGGED),
    ):
        verdict = judge(issued.data, find=find, look_up=asked(log))
        assert level is verdict.level
    assert judge(first.data, find=find, look_up=asked(log)).cosigners == (GROUND.kid,)
    proof = read_proof(log.proof(0))
    verdict = judge(first.data, find=find, look_up=lambda e, s: evidence_of(proof, e, s, find))
    assert verdict.level is Level.COSIGNED
    only_ground = {GROUND.kid: GROUND.public}.get
    assert judge(first.data, find=only_ground).level is Level.DIGEST


def test_the_logs_own_key_is_no_countersigner(log):
    issued = put(log)
    note = log.note()
    line = cosign(note.encode(), KEY, KEY.public.raw, log_key=LogKey(ORIGIN, KEY.public), unix_s=1)
    log.add_cosignature(note, line, find)
    assert judge(issued.data, find=find, look_up=asked(log)).level is Level.LOGGED


def judged_by(proof_bytes, issued, keys=find):
    proof = read_proof(proof_bytes)
    return judge(issued.data, find=find, look_up=lambda e, s: evidence_of(proof, e, s, keys))


def test_a_proof_stands_for_the_log(log):
    issued = [put(log, f"x: {n}\n") for n in range(5)]
    assert judged_by(log.proof(3), issued[3]).level is Level.LOGGED
    assert judged_by(log.proof(3), issued[2]).failure.code == "log-contradiction"
    assert judged_by(log.proof(3), issued[3], lambda _: None).failure.code == (
        "untrusted-checkpoint"
    )
    wrong_hash = log.proof(3).replace(log.proof(3).split(b"\n")[2], b"A" * 43 + b"=")
    assert judged_by(wrong_hash, issued[3]).failure.code == "not-in-log"
    checkpoint = read_checkpoint(read_proof(log.proof(3)).note.text)
    grown = log.proof(3).replace(
        f"\n{checkpoint.size}\n".encode(), f"\n{checkpoint.size + 1}\n".encode()
    )
    assert judged_by(grown, issued[3]).failure.code == "bad-signature"


def test_a_proof_of_another_log_is_refused(log, tmp_path):
    issued = put(log)
    with TransparencyLog.open(tmp_path / "other", origin="dunes/elsewhere") as other:
        put(other)
        assert judged_by(other.proof(0), issued).failure.code == "log-contradiction"


def test_a_spoiled_countersigned_checkpoint_is_noticed(log):
    issued = put(log)
    note = log.note()
    line = cosign(
        note.encode(), GROUND, GROUND.public.raw, log_key=LogKey(ORIGIN, KEY.public), unix_s=1
    )
    log.add_cosignature(note, line, find)
    path = log.directory / "checkpoint.cosigned"
    head, _, body = path.read_bytes().rpartition(b" ")
    path.write_bytes(head + b" " + body[:20] + (b"A" if body[20:21] != b"A" else b"B") + body[21:])
    verdict = judge(issued.data, find=find, look_up=asked(log))
    assert not verdict.valid
    assert verdict.failure.code == "bad-signature"


def test_a_disk_that_says_no_leaves_no_entry(log, monkeypatch):
    import dunes.mu.logfile as storage

    put(log)
    real = storage.os.pwrite
    monkeypatch.setattr(
        "dunes.mu.logfile.os.pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space"))
    )
    with pytest.raises(StorageError, match="No space"):
        put(log, "y: 1\n")
    monkeypatch.setattr("dunes.mu.logfile.os.pwrite", real)
    assert put(log, "z: 1\n").log_index == 1
    assert verify_all(log.directory, find).intact


def test_readings_become_canonical_json_lines():
    readings = [
        Reading("hab-1", "co2", 412.5, "ppm", 1_767_600_000_000_000, seq=7),
        Reading("hab-1", "state", "🐪 ok", "", 1, Priority.ALERT, simulated=True),
    ]
    source = table_source("lunar_telemetry", {"device": "hab-1"}, readings)
    assert source.data.decode() == (
        '{"device":"hab-1","kind":"co2","priority":2,"seq":7,"ts_us":1767600000000000,'
        '"unit":"ppm","value":412.5}\n'
        '{"device":"hab-1","kind":"state","priority":0,"simulated":true,"ts_us":1,'
        '"unit":"","value":"🐪 ok"}\n'
    )
    assert source.more == {
        "source": {
            "kind": "table",
            "table": "lunar_telemetry",
            "query": {"device": "hab-1"},
            "rows": 2,
        }
    }
