"""2048-AES/1 batches: many messages under one seal and one signature.

After the prefix and header of `dunes.crypto.container` (magic "DUNES2048")::

    14+n    3309  ML-DSA-65 signature, context "dunes/2048-aes/v1/batch", over
                  SHA-512(bytes 0 .. 14+n ‖ ciphertext)
    3323+n  rest  Cobblestone-256 ciphertext, at least 72 bytes

    header = {suite, sender, stream, seq, prev, zip, t, rcpt: [{kid, enc}]}
    wrap   info "dunes/2048-aes/v1/dek" 00 suite 00 sender 00 recipient 00 stream 00 seq
    body   Cobblestone-256(DEK, "dunes/2048-aes/v1/body" 00 SHA-512(header)) over zlib
           (zip "deflate") or plain (zip null) of
           {"n":N,"root":base64} LF, then N times u32 big-endian length and message

Encrypt, then sign: a relay verifies with public keys alone. The sender stands in the
wrap's `info` and the encryption commits to its key, so a batch signed again by another
trusted sender does not open. `prev` (SHA-256 of the batch before) and `seq` make a
chain per (sender, stream): `StreamGuard` refuses what was seen, skipped or reordered.
"""

import base64
import hashlib
import json
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from dunes.crypto import container, merkle, names
from dunes.crypto.errors import BadContainer, ChainBroken, Replayed, Tampered
from dunes.crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from dunes.crypto.xwing import Recipient, RecipientKey
from dunes.errors import LocalError

MAGIC = b"DUNES2048"
FIRST_PREV = "0" * 64
"""`prev` of the first batch of a stream."""
BODY_MAX_BYTES = 64 * 1024 * 1024
"""Of the plain body, whatever a compressed one claims."""
BLOB_MAX_BYTES = BODY_MAX_BYTES + 1024 * 1024
ZLIB_LEVEL = 6
_KEYS = frozenset({"suite", "sender", "stream", "seq", "prev", "zip", "t", "rcpt"})
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HEAD_MAX_BYTES = 128
_WHAT = "a 2048-AES batch"


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What a batch says in clear. Believe it only once `verify_batch` gave it."""

    sender: str
    stream: str
    seq: int
    prev: str
    zip: str | None
    at_s: int
    wraps: tuple[container.Wrap, ...]
    encoded: bytes
    digest: str
    """SHA-256 of the whole batch, in hex: the next one's `prev`."""

    def info_for(self, kid: str) -> bytes:
        """Say what the wrap for one recipient is bound to."""
        return _info(self.sender, kid, self.stream, self.seq)


@dataclass(frozen=True, slots=True)
class Batch:
    """An opened batch: verified, decrypted, its Merkle root checked."""

    header: BatchHeader
    messages: tuple[bytes, ...]
    root: bytes


def _info(sender: str, kid: str, stream: str, seq: int) -> bytes:
    return names.info(names.LABEL_DEK, names.SUITE, sender, kid, stream, seq)


def _body_context(header: bytes) -> bytes:
    return names.LABEL_BODY + b"\x00" + hashlib.sha512(header).digest()


def seal_batch(
    messages: Sequence[bytes],
    *,
    sender: SigningKey,
    recipients: Sequence[Recipient],
    stream: str,
    seq: int,
    prev: str,
    dek: bytes,
    at_s: int,
    compress: bool = True,
) -> bytes:
    """Seal messages into one signed batch.

    Args:
        messages: any bytes, 64 MiB in all.
        sender: ML-DSA-65.
        recipients: who can open it, 1 to 40.
        stream: 1 to 64 of A-Z a-z 0-9 . _ -.
        seq: from 0, one higher each time.
        prev: `digest` of the batch before; 64 zeros for the first.
        dek: 32 fresh bytes of `os.urandom`, used for this batch alone.
        at_s: seconds since 1970 UTC.
        compress: zlib the body.

    Raises:
        LocalError: an argument is wrong.
    """
    names.check_stream(stream)
    if not _is_digest(prev) or seq < 0:
        raise LocalError("`prev` is the hex SHA-256 of the batch before, `seq` counts from 0")
    root = merkle.root(messages)
    head = container.encode_header(
        {"n": len(messages), "root": base64.b64encode(root).decode("ascii")}
    )
    parts = [head, b"\n"]
    for message in messages:
        parts += (struct.pack(">I", len(message)), message)
    body = b"".join(parts)
    if len(body) > BODY_MAX_BYTES:
        raise LocalError(f"a batch body of {len(body)} bytes; the limit is 64 MiB")
    infos = {to.kid: _info(sender.kid, to.kid, stream, seq) for to in recipients}
    header = container.encode_header(
        {
            "suite": names.SUITE,
            "sender": sender.kid,
            "stream": stream,
            "seq": seq,
            "prev": prev,
            "zip": "deflate" if compress else None,
            "t": at_s,
            "rcpt": container.wrap_all(recipients, dek, infos),
        }
    )
    if compress:
        body = zlib.compress(body, ZLIB_LEVEL)
    sealer = Cobblestone256Encryptor(dek, _body_context(header))
    ciphertext = sealer.update(body) + sealer.finalize()
    start = container.prefix(MAGIC, header)
    signature = sender.sign(hashlib.sha512(start + ciphertext).digest(), names.SIGN_BATCH)
    return start + signature + ciphertext


def read_batch(blob: bytes) -> BatchHeader:
    """Read a batch's header, believing nothing.

    Raises:
        BadContainer, SuiteRefused: not a batch of this suite, or cut.
    """
    if len(blob) > BLOB_MAX_BYTES:
        raise BadContainer(f"a batch of {len(blob)} bytes; the limit is 65 MiB")
    size = container.header_length(blob[: container.PREFIX_BYTES], MAGIC, _WHAT)
    encoded = blob[container.PREFIX_BYTES : container.PREFIX_BYTES + size]
    least = container.PREFIX_BYTES + size + SIGNATURE_BYTES + container.COBBLESTONE_MIN_BYTES
    if len(blob) < least:
        raise BadContainer(f"{_WHAT}, cut after {len(blob)} bytes")
    header = container.decode_header(encoded, _KEYS)
    if not names.is_stream(header["stream"]):
        raise BadContainer("a batch whose stream has an impossible name")
    prev = header["prev"]
    if not _is_digest(prev):
        raise BadContainer("a batch whose `prev` is not a SHA-256 in hex")
    if header["zip"] not in {None, "deflate"}:
        raise BadContainer("a batch whose `zip` is neither null nor deflate")
    return BatchHeader(
        sender=container.check_kid(header["sender"], "sender"),
        stream=header["stream"],
        seq=container.check_count(header["seq"], "seq", 2**63 - 1),
        prev=prev,
        zip=header["zip"],
        at_s=container.check_count(header["t"], "time"),
        wraps=container.read_wraps(header["rcpt"]),
        encoded=encoded,
        digest=hashlib.sha256(blob).hexdigest(),
    )


def verify_batch(blob: bytes, senders: Mapping[str, VerifyKey]) -> BatchHeader:
    """Check who sealed a batch and that nothing changed since, with public keys alone.

    Raises:
        BadContainer, SuiteRefused: not a batch of this suite.
        Untrusted: its sender is not among `senders`.
        BadSignature: changed, or signed by another.
    """
    header = read_batch(blob)
    key = container.find_sender(header.sender, senders)
    start = container.PREFIX_BYTES + len(header.encoded)
    rest = start + SIGNATURE_BYTES
    digest = hashlib.sha512(blob[:start])
    digest.update(memoryview(blob)[rest:])
    key.verify(blob[start:rest], digest.digest(), names.SIGN_BATCH)
    return header


def open_batch(
    blob: bytes, keys: Mapping[str, RecipientKey], senders: Mapping[str, VerifyKey]
) -> Batch:
    """Verify, decrypt and check a batch.

    Args:
        blob: the whole batch.
        keys: our private keys by kid.
        senders: whom we believe, by kid.

    Raises:
        BadContainer, SuiteRefused: not a batch of this suite, or an impossible body.
        Untrusted, BadSignature: the sender.
        NotARecipient: sealed for others.
        Tampered: the wrap or the body does not open, or the root does not match.
    """
    header = verify_batch(blob, senders)
    infos = {wrap.kid: header.info_for(wrap.kid) for wrap in header.wraps}
    dek = container.unwrap_dek(header.wraps, keys, infos)
    ciphertext = blob[container.PREFIX_BYTES + len(header.encoded) + SIGNATURE_BYTES :]
    body = _decrypt(dek, header.encoded, ciphertext)
    if header.zip == "deflate":
        body = _inflate(body)
    if len(body) > BODY_MAX_BYTES:
        raise BadContainer("a batch body over 64 MiB")
    messages, root = _split(body)
    if merkle.root(messages) != root:
        raise Tampered("the batch's messages are not those of its Merkle root")
    return Batch(header, messages, root)


def _decrypt(dek: bytes, header: bytes, ciphertext: bytes) -> bytes:
    """Decrypt a body to its end; nothing of it is used before."""
    try:
        opener = Cobblestone256Decryptor(dek, _body_context(header))
        return opener.update(ciphertext) + opener.finalize()
    except (InvalidTag, ValueError) as e:
        raise Tampered("the batch's body does not open: changed, cut, or signed again") from e


def _inflate(packed: bytes) -> bytes:
    """Inflate within the limit; exactly one zlib stream."""
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(packed, BODY_MAX_BYTES)
    except zlib.error as e:
        raise BadContainer("the batch's body is not zlib") from e
    if not inflater.eof or inflater.unconsumed_tail or inflater.unused_data:
        raise BadContainer("the batch's body inflates to over 64 MiB, or is not one zlib stream")
    return body


def _split(body: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """Read count and root, then that many messages, all within the body."""
    end = body.find(b"\n", 0, _HEAD_MAX_BYTES)
    try:
        head = json.loads(body[: max(end, 0)])
        root = base64.b64decode(head["root"], validate=True)
        count, canonical = head["n"], container.encode_header(head)
    except (ValueError, TypeError, KeyError, RecursionError) as e:
        raise BadContainer("the batch's body does not begin with its count and root") from e
    if canonical != body[:end] or head.keys() != {"n", "root"} or len(root) != merkle.HASH_BYTES:
        raise BadContainer("the batch's body does not begin with its count and root")
    container.check_count(count, "number of messages")
    messages, at = [], end + 1
    for _ in range(count):
        if at + 4 > len(body):
            raise BadContainer("the batch ends before its last message")
        (size,) = struct.unpack_from(">I", body, at)
        at += 4
        if size > len(body) - at:
            raise BadContainer("a message of the batch is longer than what is left")
        messages.append(body[at : at + size])
        at += size
    if at != len(body):
        raise BadContainer(f"{len(body) - at} bytes too many after the batch's last message")
    return tuple(messages), root


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


@dataclass(slots=True)
class StreamGuard:
    """Where each (sender, stream) stands: refuse what was seen, skipped or reordered.

    Store `next_seq` and `last` in the same transaction as the messages: a receiver that
    forgets them accepts a replay. Clocks play no part.
    """

    seen: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """(next seq, digest of the last batch) of each (sender, stream)."""

    def check(self, header: BatchHeader) -> None:
        """Refuse a batch that is not the next of its stream.

        Raises:
            Replayed: this one, or a later one, was accepted before.
            ChainBroken: one is missing between, or `prev` names another batch.
        """
        next_seq, last = self.seen.get((header.sender, header.stream), (0, FIRST_PREV))
        where = f"batch {header.seq} of {header.stream}"
        if header.seq < next_seq:
            raise Replayed(f"{where} was accepted before; the next is {next_seq}")
        if header.seq > next_seq:
            raise ChainBroken(f"{where} came, {next_seq} is missing")
        if header.prev != last:
            raise ChainBroken(f"{where} does not follow the one that was accepted")

    def accept(self, header: BatchHeader) -> None:
        """Check a verified batch and move on."""
        self.check(header)
        self.seen[header.sender, header.stream] = header.seq + 1, header.digest
