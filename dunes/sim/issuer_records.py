"""What the simulated identity provider remembers: clients, codes, families of tokens.

In memory, as a restart of an issuer that voids every grant is worth meeting too. Its key,
its service account and its port are kept by `dunes.sim.issuer`.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from dunes.errors import NotFound, UsageError

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
SCOPES = (
    "telemetry",
    "habitat-data",
    "rover-data",
    "rover-telemetry",
    "data-relay",
    "mesh-control",
    "health-data",
)
"""What the guide's roles are about."""
LOGIN_SCOPES = ("openid", "offline_access", "profile")
DEVICE_CODE_S = 600
CODE_S = 60
RECORDS_MAX = 10_000
"""Whoever floods the issuer loses the oldest records, not the site its memory."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who approves logins."""

    name: str

    def get_user_id(self) -> str:
        """Give `sub`."""
        return self.name


@dataclass(frozen=True, slots=True)
class Client:
    """A registered program, as authlib asks about it.

    Attributes:
        client_id: its name.
        title: for the page where a person approves.
        methods: how it shows who it is.
        grants: what it may do.
        secret: of a confidential client.
        jwks: keys of one that signs assertions.
        redirect_uris: for a native client any port of loopback is good (RFC 8252 7.3).
    """

    client_id: str
    title: str
    methods: tuple[str, ...]
    grants: tuple[str, ...]
    secret: str = field(default="", repr=False)
    jwks: Mapping[str, Any] = field(default_factory=dict)
    redirect_uris: tuple[str, ...] = ()

    def get_client_id(self) -> str:
        """Give the name."""
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Give none: the client has to say which."""
        return None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Give what is known of what was asked for."""
        known = {*SCOPES, *LOGIN_SCOPES}
        return " ".join(each for each in (scope or "").split() if each in known)

    def check_redirect_uri(self, uri: str) -> bool:
        """Tell whether a browser may be sent there."""
        given = urlsplit(uri)
        for registered in self.redirect_uris:
            known = urlsplit(registered)
            here = known.hostname in {"127.0.0.1", "::1"}
            place = (given.scheme, given.hostname, given.path, given.query, given.fragment)
            same = place == (known.scheme, known.hostname, known.path, known.query, "")
            if same and (here or given.port == known.port) and "@" not in given.netloc:
                return True
        return False

    def check_client_secret(self, secret: str) -> bool:
        """Compare in constant time."""
        return bool(self.secret) and hmac.compare_digest(self.secret.encode(), secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Tell whether it may show who it is that way."""
        del endpoint
        return method in self.methods

    def check_response_type(self, response_type: str) -> bool:
        """Tell whether it may send browsers here."""
        return response_type == "code" and "authorization_code" in self.grants

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether it may do that."""
        return grant_type in self.grants


@dataclass(slots=True)
class Family:
    """All tokens that came of one approval; they are revoked together."""

    client_id: str
    user: User | None
    scope: str
    resource: str = ""
    jkt: str = ""
    revoked: bool = False


@dataclass(slots=True)
class Token:
    """A refresh token, or what is known of an access token."""

    family: Family
    expires_s: float
    kind: str = "refresh_token"
    used: bool = False

    def check_client(self, client: Client) -> bool:
        """Tell whether it is that client's."""
        return self.family.client_id == client.client_id

    def get_scope(self) -> str:
        """Give its scope."""
        return self.family.scope


@dataclass(slots=True)
class DeviceLogin:
    """A login on another screen.

    Attributes:
        client_id: who asks.
        scope: for what.
        user_code: what a person types.
        expires_s: when it is over, seconds since 1970.
        interval_s: between two polls; grows with slow_down.
        resource: whom the token is for.
        decision: who approved (True) or refused (False); None while nobody did.
        polled_s: when it was asked for last.
        family: what came of it; a second redemption revokes that.
    """

    client_id: str
    scope: str
    user_code: str
    expires_s: float
    interval_s: float
    resource: str = ""
    decision: tuple[User, bool] | None = None
    polled_s: float = -1e18
    family: Family | None = None
    now_s: float = 0.0

    def get_client_id(self) -> str:
        """Give who asks."""
        return self.client_id

    def get_scope(self) -> str:
        """Give for what."""
        return self.scope

    def get_user_code(self) -> str:
        """Give what a person types."""
        return self.user_code

    def is_expired(self) -> bool:
        """Tell whether it is over."""
        return self.now_s >= self.expires_s


@dataclass(slots=True)
class Code:
    """An authorization code, good once."""

    client_id: str
    user: User
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str
    expires_s: float
    auth_time_s: int
    resource: str = ""
    family: Family | None = None

    def get_redirect_uri(self) -> str:
        """Give where the browser was sent."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Give for what."""
        return self.scope

    def get_nonce(self) -> str:
        """Give what ties the id_token to the login."""
        return self.nonce

    def get_auth_time(self) -> int:
        """Give when the person logged in."""
        return self.auth_time_s

    def get_acr(self) -> None:
        """Say nothing about assurance."""

    def get_amr(self) -> None:
        """Say nothing about methods."""


@dataclass(slots=True)
class Records:
    """Everything that is open or was given out."""

    clients: dict[str, Client] = field(repr=False)
    devices: dict[str, DeviceLogin] = field(default_factory=dict, repr=False)
    codes: dict[str, Code] = field(default_factory=dict, repr=False)
    tokens: dict[str, Token] = field(default_factory=dict, repr=False)
    assertions: dict[str, float] = field(default_factory=dict, repr=False)
    proofs: dict[str, float] = field(default_factory=dict, repr=False)

    def tidy(self, now_s: float) -> None:
        """Forget what is over, and the oldest of what is too much."""
        for lasting in (self.assertions, self.proofs):
            for key in [k for k, until_s in lasting.items() if until_s < now_s]:
                del lasting[key]
        tables: list[dict[str, Any]] = [
            self.devices, self.codes, self.tokens, self.assertions, self.proofs,
        ]  # fmt: skip
        for table in tables:
            while len(table) > RECORDS_MAX:
                del table[next(iter(table))]

    def waiting(self, now_s: float) -> list[DeviceLogin]:
        """Give the logins that wait for a person."""
        found = self.devices.values()
        return [each for each in found if each.decision is None and each.expires_s > now_s]

    def decide(self, user_code: str, user: User, now_s: float, *, approve: bool) -> DeviceLogin:
        """Approve or refuse a login; without a code the only one that waits.

        Raises:
            NotFound: no such login waits.
            UsageError: several do, and none was named.
        """
        wanted = user_code.strip().upper()
        waiting = self.waiting(now_s)
        found = [each for each in waiting if not wanted or each.user_code == wanted]
        if not found:
            raise NotFound(
                f"no login with the code {wanted[:20]!r} waits" if wanted else "no login waits",
                hint="sakina auth-flow --provider site --flow device",
                code="no-such-login",
            )
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} logins wait", hint="dunes sim approve CODE", code="which-login"
            )
        found[0].decision = (user, approve)
        return found[0]


def new_secret() -> str:
    """Make the secret of a service account; with the characters that are often mistreated."""
    return secrets.token_urlsafe(24) + ":+%&"
