"""The simulated identity provider's protocol: authlib's server and its grants."""

import secrets
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidClientError,
    InvalidGrantError,
    OAuth2Error,
    OAuth2Payload,
    OAuth2Request,
    grants,
)
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from authlib.oidc.core import OpenIDCode, UserInfo
from authlib.oidc.core.grants import OpenIDToken
from joserfc.jwk import ECKey, KeySet

from dunes.sim.issuer_records import (
    CODE_S,
    DEVICE_CODE_S,
    LOGIN_SCOPES,
    SCOPES,
    Client,
    Code,
    DeviceLogin,
    Family,
    Records,
    Token,
    User,
)
from dunes.sim.issuer_tokens import ACCESS_S, ALGORITHM, REFRESH_S, Mint, unix_s

MACHINE_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
METHODS = [*MACHINE_METHODS, "none"]
SLOWER_S = 5.0


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: Any
    headers: list[tuple[str, str]]


class Payload(OAuth2Payload):
    """A request's parameters; the first of each name counts."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._lists: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in pairs:
            self._lists[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        """Give the values by name."""
        return {name: many[0] for name, many in self._lists.items()}

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """Give all values by name."""
        return self._lists


class Request(OAuth2Request):
    """A request as authlib reads it.

    The site serves on loopback without TLS, which authlib would refuse by the URL's scheme.
    """

    def __init__(self, method: str, query: str, body: str, headers: Mapping[str, str]) -> None:
        super().__init__(method, "https://127.0.0.1/", headers=headers)
        self._pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
        self._form = parse_qsl(body, keep_blank_values=True, max_num_fields=100)
        self.payload = Payload(self._pairs + self._form)
        self.jkt = ""

    @property
    def args(self) -> dict[str, str]:
        """Give the query's parameters."""
        return dict(self._pairs)

    @property
    def form(self) -> dict[str, str]:
        """Give the form's parameters."""
        return dict(self._form)


def read_basic(query_client: Callable[[str], Client | None], request: Request) -> Client | None:
    """Authenticate by Basic, decoding id and secret as RFC 6749 2.3.1 wants it."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = b64decode(text, validate=True).decode("ascii").partition(":")
    except ValueError:
        raise InvalidClientError(status_code=401, description="no Basic credentials") from None
    client = query_client(unquote_plus(client_id))
    if client is None or not client.check_client_secret(unquote_plus(secret)):
        raise InvalidClientError(status_code=401, description="unknown client or wrong secret")
    return client


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
        self.records.tidy(now_s)
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


class Issuing:
    """What all grants share: a token comes of a family."""

    server: IssuerServer
    request: Request

    def family(self) -> Family:
        """Give the family that the request's tokens belong to."""
        raise NotImplementedError

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


def with_issuer(location: str, issuer: str) -> str:
    """Put `iss` into what a browser brings back (RFC 9207)."""
    return str(add_params_to_uri(location, [("iss", issuer)]))


__all__ = ["IssuerServer", "OAuth2Error", "Reply", "Request", "with_issuer"]
