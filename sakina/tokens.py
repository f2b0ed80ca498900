"""Tokens as files: `FILE`, and beside it a signature per witness, `FILE.KID.witness`."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dunes.authority.token import LIFETIME_MAX_S, Checked, Claims, Token
from dunes.clock import US_PER_S, rfc3339
from dunes.errors import UsageError

ENDING = ".witness"
KID_SHOWN = 16
WITNESSES_MAX = 64
"""Files that are looked at; each costs a verification."""


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One thing that was looked at.

    Attributes:
        name: issuer, time, revocation, audience, authority or witnesses.
        ok: nothing speaks against the token.
        text: a sentence.
    """

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class TokenReport:
    """A token, and what it is worth here.

    Attributes:
        valid: it counts.
        file: where it lies; `-` is standard input.
        issuer: key id of who issued it.
        subject: who may.
        audience: where; empty: anywhere.
        scopes: what.
        issued_at: RFC 3339.
        expires_at: RFC 3339.
        id: its `jti`, for `sakina token-revoke`.
        bound_to: key id that the subject has to have; empty: none.
        threshold: witnesses that are asked for; 0: none.
        witnesses: key ids of those that count.
        checks: all that was looked at; empty where nothing was to be.
        token: the token itself, where it goes to standard output; else empty.
    """

    valid: bool
    file: str
    issuer: str
    subject: str
    audience: str
    scopes: tuple[str, ...]
    issued_at: str
    expires_at: str
    id: str
    bound_to: str
    threshold: int = 0
    witnesses: tuple[str, ...] = ()
    checks: tuple[CheckRow, ...] = ()
    token: str = ""


def report_of(
    token: Token,
    file: str,
    checked: Checked | None = None,
    *,
    threshold: int = 0,
    show: bool = False,
) -> TokenReport:
    """Describe a token."""
    claims = token.claims
    return TokenReport(
        checked is None or checked.ok,
        file,
        claims.iss,
        claims.sub,
        claims.aud,
        claims.scopes,
        rfc3339(claims.iat * US_PER_S),
        rfc3339(claims.exp * US_PER_S),
        claims.jti,
        claims.cnf,
        threshold,
        () if checked is None else checked.witnesses,
        () if checked is None else tuple(CheckRow(c.name, c.ok, c.text) for c in checked.checks),
        token.text if show else "",
    )


def make_claims(
    issuer: str,
    subject: str,
    scopes: Iterable[str],
    now_s: int,
    lifetime_s: float,
    *,
    audience: str = "",
    bound_to: str = "",
) -> Claims:
    """Say what a new token is to say.

    Raises:
        UsageError: it would count for longer than a month, or not at all.
    """
    if not 1 <= lifetime_s <= LIFETIME_MAX_S:
        raise UsageError("a token counts from 1 second to 31 days", hint="--lifetime 15m")
    end = now_s + round(lifetime_s)
    return Claims(
        issuer,
        subject,
        audience,
        tuple(dict.fromkeys(scopes)),
        now_s,
        now_s,
        end,
        secrets.token_hex(12),
        bound_to,
    )


def witness_path(token: Path, kid: str) -> Path:
    """Say where a witness's signature goes."""
    return token.with_name(f"{token.name}.{kid[:KID_SHOWN]}{ENDING}")


def find_witnesses(token: Path) -> list[Path]:
    """Find the signatures beside a token."""
    return sorted(token.parent.glob(f"{_escaped(token.name)}.*{ENDING}"))[:WITNESSES_MAX]


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
