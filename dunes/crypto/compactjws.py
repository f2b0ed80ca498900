"""The shape of signed JSON: base64url, three parts with dots between, a key's name. Pure.

RFC 7515 (compact JWS), RFC 7638 (thumbprint). Which algorithm, which header and whose key
counts is for its readers to say: `dunes.authority.jose` for tokens of our own,
`sakina.oauth.jose` for those of issuers.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dunes.errors import DataError
from dunes.maml.strict_json import JsonFault, read_json

MAX_CHARS = 64 * 1024


class BadToken(DataError):
    """Not a token, or one that is not written as it has to be."""

    code = "bad-token"


class Parts(NamedTuple):
    """A compact JWS, taken apart; nothing is verified yet.

    Attributes:
        header: its protected header.
        payload: as signed.
        signing_input: what the signature is over.
        signature: its bytes.
    """

    header: Mapping[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes


def b64url(data: bytes) -> str:
    """Write base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """Read base64url, in its one spelling only.

    Raises:
        BadToken: another alphabet, padding, or stray bits at the end.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as e:
        raise BadToken("a part of the token is not base64url") from e
    if b64url(data) != text:
        raise BadToken("a part of the token is not base64url in its one spelling")
    return data


def read_object(data: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object; no name may stand twice in it (RFC 7515, 4).

    Raises:
        BadToken: it is none.
    """
    try:
        value = read_json(data.decode("utf-8"))
    except (JsonFault, UnicodeDecodeError) as e:
        raise BadToken(f"the token's {what} is not JSON") from e
    if not isinstance(value, dict):
        raise BadToken(f"the token's {what} is not a JSON object")
    return value


def take_apart(text: str, *, detached: bytes | None = None) -> Parts:
    """Take a compact JWS apart.

    Args:
        text: three parts with dots between.
        detached: the payload, of one that comes without (RFC 7515, appendix F).

    Raises:
        BadToken: it is none, or too long.
    """
    parts = text.split(".")
    if len(text) > MAX_CHARS or len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        raise BadToken("this is no token: three parts with dots between are expected")
    if detached is not None:
        if parts[1]:
            raise BadToken("a detached signature has no payload of its own")
        parts[1] = b64url(detached)
    header = read_object(unb64url(parts[0]), "header")
    payload, signature = unb64url(parts[1]), unb64url(parts[2])
    return Parts(header, payload, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def put_together(
    header: Mapping[str, Any],
    payload: bytes,
    sign: Callable[[bytes], bytes],
    *,
    detached: bool = False,
) -> str:
    """Make a compact JWS.

    Args:
        header: to be protected.
        payload: to be signed.
        sign: gives the signature over a signing input.
        detached: leave the payload away (RFC 7515, appendix F).
    """
    first = b64url(json.dumps(header, separators=(",", ":")).encode("ascii"))
    body = b64url(payload)
    signature = sign(f"{first}.{body}".encode("ascii"))
    return f"{first}.{'' if detached else body}.{b64url(signature)}"


def thumbprint(members: Mapping[str, str]) -> str:
    """Name a key by the required members of its JWK (RFC 7638)."""
    text = json.dumps(dict(members), separators=(",", ":"), sort_keys=True)
    return b64url(hashlib.sha256(text.encode("ascii")).digest())
