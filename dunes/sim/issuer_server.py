"""The simulated identity provider's protocol: authlib's server, and what it gives out."""

import secrets
from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer
from authlib.oauth2.rfc7636 import CodeChallenge

from dunes.sim.issuer_grants import (
    CodeGrant,
    DeviceEndpoint,
    DeviceGrant,
    MachineGrant,
    RefreshGrant,
    Revocation,
)
from dunes.sim.issuer_proofs import Assertion, IdCode, IdToken
from dunes.sim.issuer_records import LOGIN_SCOPES, SCOPES, Client, Family, Token
from dunes.sim.issuer_tokens import ACCESS_S, REFRESH_S, Mint, unix_s
from dunes.sim.issuer_wire import Reply, Request, read_basic


class IssuerServer(AuthorizationServer):
    """All grants of the issuer.

    Args:
        mint: makes tokens, and has the records.
    """

    def __init__(self, mint: Mint) -> None:
        super().__init__(scopes_supported=[*SCOPES, *LOGIN_SCOPES])
        self.mint = mint
        self.records = mint.records
        self.register_client_auth_method("client_secret_basic", read_basic)
        self.register_client_auth_method("private_key_jwt", Assertion(mint))
        self.register_grant(CodeGrant, [CodeChallenge(required=True), IdCode(mint)])
        self.register_grant(DeviceGrant, [IdToken(mint)])
        self.register_grant(RefreshGrant)
        self.register_grant(MachineGrant)
        self.register_endpoint(DeviceEndpoint)
        self.register_endpoint(Revocation)

    def query_client(self, client_id: str) -> Client | None:
        """Find a client."""
        return self.records.clients.get(client_id)

    def create_oauth2_request(self, request: Request) -> Request:
        """Give the request as it is."""
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Reply:
        """Give the answer as it is."""
        return Reply(status, body, list(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Tell nobody."""

    def save_token(self, token: Mapping[str, Any], request: Request) -> None:
        """Do nothing: tokens are recorded as they are made."""

    def issue(self, request: Request, family: Family, *, refresh: bool) -> dict[str, Any]:
        """Make the answer of the token endpoint, and record what was given out."""
        now_s = unix_s()
        family.jkt = request.jkt
        access = self.mint.access_token(family, int(now_s))
        self.records.tokens[access] = Token(family, now_s + ACCESS_S, "access_token")
        answer: dict[str, Any] = {
            "access_token": access,
            "token_type": "DPoP" if family.jkt else "Bearer",
            "expires_in": ACCESS_S,
            "scope": family.scope,
        }
        if refresh and "offline_access" in family.scope.split():
            again = answer["refresh_token"] = secrets.token_urlsafe(32)
            self.records.tokens[again] = Token(family, now_s + REFRESH_S)
        return answer
