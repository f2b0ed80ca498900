"""Tokens: what a subject may do, until when, signed by its issuer and by witnesses. Pure.

A token is a JWT (RFC 7519) in a compact JWS with ML-DSA-65. Its scopes count if its issuer
may give them: this place itself, a key trusted as an operator's, or enough witnesses.
Witnesses sign the finished token, each with a detached JWS, so that signatures can be
gathered in any order and without a network.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dunes.authority.jose import Compact, read_compact, sign_compact, sign_detached
from dunes.authority.policydoc import NAME as SCOPE_NAME
from dunes.crypto.compactjws import BadToken
from dunes.crypto.errors import BadSignature, SuiteRefused
from dunes.crypto.signing import SigningKey, VerifyKey, is_kid
from dunes.maml.strict_json import JsonFault, read_json
from dunes.text import printable

TYP = "dunes+jwt"
WITNESS_TYP = "dunes-witness+jws"
LIFETIME_S = 900
"""Fifteen minutes, as the guide refreshes."""
LIFETIME_MAX_S = 31 * 86_400
LEEWAY_S = 60
"""How far two clocks may differ."""
TEXT_MAX = 256
SCOPES_MAX = 32
CLAIMS = frozenset({"iss", "sub", "aud", "scope", "iat", "nbf", "exp", "jti", "cnf"})
Find = Callable[[str], VerifyKey | None]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says.

    Attributes:
        iss: key id of who issued it.
        sub: who may, e.g. `hab-sensor-001`.
        aud: where, e.g. a gateway's name; empty: anywhere.
        scopes: what.
        iat: issued at, POSIX seconds.
        nbf: not before.
        exp: not at or after.
        jti: its own id, for revocation.
        cnf: key id of the subject, which has to prove that it has that key; empty: none.
    """

    iss: str
    sub: str
    aud: str
    scopes: tuple[str, ...]
    iat: int
    nbf: int
    exp: int
    jti: str
    cnf: str = ""

    def encode(self) -> bytes:
        """Write them as JSON."""
        body: dict[str, Any] = {
            "iss": self.iss,
            "sub": self.sub,
            "scope": " ".join(self.scopes),
            "iat": self.iat,
            "nbf": self.nbf,
            "exp": self.exp,
            "jti": self.jti,
        }
        if self.aud:
            body["aud"] = self.aud
        if self.cnf:
            body["cnf"] = {"kid": self.cnf}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


@dataclass(frozen=True, slots=True)
class Token:
    """A token as read; nothing is verified yet."""

    text: str
    jws: Compact
    claims: Claims


def make_token(claims: Claims, key: SigningKey) -> str:
    """Sign claims; `iss` is to be the key's id."""
    if claims.iss != key.kid:
        raise BadToken("a token is signed by who issues it")
    return sign_compact(claims.encode(), key, TYP)


def read_token(text: str) -> Token:
    """Read a token.

    Raises:
        BadToken: not one, or a claim is absent or of the wrong kind.
        SuiteRefused: another algorithm.
    """
    line = text.strip()
    jws = read_compact(line, TYP)
    try:
        body = read_json(jws.payload.decode("utf-8"))
        claims = _claims(body)
    except (JsonFault, UnicodeDecodeError, KeyError, TypeError, ValueError) as e:
        raise BadToken(f"the token's claims are not what they have to be: {e}") from e
    if claims.iss != jws.kid:
        raise BadToken("the token's issuer is not the key that its header names")
    return Token(line, jws, claims)


def _claims(body: Mapping[str, Any]) -> Claims:
    if not isinstance(body, dict) or set(body) - CLAIMS:
        raise ValueError("an unknown claim")
    scopes = tuple(_text(body, "scope").split())
    if not 0 < len(scopes) <= SCOPES_MAX or not all(SCOPE_NAME.fullmatch(s) for s in scopes):
        raise ValueError("scope")
    cnf = body.get("cnf", {"kid": ""})
    if (
        not isinstance(cnf, dict)
        or set(cnf) != {"kid"}
        or not ("cnf" not in body or is_kid(cnf["kid"]))
    ):
        raise ValueError("cnf")
    claims = Claims(
        _text(body, "iss"),
        _text(body, "sub"),
        _text(body, "aud") if "aud" in body else "",
        scopes,
        _time(body, "iat"),
        _time(body, "nbf"),
        _time(body, "exp"),
        _text(body, "jti"),
        cnf["kid"],
    )
    if not claims.iat <= claims.exp or claims.exp - claims.nbf > LIFETIME_MAX_S:
        raise ValueError("exp")
    return claims


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body[name]
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX or not value.isprintable():
        raise ValueError(name)
    return value


def _time(body: Mapping[str, Any], name: str) -> int:
    value = body[name]
    if type(value) is not int or not 0 <= value < 2**40:
        raise ValueError(name)
    return value


# -- checking -----------------------------------------------------------------------------


@dataclass(slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str


@dataclass(slots=True)
class Checked:
    """What a token is worth here and now.

    Attributes:
        checks: each with its finding.
        witnesses: key ids of those whose signatures count.
        scopes: those that count: none unless the token holds.
    """

    checks: list[Check] = field(default_factory=list)
    witnesses: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return all(check.ok for check in self.checks)

    def add(self, name: str, ok: bool, text: str) -> bool:  # a name, a finding, a sentence
        """Note a finding."""
        self.checks.append(Check(name, ok, text))
        return ok


@dataclass(frozen=True, slots=True)
class Authorities:
    """Whose signatures count here.

    Attributes:
        find: gives a believed key by its id: any role.
        issuers: key ids whose tokens give scopes by themselves: our own, and operators'.
        witnesses: key ids that may bear witness.
        revoked: ids of tokens that count no longer.
    """

    find: Find
    issuers: Collection[str] = frozenset()
    witnesses: Collection[str] = frozenset()
    revoked: Collection[str] = frozenset()


def check_token(
    token: Token,
    authorities: Authorities,
    now_s: float,
    *,
    signatures: Iterable[str] = (),
    threshold: int = 0,
    audience: str = "",
    leeway_s: float = LEEWAY_S,
) -> Checked:
    """Say what a token is worth.

    Args:
        token: as read.
        authorities: whose signatures count.
        now_s: POSIX seconds.
        signatures: detached ones of witnesses.
        threshold: so many witnesses are needed; 0: the issuer's word is enough, if it is
            one whose word is.
        audience: our own name; empty: the token may be for anybody.
        leeway_s: how far clocks may differ.
    """
    claims, found = token.claims, Checked()
    key = authorities.find(token.jws.kid)
    if key is None:
        found.add("issuer", False, f"key {claims.iss} is not believed here")
    else:
        try:
            token.jws.verify(key)
            found.add("issuer", True, f"signed by key {claims.iss}")
        except (BadSignature, SuiteRefused) as e:
            found.add("issuer", False, e.message)
    _check_times(found, claims, now_s, leeway_s)
    if claims.jti in authorities.revoked:
        found.add("revocation", False, f"token {printable(claims.jti)} was revoked")
    if audience and claims.aud and claims.aud != audience:
        found.add("audience", False, f"it is for {printable(claims.aud)}, not for {audience}")
    if threshold:
        found.witnesses, refused = count_witnesses(token, signatures, authorities)
        have = len(found.witnesses)
        text = f"{have} of {threshold} witnesses signed; {len(authorities.witnesses)} are known"
        found.add("witnesses", have >= threshold, text + "".join(f"; {r}" for r in refused))
    elif claims.iss not in authorities.issuers:
        found.add("authority", False, f"key {claims.iss} may not give scopes by itself")
    if found.ok:
        found.scopes = frozenset(claims.scopes)
    return found


def _check_times(found: Checked, claims: Claims, now_s: float, leeway_s: float) -> None:
    if now_s >= claims.exp + leeway_s:
        found.add("time", False, f"it expired {_span(now_s - claims.exp)} ago")
    elif now_s < claims.nbf - leeway_s:
        away = _span(claims.nbf - now_s)
        found.add("time", False, f"it is not valid for another {away}, or this clock is slow")
    elif claims.iat > now_s + leeway_s:
        found.add("time", False, "it was issued in the future, or this clock is slow")
    else:
        found.add("time", True, f"valid for another {_span(max(0.0, claims.exp - now_s))}")


def _span(seconds: float) -> str:
    whole = int(seconds)
    days, hours, minutes = whole // 86_400, whole % 86_400 // 3600, whole % 3600 // 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def bear_witness(token: Token, key: SigningKey) -> str:
    """Sign a finished token as a witness."""
    return sign_detached(token.text.encode("ascii"), key, WITNESS_TYP)


def count_witnesses(
    token: Token, signatures: Iterable[str], authorities: Authorities
) -> tuple[tuple[str, ...], list[str]]:
    """Give the witnesses whose signatures count, each once, and why others do not.

    Who issued a token, and who it is for, bears no witness to it.
    """
    good: dict[str, None] = {}
    refused = []
    payload = token.text.encode("ascii")
    for text in signatures:
        try:
            jws = read_compact(text, WITNESS_TYP, detached=payload)
            key = authorities.find(jws.kid)
            if jws.kid in {token.claims.iss, token.claims.cnf}:
                refused.append(f"{jws.kid} cannot bear witness to its own token")
            elif key is None or jws.kid not in authorities.witnesses:
                refused.append(f"{jws.kid} is no witness that is believed here")
            else:
                jws.verify(key)
                good[jws.kid] = None
        except (BadToken, BadSignature, SuiteRefused) as e:
            refused.append(e.message)
    return tuple(good), refused
