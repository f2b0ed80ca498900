"""DSSE envelopes with ML-DSA signatures as TAP 21 has them.

Envelope: https://github.com/secure-systems-lab/dsse (1.0). Signed bytes: TUF TAP 21,
`tuf` 01 then SHA-512 of the pre-authentication encoding, empty ML-DSA context, so
that plain `securesystemslib` verifies (scheme `ml-dsa-65/1`).
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from dunes.crypto.errors import BadSignature
from dunes.maml.strict_json import JsonFault, read_json
from dunes.mu.errors import BadReceipt, Signer, Verifier

INTOTO_TYPE = "application/vnd.in-toto+json"
CONTEXT = b""
"""TAP 21 signs with the empty context; the prefix `tuf` 01 separates instead."""
SIGNATURES_MAX = 16
ENVELOPE_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of an envelope."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope as read.

    Attributes:
        raw: its bytes as stored; these are what a log hashes.
        payload: the signed bytes, not yet parsed.
        payload_type: what they claim to be.
        signatures: none in an unsigned receipt.
    """

    raw: bytes
    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def signers(self, find: Callable[[str], Verifier | None]) -> list[str]:
        """Verify the signatures of all known keys; give the ids of those keys.

        Args:
            find: gives the key of a key id, None if it is not known.

        Raises:
            BadSignature: a known key did not sign this.
        """
        signed = signed_bytes(self.payload_type, self.payload)
        good = []
        for signature in self.signatures:
            key = find(signature.keyid)
            if key is None:
                continue
            if key.kid != signature.keyid:
                raise BadSignature(f"key id {signature.keyid} is not that of the key")
            key.verify(signature.sig, signed, CONTEXT)
            good.append(key.kid)
        return good


def pae(payload_type: str, payload: bytes) -> bytes:
    """Encode type and payload before they are signed (DSSE protocol, PAE)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """Give the 68 bytes that ML-DSA signs (TAP 21)."""
    return b"tuf\x01" + hashlib.sha512(pae(payload_type, payload)).digest()


def seal(payload: bytes, payload_type: str, signer: Signer | None) -> bytes:
    """Make an envelope: compact JSON, fixed order of names.

    Args:
        payload: what is signed.
        payload_type: its media type.
        signer: None leaves it unsigned.
    """
    signatures = ""
    if signer is not None:
        sig = signer.sign(signed_bytes(payload_type, payload), CONTEXT)
        shown = base64.b64encode(sig).decode("ascii")
        signatures = f'{{"keyid":"{signer.kid}","sig":"{shown}"}}'
    body = base64.b64encode(payload).decode("ascii")
    return (
        f'{{"payload":"{body}","payloadType":"{payload_type}","signatures":[{signatures}]}}'
    ).encode("ascii")


def read_envelope(raw: bytes) -> Envelope:
    """Read an envelope; its payload stays unparsed.

    Raises:
        BadReceipt: not an envelope.
    """
    if len(raw) > ENVELOPE_MAX_BYTES:
        raise BadReceipt(f"an envelope of {len(raw)} bytes is too long", code="bad-envelope")
    try:
        body = read_json(raw.decode("utf-8"))
        payload = _base64(body["payload"])
        kind = body["payloadType"]
        rows = body["signatures"]
        signatures = tuple(Signature(row["keyid"], _base64(row["sig"])) for row in rows)
    except (JsonFault, UnicodeDecodeError, KeyError, TypeError, ValueError) as e:
        raise BadReceipt("this is not a DSSE envelope", code="bad-envelope") from e
    texts = [kind, *(s.keyid for s in signatures)]
    if not all(isinstance(t, str) for t in texts) or len(signatures) > SIGNATURES_MAX:
        raise BadReceipt("this is not a DSSE envelope", code="bad-envelope")
    return Envelope(raw, payload, kind, signatures)


def _base64(text: str) -> bytes:
    """Decode standard base64, refusing other spellings of the same bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise ValueError(str(e)) from e
    if base64.b64encode(data).decode("ascii") != text:
        raise ValueError("base64 is not in its one form")
    return data
