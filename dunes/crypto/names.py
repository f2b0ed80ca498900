"""The words that separate one use of a key from another, in one place.

A signature made under one of these contexts verifies under no other; a key derived
under one of these labels is no other's. docs/formats.md lists the same words.
"""

import re

from dunes.errors import LocalError

SUITE = "2048-AES/1:xwing+hkdf-sha256+aes-256-gcm+cobblestone-256+ml-dsa-65"
"""The one suite. A reader compares the whole string; there is nothing to negotiate."""

SIGN_BATCH = b"dunes/2048-aes/v1/batch"
SIGN_FILE = b"dunes/2048-aes/v1/file"
SIGN_DETACHED = b"dunes/2048-aes/v1/detached"
SIGN_KEY = b"dunes/2048-aes/v1/key"
SIGN_KEY_RECORD = b"dunes/2048-aes/v1/key-record"
SIGN_LANE_HEAD = b"dunes/2048-aes/v1/lane-head"
SIGN_ACK = b"dunes/2048-aes/v1/ack"
SIGN_AUDIT = b"dunes/2048-aes/v1/audit"
SIGN_CHALLENGE = b"dunes/2048-aes/v1/challenge"
SIGN_WALLET = b"dunes/2048-aes/v1/wallet"

LABEL_DEK = b"dunes/2048-aes/v1/dek"
LABEL_BODY = b"dunes/2048-aes/v1/body"
LABEL_FILE_DEK = b"dunes/2048-aes/v1/file-dek"
LABEL_FILE_BODY = b"dunes/2048-aes/v1/file-body"
LABEL_EPOCH = b"dunes/2048-aes/v1/epoch"
LABEL_GRANT = b"dunes/2048-aes/v1/grant"
LABEL_FRAME = b"dunes/2048-aes/v1/frame"
LABEL_MESH_SECRET = b"dunes/2048-aes/v1/mesh-secret"
LABEL_MESH_FIELD = b"dunes/2048-aes/v1/mesh-field"

STREAM_MAX = 64
_STREAM = re.compile(rf"[A-Za-z0-9._-]{{1,{STREAM_MAX}}}")


def is_stream(text: object) -> bool:
    """Tell whether something names a stream: 1 to 64 of A-Z a-z 0-9 . _ -."""
    return isinstance(text, str) and _STREAM.fullmatch(text) is not None


def check_stream(text: str) -> str:
    """Give a stream's name back, or say that our caller made it wrong."""
    if not is_stream(text):
        raise LocalError(f"a stream name has 1 to {STREAM_MAX} of A-Z a-z 0-9 . _ -, not {text!r}")
    return text


def info(label: bytes, *parts: str | bytes | int) -> bytes:
    """Join a label and what it is bound to with single zero bytes.

    Unambiguous, as no part may hold a zero byte but a last one of fixed length.
    """
    encoded = (part if isinstance(part, bytes) else str(part).encode("ascii") for part in parts)
    return b"\x00".join((label, *encoded))
