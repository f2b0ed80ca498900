"""Tokens in place of people: deterministic, keyed, reversible without a table. Pure.

A name becomes `t1-` and base32 of AES-SIV (RFC 5297) under a key of this place, bound to
the field it stands in. The same person has the same token in every reading, so that a
heart rate can be followed without knowing whose it is; another place makes other tokens.
Who has the key turns a token back. A token fits where a device's name does: 64 characters,
so a name of up to 22 bytes is reversible; of a longer one a keyed digest is kept (`h1-`,
HMAC-SHA-256), which nobody turns back.

Equal tokens tell that the person is the same: that is their purpose, and their limit.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dunes.errors import DataError, Denied, LocalError

KEY_BYTES = 32
TOKEN, DIGEST = "t1-", "h1-"
NAME_MAX_BYTES = 22
"""16 bytes of synthetic IV and 22 of name are 61 characters; with the mark 64."""
_DIGEST_BYTES = 20
_LABEL = b"dunes/pseudonym/v1/"


class Pseudonyms:
    """Makes tokens and turns them back.

    Args:
        key: 32 secret bytes.
    """

    __slots__ = ("_mac", "_siv")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise LocalError(f"a key of {len(key)} bytes; {KEY_BYTES} are needed")
        self._siv = AESSIV(_expand(key, b"siv", 64))
        self._mac = _expand(key, b"hmac", 32)

    def token(self, name: str, field: str) -> str:
        """Give the token of a name; a token is given back as it is.

        Args:
            name: a person's name or number.
            field: where it stands, e.g. `device`.
        """
        if is_token(name):
            return name
        data = name.encode("utf-8")
        bound = [_LABEL + field.encode("utf-8")]
        if 0 < len(data) <= NAME_MAX_BYTES:
            return TOKEN + _base32(self._siv.encrypt(data, bound))
        digest = hmac.digest(self._mac, bound[0] + b"\x00" + data, hashlib.sha256)
        return DIGEST + _base32(digest[:_DIGEST_BYTES])

    def name(self, token: str, field: str) -> str:
        """Turn a token back.

        Raises:
            DataError: it is none, or a digest that nobody turns back.
            Denied: it is not one of this key, or stood in another field.
        """
        if token.startswith(DIGEST):
            raise DataError(
                "this name was too long to be kept; its token cannot be turned back",
                code="one-way-token",
            )
        if not is_token(token):
            raise DataError(f"{token[:80]!r} is no token", code="no-token")
        text = token.removeprefix(TOKEN).upper()
        try:
            data = base64.b32decode(text + "=" * (-len(text) % 8))
            return self._siv.decrypt(data, [_LABEL + field.encode("utf-8")]).decode("utf-8")
        except (binascii.Error, InvalidTag, ValueError) as e:
            raise Denied(
                "this token was made at another place, or for another field",
                hint="sakina detokenize --field device, at the gateway that made it",
                code="foreign-token",
            ) from e

    def __repr__(self) -> str:
        """Show nothing secret."""
        return "<Pseudonyms (secret hidden)>"


def is_token(text: str) -> bool:
    """Tell whether a text is written as a token."""
    body = text[len(TOKEN) :]
    return (
        text[: len(TOKEN)] in {TOKEN, DIGEST}
        and len(body) >= 26  # noqa: PLR2004 - base32 of 16 bytes
        and all(c in "abcdefghijklmnopqrstuvwxyz234567" for c in body)
    )


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _expand(key: bytes, label: bytes, size: int) -> bytes:
    return HKDF(SHA256(), size, salt=None, info=_LABEL + label).derive(key)
