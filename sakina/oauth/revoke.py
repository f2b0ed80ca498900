"""Tell the issuer that a token is not wanted any more (RFC 7009)."""

from dataclasses import dataclass

from dunes.errors import DunesError
from sakina.grant import Grant
from sakina.oauth.clientauth import Client
from sakina.oauth.http import Http
from sakina.oauth.refresh import prover_of
from sakina.oauth.tokens import post_form, refuse


@dataclass(frozen=True, slots=True)
class Revoked:
    """What became of a revocation.

    Attributes:
        done: the issuer said that it is done.
        why_not: what was in the way; empty if nothing was.
    """

    done: bool
    why_not: str = ""


def revoke(http: Http, client: Client, grant: Grant) -> Revoked:
    """Revoke a login's tokens, the refresh token first; never raises for the network.

    The issuer answers 200 for tokens that it does not know, too (2.2).
    """
    url = grant.metadata.revocation_endpoint
    if not url:
        return Revoked(done=False, why_not="the issuer has no revocation endpoint")
    forms = [{"token": grant.access_token.reveal(), "token_type_hint": "access_token"}]
    if grant.refresh_token is not None:
        refresh = grant.refresh_token.reveal()
        forms.insert(0, {"token": refresh, "token_type_hint": "refresh_token"})
    failed = ""
    for form in forms:
        try:
            answer = post_form(http, grant.metadata, client, url, form, prover_of(grant))
            if not 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP
                refuse(answer, form, client, "the issuer")
        except DunesError as e:
            # an issuer that revokes refresh tokens only is within its rights (2)
            unsupported = getattr(e, "error", "") == "unsupported_token_type"
            if not unsupported or len(forms) == 1:
                failed = failed or e.message
    return Revoked(done=not failed, why_not=failed)
