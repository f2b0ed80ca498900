"""The simulated identity provider over HTTP: endpoints, and the pages where people approve."""

import html
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import OAuth2Error

from dunes.errors import DunesError
from dunes.sim.issuer_records import (
    DEVICE_CODE,
    LOGIN_SCOPES,
    RECORDS_MAX,
    SCOPES,
    User,
)
from dunes.sim.issuer_server import IssuerServer
from dunes.sim.issuer_tokens import ALGORITHM, BadProof, NonceWanted, unix_s
from dunes.sim.issuer_wire import METHODS, Reply, Request, with_issuer

BODY_MAX_BYTES = 64 * 1024
NAME_MAX = 64
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<p>Simulated identity provider of the site. Any name is good; no password is asked for.</p>
<h1>{title}</h1>
{body}
"""
FORM = """<p>{what}</p>
<form method="post" action="{action}">
{hidden}
<p><label>name <input name="login" value="{login}" required maxlength="64"></label></p>
<p><button name="decision" value="approve">Approve</button>
<button name="decision" value="deny" formnovalidate>Deny</button></p>
</form>
"""
Scope = Mapping[str, Any]


@dataclass(slots=True)
class IssuerApp:
    """The ASGI application.

    Attributes:
        server: the protocol.
        started: authorization requests that wait for a person, by their ticket.
    """

    server: IssuerServer
    started: dict[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more and len(body) <= BODY_MAX_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        reply = self.answer(scope, body)
        content, kind = _encode(reply)
        headers = [
            (b"content-type", kind),
            (b"content-length", str(len(content)).encode()),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-frame-options", b"DENY"),
            *(
                (name.lower().encode(), value.encode("latin-1", "replace"))
                for name, value in reply.headers
                if name.lower() not in {"content-type", "cache-control"}
            ),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def answer(self, scope: Scope, body: bytes) -> Reply:
        """Find who answers."""
        if len(body) > BODY_MAX_BYTES:
            return Reply(413, {"error": "invalid_request"}, [])
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        query = scope["query_string"].decode("ascii", "replace")
        handlers: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", "/.well-known/openid-configuration"): lambda _: self._metadata(),
            ("GET", "/.well-known/oauth-authorization-server"): lambda _: self._metadata(),
            ("GET", "/jwks"): lambda _: Reply(200, self.server.mint.jwks(), []),
            ("POST", "/token"): self._token,
            ("POST", "/device_authorization"): self._endpoint("device_authorization"),
            ("POST", "/revoke"): self._endpoint("revocation"),
            ("GET", "/authorize"): self._authorize_page,
            ("POST", "/authorize"): self._authorize,
            ("GET", "/device"): self._device_page,
            ("POST", "/device"): self._device,
            ("GET", "/userinfo"): self._userinfo,
        }
        handler = handlers.get((scope["method"], scope["path"]))
        self.server.records.tidy(unix_s())
        if handler is None:
            return Reply(404, {"error": "not_found"}, [])
        try:
            request = Request(scope["method"], query, body.decode("utf-8", "replace"), headers)
        except ValueError:
            return Reply(400, {"error": "invalid_request"}, [])
        return handler(request)

    # ------------------------------------------------------------------ for programs

    def _metadata(self) -> Reply:
        issuer = self.server.mint.issuer
        return Reply(
            200,
            {
                "issuer": issuer,
                "authorization_endpoint": f"{issuer}/authorize",
                "token_endpoint": f"{issuer}/token",
                "device_authorization_endpoint": f"{issuer}/device_authorization",
                "revocation_endpoint": f"{issuer}/revoke",
                "userinfo_endpoint": f"{issuer}/userinfo",
                "jwks_uri": f"{issuer}/jwks",
                "scopes_supported": [*SCOPES, *LOGIN_SCOPES],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": [
                    "authorization_code", "refresh_token", "client_credentials", DEVICE_CODE,
                ],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": METHODS,
                "token_endpoint_auth_signing_alg_values_supported": [ALGORITHM],
                "code_challenge_methods_supported": ["S256"],
                "dpop_signing_alg_values_supported": [ALGORITHM],
                "authorization_response_iss_parameter_supported": True,
                "simulated": True,
            },
            [],
        )  # fmt: skip

    def _token(self, request: Request) -> Reply:
        proof = request.headers.get("dpop")
        if proof:
            now_s = unix_s()
            try:
                request.jkt = self.server.mint.check_proof(proof, "POST", "/token", now_s)
            except NonceWanted:
                nonce = self.server.mint.nonce(now_s)
                return Reply(400, {"error": "use_dpop_nonce"}, [("dpop-nonce", nonce)])
            except BadProof as e:
                body = {"error": "invalid_dpop_proof", "error_description": f"proof: {e}"}
                return Reply(400, body, [])
        reply: Reply = self.server.create_token_response(request)
        return reply

    def _endpoint(self, name: str) -> Callable[[Request], Reply]:
        def handle(request: Request) -> Reply:
            reply: Reply = self.server.create_endpoint_response(name, request)
            return reply

        return handle

    def _userinfo(self, request: Request) -> Reply:
        """Answer as a resource does: for a good token, and a proof where it is bound."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        now_s = unix_s()
        claims = self.server.mint.check(token, int(now_s))
        if claims is None:
            return Reply(401, {"error": "invalid_token"}, [("www-authenticate", "Bearer")])
        bound = claims.get("cnf", {}).get("jkt", "")
        if bound:
            if scheme.lower() != "dpop":
                return Reply(401, {"error": "invalid_token"}, [("www-authenticate", "DPoP")])
            try:
                jkt = self.server.mint.check_proof(
                    request.headers.get("dpop", ""), "GET", "/userinfo", now_s, access_token=token
                )
            except NonceWanted:
                nonce = self.server.mint.nonce(now_s)
                demand = ("www-authenticate", 'DPoP error="use_dpop_nonce"')
                body = {"error": "use_dpop_nonce"}
                return Reply(401, body, [("dpop-nonce", nonce), demand])
            except BadProof:
                jkt = ""
            if jkt != bound:
                return Reply(401, {"error": "invalid_token"}, [("www-authenticate", "DPoP")])
        return Reply(200, {"sub": claims["sub"], "scope": claims["scope"]}, [])

    # ------------------------------------------------------------------ for people

    def _authorize_page(self, request: Request) -> Reply:
        try:
            grant = self.server.get_consent_grant(request, end_user=None)
        except OAuth2Error as error:
            return self._browser_back(self.server.handle_error_response(request, error))
        if not request.payload.data.get("code_challenge"):
            refused = OAuth2Error(
                "PKCE is required",
                error="invalid_request",
                redirect_uri=request.payload.data.get("redirect_uri"),
                state=request.payload.state,
            )
            return self._browser_back(self.server.handle_error_response(request, refused))
        ticket = secrets.token_urlsafe(24)
        self.started[ticket] = urlencode(list(request.payload.data.items()))
        while len(self.started) > RECORDS_MAX:
            del self.started[next(iter(self.started))]
        what = f"{grant.client.title} asks for: {request.payload.scope or 'nothing'}"
        hidden = {"ticket": ticket}
        return _form("Log in", what, "/authorize", hidden, request.payload.data.get("login_hint"))

    def _authorize(self, request: Request) -> Reply:
        query = self.started.pop(request.form.get("ticket", ""), None)
        if query is None:
            return _page("This login is over", "<p>Begin again at the terminal.</p>", 400)
        original = Request("GET", query, "", {})
        user = self._user(request) if request.form.get("decision") == "approve" else None
        try:
            grant = self.server.get_consent_grant(original, end_user=user)
        except OAuth2Error as error:
            return self._browser_back(self.server.handle_error_response(original, error))
        reply = self.server.create_authorization_response(original, grant_user=user, grant=grant)
        return self._browser_back(reply)

    def _browser_back(self, reply: Reply) -> Reply:
        """Name the issuer in what the browser brings back (RFC 9207)."""
        headers = [
            (name, with_issuer(value, self.server.mint.issuer) if name == "Location" else value)
            for name, value in reply.headers
        ]
        return Reply(reply.status, reply.body, headers)

    def _device_page(self, request: Request) -> Reply:
        code = request.payload.data.get("user_code", "")
        waiting = self.server.records.waiting(unix_s())
        found = [each for each in waiting if each.user_code == code.strip().upper()]
        if not found:
            again = (
                '<form><label>code <input name="user_code" required></label>'
                "<button>Go on</button></form>"
            )
            return _page("Which code?", again)
        client = self.server.query_client(found[0].client_id)
        title = client.title if client else found[0].client_id
        what = f"{title} asks for: {found[0].scope or 'nothing'}"
        return _form("Approve a login", what, "/device", {"user_code": found[0].user_code}, "")

    def _device(self, request: Request) -> Reply:
        approve = request.form.get("decision") == "approve"
        code = request.form.get("user_code", "") or "none"
        try:
            user = self._user(request)
            self.server.records.decide(code, user, unix_s(), approve=approve)
        except DunesError as e:
            return _page("Not done", f"<p>{html.escape(e.message)}</p>", 400)
        return _page("Approved" if approve else "Denied", "<p>You can close this page.</p>")

    @staticmethod
    def _user(request: Request) -> User:
        name = request.form.get("login", "").strip()[:NAME_MAX]
        return User("".join(c for c in name if c.isprintable()) or "anybody")


def _form(
    title: str, what: str, action: str, hidden: Mapping[str, str], login: str | None
) -> Reply:
    fields = "\n".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
        for name, value in hidden.items()
    )
    body = FORM.format(
        what=html.escape(what), action=action, hidden=fields, login=html.escape(login or "")
    )
    return _page(title, body)


def _page(title: str, body: str, status: int = 200) -> Reply:
    text = PAGE.format(title=html.escape(title), body=body)
    policy = ("content-security-policy", "default-src 'none'; frame-ancestors 'none'")
    return Reply(status, text, [policy])


def _encode(reply: Reply) -> tuple[bytes, bytes]:
    if isinstance(reply.body, str):
        return reply.body.encode(), b"text/html; charset=utf-8"
    body = dict(reply.body) if isinstance(reply.body, list) else reply.body
    return json.dumps(body).encode(), b"application/json"
