"""A new token for an old login (RFC 6749 6), with rotation.

A rotated refresh token that is shown a second time makes the issuer revoke the newest
one too. So one process at a time renews a profile, looks at the store again once it has
the lock, and stores what it got before it lets go. A request whose answer was lost is not
repeated here.
"""

from dataclasses import replace

from dunes.errors import DunesError
from sakina.grant import Grant
from sakina.journal import Held, Journal
from sakina.oauth.clientauth import Client
from sakina.oauth.dpop import Prover
from sakina.oauth.errors import LoginExpired, NoLogin
from sakina.oauth.http import Http
from sakina.oauth.jose import SigningKey
from sakina.oauth.tokens import TokenAnswer, may_have_arrived, request_token
from sakina.store import TokenStore

LOCK_S = 30.0
"""A renewal takes two round trips; whoever waits longer waits for something broken."""


def renew(
    store: TokenStore,
    journal: Journal,
    http: Http,
    client: Client,
    grant: Grant,
    *,
    force: bool = False,
    lock_s: float = LOCK_S,
) -> Grant:
    """Give a login whose token is good, renewing it if need be.

    Args:
        store: where it is kept.
        journal: the lock.
        http: to the issuer.
        client: who asks.
        grant: as it was read.
        force: its token was refused, though it looks good.
        lock_s: how long to wait for another process.

    Raises:
        NoLogin: it is gone meanwhile.
        LoginExpired: the issuer does not renew it; a person has to log in.
        TryLater: another process does not come to an end.
        IssuerSilent, IssuerBusy and their like: see `request_token`.
    """
    if not force and grant.usable(http.wait.unix_s()):
        return grant
    with journal.hold(grant.profile, "refresh", lock_s) as held:
        current = store.load(grant.profile)
        if current is None:
            raise NoLogin(f"profile {grant.profile} was logged out", hint="sakina auth-flow")
        refused = force and current.access_token == grant.access_token
        if not refused and current.usable(http.wait.unix_s()):
            return current  # another process was here while we waited
        answer = _ask(store, held, http, client, current)
        renewed = current.renewed(answer, http.wait.unix_s())
        store.save(renewed)
        held.clear()
        return renewed


def _ask(store: TokenStore, held: Held, http: Http, client: Client, grant: Grant) -> TokenAnswer:
    """Ask for the new token; what was refused for good is not asked again."""
    if not grant.renewable:
        raise expired(grant, "it cannot be renewed")
    held.ask(grant.metadata.issuer)
    try:
        return request_token(http, grant.metadata, client, form(grant), prover_of(grant))
    except DunesError as e:
        if not may_have_arrived(e):
            held.clear()
        if getattr(e, "error", "") == "invalid_grant" and grant.refresh_token is not None:
            store.save(replace(grant, refresh_token=None))
            raise expired(grant, "the issuer does not accept it any more") from e
        raise


def form(grant: Grant) -> dict[str, str]:
    """Give the form of a renewal: the refresh token, else the client's own credential."""
    if grant.refresh_token is not None:
        return {"grant_type": "refresh_token", "refresh_token": grant.refresh_token.reveal()}
    body = {"grant_type": "client_credentials"}
    if grant.requested and not grant.local_scopes:
        body["scope"] = " ".join(grant.requested)
    if grant.resource:
        body["resource"] = grant.resource
    return body


def prover_of(grant: Grant) -> Prover | None:
    """Make a prover with the grant's own key, if it is bound to one."""
    if grant.dpop_key is None:
        return None
    return Prover(SigningKey.read(grant.dpop_key.reveal().encode(), "the login's DPoP key"))


def expired(grant: Grant, why: str) -> LoginExpired:
    """Say that a person has to log in."""
    user = "" if grant.profile == "default" else f" --user {grant.profile}"
    return LoginExpired(
        f"the login of profile {grant.profile} has expired: {why}",
        hint=f"sakina auth-flow --provider {grant.provider}{user}",
    )
