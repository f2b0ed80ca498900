"""The log's files read from their description alone, with hashlib and `cryptography`."""

import base64
import hashlib
import struct
from datetime import UTC, datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import mldsa

from dunes.crypto.signing import SigningKey
from dunes.mu import draft
from dunes.mu.issue import issue
from dunes.mu.log import TransparencyLog
from dunes.mu.note import name_of, read_signature
from dunes.mu.witness import Witness

LOG_TYPE = b"\xffdunes-mcp/ml-dsa-65/1"
COSIGNER_TYPE = b"\xffdunes-mcp/ml-dsa-65-cosignature/1"


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tree_hash(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else sha()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\x01", tree_hash(leaves[:k]), tree_hash(leaves[k:]))


def note_key_id(name, kind, public):
    return sha(name.encode(), b"\n", kind, public)[:4]


def signatures(note):
    text, _, rest = note.rpartition("\n\n")
    lines = [line.removeprefix("— ").split(" ") for line in rest.splitlines()]
    return text + "\n", {name: base64.b64decode(body) for name, body in lines}


def test_entries_checkpoint_and_cosignature_are_as_described(tmp_path):
    gateway, ground = SigningKey.generate(), SigningKey.generate()
    keys = {k.kid: k.public for k in (gateway, ground)}
    directory = tmp_path / "log"
    with TransparencyLog.open(directory, origin=name_of(gateway.kid)) as log:
        for n in range(5):
            at = datetime(2026, 1, 5, tzinfo=UTC)
            made = draft(b"%d" % n, name="a.txt", at=at, uuid=UUID(int=n), tool="t/1")
            issue(made, gateway, gateway.public.raw, log)
        note, request = log.request_cosignature(0)
        line = Witness(tmp_path / "w", ground, ground.public.raw).answer(request, keys.get, 77)
        log.add_cosignature(note, read_signature(line.decode().strip()), keys.get)

    header, *rows = (directory / "entries").read_bytes().splitlines()
    origin = f"dunes/{gateway.kid}"
    assert header == b"dunes-log/1 " + origin.encode()
    leaves = []
    for row in rows:
        shown, _, data = row.partition(b" ")
        leaves.append(sha(b"\x00", data))
        assert leaves[-1].hex().encode() == shown

    text, signed = signatures((directory / "checkpoint.cosigned").read_text())
    root = tree_hash(leaves)
    assert text == f"{origin}\n5\n{base64.b64encode(root).decode()}\n"

    def public(key):
        return mldsa.MLDSA65PublicKey.from_public_bytes(key.public.raw)

    own = signed[origin]
    assert own[:4] == note_key_id(origin, LOG_TYPE, gateway.public.raw)
    public(gateway).verify(own[4:], text.encode(), b"dunes/2048-aes/v1/checkpoint")

    name = f"dunes/{ground.kid}"
    other = signed[name]
    assert other[:4] == note_key_id(name, COSIGNER_TYPE, ground.public.raw)
    assert other[4:12] == struct.pack(">Q", 77)
    message = b"subtree/v1\n\x00" + bytes([len(name)]) + name.encode() + other[4:12]
    message += bytes([len(origin)]) + origin.encode() + struct.pack(">QQ", 0, 5) + root
    public(ground).verify(other[12:], message, b"dunes/2048-aes/v1/cosignature")
