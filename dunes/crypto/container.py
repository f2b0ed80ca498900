"""What the two 2048-AES/1 containers share: prefix, canonical header, wrapped key.

::

    0      9  magic: "DUNES2048" for a batch of messages, "DUNESFILE" for a file
    9      1  version, 01
    10     4  length n of the header, u32 big-endian, at most 65536
    14     n  header: JSON, sorted keys, separators "," and ":", UTF-8 unescaped, no NaN

A header is accepted only if encoding what was read gives the same bytes again: there
is one way to write each, so duplicate keys, spaces, other number forms are refused.
Whoever reads checks in this order: magic, version, lengths, suite, trusted sender,
signature, own key, wrap, body to its end.
"""

import base64
import binascii
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dunes.crypto import names
from dunes.crypto.errors import BadContainer, NotARecipient, SuiteRefused, Tampered, Untrusted
from dunes.crypto.signing import VerifyKey, is_kid
from dunes.crypto.xwing import WRAP_OVERHEAD_BYTES, Recipient, RecipientKey
from dunes.errors import LocalError

MAGIC_BYTES = 9
PREFIX_BYTES = 14
HEADER_MAX_BYTES = 65536
VERSION = 1
DEK_BYTES = 32
RECIPIENTS_MAX = 40
"""As many as fit in the largest header."""
COBBLESTONE_MIN_BYTES = 72
"""Salt 24, commitment 32, tag 16: a Cobblestone-256 text of nothing."""
TIME_MAX_S = 2**53


@dataclass(frozen=True, slots=True)
class Wrap:
    """The data key, wrapped to one recipient."""

    kid: str
    enc: bytes


def encode_header(header: Mapping[str, Any]) -> bytes:
    """Write a header in its one canonical form."""
    return json.dumps(
        header, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8")


def decode_header(encoded: bytes, keys: frozenset[str]) -> dict[str, Any]:
    """Read a header, accepting only its canonical form and exactly these keys.

    Raises:
        BadContainer: anything else.
        SuiteRefused: its suite is not 2048-AES/1.
    """
    try:
        header = json.loads(encoded)
        again = encode_header(header)
    except (ValueError, RecursionError) as e:
        raise BadContainer("the container's header is not canonical JSON") from e
    if not isinstance(header, dict) or again != encoded:
        raise BadContainer("the container's header is not canonical JSON")
    suite = header.get("suite")
    if suite != names.SUITE:
        shown = suite[:80] if isinstance(suite, str) else type(suite).__name__
        raise SuiteRefused(f"a container of suite {shown!r}; only 2048-AES/1 is accepted")
    if header.keys() != keys:
        raise BadContainer("the container's header has other keys than the format's")
    return header


def prefix(magic: bytes, header: bytes) -> bytes:
    """Write the first bytes: magic, version, length, header."""
    if len(header) > HEADER_MAX_BYTES:
        raise LocalError(f"a header of {len(header)} bytes; too many recipients")
    return magic + bytes((VERSION,)) + struct.pack(">I", len(header)) + header


def header_length(first: bytes, magic: bytes, what: str) -> int:
    """Judge the first 14 bytes and give the header's length.

    Raises:
        BadContainer: not this kind, or cut.
        SuiteRefused: another version.
    """
    if first[:MAGIC_BYTES] != magic[: len(first[:MAGIC_BYTES])] or not first:
        raise BadContainer(f"this is not {what}")
    if len(first) < PREFIX_BYTES:
        raise BadContainer(f"{what}, cut after {len(first)} bytes")
    if first[MAGIC_BYTES] != VERSION:
        raise SuiteRefused(
            f"{what} of version {first[MAGIC_BYTES]}; this program reads version {VERSION}",
            hint="update dunes-mcp: pip install -U dunes-mcp",
        )
    (size,) = struct.unpack(">I", first[MAGIC_BYTES + 1 : PREFIX_BYTES])
    if not 0 < size <= HEADER_MAX_BYTES:
        raise BadContainer(f"{what} with a header of {size} bytes; 1 to 65536 are usual")
    return int(size)


def wrap_all(
    recipients: Sequence[Recipient], dek: bytes, info_of: Mapping[str, bytes]
) -> list[dict[str, str]]:
    """Wrap the data key to every recipient, as the header's `rcpt` list."""
    if not 1 <= len(recipients) <= RECIPIENTS_MAX or len(info_of) != len(recipients):
        raise LocalError(f"a container has 1 to {RECIPIENTS_MAX} different recipients")
    if len(dek) != DEK_BYTES:
        raise LocalError(f"a data key has {DEK_BYTES} bytes, not {len(dek)}")
    return [
        {
            "enc": base64.b64encode(to.wrap(dek, info_of[to.kid])).decode("ascii"),
            "kid": to.kid,
        }
        for to in recipients
    ]


def read_wraps(rcpt: object) -> tuple[Wrap, ...]:
    """Read the header's `rcpt` list.

    Raises:
        BadContainer: a wrap of the wrong form or length, none, too many, one kid twice.
    """
    if not isinstance(rcpt, list) or not 1 <= len(rcpt) <= RECIPIENTS_MAX:
        raise BadContainer("the container's list of recipients is not one")
    wraps = []
    for entry in rcpt:
        if not isinstance(entry, dict) or entry.keys() != {"kid", "enc"}:
            raise BadContainer("a recipient of the container is not {kid, enc}")
        enc = _base64(entry["enc"])
        if not is_kid(entry["kid"]) or len(enc) != WRAP_OVERHEAD_BYTES + DEK_BYTES:
            raise BadContainer("a recipient of the container has a kid or key of another length")
        wraps.append(Wrap(entry["kid"], enc))
    if len({wrap.kid for wrap in wraps}) != len(wraps):
        raise BadContainer("the container names one recipient twice")
    return tuple(wraps)


def _base64(text: object) -> bytes:
    """Decode canonical base64."""
    try:
        found = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return b""
    return found if base64.b64encode(found).decode("ascii") == text else b""


def check_kid(value: object, what: str) -> str:
    """Give a key id back, or refuse the container."""
    if not is_kid(value):
        raise BadContainer(f"the container's {what} is not a key id")
    return str(value)


def check_count(value: object, what: str, limit: int = TIME_MAX_S) -> int:
    """Give a whole number from 0 back (no bool), or refuse the container."""
    if type(value) is not int or not 0 <= value <= limit:
        raise BadContainer(f"the container's {what} is not a whole number")
    return value


def find_sender(sender: str, senders: Mapping[str, VerifyKey]) -> VerifyKey:
    """Look up who signed.

    Raises:
        Untrusted: nobody whom the caller believes.
    """
    try:
        return senders[sender]
    except KeyError as e:
        raise Untrusted(
            f"sealed by {sender}, whom nobody here trusts",
            hint="dunes keys trust FILE.pub.maml",
        ) from e


def unwrap_dek(
    wraps: Iterable[Wrap], keys: Mapping[str, RecipientKey], info_of: Mapping[str, bytes]
) -> bytes:
    """Open the data key with whichever of our keys it was wrapped to.

    Raises:
        NotARecipient: it was wrapped to others.
        Tampered: the wrap does not open.
    """
    kids = []
    for wrap in wraps:
        if wrap.kid in keys:
            dek = keys[wrap.kid].unwrap(wrap.enc, info_of[wrap.kid])
            if len(dek) != DEK_BYTES:
                raise Tampered("a data key of the wrong length")
            return dek
        kids.append(wrap.kid)
    raise NotARecipient(
        f"sealed to {', '.join(kids)}; none of these keys is here", hint="dunes keys list"
    )
