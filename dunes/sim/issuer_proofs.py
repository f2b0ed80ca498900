"""How a client shows who it is by a signature, and how the issuer says who a person is."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oidc.core import OpenIDCode, UserInfo
from authlib.oidc.core.grants import OpenIDToken
from joserfc.jwk import ECKey, KeySet

from dunes.sim.issuer_records import Client, User
from dunes.sim.issuer_tokens import ALGORITHM, Mint
from dunes.sim.issuer_wire import Request


class Assertion(JWTBearerClientAssertion):
    """private_key_jwt: an assertion is good once."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, mint: Mint) -> None:
        super().__init__()
        self._mint = mint

    def get_audiences(self) -> list[str]:
        """Give whom assertions may be for."""
        return [self._mint.issuer, f"{self._mint.issuer}/token"]

    def resolve_client_public_key(self, client: Client) -> KeySet:
        """Give the client's keys."""
        if not client.jwks:
            raise InvalidClientError(description="this client has no key")
        return KeySet([ECKey.import_key(jwk) for jwk in client.jwks["keys"]])

    def validate_jti(self, claims: Mapping[str, Any], jti: str) -> bool:
        """Tell whether an assertion is new."""
        name = f"{claims['sub']} {jti}"
        known = name in self._mint.records.assertions
        self._mint.records.assertions[name] = float(claims["exp"]) + self.leeway
        return not known


class Identifying:
    """What an id_token says."""

    mint: Mint

    def resolve_client_private_key(self, client: Client) -> Any:
        """Give the issuer's key."""
        del client
        return self.mint.key

    def get_client_algorithm(self, client: Client) -> str:
        """Give how it signs."""
        del client
        return ALGORITHM

    def get_encode_header(self, client: Client) -> dict[str, str]:
        """Name algorithm and key."""
        del client
        return {"alg": ALGORITHM, "kid": str(self.mint.key.kid)}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        """Name issuer and audience."""
        return {"iss": self.mint.issuer, "aud": client.client_id}

    def generate_user_info(self, user: User, scope: str) -> UserInfo:
        """Say who logged in."""
        del scope
        return UserInfo(sub=user.name, preferred_username=user.name)

    def exists_nonce(self, nonce: str, request: Request) -> bool:
        """Tell whether a nonce was used before."""
        del request
        return any(code.nonce == nonce for code in self.mint.records.codes.values())


class IdCode(Identifying, OpenIDCode):
    """id_token for authorization codes."""

    def __init__(self, mint: Mint) -> None:
        super().__init__(require_nonce=False)
        self.mint = mint


class IdToken(Identifying, OpenIDToken):
    """id_token for device codes."""

    def __init__(self, mint: Mint) -> None:
        self.mint = mint
