"""What was asked for, and what was granted."""

from collections.abc import Iterable
from dataclasses import dataclass

from dunes.errors import UsageError
from dunes.text import printable
from sakina.oauth.jose import peek_claims
from sakina.oauth.tokens import TokenAnswer

PROTOCOL = frozenset({"openid", "offline_access", "profile", "email", "phone", "address", "group"})
"""Scopes that shape the login itself; no token for a resource lists them."""
ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
SCOPE_MAX = 200


def parse_scopes(given: Iterable[str]) -> tuple[str, ...]:
    """Read scopes, given apart or in one text with spaces; each once, in order.

    Raises:
        UsageError: a character that RFC 6749 3.3 has not.
    """
    found: dict[str, None] = {}
    for text in given:
        for scope in text.split():
            good = all("!" <= c <= "~" and c not in '"\\' for c in scope)
            if not good or len(scope) > SCOPE_MAX:
                raise UsageError(f"no scope can be called {printable(scope, 60)!r}")
            found[scope] = None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Granted:
    """What an issuer granted.

    Attributes:
        scopes: None if it does not tell.
        missing: asked for and not granted.
    """

    scopes: tuple[str, ...] | None
    missing: tuple[str, ...]


def judge_scopes(requested: tuple[str, ...], answer: TokenAnswer) -> Granted:
    """Compare what was asked for with what came.

    RFC 6749 5.1 reads an answer without `scope` as "all that was asked for". Some issuers
    leave it out when they granted nothing, so an access token that says what it is good
    for (RFC 9068) is believed first.
    """
    scopes = answer.scope
    if scopes is None:
        scopes = _scopes_inside(answer)
    if scopes is None:
        return Granted(None, ())
    missing = tuple(s for s in requested if s not in scopes and s not in PROTOCOL)
    return Granted(scopes, missing)


def _scopes_inside(answer: TokenAnswer) -> tuple[str, ...] | None:
    """Read the scopes that a JWT access token lists; None if it is opaque."""
    peeked = peek_claims(answer.access_token.reveal())
    if peeked is None:
        return None
    header, claims = peeked
    value = claims.get("scope", claims.get("scp"))
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list):
        return tuple(each for each in value if isinstance(each, str))
    typed = str(header.get("typ", "")).lower()
    return () if typed in ACCESS_TOKEN_TYPES else None
