"""A second implementation of docs/formats.md: `cryptography` and the page, nothing of ours.

It opens what dunes-mcp sealed (tests/vectors/crypto/formats_golden.json, and frames that a
running dunes-mcp makes), and dunes-mcp opens what it seals.
"""

import base64
import hashlib
import json
import re
import struct
import zlib
from pathlib import Path

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests/vectors/crypto/formats_golden.json").read_text())
SUITE = "2048-AES/1:xwing+hkdf-sha256+aes-256-gcm+cobblestone-256+ml-dsa-65"
HPKE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class Party:
    def __init__(self, about):
        self.signing = mldsa.MLDSA65PrivateKey.from_seed_bytes(
            bytes.fromhex(about["mldsa65_seed"])
        )
        self.public = self.signing.public_key()
        wide = hashlib.shake_256(bytes.fromhex(about["xwing_seed"])).digest(96)
        self.mlkem = mlkem.MLKEM768PrivateKey.from_seed_bytes(wide[:64])
        self.x25519 = x25519.X25519PrivateKey.from_private_bytes(wide[64:])
        self.opening = hpke.MLKEM768X25519PrivateKey(self.mlkem, self.x25519)
        self.kid = kid_of(self.public)


def kid_of(public):
    der = public.public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:32]


SENDER, RECIPIENT = Party(GOLDEN["sender"]), Party(GOLDEN["recipient"])


def info(*parts):
    return b"\x00".join(part.encode() for part in parts)


def canonical(value):
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def merkle_root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    while len(leaves) > 1:
        pairs = [
            hashlib.sha256(b"\x01" + leaves[i] + leaves[i + 1]).digest()
            for i in range(0, len(leaves) - 1, 2)
        ]
        leaves = pairs + ([leaves[-1]] if len(leaves) % 2 else [])
    return leaves[0]


def leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def read_key_record(record, sender, reader):
    """Give the epoch's secret, and the record's stream."""
    sender.public.verify(record[-3309:], record[:-3309], b"dunes/2048-aes/v1/key-record")
    assert b"DUNESKEYS\x01" == record[:10]
    at = 11 + record[10]
    assert SUITE == record[11:at].decode()
    assert sender.kid == record[at : at + 16].hex()
    at += 16
    stream = record[at + 1 : at + 1 + record[at]].decode()
    at += 1 + record[at]
    (created,) = struct.unpack(">Q", record[at : at + 8])
    count, at = record[at + 8], at + 9
    wraps = {
        record[i : i + 16].hex(): record[i + 16 : i + 1184]
        for i in range(at, at + count * 1184, 1184)
    }
    assert at + count * 1184 + 3309 == len(record)
    bound = info("dunes/2048-aes/v1/epoch", SUITE, sender.kid, reader.kid, stream, str(created))
    return HPKE.decrypt(wraps[reader.kid], reader.opening, info=bound), stream


def read_grant(grant, record, sender, reader):
    """Give the secret of the epoch that began with `record`, from a grant of it."""
    sender.public.verify(grant[-3309:], grant[:-3309], b"dunes/2048-aes/v1/key-record")
    assert b"DUNESKEYS\x02" == grant[:10]
    at = 11 + grant[10] + 16
    stream = grant[at + 1 : at + 1 + grant[at]].decode()
    at += 1 + grant[at]
    (created,) = struct.unpack(">Q", grant[at : at + 8])
    epoch = hashlib.sha256(record).digest()
    assert epoch == grant[at + 8 : at + 40]
    count, at = grant[at + 40], at + 41
    wraps = {
        grant[i : i + 16].hex(): grant[i + 16 : i + 1184]
        for i in range(at, at + count * 1184, 1184)
    }
    bound = info("dunes/2048-aes/v1/grant", SUITE, sender.kid, reader.kid, stream, str(created))
    return HPKE.decrypt(wraps[reader.kid], reader.opening, info=bound + b"\x00" + epoch)


def frame_key(secret, record, salt):
    label = b"dunes/2048-aes/v1/frame\x00" + hashlib.sha256(record).digest()
    wide = HKDF(hashes.SHA256(), 44, salt=salt, info=label).derive(secret)
    return wide[:32], wide[32:]


def read_start(blob, magic, keys):
    assert magic + b"\x01" == blob[:10]
    (size,) = struct.unpack(">I", blob[10:14])
    header = json.loads(blob[14 : 14 + size])
    assert canonical(header) == blob[14 : 14 + size]
    assert (SUITE, keys) == (header["suite"], set(header))
    return header, blob[14 : 14 + size], 14 + size


def unwrap(header, reader, *bound):
    enc = next(r["enc"] for r in header["rcpt"] if r["kid"] == reader.kid)
    return HPKE.decrypt(base64.b64decode(enc), reader.opening, info=info(*bound))


def decrypt(dek, label, header, ciphertext):
    opener = Cobblestone256Decryptor(dek, label + b"\x00" + hashlib.sha512(header).digest())
    return opener.update(ciphertext) + opener.finalize()


def open_batch(blob, sender, reader):
    keys = {"prev", "rcpt", "sender", "seq", "stream", "suite", "t", "zip"}
    header, encoded, at = read_start(blob, b"DUNES2048", keys)
    signature, ciphertext = blob[at : at + 3309], blob[at + 3309 :]
    digest = hashlib.sha512(blob[:at] + ciphertext).digest()
    sender.public.verify(signature, digest, b"dunes/2048-aes/v1/batch")
    dek = unwrap(
        header,
        reader,
        "dunes/2048-aes/v1/dek",
        SUITE,
        sender.kid,
        reader.kid,
        header["stream"],
        str(header["seq"]),
    )
    body = decrypt(dek, b"dunes/2048-aes/v1/body", encoded, ciphertext)
    if header["zip"] == "deflate":
        body = zlib.decompress(body)
    head, _, rest = body.partition(b"\n")
    about, messages = json.loads(head), []
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        messages.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    assert about["n"] == len(messages)
    assert base64.b64decode(about["root"]) == merkle_root([leaf(m) for m in messages])
    return messages


def open_file(blob, sender, reader):
    header, encoded, at = read_start(blob, b"DUNESFILE", {"rcpt", "sender", "suite", "t"})
    ciphertext, signature = blob[at:-3309], blob[-3309:]
    segments = ciphertext[56:]
    root = merkle_root([leaf(segments[i : i + 1049600]) for i in range(0, len(segments), 1049600)])
    start = blob[: at + 56]
    digest = hashlib.sha512(start + struct.pack(">Q", len(segments)) + root).digest()
    sender.public.verify(signature, digest, b"dunes/2048-aes/v1/file")
    dek = unwrap(
        header,
        reader,
        "dunes/2048-aes/v1/file-dek",
        SUITE,
        sender.kid,
        reader.kid,
        str(header["t"]),
    )
    return decrypt(dek, b"dunes/2048-aes/v1/file-body", encoded, ciphertext)


def test_the_key_ids_are_those_of_the_page():
    assert GOLDEN["sender"]["kid"] == SENDER.kid
    assert GOLDEN["recipient"]["kid"] == RECIPIENT.kid


@pytest.mark.parametrize("reader", [SENDER, RECIPIENT], ids=["sender", "recipient"])
def test_a_sealed_frame_opens(reader):
    given = GOLDEN["frame"]
    record = base64.b64decode(given["key_record"])
    secret, stream = read_key_record(record, SENDER, reader)
    assert (given["secret"], given["stream"]) == (secret.hex(), stream)
    assert given["key_id"] == hashlib.sha256(record).hexdigest()[:16]
    key, nonce = frame_key(secret, record, bytes.fromhex(given["salt"]))
    header = bytes.fromhex(given["header"])
    body = bytes.fromhex(given["body"])
    assert given["plaintext"] == AESGCM(key).decrypt(nonce, body, header).hex()
    with pytest.raises(InvalidTag):
        AESGCM(key).decrypt(nonce, body, header + b"x")


def test_a_batch_opens():
    blob = base64.b64decode(GOLDEN["batch"]["blob"])
    messages = [text.encode() for text in GOLDEN["batch"]["messages"]]
    assert messages == open_batch(blob, SENDER, RECIPIENT)


def test_a_sealed_file_opens():
    content = open_file(base64.b64decode(GOLDEN["file"]["blob"]), SENDER, RECIPIENT)
    assert GOLDEN["file"]["content_sha256"] == hashlib.sha256(content).hexdigest()


def test_a_detached_signature_verifies():
    found = json.loads(GOLDEN["detached"]["sig"])
    content = bytes.fromhex(GOLDEN["detached"]["content"])
    assert (SENDER.kid, "ML-DSA-65") == (found["kid"], found["alg"])
    SENDER.public.verify(
        base64.b64decode(found["signature"]), content, b"dunes/2048-aes/v1/detached"
    )


def read_key_document(data):
    """Give the signed bytes, the public keys and the encrypted ones."""
    at = data.rfind(b"\n## Signature\n") + 1
    tail = data[at:].decode()
    lines = re.fullmatch(r"## Signature\n```signature\n((?:\S{32} \S+\n){1,4})```\n", tail)[1]
    kid, signature = lines.splitlines()[0].split()
    blocks = re.findall(rb"-----BEGIN ([A-Z ]+)-----\n.*?-----END \1-----\n", data, re.DOTALL)
    pems = [
        m[0]
        for m in re.finditer(rb"-----BEGIN ([A-Z ]+)-----\n.*?-----END \1-----\n", data, re.DOTALL)
    ]
    assert [b"PUBLIC KEY"] * 3 == blocks[:3]
    public = [s.load_pem_public_key(pem) for pem in pems[:3]]
    assert kid == kid_of(public[0])
    public[0].verify(base64.b64decode(signature), data[:at], b"dunes/2048-aes/v1/key")
    return public, pems[3:]


def test_key_documents_are_read():
    given = GOLDEN["key_documents"]
    public, none = read_key_document(given["public"].encode())
    assert [] == none
    assert SENDER.mlkem.public_key() == public[1]
    assert SENDER.x25519.public_key() == public[2]
    public, locked = read_key_document(given["private"].encode())
    opened = [s.load_pem_private_key(pem, given["passphrase"].encode()) for pem in locked]
    assert public == [key.public_key() for key in opened]
    assert GOLDEN["sender"]["mldsa65_seed"] == opened[0].private_bytes_raw().hex()
    with pytest.raises(InvalidSignature):
        read_key_document(given["public"].encode().replace(b"lunar-gateway", b"other-gateway", 1))


def test_a_machine_bound_passphrase_is_derived():
    given = GOLDEN["machine_secret"]
    derived = HKDF(
        hashes.SHA256(),
        32,
        salt=given["machine_id"].encode(),
        info=b"dunes/2048-aes/v1/machine\x00",
    ).derive(bytes.fromhex(given["machine_key"]))
    assert given["passphrase"] == derived.hex()


def write_key_record(secret, sender, readers, stream, created):
    body = b"DUNESKEYS\x01" + bytes([len(SUITE)]) + SUITE.encode() + bytes.fromhex(sender.kid)
    body += bytes([len(stream)]) + stream.encode() + struct.pack(">QB", created, len(readers))
    for reader in readers:
        bound = info(
            "dunes/2048-aes/v1/epoch", SUITE, sender.kid, reader.kid, stream, str(created)
        )
        body += bytes.fromhex(reader.kid)
        body += HPKE.encrypt(secret, reader.opening.public_key(), info=bound)
    return body + sender.signing.sign(body, b"dunes/2048-aes/v1/key-record")


def test_dunes_opens_what_the_second_implementation_sealed():
    from dunes.crypto.framekeys import FrameOpener
    from dunes.crypto.signing import VerifyKey
    from dunes.crypto.xwing import RecipientKey

    record = write_key_record(b"x" * 32, SENDER, [RECIPIENT], "stream-1", 77)
    key, nonce = frame_key(b"x" * 32, record, b"s" * 16)
    body = AESGCM(key).encrypt(nonce, b"readings", b"header")
    ours = RecipientKey.from_xwing_seed(
        RECIPIENT.kid, bytes.fromhex(GOLDEN["recipient"]["xwing_seed"])
    )
    opener = FrameOpener([ours], [VerifyKey(SENDER.public)])
    assert b"readings" == opener.open(opener.add_record(record), b"s" * 16, body, b"header")


def keys_of():
    """Make recipient keys of somebody else."""
    pair = mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
    return [key.public_key() for key in pair]


def test_the_second_implementation_opens_what_dunes_seals_today():
    import io
    import os

    from dunes.crypto import batch, sealedfile
    from dunes.crypto.framekeys import FrameSealer
    from dunes.crypto.keyrecord import make_key_record
    from dunes.crypto.signing import SigningKey
    from dunes.crypto.xwing import Recipient

    signing = SigningKey(SENDER.signing)
    to = [Recipient(RECIPIENT.kid, RECIPIENT.mlkem.public_key(), RECIPIENT.x25519.public_key())]
    sealer = FrameSealer.new(to, signing, "s", os.urandom(32), 5)
    secret, _ = read_key_record(sealer.key_record, SENDER, RECIPIENT)
    key, nonce = frame_key(secret, sealer.key_record, b"s" * 16)
    sealed = sealer.seal(b"readings", b"header", b"s" * 16)
    assert b"readings" == AESGCM(key).decrypt(nonce, sealed, b"header")
    other = SigningKey.generate()
    lonely = FrameSealer.new([Recipient(other.kid, *keys_of())], signing, "s", b"e" * 32, 5)
    grants = hashlib.sha256(lonely.key_record).digest()
    grant = make_key_record(to, signing, "s", b"e" * 32, 6, grants=grants)
    assert b"e" * 32 == read_grant(grant, lonely.key_record, SENDER, RECIPIENT)
    content = os.urandom(2 * 1048576 + 12345)
    sink = io.BytesIO()
    more = {"sender": signing, "recipients": to, "dek": os.urandom(32), "at_s": 9}
    sealedfile.seal_stream(io.BytesIO(content), sink, **more)
    assert content == open_file(sink.getvalue(), SENDER, RECIPIENT)
    blob = batch.seal_batch([b"m"] * 5, stream="s", seq=3, prev="a" * 64, **more)
    assert [b"m"] * 5 == open_batch(blob, SENDER, RECIPIENT)


def test_a_stranger_opens_the_keys_of_a_mesh_with_the_page_alone():
    import os

    from dunes.crypto.xwing import Recipient
    from dunes.gateway.sealing import FieldSealer, field_name

    mesh, secret = bytes(range(16)), os.urandom(32)
    sealer = FieldSealer(secret)
    to = Recipient(RECIPIENT.kid, RECIPIENT.mlkem.public_key(), RECIPIENT.x25519.public_key())
    wrapped = sealer.wrap(mesh, to)
    bound = info("dunes/2048-aes/v1/mesh-secret", mesh.hex(), RECIPIENT.kid)
    assert secret == HPKE.decrypt(wrapped, RECIPIENT.opening, info=bound)
    for field, name, row in (
        (b"k" * 16, field_name(mesh, "net-new", 7), ("net-new", "7")),
        (
            b"d" * 16,
            field_name(mesh, "device", 300, bytes(16)),
            ("device", "300", bytes(16).hex()),
        ),
    ):
        sealed = sealer.seal(field, name, os.urandom(16))
        label = "dunes/2048-aes/v1/mesh-field"
        wide = HKDF(hashes.SHA256(), 44, salt=sealed[:16], info=label.encode()).derive(secret)
        aad = info(label, mesh.hex(), *row)
        assert field == AESGCM(wide[:32]).decrypt(wide[32:], sealed[16:], aad)


def test_the_page_names_every_context_and_label_of_the_code():
    from dunes.crypto import names

    page = (ROOT / "docs/formats.md").read_text(encoding="utf-8")
    words = [value for name, value in vars(names).items() if name.startswith(("SIGN_", "LABEL_"))]
    assert 20 > len(words) > 10
    for word in [*words, names.SUITE.encode()]:
        assert word.decode() in page
