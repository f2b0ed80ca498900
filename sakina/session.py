"""A stored login at work: its client, its token, and what happens when that is refused."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dunes.crypto import keyio
from dunes.errors import UsageError
from dunes.paths import Paths
from dunes.secrets import Secret, given_secret
from sakina.grant import Grant
from sakina.journal import Journal
from sakina.memory import load_memory
from sakina.oauth.clientauth import Client
from sakina.oauth.errors import IssuerSilent, NoLogin, ScopeRefused
from sakina.oauth.http import Answer, Http
from sakina.oauth.jose import SigningKey
from sakina.oauth.refresh import prover_of, renew
from sakina.oauth.wait import SYSTEM_WAIT, Wait
from sakina.store import TokenStore
from sakina.store.choose import choose_store

TOKEN_VARIABLE = "SAKINA_TOKEN"  # noqa: S105 - a variable's name
UNAUTHORIZED = 401
NONCE_MAX = 200


def environment_token(environ: Mapping[str, str] | None = None) -> Secret | None:
    """Give the token of SAKINA_TOKEN, which wins over every stored login."""
    from dunes.secrets import parse_secret

    text = (os.environ if environ is None else environ).get(TOKEN_VARIABLE)
    return parse_secret(text.encode("utf-8", "surrogateescape"), TOKEN_VARIABLE) if text else None


def client_of(grant: Grant, environ: Mapping[str, str] | None = None) -> Client:
    """Make the client that a login belongs to; secret and key are read anew where they lie.

    Raises:
        NotFound: the key's file is gone.
    """
    if grant.key_file:
        raw = keyio.read_private(Path(grant.key_file))
        return Client(grant.client_id, key=SigningKey.read(raw, grant.key_file))
    secret = grant.client_secret
    if secret is not None:
        file = Path(grant.secret_file) if grant.secret_file else None
        if file is not None and file.exists():
            given = given_secret("client-secret", file=file, environ={})
        else:
            given = given_secret("client-secret", environ=environ)
        secret = secret if given is None else given.secret
    return Client(grant.client_id, secret)


@dataclass(slots=True)
class Session:
    """One profile's login in use.

    Attributes:
        store: where it is kept.
        journal: its lock.
        http: to the issuer and to resources.
        grant: as it is now.
    """

    store: TokenStore
    journal: Journal
    http: Http
    grant: Grant

    @classmethod
    def open(
        cls,
        paths: Paths,
        profile: str,
        *,
        asked_store: str | None = None,
        timeout_s: float,
        wait: Wait = SYSTEM_WAIT,
    ) -> "Session":
        """Read a profile's login; nothing is asked of the network.

        Raises:
            NoLogin: there is none.
        """
        store = choose_store(paths, load_memory(paths), asked_store).store
        grant = store.load(profile)
        if grant is None:
            user = "" if profile == "default" else f" --user {profile}"
            raise NoLogin(
                f"no login is stored for profile {profile}",
                hint=f"sakina auth-flow{user}; sakina auth status lists what there is",
            )
        http = Http(timeout_s=timeout_s, ca_file=grant.ca_file, wait=wait)
        return cls(store, Journal(paths, wait), http, grant)

    def need_scopes(self, scopes: tuple[str, ...]) -> None:
        """Refuse what the login is not for; local scopes have no other guard than this.

        Raises:
            ScopeRefused: a scope that it has not.
        """
        allowed = self.grant.allowed_scopes
        if missing := [scope for scope in scopes if scope not in allowed]:
            raise ScopeRefused(
                f"the login of profile {self.grant.profile} is for "
                f"{' '.join(allowed) or 'no scope'}, not for {' '.join(missing)}",
                hint=f"sakina auth-flow --provider {self.grant.provider} --scope {missing[0]}",
            )

    def renew(self, *, force: bool = False) -> Grant:
        """Make sure that the token is good, renewing it if need be.

        Args:
            force: it was refused, though it looks good.
        """
        if not force and self.grant.usable(self.http.wait.unix_s()):
            return self.grant
        try:
            self.grant = renew(
                self.store,
                self.journal,
                self.http,
                client_of(self.grant),
                self.grant,
                force=force,
                lock_s=max(2 * self.http.timeout_s, 1.0),
            )
        except IssuerSilent as e:
            if self.grant.simulated:
                e.hint = "the simulated site gave this login: dunes sim up"
            raise
        return self.grant

    def headers(self, method: str, url: str, nonce: str = "") -> dict[str, str]:
        """Give the headers that show the token to a resource; a secret.

        Args:
            method: of the request; the proof of a bound token names it.
            url: where it goes.
            nonce: what the resource's last answer gave in DPoP-Nonce, if it did.
        """
        token = self.grant.access_token.reveal()
        headers = {"authorization": f"{self.grant.token_type} {token}"}
        prover = prover_of(self.grant)
        if prover is not None:
            prover.learn(url, nonce)
            now_s = self.http.wait.unix_s()
            headers["dpop"] = prover.proof(method, url, now_s, access_token=token)
        return headers

    def get(self, url: str) -> Answer:
        """Ask a resource; a token that it refuses is renewed once, and it is asked once more.

        A nonce that it demands (RFC 9449 9) is brought before that.
        """
        self.renew()
        answer = self.http.request("GET", url, headers=self.headers("GET", url))
        nonce = _nonce_of(answer)
        if answer.status == UNAUTHORIZED and nonce:
            answer = self.http.request("GET", url, headers=self.headers("GET", url, nonce))
        if answer.status == UNAUTHORIZED and self.grant.renewable:
            self.renew(force=True)
            nonce = _nonce_of(answer) or nonce
            answer = self.http.request("GET", url, headers=self.headers("GET", url, nonce))
        return answer


def _nonce_of(answer: Answer) -> str:
    return answer.headers.get("dpop-nonce", "")[:NONCE_MAX]


def check_profile(text: str) -> str:
    """Give the name of a profile back.

    Raises:
        UsageError: it cannot be one.
    """
    from dunes.errors import DataError
    from dunes.model import check_name

    try:
        return check_name(text, "profile")
    except DataError as e:
        raise UsageError(e.message, hint="--user mission-control", code=e.code) from e
