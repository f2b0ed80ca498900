"""The log: hashing, proofs, checkpoints, countersigning, and what a crash leaves."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunes.crypto.errors import BadSignature
from dunes.crypto.merkle import EMPTY_ROOT, leaf_hash, root
from dunes.crypto.signing import SigningKey, VerifyKey
from dunes.errors import DataError, NotFound
from dunes.mu.checkpoint import (
    Checkpoint,
    CosignerKey,
    check_grown,
    cosign,
    cosigned_message,
    cosigners_of,
    read_checkpoint,
)
from dunes.mu.errors import BadNote, LogDamaged, NotTheSame
from dunes.mu.log import TransparencyLog
from dunes.mu.logcheck import verify_all
from dunes.mu.logfile import HashIndex, Row
from dunes.mu.note import Ed25519Key, LogKey, name_of, read_note, verify_note
from dunes.mu.proof import read_proof
from dunes.mu.tree import (
    is_consistent,
    prove_consistency,
    prove_inclusion,
    root_at,
    stored_hash_count,
)

ANSWERS = json.loads((Path(__file__).parents[2] / "vectors/mu/log-answers.json").read_text())
KEY = SigningKey.from_seed(bytes(range(32)))
GROUND = SigningKey.from_seed(bytes(32))
STRANGER = SigningKey.from_seed(b"\x07" * 32)
KEYS = {k.kid: k.public for k in (KEY, GROUND)}
LOG_KEY = LogKey(name_of(KEY.kid), KEY.public)


def find(kid):
    return KEYS.get(kid)


def fresh(tmp_path, count=0, start=0):
    log = TransparencyLog.open(tmp_path / "log", origin=name_of(KEY.kid))
    add(log, count, start)
    return log


def add(log, count, start=0):
    log.append([lambda i, n=n: b"entry %d %d" % (i, n + start) for n in range(count)])


def sign(log):
    return log.sign(KEY, KEY.public.raw)


# an independent verifier, from RFC 9162 and nothing of ours


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tree_hash(entries):
    if not entries:
        return sha(b"")
    if len(entries) == 1:
        return sha(b"\x00", entries[0])
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha(b"\x01", tree_hash(entries[:k]), tree_hash(entries[k:]))


def includes(entry, index, size, proof, expected):
    fn, sn, r = index, size - 1, sha(b"\x00", entry)
    for p in proof:
        if sn == 0:
            return False
        if fn % 2 or fn == sn:
            r = sha(b"\x01", p, r)
            while fn % 2 == 0 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha(b"\x01", r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == expected


def memory_tree(count):
    index = HashIndex(Path("/nonexistent/index"))
    for n in range(count):
        data = b"%d" % n
        index.add(Row(n, data, leaf_hash(data), n + 1))
    return index


# hashing


def test_the_known_answers_of_rfc_9162():
    assert ANSWERS["empty"] == EMPTY_ROOT.hex()
    for data, expected in ANSWERS["leaves"].items():
        assert expected == leaf_hash(data.encode()).hex()
    assert ANSWERS["root_abc"] == root([b"a", b"b", b"c"]).hex()


def test_roots_and_proofs_hold_for_an_independent_verifier_at_every_size():
    tree = memory_tree(69)
    entries = [b"%d" % n for n in range(69)]
    for size in range(70):
        expected = tree_hash(entries[:size])
        assert expected == root_at(size, tree.hash_at)
        for index in range(size):
            proof = prove_inclusion(index, size, tree.hash_at)
            assert includes(entries[index], index, size, proof, expected)
            assert not includes(entries[index] + b"x", index, size, proof, expected)


def test_consistency_proofs_hold_between_all_sizes_and_no_other():
    tree = memory_tree(40)
    roots = [root_at(size, tree.hash_at) for size in range(41)]
    for size in range(41):
        for old in range(size + 1):
            proof = prove_consistency(old, size, tree.hash_at)
            assert is_consistent(old, size, proof, roots[old], roots[size])
            if 0 < old < size:
                assert not is_consistent(old, size, proof, roots[old], b"x" * 32)
                assert not is_consistent(old, size, proof, b"x" * 32, roots[size])
                assert not is_consistent(old, size, proof[:-1], roots[old], roots[size])
                assert not is_consistent(old, size, [*proof, b"x" * 32], roots[old], roots[size])
                other = old + 1
                assert not is_consistent(other, size, proof, roots[old], roots[size])


@given(st.integers(0, 10**12))
def test_stored_hashes_are_counted(leaves):
    assert (
        stored_hash_count(leaves + 1) - stored_hash_count(leaves)
        == 1 + ((leaves + 1) & -(leaves + 1)).bit_length() - 1
    )


def test_a_proof_for_no_leaf_is_refused():
    tree = memory_tree(3)
    with pytest.raises(IndexError):
        prove_inclusion(3, 3, tree.hash_at)
    with pytest.raises(IndexError):
        prove_consistency(4, 3, tree.hash_at)


# notes and checkpoints


def test_a_foreign_ed25519_checkpoint_verifies():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(ANSWERS["ed25519_seed"]))
    public = private.public_key().public_bytes_raw()
    note = read_note(ANSWERS["checkpoint"].encode())
    key = Ed25519Key("example.org/dunes/gateway-01", public)
    assert [key] == verify_note(note, [key])
    checkpoint = read_checkpoint(note.text)
    assert (3, ANSWERS["root_abc"]) == (checkpoint.size, checkpoint.root.hex())
    assert ANSWERS["checkpoint"].encode() == note.encode()
    changed = read_note(ANSWERS["checkpoint"].replace("\n3\n", "\n4\n").encode())
    with pytest.raises(BadSignature):
        verify_note(changed, [key])
    assert verify_note(changed, [Ed25519Key("somebody.else", public)]) == []


def test_an_mldsa_44_cosignature_has_the_shape_of_c2sp():
    signer = SigningKey.generate("ML-DSA-44")
    note = read_note(ANSWERS["checkpoint"].encode())
    checkpoint = read_checkpoint(note.text)
    name = "example.org/dunes/earth-gs"
    message = cosigned_message(name, 1_767_600_000, checkpoint)
    assert ANSWERS["cosigned_message_bytes"] == len(message)
    assert message.startswith(b"subtree/v1\n\x00" + bytes([len(name)]) + name.encode())
    key = CosignerKey(name, signer.public)
    expected = sha(name.encode(), b"\n\x06", signer.public.raw)[:4]
    assert expected == key.key_id
    body = (1_767_600_000).to_bytes(8, "big") + signer.sign(message, b"")
    key.check(note.text, body)
    line = f"\u2014 {name} " + base64.b64encode(key.key_id + body).decode()
    assert ANSWERS["cosignature_line_chars"] == len(line)
    with pytest.raises(BadSignature):
        key.check(note.text, body[:7] + b"\x09" + body[8:])
    with pytest.raises(BadSignature):
        key.check(note.text, b"short")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno dash\n",
        "text\n\n\u2014 name\n".encode(),
        "text\n\n\u2014 name AAAA\n".encode(),
        "text\n\n\u2014 na+me AAAAAAAA\n".encode(),
        "text\n\n\u2014  AAAAAAAA\n".encode(),
        "text\n\n\u2014 name ????????\n".encode(),
        "text\n\n\u2014 name AAAAAAAA".encode(),
        "text\r\n\n\u2014 name AAAAAAAA\n".encode(),
        b"\xff\n\n",
        b"x" * 300_000,
        ("text\n\n" + "\u2014 name AAAAAAAA\n" * 33).encode(),
    ],
)
def test_what_is_no_note_is_refused(data):
    with pytest.raises(BadNote):
        read_note(data)


def test_sixteen_signatures_are_read():
    assert len(read_note(("t\n\n" + "\u2014 name AAAAAAAA\n" * 16).encode()).signatures) == 16


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n٣\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n" + "9" * 20 + "\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "a\n1\n???\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "a" * 256 + "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(BadNote):
        read_checkpoint(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_a_proof_or_refused(data):
    for raw in (data, b"t\n\n\xe2\x80\x94 " + data, b"c2sp.org/tlog-proof@v1\nindex " + data):
        for reader in (read_note, read_proof):
            try:
                reader(raw)
            except BadNote:
                continue


# the log


def test_entries_are_kept_in_order_and_found(tmp_path):
    with fresh(tmp_path, 5) as log:
        assert log.size == 5
        assert log.entry(3) == b"entry 3 3"
        assert log.find(b"entry 2 2") == 2
        assert log.find(b"nothing") is None
        with pytest.raises(NotFound):
            log.entry(5)
        with pytest.raises(NotFound):
            log.entry(-1)
    with TransparencyLog(tmp_path / "log") as again:
        assert [b"entry %d %d" % (n, n) for n in range(5)] == [r.data for r in again.rows()]
        assert tree_hash([b"entry %d %d" % (n, n) for n in range(5)]) == again.root()


def test_there_is_no_log_before_the_first_entry(tmp_path):
    with pytest.raises(NotFound) as caught:
        TransparencyLog(tmp_path / "log")
    assert caught.value.code == "no-log"


@pytest.mark.parametrize("data", [b"", b"a\nb", b"x" * 300_000])
def test_an_entry_is_one_line(tmp_path, data):
    with fresh(tmp_path) as log, pytest.raises(DataError):
        log.append([lambda _: data])


def test_a_signed_log_is_verified_and_proved(tmp_path):
    with fresh(tmp_path, 9) as log:
        note = sign(log)
        assert [LOG_KEY] == verify_note(note, [LOG_KEY])
        proof = read_proof(log.proof(4))
        assert proof.covers(b"entry 4 4")
        assert not proof.covers(b"entry 4 5")
        assert includes(b"entry 4 4", 4, 9, proof.hashes, proof.checkpoint.root)
    check = verify_all(tmp_path / "log", find)
    assert check.intact
    assert (9, 9, (KEY.kid,)) == (check.size, check.checkpoint_size, check.signers)


def test_an_entry_beyond_the_checkpoint_has_no_proof_yet(tmp_path):
    with fresh(tmp_path, 2) as log:
        with pytest.raises(NotFound):
            log.proof(1)
        sign(log)
        add(log, 1)
        with pytest.raises(NotFound):
            log.proof(2)
        assert read_proof(log.proof(1)).checkpoint.size == 2


def test_two_processes_append_to_one_log(tmp_path):
    with fresh(tmp_path, 1) as one, TransparencyLog(tmp_path / "log") as two:
        for _ in range(5):
            add(one, 2)
            sign(two)
            add(two, 3)
            sign(one)
    with TransparencyLog(tmp_path / "log") as log:
        assert log.size == 26
        assert [r.data.split()[1] for r in log.rows()] == [b"%d" % n for n in range(26)]
    assert verify_all(tmp_path / "log", find).intact


@pytest.mark.parametrize("cut", [1, 5, 40, 70, 77])
def test_a_torn_end_is_left_out_and_written_over(tmp_path, cut):
    with fresh(tmp_path, 4) as log:
        sign(log)
        add(log, 1, start=100)
    entries = tmp_path / "log" / "entries"
    whole = entries.read_bytes()
    entries.write_bytes(whole[:-cut])
    with TransparencyLog(tmp_path / "log") as log:
        assert log.size == 4
        add(log, 1, start=7)
        assert log.entry(4) == b"entry 4 7"
        sign(log)
    check = verify_all(tmp_path / "log", find)
    assert check.intact
    assert check.size == 5


def test_entries_that_a_checkpoint_counts_are_missed(tmp_path):
    with fresh(tmp_path, 4) as log:
        sign(log)
    entries = tmp_path / "log" / "entries"
    entries.write_bytes(entries.read_bytes()[:-10])
    with pytest.raises(LogDamaged) as caught:
        TransparencyLog(tmp_path / "log")
    assert caught.value.code == "log-shrunk"
    check = verify_all(tmp_path / "log", find)
    assert not check.intact
    assert check.contradictions == ("checkpoint: it counts 4 entries, 3 are good",)


def test_a_changed_entry_is_noticed_and_never_cut_off(tmp_path):
    with fresh(tmp_path, 4):
        pass
    entries = tmp_path / "log" / "entries"
    data = entries.read_bytes().replace(b"entry 3 3", b"entry 3 4")
    entries.write_bytes(data)
    with pytest.raises(LogDamaged, match="entry 3"):
        TransparencyLog(tmp_path / "log")
    assert data == entries.read_bytes()
    assert "entry 3" in verify_all(tmp_path / "log", find).damaged


def test_a_rewritten_log_contradicts_its_checkpoint(tmp_path):
    with fresh(tmp_path, 4) as log:
        sign(log)
    with fresh(tmp_path / "other", 4, start=9) as forged:
        forged.close()
    source = tmp_path / "other" / "log" / "entries"
    (tmp_path / "log" / "entries").write_bytes(source.read_bytes())
    with pytest.raises(LogDamaged, match="entries were changed"):
        TransparencyLog(tmp_path / "log")
    assert not verify_all(tmp_path / "log", find).intact


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d[:0],
        lambda d: d[:-7],
        lambda d: d[:20],
        lambda d: bytes(len(d)),
        lambda d: d[:8] + bytes(32) + d[40:],
        lambda d: d + b"garbage" * 50,
    ],
)
def test_a_spoiled_index_is_made_again(tmp_path, spoil):
    with fresh(tmp_path, 20) as log:
        sign(log)
        expected = log.root()
    index = tmp_path / "log" / "index"
    index.write_bytes(spoil(index.read_bytes()))
    with TransparencyLog(tmp_path / "log") as log:
        assert expected == log.root()
        add(log, 3)
        sign(log)
        assert verify_all(tmp_path / "log", find).root == log.root()
    with TransparencyLog(tmp_path / "log") as log:
        assert log.entry(22) == b"entry 22 2"


def test_a_file_that_is_no_log_is_refused(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "entries").write_bytes(b"something else\n")
    with pytest.raises(LogDamaged):
        TransparencyLog(tmp_path / "log")


def test_a_checkpoint_of_another_log_is_noticed(tmp_path):
    with fresh(tmp_path, 2) as log:
        sign(log)
    path = tmp_path / "log" / "checkpoint"
    path.write_bytes(path.read_bytes().replace(KEY.kid.encode(), GROUND.kid.encode()))
    with pytest.raises(LogDamaged, match="of log dunes/"):
        TransparencyLog(tmp_path / "log")


# countersigning


def test_the_ground_station_countersigns_what_only_grew(tmp_path):
    with fresh(tmp_path, 3) as log:
        first = sign(log)
        line = cosign(first.encode(), GROUND, GROUND.public.raw, log_key=LOG_KEY, unix_s=1)
        log.add_cosignature(first, line, find)
        seen = read_checkpoint(first.text)
        add(log, 4)
        second = sign(log)
        proof = log.prove_consistency(3, 7)
        line = cosign(
            second.encode(),
            GROUND,
            GROUND.public.raw,
            log_key=LOG_KEY,
            unix_s=2,
            previous=seen,
            proof=proof,
        )
        full = log.add_cosignature(second, line, find)
        assert cosigners_of(full, find) == (GROUND.kid,)
        assert read_proof(log.proof(6)).checkpoint.size == 7
    check = verify_all(tmp_path / "log", find)
    assert check.intact
    assert (7, (GROUND.kid,)) == (check.cosigned_size, check.cosigners)


def test_the_ground_station_refuses_a_log_that_changed_or_shrank(tmp_path):
    with fresh(tmp_path, 3) as log, fresh(tmp_path / "b", 5, start=50) as other:
        seen = log.state()
        for state, proof in (
            (other.state(), other.prove_consistency(3)),
            (other.state(2), []),
            (Checkpoint("dunes/x", 9, bytes(32)), []),
            (other.state(3), []),
        ):
            with pytest.raises(NotTheSame):
                check_grown(seen, state, proof)
        forged = sign(other)
        with pytest.raises(NotTheSame):
            cosign(
                forged.encode(),
                GROUND,
                GROUND.public.raw,
                log_key=LOG_KEY,
                unix_s=1,
                previous=seen,
                proof=other.prove_consistency(3),
            )


def test_the_ground_station_refuses_a_checkpoint_of_a_stranger(tmp_path):
    with fresh(tmp_path, 3) as log:
        note = log.sign(STRANGER, STRANGER.public.raw)
    with pytest.raises(BadSignature):
        cosign(note.encode(), GROUND, GROUND.public.raw, log_key=LOG_KEY, unix_s=1)


def test_a_cosignature_is_kept_only_if_it_is_one(tmp_path):
    with fresh(tmp_path, 3) as log:
        note = sign(log)
        stranger = cosign(note.encode(), STRANGER, STRANGER.public.raw, log_key=LOG_KEY, unix_s=1)
        with pytest.raises(BadSignature):
            log.add_cosignature(note, stranger, find)
        good = cosign(note.encode(), GROUND, GROUND.public.raw, log_key=LOG_KEY, unix_s=1)
        with fresh(tmp_path / "b", 3, start=5) as other:
            foreign = sign(other)
            line = cosign(foreign.encode(), GROUND, GROUND.public.raw, log_key=LOG_KEY, unix_s=1)
            with pytest.raises(NotTheSame):
                log.add_cosignature(foreign, line, find)
            with pytest.raises(BadSignature):
                log.add_cosignature(note, line, find)
        assert log.note("checkpoint.cosigned") is None
        log.add_cosignature(note, good, find)
        assert log.note("checkpoint.cosigned") is not None


# crashes

WRITER = """
import sys
from pathlib import Path
from dunes.mu.log import TransparencyLog
log = TransparencyLog.open(Path(sys.argv[1]), origin="dunes/test")
while True:
    [index] = log.append([lambda i: b"%d " % i + b"x" * 20000])
    print(index, flush=True)
"""


@pytest.mark.parametrize("round_", range(4))
def test_no_acknowledged_entry_is_lost_when_the_writer_is_killed(tmp_path, round_):
    directory = tmp_path / "log"
    acknowledged = -1
    for again in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory)], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(0.01 + 0.013 * round_ + 0.007 * again)
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split()
        process.stdout.close()
        process.wait()
        acknowledged = max([acknowledged, *map(int, rest)])
        with TransparencyLog(directory) as log:
            assert log.size > acknowledged
            for index, row in enumerate(log.rows()):
                assert row.data.startswith(b"%d " % index)
    assert verify_all(directory, find).damaged is None


def test_the_verify_key_fits_the_protocol():
    assert isinstance(KEY.public, VerifyKey)
