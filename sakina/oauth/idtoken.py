"""What an id_token must hold before a login is believed (OpenID Connect Core 3.1.3.7)."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sakina.oauth.errors import BadToken
from sakina.oauth.jose import verify_jws

LEEWAY_S = 60
"""Two clocks that are set by NTP differ by less."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say.

    Attributes:
        issuer: its `iss`, to the letter.
        audience: one of its `aud`.
        now_s: seconds since 1970 UTC.
        nonce: what we sent; empty if none was sent.
        required: claims that must be there.
    """

    issuer: str
    audience: str
    now_s: int
    nonce: str = ""
    required: tuple[str, ...] = ("iss", "aud", "exp", "iat", "sub")


def verify_id_token(token: str, jwks: Sequence[Any], expected: Expected) -> Mapping[str, Any]:
    """Check an id_token and give its claims.

    Raises:
        BadToken: one of the checks failed; the message names it.
    """
    claims = verify_jws(token, jwks).claims
    check_claims(claims, expected)
    return claims


def check_claims(claims: Mapping[str, Any], expected: Expected) -> None:
    """Check claims whose signature is known to be good.

    Raises:
        BadToken: one of the checks failed; `timely` is false for those of time.
    """
    for name in expected.required:
        if name not in claims:
            raise BadToken(f"the token has no claim {name!r}")
    if claims.get("iss") != expected.issuer:
        raise BadToken(f"the token is of another issuer: {str(claims.get('iss'))[:100]!r}")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.audience not in audiences:
        raise BadToken(f"the token is for another audience: {str(audience)[:100]!r}")
    if len(audiences) > 1 and claims.get("azp", expected.audience) != expected.audience:
        raise BadToken("the token was given to another client (azp)")
    _check_times(claims, expected.now_s)
    if expected.nonce:
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode(), expected.nonce.encode()
        ):
            raise BadToken("the token belongs to another login (nonce)")


def _check_times(claims: Mapping[str, Any], now_s: int) -> None:
    times = {}
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BadToken(f"the token's {name} is no time")
            times[name] = value
    if "exp" in times and now_s >= times["exp"] + LEEWAY_S:
        raise BadToken(f"the token expired {now_s - times['exp']:.0f} s ago", timely=False)
    for name in ("iat", "nbf"):
        if name in times and times[name] > now_s + LEEWAY_S:
            raise BadToken(
                f"the token is from {times[name] - now_s:.0f} s in the future", timely=False
            )
