"""The key record of a seal epoch: who made it, for which stream, and who can open it.

A later record can *grant* the same epoch to more recipients: a ground station that was
not known when the frames were sealed. It names the epoch's first record by its hash.

Key record, all integers big-endian::

    0       9   "DUNESKEYS"
    9       1   version: 01, or 02 for a grant
    10      1+n suite: length, ASCII
    .       16  sender's kid
    .       1+n stream: length, ASCII
    .       8   created, µs since 1970 UTC
    .       32  grants only: SHA-256 over the record that began the epoch
    .       1   number of recipients, 1 to 64
    .       16 + 1168 for each: kid; HPKE enc (1120), wrapped secret (32), tag (16)
    .       3309 ML-DSA-65 signature, context "dunes/2048-aes/v1/key-record",
                 over every byte before it

A reader parses, then verifies the signature, then opens its own wrap; nothing of a
record is used before its signature is good.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from dunes.crypto import names
from dunes.crypto.errors import BadRecord, SuiteRefused, Untrusted
from dunes.crypto.signing import SIGNATURE_BYTES, SigningKey, VerifyKey
from dunes.crypto.xwing import WRAP_OVERHEAD_BYTES, Recipient
from dunes.errors import LocalError

SECRET_BYTES = 32
KEY_ID_BYTES = 8
MAGIC = b"DUNESKEYS"
VERSION, VERSION_GRANT = 1, 2
HASH_BYTES = 32
RECIPIENTS_MAX = 64
RECORD_MAX_BYTES = 96 * 1024
_WRAP_BYTES = WRAP_OVERHEAD_BYTES + SECRET_BYTES
_KID_BYTES = 16


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A seal epoch's key record, read but not yet believed.

    Attributes:
        encoded: the whole record as stored.
        sender: kid of who signed it.
        stream: the table or stream whose frames it is for.
        created_us: µs since 1970 UTC by the sender's clock; for people, not for trust.
        wraps: the wrapped secret for each recipient's kid.
        grants: of a grant, the hash of the record that began the epoch; else empty.
    """

    encoded: bytes
    sender: str
    stream: str
    created_us: int
    wraps: Mapping[str, bytes]
    grants: bytes = b""

    @property
    def key_id(self) -> bytes:
        """What frames call it (not a grant: they name the first record), 8 bytes."""
        return self.record_hash[:KEY_ID_BYTES]

    @property
    def record_hash(self) -> bytes:
        """SHA-256 of the whole record: 32 bytes."""
        return hashlib.sha256(self.encoded).digest()

    @classmethod
    def parse(cls, encoded: bytes) -> Self:
        """Read a record; the signature is `verify`'s business.

        Raises:
            BadRecord: not a record, cut, or longer than it says.
            SuiteRefused: another version or suite.
        """
        if len(encoded) > RECORD_MAX_BYTES:
            raise BadRecord(f"a key record of {len(encoded)} bytes is too long to be one")
        if not encoded.startswith(MAGIC):
            raise BadRecord("this is not a key record")
        body = _Cursor(encoded, len(MAGIC))
        version = body.take(1)[0]
        if version not in {VERSION, VERSION_GRANT}:
            raise SuiteRefused(
                f"a key record of version {version}; this program reads {VERSION} and "
                f"{VERSION_GRANT}"
            )
        suite = body.text()
        if suite != names.SUITE:
            raise SuiteRefused(
                f"a key record of suite {suite[:80]!r}; only 2048-AES/1 is accepted"
            )
        sender = body.take(_KID_BYTES).hex()
        stream = body.text()
        if not names.is_stream(stream):
            raise BadRecord("a key record whose stream has an impossible name")
        (created_us,) = struct.unpack(">Q", body.take(8))
        grants = body.take(HASH_BYTES) if version == VERSION_GRANT else b""
        wraps: dict[str, bytes] = {}
        count = body.take(1)[0]
        if not 1 <= count <= RECIPIENTS_MAX:
            raise BadRecord(
                f"a key record with {count} recipients; 1 to {RECIPIENTS_MAX} are usual"
            )
        for _ in range(count):
            kid = body.take(_KID_BYTES).hex()
            if kid in wraps:
                raise BadRecord(f"a key record that names recipient {kid} twice")
            wraps[kid] = body.take(_WRAP_BYTES)
        body.take(SIGNATURE_BYTES)
        if body.at != len(encoded):
            raise BadRecord(f"{len(encoded) - body.at} bytes too many after a key record")
        return cls(bytes(encoded), sender, stream, created_us, wraps, grants)

    def verify(self, sender: VerifyKey) -> None:
        """Check that `sender` signed this record.

        Raises:
            Untrusted: it names another sender.
            BadSignature: it was changed, or signed by somebody else.
        """
        if sender.kid != self.sender:
            raise Untrusted(f"the key record was made by {self.sender}, not by {sender.kid}")
        signed, signature = self.encoded[:-SIGNATURE_BYTES], self.encoded[-SIGNATURE_BYTES:]
        sender.verify(signature, signed, names.SIGN_KEY_RECORD)

    def info_for(self, kid: str) -> bytes:
        """Say what the wrap for one recipient is bound to."""
        return _wrap_info(self.sender, kid, self.stream, self.created_us, self.grants)


def _wrap_info(sender: str, kid: str, stream: str, created_us: int, grants: bytes) -> bytes:
    bound: tuple[str | int | bytes, ...] = (names.SUITE, sender, kid, stream, created_us)
    if grants:
        return names.info(names.LABEL_GRANT, *bound, grants)
    return names.info(names.LABEL_EPOCH, *bound)


def make_key_record(
    recipients: Sequence[Recipient],
    sender: SigningKey,
    stream: str,
    secret: bytes,
    created_us: int,
    *,
    grants: bytes = b"",
) -> bytes:
    """Wrap an epoch's secret to each recipient and sign the record.

    Args:
        recipients: who can read the epoch's frames: 1 to 64, none twice.
        sender: signs the record.
        stream: the table or stream whose frames it is for.
        secret: 32 bytes, the epoch's.
        created_us: µs since 1970 UTC.
        grants: for a grant, the hash of the record that began the epoch, 32 bytes.

    Raises:
        LocalError: an argument is wrong.
        BadKeyFile: a recipient's key is degenerate.
    """
    names.check_stream(stream)
    kids = [recipient.kid for recipient in recipients]
    if not 1 <= len(kids) <= RECIPIENTS_MAX or len(set(kids)) != len(kids):
        raise LocalError(f"an epoch has 1 to {RECIPIENTS_MAX} different recipients")
    if len(secret) != SECRET_BYTES:
        raise LocalError(f"an epoch needs {SECRET_BYTES} random bytes, not {len(secret)}")
    if grants and len(grants) != HASH_BYTES:
        raise LocalError(f"a grant names its epoch by {HASH_BYTES} bytes, not {len(grants)}")
    if sender.algorithm.signature_bytes != SIGNATURE_BYTES:
        raise LocalError(f"an {sender.algorithm.name} key cannot sign in suite 2048-AES/1")
    suite = names.SUITE.encode("ascii")
    body = b"".join(
        (
            MAGIC,
            bytes((VERSION_GRANT if grants else VERSION, len(suite))),
            suite,
            bytes.fromhex(sender.kid),
            bytes((len(stream),)),
            stream.encode("ascii"),
            struct.pack(">Q", created_us),
            grants,
            bytes((len(kids),)),
            *(
                bytes.fromhex(recipient.kid)
                + recipient.wrap(
                    secret, _wrap_info(sender.kid, recipient.kid, stream, created_us, grants)
                )
                for recipient in recipients
            ),
        )
    )
    return body + sender.sign(body, names.SIGN_KEY_RECORD)


class _Cursor:
    """Read fields off a record, refusing to read past its end."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def take(self, size: int) -> bytes:
        """Take `size` bytes."""
        if self.at + size > len(self.data):
            raise BadRecord(f"a key record of {len(self.data)} bytes is cut short")
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self) -> str:
        """Take a length byte and that many ASCII characters."""
        raw = self.take(self.take(1)[0])
        try:
            return raw.decode("ascii")
        except UnicodeDecodeError as e:
            raise BadRecord("a key record with text that is not ASCII") from e
