"""Log in: one flow from its first request to a stored login.

The store was probed before. The journal's line stands from each token request until its
answer is stored or refused, so that a kill in between is told by the next run.
"""

import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dunes.errors import DunesError, TryLater
from dunes.secrets import Secret
from dunes.text import printable
from sakina.grant import Grant
from sakina.journal import Held, Journal
from sakina.oauth.clientauth import Client
from sakina.oauth.device import DeviceCode, DeviceFlow, parse_device_code
from sakina.oauth.discovery import Metadata, request_keys
from sakina.oauth.dpop import ALGORITHM, Prover
from sakina.oauth.errors import (
    BadToken,
    IssuerBusy,
    IssuerRefused,
    IssuerSilent,
    NotAnIssuer,
    ScopeRefused,
)
from sakina.oauth.http import Http
from sakina.oauth.idtoken import Expected, verify_id_token
from sakina.oauth.jose import SigningKey
from sakina.oauth.loopback import Loopback
from sakina.oauth.pkce import BrowserLogin
from sakina.oauth.refresh import LOCK_S
from sakina.oauth.revoke import revoke
from sakina.oauth.tokens import (
    TokenAnswer,
    check_clock,
    may_have_arrived,
    post_form,
    refuse,
    request_token,
)
from sakina.scopes import judge_scopes
from sakina.store import TokenStore


class Person(Protocol):
    """Whoever sits there, if anybody does."""

    def show_code(self, code: DeviceCode) -> None:
        """Tell where to go, and which code to type there."""
        ...

    def show_page(self, url: str, *, opened: bool) -> None:
        """Tell which page to open, or that it was opened."""
        ...

    def warn(self, text: str) -> None:
        """Tell that something is not as it should be."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """A login to be made.

    Attributes:
        profile: where it is kept.
        provider: as it was asked for.
        flow: `device`, `browser` or `client-credentials`.
        metadata: of the issuer.
        client: who logs in.
        scopes: asked for.
        local_scopes: the scopes are enforced here; the issuer is not asked for them.
        resource: whom the token is for (RFC 8707).
        audience: the same, as some issuers want it.
        login_hint: whom to expect.
        timeout_s: for the whole login; None: as long as the issuer waits.
        redirect_port: 0: the kernel's choice.
        open_page: opens a URL in a browser; None: the person does.
        dpop: bind the token to a key.
        allow_less: keep a login that was granted less than was asked for.
        secret_file: where the secret was read from.
        key_file: where the key was read from.
        ca_file: authorities of the issuer.
        simulated: the simulated site plays the issuer.
    """

    profile: str
    provider: str
    flow: str
    metadata: Metadata
    client: Client
    scopes: tuple[str, ...] = ()
    local_scopes: bool = False
    resource: str = ""
    audience: str = ""
    login_hint: str = ""
    timeout_s: float | None = None
    redirect_port: int = 0
    open_page: Callable[[str], bool] | None = webbrowser.open
    dpop: bool = False
    allow_less: bool = False
    secret_file: Path | None = None
    key_file: Path | None = None
    ca_file: str = ""
    simulated: bool = False

    def asked(self) -> dict[str, str]:
        """Give scope, resource and audience as they are sent; empty ones are left out."""
        scopes: list[str] = [] if self.local_scopes else list(self.scopes)
        if self.flow != "client-credentials":
            offered = self.metadata.scopes
            scopes += [s for s in ("openid", "offline_access") if s in offered and s not in scopes]
        sent = {
            "scope": " ".join(scopes),
            "resource": self.resource,
            "audience": self.audience,
        }
        return {name: value for name, value in sent.items() if value}


BROWSER_S = 300.0
"""Where nobody says --timeout: as long as people look for a password."""


def offers_dpop(metadata: Metadata) -> bool:
    """Tell whether an issuer binds tokens to keys of our kind."""
    return ALGORITHM in metadata.dpop_algorithms


def log_in(plan: Plan, http: Http, store: TokenStore, journal: Journal, person: Person) -> Grant:
    """Make a login, store it, and give it.

    Raises:
        ScopeRefused: less was granted than asked for; what was granted is revoked.
        LoginDeclined, LoginTimedOut, IssuerRefused, BadToken, ForgedCallback, ClockOff,
        IssuerSilent, IssuerBusy, NotAnIssuer: nothing is stored.
        TryLater: another login of this profile is under way.
        StorageError: the store failed after all; the tokens are revoked.
    """
    prover = Prover(SigningKey.generate()) if plan.dpop else None
    with journal.hold(plan.profile, "login", 0.0) as held:
        if held.interrupted is not None:
            person.warn(str(held.interrupted))
        login = _Login(plan, http, held, person, prover)
        grant, answer = login.run()
        missing = judge_scopes(plan.scopes, answer).missing if not plan.local_scopes else ()
        if missing and not plan.allow_less:
            revoke(http, plan.client, grant)
            held.clear()
            granted = " ".join(grant.scopes or ()) or "nothing"
            raise ScopeRefused(
                f"the issuer granted {printable(granted)} and not "
                f"{printable(' '.join(missing))}; the login was given back",
                hint="--allow-partial-scope keeps such a login",
            )
        try:
            keep(store, journal, grant)
        except Exception:
            revoke(http, plan.client, grant)
            held.clear()
            raise
        held.clear()
        return grant


def keep(store: TokenStore, journal: Journal, grant: Grant) -> None:
    """Store a login when nobody is renewing the profile's former one.

    Otherwise that renewal, which began earlier, would be stored over it. A renewal that
    does not come to an end is not waited for: what a person has just done counts more.
    """
    try:
        with journal.hold(grant.profile, "refresh", LOCK_S) as held:
            store.save(grant)
            held.clear()
    except TryLater:
        store.save(grant)


@dataclass(slots=True)
class _Login:
    plan: Plan
    http: Http
    held: Held
    person: Person
    prover: Prover | None

    def run(self) -> tuple[Grant, TokenAnswer]:
        """Run the flow; the journal's line still stands when it returns."""
        match self.plan.flow:
            case "device":
                answer, nonce = self._device(), ""
            case "browser":
                answer, nonce = self._browser()
            case _:
                answer, nonce = self._request({"grant_type": "client_credentials"}), ""
        try:
            claims = self._who(answer, nonce)
        except Exception:
            # who logged in cannot be believed: nobody shall use what came
            revoke(self.http, self.plan.client, self._grant(answer, {}))
            self.held.clear()
            raise
        return self._grant(answer, claims), answer

    def _request(self, form: Mapping[str, str]) -> TokenAnswer:
        """Redeem a code or a credential, once."""
        if form["grant_type"] == "client_credentials":
            form = {**form, **self.plan.asked()}
        elif self.plan.resource:
            form = {**form, "resource": self.plan.resource}
        return self._redeem(form)

    def _redeem(self, form: Mapping[str, str]) -> TokenAnswer:
        self.held.ask(self.plan.metadata.issuer)
        try:
            return request_token(
                self.http, self.plan.metadata, self.plan.client, form, self.prover
            )
        except DunesError as e:
            if not may_have_arrived(e):
                self.held.clear()
            raise

    def _device(self) -> TokenAnswer:
        plan, wait = self.plan, self.http.wait
        url = plan.metadata.device_authorization_endpoint
        if not url:
            raise NotAnIssuer(
                "the issuer offers no device authorization", hint="--flow browser", code="no-flow"
            )
        form = plan.asked()
        answer = post_form(self.http, plan.metadata, plan.client, url, form)
        if not answer.ok:
            refuse(answer, form, plan.client, "the issuer")
        code = parse_device_code(answer.body)
        flow = DeviceFlow(code, wait.now_s(), plan.timeout_s)
        self.person.show_code(code)
        while True:
            until_s = min(flow.next_poll_s, flow.deadline_s)
            wait.sleep_s(max(0.0, until_s - wait.now_s()))
            flow.check_time(wait.now_s())
            try:
                return self._redeem(flow.form())
            except (IssuerRefused, IssuerBusy, IssuerSilent) as e:
                flow.pending(e, wait.now_s())

    def _browser(self) -> tuple[TokenAnswer, str]:
        plan = self.plan
        with Loopback(plan.redirect_port).serving() as loopback:
            login = BrowserLogin.begin(loopback.port)
            asked = plan.asked()
            more = {**asked, "login_hint": plan.login_hint}
            if "offline_access" in asked.get("scope", "").split():
                more["prompt"] = "consent"  # OpenID Connect Core 11
            url = login.url(plan.metadata, plan.client.client_id, more)
            opened = plan.open_page is not None and plan.open_page(url)
            self.person.show_page(url, opened=opened)
            query = loopback.await_callback(plan.timeout_s or BROWSER_S)
        code = login.take_callback(query, plan.metadata)
        answer = self._request(login.form(code))
        return answer, login.nonce

    def _who(self, answer: TokenAnswer, nonce: str) -> Mapping[str, Any]:
        """Check the id_token, if one came; give its claims."""
        if not answer.id_token:
            if "openid" in self.plan.asked().get("scope", "").split() and (
                self.plan.flow == "browser"
            ):
                raise BadToken("the issuer was asked who logs in, and sent no id_token")
            return {}
        metadata = self.plan.metadata
        keys = request_keys(self.http, metadata)
        expected = Expected(
            metadata.issuer, self.plan.client.client_id, self.http.wait.unix_s(), nonce
        )
        try:
            return verify_id_token(answer.id_token, keys, expected)
        except BadToken as e:
            if not e.timely:
                check_clock(self.http.get(metadata.jwks_uri).ahead_s)
            raise

    def _grant(self, answer: TokenAnswer, claims: Mapping[str, Any]) -> Grant:
        plan, now_s = self.plan, self.http.wait.unix_s()
        username = claims.get("preferred_username", claims.get("email", ""))
        subject = claims.get("sub", "")
        granted = judge_scopes(plan.scopes, answer)
        bound = self.prover is not None and answer.token_type == "DPoP"  # noqa: S105 - a type
        return Grant(
            profile=plan.profile,
            provider=plan.provider,
            flow=plan.flow,
            metadata=plan.metadata,
            client_id=plan.client.client_id,
            access_token=answer.access_token,
            token_type=answer.token_type,
            obtained_s=now_s,
            expires_s=None if answer.expires_in_s is None else now_s + answer.expires_in_s,
            scopes=granted.scopes,
            requested=plan.scopes,
            local_scopes=plan.scopes if plan.local_scopes else (),
            resource=plan.resource,
            subject=str(subject)[:200],
            username=str(username)[:200],
            refresh_token=answer.refresh_token,
            client_secret=plan.client.secret,
            secret_file="" if plan.secret_file is None else str(plan.secret_file.absolute()),
            key_file="" if plan.key_file is None else str(plan.key_file.absolute()),
            dpop_key=Secret(self.prover.key.pem()) if bound and self.prover else None,
            ca_file=plan.ca_file,
            simulated=plan.simulated,
        )


def warnings_of(grant: Grant, plan: Plan) -> list[str]:
    """Say what a person should know about a login that worked."""
    found = []
    if grant.scopes is None and plan.scopes and not plan.local_scopes:
        found.append("the issuer does not say which scopes it granted; taken as asked for")
    hint = plan.login_hint
    if hint and grant.subject and hint not in {grant.subject, grant.username}:
        who = grant.username or grant.subject
        found.append(f"{printable(who, 60)} logged in, not {hint}")
    asked = plan.asked().get("scope", "").split()
    if "offline_access" in asked and grant.refresh_token is None:
        found.append("the issuer gave no refresh token: this login ends with its first token")
    return found
