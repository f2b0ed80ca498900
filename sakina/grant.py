"""A login as it is kept: tokens, where they came from, and what they are good for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dunes.errors import DataError
from dunes.secrets import Secret
from sakina.oauth.discovery import Metadata
from sakina.oauth.tokens import TokenAnswer

FORMAT = "sakina.grant/1"
EARLY_S = 30
"""A token is renewed this long before its end: it still has to travel."""
BACKWARDS_S = 60
"""A clock that stands before the login by more cannot say what has expired."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One profile's login.

    Attributes:
        profile: its name.
        provider: as it was asked for: a preset or an issuer's URL.
        flow: `device`, `browser`, `client-credentials` or `with-token`.
        metadata: of the issuer, as found at the login.
        client_id: ours at that issuer.
        access_token: what is shown to resources.
        token_type: `Bearer` or `DPoP`.
        obtained_s: when, seconds since 1970 UTC.
        expires_s: until when; None if the issuer did not say.
        scopes: what the issuer granted; None if it does not tell.
        requested: what was asked for.
        local_scopes: enforced here alone, as the issuer does not know them.
        resource: whom the token is for (RFC 8707); empty if nobody was named.
        subject: who logged in (`sub`); empty if unknown.
        username: how that one is called; empty if unknown.
        refresh_token: for the next token.
        client_secret: of a confidential client.
        secret_file: where the secret was read from, read anew each time; empty if nowhere.
        key_file: the key of private_key_jwt; empty if none.
        dpop_key: PEM; the token is bound to it.
        ca_file: authorities of an issuer of one's own; empty: the system's.
        simulated: the issuer is the simulated site's.
    """

    profile: str
    provider: str
    flow: str
    metadata: Metadata
    client_id: str
    access_token: Secret
    token_type: str
    obtained_s: int
    expires_s: int | None = None
    scopes: tuple[str, ...] | None = None
    requested: tuple[str, ...] = ()
    local_scopes: tuple[str, ...] = ()
    resource: str = ""
    subject: str = ""
    username: str = ""
    refresh_token: Secret | None = None
    client_secret: Secret | None = None
    secret_file: str = ""
    key_file: str = ""
    dpop_key: Secret | None = field(default=None)
    ca_file: str = ""
    simulated: bool = False

    def usable(self, now_s: int) -> bool:
        """Tell whether the access token is still good, with time to travel."""
        if now_s < self.obtained_s - BACKWARDS_S:
            return False
        return self.expires_s is None or now_s < self.expires_s - EARLY_S

    @property
    def renewable(self) -> bool:
        """Whether a new token can be had without a person."""
        return self.refresh_token is not None or self.flow == "client-credentials"

    @property
    def allowed_scopes(self) -> tuple[str, ...]:
        """What it is good for: what the issuer granted, or what is enforced here."""
        if self.local_scopes:
            return self.local_scopes
        return self.requested if self.scopes is None else self.scopes

    def renewed(self, answer: TokenAnswer, now_s: int) -> "Grant":
        """Give the grant with new tokens; without a new refresh token the old one stays."""
        return replace(
            self,
            access_token=answer.access_token,
            token_type=answer.token_type,
            obtained_s=now_s,
            expires_s=None if answer.expires_in_s is None else now_s + answer.expires_in_s,
            refresh_token=answer.refresh_token or self.refresh_token,
            scopes=self.scopes if answer.scope is None else answer.scope,
        )


SECRETS = ("access_token", "refresh_token", "client_secret", "dpop_key")


def encode_grant(grant: Grant) -> bytes:
    """Write a grant as JSON, secrets in clear: for a token store alone."""
    body: dict[str, Any] = {"format": FORMAT}
    for name in Grant.__dataclass_fields__:
        value = getattr(grant, name)
        if isinstance(value, Secret):
            value = value.reveal()
        elif isinstance(value, Metadata):
            value = {each: getattr(value, each) for each in Metadata.__dataclass_fields__}
        body[name] = value
    return json.dumps(body, separators=(",", ":")).encode()


def decode_grant(raw: bytes, origin: str) -> Grant:
    """Read a grant.

    Raises:
        DataError: it is none; nothing of it is quoted.
    """
    damaged = DataError(
        f"{origin} holds no login that can be read",
        hint="sakina auth logout --local, then log in again",
        code="bad-grant",
    )
    try:
        body = json.loads(raw)
    except ValueError:
        raise damaged from None
    if not isinstance(body, dict) or body.pop("format", None) != FORMAT:
        raise damaged
    try:
        grant = _read(body)
    except (TypeError, ValueError, KeyError):
        raise damaged from None
    return grant


def _read(body: Mapping[str, Any]) -> Grant:
    import msgspec

    fields = dict(body)
    for name in SECRETS:
        text = fields.get(name)
        if text is not None:
            fields[name] = Secret(msgspec.convert(text, str))
    if "access_token" not in fields:
        raise KeyError
    fields["metadata"] = msgspec.convert(fields["metadata"], Metadata)
    for name in ("scopes", "requested", "local_scopes"):
        if fields.get(name) is not None:
            fields[name] = msgspec.convert(fields[name], tuple[str, ...])
    return Grant(**fields)
