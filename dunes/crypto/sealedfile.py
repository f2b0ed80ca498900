"""2048-AES/1 sealed files: any size, read and written in one pass, in flat memory.

After the prefix and header of `dunes.crypto.container` (magic "DUNESFILE")::

    14+n    c     Cobblestone-256 ciphertext, at least 72 bytes
    14+n+c  3309  ML-DSA-65 signature, context "dunes/2048-aes/v1/file", over the 64-byte
                  digest of `dunes.crypto.segments`

    header = {suite, sender, t, rcpt: [{kid, enc}]}
    wrap   info "dunes/2048-aes/v1/file-dek" 00 suite 00 sender 00 recipient 00 t
    body   Cobblestone-256(DEK, "dunes/2048-aes/v1/file-body" 00 SHA-512(header)) over the
           file's bytes

`open_stream` writes plaintext before the signature is known, as the signature stands at
the end: **its sink must be a place that is thrown away unless it returns**, such as
`dunes.crypto.keyio.creating`: a temporary file that takes its name only when all was good.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from dunes.crypto import container, names
from dunes.crypto.errors import BadContainer, Tampered
from dunes.crypto.segments import (
    CHUNK_BYTES,
    HEAD_BYTES,
    SEGMENT_BYTES,
    SEGMENT_PLAIN_BYTES,
    SegmentHasher,
)
from dunes.crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from dunes.crypto.xwing import Recipient, RecipientKey

MAGIC = b"DUNESFILE"
_KEYS = frozenset({"suite", "sender", "t", "rcpt"})
_WHAT = "a 2048-AES sealed file"
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What a sealed file says in clear. Believe it only after the signature was checked."""

    sender: str
    at_s: int
    wraps: tuple[container.Wrap, ...]
    encoded: bytes

    @property
    def recipients(self) -> tuple[str, ...]:
        """The kids of who can open it."""
        return tuple(wrap.kid for wrap in self.wraps)

    @property
    def start(self) -> bytes:
        """Prefix and header as they stand in the file."""
        return container.prefix(MAGIC, self.encoded)


@dataclass(frozen=True, slots=True)
class Passed:
    """What went through.

    Attributes:
        header: whose, when, for whom.
        plain_bytes: size of the content; None where only the signature was checked.
        sealed_bytes: size of the whole sealed file.
        digest: hex of the 64 signed bytes.
        signature: 3309 bytes.
    """

    header: FileHeader
    plain_bytes: int | None
    sealed_bytes: int
    digest: str
    signature: bytes


def _info(sender: str, kid: str, at_s: int) -> bytes:
    return names.info(names.LABEL_FILE_DEK, names.SUITE, sender, kid, at_s)


def _body_context(header: bytes) -> bytes:
    return names.LABEL_FILE_BODY + b"\x00" + hashlib.sha512(header).digest()


def seal_stream(
    source: BinaryIO,
    sink: BinaryIO,
    *,
    sender: SigningKey,
    recipients: Sequence[Recipient],
    dek: bytes,
    at_s: int,
    progress: Progress | None = None,
) -> Passed:
    """Seal everything that `source` gives into `sink`.

    Args:
        source: read to its end; must have `readinto`.
        sink: written from where it stands.
        sender: ML-DSA-65.
        recipients: who can open it, 1 to 40.
        dek: 32 fresh bytes of `os.urandom`, used for this file alone.
        at_s: seconds since 1970 UTC.
        progress: called with the number of plain bytes so far.
    """
    infos = {to.kid: _info(sender.kid, to.kid, at_s) for to in recipients}
    encoded = container.encode_header(
        {
            "suite": names.SUITE,
            "sender": sender.kid,
            "t": at_s,
            "rcpt": container.wrap_all(recipients, dek, infos),
        }
    )
    header = _parse(encoded)
    encryptor = Cobblestone256Encryptor(dek, _body_context(encoded))
    head = bytearray(HEAD_BYTES)
    encryptor.update_into(b"", head)
    start = header.start + head
    _write_all(sink, start)
    plain = memoryview(bytearray(SEGMENT_PLAIN_BYTES))
    plain_bytes, sealed_bytes = 0, len(start)
    with SegmentHasher() as hasher:
        while True:
            size = _fill(source, plain)
            room = hasher.borrow()
            filled = encryptor.update_into(plain[:size], room)
            last = size < SEGMENT_PLAIN_BYTES
            if last:
                rest = encryptor.finalize()
                room[filled : filled + len(rest)] = rest
                filled += len(rest)
            _write_all(sink, hasher.commit(filled))
            plain_bytes += size
            sealed_bytes += filled
            if progress is not None:
                progress(plain_bytes)
            if last:
                break
        digest = hasher.digest(start)
    signature = sender.sign(digest, names.SIGN_FILE)
    _write_all(sink, signature)
    return Passed(header, plain_bytes, sealed_bytes + len(signature), digest.hex(), signature)


def open_stream(
    source: BinaryIO,
    sink: BinaryIO,
    keys: Mapping[str, RecipientKey],
    senders: Mapping[str, VerifyKey],
    progress: Progress | None = None,
) -> Passed:
    """Open a sealed file; what `sink` got counts only if this returns.

    Args:
        source: the sealed file from its first byte.
        sink: a temporary place.
        keys: our private keys by kid.
        senders: whom we believe, by kid.
        progress: called with the number of sealed bytes so far.

    Raises:
        BadContainer, SuiteRefused: not a sealed file of this suite, or cut.
        Untrusted, BadSignature: the sender.
        NotARecipient: sealed for others.
        Tampered: the key or the content does not open.
    """
    header = read_header(source)
    signer = container.find_sender(header.sender, senders)
    infos = {wrap.kid: _info(header.sender, wrap.kid, header.at_s) for wrap in header.wraps}
    dek = container.unwrap_dek(header.wraps, keys, infos)
    decryptor = Cobblestone256Decryptor(dek, _body_context(header.encoded))
    room = memoryview(bytearray(SEGMENT_PLAIN_BYTES + 4 * CHUNK_BYTES))
    plain_bytes = 0

    def decrypt(data: bytes | memoryview) -> None:
        nonlocal plain_bytes
        try:
            size = decryptor.update_into(data, room)
        except (InvalidTag, ValueError) as e:
            raise _tampered() from e
        _write_all(sink, room[:size])
        plain_bytes += size

    digest, signature, sealed_bytes = _walk(source, header, decrypt, progress)
    signer.verify(signature, digest, names.SIGN_FILE)
    try:
        rest = decryptor.finalize()
    except (InvalidTag, ValueError) as e:
        raise _tampered() from e
    _write_all(sink, rest)
    return Passed(header, plain_bytes + len(rest), sealed_bytes, digest.hex(), signature)


def verify_stream(
    source: BinaryIO, senders: Mapping[str, VerifyKey], progress: Progress | None = None
) -> Passed:
    """Check who sealed a file and that nothing changed since, with public keys alone.

    Raises:
        BadContainer, SuiteRefused: not a sealed file of this suite, or cut.
        Untrusted, BadSignature: the sender.
    """
    header = read_header(source)
    signer = container.find_sender(header.sender, senders)
    digest, signature, sealed_bytes = _walk(source, header, None, progress)
    signer.verify(signature, digest, names.SIGN_FILE)
    return Passed(header, None, sealed_bytes, digest.hex(), signature)


def read_header(source: BinaryIO) -> FileHeader:
    """Read prefix and header, believing nothing; `source` then stands at the ciphertext.

    Raises:
        BadContainer, SuiteRefused: not a sealed file of this suite, or cut.
    """
    size = container.header_length(_take(source, container.PREFIX_BYTES), MAGIC, _WHAT)
    encoded = _take(source, size)
    if len(encoded) < size:
        raise BadContainer(f"{_WHAT}, cut within its header")
    return _parse(encoded)


def _parse(encoded: bytes) -> FileHeader:
    """Read a header's own bytes."""
    header = container.decode_header(encoded, _KEYS)
    return FileHeader(
        container.check_kid(header["sender"], "sender"),
        container.check_count(header["t"], "time"),
        container.read_wraps(header["rcpt"]),
        encoded,
    )


def _walk(
    source: BinaryIO,
    header: FileHeader,
    each: Callable[[bytes | memoryview], None] | None,
    progress: Progress | None,
) -> tuple[bytes, bytes, int]:
    """Hash the ciphertext, hand it on, and hold the last 3309 bytes back.

    Returns:
        the digest, the signature, the size of the whole sealed file.
    """
    head = _take(source, HEAD_BYTES)
    if each is not None:
        each(head)
    start = header.start + head
    held, total = b"", len(start)
    with SegmentHasher(slack=SIGNATURE_BYTES, cores_left=int(each is not None)) as hasher:
        while True:
            room = hasher.borrow()
            room[: len(held)] = held
            filled = len(held) + _fill(source, room[len(held) :])
            size = filled - SIGNATURE_BYTES
            last = size < SEGMENT_BYTES
            if size < (container.COBBLESTONE_MIN_BYTES - HEAD_BYTES if total == len(start) else 0):
                raise BadContainer(f"{_WHAT}, cut after its header")
            held = bytes(room[size:filled])
            if size > 0:
                segment = hasher.commit(size)
                if each is not None:
                    each(segment)
                total += size
            if progress is not None:
                progress(total)
            if last:
                break
        digest = hasher.digest(start)
    return digest, held, total + len(held)


def _tampered() -> Tampered:
    return Tampered("the sealed file does not open: changed, cut, or signed again by another")


def _fill(source: BinaryIO, view: memoryview) -> int:
    """Read until `view` is full or the source ends (pipes give less than asked)."""
    at = 0
    while at < len(view):
        size = source.readinto(view[at:])  # type: ignore[attr-defined]  # raw and buffered have it
        if not size:
            break
        at += size
    return at


def _take(source: BinaryIO, size: int) -> bytes:
    view = memoryview(bytearray(size))
    return bytes(view[: _fill(source, view)])


def _write_all(sink: BinaryIO, data: bytes | memoryview) -> None:
    """Write everything (a raw file may take less than given)."""
    view = memoryview(data)
    while view:
        view = view[sink.write(view) :]
