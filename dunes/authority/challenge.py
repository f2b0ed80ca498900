"""Challenge and answer: has this device its key, now? Pure.

The challenge is a small JSON document with fresh random bytes, the names of both sides and
an end; the device signs its exact bytes in a context of their own. An answer is good once,
before the end, for the key that is trusted as that device's.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from dunes.crypto import names
from dunes.crypto.errors import BadSignature
from dunes.crypto.signing import SigningKey, VerifyKey, is_kid
from dunes.errors import PeerError
from dunes.maml.strict_json import JsonFault, read_json
from dunes.model import NAME

SCHEMA, ANSWER_SCHEMA = "dunes.challenge/1", "dunes.answer/1"
NONCE_BYTES = 32
LIFETIME_S = 60
FILE_LIFETIME_S = 7 * 86_400
"""Of a challenge that travels as a file, by hand."""
MAX_BYTES = 8192
_ANSWER_KEYS = {"device", "kid", "nonce", "signature"}


class BadAnswer(PeerError):
    """An answer that is none, or none to this challenge."""

    code = "bad-answer"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One question to a device.

    Attributes:
        device: whom.
        verifier: key id of who asks.
        nonce: 32 random bytes.
        issued_s: POSIX seconds.
        expires_s: POSIX seconds.
    """

    device: str
    verifier: str
    nonce: bytes
    issued_s: int
    expires_s: int

    def encode(self) -> bytes:
        """Write it: these bytes are signed."""
        body = {
            "schema": SCHEMA,
            "device": self.device,
            "verifier": self.verifier,
            "nonce": base64.b64encode(self.nonce).decode("ascii"),
            "issued_s": self.issued_s,
            "expires_s": self.expires_s,
        }
        return json.dumps(body, separators=(",", ":")).encode("ascii")


def read_challenge(data: bytes) -> Challenge:
    """Read a challenge.

    Raises:
        BadAnswer: it is none.
    """
    body = _object(data, SCHEMA, {"device", "verifier", "nonce", "issued_s", "expires_s"})
    device, verifier = body["device"], body["verifier"]
    times = body["issued_s"], body["expires_s"]
    nonce = _base64(body["nonce"])
    if (
        not isinstance(device, str)
        or NAME.fullmatch(device) is None
        or not is_kid(verifier)
        or len(nonce) != NONCE_BYTES
        or not all(type(t) is int and 0 <= t < 2**40 for t in times)
    ):
        raise BadAnswer("this is not a challenge")
    return Challenge(device, verifier, nonce, *times)


def answer(data: bytes, device: str, key: SigningKey, now_s: float) -> bytes:
    """Answer a challenge, as the device does.

    Args:
        data: the challenge's bytes.
        device: our own name.
        key: our own.
        now_s: POSIX seconds; a device without a clock gives the time of issue.

    Raises:
        BadAnswer: not a challenge, one for another device, or one that has ended.
    """
    asked = read_challenge(data)
    if asked.device != device:
        raise BadAnswer(f"the challenge is for {asked.device}, and this is {device}")
    if now_s >= asked.expires_s:
        raise BadAnswer("the challenge has ended; ask for a new one")
    body = {
        "schema": ANSWER_SCHEMA,
        "device": device,
        "kid": key.kid,
        "nonce": base64.b64encode(asked.nonce).decode("ascii"),
        "signature": base64.b64encode(key.sign(data, names.SIGN_CHALLENGE)).decode("ascii"),
    }
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def nonce_of(data: bytes) -> bytes:
    """Give the random bytes of the challenge that an answer is to.

    Raises:
        BadAnswer: not an answer.
    """
    nonce = _base64(_object(data, ANSWER_SCHEMA, _ANSWER_KEYS)["nonce"])
    if len(nonce) != NONCE_BYTES:
        raise BadAnswer("this is not an answer")
    return nonce


def check_answer(asked: Challenge, data: bytes, key: VerifyKey, now_s: float) -> None:
    """Check an answer; return nothing if it is good.

    Args:
        asked: what was asked; its encoding is what has to be signed.
        data: the answer.
        key: the one that is trusted as the device's.
        now_s: POSIX seconds.

    Raises:
        BadAnswer: not an answer to this challenge, or too late.
        BadSignature: not by this key.
    """
    body = _object(data, ANSWER_SCHEMA, _ANSWER_KEYS)
    if body["device"] != asked.device or _base64(body["nonce"]) != asked.nonce:
        raise BadAnswer("the answer is to another challenge")
    if now_s >= asked.expires_s:
        raise BadAnswer("the answer came too late")
    if body["kid"] != key.kid:
        raise BadSignature(
            f"{asked.device} answered with key {str(body['kid'])[:40]!r}, not with the trusted "
            f"{key.kid}"
        )
    key.verify(_base64(body["signature"]), asked.encode(), names.SIGN_CHALLENGE)


def _object(data: bytes, schema: str, keys: set[str]) -> dict[str, Any]:
    try:
        body = read_json(data.decode("utf-8")) if len(data) <= MAX_BYTES else None
    except (JsonFault, UnicodeDecodeError) as e:
        raise BadAnswer("this is not JSON") from e
    if (
        not isinstance(body, dict)
        or body.get("schema") != schema
        or set(body) != keys | {"schema"}
    ):
        raise BadAnswer(f"this is not a {schema}")
    return body


def _base64(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as e:
        raise BadAnswer("a part is not base64") from e
