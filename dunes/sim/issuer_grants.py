"""The grants of the simulated identity provider: each thing that is good once is good once."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidGrantError, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant

from dunes.sim.issuer_records import (
    CODE_S,
    DEVICE_CODE_S,
    Client,
    Code,
    DeviceLogin,
    Family,
    Records,
    Token,
    User,
)
from dunes.sim.issuer_tokens import unix_s
from dunes.sim.issuer_wire import MACHINE_METHODS, METHODS, Request

if TYPE_CHECKING:
    from dunes.sim.issuer_server import IssuerServer

SLOWER_S = 5.0


class Issuing(ABC):
    """What all grants share: a token comes of a family."""

    server: "IssuerServer"
    request: Request

    @abstractmethod
    def family(self) -> Family:
        """Give the family that the request's tokens belong to."""

    def generate_token(self, **given: Any) -> dict[str, Any]:
        """Make the answer."""
        refresh = bool(given.get("include_refresh_token", False))
        return self.server.issue(self.request, self.family(), refresh=refresh)


class CodeGrant(Issuing, grants.AuthorizationCodeGrant):
    """Authorization code: good once, for a minute."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def save_authorization_code(self, code: str, request: Request) -> None:
        """Keep what the code stands for."""
        data, now_s = request.payload.data, unix_s()
        self.server.records.codes[code] = Code(
            client_id=request.client.client_id,
            user=request.user,
            redirect_uri=data.get("redirect_uri", ""),
            scope=request.scope or "",
            nonce=data.get("nonce", ""),
            code_challenge=data.get("code_challenge", ""),
            code_challenge_method=data.get("code_challenge_method", "plain"),
            expires_s=now_s + CODE_S,
            auth_time_s=int(now_s),
            resource=data.get("resource", ""),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Find the code; who brings it again has all that came of it revoked."""
        found = self.server.records.codes.get(code)
        if found is None or found.client_id != client.client_id:
            return None
        if found.family is not None:
            found.family.revoked = True
            return None
        return found if found.expires_s > unix_s() else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Keep it, as spent."""

    def authenticate_user(self, authorization_code: Code) -> User:
        """Give who approved."""
        return authorization_code.user

    def family(self) -> Family:
        """Begin the family of this code."""
        code: Code = self.request.authorization_code
        code.family = Family(code.client_id, code.user, code.scope, code.resource)
        return code.family


class DeviceGrant(Issuing, DeviceCodeGrant):
    """Device code: good once; a second redemption revokes what came of the first."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def query_device_credential(self, device_code: str) -> DeviceLogin:
        """Find the login."""
        found = self.server.records.devices.get(device_code)
        if found is None:
            raise InvalidGrantError("this device code is not known")
        if found.family is not None:
            found.family.revoked = True
            raise InvalidGrantError("this device code was redeemed before")
        found.now_s = unix_s()
        return found

    def query_user_grant(self, user_code: str) -> tuple[User, bool] | None:
        """Give what the person decided."""
        for login in self.server.records.devices.values():
            if login.user_code == user_code:
                return login.decision
        return None

    def should_slow_down(self, credential: DeviceLogin) -> bool:
        """Tell whether the client asks faster than it was told."""
        early = credential.now_s - credential.polled_s < credential.interval_s - 0.5
        credential.polled_s = credential.now_s
        if early:
            credential.interval_s += SLOWER_S
        return early

    def family(self) -> Family:
        """Begin the family of this login."""
        login: DeviceLogin = self.request.credential
        client: Client = self.request.client
        scope = client.get_allowed_scope(login.scope)
        login.family = Family(login.client_id, self.request.user, scope, login.resource)
        return login.family


class RefreshGrant(Issuing, grants.RefreshTokenGrant):
    """Refresh with rotation; a spent token that comes again revokes its whole family."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        """Find the token, and notice one that was stolen."""
        found = self.server.records.tokens.get(refresh_token)
        if found is None or found.kind != "refresh_token":
            return None
        if found.used:
            found.family.revoked = True
        if found.family.revoked or found.expires_s <= unix_s():
            return None
        if found.family.jkt and found.family.jkt != self.request.jkt:
            raise InvalidGrantError("this token is bound to another key")
        return found

    def authenticate_user(self, refresh_token: Token) -> User | None:
        """Give who approved."""
        return refresh_token.family.user

    def revoke_old_credential(self, refresh_token: Token) -> None:
        """Mark it as spent."""
        refresh_token.used = True

    def family(self) -> Family:
        """Go on with the family."""
        token: Token = self.request.refresh_token
        return token.family


class MachineGrant(Issuing, grants.ClientCredentialsGrant):
    """Client credentials."""

    TOKEN_ENDPOINT_AUTH_METHODS = MACHINE_METHODS

    def family(self) -> Family:
        """Begin a family of one."""
        client, data = self.request.client, self.request.payload.data
        scope = client.get_allowed_scope(data.get("scope"))
        return Family(client.client_id, None, scope, data.get("resource", ""))


class DeviceEndpoint(DeviceAuthorizationEndpoint):
    """Begins a login on another screen."""

    CLIENT_AUTH_METHODS = METHODS
    EXPIRES_IN = DEVICE_CODE_S
    INTERVAL = 1

    def get_verification_uri(self) -> str:
        """Give the page where a person types the code."""
        return f"{self.server.mint.issuer}/device"

    def create_endpoint_response(self, request: Request) -> Any:
        """Remember the resource too (RFC 8707)."""
        self._resource = request.payload.data.get("resource", "")
        return super().create_endpoint_response(request)

    def save_device_credential(
        self, client_id: str, scope: str | None, data: Mapping[str, Any]
    ) -> None:
        """Keep the login."""
        self.server.records.devices[data["device_code"]] = DeviceLogin(
            client_id=client_id,
            scope=scope or "",
            user_code=data["user_code"],
            expires_s=unix_s() + DEVICE_CODE_S,
            interval_s=self.INTERVAL,
            resource=self._resource,
        )


class Revocation(RevocationEndpoint):
    """Revokes a token with all its family."""

    CLIENT_AUTH_METHODS = METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:
        """Find it; the hint is only a hint."""
        del token_type_hint
        records: Records = self.server.records
        return records.tokens.get(token_string)

    def revoke_token(self, token: Token, request: Request) -> None:
        """Revoke the family."""
        del request
        token.family.revoked = True
