"""A login made of a token that somebody else obtained (`--with-token`)."""

from dunes.secrets import Secret
from sakina.grant import Grant
from sakina.login import Plan
from sakina.oauth.jose import peek_claims
from sakina.oauth.tokens import TokenAnswer
from sakina.scopes import judge_scopes


def with_token(plan: Plan, token: Secret, now_s: int) -> Grant:
    """Make a login of a token that somebody else obtained (`--with-token`)."""
    answer = TokenAnswer(token, "Bearer", None, None, "", None)
    granted = judge_scopes(plan.scopes, answer)
    return Grant(
        profile=plan.profile,
        provider=plan.provider,
        flow="with-token",
        metadata=plan.metadata,
        client_id=plan.client.client_id,
        access_token=token,
        token_type="Bearer",  # noqa: S106 - a type
        obtained_s=now_s,
        expires_s=_expiry(token),
        scopes=granted.scopes,
        requested=plan.scopes,
        local_scopes=plan.scopes if plan.local_scopes else (),
        ca_file=plan.ca_file,
        simulated=plan.simulated,
    )


def _expiry(token: Secret) -> int | None:
    """Read when a JWT expires; None if it is opaque."""
    peeked = peek_claims(token.reveal())
    value = peeked[1].get("exp") if peeked else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
