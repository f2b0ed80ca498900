"""Entropy: never weaker than the operating system's, and honest about the rest."""

import base64
import json
import os
import sys

import pytest

from dunes.crypto import entropy, sources
from dunes.crypto.errors import EntropyFailed
from dunes.errors import UsageError

GOOD = bytes((i * 167 + (i >> 3) * 59) % 256 for i in range(256))
OS_A, OS_B = b"a" * 64, b"b" * 64


def draw(data):
    return entropy.Draw(data, "test", quantum=False, statement="s", meta=b"test")


def test_seeds_of_a_dead_source_differ_with_every_draw_of_the_system():
    seeds = {entropy.mix(draw(bytes(64)), os.urandom(64)).expand("x", 32) for _ in range(1000)}
    assert 1000 == len(seeds)


def test_each_part_of_the_mix_counts():
    made = {
        entropy.mix(given, system).expand(label, 32)
        for given in (None, draw(b""), draw(b"q"), entropy.Draw(b"q", "t", False, "s", b"m"))
        for system in (OS_A, OS_B)
        for label in ("ML-DSA-65", "X25519")
    }
    assert 16 == len(made)


def test_the_mix_is_hmac_then_hkdf_expand():
    """Written out once more, as docs/formats.md says."""
    import hashlib
    import hmac

    text = (1).to_bytes(8, "big") + b"q" + (4).to_bytes(8, "big") + b"test"
    prk = hmac.new(OS_A, text, hashlib.sha512).digest()
    first = hmac.new(prk, b"dunes/entropy/v1/ML-KEM-768" + b"\x01", hashlib.sha512).digest()
    assert first == entropy.mix(draw(b"q"), OS_A).expand("ML-KEM-768", 64)


def test_nothing_but_the_system_is_credited():
    account = entropy.mix(draw(b"q" * 64), OS_A).account
    assert (512, 512, 0) == (account.os_bits, account.source_bits, account.credited_bits)
    assert {"os": 512} == entropy.mix(None, OS_A).account.as_document()
    simulated = entropy.Draw(b"q" * 64, "simulator:statevector", False, "s")
    assert {
        "os": 512,
        "quantum": {
            "source": "simulator:statevector",
            "bits": 512,
            "quantum": False,
            "credited_bits": 0,
        },
    } == entropy.mix(simulated, OS_A).account.as_document()


def test_the_root_is_not_shown():
    seeds = entropy.mix(None, OS_A)
    assert "prk" not in repr(seeds)


@pytest.mark.parametrize("bits", [0, 255, 257, 65544, -512])
def test_a_number_of_bits_that_cannot_be_drawn_is_a_usage_error(bits):
    with pytest.raises(UsageError):
        entropy.check_bits(bits)


@pytest.mark.parametrize("bits", [256, 512, 65536])
def test_usual_numbers_of_bits_are_accepted(bits):
    assert bits == entropy.check_bits(bits)


def test_good_randomness_raises_no_alarm():
    for _ in range(300):
        entropy.check_health(os.urandom(256), "os")


@pytest.mark.parametrize("stuck", [b"\x00", b"\xff"])
def test_a_stuck_source_fails_the_repetition_count(stuck):
    with pytest.raises(EntropyFailed, match="repetition count"):
        entropy.check_health(stuck * 256, "stuck")


def test_a_biased_source_fails_the_adaptive_proportion():
    # 80 % ones, never 31 in a row
    with pytest.raises(EntropyFailed, match="adaptive proportion"):
        entropy.check_health(b"\xf7\xbb" * 64 + b"\xef\xbd" * 64, "biased")


def test_the_tests_find_breakage_not_predictability():
    entropy.check_health(b"\x55" * 256, "a metronome")  # passes, and is worth nothing


def test_a_file_gives_what_it_holds_after_its_startup_bits(tmp_path):
    path = tmp_path / "noise.bin"
    noise = os.urandom(1000)
    path.write_bytes(noise)
    found = sources.draw(f"file:{path}", 512)
    assert (noise[128:192], False) == (found.data, found.quantum)
    assert "by your word" in found.statement


def test_a_file_that_is_too_short_or_absent_is_named(tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"x")
    with pytest.raises(EntropyFailed, match="gave 1 bytes; 192 are needed"):
        sources.draw(f"file:{path}", 512)
    with pytest.raises(EntropyFailed, match="cannot be read"):
        sources.draw(f"file:{tmp_path}/none", 512)


def test_a_file_of_zeros_fails_its_health_test(tmp_path):
    path = tmp_path / "zeros"
    path.write_bytes(bytes(1000))
    with pytest.raises(EntropyFailed, match="health test"):
        sources.draw(f"file:{path}", 512)


@pytest.mark.parametrize("name", ["", "lava-lamp", "http:", "http:none", "file:", "OS"])
def test_an_unknown_source_is_a_usage_error_that_names_those_there_are(name):
    with pytest.raises(UsageError, match="os, qiskit, file:PATH, http:NAME"):
        sources.draw(name, 512)


def test_the_simulator_says_what_it_is():
    pytest.importorskip("qiskit", reason="the extra qrng is not installed")
    found = sources.draw("qiskit", 512)
    assert (64, False, "simulator:statevector") == (len(found.data), found.quantum, found.source)
    assert "0 bits of entropy credited" in found.statement


def test_without_qiskit_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "qiskit", None)
    with pytest.raises(EntropyFailed) as caught:
        sources.draw("qiskit", 512)
    assert "pip install 'dunes-mcp[qrng]'" == caught.value.hint


REPLIES = {
    "anu": {"success": True, "type": "uint8", "length": 256, "data": list(GOOD)},
    "qrypt": {"random": [base64.b64encode(GOOD * 4).decode()], "size": 1},
    "lfd": {"qrn": GOOD.hex(), "length": 256},
}


@pytest.mark.parametrize("name", REPLIES)
def test_replies_of_the_services_are_read_as_documented(name):
    body = json.dumps(REPLIES[name]).encode()
    assert GOOD == sources.parse_reply(sources.PROVIDERS[name], body, 256)


@pytest.mark.parametrize("name", REPLIES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>",
        b"[" * 60_000,
        b'{"success":true,"type":"uint8","data":[256],"random":["!"],"qrn":"zz"}',
        b'{"success":true,"type":"uint8","data":["a"],"random":[1],"qrn":7}',
        b'{"success":true,"type":"uint8","data":1000000000000,"random":{},"qrn":null}',
        b'{"success":true,"type":"uint8","data":[1,2],"random":["AAAA"],"qrn":"00"}',
    ],
    ids=lambda body: body[:24].decode(),
)
def test_any_other_reply_is_refused(name, body):
    with pytest.raises(EntropyFailed):
        sources.parse_reply(sources.PROVIDERS[name], body, 256)


def test_a_service_without_tls_or_without_its_key_is_not_asked():
    with pytest.raises(UsageError, match="https"):
        sources.draw("http:lfd", 512, url="http://127.0.0.1:1/")
    with pytest.raises(EntropyFailed, match="needs a key"):
        sources.draw("http:anu", 512)
    with pytest.raises(UsageError, match="no header can"):
        sources.draw("http:anu", 512, api_key="a\r\nb: c")


def test_the_services_key_comes_from_a_file_or_the_environment(tmp_path):
    path = tmp_path / "key"
    path.write_text("k-1\n")
    found = sources.api_key_from_environment({"DUNES_ENTROPY_KEY_FILE": str(path)})
    assert "k-1" == found
    assert "k-2" == sources.api_key_from_environment({"DUNES_ENTROPY_KEY": " k-2 "})
    assert "" == sources.api_key_from_environment({})
