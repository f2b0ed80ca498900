"""Countersigning between a gateway's log and a ground station, request by request."""

import pytest

from dunes.crypto.errors import BadSignature
from dunes.crypto.signing import SigningKey
from dunes.mu.checkpoint import cosigners_of
from dunes.mu.errors import BadNote, NotTheSame
from dunes.mu.log import TransparencyLog
from dunes.mu.logcheck import verify_all
from dunes.mu.note import name_of, read_signature
from dunes.mu.witness import OldSize, Witness, encode_request, read_request

KEY = SigningKey.from_seed(bytes(range(32)))
GROUND = SigningKey.from_seed(bytes(32))
KEYS = {k.kid: k.public for k in (KEY, GROUND)}


def find(kid):
    return KEYS.get(kid)


@pytest.fixture
def log(tmp_path):
    with TransparencyLog.open(tmp_path / "log", origin=name_of(KEY.kid)) as opened:
        yield opened


@pytest.fixture
def witness(tmp_path):
    return Witness(tmp_path / "witness", GROUND, GROUND.public.raw)


def grow(log, count, mark=b"x"):
    log.append([lambda i: mark + b" %d" % i] * count)
    log.sign(KEY, KEY.public.raw)


def meet(log, witness, old=None):
    """Let a gateway ask once, as sync does."""
    asked = log.request_cosignature(log.cosigned_size() if old is None else old)
    assert asked is not None
    note, request = asked
    line = witness.answer(request, find, 1_767_600_000)
    return log.add_cosignature(note, read_signature(line.decode().removesuffix("\n")), find)


def test_a_log_is_countersigned_as_it_grows(log, witness):
    for count in (3, 1, 13):
        grow(log, count)
        full = meet(log, witness)
        assert cosigners_of(full, find) == (GROUND.kid,)
        assert log.cosigned_size() == log.size == witness.last(log.origin).size
        assert log.request_cosignature(log.size + 1) is None
    assert verify_all(log.directory, find).cosigners == (GROUND.kid,)


def test_an_unsigned_log_has_nothing_to_countersign(log):
    assert log.request_cosignature(0) is None


def test_a_gateway_that_lost_the_answer_asks_again(log, witness):
    grow(log, 3)
    note, request = log.request_cosignature(0)
    witness.answer(request, find, 1)  # the line is lost on the way
    with pytest.raises(OldSize) as caught:
        witness.answer(request, find, 2)
    assert caught.value.size == 3
    meet(log, witness, old=3)
    assert log.cosigned_size() == 3
    grow(log, 2)
    meet(log, witness)
    assert log.cosigned_size() == 5
    assert note is not None


def test_a_rewritten_log_is_refused_and_the_memory_stays(log, witness, tmp_path):
    grow(log, 3)
    meet(log, witness)
    with TransparencyLog.open(tmp_path / "forged", origin=log.origin) as forged:
        grow(forged, 5, b"y")
        _, request = forged.request_cosignature(3)
        with pytest.raises(NotTheSame):
            witness.answer(request, find, 1)
    assert log.root() == witness.last(log.origin).root
    grow(log, 1)
    meet(log, witness)


def test_a_stranger_gets_no_signature_and_leaves_no_trace(log, witness, tmp_path):
    log.append([lambda _: b"x"])
    stranger = SigningKey.from_seed(b"\x09" * 32)
    note = log.sign(stranger, stranger.public.raw)
    with pytest.raises(BadSignature):
        witness.answer(encode_request(0, [], note.encode()), find, 1)
    forged = note.encode().replace(stranger.kid.encode(), KEY.kid.encode())
    with pytest.raises(BadSignature):
        witness.answer(encode_request(0, [], forged), find, 1)
    assert witness.last(log.origin) is None
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"old 0",
        b"old 00\n\nx",
        b"old -1\n\nx",
        b"new 0\n\nx",
        b"0\n\nx",
        b"old 1\n????\n\nx",
        b"old 1\nAAAA\n\nx",
        b"old 1\n\xff\n\nx",
        b"old " + b"9" * 30 + b"\n\nx",
        b"old 0\n\n" + b"x" * 400_000,
        b"old 1\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 200 + b"\nx",
    ],
)
def test_what_is_no_request_is_refused(data):
    with pytest.raises(BadNote):
        read_request(data)


def test_a_request_is_written_and_read_back():
    request = read_request(encode_request(7, [bytes(32), b"\x01" * 32], b"note\n"))
    assert (request.old, request.proof, request.note) == (
        7,
        (bytes(32), b"\x01" * 32),
        b"note\n",
    )
